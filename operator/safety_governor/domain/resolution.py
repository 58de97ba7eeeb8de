"""From an agent's proposal to the typed steps of a runbook that people wrote.

An agent names an action; it never supplies a step, a parameter or a target. An action that no trusted runbook of the
service knows is unresolved, and unresolved cannot run.
"""

from collections.abc import Sequence

from safety_governor.domain import actions, claims, digests, documents, plans, values


def resolve(proposal: plans.Proposal, runbooks: Sequence[documents.Runbook], *, service: str) -> plans.Plan:
    """Find the proposed action in the trusted runbooks that concern the service.

    `runbooks` are candidates in order of preference, whatever their service or state; the first trusted one that knows
    the action wins.
    """
    stated: dict[str, object] = {
        "action": proposal.proposed_action,
        "rationale": values.clip(proposal.rationale, values.TEXT_LIMIT),
        "claims": proposal.key_claims,
        "confidence_initial": proposal.confidence_initial,
    }
    if proposal.proposed_action is None:
        return _unresolved(stated, plans.Resolution.NOTHING_PROPOSED, "the agent knows no remedy for this incident")
    knowing = [one for one in runbooks if one.concerns(service) and one.remediation(proposal.proposed_action)]
    trusted = next((one for one in knowing if one.state is documents.Trust.TRUSTED), None)
    if trusted is None:
        if knowing:
            detail = f"{proposal.proposed_action!r} is only known to runbook {knowing[0].id!r}, which no person has promoted yet"
            return _unresolved(stated, plans.Resolution.UNTRUSTED_RUNBOOK, detail)
        detail = f"no trusted runbook for service {service!r} knows an action {proposal.proposed_action!r}"
        return _unresolved(stated, plans.Resolution.UNKNOWN_ACTION, detail)
    return _from_runbook(stated, trusted, proposal.proposed_action, stated_claims=proposal.key_claims)


def _unresolved(stated: dict[str, object], resolution: plans.Resolution, why: str) -> plans.Plan:
    return plans.Plan.model_validate({**stated, "resolution": resolution, "resolution_detail": values.clip(why, values.TEXT_LIMIT)})


def _from_runbook(stated: dict[str, object], runbook: documents.Runbook, action: str, *, stated_claims: Sequence[str]) -> plans.Plan:
    remediation = runbook.remediation(action)
    assert remediation is not None, "the caller chose a runbook that knows the action"  # noqa: S101
    steps = tuple(
        plans.Step(id=f"step-{number}", type=step.type, parameters=step.parameters, text=step.text)
        for number, step in enumerate(remediation.steps, start=1)
    )
    own = claims.of(runbook)[: plans.CLAIM_LIMIT]
    stated = {
        **stated,
        "claims": (*own, *(one for one in stated_claims if one not in own))[: plans.CLAIM_LIMIT],
        "runbook_claims": len(own),
    }
    why = _unsupported(steps)
    return plans.Plan.model_validate(
        {
            **stated,
            "resolution": plans.Resolution.UNSUPPORTED_STEP if why else plans.Resolution.RESOLVED,
            "resolution_detail": why,
            "runbook": runbook.id,
            "runbook_title": runbook.title,
            "runbook_digest": digests.digest(runbook),
            "steps": steps,
        }
    )


def _unsupported(steps: Sequence[plans.Step]) -> str:
    """Why the steps cannot be carried out as they are written; empty when they can, or when people carry them out."""
    if any(step.type is values.ActionType.MANUAL for step in steps):
        return ""
    found = [f"{step.id} ({step.type}): {problem}" for step in steps for problem in actions.of(step.type).problems(step)]
    # Which revision is the one before depends on what the steps before it leave there.
    vague = [step for step in steps[1:] if step.type is values.ActionType.ROLLOUT_UNDO and "revision" not in step.parameters]
    found += [f"{step.id} ({step.type}): a step that is not the first has to say which revision it goes back to" for step in vague]
    return values.clip("; ".join(found), values.TEXT_LIMIT)
