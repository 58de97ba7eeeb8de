"""The manifests of the CustomResourceDefinitions, generated from the types, so that the two cannot drift.

This module only computes; `make crds` writes the files and a test compares them.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel

from safety_governor.api import group, rules, v1alpha1

Schema: TypeAlias = dict[str, Any]
"""A JSON schema: the shape is the API server's, not ours, so it stays plain data."""

_DROPPED = frozenset({"title", "default", "additionalProperties", "propertyNames", "const", "discriminator"})


def incident_definition() -> Schema:
    """The manifest of the Incident resource."""
    columns = [
        _column("Service", ".spec.service", "The service that suffers"),
        _column("Severity", ".spec.severity", "How bad it is"),
        _column("Decision", ".status.gate.decision", "What the gate decided"),
        _column("Phase", ".status.phase", "Where the incident stands"),
        _column("Confidence", ".status.gate.confidence", "Before and after the stress test, of 10"),
        _column("Approval", ".status.approval.summary", "What people are asked for, or have answered"),
        {**_column("Age", ".metadata.creationTimestamp", "Since it was reported"), "type": "date"},
        _column("Reason", ".status.gate.reason", "Which checks block", wide=True),
        _column("Approver", ".status.approval.approver", "Who decided", wide=True),
        # A date column prints <invalid> for a time in the future, so this one is text.
        _column("Expires", ".status.gate.expiresAt", "Until when an approval is taken", wide=True),
        _column("Ticket", ".status.tickets[0].key", "The first ticket", wide=True),
        _column("Action", ".status.plan.action", "What is proposed", wide=True),
    ]
    schema = _root_schema(v1alpha1.Incident)
    schema["x-kubernetes-validations"] = [rule.manifest() for rule in rules.INCIDENT]
    spec = schema["properties"]["spec"]
    spec["x-kubernetes-validations"] = [rule.manifest() for rule in rules.INCIDENT_SPEC]
    spec["properties"]["mode"]["default"] = "Enforce"
    spec["properties"]["target"]["properties"]["kind"]["default"] = "Deployment"
    for approval in ("approval", "secondApproval"):
        spec["properties"][approval]["x-kubernetes-validations"] = [rule.manifest() for rule in rules.APPROVAL]
    return _definition(
        plural=group.INCIDENTS,
        kind=group.INCIDENT_KIND,
        short="inc",
        schema=schema,
        columns=columns,
        selectable=(".status.phase", ".spec.severity", ".spec.service"),
    )


def remediation_policy_definition() -> Schema:
    """The manifest of the RemediationPolicy resource."""
    columns = [
        _column("Allowed", ".spec.allowedActions", "Kinds of step that may run"),
        {**_column("Suspended", ".spec.suspend", "Whether the kill switch is on"), "type": "boolean"},
        # A date column prints <invalid> for a time in the future, so this one is text.
        _column("Frozen", ".status.frozenUntil", "Until when a freeze window lasts"),
        _column("Breaker", ".status.breaker", "Whether the circuit breaker is open"),
        _column("Budget", ".status.budget", "How many actions are left this hour"),
        {**_column("Age", ".metadata.creationTimestamp", "Since it was created"), "type": "date"},
    ]
    schema = _root_schema(v1alpha1.RemediationPolicy)
    spec = schema["properties"]["spec"]["properties"]
    for listed in ("protectedTargets", "patchable"):
        spec[listed]["items"]["properties"]["kind"]["default"] = "Deployment"
    spec["freezeWindows"]["items"]["properties"]["timeZone"]["default"] = "UTC"
    _as_map(spec["freezeWindows"], key="name")
    spec["cooldown"]["x-kubernetes-validations"] = [rule.manifest() for rule in rules.COOLDOWN]
    return _definition(
        plural=group.REMEDIATION_POLICIES, kind=group.REMEDIATION_POLICY_KIND, short="rp", schema=schema, columns=columns, selectable=()
    )


def _column(name: str, path: str, description: str, *, wide: bool = False) -> Schema:
    return {"name": name, "type": "string", "jsonPath": path, "description": description, **({"priority": 1} if wide else {})}


def _definition(*, plural: str, kind: str, short: str, schema: Schema, columns: Sequence[Schema], selectable: Sequence[str]) -> Schema:
    version: Schema = {
        "name": group.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        **({"selectableFields": [{"jsonPath": path} for path in selectable]} if selectable else {}),
        "additionalPrinterColumns": list(columns),
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group.GROUP}"},
        "spec": {
            "group": group.GROUP,
            "scope": "Namespaced",
            "names": {
                "plural": plural,
                "singular": kind.lower(),
                "kind": kind,
                "listKind": f"{kind}List",
                "shortNames": [short],
                "categories": ["governor"],
            },
            "versions": [version],
        },
    }


def _root_schema(resource: type[BaseModel]) -> Schema:
    full = resource.model_json_schema(mode="validation", by_alias=True)
    root = _structural(full, full.get("$defs", {}))
    root["required"] = ["spec"]
    # These belong to the API server, which knows their schema better.
    root["properties"]["apiVersion"] = {"type": "string", "description": "Version of the schema of this object."}
    root["properties"]["kind"] = {"type": "string", "description": "Kind of this object."}
    root["properties"]["metadata"] = {"type": "object"}
    _as_map(root["properties"]["status"]["properties"]["conditions"], key="type")
    return root


def _as_map(array: Schema, *, key: str) -> None:
    array["x-kubernetes-list-type"] = "map"
    array["x-kubernetes-list-map-keys"] = [key]


def _structural(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """A schema as the API server wants it: no references, no unions with null, no titles."""
    if "$ref" in node:
        referred = definitions[node["$ref"].rsplit("/", 1)[1]]
        own = {name: part for name, part in node.items() if name != "$ref"}
        return _structural({**referred, **own}, definitions)
    if "anyOf" in node:
        options = [one for one in node["anyOf"] if one.get("type") != "null"]
        if len(options) != 1:
            raise ValueError(f"a field of the resource may not be one of several types: {node}")
        return _structural({**options[0], **{name: part for name, part in node.items() if name not in ("anyOf", "default")}}, definitions)
    schema = {name: part for name, part in node.items() if name not in _DROPPED and name != "$defs"}
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split()).replace("`", "")
    if "properties" in schema:
        schema["properties"] = {name: _structural(part, definitions) for name, part in schema["properties"].items()}
    if "items" in schema:
        schema["items"] = _structural(schema["items"], definitions)
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    return schema
