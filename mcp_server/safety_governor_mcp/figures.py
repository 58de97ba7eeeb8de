"""Figures about the tools, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest


class Figures:
    """A registry of its own: several servers in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter("governor_mcp_calls", "Calls of tools, by tool and status.", ["tool", "status"], registry=self._registry)
        self._seconds = Histogram("governor_mcp_call_seconds", "How long calls took.", ["tool"], registry=self._registry)
        self._known: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def called(self, tool: str, status: str, seconds: float) -> None:
        """One call has ended. The names are those of our tools; what callers make up is counted as unknown."""
        if (tool, status) not in self._known:
            self._known[tool, status] = self._calls.labels(tool, status), self._seconds.labels(tool)
        calls, took = self._known[tool, status]
        calls.inc()
        took.observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
