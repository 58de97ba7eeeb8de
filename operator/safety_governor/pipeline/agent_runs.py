"""Records what agents are asked and what they look at, around the ports, so that neither agents nor stages know of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from pydantic import JsonValue

from safety_governor.domain import answers, briefs, digests, documents, errors, plans, values
from safety_governor.domain.audit import events
from safety_governor.domain.documents import Hit
from safety_governor.pipeline import auditing, ports

_SEEN = 256
_Found = TypeVar("_Found")


class RecordedAgent:
    """An agent, every question to whom is recorded."""

    def __init__(self, agent: ports.Agent, *, trail: ports.Trail, clock: ports.Clock) -> None:
        self._agent = agent
        self._trail = trail
        self._clock = clock

    async def propose(self, brief: briefs.Brief) -> briefs.Reply:
        """The same answer."""
        prompt: dict[str, JsonValue] = {"brief": _plain(brief)}
        return await self._asked("plan", prompt, lambda: self._agent.propose(brief), answers.read_proposal)

    async def stress(self, brief: briefs.Brief, plan: plans.Plan) -> briefs.Reply:
        """The same answer."""
        prompt: dict[str, JsonValue] = {"brief": _plain(brief), "plan": plan.model_dump(mode="json")}
        return await self._asked(
            "stress", prompt, lambda: self._agent.stress(brief, plan), lambda answer: answers.read_stress(answer, claims=plan.claims)
        )

    async def _asked(
        self, question: str, prompt: Mapping[str, JsonValue], ask: Callable[[], Awaitable[briefs.Reply]], read: Callable[[object], object]
    ) -> briefs.Reply:
        started = self._clock.now()

        def note(*, answer: object = None, seen: frozenset[str] = frozenset(), problem: str = "") -> None:
            self._trail.note(
                _event(
                    events.AgentAsked(
                        question=question,
                        prompt=digests.digest(dict(prompt)),
                        answer=_digest(answer) if answer is not None else None,
                        milliseconds=_milliseconds(started, self._clock.now()),
                        seen=tuple(sorted(one for one in seen if 0 < len(one) <= 128))[:_SEEN],
                        problem=values.clip(problem, values.TEXT_LIMIT),
                    ),
                    started,
                )
            )

        try:
            reply = await ask()
        except errors.GovernorError as error:
            note(problem=f"no answer: {error}")
            raise
        except Exception as error:
            note(problem=f"no answer, by an error nobody foresaw: {type(error).__name__}")
            raise
        understood = read(reply.answer)
        note(answer=reply.answer, seen=reply.seen, problem=understood.detail if isinstance(understood, answers.Problem) else "")
        return reply


class TracedKnowledge:
    """What an agent of this process searches in; every search is recorded with the documents that it returned."""

    def __init__(self, knowledge: ports.Knowledge, *, caller: str, trail: ports.Trail, clock: ports.Clock) -> None:
        self._knowledge = knowledge
        self._caller = caller
        self._trail = trail
        self._clock = clock

    async def search_runbooks(self, query: str, *, service: str, limit: int) -> Sequence[Hit[documents.Runbook]]:
        """The same answer."""
        return await self._traced(
            "search_runbooks",
            {"query": query, "service": service, "limit": limit},
            self._knowledge.search_runbooks(query, service=service, limit=limit),
            lambda hits: [hit.document.id for hit in hits],
        )

    async def search_evidence(
        self, query: str, *, service: str, limit: int, stance: documents.Stance | None = None
    ) -> Sequence[Hit[documents.Evidence]]:
        """The same answer."""
        return await self._traced(
            "search_evidence",
            {"query": query, "service": service, "limit": limit, "stance": stance.value if stance else None},
            self._knowledge.search_evidence(query, service=service, limit=limit, stance=stance),
            lambda hits: [hit.document.id for hit in hits],
        )

    async def fetch_policies(self, *, service: str) -> Sequence[documents.Policy]:
        """The same answer."""
        return await self._traced(
            "check_policy_conflicts",
            {"service": service},
            self._knowledge.fetch_policies(service=service),
            lambda found: [one.id for one in found],
        )

    async def _traced(
        self, tool: str, asked: dict[str, JsonValue], answer: Awaitable[_Found], shown: Callable[[_Found], Sequence[str]]
    ) -> _Found:
        started = self._clock.now()

        def note(found: Sequence[str] = (), problem: str = "") -> None:
            content = events.ToolCalled(
                tool=tool,
                caller=self._caller,
                arguments=digests.digest(asked),
                documents=tuple(found)[:_SEEN],
                status="unavailable" if problem else "ok" if found else "empty",
                milliseconds=_milliseconds(started, self._clock.now()),
                problem=values.clip(problem, values.TEXT_LIMIT),
            )
            self._trail.note(_event(content, started, content.arguments))

        try:
            found = await answer
        except errors.GovernorError as error:
            note(problem=str(error))
            raise
        note(shown(found))
        return found


def _event(content: events.AgentAsked | events.ToolCalled, at: datetime, *more: str) -> events.Event:
    """Every call is an event of its own: asked again is asked twice."""
    about = auditing.subject.get() or auditing.Subject()
    what = content.question if isinstance(content, events.AgentAsked) else content.tool
    return events.happened(content, at=at, incident=about.incident, uid=about.uid, once=(what, at.isoformat(), *more))


def _plain(brief: briefs.Brief) -> JsonValue:
    return {"service": brief.service, "severity": brief.severity, "summary": brief.summary, "symptoms": list(brief.symptoms)}


def _digest(answer: object) -> str:
    """Of whatever came; what has no JSON is taken as its text."""
    try:
        return digests.digest(answer)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        return digests.digest(repr(answer)[: values.SUMMARY_LIMIT])


def _milliseconds(since: datetime, until: datetime) -> int:
    return max(round((until - since).total_seconds() * 1000), 0)
