"""Whether what was done helped: Verified, Regressed or Inconclusive, held against the state of before. No data is inconclusive."""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import Field

from safety_governor.domain import rollouts, values, workloads

# By name, because a field is called like the module and would hide it.
from safety_governor.domain.telemetry import Telemetry

ENOUGH_LINES = 20
"""With fewer lines of log a ratio says nothing."""
WORSE_BY = 0.05
"""The error ratio may grow by so much before that is a regression."""
BAD_RATIO = 0.05
"""An error ratio of before that the action was to bring down."""
NO_BETTER = 0.8
"""An error ratio that is still above this share of a bad one is no better."""

LONGEST_LOOK_AWAY = timedelta(seconds=5)
TROUBLED_LIMIT = 64


class Outcome(enum.StrEnum):
    """Whether what was done helped."""

    VERIFIED = "Verified"
    """It took effect, and nothing got worse while it was watched."""
    REGRESSED = "Regressed"
    """Something got worse; it is undone."""
    INCONCLUSIVE = "Inconclusive"
    """It could not be told in time; a person finds out."""


class Watch(values.Value):
    """How closely an action is watched, as it was settled when it was claimed."""

    timeout_seconds: int = Field(default=600, ge=1)
    """After so long a rollout that is still going on is inconclusive."""
    soak_seconds: int = Field(default=60, ge=0)
    """So long must everything go well after the rollout."""
    require_alert_resolved: bool = False
    """Whether the alert has to resolve itself before the action counts as verified."""
    require_telemetry: bool = False
    """Whether the live logs have to be readable afterwards."""
    must_help: bool = True
    """Whether errors have to become fewer; not of a step that others follow, as only all of them together are the remedy."""


class Baseline(values.Value):
    """How things were before the action."""

    troubled: tuple[values.Line, ...] = Field(default=(), max_length=TROUBLED_LIMIT)
    """Uids of pods that were crash-looping, or restarted a short while before; when it is full, there may have been more."""
    error_ratio: float | None = Field(default=None, ge=0.0, le=1.0)
    """Of the live logs; absent when unknown."""

    def had_trouble(self, pod: workloads.Pod, *, since: datetime) -> bool:
        """Whether the trouble of the pod may be older than the action."""
        return pod.uid in self.troubled or (len(self.troubled) >= TROUBLED_LIMIT and pod.created_at < since)


class Observation(values.Value):
    """What was seen at one look."""

    progress: rollouts.Progress
    sentence: values.Text
    pods: tuple[workloads.Pod, ...] = ()
    telemetry: Telemetry | None = None
    """Of the time since the action; absent when it was not or could not be read."""
    telemetry_problem: values.Text = ""
    """Why it could not be read."""
    alert_resolved: bool = False
    effect_at: datetime | None = None
    """When what was asked for was certainly done, where that can be told; the pods may tell of a later time."""
    meddled: bool = False
    """Whether somebody else has changed the target since; what it does now is not only our doing, and is not ours to undo."""


class Judged(values.Value):
    """The outcome, or when to look again."""

    outcome: Outcome | None = None
    message: values.Text
    until: datetime


def ratio_of(seen: Telemetry | None) -> float | None:
    """The share of errors in the live logs; None when they say too little for one."""
    return seen.error_ratio if seen is not None and seen.lines >= ENOUGH_LINES else None


def took_effect_at(seen: Observation, *, since: datetime) -> datetime:
    """Since when things are as the action wanted them: from the last sign of that on, not from when we looked."""
    ready = [pod.ready_since for pod in seen.pods if pod.ready_since is not None and not pod.terminating]
    return max((since, seen.effect_at or since, *ready))


def soaked_at(seen: Observation, watch: Watch, *, since: datetime) -> datetime:
    """When everything will have gone well for long enough."""
    return took_effect_at(seen, since=since) + timedelta(seconds=watch.soak_seconds)


def judge(seen: Observation, baseline: Baseline, watch: Watch, *, since: datetime, now: datetime) -> Judged:
    """Hold what is seen against what was before. `since` is when the action was claimed."""
    judged = _judged(seen, baseline, watch, since=since, now=now)
    if judged.outcome is Outcome.REGRESSED and seen.meddled:
        message = f"{judged.message}; somebody else has changed the target since, so it is not undone"
        return Judged(outcome=Outcome.INCONCLUSIVE, message=values.clip(message, values.TEXT_LIMIT), until=now)
    return judged


def _judged(seen: Observation, baseline: Baseline, watch: Watch, *, since: datetime, now: datetime) -> Judged:
    waited = now - since
    complete = seen.progress is rollouts.Progress.COMPLETE
    trouble, old_trouble = _troubles(seen.pods, baseline, since=since, all_count=complete)
    if trouble:
        return Judged(outcome=Outcome.REGRESSED, message=trouble, until=now)
    if seen.progress is rollouts.Progress.STUCK:
        return Judged(outcome=Outcome.REGRESSED, message=seen.sentence, until=now)
    if seen.progress is rollouts.Progress.OVERTAKEN:
        return Judged(outcome=Outcome.INCONCLUSIVE, message=seen.sentence, until=now)
    if not complete:
        return _going_on(seen, watch, since=since, now=now)
    soaked = soaked_at(seen, watch, since=since)
    if now < soaked:
        return _soaking(seen, watch, until=soaked, waited=waited, now=now)
    if old_trouble:
        return Judged(outcome=Outcome.INCONCLUSIVE, message=f"{seen.sentence}, but {old_trouble}", until=now)
    return _after_the_soak(seen, baseline, watch, overdue=now >= soaked + timedelta(seconds=watch.timeout_seconds), now=now)


