"""How much later readers get: everything, or a deterministic extract within a budget."""

import enum
from collections.abc import Sequence

from pydantic import Field

from safety_governor.domain import checks, ledger, plans, scores, values

U_CURVE_LIMIT = 0.4
"""Above this the model behind the agent misreads shortened context, so nothing is shortened."""

TOKEN_BUDGET = 400
"""The size of an extract, in tokens of about four characters."""

_CHARACTERS_PER_TOKEN = 4


class ContextMode(enum.StrEnum):
    """What later readers are given."""

    FULL = "full_context"
    COMPRESSED = "compressed_context"


class Compression(values.Value):
    """The mode, why it was chosen, and the extract where there is one."""

    mode: ContextMode
    reason: values.Line
    """Why this mode."""
    extract: values.LongText = ""
    """Top findings and one line per claim; empty in full context, where ledger and rationale are read instead."""
    tokens: int = Field(default=0, ge=0)
    """Estimated size of the extract."""


def choose(severity: values.Severity, evidence: ledger.Ledger | None, profile: scores.Profile) -> tuple[ContextMode, str]:
    """Full context whenever something is at stake, disputed or unknown; the reason says which."""
    if severity in (values.Severity.HIGH, values.Severity.CRITICAL):
        return ContextMode.FULL, f"severity is {severity}"
    if evidence is None:
        return ContextMode.FULL, "the evidence is unknown"
    if evidence.contradiction_count:
        return ContextMode.FULL, "evidence contradicts the plan"
    if profile.u_curve_magnitude is None:
        if profile.state is not scores.ScoreState.NOT_ASKED:
            return ContextMode.FULL, "the u-curve of the model is unknown"
        return ContextMode.COMPRESSED, "nothing is disputed and no profile of a model was asked for"
    if profile.u_curve_magnitude > U_CURVE_LIMIT:
        return ContextMode.FULL, f"u-curve magnitude {profile.u_curve_magnitude:.2f} is above {U_CURVE_LIMIT}"
    return ContextMode.COMPRESSED, "nothing is disputed"


def compress(
    severity: values.Severity,
    *,
    plan: plans.Plan,
    evidence: ledger.Ledger | None,
    findings: Sequence[checks.Finding],
    profile: scores.Profile,
) -> Compression:
    """Decide the mode and write the extract. Lines are dropped from the end when the budget is used up, never cut in half."""
    mode, reason = choose(severity, evidence, profile)
    if mode is ContextMode.FULL:
        return Compression(mode=mode, reason=reason)
    lines = [_one_line(f"Plan: {plan.action or 'hand over'} ({plan.runbook_title or 'no runbook'})")]
    lines += [f"{finding.check}: {values.clip(_one_line(finding.message), 160)}" for finding in findings]
    lines += [_line_of(entry) for entry in (evidence.claims if evidence else ())]
    extract = _within(lines, TOKEN_BUDGET * _CHARACTERS_PER_TOKEN)
    return Compression(mode=mode, reason=reason, extract=extract, tokens=-(-len(extract) // _CHARACTERS_PER_TOKEN))


def _line_of(entry: ledger.Entry) -> str:
    return f"- {values.clip(_one_line(entry.claim), 120)} [{len(entry.supporting)} for, {len(entry.contradicting)} against]"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _within(lines: Sequence[str], budget: int) -> str:
    whole = "\n".join(lines)
    if len(whole) <= budget:
        return whole
    shortened = ("\n".join((*lines[:-dropped], f"(+{dropped} more)")) for dropped in range(1, len(lines) + 1))
    return next((one for one in shortened if len(one) <= budget), "")
