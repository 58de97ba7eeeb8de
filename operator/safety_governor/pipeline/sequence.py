"""What comes after what was done: the next step, the undo of a step, or the end. Pure, over what is on record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from safety_governor.api import records
from safety_governor.domain import actions, lifecycle, plans, verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """This step is to be claimed."""

    step: plans.Step
    undoes: str = ""
    """Id of the step that it undoes; empty for a step of the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Nothing is left to be done."""

    phase: lifecycle.Phase
    message: str = ""


Next: TypeAlias = Begin | End


def following(plan: plans.Plan, done: Sequence[records.Action]) -> Next:
    """What comes after these actions, all of which have an outcome.

    Steps run in order and stop at the first that is not proved good. When one made things worse, everything that was done
    is undone, the last first; at the first that cannot be undone a person takes over.
    """
    steps = [one for one in done if not one.undoes]
    if not steps:
        return Begin(step=plan.steps[0])
    last = done[-1]
    if last.undoes and last.outcome is not verification.Outcome.VERIFIED:
        return End(phase=lifecycle.Phase.INDETERMINATE, message=f"undoing {last.undoes} did not come to a good end: {last.message}")
    if any(one.outcome is verification.Outcome.REGRESSED for one in steps):
        return _undoing(steps, {one.undoes for one in done})
    if last.outcome is not verification.Outcome.VERIFIED:
        return End(phase=lifecycle.Phase.INDETERMINATE, message=last.message)
    if len(steps) < len(plan.steps):
        return Begin(step=plan.steps[len(steps)])
    return End(phase=lifecycle.Phase.RESOLVED)


def _undoing(steps: Sequence[records.Action], undone: set[str]) -> Next:
    left = [one for one in reversed(steps) if one.id not in undone]
    if not left:
        return End(phase=lifecycle.Phase.ROLLED_BACK)
    action = left[0]
    if _is_overtaken(action):
        message = f"somebody else has changed the target since {action.id}, and undoing that would take their change back, too; a person takes over"
        return End(phase=lifecycle.Phase.INDETERMINATE, message=message)
    inverse = actions.of(action.type).inverse(step_of(action), action.before)
    if inverse is None:
        message = f"{action.id} made things worse or belongs to what did, and {action.type} cannot be undone; a person takes over"
        return End(phase=lifecycle.Phase.INDETERMINATE, message=message)
    return Begin(step=inverse, undoes=action.id)


def _is_overtaken(action: records.Action) -> bool:
    """Whether there was another change of the target until the action was verified than the one that it is itself."""
    return action.after is not None and action.after.generation > action.before.generation + actions.of(action.type).changes_target


def step_of(action: records.Action) -> plans.Step:
    """The step that an action carries out."""
    return plans.Step(id=action.id, type=action.type, parameters=action.parameters)


def intent_of(incident: str, action: records.Action) -> actions.Intent:
    """The claim, as far as its request depends on it."""
    return actions.Intent(
        key=action.key,
        incident=incident,
        at=action.claimed_at,
        before=action.before,
        patience_seconds=action.watch.timeout_seconds,
        acknowledged=action.acknowledged_at is not None,
    )
