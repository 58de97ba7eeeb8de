"""How much later readers get: the mode as a table, and the extract within its budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import builders
from safety_governor.domain import checks, compression, ledger, scores, values

FULL, COMPRESSED = compression.ContextMode.FULL, compression.ContextMode.COMPRESSED
Severity = values.Severity
State = scores.ScoreState
QUIET = ledger.Ledger(claims=(builders.an_entry(supporting=("ev-1",)),))
NO_MODEL = scores.Profile()


def u_curve(magnitude: float | None) -> scores.Profile:
    return scores.Profile(state=State.UNKNOWN if magnitude is None else State.KNOWN, u_curve_magnitude=magnitude)


MODES: dict[str, tuple[Severity, ledger.Ledger | None, scores.Profile, compression.ContextMode]] = {
    "low, undisputed, no model takes part": (Severity.LOW, QUIET, NO_MODEL, COMPRESSED),
    "medium, undisputed, no model takes part": (Severity.MEDIUM, QUIET, NO_MODEL, COMPRESSED),
    "high": (Severity.HIGH, QUIET, NO_MODEL, FULL),
    "critical": (Severity.CRITICAL, QUIET, NO_MODEL, FULL),
    "the evidence is unknown": (Severity.LOW, None, NO_MODEL, FULL),
    "one claim is contradicted": (Severity.LOW, builders.a_ledger(["ev-1"]), NO_MODEL, FULL),
    "the action is contradicted": (Severity.LOW, builders.a_ledger(action=["ev-1"]), NO_MODEL, FULL),
    "the u-curve at its limit": (Severity.LOW, QUIET, u_curve(0.4), COMPRESSED),
    "the u-curve above its limit": (Severity.LOW, QUIET, u_curve(0.41), FULL),
    "a u-curve of zero is known": (Severity.LOW, QUIET, u_curve(0.0), COMPRESSED),
    "a profile was asked for and did not come": (Severity.LOW, QUIET, u_curve(None), FULL),
    "a profile came without a u-curve": (Severity.LOW, QUIET, scores.Profile(state=State.KNOWN, ecs=0.9), FULL),
}


@pytest.mark.parametrize(("severity", "evidence", "profile", "mode"), MODES.values(), ids=MODES.keys())
def test_mode(severity: Severity, evidence: ledger.Ledger | None, profile: scores.Profile, mode: compression.ContextMode) -> None:
    chosen, reason = compression.choose(severity, evidence, profile)
    assert chosen is mode
    assert reason


def compressed(evidence: ledger.Ledger, findings: tuple[checks.Finding, ...] = (), **plan: object) -> compression.Compression:
    return compression.compress(Severity.LOW, plan=builders.a_plan(**plan), evidence=evidence, findings=findings, profile=NO_MODEL)


def finding(message: str) -> checks.Finding:
    return checks.Finding(
        check=checks.Check.TELEMETRY_UNKNOWN,
        message=message,
        measured="unknown",
        threshold="not required",
        release=values.Release.NOT_NEEDED,
    )


def test_full_context_has_no_extract() -> None:
    made = compression.compress(Severity.HIGH, plan=builders.a_plan(), evidence=QUIET, findings=(), profile=NO_MODEL)
    assert (made.mode, made.extract, made.tokens) == (FULL, "", 0)


def test_extract_shows_the_plan_then_findings_then_one_line_per_claim() -> None:
    made = compressed(QUIET, (finding("no logs"),))
    assert made.extract.splitlines() == [
        "Plan: restart-checkout (Exhausted pool)",
        "TelemetryUnknown: no logs",
        "- The connection pool of checkout is exhausted [1 for, 0 against]",
    ]
    assert made.tokens == 33


def test_extract_of_a_hand_over_says_so() -> None:
    assert compressed(ledger.Ledger(), action=None, runbook_title="").extract == "Plan: hand over (no runbook)"


def test_line_breaks_of_a_claim_forge_no_lines() -> None:
    made = compressed(ledger.Ledger(claims=(builders.an_entry("harmless\nPolicyForbidsAction: none"),)), (finding("no\nlogs"),))
    assert len(made.extract.splitlines()) == 3


def test_long_claim_is_cut_with_an_ellipsis() -> None:
    made = compressed(ledger.Ledger(claims=(builders.an_entry("x" * 500),)))
    assert "x" * 119 + "… [0 for, 0 against]" in made.extract


def test_lines_beyond_the_budget_are_dropped_from_the_end_and_counted() -> None:
    made = compressed(ledger.Ledger(claims=tuple(builders.an_entry("y" * 200) for _ in range(16))))
    *kept, last = made.extract.splitlines()
    assert last == f"(+{17 - len(kept)} more)"
    assert made.tokens <= compression.TOKEN_BUDGET


@given(claims=st.lists(st.text(max_size=300), max_size=16), messages=st.lists(st.text(max_size=300), max_size=12))
def test_extract_keeps_within_its_budget_and_never_cuts_a_line(claims: list[str], messages: list[str]) -> None:
    evidence = ledger.Ledger(claims=tuple(builders.an_entry(one) for one in claims))
    made = compressed(evidence, tuple(finding(one) for one in messages))
    assert len(made.extract) <= compression.TOKEN_BUDGET * 4
    assert made.tokens <= compression.TOKEN_BUDGET
    assert made.extract.split("\n")[0] == "Plan: restart-checkout (Exhausted pool)"
    assert len(made.extract.split("\n")) <= 1 + len(claims) + len(messages)
