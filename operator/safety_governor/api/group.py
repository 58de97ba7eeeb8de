"""Names by which the API server knows us; each literal appears here and nowhere else."""

GROUP = "safetygovernor.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

INCIDENTS = "incidents"
INCIDENT_KIND = "Incident"
REMEDIATION_POLICIES = "remediationpolicies"
REMEDIATION_POLICY_KIND = "RemediationPolicy"

FIELD_MANAGER = "safety-governor"
"""Under this name our writes stand in managedFields."""

EXECUTOR = "governor-executor"
"""The ServiceAccount that acts on workloads, one in each namespace that has opted in; the operator impersonates it."""

LAST_ACTION = f"{GROUP}/last-action"
"""Annotation on a target: the key of the action that touched it last. It tells an effect from a claim after a crash."""
ACTED_FOR = f"{GROUP}/incident"
"""Annotation on a target: which incident the last action was for."""
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The annotation on a pod template that kubectl, too, uses to start a rollout."""
