"""The life-cycle of an approval against an oracle: whatever people, time, crashes and the world do, nothing runs without a valid word.

The machine does at random what may happen to a blocked incident. It keeps its own books of what was asked when, who said what
when, and how the world was; whenever the governor claims or acts, the books must allow it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from safety_governor.domain import approvals, lifecycle, values
from support.builders import CONTRADICTIONS, SERVICE, World, a_policy, evidence

PERMITTED = {"bob", "carol"}
STRENGTH = {"APPROVE": 1, "FORCE_OVERRIDE": 2}


@dataclass(frozen=True)
class Asked:
    """What the books say about one digest."""

    world: str
    required: int
    two: bool
    expires: datetime


@dataclass(frozen=True)
class Said:
    """What the books say about one word."""

    decision: str
    by: str
    at: datetime


class Lifecycle(RuleBasedStateMachine):
    """One incident that two contradictions block."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.asked: dict[str, Asked] = {}
        self.said: dict[str, list[Said]] = {}
        self.claimed: list[str] = []
        self.counter = 0

    def teardown(self) -> None:
        self.loop.close()

    @initialize(severity=st.sampled_from(["medium", "high", "critical"]), two=st.booleans())
    def report(self, severity: str, two: bool) -> None:
        if two:
            self.world.rails.change(approval=approvals.ApprovalRules(two_person_rule=tuple(approvals.TwoPersonCase)))
        self.world.knowledge.put(*CONTRADICTIONS)
        self.world.report(severity=severity)

    def _fingerprint(self) -> str:
        documents = sorted(one.model_dump_json() for one in self.world.knowledge.documents.values())
        deployed = self.world.workloads.stored[SERVICE].template_hash
        # The kill switch says when, not what; it holds what people have released and does not take their word back.
        rules = (one.model_copy(update={"suspend": False}) for one in self.world.rails.policies.values())
        return "\n".join((*documents, deployed, *(one.model_dump_json() for one in rules)))

    @property
    def _digest(self) -> str:
        gate = self.world.status.gate
        return gate.plan_digest if gate else ""

    @rule()
    def operate(self) -> None:
        before, actions, effects = self._fingerprint(), len(self._actions()), len(self.world.workloads.effects)
        self.loop.run_until_complete(self.world.step())
        gate = self.world.status.gate
        if gate is not None and gate.plan_digest not in self.asked and gate.expires_at:
            self.asked[gate.plan_digest] = Asked(
                world=before,
                required=STRENGTH[gate.required_approval],
                two=gate.two_persons,
                expires=datetime.fromisoformat(gate.expires_at),
            )
        if len(self._actions()) > actions:
            self._judge_claim(before)
        if len(self.world.workloads.effects) > effects:
            self._judge_effect()

    def _actions(self) -> tuple[Any, ...]:
        execution = self.world.status.execution
        return execution.actions if execution else ()

    def _judge_claim(self, world: str) -> None:
        now, digest = self.world.clock.now(), self._digest
        asked = self.asked[digest]
        valid = {
            one.by
            for one in self.said.get(digest, [])
            if STRENGTH.get(one.decision, 0) >= asked.required and one.by in PERMITTED and now - one.at < timedelta(minutes=15)
        }
        assert len(valid) >= (2 if asked.two else 1), "claimed without enough valid words of permitted people"
        assert all(one.decision != "REJECT" for one in self.said.get(digest, [])), "claimed in spite of a rejection"
        assert now < asked.expires, "claimed after the question expired"
        assert world == asked.world, "claimed although the world is not what people saw"
        assert not self.world.guard.why, "claimed while nobody knows whether approvals are guarded"
        spec = self.world.incident.spec
        assert not (spec.abort or spec.alert_resolved), "claimed after it was stopped"
        self.claimed.append(digest)

    def _judge_effect(self) -> None:
        assert self._digest in self.claimed, "acted without a claim"
        assert self.world.fence.held, "acted without the Lease"
        assert not any(one.suspend for one in self.world.rails.policies.values()), "acted while suspended"
        spec = self.world.incident.spec
        assert not (spec.abort or spec.alert_resolved or spec.mode == "Observe"), "acted after it was stopped"

    @precondition(lambda self: self.world.status.phase == lifecycle.Phase.AWAITING_APPROVAL)
    @rule(
        decision=st.sampled_from(["APPROVE", "FORCE_OVERRIDE", "REJECT"]),
        by=st.sampled_from(["alice", "bob", "carol"]),
        second=st.booleans(),
    )
    def decide(self, decision: str, by: str, second: bool) -> None:
        """As the API server lets it through: about the current digest, once, and alice only to reject, as she reported it."""
        spec = self.world.incident.spec
        present = spec.second_approval if second else spec.approval
        if (present is not None and present.plan_digest == self._digest) or (by == "alice" and decision != "REJECT"):
            return
        self.world.decide(decision, by=by, second=second)
        self.said.setdefault(self._digest, []).append(Said(decision, by, self.world.clock.now()))

    @precondition(lambda self: self.world.status.phase == lifecycle.Phase.AWAITING_APPROVAL)
    @rule(then=st.sampled_from(["nothing", "nothing", "template", "evidence", "policy", "guardrails", "a long wait"]))
    def release_properly(self, then: str) -> None:
        """The people say what it takes; perhaps something happens right then; and the operator looks a few times."""
        asked = self.asked[self._digest]
        word = "APPROVE" if asked.required == 1 else "FORCE_OVERRIDE"
        self.decide(word, "bob", False)
        if asked.two:
            self.decide(word, "carol", True)
        if then == "a long wait":
            self.world.clock.advance(seconds=901)
        elif then != "nothing":
            self.change_world(then)
        for _ in range(3):
            self.operate()

    @rule()
    def heal(self) -> None:
        """Whatever is broken works again."""
        self.world.guard.why, self.world.knowledge.down, self.world.fence.held = "", "", True
        self.world.rails.change(suspend=False)

    @rule(by=st.sampled_from(["alice", "bob"]))
    def forge(self, by: str) -> None:
        """A word that slipped past the API server: of the requester, or about a digest of the past."""
        present = self.world.incident.spec.approval
        if (
            self.world.status.gate is None
            or self.world.incident.is_finished
            or (present is not None and present.plan_digest == self._digest)
        ):
            return
        if by == "alice":
            self.world.decide("FORCE_OVERRIDE", by="alice")
        else:
            self.world.decide("FORCE_OVERRIDE", by="bob", digest="sha256:" + "f" * 64)

    @rule(seconds=st.sampled_from([1, 30, 120, 600, 901, 1801]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds=seconds)

    @rule(what=st.sampled_from(["template", "evidence", "policy", "guardrails"]))
    def change_world(self, what: str) -> None:
        self.counter += 1
        match what:
            case "template":
                self.world.workloads.deploy(SERVICE, image=f"v{self.counter + 1}")
            case "evidence":
                self.world.knowledge.put(evidence(f"ev-new-{self.counter}", CONTRADICTIONS[0].text, stance="contradicts"))
            case "policy":
                self.world.knowledge.put(a_policy(f"pol-{self.counter}", severities=["low"]))
            case _:
                self.world.rails.change(require_telemetry=bool(self.counter % 2))

    @rule(suspended=st.sampled_from([True, False, False]))
    def suspend(self, suspended: bool) -> None:
        self.world.rails.change(suspend=suspended)

    @rule(doubt=st.sampled_from(["", "", "the policy is gone"]))
    def guard(self, doubt: str) -> None:
        self.world.guard.why = doubt

    @rule(held=st.sampled_from([True, True, False]))
    def lease(self, held: bool) -> None:
        self.world.fence.held = held

    @rule(store=st.sampled_from(["", "", "the disk is full"]))
    def outage(self, store: str) -> None:
        self.world.knowledge.down = store

    @rule()
    def restart_operator(self) -> None:
        """Everything that only a process knows is gone."""
        self.world.past._reserved.clear()
        self.world.past._past.clear()
        self.world.past.learn(self.world.incident)

    @precondition(lambda self: not self.world.incident.is_finished)
    @rule(how=st.sampled_from(["abort", "alert_resolved", "mode"]), really=st.integers(0, 12))
    def stop(self, how: str, really: int) -> None:
        if really == 0:
            self.world.change(**{how: values.Mode.OBSERVE if how == "mode" else True})

    @invariant()
    def one_effect_for_one_digest(self) -> None:
        effects = self.world.workloads.effects
        assert len(effects) == len(set(effects)), "one key had two effects"
        assert len(effects) <= len(set(self.claimed)), "more effects than digests that were released"

    @invariant()
    def nothing_changes_after_the_end(self) -> None:
        if (("shop", "slow") in self.world.incidents.stored) and self.world.incident.is_finished:
            before = self.world.status
            self.loop.run_until_complete(self.world.step())
            assert self.world.status == before


Lifecycle.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
TestLifecycle = Lifecycle.TestCase
