"""`safety-governor try`: Plan to Gate in this process, and beside it what an agent without a gate would have done."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pydantic
import yaml
from rich.console import Console
from rich.table import Table

from safety_governor import bootstrap, sources
from safety_governor.api import progress, records, v1alpha1
from safety_governor.cli import screen, story
from safety_governor.domain import documents, errors, lifecycle, values, verdicts
from safety_governor.pipeline import outcomes, ports
from safety_governor.settings import Settings

EXIT_EXECUTE, EXIT_ERROR, EXIT_BLOCKED = 0, 1, 3

_RULE = 80
"""So long is the line between two incidents at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    manifests: Sequence[Path]
    knowledge: Sequence[Path]
    as_json: bool
    compare_naive: bool


async def run(settings: Settings, request: Request) -> int:
    """Print every decision; returns the exit code."""
    console, complain = screen.screen(), Console(stderr=True, highlight=False)
    try:
        incidents = [incident for path in request.manifests for incident in _read(path)]
        async with contextlib.AsyncExitStack() as stack:
            knowledge = await stack.enter_async_context(_knowledge(settings, request.knowledge))
            scores = await stack.enter_async_context(_scores(settings, complain)) if settings.agent_model else None
            rehearsed = [await _rehearse(settings, knowledge, scores, incident) for incident in incidents]
            naive = [await _naive(knowledge, incident) for incident in incidents] if request.compare_naive else []
    except (errors.GovernorError, OSError, ValueError) as error:
        complain.print(f"safety-governor try: {error}", soft_wrap=True, markup=False)
        return EXIT_ERROR
    if request.as_json:
        print(json.dumps([_as_json(one) for one in rehearsed], indent=2))  # noqa: T201 - for other programs
    elif request.compare_naive:
        console.print(_comparison(rehearsed, naive))
    else:
        for number, incident in enumerate(rehearsed):
            if number:
                console.print("─" * min(console.width, _RULE), style="dim")
            story.tell(incident, console, rehearsed=True)
        console.print("\n[dim]A rehearsal: the target is assumed to exist and its namespace to allow restarts; nothing was touched.[/]")
    if not request.as_json:
        held = "the files of --knowledge" if request.knowledge else settings.knowledge
        console.print(f"[dim]What it knows is from {story.plain(held)}.[/]", soft_wrap=True)
    return EXIT_EXECUTE if all(_executes(one) for one in rehearsed) else EXIT_BLOCKED


def _scores(settings: Settings, complain: Console) -> AbstractAsyncContextManager[ports.Scores | None]:
    return sources.scores(settings, complain=lambda text: complain.print(f"safety-governor try: {text}", soft_wrap=True, markup=False))


def _executes(incident: v1alpha1.Incident) -> bool:
    return incident.status.gate is not None and incident.status.gate.decision is verdicts.Decision.EXECUTE


def _read(path: Path) -> list[v1alpha1.Incident]:
    try:
        bodies = [body for body in yaml.safe_load_all(path.read_text(encoding="utf-8")) if body]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}; check the path and the rights on it") from error
    found = []
    for body in bodies:
        if not isinstance(body, dict) or body.get("kind") != "Incident":
            continue
        given = body.get("metadata") or {}
        metadata = {"namespace": "default", "uid": "rehearsal", **given} if isinstance(given, dict) else {}
        known = {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata} or given
        try:
            # Strictly, as kubectl and the API server do; only status is passed over, as they do, too.
            found.append(v1alpha1.Incident.model_validate({**{k: v for k, v in body.items() if k != "status"}, "metadata": known}))
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"{path}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    if not found:
        raise ValueError(f"{path} holds no Incident")
    return found


@asynccontextmanager
async def _knowledge(settings: Settings, paths: Sequence[Path]) -> AsyncIterator[ports.Knowledge]:
    if not paths:
        async with sources.knowledge(settings) as knowledge:
            yield knowledge
        return
    store, problems = bootstrap.knowledge_of(paths)
    if problems:
        raise ValueError("\n".join(problems))
    yield store


async def _rehearse(
    settings: Settings, knowledge: ports.Knowledge, scores: ports.Scores | None, incident: v1alpha1.Incident
) -> v1alpha1.Incident:
    runner, now = bootstrap.rehearsal(settings, knowledge, scores)
    outcome = await runner.advance(incident)
    if isinstance(outcome, outcomes.Stall):
        # Nobody waits in a rehearsal.
        raise errors.KnowledgeUnavailableError(outcome.message)
    status = progress.described(incident, outcome.status, now=now())
    phase = lifecycle.Phase.GATED if status.execution else status.phase
    return incident.model_copy(update={"status": status.model_copy(update={"execution": None, "phase": phase})})


async def _naive(knowledge: ports.Knowledge, incident: v1alpha1.Incident) -> str:
    """What an agent without a gate does: the recommended action of the first hit, whatever speaks against it."""
    query = "\n".join((incident.spec.summary, *incident.spec.symptoms))
    hits = await knowledge.search_runbooks(query, service=incident.spec.service, limit=1)
    if not hits:
        return "nothing"
    first = hits[0].document
    return first.recommended_action + (f" ({first.title})" if first.service == documents.ANY_SERVICE else "")


def _as_json(incident: v1alpha1.Incident) -> dict[str, object]:
    status = incident.status.model_dump(mode="json", exclude_none=True)
    return {"incident": incident.key, **{part: status[part] for part in ("plan", "stress", "compress", "scores", "gate") if part in status}}


def _comparison(rehearsed: Sequence[v1alpha1.Incident], naive: Sequence[str]) -> Table:
    table = Table(
        title="The same incidents, without and with the gate", title_justify="left", box=None, padding=(0, 1), header_style="bold"
    )
    for heading in ("INCIDENT", "WITHOUT: AT ONCE", "WITH THE GATE", "BECAUSE"):
        table.add_column(heading, overflow="fold")
    for incident, action in zip(rehearsed, naive, strict=True):
        gate = incident.status.gate
        if gate is not None:
            table.add_row(
                story.plain(incident.metadata.name),
                story.plain(action),
                _in_words(gate),
                "" if gate.reason == "NoFindings" else gate.reason.replace(",", "\n"),
            )
    return table


def _in_words(gate: records.Gate) -> str:
    if gate.decision is verdicts.Decision.EXECUTE:
        return "execute"
    if gate.decision is verdicts.Decision.HAND_OVER:
        return "hand over to people"
    return "block for good" if gate.required_approval is values.Release.IMPOSSIBLE else f"block, takes {gate.required_approval}"
