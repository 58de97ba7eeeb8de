"""Who may release what, report what and write what: every case on the real API server, by the identity that it names. No operator runs.

Each table runs twice: as on Kubernetes 1.36, which stamps names, and as on 1.30 to 1.35, which can only ask for them.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from support.admission import APPROVAL, DIGEST, MARKS, NEW_DIGEST, STAMPS, STATE, Answer, Court, Stored, incident, word, workload
from testbed import ControlPlane, wait_until

CRDS = Path(__file__).parents[2] / "crds"
REASON = "Nobody can pay and the pool is known to be the cause"

ASKED = Stored()
"""Waits for people, and nobody has said anything."""

Operation: TypeAlias = Callable[[Court, str, str], Answer]
"""What is done: in this court, by whom, to which incident or workload."""


@dataclass(frozen=True)
class Refused:
    """By whom, and with which sentence."""

    by: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Allowed:
    """And what the API server shows of the object then."""

    shows: str = ""


Expected: TypeAlias = Refused | Allowed


@dataclass(frozen=True, kw_only=True)
class Case:
    """Somebody does something to a stored incident."""

    who: str
    does: Operation
    expected: Expected
    unstamped: Expected | None = None
    """What is expected where the API server does not stamp, if that is something else."""
    stored: Stored = ASKED


def by_approval(sentence: str) -> Refused:
    return Refused(("(Forbidden)", f"ValidatingAdmissionPolicy '{APPROVAL}'"), sentence)


def by_state(sentence: str) -> Refused:
    return Refused(("(Forbidden)", f"ValidatingAdmissionPolicy '{STATE}'"), sentence)


def by_marks(sentence: str) -> Refused:
    return Refused(("(Forbidden)", f"ValidatingAdmissionPolicy '{MARKS}'"), sentence)


def by_definition(sentence: str) -> Refused:
    return Refused(("is invalid",), sentence)


def by_rights(sentence: str) -> Refused:
    return Refused(("(Forbidden)",), sentence)


def judge(answer: Answer, expected: Expected) -> None:
    """Nothing else than what is expected."""
    if isinstance(expected, Allowed):
        assert answer.allowed, answer.said
        assert expected.shows in answer.said
    else:
        assert not answer.allowed, f"this must be refused: {answer.said}"
        for part in (*expected.by, expected.sentence):
            assert part in answer.said


# What people and machines do

OWN = "the own name"


def says(
    decision: str, *, by: str | None = OWN, at: str = "approval", digest: str = DIGEST, version: str | None = None, **more: str
) -> Operation:
    """Decide; `by` is the approver that is named, None for nobody."""

    def do(court: Court, who: str, name: str) -> Answer:
        named = court.username(who) if by == OWN else by
        body: dict[str, Any] = {"spec": {at: word(decision, named, digest=digest, **more)}}
        if version is not None:
            body["metadata"] = {"resourceVersion": version}
        return court.asks_to_patch(who, f"incident/{name}", body)

    return do


def says_both(first: dict[str, str], second: dict[str, str]) -> Operation:
    """Fill both approvals at once."""

    def do(court: Court, who: str, name: str) -> Answer:
        user = court.username(who)
        both = {"approval": {"approver": user, **first}, "secondApproval": {"approver": user, **second}}
        return court.asks_to_patch(who, f"incident/{name}", {"spec": both})

    return do


def reports(*, by: str | None = OWN, annotations: dict[str, str] | None = None, **spec: Any) -> Operation:
    """Create an incident."""

    def do(court: Court, who: str, name: str) -> Answer:
        named = court.username(who) if by == OWN else by
        body = incident(f"{name}-new", court.namespace, **({} if named is None else {"requestedBy": named}), **spec)
        body["metadata"]["annotations"] = annotations or {}
        return court.asks_to_create(who, body)

    return do


def copies(*, into: str) -> Operation:
    """Take an incident that bob has approved, and carry it or its approval elsewhere."""

    def do(court: Court, who: str, name: str) -> Answer:
        approved = court.read(f"incident/{court.find(APPROVED)}")
        if into == "a new incident":
            approved["metadata"] = {"name": f"{name}-copy", "namespace": court.namespace}
            return court.asks_to_create(who, approved)
        return court.asks_to_patch(who, f"incident/{name}", {"spec": {"approval": approved["spec"]["approval"]}})

    return do


def changes(**spec: Any) -> Operation:
    """Merge something into spec."""
    return lambda court, who, name: court.asks_to_patch(who, f"incident/{name}", {"spec": spec})


def applies_again(*args: str, **spec: Any) -> Operation:
    """Apply the manifest as it stands in Git."""

    def do(court: Court, who: str, name: str) -> Answer:
        stored = court.read(f"incident/{name}")
        manifest = incident(name, court.namespace, requestedBy=stored["spec"]["requestedBy"], **spec)
        return court.ask(who, "apply", *args, "-f", "-", "-o", "json", stdin=json.dumps(manifest))

    return do


def applies_approval(court: Court, who: str, name: str) -> Answer:
    """Own the approval by server-side apply, and no other field."""
    approval = word("APPROVE", court.username(who))
    own = {**incident(name, court.namespace), "spec": {"approval": approval}}
    args = ("--server-side", f"--field-manager={who}", "-f", "-", "-o", "json")
    return court.ask(who, "apply", *args, stdin=json.dumps(own))


def replaces(court: Court, who: str, name: str) -> Answer:
    """Put the manifest in the place of what is there, which drops the approval."""
    manifest = incident(name, court.namespace, requestedBy="alice")
    return court.ask(who, "replace", "-f", "-", "-o", "json", stdin=json.dumps(manifest))


def writes_status(phase: str, digest: str = DIGEST) -> Operation:
    """Replace the status."""

    def do(court: Court, who: str, name: str) -> Answer:
        against = court.write_status(name, phase, digest, user=who)
        return Answer(allowed=not against, said=f"(Forbidden): {against}" if "forbidden" in against else f"is invalid {against}")

    return do


def drops_phase(court: Court, who: str, name: str) -> Answer:
    return court.asks_to_patch(who, f"incident/{name}", {"status": {"phase": None}}, "--subresource=status")


def patches_status_of_the_policy(court: Court, who: str, name: str) -> Answer:
    return court.asks_to_patch(who, "remediationpolicy/default", {"status": {"observedGeneration": 7}}, "--subresource=status")


def annotates(**annotations: str | None) -> Operation:
    """Annotate the incident; a key without a prefix gets ours."""
    prefixed = {f"safetygovernor.io/{key}": value for key, value in annotations.items()}
    return lambda court, who, name: court.asks_to_patch(who, f"incident/{name}", {"metadata": {"annotations": prefixed}})


def removes_an_annotation_of_the_operator(court: Court, who: str, name: str) -> Answer:
    assert annotates(seen="yes")(court, "operator", name).allowed
    return annotates(seen=None)(court, who, name)


def kubectl(*args: str) -> Operation:
    """Any command; NAME stands for the incident."""
    return lambda court, who, name: court.ask(who, *(one.replace("NAME", name) for one in args))


NEW = Stored(phase=None)
BY_DAVE = Stored(reporter="dave")
BY_ADMIN = Stored(reporter="admin")
APPROVED = Stored(said={"approval": word("APPROVE", "bob")})
VOID = Stored(said={"approval": word("APPROVE", "bob")}, regated=True)
DONE = Stored(said={"approval": word("APPROVE", "bob")}, phase="Resolved")

_NEVER = "is a part of Safety Governor and can never decide about an incident, whatever its rights"
_NO_VERB = "that takes the verb approve on incidents.safetygovernor.io"
_STALE = "must name the current status.gate.planDigest while the incident awaits approval"
_ONCE = "is written once for that digest"
_DUTIES = "cannot release it (separation of duties)"
_TWO = "spec.approval and spec.secondApproval must be by two different people"
_BORN = "an incident cannot be created already approved"
_MACHINE = "is not a person and decides nothing by itself; name the person who decided in onBehalfOf"
_SHORT = "FORCE_OVERRIDE takes a reason of at least 20 characters"
_STATUS = "status is written by the operator alone"
_NOTES = "annotations of an incident under safetygovernor.io/ are written by the operator alone"

REPORTING = {
    "a reporter reports in the own name": Case(who="alice", does=reports(), expected=Allowed('"requestedBy": "alice"')),
    "a reporter names nobody": Case(
        who="alice",
        does=reports(by=None),
        expected=Allowed('"requestedBy": "alice"'),
        unstamped=by_approval("spec.requestedBy must be alice, who creates the incident; write that name there"),
    ),
    "a reporter names somebody else": Case(
        who="alice",
        does=reports(by="bob"),
        expected=Allowed('"requestedBy": "alice"'),
        unstamped=by_approval("spec.requestedBy must be alice"),
    ),
    "the alert receiver reports": Case(
        who="alerts", does=reports(), expected=Allowed('"requestedBy": "system:serviceaccount:governor-system:governor-alerts"')
    ),
    "whoever may edit may report": Case(who="eve", does=reports(), expected=Allowed('"requestedBy": "eve"')),
    "whoever may only approve may not report": Case(
        who="bob-the-other", does=reports(), expected=by_rights('cannot create resource "incidents"')
    ),
    "whoever may only view may not report": Case(who="frank", does=reports(), expected=by_rights('cannot create resource "incidents"')),
    "a stranger may not report": Case(who="mallory", does=reports(), expected=by_rights('cannot create resource "incidents"')),
    "a reporter reports it approved": Case(who="alice", does=reports(approval=word("APPROVE", "alice")), expected=by_approval(_BORN)),
    "a reporter reports it approved by somebody else": Case(
        who="alice", does=reports(approval=word("APPROVE", "bob")), expected=by_approval(_BORN)
    ),
    "a reporter reports it with the second approval": Case(
        who="alice", does=reports(secondApproval=word("APPROVE", "bob")), expected=by_approval(_BORN)
    ),
    "a reporter reports it rejected": Case(who="alice", does=reports(approval=word("REJECT", "alice")), expected=by_approval(_BORN)),
    "the administrator reports it approved": Case(
        who="admin", does=reports(approval=word("APPROVE", "admin")), expected=by_approval(_BORN)
    ),
    "the operator reports it approved, as its self-test does": Case(
        who="operator", does=reports(by="nobody", approval=word("APPROVE", "nobody")), expected=by_approval(_BORN)
    ),
    "a reporter aborts": Case(who="alice", does=changes(abort=True), expected=Allowed('"abort": true')),
    "a reporter changes who reported": Case(
        who="alice", does=changes(requestedBy="bob"), expected=by_definition("requestedBy is immutable")
    ),
    "the administrator removes who reported": Case(
        who="admin", does=changes(requestedBy=None), expected=by_definition("requestedBy is immutable")
    ),
}

DECIDING = {
    "an approver approves": Case(who="bob", does=says("APPROVE"), expected=Allowed('"approver": "bob"')),
    "an approver rejects": Case(who="bob", does=says("REJECT"), expected=Allowed('"decision": "REJECT"')),
    "an approver approves by server-side apply": Case(who="bob", does=applies_approval, expected=Allowed('"approver": "bob"')),
    "an approver names nobody": Case(
        who="bob", does=says("APPROVE", by=None), expected=Allowed('"approver": "bob"'), unstamped=by_definition("spec.approval.approver")
    ),
    "an approver names somebody else": Case(
        who="bob",
        does=says("APPROVE", by="carol"),
        expected=Allowed('"approver": "bob"'),
        unstamped=by_approval("approver must be bob, who sends this"),
    ),
    "an approver names somebody else in the second approval": Case(
        who="bob",
        does=says("APPROVE", by="carol", at="secondApproval"),
        expected=Allowed('"approver": "bob"'),
        unstamped=by_approval("approver must be bob, who sends this"),
    ),
    "an overrider overrides with a reason": Case(
        who="carol", does=says("FORCE_OVERRIDE", reason=REASON), expected=Allowed('"FORCE_OVERRIDE"')
    ),
    "an overrider approves": Case(who="carol", does=says("APPROVE"), expected=Allowed('"approver": "carol"')),
    "an overrider overrides without a reason": Case(who="carol", does=says("FORCE_OVERRIDE"), expected=by_definition(_SHORT)),
    "an overrider overrides with a short reason": Case(
        who="carol", does=says("FORCE_OVERRIDE", reason="x" * 19), expected=by_definition(_SHORT)
    ),
    "an overrider overrides with spaces for a reason": Case(
        who="carol", does=says("FORCE_OVERRIDE", reason=" " * 19 + "because" + " " * 19), expected=by_definition(_SHORT)
    ),
    "an approver overrides": Case(
        who="bob",
        does=says("FORCE_OVERRIDE", reason=REASON),
        expected=by_approval("that takes the verb force-override on incidents.safetygovernor.io"),
    ),
    "the administrator approves": Case(who="admin", does=says("APPROVE"), expected=Allowed('"approver": "admin"')),
    "an editor approves": Case(who="eve", does=says("APPROVE"), expected=by_approval(_NO_VERB)),
    "an editor rejects": Case(who="eve", does=says("REJECT"), expected=by_approval(_NO_VERB)),
    "an editor approves in the name of an approver": Case(who="eve", does=says("APPROVE", by="bob"), expected=by_approval(_NO_VERB)),
    "an owner of the namespace approves": Case(who="heidi", does=says("APPROVE"), expected=by_approval(_NO_VERB)),
    "a viewer approves": Case(who="frank", does=says("APPROVE"), expected=by_rights('cannot patch resource "incidents"')),
    "an author of guard-rails approves": Case(who="grace", does=says("APPROVE"), expected=by_rights('cannot patch resource "incidents"')),
    "a stranger approves": Case(who="mallory", does=says("APPROVE"), expected=by_rights("incidents")),
    # Which plan, and when
    "an approver approves another digest": Case(who="bob", does=says("APPROVE", digest=NEW_DIGEST), expected=by_definition(_STALE)),
    "an approver approves before the gate has asked": Case(who="bob", does=says("APPROVE"), stored=NEW, expected=by_definition(_STALE)),
    "an approver approves while it is planned": Case(
        who="bob", does=says("APPROVE"), stored=Stored(phase="Planning"), expected=by_definition(_STALE)
    ),
    "an approver approves while it is executed": Case(
        who="bob", does=says("APPROVE"), stored=Stored(phase="Executing"), expected=by_definition(_STALE)
    ),
    "an approver approves an expired incident": Case(
        who="bob", does=says("APPROVE"), stored=Stored(phase="Expired"), expected=by_definition(_STALE)
    ),
    "an approver approves an aborted incident": Case(
        who="bob", does=says("APPROVE"), stored=Stored(phase="Aborted", aborted=True), expected=by_definition(_STALE)
    ),
    "an approver approves a finished incident": Case(
        who="bob", does=says("APPROVE"), stored=Stored(phase="Resolved"), expected=by_definition(_STALE)
    ),
    "an approver approves a blocked incident": Case(
        who="bob", does=says("APPROVE"), stored=Stored(phase="Blocked"), expected=by_definition(_STALE)
    ),
    "the administrator approves an expired incident": Case(
        who="admin", does=says("APPROVE"), stored=Stored(phase="Expired"), expected=by_definition(_STALE)
    ),
    "an approver approves what was changed meanwhile": Case(
        who="bob", does=says("APPROVE", version="1"), expected=Refused(("(Conflict)",), "the object has been modified")
    ),
    "an approver copies an approved incident": Case(who="dave", does=copies(into="a new incident"), expected=by_approval(_BORN)),
    "the administrator copies an approved incident": Case(who="admin", does=copies(into="a new incident"), expected=by_approval(_BORN)),
    "an editor copies bob's approval from another incident": Case(who="eve", does=copies(into="another"), expected=by_approval(_NO_VERB)),
    "an approver copies bob's approval from another incident": Case(
        who="dave",
        does=copies(into="another"),
        expected=Allowed('"approver": "dave"'),
        unstamped=by_approval("approver must be dave, who sends this"),
    ),
    "an approver copies bob's approval into one with another digest": Case(
        who="dave", does=copies(into="another"), stored=Stored(regated=True), expected=by_definition(_STALE)
    ),
    # Who asked does not release
    "a reporter approves": Case(who="alice", does=says("APPROVE"), expected=by_approval(_NO_VERB)),
    "an approver approves the own incident": Case(
        who="dave", does=says("APPROVE"), stored=BY_DAVE, expected=by_approval("dave reported incident")
    ),
    "an approver gives the second approval to the own incident": Case(
        who="dave", does=says("APPROVE", at="secondApproval"), stored=BY_DAVE, expected=by_approval(_DUTIES)
    ),
    "an approver rejects the own incident": Case(who="dave", does=says("REJECT"), stored=BY_DAVE, expected=Allowed('"decision": "REJECT"')),
    "the administrator approves the own incident": Case(who="admin", does=says("APPROVE"), stored=BY_ADMIN, expected=by_approval(_DUTIES)),
    "the administrator approves the own incident on behalf of somebody": Case(
        who="admin", does=says("APPROVE", onBehalfOf="bob"), stored=BY_ADMIN, expected=by_approval(_DUTIES)
    ),
    "the administrator overrides the own incident": Case(
        who="admin", does=says("FORCE_OVERRIDE", reason=REASON), stored=BY_ADMIN, expected=by_approval(_DUTIES)
    ),
}

MACHINES = {
    "the operator approves": Case(who="operator", does=says("APPROVE"), expected=by_approval(_NEVER)),
    "the operator rejects": Case(who="operator", does=says("REJECT"), expected=by_approval(_NEVER)),
    "the operator overrides": Case(who="operator", does=says("FORCE_OVERRIDE", reason=REASON), expected=by_approval(_NEVER)),
    "the operator approves on behalf of an approver": Case(
        who="operator", does=says("APPROVE", onBehalfOf="bob"), expected=by_approval(_NEVER)
    ),
    "the operator gives the second approval": Case(
        who="operator", does=says("APPROVE", at="secondApproval"), stored=APPROVED, expected=by_approval(_NEVER)
    ),
    "the operator approves in the name of an approver": Case(who="operator", does=says("APPROVE", by="bob"), expected=by_approval(_NEVER)),
    "the MCP server approves": Case(who="mcp", does=says("APPROVE"), expected=by_approval(_NEVER)),
    "the MCP server approves on behalf of an approver": Case(
        who="mcp", does=says("APPROVE", onBehalfOf="bob"), expected=by_approval(_NEVER)
    ),
    "the alert receiver approves": Case(who="alerts", does=says("APPROVE"), expected=by_approval(_NEVER)),
    "the alert receiver approves on behalf of an approver": Case(
        who="alerts", does=says("APPROVE", onBehalfOf="bob"), expected=by_approval(_NEVER)
    ),
    "the executor approves": Case(who="executor", does=says("APPROVE"), expected=by_approval(_NEVER)),
    "the executor approves on behalf of an approver": Case(
        who="executor", does=says("APPROVE", onBehalfOf="bob"), expected=by_approval(_NEVER)
    ),
    "the executor of another namespace approves": Case(
        who="system:serviceaccount:elsewhere:governor-executor", does=says("APPROVE"), expected=by_approval(_NEVER)
    ),
    "the chat bridge approves by itself": Case(who="slack", does=says("APPROVE"), expected=by_approval(_MACHINE)),
    "the chat bridge rejects by itself": Case(who="slack", does=says("REJECT"), expected=by_approval(_MACHINE)),
    "the chat bridge approves on behalf of an approver": Case(
        who="slack", does=says("APPROVE", onBehalfOf="bob"), expected=Allowed('"onBehalfOf": "bob"')
    ),
    "the chat bridge approves on behalf of who asked": Case(
        who="slack", does=says("APPROVE", onBehalfOf="alice"), expected=by_approval(_DUTIES)
    ),
    "the chat bridge rejects on behalf of who asked": Case(
        who="slack", does=says("REJECT", onBehalfOf="alice"), expected=Allowed('"decision": "REJECT"')
    ),
    "the chat bridge approves on behalf of a machine": Case(
        who="slack",
        does=says("APPROVE", onBehalfOf="system:serviceaccount:governor-system:governor-operator"),
        expected=by_approval("onBehalfOf must name a person"),
    ),
    "the chat bridge approves on behalf of who asked, written otherwise": Case(
        who="slack", does=says("APPROVE", onBehalfOf=" alice"), expected=by_approval("onBehalfOf must name a person")
    ),
    "the chat bridge approves on behalf of a space": Case(
        who="slack", does=says("APPROVE", onBehalfOf=" "), expected=by_approval("onBehalfOf must name a person")
    ),
    "the chat bridge overrides on behalf of an overrider": Case(
        who="slack",
        does=says("FORCE_OVERRIDE", onBehalfOf="carol", reason=REASON),
        expected=by_approval("that takes the verb force-override"),
    ),
    "the chat bridge claims to be the person": Case(
        who="slack",
        does=says("APPROVE", by="bob", onBehalfOf="bob"),
        expected=Allowed('"approver": "system:serviceaccount:governor-system:governor-slack"'),
        unstamped=by_approval("approver must be system:serviceaccount:governor-system:governor-slack"),
    ),
    "a machine with the verb approve approves": Case(
        who="system:serviceaccount:{namespace}:robot", does=says("APPROVE"), expected=by_approval(_MACHINE)
    ),
    "a machine with the verb approve approves on behalf of an approver": Case(
        who="system:serviceaccount:{namespace}:robot",
        does=says("APPROVE", onBehalfOf="bob"),
        expected=by_approval("that takes the verb approve-on-behalf"),
    ),
    "a component of the cluster with the verb approve approves": Case(
        who="scheduler", does=says("APPROVE"), expected=by_approval(_MACHINE)
    ),
    "an approver approves on behalf of another": Case(
        who="bob", does=says("APPROVE", onBehalfOf="carol"), expected=by_approval("bob may not decide on behalf of somebody else")
    ),
}

AFTERWARDS = {
    "another approver changes it to a rejection": Case(who="carol", does=says("REJECT"), stored=APPROVED, expected=by_definition(_ONCE)),
    "the approver says it again": Case(who="bob", does=says("APPROVE"), stored=APPROVED, expected=Allowed('"approver": "bob"')),
    "the approver gives another reason": Case(
        who="bob", does=says("APPROVE", reason="no, wait"), stored=APPROVED, expected=by_definition(_ONCE)
    ),
    "an editor changes the reason": Case(who="eve", does=changes(approval={"reason": "x"}), stored=APPROVED, expected=by_definition(_ONCE)),
    "the approver takes it back": Case(
        who="bob", does=changes(approval=None), stored=APPROVED, expected=by_definition("approval cannot be taken back; set abort to true")
    ),
    "the approver aborts": Case(who="bob", does=changes(abort=True), stored=APPROVED, expected=Allowed('"abort": true')),
    "an editor applies the manifest again": Case(who="eve", does=applies_again(), stored=APPROVED, expected=Allowed('"approver": "bob"')),
    "an editor applies the manifest again on the server": Case(
        who="eve", does=applies_again("--server-side", "--force-conflicts"), stored=APPROVED, expected=Allowed('"approver": "bob"')
    ),
    "an editor applies a manifest with an approval of another": Case(
        who="eve",
        does=applies_again("--server-side", "--force-conflicts", approval=word("APPROVE", "carol")),
        stored=ASKED,
        expected=by_approval(_NO_VERB),
    ),
    "the administrator replaces it by the manifest": Case(
        who="admin", does=replaces, stored=APPROVED, expected=by_definition("approval cannot be taken back")
    ),
    "an approver approves a finished incident anew": Case(who="carol", does=says("APPROVE"), stored=DONE, expected=by_definition(_STALE)),
    "an editor applies the manifest of a finished incident again": Case(
        who="eve", does=applies_again(), stored=DONE, expected=Allowed('"approver": "bob"')
    ),
    # Asked anew under another digest
    "the approver approves the new digest": Case(
        who="bob", does=says("APPROVE", digest=NEW_DIGEST), stored=VOID, expected=Allowed(f'"planDigest": "{NEW_DIGEST}"')
    ),
    "another approver replaces the void approval": Case(
        who="carol", does=says("APPROVE", digest=NEW_DIGEST), stored=VOID, expected=Allowed('"approver": "carol"')
    ),
    "an editor carries the void approval over": Case(
        who="eve", does=changes(approval={"planDigest": NEW_DIGEST}), stored=VOID, expected=by_approval(_NO_VERB)
    ),
    "another approver carries the void approval over": Case(
        who="dave",
        does=changes(approval={"planDigest": NEW_DIGEST}),
        stored=VOID,
        expected=Allowed('"approver": "dave"'),
        unstamped=by_approval("approver must be dave"),
    ),
    "the operator carries the void approval over": Case(
        who="operator", does=changes(approval={"planDigest": NEW_DIGEST}), stored=VOID, expected=by_approval(_NEVER)
    ),
    "an approver repeats the void approval": Case(who="dave", does=says("APPROVE"), stored=VOID, expected=by_definition(_STALE)),
    "an editor applies the manifest again under a void approval": Case(
        who="eve", does=applies_again(), stored=VOID, expected=Allowed('"approver": "bob"')
    ),
}

SECOND = {
    "another approver agrees": Case(
        who="dave", does=says("APPROVE", at="secondApproval"), stored=APPROVED, expected=Allowed('"approver": "dave"')
    ),
    "another approver rejects": Case(
        who="dave", does=says("REJECT", at="secondApproval"), stored=APPROVED, expected=Allowed('"decision": "REJECT"')
    ),
    "the same approver agrees": Case(who="bob", does=says("APPROVE", at="secondApproval"), stored=APPROVED, expected=by_approval(_TWO)),
    "the same approver agrees, the other way round": Case(
        who="bob",
        does=says("APPROVE"),
        stored=Stored(said={"secondApproval": word("APPROVE", "bob")}),
        expected=by_approval(_TWO),
    ),
    "the same approver agrees through the chat bridge": Case(
        who="slack", does=says("APPROVE", at="secondApproval", onBehalfOf="bob"), stored=APPROVED, expected=by_approval(_TWO)
    ),
    "another approver agrees through the chat bridge": Case(
        who="slack", does=says("APPROVE", at="secondApproval", onBehalfOf="dave"), stored=APPROVED, expected=Allowed('"onBehalfOf": "dave"')
    ),
    "an editor agrees": Case(who="eve", does=says("APPROVE", at="secondApproval"), stored=APPROVED, expected=by_approval(_NO_VERB)),
    "who asked agrees": Case(who="alice", does=says("APPROVE", at="secondApproval"), stored=APPROVED, expected=by_approval(_NO_VERB)),
    "an approver agrees first": Case(who="dave", does=says("APPROVE", at="secondApproval"), expected=Allowed('"approver": "dave"')),
    "an approver says both at once": Case(who="bob", does=says_both(word("APPROVE"), word("APPROVE")), expected=by_approval(_TWO)),
    "the administrator says both at once on behalf of two people": Case(
        who="admin",
        does=says_both(word("APPROVE", onBehalfOf="bob"), word("APPROVE", onBehalfOf="dave")),
        expected=by_approval(_TWO),
    ),
    "the chat bridge passes on two people at once": Case(
        who="slack",
        does=says_both(word("APPROVE", onBehalfOf="bob"), word("APPROVE", onBehalfOf="dave")),
        expected=Allowed('"onBehalfOf": "dave"'),
    ),
    "whose first approval is void agrees second": Case(
        who="bob", does=says("APPROVE", at="secondApproval", digest=NEW_DIGEST), stored=VOID, expected=Allowed(NEW_DIGEST)
    ),
    "an approver overrides second": Case(
        who="dave",
        does=says("FORCE_OVERRIDE", at="secondApproval", reason=REASON),
        stored=APPROVED,
        expected=by_approval("that takes the verb force-override"),
    ),
    "the second approval is taken back": Case(
        who="dave",
        does=changes(secondApproval=None),
        stored=Stored(said={"secondApproval": word("APPROVE", "dave")}),
        expected=by_definition("secondApproval cannot be taken back"),
    ),
}

STATE_CASES = {
    "the operator writes the status": Case(who="operator", does=writes_status("AwaitingApproval"), stored=NEW, expected=Allowed()),
    "the operator asks anew over an approval": Case(
        who="operator", does=writes_status("AwaitingApproval", NEW_DIGEST), stored=APPROVED, expected=Allowed()
    ),
    "the operator finishes it": Case(who="operator", does=writes_status("Resolved"), stored=APPROVED, expected=Allowed()),
    "the operator revives a finished incident": Case(
        who="operator", does=writes_status("Executing"), stored=DONE, expected=by_definition("status.phase is final")
    ),
    "the operator forgets the phase of a finished incident": Case(
        who="operator", does=drops_phase, stored=DONE, expected=by_definition("status.phase is final")
    ),
    "the administrator writes the status": Case(who="admin", does=writes_status("Gated"), expected=by_state(_STATUS)),
    "the administrator patches the status": Case(who="admin", does=drops_phase, expected=by_state(_STATUS)),
    "the MCP server writes the status": Case(who="mcp", does=writes_status("Gated"), expected=by_state(_STATUS)),
    "the executor writes the status": Case(who="executor", does=drops_phase, expected=by_state(_STATUS)),
    "an overrider writes the status": Case(who="carol", does=drops_phase, expected=by_rights('cannot get resource "incidents/status"')),
    "an editor writes the status": Case(who="eve", does=drops_phase, expected=by_rights('resource "incidents/status"')),
    "the administrator writes the status of the guard-rails": Case(
        who="admin",
        does=patches_status_of_the_policy,
        expected=by_state(_STATUS),
    ),
    "the operator writes the status of the guard-rails": Case(
        who="operator", does=patches_status_of_the_policy, expected=Allowed('"observedGeneration": 7')
    ),
    "the operator annotates": Case(who="operator", does=annotates(seen="yes"), expected=Allowed('"safetygovernor.io/seen": "yes"')),
    "the administrator annotates as the operator does": Case(who="admin", does=annotates(seen="yes"), expected=by_state(_NOTES)),
    "an approver annotates as the operator does": Case(who="bob", does=annotates(seen="yes"), expected=by_state(_NOTES)),
    "an editor removes an annotation of the operator": Case(
        who="eve", does=removes_an_annotation_of_the_operator, expected=by_state(_NOTES)
    ),
    "a reporter reports it annotated as the operator does": Case(
        who="alice", does=reports(annotations={"safetygovernor.io/seen": "yes"}), expected=by_state(_NOTES)
    ),
    "an editor annotates with another prefix": Case(
        who="eve", does=kubectl("annotate", "incident/NAME", "example.com/seen=yes"), expected=Allowed("annotated")
    ),
}

LOOKING = {
    "the table": Case(who="frank", does=kubectl("get", "incidents", "NAME"), expected=Allowed("AwaitingApproval")),
    "the wide table": Case(
        who="frank", does=kubectl("get", "incidents", "NAME", "-o", "wide"), stored=APPROVED, expected=Allowed("REASON")
    ),
    "by phase": Case(
        who="frank", does=kubectl("get", "incidents", "--field-selector", "status.phase=AwaitingApproval"), expected=Allowed("case-")
    ),
    "by category": Case(who="frank", does=kubectl("get", "governor"), expected=Allowed("case-")),
    "a wait for the phase": Case(
        who="frank",
        does=kubectl("wait", "--for=jsonpath={.status.phase}=AwaitingApproval", "incident/NAME", "--timeout=5s"),
        expected=Allowed("condition met"),
    ),
    "who one is": Case(who="bob", does=kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"), expected=Allowed("bob")),
}

CASES = {
    f"{table}, {sentence}": case
    for table, cases in {
        "reporting": REPORTING,
        "deciding": DECIDING,
        "machines": MACHINES,
        "afterwards": AFTERWARDS,
        "second person": SECOND,
        "state": STATE_CASES,
        "looking": LOOKING,
    }.items()
    for sentence, case in cases.items()
}


@pytest.fixture(scope="module", params=["stamped", "unstamped"])
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def court(cluster: ControlPlane, server: str) -> Iterator[Court]:
    yield Court(cluster, stamped=server == "stamped")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRDS / "admission-stamp.yaml")
    for one in STAMPS:
        cluster.kubectl("patch", "mutatingadmissionpolicybinding", one, "--type=merge", "-p", '{"spec":{"matchResources":null}}')


@pytest.mark.parametrize("case", CASES.values(), ids=[f"{case.who}: {sentence}" for sentence, case in CASES.items()])
def test_incident(case: Case, court: Court, server: str) -> None:
    who = case.who.format(namespace=court.namespace)
    expected = case.unstamped if server == "unstamped" and case.unstamped else case.expected
    judge(case.does(court, who, court.find(case.stored)), expected)


# Workloads


def applies_workload(*args: str, image: str = "registry.example/app:2") -> Operation:
    """Apply the manifest from Git, which knows nothing of marks."""

    def do(court: Court, who: str, what: str) -> Answer:
        body = workload("Deployment", what.partition("/")[2])
        body["spec"]["template"]["spec"]["containers"][0]["image"] = image
        return court.ask(who, "apply", *args, "-f", "-", "-o", "json", stdin=json.dumps(body))

    return do


def replaces_workload(*, image: str | None = None) -> Operation:
    """Put what is there, without any annotation and possibly with another image, in its own place."""

    def do(court: Court, who: str, what: str) -> Answer:
        body = court.read(what)
        del body["metadata"]["annotations"], body["metadata"]["resourceVersion"]
        if image is not None:
            body["spec"]["template"]["spec"]["containers"][0]["image"] = image
        return court.ask(who, "replace", "-f", "-", "-o", "json", stdin=json.dumps(body))

    return do


def marks(*args: str, **marked: str | None) -> Operation:
    """Set or remove marks; a key without a prefix gets ours."""
    body = {"metadata": {"annotations": {key if "/" in key else f"safetygovernor.io/{key}": value for key, value in marked.items()}}}
    return lambda court, who, what: court.asks_to_patch(who, what, body, *args)


def rolls_back(court: Court, who: str, what: str) -> Answer:
    """Undo the executor's second restart, in the emergency that it has caused. The old ReplicaSet remembers the first mark."""
    court.kubectl("rollout", "status", what, "--timeout=60s")
    court.restart(what, mark="second")
    assert marks(**{_OF_A_PATCH: "second"})(court, "executor", what).allowed
    court.kubectl("rollout", "status", what, "--timeout=60s")
    answer = court.ask(who, "rollout", "undo", what)
    kept = court.read(what)["metadata"]["annotations"]
    marked = f"its mark is {kept.get('safetygovernor.io/last-action')}, of a patch {kept.get(_OF_A_PATCH)}"
    return Answer(allowed=answer.allowed, said=f"{answer.said}; {marked}")


