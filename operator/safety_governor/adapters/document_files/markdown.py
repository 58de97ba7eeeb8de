"""Markdown runbooks: front matter that may be ours or another program's, headings, and the section that says what to do.

A file whose front matter says how to remedy is a typed runbook and is judged as strictly as YAML. Any other is prose: it
becomes a runbook that people follow, and the front matter of the site generator that it was written for is left alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from safety_governor.adapters.document_files import notation, shapes
from safety_governor.adapters.document_files.findings import Entry, FormatError
from safety_governor.domain import values

FOLLOW = "follow-runbook"
"""The action of a runbook that is prose."""
_TYPED = frozenset({"recommended_action", "remediations", "claims", "state"})
_SHARED = ("id", "service", "tags")
"""Fields that are taken from the front matter of prose, too."""
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t]*#*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_REMEDY = re.compile(r"^(mitigations?|remediations?|resolutions?|resolve|fix|fixes|how to (?:fix|resolve|mitigate))\b", re.IGNORECASE)
_NOTHING = frozenset({"", "todo", "tbd", "n/a", "none"})


@dataclass(frozen=True, slots=True)
class _Heading:
    line: int
    level: int
    text: str


def read_markdown(text: str, *, identifier: str) -> Entry:
    """The runbook that the file is, not validated. `identifier` is its id unless it gives one."""
    front, body = _front_matter(text)
    headings = list(_headings(body))
    heading = next((one.text for one in headings if one.level == 1 and one.text), "")
    front_title = front.data.get("title")
    title = heading or (front_title if isinstance(front_title, str) else "") or PurePosixPath(identifier).name
    remedy = _section(body, headings) or f"Follow the runbook “{title}”."
    if "kind" in front.data or _TYPED & front.data.keys():
        return replace(front, data=_typed(front, body, remedy, title=title, identifier=identifier))
    data: dict[str, object] = {field: front.data[field] for field in _SHARED if front.data.get(field) is not None}
    tags = data.get("tags", [])
    if isinstance(tags, list) and isinstance(front_title, str) and _plain(front_title) != _plain(title):
        data["tags"] = [*tags, values.clip(front_title, values.LINE_LIMIT)]
    data |= {"kind": "Runbook", "title": values.clip(title, values.LINE_LIMIT), "body": body, "recommended_action": FOLLOW}
    return replace(front, data={"id": identifier, **data, "remediations": [shapes.manual_remediation(FOLLOW, remedy)]})


def _typed(front: Entry, body: str, remedy: str, *, title: str, identifier: str) -> dict[str, object]:
    data = {"kind": "Runbook", "id": identifier, "title": values.clip(title, values.LINE_LIMIT), **front.data}
    if data["kind"] != "Runbook":
        raise FormatError(f"is {data['kind']!r}; a Markdown file can only be a Runbook", line=front.line_of(("kind",)), field="kind")
    if "body" in front.data:
        raise FormatError("stands below the front matter; do not give it twice", line=front.line_of(("body",)), field="body")
    if "remediations" not in data and "recommended_action" in data:
        data["remediations"] = [shapes.manual_remediation(data["recommended_action"], remedy)]
    return data | {"body": body}


def _front_matter(text: str) -> tuple[Entry, str]:
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        return Entry(data={}), text
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), None)
    if end is None:
        raise FormatError("has front matter that is not closed; expected a line --- after it", line=1)
    entries = notation.read_yaml("\n".join(lines[1:end]), line_offset=1)
    if len(entries) > 1 or (entries and entries[0].root):
        raise FormatError("has front matter that is a list; expected a mapping", line=2)
    return (entries[0] if entries else Entry(data={})), "\n".join(lines[end + 1 :]).lstrip("\n")


def _headings(body: str) -> Iterator[_Heading]:
    fence = ""
    for number, line in enumerate(body.split("\n")):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence and (found := _HEADING.match(line)):
            yield _Heading(number, len(found[1]), found[2].strip())


def _section(body: str, headings: list[_Heading]) -> str:
    lines = body.split("\n")
    for at, heading in enumerate(headings):
        if _REMEDY.match(heading.text):
            end = next((one.line for one in headings[at + 1 :] if one.level <= heading.level), len(lines))
            text = "\n".join(lines[heading.line + 1 : end]).strip()
            if text.lower().rstrip(".") not in _NOTHING:
                return text
    return ""


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()
