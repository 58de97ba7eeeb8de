"""Events told for people, one line each."""

from collections.abc import Mapping
from typing import Any

from safety_governor.cli import words
from safety_governor.domain import digests, values
from safety_governor.domain.audit import events

_STYLES = {
    "Gated": "bold",
    "Overridden": "bold red",
    "ApprovalRefused": "red",
    "ApprovalHonoured": "green",
    "Expired": "yellow",
    "Held": "yellow",
    "Claimed": "cyan",
    "TakenBack": "yellow",
    "ActionIntended": "cyan",
    "ActionEnded": "cyan",
    "Ended": "bold",
    "TornLineRepaired": "yellow",
    "EventsLost": "bold red",
    "FileBegun": "dim",
    "ToolCalled": "dim",
    "AgentAsked": "dim",
    "Scored": "dim",
}


def style(fields: Mapping[str, Any]) -> str:
    """How the kind of an event is shown."""
    return _STYLES.get(str(fields.get("kind")), "white")


def sentence(fields: Mapping[str, Any]) -> str:
    """What happened, in a sentence; of a kind that is not known, nothing but what it says itself."""
    data = fields.get("data")
    if not isinstance(data, Mapping):
        # The journal's lines say all at the top.
        data = fields
    if events.UNWRITTEN in data:
        return str(data[events.UNWRITTEN])
    told = _SENTENCES.get(str(fields.get("kind")))
    try:
        text = told(data) if told is not None else ", ".join(f"{name}: {value}" for name, value in data.items())
    except (KeyError, TypeError, AttributeError, ValueError):
        text = "the line is not complete; `safety-governor audit verify` tells more"
    return values.clip(" ".join(str(text).split()), 400)


def _target(data: Mapping[str, Any]) -> str:
    return f"{data['type']} of {data['target'].get('kind', 'Deployment')}/{data['target']['name']}"


def _planned(data: Mapping[str, Any]) -> str:
    plan = data["plan"]
    if not plan.get("action"):
        return f"no remedy is proposed: {plan.get('resolutionDetail', '')}"
    source = f" of runbook {plan['runbook']}" if plan.get("runbook") else f": {plan.get('resolutionDetail', '')}"
    return f"{plan['action']}{source}, {words.counted(len(plan.get('claims', [])), 'claim')}, confidence {plan['confidenceInitial']:.1f}"


def _stressed(data: Mapping[str, Any]) -> str:
    count, coverage = data.get("contradictionCount"), data.get("evidenceCoverage")
    evidence = (
        "the evidence is unknown"
        if count is None or coverage is None
        else f"{words.counted(count, 'contradiction')}, coverage {coverage:.2f}"
    )
    policies = "policies unknown" if data.get("policies") is None else f"{words.counted(data['policies'], 'policy', 'policies')} read"
    logs = "live logs read" if data.get("telemetryKnown") else "live logs unknown"
    invented = [one["named"] for one in data.get("fabricated", [])]
    return f"{evidence}; {policies}; {logs}" + (f"; authorities that do not exist: {', '.join(invented)}" if invented else "")


def _gated(data: Mapping[str, Any]) -> str:
    initial, post = data.get("confidenceInitial"), data.get("confidencePost")
    shift = f", confidence {initial:.1f} → {post:.1f}" if initial is not None and post is not None else ""
    return f"{data['decision']}: {data['reason']}{shift} [{digests.short(data['planDigest'])}, attempt {data['attempt']}]"


def _score(data: Mapping[str, Any]) -> str:
    adaptability = data.get("adaptability") or {}
    return f"adaptability {adaptability.get('score', 'unknown')}, confidence change {data.get('confidenceDelta', 'unknown')}"


def _returned(data: Mapping[str, Any]) -> str:
    if data.get("documents"):
        return ", ".join(data["documents"][:6])
    if data.get("problem"):
        return f"{data.get('status') or 'no answer'}: {data['problem']}"
    return "nothing found" if data.get("status") == "empty" else "answered, with no document"


_SENTENCES = {
    "FileBegun": lambda data: (
        f"file number {data['number']} begins" + (f" after {data['previous']['file']}" if data.get("previous") else "")
    ),
    "TornLineRepaired": lambda data: (
        f"a torn line of {words.counted(data['bytes'], 'byte')} was cut off {data['file']}; nothing rested on it"
    ),
    "EventsLost": lambda data: f"{words.counted(data['count'], 'event')} could not be kept while nothing could be written",
    "Reported": lambda data: (
        f"{data['service']}, {data['severity']}: {data['summary']}" + (f" (by {data['requestedBy']})" if data.get("requestedBy") else "")
    ),
    "Planned": _planned,
    "Stressed": _stressed,
    "Gated": _gated,
    "ApprovalAsked": lambda data: (
        f"{data['required']} needed{' by two people' if data.get('twoPersons') else ''} until {data['expiresAt']} "
        f"[{digests.short(data['planDigest'])}]"
    ),
    "ApprovalHonoured": lambda data: f"{data['decision']} of {data['approver']}" + (f": {data['reason']}" if data.get("reason") else ""),
    "ApprovalRefused": lambda data: f"{data['decision']} of {data['approver']} releases nothing: {data['why']}",
    "Overridden": lambda data: f"{data['approver']} overrides {data.get('against') or 'the gate'}: {data['reason']}",
    "Expired": lambda _: "nobody released it in time, which is a denial",
    "Held": lambda data: data["why"] + (f" (until {data['until']})" if data.get("until") else ""),
    "TakenBack": lambda data: f"{_target(data)}, nothing was done: {data['why']}",
    "Claimed": lambda data: (
        f"{_target(data)}" + (f", undoing {data['undoes']}" if data.get("undoes") else "") + f" by {data.get('holder') or 'the operator'}"
    ),
    "ActionIntended": lambda data: f"{_target(data)} is on record durably and may be taken now",
    "ActionEnded": lambda data: f"{data.get('outcome') or data.get('state') or 'not done'}: {data.get('message', '')}",
    "Ended": lambda data: f"{data['phase']}: {data.get('message', '')}".removesuffix(": "),
    "AgentAsked": lambda data: (
        f"asked for the {data['question']}, {data['milliseconds']} ms, {words.counted(len(data.get('seen', [])), 'document')} seen"
        + (f"; {data['problem']}" if data.get("problem") else "")
    ),
    "ToolCalled": lambda data: f"{data['tool']} by {data['caller']}: {_returned(data)}",
    "Scored": _score,
}