def deletes(court: Court, who: str, what: str) -> Answer:
    return court.ask(who, "delete", what, "--wait=false")


def creates_marked(kind: str) -> Operation:
    return lambda court, who, what: court.asks_to_create(who, workload(kind, "forged", marks={"safetygovernor.io/last-action": "forged"}))


def of(kind: str, does: Operation) -> Operation:
    """The same with a workload of another kind."""
    return lambda court, who, what: does(court, who, court.marked(kind))


def after(first: Operation, then: Operation) -> Operation:
    """The executor has done something before."""

    def do(court: Court, who: str, what: str) -> Answer:
        done = first(court, "executor", what)
        assert done.allowed, done.said
        return then(court, who, what)

    return do


_FORGED = {"last-action": "forged"}
_OF_A_PATCH = "patch.safetygovernor.io/0123abcd"
_ADDED = "governor-executor alone, as its record of what it did; leave safetygovernor.io/"
_CHANGED = "this would change or drop safetygovernor.io/last-action; keep them, as kubectl apply, patch and edit do"

WORKLOADS = {
    "the executor marks": Case(
        who="executor", does=marks(**{"last-action": "next"}), expected=Allowed('"safetygovernor.io/last-action": "next"')
    ),
    "an editor forges a mark": Case(who="eve", does=marks(**_FORGED), expected=by_marks(_CHANGED)),
    "the administrator forges a mark": Case(who="admin", does=marks(**_FORGED), expected=by_marks(_CHANGED)),
    "the operator itself forges a mark": Case(who="operator", does=marks(**_FORGED), expected=by_marks(_CHANGED)),
    "the executor of another namespace forges a mark": Case(
        who="system:serviceaccount:elsewhere:governor-executor", does=marks(**_FORGED), expected=by_marks(_CHANGED)
    ),
    "an editor adds a mark": Case(who="eve", does=marks(incident="x"), expected=by_marks(_ADDED + "incident out")),
    "an editor adds the mark of a patch": Case(
        who="eve", does=marks(**{_OF_A_PATCH: "sha256:forged"}), expected=by_marks(f"leave {_OF_A_PATCH} out")
    ),
    "an editor changes the mark of a patch": Case(
        who="eve",
        does=after(marks(**{_OF_A_PATCH: "sha256:0"}), marks(**{_OF_A_PATCH: "x"})),
        expected=by_marks(f"drop {_OF_A_PATCH}; keep"),
    ),
    "an editor removes the mark of a patch": Case(
        who="eve",
        does=after(marks(**{_OF_A_PATCH: "sha256:0"}), marks(**{_OF_A_PATCH: None})),
        expected=by_marks(f"drop {_OF_A_PATCH}; keep"),
    ),
    "an editor annotates with a domain further below": Case(
        who="eve", does=marks(**{"a.b.safetygovernor.io/x": "y"}), expected=by_marks("leave a.b.safetygovernor.io/x out")
    ),
    "an editor annotates with a domain that only looks like ours": Case(
        who="eve",
        does=marks(**{"notsafetygovernor.io/x": "y", "safetygovernor.io.example.com/x": "y"}),
        expected=Allowed("notsafetygovernor.io"),
    ),
    "an editor removes a mark": Case(who="eve", does=marks(**{"last-action": None}), expected=by_marks(_CHANGED)),
    "the administrator forges a mark through the status": Case(
        who="admin", does=marks("--subresource=status", **_FORGED), expected=by_marks(_CHANGED)
    ),
    "an editor replaces it by one without marks": Case(who="eve", does=replaces_workload(), expected=by_marks(_CHANGED)),
    "an editor replaces a StatefulSet by one with another template and without marks": Case(
        who="eve", does=of("StatefulSet", replaces_workload(image="registry.example/app:9")), expected=by_marks(_CHANGED)
    ),
    "an editor creates a marked Deployment": Case(
        who="eve", does=creates_marked("Deployment"), expected=by_marks(_ADDED + "last-action out")
    ),
    "the administrator creates a marked StatefulSet": Case(
        who="admin", does=creates_marked("StatefulSet"), expected=by_marks(_ADDED + "last-action out")
    ),
    "an editor forges a mark on a StatefulSet": Case(who="eve", does=of("StatefulSet", marks(**_FORGED)), expected=by_marks(_CHANGED)),
    "an editor forges a mark on a DaemonSet": Case(who="eve", does=of("DaemonSet", marks(**_FORGED)), expected=by_marks(_CHANGED)),
    "an editor applies the manifest": Case(
        who="eve", does=applies_workload(), expected=Allowed('"safetygovernor.io/last-action": "first"')
    ),
    "an editor applies the manifest on the server": Case(
        who="eve", does=applies_workload("--server-side", "--force-conflicts"), expected=Allowed('"safetygovernor.io/last-action": "first"')
    ),
    "an editor scales": Case(
        who="eve", does=lambda court, who, what: court.ask(who, "scale", what, "--replicas=3"), expected=Allowed("scaled")
    ),
    "an editor restarts": Case(
        who="eve", does=lambda court, who, what: court.ask(who, "rollout", "restart", what), expected=Allowed("restarted")
    ),
    "an editor sets an image": Case(
        who="eve",
        does=lambda court, who, what: court.ask(who, "set", "image", what, "*=registry.example/app:3"),
        expected=Allowed("image updated"),
    ),
    "an editor rolls back": Case(
        who="eve",
        does=rolls_back,
        expected=Allowed("its mark is second, of a patch second"),
        # Where nothing keeps the mark, the rollback brings back the one of that time; it is not refused.
        unstamped=Allowed("its mark is first"),
    ),
    # Controllers of these kinds keep templates and no annotations, so that nothing has to be made good.
    "an editor rolls a StatefulSet back": Case(
        who="eve", does=of("StatefulSet", rolls_back), expected=Allowed("its mark is second, of a patch second")
    ),
    "an editor rolls a DaemonSet back": Case(
        who="eve", does=of("DaemonSet", rolls_back), expected=Allowed("its mark is second, of a patch second")
    ),
    "an editor deletes": Case(who="eve", does=deletes, expected=Allowed("deleted")),
}


