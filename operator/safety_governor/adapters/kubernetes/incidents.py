"""Incidents on the API server. Status is replaced as a whole, and only against the version that was read."""

import hashlib
from datetime import datetime

import pydantic
import structlog

from safety_governor.adapters.kubernetes.api import Api, InvalidError, NotFoundError
from safety_governor.api import group, v1alpha1
from safety_governor.domain import errors, values

RELABELLED = 4
"""So often is a status written again because somebody changed only labels or annotations meanwhile."""

_log = structlog.get_logger()


class ClusterIncidents:
    """Reads incidents, writes their status, leaves Events on them."""

    def __init__(self, api: Api, *, reporter: str, namespace: str | None = None) -> None:
        self._api = api
        self._reporter = reporter
        self._namespace = namespace

    async def list_all(self) -> list[v1alpha1.Incident]:
        """All incidents, or those of the one namespace that is attended."""
        where = f"namespaces/{self._namespace}/" if self._namespace else ""
        found = []
        for item in await self._api.list(f"/apis/{group.GROUP}/{group.VERSION}/{where}{group.INCIDENTS}"):
            try:
                found.append(v1alpha1.Incident.read(item))
            except pydantic.ValidationError as error:
                # Written by a newer version, or by hand; what it did stands in the journal as well.
                name = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
                _log.error("an Incident cannot be read by this version of the operator; it is left alone", incident=name, error=str(error))
        return found

    async def find(self, namespace: str, name: str) -> v1alpha1.Incident | None:
        """As it is now; None when it was deleted."""
        try:
            return v1alpha1.Incident.read(await self._api.get(_path(namespace, name)))
        except NotFoundError:
            return None

    async def record_status(self, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.Incident:
        """Replace the status of exactly this version. Raises ConflictError when the incident was changed since.

        Labels and annotations decide nothing: where only they were changed, the version that has them is as good.
        """
        for _ in range(RELABELLED):
            try:
                return await self._replace_status(incident, status)
            except errors.ConflictError:
                fresh = await self.find(incident.metadata.namespace, incident.metadata.name)
                if fresh is None or _what_decides(fresh) != _what_decides(incident):
                    raise
                incident = fresh
        return await self._replace_status(incident, status)

    async def _replace_status(self, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.Incident:
        metadata = incident.metadata
        body = {
            "apiVersion": group.API_VERSION,
            "kind": group.INCIDENT_KIND,
            "metadata": {"name": metadata.name, "namespace": metadata.namespace, "resourceVersion": metadata.resource_version},
            # The server takes spec from what is stored; it stands here because the schema requires it.
            "spec": incident.spec.model_dump(mode="json", exclude_defaults=True),
            # Empty texts and lists say nothing; what is known to be empty has no empty default and stays.
            "status": {**status.model_dump(mode="json", exclude_defaults=True), "phase": status.phase},
        }
        try:
            return v1alpha1.Incident.read(await self._api.put(f"{_path(metadata.namespace, metadata.name)}/status", body))
        except InvalidError as error:
            raise errors.InvalidStatusError(str(error)) from error

    async def announce(self, incident: v1alpha1.Incident, *, reason: str, message: str, warning: bool) -> None:
        """Leave one Event for one decision; the same decision announced twice is one Event."""
        gate = incident.status.gate
        once = hashlib.sha256(f"{incident.metadata.uid}{reason}{message}{gate.plan_digest if gate else ''}".encode()).hexdigest()[:16]
        now = f"{_moment(incident):%Y-%m-%dT%H:%M:%S.%fZ}"
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{incident.metadata.name[:230]}.{once}", "namespace": incident.metadata.namespace},
            "eventTime": now,
            "reportingController": f"{group.GROUP}/operator",
            "reportingInstance": self._reporter[:128],
            "action": "Gate",
            "reason": reason,
            "type": "Warning" if warning else "Normal",
            "note": values.clip(message, 1000),
            "regarding": {
                "apiVersion": group.API_VERSION,
                "kind": group.INCIDENT_KIND,
                "name": incident.metadata.name,
                "namespace": incident.metadata.namespace,
                "uid": incident.metadata.uid,
            },
        }
        try:
            await self._api.post(f"/apis/events.k8s.io/v1/namespaces/{incident.metadata.namespace}/events", body)
        except errors.ConflictError:
            return
        except errors.GovernorError as error:
            _log.warning("an Event could not be left; the decision itself is in the status", incident=incident.key, error=str(error))


def _what_decides(incident: v1alpha1.Incident) -> tuple[object, ...]:
    """All of an incident that anything follows from."""
    return incident.metadata.uid, incident.metadata.generation, incident.spec, incident.status


def _moment(incident: v1alpha1.Incident) -> datetime:
    gate = incident.status.gate
    moment = gate.decided_at if gate else incident.metadata.creation_timestamp
    assert moment is not None, "every stored object has a creation time"  # noqa: S101
    return moment


def _path(namespace: str, name: str) -> str:
    return f"/apis/{group.GROUP}/{group.VERSION}/namespaces/{namespace}/{group.INCIDENTS}/{name}"
