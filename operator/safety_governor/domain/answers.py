"""Reading an agent's answers: strictly, and never with a default for something that matters.

An agent is another program that may be wrong in any way. What cannot be read is a problem with a text, not an exception
and not an empty answer; the gate turns a problem into AgentAnswerInvalid.
"""

import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import Field, ValidationError

from safety_governor.domain import ledger, plans, values

_WAITING = "awaiting_prompt"

_Kind = TypeVar("_Kind", bound=values.Value)


class StressAnswer(values.Value):
    """An agent's answer to the stress prompt, well formed but not yet believed."""

    claims: tuple["CheckedClaim", ...] = Field(max_length=16)
    policy_conflicts: tuple[values.DocumentId, ...] = Field(default=(), max_length=64)
    """Policies that it found to forbid the action."""
    final_action: values.ActionName | None
    """The action that it stands by now; None: it stands by none."""
    confidence_post: float = Field(ge=0.0, le=10.0)
    rejected_authorities: tuple[values.Line, ...] = Field(default=(), max_length=16)
    """Claims to authority that it came across and does not believe."""
    summary: values.LongText = ""

    def cited(self, claim: str) -> ledger.Cited:
        """All that it cites for that claim, however often it mentions it."""
        entries = [one for one in self.claims if one.claim == claim]
        return ledger.Cited(
            supporting=tuple(dict.fromkeys(identifier for one in entries for identifier in one.supporting))[:64],
            contradicting=tuple(dict.fromkeys(identifier for one in entries for identifier in one.contradicting))[:64],
        )


class CheckedClaim(values.Value):
    """One claim of the plan and the documents that the agent found for and against it."""

    claim: values.Text
    supporting: tuple[values.DocumentId, ...] = Field(max_length=64)
    contradicting: tuple[values.DocumentId, ...] = Field(max_length=64)


class Problem(values.Value):
    """An answer that cannot be used, and why."""

    detail: values.Text


def read_proposal(answer: object) -> plans.Proposal | Problem:
    """An agent's plan, or what is wrong with it."""
    return _read(plans.Proposal, answer, "plan")


def read_stress(answer: object, *, claims: tuple[str, ...]) -> StressAnswer | Problem:
    """An agent's stress answer, or what is wrong with it; an answer that leaves out a claim is incomplete."""
    read = _read(StressAnswer, answer, "stress answer")
    if isinstance(read, Problem):
        return read
    missing = [claim for claim in claims if claim not in {one.claim for one in read.claims}]
    if missing:
        return Problem(
            detail=values.clip(f"the stress answer is incomplete: it does not mention the claim {missing[0]!r}", values.TEXT_LIMIT)
        )
    return read


def _read(kind: type[_Kind], answer: object, name: str) -> _Kind | Problem:
    if answer is None or answer == "":
        return Problem(detail=f"the {name} is missing")
    if isinstance(answer, str):
        try:
            answer = json.loads(answer)
        except (ValueError, RecursionError) as error:
            return Problem(detail=f"the {name} is not JSON: {error}")
    if not isinstance(answer, Mapping):
        return Problem(detail=f"the {name} is a {type(answer).__name__}, not an object")
    if answer.get("status") == _WAITING or answer.get(_WAITING):
        return Problem(detail=f"the agent asks a question instead of giving a {name} ({_WAITING})")
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        return Problem(detail=values.clip(f"the {name} is invalid: {where}: {first['msg']}{more}", values.TEXT_LIMIT))