@pytest.mark.parametrize("case", WORKLOADS.values(), ids=[f"{case.who}: {sentence}" for sentence, case in WORKLOADS.items()])
def test_workload(case: Case, court: Court, server: str) -> None:
    expected = case.unstamped if server == "unstamped" and case.unstamped else case.expected
    judge(case.does(court, case.who, court.marked()), expected)


# Jobs, which the executor creates

_names = itertools.count(1)


def job(name: str, *, suspended: bool = True) -> dict[str, Any]:
    """A Job as the executor creates it."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "job", "image": "registry.example/job:1"}]}
    spec = {"suspend": suspended, "template": {"metadata": {"labels": {"app": name}}, "spec": pod}}
    metadata = {"name": name, "annotations": {"safetygovernor.io/last-action": "first"}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def creates_job(court: Court, who: str, what: str) -> Answer:
    return court.asks_to_create(who, job(f"{what.partition('/')[2]}-new"))


JOBS = {
    "the executor creates one": Case(who="executor", does=creates_job, expected=Allowed('"safetygovernor.io/last-action": "first"')),
    "an editor creates a marked one": Case(who="eve", does=creates_job, expected=by_marks(_ADDED + "last-action out")),
    "the administrator creates a marked one": Case(who="admin", does=creates_job, expected=by_marks(_ADDED + "last-action out")),
    "the executor of another namespace creates one": Case(
        who="system:serviceaccount:elsewhere:governor-executor", does=creates_job, expected=by_marks(_ADDED + "last-action out")
    ),
    "the executor marks": Case(who="executor", does=marks(**{"last-action": "next"}), expected=Allowed("next")),
    "an editor forges a mark": Case(who="eve", does=marks(**_FORGED), expected=by_marks(_CHANGED)),
    "an editor removes a mark": Case(who="eve", does=marks(**{"last-action": None}), expected=by_marks(_CHANGED)),
    "the administrator forges a mark through the status": Case(
        who="admin", does=marks("--subresource=status", **_FORGED), expected=by_marks(_CHANGED)
    ),
    "an editor lets it run": Case(
        who="eve",
        does=lambda court, who, what: court.asks_to_patch(who, what, {"spec": {"suspend": False}}),
        expected=Allowed('"suspend": false'),
    ),
    "an editor deletes": Case(who="eve", does=deletes, expected=Allowed("deleted")),
}


@pytest.fixture
def marked_job(court: Court) -> str:
    """As `job/name`, created by the executor."""
    name = f"job-{next(_names)}"
    answer = court.asks_to_create("executor", job(name))
    assert answer.allowed, answer.said
    return f"job/{name}"


@pytest.mark.parametrize("case", JOBS.values(), ids=[f"{case.who}: {sentence}" for sentence, case in JOBS.items()])
def test_job(case: Case, court: Court, marked_job: str) -> None:
    judge(case.does(court, case.who, marked_job), case.expected)


def test_marked_job_runs_to_its_end(court: Court) -> None:
    """The controller of Jobs writes to them again and again, and is not disturbed."""
    name = f"job-{next(_names)}"
    assert court.asks_to_create("executor", job(name, suspended=False)).allowed
    court.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=30s")
    assert court.read(f"job/{name}")["metadata"]["annotations"]["safetygovernor.io/last-action"] == "first"


# Nodes, which belong to no namespace

_KUBELET = "system:node:{node}"
_ANY = "the record of what a governor-executor did, and this would change or drop safetygovernor.io/last-action; keep them"

_CORDONERS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: "cordoners:{namespace}"}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: governor-executor-nodes}}
subjects:
- {{kind: ServiceAccount, name: governor-executor, namespace: {namespace}}}
- {{kind: ServiceAccount, name: governor-executor, namespace: elsewhere}}
- {{kind: ServiceAccount, name: not-governor-executor, namespace: {namespace}}}
- {{kind: User, name: eve, apiGroup: rbac.authorization.k8s.io}}
"""


