"""Execute: bring about what was claimed, once.

On every pass the target is asked first whether the effect is there already. It acts only while the target is as it was
claimed; when it is not, and the effect is not there either, nobody can know what happened, and a person decides.
"""

from datetime import timedelta

from safety_governor.api import records, v1alpha1
from safety_governor.domain import errors, lifecycle, values, workloads
from safety_governor.pipeline import cases, outcomes, ports

SOON = timedelta(milliseconds=250)


class Execute:
    """Ends with the effect on the target; Advance means that it is there."""

    def __init__(self, *, targets: ports.Workloads, fence: ports.Fence) -> None:
        self._targets = targets
        self._fence = fence

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Look for the effect; if it is not there and may be brought about, bring it about."""
        action = pending(case.status)
        found = await self._targets.find(case.incident.metadata.namespace, action.target)
        if found is not None and found.last_action == action.key:
            return outcomes.Advance(status=case.status)
        if found is None or not _as_claimed(found, action):
            return outcomes.Halt(status=_undecided(case.status, action, found))
        if not self._fence.holds():
            raise errors.NotLeaderError("the Lease is not certainly ours; the claimed action is left to whoever holds it")
        try:
            await self._targets.restart(
                case.incident.metadata.namespace, found, key=action.key, incident=case.incident.key, at=action.claimed_at
            )
        except errors.ConflictError:
            # Between reading and acting somebody touched the target; what that means is seen at the next look.
            return outcomes.Wait(status=case.status, until=case.now + SOON)
        except errors.ClusterRefusedError as error:
            return outcomes.Halt(status=_refused(case.status, action, str(error)))
        return outcomes.Wait(status=case.status, until=case.now + SOON)


def pending(status: v1alpha1.IncidentStatus) -> records.Action:
    """The action that was claimed last."""
    assert status.execution is not None, "the runner claims before it executes"  # noqa: S101
    return status.execution.actions[-1]


def settled(status: v1alpha1.IncidentStatus, action: records.Action) -> v1alpha1.IncidentStatus:
    """The status with the last action replaced by a later state of it."""
    assert status.execution is not None  # noqa: S101
    actions = (*status.execution.actions[:-1], action)
    return status.model_copy(update={"execution": status.execution.model_copy(update={"actions": actions})})


def _as_claimed(found: workloads.Workload, action: records.Action) -> bool:
    return found.uid == action.precondition.uid and found.template_hash == action.precondition.template_hash


def _undecided(status: v1alpha1.IncidentStatus, action: records.Action, found: workloads.Workload | None) -> v1alpha1.IncidentStatus:
    seen = "is gone" if found is None else "was replaced" if found.uid != action.precondition.uid else "was changed by somebody else"
    message = (
        f"{action.target.kind}/{action.target.name} {seen} after the action was claimed; whether it took effect is for a person to find out"
    )
    ended = action.model_copy(update={"state": records.ActionState.INDETERMINATE, "message": message})
    return settled(status, ended).model_copy(update={"phase": lifecycle.Phase.INDETERMINATE})


def _refused(status: v1alpha1.IncidentStatus, action: records.Action, why: str) -> v1alpha1.IncidentStatus:
    message = values.clip(f"the API server refused the action, so nothing was changed: {why}", values.TEXT_LIMIT)
    ended = action.model_copy(update={"state": records.ActionState.FAILED, "message": message})
    return settled(status, ended).model_copy(update={"phase": lifecycle.Phase.FAILED})
