"""One incident, attended from wherever it stands to its end: advance, put on record, wait, again.

The only place where status is written, once per pass and only when something changed, always against the version that
was read. Conflicts are read again; what does not answer is tried again with growing pauses; what is refused for good ends
the incident in Failed, or in Indeterminate where the cluster may have been touched.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from safety_governor.api import conditions, progress, v1alpha1
from safety_governor.domain import errors, lifecycle, verdicts
from safety_governor.pipeline import auditing, outcomes, ports, register, runner
from safety_governor.pipeline.stages import approve

PATIENCE = timedelta(minutes=2)
"""After so long without an answer, what cannot be read is recorded as unknown and people are asked."""

LONGEST_PAUSE = 60.0
_FIRST_PAUSE = 1.0

TRIES = 3
"""So often is an error that nobody foresaw taken for a passing one."""

AGAIN = timedelta(milliseconds=100)

_TOLD = frozenset({lifecycle.Phase.INDETERMINATE, lifecycle.Phase.ROLLED_BACK})
"""Ends that somebody has to hear of although nobody was asked."""


class Attendant:
    """Attends incidents; one call per incident, as many at once as there are incidents under way."""

    def __init__(
        self,
        *,
        incidents: ports.Incidents,
        runner: runner.Runner,
        clock: ports.Clock,
        past: register.Register,
        chronicler: auditing.Chronicler | None = None,
        on_end: Callable[[str], None] = lambda _: None,
        patience: timedelta = PATIENCE,
        at_once: int = 8,
    ) -> None:
        self._incidents = incidents
        self._runner = runner
        self._clock = clock
        self._past = past
        self._chronicler = chronicler or auditing.Chronicler(auditing.NoTrail(), clock=clock)
        self._on_end = on_end
        self._patience = patience
        self._at_once = asyncio.Semaphore(at_once)

    async def attend(self, namespace: str, name: str, woken: asyncio.Event) -> None:
        """Return when the incident is finished or gone. `woken` is set by whoever sees it change."""
        key = f"{namespace}/{name}"
        try:
            await self._attend(namespace, name, woken, structlog.get_logger().bind(incident=key))
        finally:
            self._past.release(key)

    async def _attend(self, namespace: str, name: str, woken: asyncio.Event, log: structlog.stdlib.BoundLogger) -> None:
        pauses = _Pauses(self._patience)
        while True:
            woken.clear()
            try:
                async with self._at_once:
                    done, until = await self._pass(namespace, name, pauses, log)
            except errors.ConflictError:
                log.debug("the incident was changed meanwhile; reading it again")
                done, until = False, self._clock.now() + AGAIN
            except errors.RetryableError as error:
                until = pauses.next(self._clock.now(), getattr(error, "retry_after", None))
                done = False
                log.warning("the API server does not answer; the incident waits", error=str(error), until=until.isoformat())
            except errors.TerminalError as error:
                # Not about the decision but about reading or writing the resource; it is decided again from the resource, later.
                # A right that is missing for a moment is not worth the longest pause.
                least = 0.0 if isinstance(error, errors.ForbiddenError) else LONGEST_PAUSE
                done, until = False, pauses.next(self._clock.now(), None, least=least)
                sentence = "the API server refuses to hand out the incident or to take its status; nothing is done until it does"
                log.error(sentence, error=str(error))  # noqa: TRY400 - a sentence for people, not a traceback
            if done:
                return
            now = self._clock.now()
            await _rest(woken, (until - now).total_seconds(), deaf=(pauses.asked_until - now).total_seconds())

    async def _pass(self, namespace: str, name: str, pauses: "_Pauses", log: structlog.stdlib.BoundLogger) -> tuple[bool, datetime]:
        incident = await self._incidents.find(namespace, name)
        if incident is None:
            self._past.abandon(f"{namespace}/{name}", self._clock.now())
            await self._chronicler.deleted(f"{namespace}/{name}")
            return True, self._clock.now()
        # An answer that was lost on its way may have been a write that was taken.
        await self._learn(incident)
        if incident.is_finished:
            return True, self._clock.now()
        auditing.subject.set(auditing.Subject(incident=incident.key, uid=incident.metadata.uid))
        outcome, failure = await self._outcome(incident, pauses, log)
        now = self._clock.now()
        stalled = (outcome.reason, outcome.message) if isinstance(outcome, outcomes.Stall) else None
        status = progress.described(incident, outcome.status, now=now, stalled=stalled, failure=failure)
        if status != incident.status:
            try:
                await self._record(incident, status, log, guard_missing=stalled is not None and stalled[0] == approve.GUARD_MISSING)
            except errors.InvalidStatusError as error:
                # What was decided cannot be shown, so nothing may follow from it; that itself can be shown.
                await self._record(incident, _unrecordable(incident, str(error), now), log, guard_missing=False)
                return True, now
        # A question expires on time, whatever the incident waits for.
        on_time = _expiry(status) or datetime.max.replace(tzinfo=UTC)
        match outcome:
            case outcomes.Halt():
                return True, now
            case outcomes.Wait(until=until):
                pauses.reset()
                return False, min(until, on_time)
            case outcomes.Stall(retry_after=retry_after):
                return False, min(pauses.next(now, retry_after), on_time)
            case outcomes.Record() | outcomes.Advance():
                pauses.reset()
                return False, now

    async def _outcome(
        self, incident: v1alpha1.Incident, pauses: "_Pauses", log: structlog.stdlib.BoundLogger
    ) -> tuple[outcomes.Outcome, str]:
        try:
            return await self._runner.advance(incident, give_up_reading=pauses.exhausted(self._clock.now())), ""
        except errors.TerminalError as error:
            failure = str(error)
        except errors.GovernorError:
            raise
        except Exception as error:
            log.exception("an error nobody foresaw")
            if pauses.may_be_passing():
                message = f"an error nobody foresaw ({type(error).__name__}: {error}); it is tried again"
                return outcomes.Stall(status=incident.status, reason="UnforeseenError", message=message), ""
            failure = f"an error nobody foresaw ({type(error).__name__}: {error}); the operator's log has the details"
        acting = incident.status.phase in lifecycle.ACTING
        phase = lifecycle.Phase.INDETERMINATE if acting else lifecycle.Phase.FAILED
        log.error("the incident cannot go on", error=failure, phase=phase.value)
        return outcomes.Halt(status=incident.status.model_copy(update={"phase": phase})), failure

    async def _learn(self, on_record: v1alpha1.Incident) -> None:
        self._past.learn(on_record)
        await self._chronicler.learn(on_record)

    async def _record(
        self, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus, log: structlog.stdlib.BoundLogger, *, guard_missing: bool
    ) -> None:
        # Told first: what is on record and not in the trail would be a gap that nobody could tell from a deletion.
        status = await self._chronicler.tell(incident, status)
        written = await self._incidents.record_status(incident, status)
        await self._learn(written)
        decided = {"decision": status.gate.decision.value, "reason": status.gate.reason} if status.gate else {}
        log.info("recorded", phase=status.phase, **decided)
        if guard_missing:
            await self._incidents.announce(
                written, reason=approve.GUARD_MISSING, message="no approval is honoured until the guard is back", warning=True
            )
        if status.phase in lifecycle.TERMINAL:
            self._on_end(status.phase)
        if status.phase in _TOLD:
            summary = conditions.find(status.conditions, conditions.Type.SUCCEEDED)
            why = summary.message if summary is not None else ""
            log.error("a person has to look at this", phase=status.phase, why=why)
            await self._incidents.announce(written, reason=status.phase, message=why, warning=True)
        gate, before = status.gate, incident.status.gate
        if gate is None or (before is not None and before.plan_digest == gate.plan_digest):
            return
        blocked = gate.decision is verdicts.Decision.BLOCK_AND_ESCALATE
        reason = "Gate" + "".join(part.capitalize() for part in gate.decision.split("_"))
        findings = "; ".join(finding.message for finding in gate.findings) or "no finding speaks against it"
        await self._incidents.announce(written, reason=reason, message=f"{gate.reason}: {findings}", warning=blocked)


def _unrecordable(incident: v1alpha1.Incident, why: str, now: datetime) -> v1alpha1.IncidentStatus:
    phase = lifecycle.Phase.INDETERMINATE if incident.status.phase in lifecycle.ACTING else lifecycle.Phase.FAILED
    ended = incident.status.model_copy(update={"phase": phase})
    failure = f"the API server refuses the status; are the definitions in crds/ as new as the operator? {why}"
    return progress.described(incident, ended, now=now, failure=failure)


class _Pauses:
    """Growing pauses while something does not answer, and for how long that has been so."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._since: datetime | None = None
        self._pause = _FIRST_PAUSE
        self._unforeseen = 0
        self.asked_until = datetime.min.replace(tzinfo=UTC)
        """Before this nothing is asked again, whoever wakes us: the outside wants it so."""

    def may_be_passing(self) -> bool:
        """Whether an error that nobody foresaw is to be tried again: the first few times."""
        self._unforeseen += 1
        return self._unforeseen <= TRIES

    def next(self, now: datetime, asked_for: float | None, *, least: float = 0.0) -> datetime:
        """When to try again; at least as late as was asked for."""
        self._since = self._since or now
        self.asked_until = now + timedelta(seconds=min(asked_for or 0.0, LONGEST_PAUSE))
        pause = max(self._pause, asked_for or 0.0, least)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return now + timedelta(seconds=pause)

    def exhausted(self, now: datetime) -> bool:
        """Whether people should be told instead of waiting any longer."""
        return self._since is not None and now - self._since >= self._patience

    def reset(self) -> None:
        """It answers again."""
        self._since = None
        self._pause = _FIRST_PAUSE
        self._unforeseen = 0


def _expiry(status: v1alpha1.IncidentStatus) -> datetime | None:
    gate = status.gate
    if gate is None or not gate.expires_at or status.phase not in (lifecycle.Phase.AWAITING_APPROVAL, lifecycle.Phase.GATED):
        return None
    return datetime.fromisoformat(gate.expires_at)


async def _rest(woken: asyncio.Event, seconds: float, *, deaf: float) -> None:
    """Until then or until woken; for the first seconds, the deaf ones, nothing wakes."""
    if deaf > 0:
        await asyncio.sleep(min(deaf, seconds))
        seconds -= deaf
    if seconds <= 0:
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), timeout=seconds)