def node(name: str, **annotations: str) -> dict[str, Any]:
    """One on which no pod of another test ends up."""
    taints = [{"key": "marks", "effect": "NoSchedule"}]
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": annotations}, "spec": {"taints": taints}}


def writes_node_status(**annotations: str) -> Operation:
    """What a kubelet does: it writes the status of its node, and can write more than that on this way."""

    def do(court: Court, who: str, what: str) -> Answer:
        body = court.read(what)
        del body["metadata"]["resourceVersion"]
        body["metadata"]["annotations"] |= annotations
        body["status"]["conditions"] = [{"type": "DiskPressure", "status": "True", "reason": "Full", "message": "full"}]
        return court.ask(who, "replace", f"--raw=/api/v1/nodes/{body['metadata']['name']}/status", "-f", "-", stdin=json.dumps(body))

    return do


def creates_marked_node(court: Court, who: str, what: str) -> Answer:
    return court.asks_to_create(who, node(f"{what.partition('/')[2]}-new", **{"safetygovernor.io/last-action": "forged"}))


def kubectl_on(*args: str) -> Operation:
    """Any command; NAME stands for the node."""
    return lambda court, who, what: court.ask(who, *(one.replace("NAME", what.partition("/")[2]) for one in args))


def cordons(court: Court, who: str, what: str) -> Answer:
    marked = {"annotations": {"safetygovernor.io/last-action": "next"}}
    return court.asks_to_patch(who, what, {"metadata": marked, "spec": {"unschedulable": True}})


