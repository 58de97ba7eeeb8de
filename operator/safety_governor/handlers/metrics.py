"""What the operator tells Prometheus. Nothing here carries a name of an incident or a person."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from safety_governor import __version__
from safety_governor.domain import lifecycle


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._leader = Gauge("governor_leader", "1 while this process holds the Lease", registry=self._registry)
        self._guard = Gauge(
            "governor_approval_guard_ready", "1 while the API server is proved to refuse forbidden approvals", registry=self._registry
        )
        self._ended = Counter("governor_incidents_ended", "Incidents that came to their end, by phase", ["phase"], registry=self._registry)
        for phase in sorted(lifecycle.TERMINAL):
            self._ended.labels(phase=phase)
        self._unpublished = Gauge(
            "governor_audit_unpublished", "Lines of the audit trail that wait on disk to be published", registry=self._registry
        )
        Gauge("governor_build_info", "1, labelled with the version", ["version"], registry=self._registry).labels(version=__version__).set(
            1
        )

    def count_end(self, phase: str) -> None:
        """An incident came to its end. Indeterminate and RolledBack are what to page somebody for."""
        self._ended.labels(phase=phase).inc()

    def set_leader(self, leads: bool) -> None:  # noqa: FBT001 - a gauge is set to a value
        """Whether this process holds the Lease."""
        self._leader.set(leads)

    def set_guard_ready(self, ready: bool) -> None:  # noqa: FBT001
        """Whether approvals are honoured."""
        self._guard.set(ready)

    def set_unpublished(self, lines: int) -> None:
        """How much of the audit trail waits to be published."""
        self._unpublished.set(lines)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
