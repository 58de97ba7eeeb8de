"""How long a decision takes with 10, 1,000 and 10,000 policies: `python tests/benchmarks/gate.py`.

A decision is what the gate computes once everything has been read: which policies conflict, and the verdict. The promise
is microseconds with 1,000 policies, and that a thousand cost no more than ten.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from safety_governor.domain import checks, documents, facts, plans, policies, values, verdicts

SIZES = (10, 1_000, 10_000)
FORBIDDING = 3
"""So many of the policies forbid the action, however many there are; the others are about other actions."""
DECISIONS, ROUNDS = 2_000, 5
BUILDS = 9
ACTIONS = ("restart-api", "RolloutRestart")
SEVERITY = values.Severity.HIGH
THRESHOLDS = checks.Thresholds()
CLEAN = facts.Facts(
    severity=SEVERITY,
    answer_problems=(),
    proposed_action="restart-api",
    resolution=plans.Resolution.RESOLVED,
    target=plans.Target(name="api"),
    target_exists=True,
    protections=(),
    conflicts=(),
    contradictions=0,
    coverage=1.0,
    supporting=3,
    fabricated=(),
    final_action="restart-api",
    telemetry_known=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The medians of one size, in microseconds."""

    policies: int
    lookup: float
    judgement: float
    decision: float
    blocked: float
    build: float


def policy(number: int, *, action: str) -> documents.Policy:
    """A policy that forbids one action at two severities."""
    return documents.Policy(
        id=f"pol-{number:05}",
        service="api",
        blocked_actions=(action,),
        severities=("high", "critical"),
        rule=f"No {action} in business hours.",
    )


def median(call: Callable[[], object], *, times: int) -> float:
    """Of so many calls, in microseconds; of several rounds the quietest, as other processes only ever add to it."""
    return min(statistics.median(_once(call) for _ in range(times)) for _ in range(ROUNDS)) / 1_000


def _once(call: Callable[[], object]) -> int:
    begun = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - begun


def measure(size: int) -> Measured:
    """Decide with so many policies, once with none and once with some of them in conflict."""
    others = [policy(number, action=f"action-{number % 500}") for number in range(size)]
    forbidding = [policy(number, action="restart-api") for number in range(FORBIDDING)]
    read = [*others[:-FORBIDDING], *forbidding]
    free, blocking = policies.PolicySet(others), policies.PolicySet(read)

    def decide(rules: policies.PolicySet) -> verdicts.Verdict:
        conflicts = rules.conflicts(actions=ACTIONS, severity=SEVERITY)
        return verdicts.judge(CLEAN.model_copy(update={"conflicts": conflicts}), THRESHOLDS)

    assert decide(free).decision is verdicts.Decision.EXECUTE
    assert len(decide(blocking).findings) == 1
    return Measured(
        policies=size,
        lookup=median(lambda: free.conflicts(actions=ACTIONS, severity=SEVERITY), times=DECISIONS),
        judgement=median(lambda: verdicts.judge(CLEAN, THRESHOLDS), times=DECISIONS),
        decision=median(lambda: decide(free), times=DECISIONS),
        blocked=median(lambda: decide(blocking), times=DECISIONS),
        build=median(lambda: policies.PolicySet(read), times=BUILDS),
    )


def main() -> None:
    """Print one row per size, and the ratio."""
    rows = [measure(size) for size in SIZES]
    print(f"median microseconds of {DECISIONS} decisions, {FORBIDDING} policies in conflict when blocked")
    print(f"{'policies':>8} {'lookup':>8} {'judge':>8} {'execute':>8} {'blocked':>8} {'index built':>12}")
    for row in rows:
        print(f"{row.policies:>8,} {row.lookup:>8.1f} {row.judgement:>8.1f} {row.decision:>8.1f} {row.blocked:>8.1f} {row.build:>12,.0f}")
    few, many = rows[0], rows[1]
    print(f"ratio 1,000 : 10 = {many.decision / few.decision:.2f} (execute), {many.blocked / few.blocked:.2f} (blocked)")
    with_index = many.blocked + many.build
    print(f"with 1,000 policies a decision takes {many.blocked:.1f} µs, {with_index:,.0f} µs when the index is built for it alone")


if __name__ == "__main__":
    main()
