"""Stress: hold the plan against evidence, policies and live logs. The agent may cite; code looks everything up itself.

What the agent said is asked once and kept on record; everything else is read anew on every pass, so that no verdict ever
rests on what was true some time ago. What cannot be read raises, and the incident waits; only when that has gone on for too
long is it recorded as unknown, so that people can be asked.
"""

from datetime import timedelta

from safety_governor.api import records
from safety_governor.domain import answers, authorities, digests, documents, errors, ledger, plans, telemetry, values
from safety_governor.pipeline import cases, outcomes, ports

SWEEP = 20
"""So many documents of any stance does our own search bring in per claim."""
SWEEP_AGAINST = 200
"""So many documents that contradict; they are searched for by themselves, so that support cannot crowd them out."""

WINDOW = timedelta(minutes=15)
"""Over how much of the live logs the figures run."""


class Stress:
    """Ends with status.stress."""

    def __init__(self, *, agent: ports.Agent, knowledge: ports.Knowledge) -> None:
        self._agent = agent
        self._knowledge = knowledge

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Read everything, verify every citation, count."""
        plan = case.status.plan
        assert plan is not None, "the runner plans before it stresses"  # noqa: S101
        unknowns: list[str] = []
        answer, problems, seen = await self._second_look(case, plan)
        try:
            evidence, texts = await self._ledger(case, plan, answer, seen)
            policies = await self._knowledge.fetch_policies(service=case.incident.spec.service)
            fabricated = await self._fabricated(case, plan, answer, texts)
        except errors.RetryableError as error:
            if not case.give_up_reading:
                raise
            unknowns.append(values.clip(str(error), values.TEXT_LIMIT))
            evidence, policies, fabricated = None, None, ()
        stress = records.Stress(
            ledger=evidence,
            contradiction_count=evidence.contradiction_count if evidence else None,
            evidence_coverage=evidence.coverage if evidence else None,
            policies=None
            if policies is None
            else records.PoliciesRead(count=len(policies), digest=digests.digest([one.model_dump(mode="json") for one in policies])),
            fabricated=fabricated,
            telemetry=await self._telemetry(case, unknowns),
            unknowns=tuple(unknowns)[:8],
            agent=_position(answer, evidence),
            answer_problems=problems,
        )
        return outcomes.Advance(status=case.status.model_copy(update={"stress": stress}))

    async def _second_look(self, case: cases.Case, plan: plans.Plan) -> tuple[answers.StressAnswer | None, tuple[str, ...], frozenset[str]]:
        if case.status.stress is not None:
            return _as_recorded(case.status.stress)
        if plan.action is None:
            # Nothing is proposed, so there is nothing to take a second look at.
            return None, (), frozenset()
        reply = await self._agent.stress(case.brief, plan)
        answer = answers.read_stress(reply.answer, claims=plan.claims)
        if isinstance(answer, answers.Problem):
            return None, (answer.detail,), reply.seen
        return answer, (), reply.seen

    async def _ledger(
        self, case: cases.Case, plan: plans.Plan, answer: answers.StressAnswer | None, seen: frozenset[str]
    ) -> tuple[ledger.Ledger, list[tuple[str, str]]]:
        service = case.incident.spec.service
        texts: list[tuple[str, str]] = []

        async def entry(claim: str, cited: ledger.Cited, *, action: str | None = None, from_runbook: bool = False) -> ledger.Entry:
            known = await self._knowledge.find_evidence((*cited.supporting, *cited.contradicting))
            against = await self._knowledge.search_evidence(
                claim, service=service, limit=SWEEP_AGAINST, stance=documents.Stance.CONTRADICTS
            )
            hits = await self._knowledge.search_evidence(claim, service=service, limit=SWEEP)
            swept = [hit.document for hit in (*against, *hits)]
            made = ledger.enter(
                claim, service=service, cited=cited, known=known, seen=seen, swept=swept, action=action, from_runbook=from_runbook
            )
            counted = {one.document for one in (*made.supporting, *made.contradicting)}
            texts.extend((f"evidence {one.id}", one.text) for one in (*known.values(), *swept) if one.id in counted)
            return made

        claims = [
            await entry(claim, answer.cited(claim) if answer else ledger.Cited(), from_runbook=number < plan.runbook_claims)
            for number, claim in enumerate(plan.claims)
        ]
        about = await entry(plan.action, ledger.Cited(), action=plan.action) if plan.action else None
        return ledger.Ledger(claims=tuple(claims), action=about), list(dict.fromkeys(texts))

    async def _fabricated(
        self, case: cases.Case, plan: plans.Plan, answer: answers.StressAnswer | None, evidence: list[tuple[str, str]]
    ) -> tuple[authorities.Authority, ...]:
        texts = [
            ("the incident", case.brief.text),
            ("the rationale", plan.rationale),
            *(("a claim", claim) for claim in plan.claims),
            *evidence,
        ]
        cited = answer.policy_conflicts if answer else ()
        named = sorted({identifier for _, text in texts for identifier in authorities.policy_ids(text)} | {one.lower() for one in cited})
        existing = frozenset(one.lower() for one in await self._knowledge.find_policies(named)) if named else frozenset()
        invented = tuple(
            authorities.Authority(named=one, found_in="the stress answer", why="no policy has this id")
            for one in cited
            if one.lower() not in existing
        )
        rejected = tuple(
            authorities.Authority(named=one, found_in="the stress answer", why="the agent itself does not believe it")
            for one in (answer.rejected_authorities if answer else ())
        )
        # Nobody is on record as having approved what is about to be gated: an approval names a digest, and that one is not there yet.
        found = authorities.fabricated(texts, existing_policies=existing, recorded_approvers=frozenset())
        return (*found, *invented, *rejected)[:16]

    async def _telemetry(self, case: cases.Case, unknowns: list[str]) -> telemetry.Telemetry | None:
        # Unknown telemetry only warns unless it is required, so it never keeps an incident waiting.
        try:
            figures = await self._knowledge.summarise_logs(service=case.incident.spec.service, until=case.now, window=WINDOW)
        except errors.RetryableError as error:
            unknowns.append(values.clip(str(error), values.TEXT_LIMIT))
            return None
        if figures.lines == 0:
            unknowns.append(f"no log line of {figures.service} in the last {WINDOW.seconds // 60} minutes")
            return None
        return figures


def _position(answer: answers.StressAnswer | None, evidence: ledger.Ledger | None) -> records.AgentPosition | None:
    if answer is None:
        return None
    on_record = {one.document for entry in (evidence.entries if evidence else ()) for one in entry.contradicting}
    named = {one for claim in answer.claims for one in claim.contradicting}
    return records.AgentPosition(
        final_action=answer.final_action,
        confidence_post=answer.confidence_post,
        rejected_authorities=answer.rejected_authorities,
        policy_conflicts=answer.policy_conflicts,
        reported=len(on_record & named) + len(answer.policy_conflicts),
    )


def _as_recorded(recorded: records.Stress) -> tuple[answers.StressAnswer | None, tuple[str, ...], frozenset[str]]:
    """The agent's answer as the record kept it, the citations that were not believed included, and what it had seen then."""
    if recorded.agent is None:
        return None, recorded.answer_problems, frozenset()
    claims, seen = [], set()
    for entry in recorded.ledger.claims if recorded.ledger else ():
        believed = {
            documents.Stance.SUPPORTS: [one.document for one in entry.supporting if one.found_by is ledger.FoundBy.AGENT],
            documents.Stance.CONTRADICTS: [one.document for one in entry.contradicting if one.found_by is ledger.FoundBy.AGENT],
        }
        seen |= {identifier for identifiers in believed.values() for identifier in identifiers}
        seen |= {one.document for one in entry.unchecked if one.why is not ledger.Distrust.NOT_SEEN}
        for doubt in entry.unchecked:
            believed.setdefault(doubt.cited_for, []).append(doubt.document)
        claims.append(
            answers.CheckedClaim(
                claim=entry.claim,
                supporting=tuple(believed[documents.Stance.SUPPORTS]),
                contradicting=tuple(believed[documents.Stance.CONTRADICTS]),
            )
        )
    answer = answers.StressAnswer(
        claims=tuple(claims),
        policy_conflicts=recorded.agent.policy_conflicts,
        final_action=recorded.agent.final_action,
        confidence_post=recorded.agent.confidence_post,
        rejected_authorities=recorded.agent.rejected_authorities,
    )
    return answer, recorded.answer_problems, frozenset(seen)
