"""`safety-governor scores`: what is known of a model's reliability, from where, and what the governor makes of it."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from safety_governor import sources
from safety_governor.cli import screen, story
from safety_governor.domain import compression, confidence, errors, scores
from safety_governor.settings import Settings

EXIT_KNOWN, EXIT_ERROR, EXIT_UNKNOWN = 0, 1, 3

_TITLES = {
    "ecs": "ECS: confidence fits the evidence",
    "ci": "CI: holds when context is cut",
    "u_curve_magnitude": "u-curve: harm of half the context",
}


Span = tuple[datetime, datetime] | None
"""Since when an answer is kept, and when it is asked for again."""


class Source(Protocol):
    """Whoever is asked, and keeps the answers."""

    async def read(self, service: str, model: str) -> scores.Reading:
        """A new answer or a kept one."""

    def span(self, service: str, model: str) -> Span:
        """How long the answer that was read last is kept; None when it is not."""


async def run(settings: Settings, model: str, *, ask_again: bool, as_json: bool) -> int:
    """Ask every service once and print what it says; returns the exit code."""
    complain = Console(stderr=True, highlight=False)
    objection = scores.objection(model)
    if objection:
        complain.print(f"safety-governor scores: {objection}", soft_wrap=True, markup=False)
        return EXIT_ERROR
    began = sources.now()
    try:
        async with sources.scores(settings, complain=_complaining(complain), ask_again=ask_again) as source:
            readings = await _read(settings, source, model)
            spans = [source.span(one.service, model) if source is not None else None for one in readings]
    except errors.GovernorError as error:
        complain.print(f"safety-governor scores: {error}", soft_wrap=True, markup=False)
        return EXIT_ERROR
    profile = scores.profile(model, {one.service: one for one in readings})
    if as_json:
        print(  # noqa: T201 - for other programs
            json.dumps(
                {
                    "model": model,
                    "readings": [
                        {**one.model_dump(mode="json", by_alias=False), **_kept(span)} for one, span in zip(readings, spans, strict=True)
                    ],
                    "profile": profile.model_dump(mode="json", by_alias=False, exclude={"origins"}),
                },
                indent=2,
            )
        )
    else:
        # What was asked just now needs no word about its age.
        older = [span if span is not None and span[0] < began else None for span in spans]
        _show(screen.screen(), model, list(zip(readings, older, strict=True)), profile)
    return EXIT_KNOWN if all(one.status is scores.Status.OK for one in readings) else EXIT_UNKNOWN


def _complaining(console: Console) -> Callable[[str], None]:
    """Each complaint once, however many services it concerns."""
    told: set[str] = set()

    def complain(text: str) -> None:
        if text not in told:
            told.add(text)
            console.print(f"safety-governor scores: {text}", soft_wrap=True, markup=False)

    return complain


def _kept(span: Span) -> dict[str, str | None]:
    since, until = span or (None, None)
    return {"kept_since": since.isoformat() if since else None, "asked_again_after": until.isoformat() if until else None}


async def _read(settings: Settings, source: Source | None, model: str) -> list[scores.Reading]:
    if source is None:
        raise errors.ConfigurationError(
            "nobody can be asked: set EECT_API_URL, DDFT_API_URL or CDCT_API_URL to the addresses of the score services, or "
            "RELIABILITY_PROFILE_SOURCE=mcp and GOVERNOR_MCP_URL to ask through the MCP server"
        )
    direct = settings.reliability_profile_source == "direct"
    asked = [service for service in scores.USED if not direct or service in settings.score_services]
    return list(await asyncio.gather(*(source.read(service, model) for service in asked)))


def _show(console: Console, model: str, found: Sequence[tuple[scores.Reading, Span]], profile: scores.Profile) -> None:
    console.print(f"[bold]{story.plain(model)}[/]", soft_wrap=True)
    for reading, span in found:
        _show_reading(console, reading, span)
    console.print("\n[bold]What the governor makes of it[/]")
    for line in _effects(profile):
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
    statuses = {one.status for one, _ in found if one.reached}
    if scores.Status.PENDING in statuses:
        hint = "Asking has started a run at a service that had no results; asking it again soon may start another."
    elif scores.Status.UNAVAILABLE in statuses:
        hint = "A service whose answer did not arrive may have started a run all the same; asking it again soon may start another."
    elif not all(one.reached for one, _ in found):
        console.print("\nWhat could not be reached has started no run; asking again is free.", soft_wrap=True)
        return
    else:
        return
    console.print(f"\n[yellow]{hint}[/] So this answer is kept for a while; --ask-again passes over it.", soft_wrap=True)


def _show_reading(console: Console, reading: scores.Reading, span: Span) -> None:
    known = reading.status is scores.Status.OK
    rows = f", {reading.rows_used} of {_rows(reading.rows_total)}" if known else ""
    head = "[green]ok[/]" if known else f"[yellow]{reading.status.replace('_', ' ')}[/]"
    where = f"  [dim]{story.plain(reading.source)}, {reading.as_of:%Y-%m-%dT%H:%M:%SZ}{rows}[/]" if reading.source else ""
    console.print(f"\n[bold]{reading.service.upper()}[/]  {head}{where}", soft_wrap=True)
    if span is not None:
        since, until = (f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in span)
        console.print(f"  [dim]kept since {since}, asked again after {until}[/]", soft_wrap=True)
    if not known:
        console.print(Padding(f"unknown: {story.plain(reading.reason)}", (0, 0, 0, 2), expand=False))
        return
    used, _ = scores.USED[reading.service]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for name in (used, *(name for name in reading.metrics if name != used)):
        figure, spread = reading.metric(name), reading.spread.get(name)
        if figure is None and name != used:
            continue
        shown = "[yellow]unknown[/]" if figure is None else f"{figure:.3f}"
        apart = f"{spread.lowest:.3f} to {spread.highest:.3f} in {_rows(spread.rows)}" if spread and spread.rows > 1 else ""
        why = f"{reading.service.upper()} does not say" if figure is None else apart
        title = _TITLES[name] if name == used else f"[dim]{story.plain(name)}[/]"
        table.add_row(f"  {title}", shown, f"[dim]{why}[/]")
    console.print(table)
    for warning in reading.warnings:
        console.print(Padding(f"[yellow]![/] {story.plain(warning)}", (0, 0, 0, 2), expand=False))


def _rows(number: int) -> str:
    return f"{number} row" if number == 1 else f"{number} rows"


def _effects(profile: scores.Profile) -> list[str]:
    """The three effects, with the figures that they come to."""
    ecs, integrity, curve = profile.ecs, profile.comprehension_integrity, profile.u_curve_magnitude
    at_start = "the agent's own; no correction" if ecs is None else f"the mean of the agent's own and {confidence.SCALE * ecs:.1f}"
    each = confidence.CONTRADICTION_PENALTY * (1.0 if integrity is None else 2.0 - integrity)
    if curve is None:
        context = "always full, as the u-curve is unknown"
    elif curve > compression.U_CURVE_LIMIT:
        context = f"always full, as the u-curve is above {compression.U_CURVE_LIMIT}"
    else:
        context = "shortened where nothing is at stake or disputed"
    plain_penalty = " (CI is unknown)" if integrity is None else ""
    return [
        f"confidence before the stress test: {at_start}",
        f"each contradicted claim costs {each:.2f} of {confidence.SCALE:g}{plain_penalty}",
        f"context for later readers: {context}",
    ]
