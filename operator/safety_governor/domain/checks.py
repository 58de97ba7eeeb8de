"""The checks of the gate, one small pure function each, in the order in which they are shown.

A check is named for the violation it finds. It returns the finding with the value that was measured and the threshold
that it was held against, or None. It never looks at a confidence or at anything an agent wrote in free text.
"""

import enum
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pydantic import Field

from safety_governor.domain import facts, plans, values


class Check(enum.StrEnum):
    """Every reason for which the gate may hold an action back."""

    AGENT_ANSWER_INVALID = "AgentAnswerInvalid"
    """The plan or stress answer is missing, unparsable or incomplete."""
    ACTION_UNRESOLVED = "ActionUnresolved"
    """No trusted runbook knows the action, or its target does not exist."""
    TARGET_PROTECTED = "TargetProtected"
    """The namespace, the kind or the target may not be touched."""
    POLICY_FORBIDS_ACTION = "PolicyForbidsAction"
    """A policy of the organisation forbids the action."""
    POLICY_UNKNOWN = "PolicyUnknown"
    """The policies could not be read completely."""
    CONTRADICTIONS_REACHED = "ContradictionsReached"
    """Evidence contradicts too many claims."""
    EVIDENCE_INSUFFICIENT = "EvidenceInsufficient"
    """Almost nothing is known about the claims and nothing supports them."""
    EVIDENCE_UNKNOWN = "EvidenceUnknown"
    """The evidence could not be read."""
    AUTHORITY_FABRICATED = "AuthorityFabricated"
    """Somebody's approval or a policy is claimed that does not exist."""
    POSITION_CHANGED = "PositionChanged"
    """After the stress test the agent no longer stands by the planned action."""
    SEVERITY_CRITICAL = "SeverityCritical"
    """Critical incidents are only released by a person who overrides."""
    TELEMETRY_UNKNOWN = "TelemetryUnknown"
    """The live logs of the service could not be read."""


class Thresholds(values.Value):
    """What the figures are held against. Can only be made stricter than the defaults."""

    contradictions: int = Field(default=2, ge=1, le=2)
    """So many contradicted claims block."""
    coverage: float = Field(default=0.34, ge=0.34, le=1.0)
    """Below this share of claims with evidence, and without any support, the action is blocked."""
    require_telemetry: bool = False
    """Whether unknown telemetry blocks instead of warning."""


class Finding(values.Value):
    """One check that fired."""

    check: Check
    message: values.Text
    """What was found, in a sentence."""
    measured: values.Line
    """The value that was measured."""
    threshold: values.Line
    """What it was held against."""
    release: values.Release
    """What a person must say to release the action in spite of it; NotNeeded for a warning."""


Rule: TypeAlias = Callable[[facts.Facts, Thresholds], Finding | None]


def _finding(check: Check, release: values.Release, *, message: str, measured: object, threshold: str) -> Finding:
    return Finding(
        check=check,
        message=values.clip(message, values.TEXT_LIMIT),
        measured=values.clip(str(measured), values.LINE_LIMIT),
        threshold=threshold,
        release=release,
    )


