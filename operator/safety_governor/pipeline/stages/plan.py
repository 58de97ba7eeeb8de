"""Plan: ask the agent for an action and find its steps in the runbooks that people wrote.

The agent is asked once. On every later pass its recorded action is resolved again, so that a runbook that was changed,
demoted or removed since leads to another plan and with it to another digest. The reliability profile of the model behind the
agent is asked for in the same pass as the plan, and never again: the record of both is what people approve.
"""

from collections.abc import Sequence

from safety_governor.api import records
from safety_governor.domain import answers, documents, errors, plans, resolution
from safety_governor.pipeline import cases, outcomes, ports, profiling

CANDIDATES = 10
"""So many runbooks of our own search are candidates besides those that the agent names."""


class Plan:
    """Ends with status.plan, and with status.scores where a model takes part."""

    def __init__(self, *, agent: ports.Agent, knowledge: ports.Knowledge, profiling: profiling.Profiling) -> None:
        self._agent = agent
        self._knowledge = knowledge
        self._profiling = profiling

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Ask, read strictly, resolve. An answer that cannot be used is recorded as a problem for the gate."""
        if case.status.plan is not None:
            return outcomes.Advance(status=case.status.model_copy(update={"plan": await self._resolve_again(case, case.status.plan)}))
        # Searched for first: while the store does not answer, no agent is asked again and again for what cannot be resolved.
        hits = await self._knowledge.search_runbooks(case.brief.text, service=case.incident.spec.service, limit=CANDIDATES)
        reply = await self._agent.propose(case.brief)
        proposal = answers.read_proposal(reply.answer)
        profile = await self._profiling.profile()
        if isinstance(proposal, answers.Problem):
            nothing = plans.Plan(resolution=plans.Resolution.UNKNOWN_ACTION, resolution_detail=proposal.detail, confidence_initial=0.0)
            stress = records.Stress(answer_problems=(proposal.detail,))
            return outcomes.Advance(status=case.status.model_copy(update={"plan": nothing, "stress": stress, "scores": profile}))
        plan = await self._resolve(case, proposal, hits)
        return outcomes.Advance(status=case.status.model_copy(update={"plan": plan, "scores": profile}))

    async def _resolve(self, case: cases.Case, proposal: plans.Proposal, hits: Sequence[documents.Hit[documents.Runbook]]) -> plans.Plan:
        named = [await self._knowledge.find_runbook(identifier) for identifier in proposal.runbook_ids]
        candidates = [*(one for one in named if one is not None), *(hit.document for hit in hits)]
        return resolution.resolve(proposal, candidates, service=case.incident.spec.service)

    async def _resolve_again(self, case: cases.Case, plan: plans.Plan) -> plans.Plan:
        if plan.action is None:
            # Handed over, or an answer that could not be used: there is nothing to resolve.
            return plan
        try:
            runbook = await self._knowledge.find_runbook(plan.runbook) if plan.runbook else None
        except errors.RetryableError:
            if not case.give_up_reading:
                raise
            # A person has overridden a verdict that says that the store cannot be read; it still cannot.
            return plan
        stated = plans.Proposal(
            proposed_action=plan.action, rationale=plan.rationale, key_claims=plan.claims, confidence_initial=plan.confidence_initial
        )
        return resolution.resolve(stated, [runbook] if runbook else [], service=case.incident.spec.service)