NODES = {
    "the executor cordons": Case(who="executor", does=cordons, expected=Allowed('"safetygovernor.io/last-action": "next"')),
    "the executor of another namespace cordons": Case(
        who="system:serviceaccount:elsewhere:governor-executor", does=cordons, expected=Allowed('"safetygovernor.io/last-action": "next"')
    ),
    "an account with a longer name forges a mark": Case(
        who="system:serviceaccount:{namespace}:not-governor-executor", does=cordons, expected=by_marks(_ANY)
    ),
    "one who may patch nodes forges a mark": Case(who="eve", does=marks(**_FORGED), expected=by_marks(_ANY)),
    "one who may patch nodes removes a mark": Case(who="eve", does=marks(**{"last-action": None}), expected=by_marks(_ANY)),
    "one who may patch nodes adds the mark of a patch": Case(
        who="eve",
        does=marks(**{_OF_A_PATCH: "forged"}),
        expected=by_marks(f"written by a governor-executor alone, as its record of what it did; leave {_OF_A_PATCH} out"),
    ),
    "the administrator forges a mark": Case(who="admin", does=marks(**_FORGED), expected=by_marks(_ANY)),
    "the administrator creates a marked one": Case(
        who="admin", does=creates_marked_node, expected=by_marks("leave safetygovernor.io/last-action out")
    ),
    "the administrator forges a mark through the status": Case(
        who="admin", does=marks("--subresource=status", **_FORGED), expected=by_marks(_ANY)
    ),
    "the kubelet forges a mark through the status": Case(
        who=_KUBELET, does=writes_node_status(**{"safetygovernor.io/last-action": "forged"}), expected=by_marks(_ANY)
    ),
    "the kubelet forges a mark": Case(who=_KUBELET, does=marks(**_FORGED), expected=by_marks(_ANY)),
    "the kubelet reports": Case(who=_KUBELET, does=writes_node_status(), expected=Allowed('"DiskPressure"')),
    "the kubelet annotates": Case(who=_KUBELET, does=marks(**{"example.com/seen": "yes"}), expected=Allowed("example.com/seen")),
    "the administrator cordons": Case(who="admin", does=kubectl_on("cordon", "NAME"), expected=Allowed("cordoned")),
    "the administrator taints": Case(who="admin", does=kubectl_on("taint", "node", "NAME", "x=y:NoSchedule"), expected=Allowed("tainted")),
    "the administrator labels": Case(who="admin", does=kubectl_on("label", "node/NAME", "x=y"), expected=Allowed("labeled")),
    "the administrator deletes": Case(who="admin", does=deletes, expected=Allowed("deleted")),
}