def _listed(names: Sequence[str], *, most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def agent_answer_is_invalid(known: facts.Facts, _: Thresholds) -> Finding | None:
    """The answers were not read, or something is wrong with them."""
    if known.answer_problems == ():
        return None
    problems = known.answer_problems or ("the agent's answers were not recorded",)
    return _finding(
        Check.AGENT_ANSWER_INVALID,
        values.Release.IMPOSSIBLE,
        message=f"the agent's answer cannot be used: {_listed(problems)}",
        measured=f"{len(problems)} problem{'s' if len(problems) > 1 else ''}",
        threshold="0 problems",
    )


def action_is_unresolved(known: facts.Facts, _: Thresholds) -> Finding | None:
    """There is an action, but no trusted runbook has steps for it, or nothing it could act on."""
    if known.resolution is plans.Resolution.NOTHING_PROPOSED:
        return None
    if known.resolution is not plans.Resolution.RESOLVED:
        measured = known.resolution.value if known.resolution else "unknown"
        detail = known.resolution_detail or "it is not known whether a trusted runbook has this action"
        return _finding(Check.ACTION_UNRESOLVED, values.Release.IMPOSSIBLE, message=detail, measured=measured, threshold="Resolved")
    if known.is_manual:
        return None
    if known.proposed_action is None:
        detail = "the steps are resolved but it is not known which action they carry out"
        return _finding(Check.ACTION_UNRESOLVED, values.Release.IMPOSSIBLE, message=detail, measured="no action", threshold="an action")
    if known.target_exists is True:
        return None
    name = f"{known.target.kind}/{known.target.name}" if known.target else "the target"
    missing = known.target_exists is False
    return _finding(
        Check.ACTION_UNRESOLVED,
        values.Release.IMPOSSIBLE,
        message=f"{name} does not exist in the incident's namespace" if missing else f"it is not known whether {name} exists",
        measured="target missing" if missing else "target unknown",
        threshold="target exists",
    )


def target_is_protected(known: facts.Facts, _: Thresholds) -> Finding | None:
    """A guard-rail forbids it for good, or the guard-rails could not be read. What people do themselves is not ours to protect."""
    if known.hands_over or known.protections == ():
        return None
    reasons = known.protections or ("the guard-rails of the namespace could not be read",)
    return _finding(
        Check.TARGET_PROTECTED,
        values.Release.IMPOSSIBLE,
        message="; ".join(reasons),
        measured=f"{len(reasons)} objection{'s' if len(reasons) > 1 else ''}" if known.protections else "unknown",
        threshold="0 objections",
    )


def policy_forbids_action(known: facts.Facts, _: Thresholds) -> Finding | None:
    """One or more policies forbid it; the strongest demand among them is what releases it."""
    if not known.conflicts:
        return None
    release = max((conflict.release for conflict in known.conflicts), key=lambda one: one.strength)
    return _finding(
        Check.POLICY_FORBIDS_ACTION,
        max(release, values.Release.APPROVE, key=lambda one: one.strength),
        message="; ".join(f"{conflict.policy}: {conflict.rule}" for conflict in known.conflicts),
        measured=f"{len(known.conflicts)} ({_listed([conflict.policy for conflict in known.conflicts])})",
        threshold="0 policies",
    )


def policy_is_unknown(known: facts.Facts, _: Thresholds) -> Finding | None:
    """Not knowing the policies is not having none."""
    if known.conflicts is not None:
        return None
    return _finding(
        Check.POLICY_UNKNOWN,
        values.Release.FORCE_OVERRIDE,
        message="the policies could not be read completely, so it is unknown whether one forbids the action",
        measured="unknown",
        threshold="read completely",
    )


def contradictions_are_reached(known: facts.Facts, limits: Thresholds) -> Finding | None:
    """Too many claims are contradicted by documents on record."""
    if known.contradictions is None or known.contradictions < limits.contradictions:
        return None
    return _finding(
        Check.CONTRADICTIONS_REACHED,
        values.Release.APPROVE,
        message=f"evidence on record contradicts {known.contradictions} of the claims that the plan rests on",
        measured=known.contradictions,
        threshold=f"< {limits.contradictions}",
    )


def evidence_is_insufficient(known: facts.Facts, limits: Thresholds) -> Finding | None:
    """Hardly any claim could be checked and nothing supports the plan. Where nothing is proposed there is nothing to support."""
    if known.resolution is plans.Resolution.NOTHING_PROPOSED:
        return None
    if known.coverage is None or known.supporting is None or known.coverage >= limits.coverage or known.supporting > 0:
        return None
    return _finding(
        Check.EVIDENCE_INSUFFICIENT,
        values.Release.APPROVE,
        message="there is no evidence for the claims that the plan rests on",
        measured=f"coverage {known.coverage:.2f}, {known.supporting} supporting",
        threshold=f"coverage >= {limits.coverage:.2f} or 1 supporting",
    )


def evidence_is_unknown(known: facts.Facts, _: Thresholds) -> Finding | None:
    """Evidence that could not be read is not absence of contradiction."""
    if known.contradictions is not None and known.coverage is not None and known.supporting is not None:
        return None
    return _finding(
        Check.EVIDENCE_UNKNOWN,
        values.Release.FORCE_OVERRIDE,
        message="the evidence could not be read, so it is unknown whether it contradicts the plan",
        measured="unknown",
        threshold="read completely",
    )


def authority_is_fabricated(known: facts.Facts, _: Thresholds) -> Finding | None:
    """An approval or policy is named that is not on record, or nobody could look."""
    if known.fabricated == ():
        return None
    if known.fabricated is None:
        message, measured = "it could not be verified whether the named authorities exist", "unknown"
    else:
        named = [f"“{one.named}” in {one.found_in}: {one.why}" for one in known.fabricated]
        message, measured = "; ".join(named), str(len(known.fabricated))
    return _finding(
        Check.AUTHORITY_FABRICATED, values.Release.FORCE_OVERRIDE, message=message, measured=measured, threshold="0 unsupported authorities"
    )


def position_has_changed(known: facts.Facts, _: Thresholds) -> Finding | None:
    """The verifier ended up somewhere else than the plan."""
    if known.final_action == known.proposed_action:
        return None
    return _finding(
        Check.POSITION_CHANGED,
        values.Release.APPROVE,
        message=f"planned was {known.proposed_action or 'to hand over'}; after the stress test the agent stands by {known.final_action or 'no action'}",
        measured=known.final_action or "no action",
        threshold=known.proposed_action or "no action",
    )


def severity_is_critical(known: facts.Facts, _: Thresholds) -> Finding | None:
    """An unknown severity is taken for critical."""
    if known.severity not in (None, values.Severity.CRITICAL):
        return None
    return _finding(
        Check.SEVERITY_CRITICAL,
        values.Release.FORCE_OVERRIDE,
        message="a critical incident is only released by FORCE_OVERRIDE with a reason; APPROVE is refused",
        measured=known.severity or "unknown",
        threshold="high or lower",
    )


def telemetry_is_unknown(known: facts.Facts, limits: Thresholds) -> Finding | None:
    """A warning, or a block where telemetry is required."""
    if known.telemetry_known is True:
        return None
    required = limits.require_telemetry or known.require_telemetry
    return _finding(
        Check.TELEMETRY_UNKNOWN,
        values.Release.APPROVE if required else values.Release.NOT_NEEDED,
        message="the live logs of the service could not be read" + ("" if required else "; this warns and does not block"),
        measured="unknown",
        threshold="required" if required else "not required",
    )


CHAIN: tuple[Rule, ...] = (
    agent_answer_is_invalid,  # an answer that cannot be read decides nothing: no approval releases it
    action_is_unresolved,  # only the steps of a trusted runbook on an existing target may run
    target_is_protected,  # what the platform team forbids, no approval allows
    policy_forbids_action,  # the policy says how strong a release it takes
    policy_is_unknown,  # unknown is not "no policy"
    contradictions_are_reached,  # two contradicted claims are one too many
    evidence_is_insufficient,  # an agent that is merely confident has shown nothing
    evidence_is_unknown,  # unknown is not "no contradiction"
    authority_is_fabricated,  # invented authority takes an override, never a mere approval
    position_has_changed,  # a person decides between two positions of the same agent
    severity_is_critical,  # people override at critical, nobody waves through
    telemetry_is_unknown,  # a warning unless telemetry is required
)
"""All checks, in the order in which they run and are shown. All run; no check hides another."""
