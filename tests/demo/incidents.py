"""The incidents as the API server has them, and waiting for them with something to look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.live import Live
from rich.table import Table

from demo.expected import Expectation
from demo.governor import Governor
from demo.stage import Stage, UnexpectedError
from testbed import ControlPlane, wait_until

TERMINAL = frozenset(
    {"Resolved", "RolledBack", "Rejected", "Expired", "Aborted", "Blocked", "HandedOver", "Observed", "Indeterminate", "Failed"}
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What `kubectl get incident -o json` shows."""

    spec: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def phase(self) -> str:
        return str(self.status.get("phase") or "")

    @property
    def gate(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.status.get("gate") or {}
        return found

    @property
    def approval(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.status.get("approval") or {}
        return found

    @property
    def digest(self) -> str:
        """What an approval must name now."""
        return str(self.gate.get("planDigest") or "")

    @property
    def waits_for_people(self) -> bool:
        return self.phase == "AwaitingApproval"

    @property
    def held(self) -> str:
        """Why what was released is not done yet."""
        found: str = (self.status.get("execution") or {}).get("heldBecause", "") if self.phase == "Gated" else ""
        return found

    @property
    def is_settled(self) -> bool:
        """Finished, held, or waiting for people."""
        return bool(self.gate) and (self.phase in TERMINAL or self.waits_for_people or bool(self.held))


class Watch:
    """Looks at the incidents until they are as they should be."""

    def __init__(self, cluster: ControlPlane, governor: Governor, stage: Stage) -> None:
        self._cluster = cluster
        self._governor = governor
        self._stage = stage
        self._reported: list[Expectation] = []

    def add(self, one: Expectation) -> None:
        """From now on this incident is looked at."""
        self._reported.append(one)

    def read(self, one: Expectation) -> Seen:
        """As it is now."""
        status, body = self._cluster.request("GET", f"/apis/safetygovernor.io/v1alpha1/namespaces/{one.namespace}/incidents/{one.name}")
        if status != 200:
            raise UnexpectedError(f"reading incident {one.key} failed with {status}: {body.get('message', body)}")
        return Seen(body.get("spec") or {}, body.get("status") or {})

    def all(self) -> dict[str, Seen]:
        """Every incident that was reported, by name."""
        return {one.name: self.read(one) for one in self._reported}

    def until(self, what: str, satisfied: Callable[[dict[str, Seen]], bool], *, timeout: float = 60.0) -> dict[str, Seen]:
        """All incidents, once they satisfy this.

        Raises:
            UnexpectedError: they do not in time, or the operator has ended.
        """
        seen: dict[str, Seen] = {}

        def look() -> bool:
            nonlocal seen
            self._governor.check()
            seen = self.all()
            if live is not None:
                live.update(_table(seen), refresh=True)
            return satisfied(seen)

        live = Live(console=self._stage.console, auto_refresh=False, transient=True) if self._stage.console.is_terminal else None
        try:
            if live is not None:
                live.start()
            wait_until(look, timeout, what)
        except TimeoutError as error:
            phases = ", ".join(f"{name} {one.phase or 'not attended'}" for name, one in seen.items())
            raise UnexpectedError(f"waited {timeout:g} s for {what}; now: {phases}") from error
        finally:
            if live is not None:
                live.stop()
        return seen


def _table(seen: Mapping[str, Seen]) -> Table:
    table = Table(box=None, padding=(0, 2), show_header=False)
    for name, one in seen.items():
        style = "green" if one.phase in TERMINAL else "yellow" if one.waits_for_people else "cyan"
        table.add_row("", name, f"[{style}]{one.phase or '…'}[/]", f"[dim]{one.gate.get('decision', '')}[/]")
    return table
