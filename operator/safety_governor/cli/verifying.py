"""`safety-governor audit verify`: a trail against its chain, and against what incidents note of it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from safety_governor import bootstrap
from safety_governor.api import v1alpha1
from safety_governor.cli import manifests, screen, story, trails, words
from safety_governor.domain import errors
from safety_governor.domain.audit import proof
from safety_governor.domain.audit.events import Position, Stream

EXIT_PROVED, EXIT_ALTERED, EXIT_NOT_LOOKED = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    folder: Path
    named: bool
    """Whether the folder was named on the command line."""
    journal: Path | None
    manifests: tuple[Path, ...]
    cluster: bool
    kubeconfig: str | None
    namespace: str | None
    as_json: bool


async def run(asked: Request) -> int:
    """Print what was found; returns the exit code."""
    try:
        # What the incidents note is read first: what is written meanwhile is behind it.
        incidents = [one for path in asked.manifests for one in manifests.incidents_of(path)]
        if asked.cluster:
            incidents += await bootstrap.fetch_incidents(kubeconfig=asked.kubeconfig, namespace=asked.namespace)
        anchors = _anchors(incidents)
        found = list(bootstrap.verify_trail(asked.folder, journal=asked.journal, anchors=anchors))
    except (errors.GovernorError, ValueError, OSError) as error:
        said = trails.explained(error, named=asked.named) if isinstance(error, errors.GovernorError) else str(error)
        Console(stderr=True, highlight=False).print(f"safety-governor audit verify: {said}", soft_wrap=True, markup=False)
        return EXIT_NOT_LOOKED
    proved = all(one.is_proved for one in found)
    if asked.as_json:
        print(json.dumps(_plain(found, proved=proved), indent=2))  # noqa: T201 - for other programs
    else:
        held_against = asked.cluster or bool(asked.manifests)
        _tell(found, screen.screen(), held_against=held_against, anchors=sum(len(one) for one in anchors.values()))
    return EXIT_PROVED if proved else EXIT_ALTERED


def _anchors(incidents: Iterable[v1alpha1.Incident]) -> dict[str, list[proof.Anchor]]:
    anchors: dict[str, list[proof.Anchor]] = {}
    for incident in incidents:
        noted = incident.status.audit
        if noted is not None:
            anchor = proof.Anchor(Position(seq=noted.seq, hash=noted.hash), f"incident {incident.key}")
            anchors.setdefault(noted.stream, []).append(anchor)
    return anchors


def _tell(found: Sequence[proof.Verified], console: Console, *, held_against: bool, anchors: int) -> None:
    for one in found:
        for finding in one.findings:
            mark = "[yellow]![/]" if finding.is_warning else "[red]✗[/]"
            place = f"{finding.file}:{finding.line}" if finding.line else finding.file
            console.print(f"{mark} [bold]{finding.fault}[/] {story.plain(place)}  {story.plain(finding.message)}", soft_wrap=True)
        if one.unlisted:
            console.print(f"[red]✗[/] and {one.unlisted} more in {one.stream}")
        if one.unlisted_warnings:
            console.print(f"[yellow]![/] and {words.counted(one.unlisted_warnings, 'more warning')} in {one.stream}")
        if one.is_proved and not one.files:
            console.print(f"[dim]–[/] {one.stream}: there is no file of it, and nothing here says that there was one", soft_wrap=True)
            continue
        mark = "[green]✓[/]" if one.is_proved else "[red]✗[/]"
        noted = f", {one.anchors} noted elsewhere agree{'s' if one.anchors == 1 else ''}" if one.anchors else ""
        console.print(
            f"{mark} {one.stream}: {words.counted(one.lines, 'line')} in {words.counted(one.files, 'file')}{noted}", soft_wrap=True
        )
    if all(one.stream is not Stream.JOURNAL for one in found):
        console.print("[dim]No journal was looked at; --journal FILE says where it is.[/]", soft_wrap=True)
    if not held_against:
        console.print(
            "[dim]The chain alone cannot prove that nobody wrote all of it anew or cut off its end; "
            "--cluster holds it against what the incidents note.[/]",
            soft_wrap=True,
        )
    elif not anchors:
        console.print("[yellow]![/] no incident notes a place in the trail, so the chain stands for itself alone", soft_wrap=True)


def _plain(found: Sequence[proof.Verified], *, proved: bool) -> dict[str, object]:
    streams = [
        {
            "stream": one.stream.value,
            "proved": one.is_proved,
            "files": one.files,
            "lines": one.lines,
            "anchors": one.anchors,
            "last": one.last.model_dump(mode="json") if one.last else None,
            "findings": [{**finding.model_dump(mode="json"), "warning": finding.is_warning} for finding in one.findings],
            "unlisted": one.unlisted,
            "unlistedWarnings": one.unlisted_warnings,
        }
        for one in found
    ]
    return {"proved": proved, "streams": streams}
