"""Execute: bring about what was claimed, once.

On every pass the target is asked first whether the effect is there already. It acts only while the target is as it was
claimed, its generation included: a generation never goes back, so an effect that somebody has undone is not taken for one that
never happened. While the effect is certainly not there, whatever would have kept the action from being claimed still keeps it
from being done. When neither is certain, a person decides.
"""

import contextlib
from dataclasses import replace
from datetime import timedelta

from safety_governor.api import records, v1alpha1
from safety_governor.domain import actions, errors, journal, lifecycle, marks, plans, requests, snapshots, values, verification, workloads
from safety_governor.pipeline import cases, guarding, outcomes, ports, sequence

SOON = timedelta(milliseconds=250)
AGAIN = timedelta(seconds=1)
PACE = timedelta(seconds=2)
"""How long it takes until the disruption budgets are asked again for a pod that they did not let go after others had left."""
LONG = timedelta(seconds=3)
"""Whoever looks on wants to know what it waits for when it takes so long."""
STALE = timedelta(minutes=2)
"""A claim that could not be carried out for so long is taken back: what it rests on is looked at again first."""
FORGOTTEN = timedelta(hours=12)
"""After so long the traces of an effect, such as a Job, may have been cleared away: no trace proves nothing any more."""


class Execute:
    """Ends with the effect on the target; Advance means that it is there."""

    def __init__(
        self,
        *,
        targets: ports.Workloads,
        actuator: ports.Actuator,
        guard: guarding.Guarding,
        fence: ports.Fence,
        journal: ports.Journal,
    ) -> None:
        self._targets = targets
        self._actuator = actuator
        self._guard = guard
        self._fence = fence
        self._journal = journal
        self._asked: set[str] = set()

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Look for the effect; if it is certainly not there and may be brought about, bring it about."""
        action, incident = claimed(case.status), case.incident
        step, kind = sequence.step_of(action), actions.of(action.type)
        namespace = incident.metadata.namespace
        scene = await self._targets.look(namespace, action.target, step=step, key=action.key)
        if scene is None:
            return await self._undecided(case, action, "is gone")
        intent = sequence.intent_of(incident.key, action)
        request, impossible = _asked_for(kind, step, scene, intent)
        if request is None and not impossible:
            return outcomes.Advance(status=case.status)
        changed = snapshots.difference(action.before, kind.snapshot(step, scene))
        if changed:
            return await self._undecided(case, action, changed)
        untouched = self._is_untouched(case, kind, scene, intent)
        if request is None:
            return await self._ended_refused(case, action, impossible, untouched=untouched)
        objection = await self._objection(case, action, scene, untouched=untouched)
        if objection and untouched:
            return await self._take_back(case, action, request, scene, objection=objection)
        if not untouched and case.now - action.claimed_at >= min(timedelta(seconds=action.watch.timeout_seconds), FORGOTTEN):
            return await self._undecided(case, action, "may have been touched, and the action did not come to its end in time")
        if objection:
            return _held(case, objection)
        waited_for = kind.waits(step, scene, intent)
        return _pausing(case, waited_for) if waited_for else await self._act(case, action, request, untouched=untouched)

    async def _take_back(
        self, case: cases.Case, action: records.Action, request: requests.Request, scene: workloads.Scene, *, objection: str
    ) -> outcomes.Outcome:
        """Nothing was done, and nothing that was asked for before may come true any more."""
        if isinstance(request, requests.Patch) and not self._never_asked(case, action):
            try:
                await self._forestall(case, action, request, scene)
            except errors.ConflictError:
                # It may have come after all; that is seen at the next look.
                return outcomes.Wait(status=case.status, until=case.now + AGAIN)
        await self._note(case, action, objection)
        return _taken_back(case, objection)

    async def _act(self, case: cases.Case, action: records.Action, request: requests.Request, *, untouched: bool) -> outcomes.Outcome:
        namespace = case.incident.metadata.namespace
        await self._journal.intend(_intent(case.incident, action))
        self._fenced()
        try:
            await self._actuator.dry_run(namespace, request)
            # Once more, as the dry run took its time: whoever else holds the Lease by now acts instead of us.
            self._fenced()
            self._asked.add(action.key)
            await self._actuator.act(namespace, request)
        except errors.ConflictError:
            # Between reading and acting somebody touched the target; what that means is seen at the next look.
            return outcomes.Wait(status=case.status, until=case.now + AGAIN)
        except errors.DisruptionRefusedError as error:
            return replace(_held(case, str(error)), until=case.now + PACE)
        except errors.ForbiddenError as error:
            # Certainly not done. It is tried again until the claim is stale, and then judged anew, dry run included.
            if action.undoes and case.now - action.claimed_at >= min(STALE, timedelta(seconds=action.watch.timeout_seconds)):
                # Nothing would be judged anew, and what got worse stays so meanwhile: a person has to know.
                return await self._ended_refused(case, action, str(error), untouched=untouched)
            raise errors.ClusterUnavailableError(f"{error}; the claimed action waits for the right to do it") from error
        except errors.TerminalError as error:
            return await self._ended_refused(case, action, str(error), untouched=untouched)
        status = _going_on(case.status)
        if isinstance(request, requests.Call | requests.Create):
            # Nothing in the cluster tells that it was done, or not for long, so that it was taken has to go on record.
            return outcomes.Record(status=status.with_action(action.model_copy(update={"acknowledged_at": case.now})))
        return outcomes.Wait(status=status, until=case.now + SOON)

    async def _ended_refused(self, case: cases.Case, action: records.Action, why: str, *, untouched: bool) -> outcomes.Halt:
        if not untouched:
            # What was asked for before may have been taken: an earlier call, or the pods that have left.
            return await self._undecided(case, action, f"may have been touched, and then the action was refused ({why})")
        await self._note(case, action, why)
        return outcomes.Halt(status=_refused(case.status, action, why))

    async def _note(self, case: cases.Case, action: records.Action, why: str, *, outcome: verification.Outcome | None = None) -> None:
        """How it ended, or that nothing was done; where the journal cannot take it, the incident still says so."""
        message = values.clip(why, values.TEXT_LIMIT)
        with contextlib.suppress(errors.JournalUnavailableError):
            await self._journal.end(journal.End(key=action.key, incident=case.incident.key, outcome=outcome, message=message, at=case.now))

    def _fenced(self) -> None:
        if not self._fence.holds():
            raise errors.NotLeaderError("the Lease is not certainly ours; the claimed action is left to whoever holds it")

    def _is_untouched(self, case: cases.Case, kind: actions.AnyAction, scene: workloads.Scene, intent: actions.Intent) -> bool:
        """Whether it is certain that nothing was done yet."""
        if kind.has_begun(scene, intent) or case.now - intent.at >= FORGOTTEN:
            return False
        if kind.shows_effect:
            return True
        return self._never_asked(case, claimed(case.status))

    def _never_asked(self, case: cases.Case, action: records.Action) -> bool:
        """Whether nobody has asked for it yet: it was claimed by this process, which knows."""
        claimed_by = case.status.execution.holder if case.status.execution else ""
        return claimed_by == self._fence.holder and action.key not in self._asked

    async def _forestall(self, case: cases.Case, action: records.Action, request: requests.Patch, scene: workloads.Scene) -> None:
        """A request that was sent and not answered may still be on its way; against another version of the target it does nothing.

        The one write that no suspension holds back, as it is what makes the suspension true: only an annotation is changed by it.
        """
        # It touches the target as well, and whoever claimed it may have ended before saying so.
        await self._journal.intend(_intent(case.incident, action))
        self._fenced()
        metadata = {"resourceVersion": scene.target.resource_version, "annotations": {marks.TAKEN_BACK: action.key}}
        changed = requests.Patch(kind=request.kind, name=request.name, style=requests.PatchStyle.MERGE, body={"metadata": metadata})
        try:
            await self._actuator.act(case.incident.metadata.namespace, changed)
        except errors.ForbiddenError as error:
            raise errors.ClusterUnavailableError(f"{error}; taking the claim back waits for the right to do it") from error

    async def _objection(self, case: cases.Case, action: records.Action, scene: workloads.Scene, *, untouched: bool) -> str:
        """Why what was claimed must not be done after all; asked in the last moment, and the same as when it was claimed."""
        spec = case.incident.spec
        namespace = case.incident.metadata.namespace
        assert case.status.execution is not None  # noqa: S101
        begun = len(case.status.execution.actions) > 1
        rails = await self._guard.read(namespace)
        held = self._guard.holds(rails, case.incident, now=case.now, begun=begun, undoing=bool(action.undoes))
        if action.undoes:
            # A change is taken back whatever the guard-rails say about changes, but never against the kill switch.
            refused = self._guard.undo_refusals(rails, step=sequence.step_of(action), scene=scene)
            return "; ".join((*refused, *(one.message for one in held)))
        if spec.abort or spec.mode is values.Mode.OBSERVE:
            return "the incident was stopped by a person"
        if spec.alert_resolved and not begun:
            return "the alert has resolved itself"
        if untouched and case.now - action.claimed_at >= STALE:
            return f"the claim of {action.claimed_at:%H:%M:%S} is too old to act on"
        step = sequence.step_of(action)
        found = self._guard.refusals(rails, namespace=namespace, target=action.target, steps=(step,), scenes=(scene,))
        return "; ".join((*found, *(one.message for one in held)))

    async def _undecided(self, case: cases.Case, action: records.Action, seen: str) -> outcomes.Halt:
        name = f"{action.target.kind}/{action.target.name}"
        message = f"{name} {seen} after the action was claimed; whether it took effect is for a person to find out"
        outcome = verification.Outcome.INCONCLUSIVE
        await self._note(case, action, message, outcome=outcome)
        ended = {"state": records.ActionState.INDETERMINATE, "outcome": outcome, "message": message, "done_at": case.now}
        status = case.status.with_action(action.model_copy(update=ended))
        return outcomes.Halt(status=status.model_copy(update={"phase": lifecycle.Phase.INDETERMINATE}))


def claimed(status: v1alpha1.IncidentStatus) -> records.Action:
    """The action that was claimed last."""
    assert status.execution is not None, "the runner claims before it executes"  # noqa: S101
    return status.execution.actions[-1]


def _taken_back(case: cases.Case, objection: str) -> outcomes.Record:
    """Nothing was done. Of the first step the incident goes back to where it was decided; a later one waits where it stands."""
    assert case.status.execution is not None  # noqa: S101
    before = case.status.execution.actions[:-1]
    waiting = records.Execution(actions=before, held_because=values.clip(objection, values.TEXT_LIMIT))
    phase = case.status.phase if before else lifecycle.Phase.GATED
    return outcomes.Record(status=case.status.model_copy(update={"phase": phase, "execution": waiting}))


def _asked_for(
    kind: actions.AnyAction, step: plans.Step, scene: workloads.Scene, intent: actions.Intent
) -> tuple[requests.Request | None, str]:
    """What is to be asked for next, or why that is not possible any more; neither when the effect is there."""
    try:
        return kind.request(step, scene, intent), ""
    except errors.ClusterRefusedError as error:
        return None, str(error)


def _going_on(status: v1alpha1.IncidentStatus) -> v1alpha1.IncidentStatus:
    """Nothing holds it any more."""
    assert status.execution is not None  # noqa: S101
    return status.model_copy(update={"execution": status.execution.model_copy(update={"held_because": "", "held_until": ""})})


def _held(case: cases.Case, why: str) -> outcomes.Wait:
    assert case.status.execution is not None  # noqa: S101
    waiting = case.status.execution.model_copy(update={"held_because": values.clip(why, values.TEXT_LIMIT)})
    return outcomes.Wait(status=case.status.model_copy(update={"execution": waiting}), until=case.now + timedelta(seconds=15))


def _pausing(case: cases.Case, why: str) -> outcomes.Wait:
    """Between the parts of an action. What takes a moment is not worth a write."""
    shown = case.now - claimed(case.status).claimed_at >= LONG
    return replace(_held(case, why), until=case.now + PACE) if shown else outcomes.Wait(status=case.status, until=case.now + AGAIN)


def _refused(status: v1alpha1.IncidentStatus, action: records.Action, why: str) -> v1alpha1.IncidentStatus:
    """Nothing was changed. When something had been done before, the incident is neither done nor undone: a person takes over."""
    message = values.clip(f"the action was refused, so nothing was changed: {why}", values.TEXT_LIMIT)
    ended = action.model_copy(update={"state": records.ActionState.FAILED, "message": message})
    assert status.execution is not None  # noqa: S101
    phase = lifecycle.Phase.FAILED if len(status.execution.actions) == 1 else lifecycle.Phase.INDETERMINATE
    return status.with_action(ended).model_copy(update={"phase": phase})


def _intent(incident: v1alpha1.Incident, action: records.Action) -> journal.Intent:
    return journal.Intent(
        key=action.key,
        incident=incident.key,
        uid=incident.metadata.uid,
        namespace=incident.metadata.namespace,
        target=plans.Target(kind=action.target.kind, name=action.target.name),
        type=action.type,
        undoes=bool(action.undoes),
        claimed_at=action.claimed_at,
    )