def _going_on(seen: Observation, watch: Watch, *, since: datetime, now: datetime) -> Judged:
    waited = now - since
    if waited < timedelta(seconds=watch.timeout_seconds):
        pause = min(max(waited / 5, timedelta(seconds=0.5)), LONGEST_LOOK_AWAY)
        return Judged(message=seen.sentence, until=now + pause)
    if stuck := _does_not_start(seen.pods, since=since):
        return Judged(outcome=Outcome.REGRESSED, message=stuck, until=now)
    return Judged(outcome=Outcome.INCONCLUSIVE, message=f"{seen.sentence}, after {_spoken(watch.timeout_seconds)}", until=now)


def _soaking(seen: Observation, watch: Watch, *, until: datetime, waited: timedelta, now: datetime) -> Judged:
    """Watched on; but pods that become ready again and again must not be watched for ever."""
    if waited >= timedelta(seconds=watch.timeout_seconds + watch.soak_seconds):
        message = f"{seen.sentence}, but the pods do not stay ready for {_spoken(watch.soak_seconds)}"
        return Judged(outcome=Outcome.INCONCLUSIVE, message=message, until=now)
    return Judged(message=f"{seen.sentence}; watched until {until:%H:%M:%S}", until=min(until, now + LONGEST_LOOK_AWAY))


def _after_the_soak(seen: Observation, baseline: Baseline, watch: Watch, *, overdue: bool, now: datetime) -> Judged:
    told = [seen.sentence, *([f"no restart in {_spoken(watch.soak_seconds)}"] if seen.pods and watch.soak_seconds else [])]
    again = now + LONGEST_LOOK_AWAY
    compared, worse, unclear = _compared(seen, baseline, watch)
    if worse:
        return Judged(outcome=Outcome.REGRESSED, message=f"{seen.sentence}, but {worse}", until=now)
    if unclear:
        if overdue:
            return Judged(outcome=Outcome.INCONCLUSIVE, message=f"{seen.sentence}, but {unclear}", until=now)
        return Judged(message=f"{seen.sentence}, but {unclear}; the logs are read again", until=again)
    told += compared
    if seen.alert_resolved:
        told.append("the alert has resolved itself")
    elif watch.require_alert_resolved:
        if overdue:
            return Judged(outcome=Outcome.INCONCLUSIVE, message=f"{seen.sentence}, but the alert has not resolved itself", until=now)
        return Judged(message=f"{seen.sentence}; waiting for the alert to resolve itself", until=again)
    return Judged(outcome=Outcome.VERIFIED, message=values.clip("; ".join(told), values.TEXT_LIMIT), until=now)


def _compared(seen: Observation, baseline: Baseline, watch: Watch) -> tuple[list[str], str, str]:
    """What the live logs say: what is told of them, what got worse, and why that is not clear."""
    if baseline.error_ratio is None and not watch.require_telemetry:
        return [], "", ""
    if seen.telemetry_problem:
        return [], "", f"the live logs cannot be read: {seen.telemetry_problem}"
    after = ratio_of(seen.telemetry)
    if after is None:
        lines = seen.telemetry.lines if seen.telemetry is not None else 0
        silent = f"the live logs say too little since ({lines} lines)"
        # Where errors were to become fewer, nobody has seen that they did.
        hoped_for = watch.must_help and (baseline.error_ratio or 0.0) >= BAD_RATIO
        return ([], "", silent) if watch.require_telemetry or hoped_for else ([silent], "", "")
    before = baseline.error_ratio
    if before is None:
        return [f"errors {after:.0%} of the log since"], "", ""
    compared = f"errors {before:.0%} of the log before, {after:.0%} since"
    if after > before + WORSE_BY:
        return [], compared, ""
    if watch.must_help and before >= BAD_RATIO and after > before * NO_BETTER:
        return [], "", f"it is no better: {compared}"
    return [compared], "", ""


def _troubles(pods: Sequence[workloads.Pod], baseline: Baseline, *, since: datetime, all_count: bool) -> tuple[str, str]:
    """What goes wrong since the action, and what went wrong before and still does.

    Until a rollout is complete only pods that are younger than it count: the old ones are on their way out.
    """
    old = ""
    for pod in pods:
        if pod.terminating or not (all_count or pod.created_at >= since):
            continue
        if not pod.is_crash_looping and (pod.restarts == 0 or pod.last_ended_at is None or pod.last_ended_at < since):
            continue
        told = _told(pod)
        if not baseline.had_trouble(pod, since=since):
            return told, ""
        old = f"{told}, as before"
    return "", old


def _does_not_start(pods: Sequence[workloads.Pod], *, since: datetime) -> str:
    """A new pod that will not start however long one waits, such as one whose image does not exist."""
    stuck = next((pod for pod in pods if pod.cannot_start and not pod.terminating and pod.created_at >= since), None)
    return f"pod {stuck.name} does not start ({stuck.waiting})" if stuck is not None else ""


def _told(pod: workloads.Pod) -> str:
    why = f" ({pod.last_ended_reason})" if pod.last_ended_reason else ""
    if pod.is_crash_looping:
        return f"pod {pod.name} is crash-looping after {pod.restarts} restarts{why}"
    return f"pod {pod.name} was restarted{why}"


def _spoken(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds >= 120 and seconds % 60 == 0 else f"{seconds} s"
