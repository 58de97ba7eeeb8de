"""The agent without a model: picks the best trusted runbook, takes its claims, checks each by search. Deterministic.

It answers through the same port as any model, and is verified the same way; nothing it says is believed because it is ours.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from safety_governor.domain import briefs, claims, documents, plans, policies, relevance, values

CANDIDATES = 10
EVIDENCE = 10
LEAST_FIT = 0.2
"""The share of an incident's words that a runbook must contain to have to do with it."""
NEAR_THE_BEST = 0.5
"""A runbook of the service itself is preferred to a general one that scores up to twice as high."""


class Knowledge(Protocol):
    """What the agent searches in."""

    async def search_runbooks(self, query: str, *, service: str, limit: int) -> Sequence[documents.Hit[documents.Runbook]]:
        """Runbooks for the words of an incident, best first."""

    async def search_evidence(
        self, query: str, *, service: str, limit: int, stance: documents.Stance | None = None
    ) -> Sequence[documents.Hit[documents.Evidence]]:
        """Evidence for the words of a claim, best first."""

    async def fetch_policies(self, *, service: str) -> Sequence[documents.Policy]:
        """Every policy that concerns the service."""


class OfflineAgent:
    """Plans from runbooks and doubts itself by search."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    async def propose(self, brief: briefs.Brief) -> briefs.Reply:
        """The recommended action of the runbook that fits best, or nothing when none fits."""
        hits = await self._knowledge.search_runbooks(brief.text, service=brief.service, limit=CANDIDATES)
        # Comparing words is quick for one runbook and not for ten long ones; nobody else has to wait for it.
        chosen = await asyncio.to_thread(_choose, brief, hits)
        seen = frozenset(hit.document.id for hit in hits)
        if chosen is None:
            nothing: dict[str, object] = {
                "proposedAction": None,
                "rationale": "No runbook fits this incident.",
                "keyClaims": [],
                "confidenceInitial": 0.0,
            }
            return briefs.Reply(answer=nothing, seen=seen)

        answer = {
            "proposedAction": chosen.recommended_action,
            "rationale": f"Runbook {chosen.id} ({chosen.title}) fits what was reported.",
            "keyClaims": list(claims.of(chosen)),
            "confidenceInitial": _confidence(brief, chosen),
            "runbookIds": [chosen.id],
        }
        return briefs.Reply(answer=answer, seen=seen)

    async def stress(self, brief: briefs.Brief, plan: plans.Plan) -> briefs.Reply:
        """Each claim against the evidence, the action against the policies."""
        seen: set[str] = set()
        checked, contradicted = [], 0
        for claim in plan.claims:
            hits = await self._knowledge.search_evidence(claim, service=brief.service, limit=EVIDENCE)
            seen |= {hit.document.id for hit in hits}
            fitting = [hit.document for hit in hits if relevance.concerns(claim, hit.document)]
            against = [one.id for one in fitting if one.stance is documents.Stance.CONTRADICTS]
            contradicted += bool(against)
            supporting = [one.id for one in fitting if one.stance is documents.Stance.SUPPORTS]
            checked.append({"claim": claim, "supporting": supporting, "contradicting": against})
        read = await self._knowledge.fetch_policies(service=brief.service)
        conflicts = policies.PolicySet(read).conflicts(actions=plan.names, severity=values.Severity(brief.severity))
        gives_up = contradicted * 2 > len(plan.claims)
        answer = {
            "claims": checked,
            "policyConflicts": [one.policy for one in conflicts],
            "finalAction": None if gives_up else plan.action,
            "confidencePost": plan.confidence_initial,
            "summary": f"{contradicted} of {len(plan.claims)} claims are contradicted.",
        }
        return briefs.Reply(answer=answer, seen=frozenset(seen))


def _choose(brief: briefs.Brief, hits: Sequence[documents.Hit[documents.Runbook]]) -> documents.Runbook | None:
    fitting = [hit for hit in hits if hit.document.state is documents.Trust.TRUSTED and _fit(brief, hit.document) >= LEAST_FIT]
    if not fitting:
        return None
    best = fitting[0]
    own = next((hit for hit in fitting if hit.document.service == brief.service and hit.score >= NEAR_THE_BEST * best.score), None)
    return (own or best).document


def _fit(brief: briefs.Brief, runbook: documents.Runbook) -> float:
    """The share of the words of the incident that the runbook contains."""
    asked = relevance.words(brief.text)
    if not asked:
        return 0.0
    return len(asked & relevance.words(" ".join((runbook.title, *runbook.tags, *runbook.claims, runbook.body)))) / len(asked)


def _confidence(brief: briefs.Brief, runbook: documents.Runbook) -> float:
    """5 for a fitting runbook, up to 3 more for how well it fits, 1 more when it is the service's own; of 10."""
    return round(5.0 + 3.0 * _fit(brief, runbook) + (1.0 if runbook.service == brief.service else 0.0), 1)
