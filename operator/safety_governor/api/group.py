"""Names by which the API server knows us; each literal appears here and nowhere else."""

from safety_governor.domain import marks

GROUP = marks.DOMAIN
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

INCIDENTS = "incidents"
INCIDENT_KIND = "Incident"
REMEDIATION_POLICIES = "remediationpolicies"
REMEDIATION_POLICY_KIND = "RemediationPolicy"

FIELD_MANAGER = "safety-governor"
"""Under this name our writes stand in managedFields."""

OPERATOR = "governor-operator"
"""The ServiceAccount that the operator is; the admission policies let nobody else write what was decided."""

EXECUTOR = "governor-executor"
"""The ServiceAccount that acts on workloads, one in each namespace that has opted in; the operator impersonates it."""