@pytest.fixture(scope="module")
def cordoners(court: Court) -> Iterator[None]:
    court.cluster.apply(_CORDONERS.format(namespace=court.namespace))
    yield
    court.kubectl("delete", "clusterrolebinding", f"cordoners:{court.namespace}")


@pytest.fixture
def marked_node(court: Court, cordoners: None) -> Iterator[str]:
    """As `node/name`, touched by the executor."""
    name = f"marked-{court.namespace}-{next(_names)}"
    assert court.asks_to_create("admin", node(name)).allowed
    answer = marks(**{"last-action": "first"})(court, "executor", f"node/{name}")
    assert answer.allowed, answer.said
    yield f"node/{name}"
    court.kubectl("delete", "node", name, "--ignore-not-found")


@pytest.mark.parametrize("case", NODES.values(), ids=[f"{case.who}: {sentence}" for sentence, case in NODES.items()])
def test_node(case: Case, court: Court, marked_node: str) -> None:
    who = case.who.format(namespace=court.namespace, node=marked_node.partition("/")[2])
    judge(case.does(court, who, marked_node), case.expected)


def test_marked_node_goes_on_beating(court: Court, marked_node: str) -> None:
    """kwok writes the status of nodes in the place of kubelets: it makes good at once what somebody has written there."""

    def ready() -> dict[str, Any]:
        conditions = court.read(marked_node).get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == "Ready"), {})

    wait_until(lambda: ready().get("status") == "True", 20, "the node to be ready")
    mark = court.cluster.audit_mark()
    broken = {"type": "Ready", "status": "False", "reason": "Broken", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
    body = json.dumps({"status": {"conditions": [broken]}})
    court.kubectl("patch", marked_node, "--type=strategic", "--subresource=status", "-p", body)
    wait_until(lambda: ready().get("status") == "True" and ready()["lastHeartbeatTime"] > "2026-01-01T00:00:00Z", 20, "the next heartbeat")
    events = [one for one in court.cluster.audit_events(mark) if one.get("objectRef", {}).get("resource") == "nodes"]
    beats = [one for one in events if one["user"]["username"] == "kwok" and one["verb"] == "patch"]
    assert beats
    assert all(one["responseStatus"]["code"] == 200 for one in beats)
    assert court.read(marked_node)["metadata"]["annotations"]["safetygovernor.io/last-action"] == "first"


# Rights

VERBS = ("get", "create", "patch", "approve", "force-override", "approve-on-behalf")
RIGHTS = {
    "alice": ("governor-reporter", ("get", "create", "patch")),
    "bob": ("governor-approver", ("get", "patch", "approve")),
    "carol": ("governor-overrider", ("get", "patch", "approve", "force-override")),
    "slack": ("governor-bridge", ("get", "patch", "approve", "approve-on-behalf")),
    "grace": ("governor-policy-admin", ("get",)),
    "frank": ("view", ("get",)),
    "eve": ("edit", ("get", "create", "patch")),
    "heidi": ("admin", ("get", "create", "patch")),
    "mallory": ("none", ()),
    "admin": ("system:masters", VERBS),
}


@pytest.fixture(scope="module")
def bench(cluster: ControlPlane) -> Court:
    """Everybody with exactly one role."""
    court = Court(cluster, stamped=True)
    for name in ("reporters", "approvers", "overriders"):  # the shop's own people, who hold more than one
        court.kubectl("delete", "rolebinding", name)
    return court


@pytest.mark.parametrize(
    ("who", "verbs"), [(who, verbs) for who, (_, verbs) in RIGHTS.items()], ids=[f"{who}: {role}" for who, (role, _) in RIGHTS.items()]
)
def test_can_i_tells_the_truth_to(who: str, verbs: tuple[str, ...], bench: Court) -> None:
    granted = tuple(verb for verb in VERBS if bench.ask(who, "auth", "can-i", verb, "incidents.safetygovernor.io").allowed)
    assert granted == verbs


@pytest.mark.parametrize(("who", "may"), [("grace", True), ("heidi", False), ("eve", False), ("carol", False), ("alice", False)])
def test_guard_rails_are_set_by_nobody_but_the_platform_team(who: str, may: bool, bench: Court) -> None:
    answer = bench.asks_to_patch(who, "remediationpolicy/default", {"spec": {"requireTelemetry": True}}, "--dry-run=server")
    assert answer.allowed is may, answer.said


def test_operator_may_create_incidents_nowhere_but_in_its_own_namespace(cluster: ControlPlane) -> None:
    def may(namespace: str) -> bool:
        asked = cluster.kubectl("auth", "can-i", "create", "incidents.safetygovernor.io", "-n", namespace, user="operator", check=False)
        return asked.returncode == 0

    assert may("governor-system")
    assert not may("default")


def test_roles_that_decide_are_not_aggregated() -> None:
    roles = [one for one in yaml.safe_load_all((CRDS / "rbac.yaml").read_text(encoding="utf-8")) if one["kind"] == "ClusterRole"]
    deciding = {"approve", "force-override", "approve-on-behalf", "*"}
    aggregated = [one for one in roles if "labels" in one["metadata"]]
    assert [one["metadata"]["name"] for one in aggregated] == ["governor-viewer", "governor-reporter"]
    assert not any(deciding & set(rule["verbs"]) for one in aggregated for rule in one["rules"])


# What an auditor finds


def test_audit_log_tells_who_decided_what_about_which_digest(court: Court) -> None:
    mark = court.cluster.audit_mark()
    assert says("APPROVE")(court, "bob", court.find(ASKED)).allowed
    assert says("REJECT", onBehalfOf="dave")(court, "slack", court.find(ASKED)).allowed
    assert not says("APPROVE")(court, "eve", court.find(ASKED)).allowed
    asked = [one for one in court.cluster.audit_events(mark) if one.get("objectRef", {}).get("resource") == "incidents"]
    events = [one for one in asked if one["verb"] == "patch"]
    told = [one["annotations"].get(f"{APPROVAL}/decision") for one in events]
    bridge = court.username("slack")
    assert told == [
        f"APPROVE by bob about {DIGEST}",
        f"REJECT by {bridge} on behalf of dave about {DIGEST}",
        f"APPROVE by eve about {DIGEST}",
    ]
    assert [one["responseStatus"]["code"] for one in events] == [200, 200, 403]


# A server that knows no stamps, and incidents that are older than the policies


@pytest.fixture(scope="module")
def old_court() -> Iterator[Court]:
    """Incidents come first, under a definition of an older release, then the policies; the stamps never."""
    with ControlPlane(controllers=False) as plane:
        definition = yaml.safe_load((CRDS / "incidents.safetygovernor.io.yaml").read_text(encoding="utf-8"))
        spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        del spec["properties"]["approval"]["x-kubernetes-validations"]
        plane.apply(yaml.safe_dump(definition), CRDS / "remediationpolicies.safetygovernor.io.yaml", CRDS / "rbac.yaml")
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        court = Court(plane, stamped=True)
        for name in ("nobodys", "nobodys-other"):
            assert court.asks_to_create("alice", incident(name, court.namespace)).allowed
        plane.apply(CRDS / "admission.yaml")
        another = json.dumps(incident("another", court.namespace))
        wait_until(
            lambda: APPROVAL in court.ask("alice", "create", "--dry-run=server", "-f", "-", stdin=another).said,
            30,
            "the policies to refuse",
        )
        for name in ("nobodys", "nobodys-other"):
            assert not court.write_status(name, "AwaitingApproval", DIGEST)
        yield court


OLD = {
    "who asked is unknown, so nobody releases it": Case(
        who="bob", does=lambda court, who, name: says("APPROVE")(court, who, "nobodys"), expected=by_approval("spec.requestedBy is missing")
    ),
    "who asked is unknown, and anybody may reject it": Case(
        who="bob", does=lambda court, who, name: says("REJECT")(court, who, "nobodys-other"), expected=Allowed('"decision": "REJECT"')
    ),
    "a reporter names somebody else": Case(who="alice", does=reports(by="bob"), expected=by_approval("spec.requestedBy must be alice")),
    "a reporter names nobody": Case(who="alice", does=reports(by=None), expected=by_approval("spec.requestedBy must be alice")),
    "an approver names somebody else": Case(
        who="bob", does=says("APPROVE", by="carol"), expected=by_approval("approver must be bob, who sends this")
    ),
    "an approver names nobody": Case(who="bob", does=says("APPROVE", by=None), expected=by_definition("spec.approval.approver")),
    "an approver approves": Case(who="bob", does=says("APPROVE"), expected=Allowed('"approver": "bob"')),
    "an overrider overrides without a reason": Case(who="carol", does=says("FORCE_OVERRIDE"), expected=by_approval(_SHORT)),
    "an overrider overrides with spaces for a reason": Case(
        who="carol", does=says("FORCE_OVERRIDE", reason="because" + " " * 19), expected=by_approval(_SHORT)
    ),
    "the operator approves": Case(who="operator", does=says("APPROVE"), expected=by_approval(_NEVER)),
}


@pytest.mark.parametrize("case", OLD.values(), ids=[f"{case.who}: {sentence}" for sentence, case in OLD.items()])
def test_older_server(case: Case, old_court: Court) -> None:
    judge(case.does(old_court, case.who, old_court.find(case.stored)), case.expected)
