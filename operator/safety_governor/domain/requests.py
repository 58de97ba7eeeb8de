"""What an action asks of the outside: one request, complete and deterministic, so that it can be tried in a dry run and repeated."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


class PatchStyle(enum.Enum):
    """How a patch is to be understood."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"
    """Server-side apply, never forced: a field that somebody else owns is a conflict, and a conflict is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Change exactly one version of an object."""

    kind: str
    name: str
    style: PatchStyle
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    manager: str = ""
    """Under which name the change stands in managedFields; empty for the governor's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Create an object under a name that is always the same, so that a second try finds the first."""

    kind: str
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evict:
    """Ask for a pod to leave, which the disruption budgets may refuse."""

    pod: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call automation that was there before us, by the name under which the operator knows it."""

    webhook: str
    key: str
    body: Mapping[str, Any]


Request: TypeAlias = Patch | Create | Evict | Call
