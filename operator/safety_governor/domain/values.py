"""The words that every other module of the domain uses: the base value, bounded text, severities, stages of trust.

Bounds live here because the Incident resource is generated from these types: a string without a maximum would make a
resource that one careless agent can blow up.
"""

import enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel


class Value(BaseModel):
    """A frozen value that may appear in the Incident resource: camelCase outside, snake_case inside.

    The docstring under a field becomes its `kubectl explain` text.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


NAME_LIMIT = 253
"""The longest name that Kubernetes accepts for an object."""

LINE_LIMIT = 256
TEXT_LIMIT = 1024
SUMMARY_LIMIT = 4096

Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LIMIT)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=63)]
Line = Annotated[str, StringConstraints(max_length=LINE_LIMIT)]
Text = Annotated[str, StringConstraints(max_length=TEXT_LIMIT)]
LongText = Annotated[str, StringConstraints(max_length=SUMMARY_LIMIT)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[a-f0-9]{64}$", max_length=71)]
ServiceName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
DocumentId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ActionName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


def clip(text: str, limit: int) -> str:
    """Shorten text to at most `limit` characters, ending in an ellipsis where something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Severity(enum.StrEnum):
    """How bad the incident is for the people who use the service."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Mode(enum.StrEnum):
    """Whether a decision may be acted upon."""

    ENFORCE = "Enforce"
    """Decide, and act on what was released."""
    OBSERVE = "Observe"
    """Decide and show everything; never act."""


class ActionType(enum.StrEnum):
    """Every kind of step that a runbook may contain."""

    ROLLOUT_RESTART = "RolloutRestart"
    SCALE = "Scale"
    ROLLOUT_UNDO = "RolloutUndo"
    EVICT_PODS = "EvictPods"
    CORDON = "Cordon"
    UNCORDON = "Uncordon"
    RUN_JOB = "RunJob"
    PATCH_FIELDS = "PatchFields"
    WEBHOOK = "Webhook"
    MANUAL = "Manual"
    """Done by people; the governor only hands the text over."""


class Release(enum.StrEnum):
    """What a person must say before a verdict lets the action go. Ordered by `strength`."""

    NOT_NEEDED = "NotNeeded"
    APPROVE = "APPROVE"
    FORCE_OVERRIDE = "FORCE_OVERRIDE"
    IMPOSSIBLE = "Impossible"
    """No approval can release it."""

    @property
    def strength(self) -> int:
        """Position in the order NotNeeded < APPROVE < FORCE_OVERRIDE < Impossible."""
        return _STRENGTH[self]


_STRENGTH = {release: position for position, release in enumerate(Release)}
