"""`safety-governor why`: the decision, told from the resource alone."""

import json
import sys

import pydantic
import yaml
from rich.console import Console

from safety_governor import bootstrap
from safety_governor.api import group, v1alpha1
from safety_governor.cli import screen, story
from safety_governor.domain import errors

EXIT_ERROR = 1


async def run(reference: str, *, kubeconfig: str | None, as_json: bool) -> int:
    """Print the story of one incident; returns the exit code."""
    complain = Console(stderr=True, highlight=False)
    try:
        incident = _from_standard_input() if reference == "-" else await _from_cluster(reference, kubeconfig)
    except (errors.GovernorError, ValueError) as error:
        complain.print(f"safety-governor why: {error}", soft_wrap=True, markup=False)
        return EXIT_ERROR
    if as_json:
        print(json.dumps(incident.status.model_dump(mode="json", exclude_none=True), indent=2))  # noqa: T201 - for other programs
    else:
        story.tell(incident, screen.screen())
    return 0


async def _from_cluster(reference: str, kubeconfig: str | None) -> v1alpha1.Incident:
    namespace, slash, name = reference.partition("/")
    if not (slash and namespace and name):
        raise ValueError(f"{reference!r} is not NAMESPACE/NAME, for example shop/payments-slow")
    found = await bootstrap.fetch_incident(namespace=namespace, name=name, kubeconfig=kubeconfig)
    if found is None:
        raise ValueError(story.missing(namespace, name))
    return found


def _from_standard_input() -> v1alpha1.Incident:
    try:
        body = yaml.safe_load(sys.stdin)
    except yaml.YAMLError as error:
        raise ValueError(f"standard input is not YAML: {error}") from error
    if not isinstance(body, dict) or body.get("kind") != group.INCIDENT_KIND:
        raise ValueError("standard input is not one Incident; try `kubectl get incident NAME -o yaml | safety-governor why -`")
    try:
        return v1alpha1.Incident.read(body)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"standard input is not an Incident: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
