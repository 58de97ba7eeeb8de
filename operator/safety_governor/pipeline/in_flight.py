"""Which targets are being acted on by this process, so that two incidents about one workload take turns.

In memory only: it keeps order. What keeps effects from happening twice is the claim, its key and the state of the target.
"""

from safety_governor.domain import plans


class InFlight:
    """At most one incident for each target."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str, str], str] = {}

    def take(self, namespace: str, target: plans.Target, incident: str) -> str:
        """The incident that acts on the target from now on: this one, or the one that was there before."""
        return self._holders.setdefault((namespace, target.kind, target.name), incident)

    def release(self, incident: str) -> None:
        """The incident acts on nothing any more."""
        self._holders = {target: holder for target, holder in self._holders.items() if holder != incident}
