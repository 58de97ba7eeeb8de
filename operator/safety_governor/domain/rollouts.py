"""Whether a rollout has come to its end, by the predicate that `kubectl rollout status` uses, over figures of the workload."""

import enum
from datetime import datetime

from pydantic import Field

from safety_governor.domain import values


class Progress(enum.StrEnum):
    """How far a rollout is."""

    GOING_ON = "GoingOn"
    COMPLETE = "Complete"
    STUCK = "Stuck"
    """The controller itself has given up waiting (ProgressDeadlineExceeded)."""
    OVERTAKEN = "Overtaken"
    """Somebody else has changed it again."""


_GIVEN_UP = {"ProgressDeadlineExceeded": "the rollout exceeded its progress deadline", "JobFailed": "the Job has failed"}


class Observed(values.Value):
    """The figures of a Deployment that tell how its rollout is going. An absent figure in the API is 0 there and here."""

    generation: int = Field(ge=0)
    observed_generation: int = Field(default=0, ge=0)
    wanted: int = Field(default=1, ge=0)
    """spec.replicas"""
    replicas: int = Field(default=0, ge=0)
    updated: int = Field(default=0, ge=0)
    available: int = Field(default=0, ge=0)
    progressing_reason: values.Line = ""
    """Reason of the condition Progressing; JobFailed for a Job that has failed."""
    progressing_since: datetime | None = None
    """When that reason was given; absent when it is not told."""


def since(seen: Observed, begun: datetime) -> Observed:
    """The same figures without what the controller had complained about before: it tells nothing about what was done since."""
    if seen.progressing_since is None or seen.progressing_since >= begun:
        return seen
    return seen.model_copy(update={"progressing_reason": ""})


def completed_at(seen: Observed) -> datetime | None:
    """When the controller saw its last rollout come to its end; None where it does not tell."""
    return seen.progressing_since if seen.progressing_reason == "NewReplicaSetAvailable" else None


def progress(seen: Observed) -> tuple[Progress, str]:
    """How far the rollout is, and a sentence for people."""
    if seen.observed_generation < seen.generation:
        return Progress.GOING_ON, "the controller has not seen the change yet"
    if seen.progressing_reason in _GIVEN_UP:
        return Progress.STUCK, _GIVEN_UP[seen.progressing_reason]
    if seen.updated < seen.wanted:
        return Progress.GOING_ON, f"{seen.updated} of {seen.wanted} new replicas have been created"
    if seen.replicas > seen.updated:
        return Progress.GOING_ON, f"{seen.replicas - seen.updated} old replicas are still going away"
    if seen.available < seen.updated:
        return Progress.GOING_ON, f"{seen.available} of {seen.updated} new replicas are available"
    return Progress.COMPLETE, f"{seen.updated} of {seen.wanted} replicas are new and available"
