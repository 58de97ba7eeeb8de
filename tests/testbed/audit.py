"""Reading the API server's audit log: the only witness that cannot be fooled by the code under test.

Tests count writes with it ("exactly one restart, by the operator's own identity"). It must not interpret more than the
log says: an event is the API server's own JSON object.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Event = dict[str, Any]

_MUTATING_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_BEGINNING = b'{"kind":"Event","apiVersion":"audit.k8s.io/'
_QUESTION_GROUPS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
"""A create there (SubjectAccessReview, TokenReview) asks something and writes nothing."""


def read_events(log: Path, since: int = 0) -> list[Event]:
    """The events after a byte offset; a line still being written is left for the next time, and one that began before it for the last."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(since - 1, 0))
        data = file.read()
    begin = data.find(b"\n") + 1 if since else 0
    complete = data[begin : data.rfind(b"\n") + 1]
    return [_event(line) for line in complete.splitlines() if line.strip()]


def _event(line: bytes) -> Event:
    """A server that was killed may have torn its last line; the next one goes on in the same."""
    goes_on = line.rfind(_BEGINNING)
    event: Event = json.loads(line[max(goes_on, 0) :])
    return event


def mutating_requests(
    events: Iterable[Event],
    *,
    username: str | None = None,
    resource: str | None = None,
    namespace: str | None = None,
    include_failed: bool = False,
) -> list[Event]:
    """The finished requests that wrote something: no dry run, no access review, no refused request unless asked for.

    `resource` is a plural ("deployments": with all its subresources), or with a subresource ("deployments/scale"), or
    with an empty one ("deployments/": the object itself only).
    """
    return [
        event
        for event in events
        if _is_write(event)
        and (include_failed or _code(event) < 400)
        and (username is None or event.get("user", {}).get("username") == username)
        and (resource is None or _is_about(event, resource))
        and (namespace is None or event.get("objectRef", {}).get("namespace") == namespace)
    ]


def _is_write(event: Event) -> bool:
    return (
        event.get("stage") == "ResponseComplete"
        and event.get("verb") in _MUTATING_VERBS
        and "objectRef" in event
        and event["objectRef"].get("apiGroup", "") not in _QUESTION_GROUPS
        and not _is_dry_run(event)
    )


def _is_dry_run(event: Event) -> bool:
    if any(parse_qs(urlsplit(event.get("requestURI", "")).query).get("dryRun", [])):
        return True
    body = event.get("requestObject")  # a delete may say it in its body
    return isinstance(body, dict) and body.get("kind") == "DeleteOptions" and bool(body.get("dryRun"))


def _code(event: Event) -> int:
    return int(event.get("responseStatus", {}).get("code", 0))


def _is_about(event: Event, resource: str) -> bool:
    plural, slash, subresource = resource.partition("/")
    target = event["objectRef"]
    return target.get("resource") == plural and (not slash or target.get("subresource", "") == subresource)
