"""Compress: decide how much context later readers get."""

from safety_governor.api import records
from safety_governor.domain import compression, scores
from safety_governor.pipeline import cases, outcomes


class Compress:
    """Ends with status.compress."""

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Nothing is read; the findings are added by the reader, who has them in status.gate."""
        plan, stress = case.status.plan, case.status.stress
        assert plan is not None, "the runner plans before it compresses"  # noqa: S101
        made = compression.compress(
            case.incident.spec.severity,
            plan=plan,
            evidence=stress.ledger if stress else None,
            findings=(),
            profile=case.status.scores or scores.Profile(),
        )
        return outcomes.Advance(
            status=case.status.model_copy(update={"compress": records.CompressRecord.model_validate(made.model_dump())})
        )
