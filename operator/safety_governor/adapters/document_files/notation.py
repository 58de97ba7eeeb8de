"""YAML and JSON into plain data, with the line of every value.

YAML is read as its version 1.2 core means it: `no`, `on`, `012` and dates are text, because a service called `no` is a
service. Only plain data comes out, whatever tags a file uses, and aliases may not blow it up.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from safety_governor.adapters.document_files.findings import Entry, FormatError, Path, show

MOST_ALIASED = 10_000
"""Nodes that may come out of aliases; a person who repeats himself needs a few hundred."""
_DEEPEST = 100
_LONGEST_NUMBER = 18
_EXPECTED = "expected a mapping with `kind` and the fields of a document, or a list of such"

_Base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"


class _Loader(_Base):  # type: ignore[misc]  # which of the two bases it is depends on how PyYAML was built
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML reads it from the class


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
):
    _Loader.add_implicit_resolver(
        _TAG + _name, re.compile(rf"^(?:{_pattern})$"), [*_first.replace("\0", ""), *([""] if "\0" in _first else [])]
    )


def read_yaml(text: str, *, line_offset: int = 0) -> list[Entry]:
    """Every mapping in the YAML documents of the text, alone or in a list."""
    entries: list[Entry] = []
    for root in _composed(text, line_offset):
        if root is not None:
            tree = _Tree(line_offset)
            data = tree.value(root, ())
            entries.extend(_entries(data, tree.lines, tree.line(root)))
    return entries


def read_json(text: str) -> list[Entry]:
    """The mapping or the list of mappings that the text is."""
    data = _parsed(text, 0)
    tree = _Tree(0)
    try:
        roots = [root for root in _composed(text, 0) if root is not None]
        for root in roots:
            tree.value(root, ())
    except FormatError:
        return list(_entries(data, {}, 1))  # JSON that is not YAML: a tab for a blank; only the lines are lost
    return list(_entries(data, tree.lines, 1))


def read_json_lines(text: str) -> list[Entry]:
    """One mapping from each line that is not blank."""
    return [
        entry
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
        for entry in _entries(_parsed(line, number - 1), {}, number)
    ]


def _entries(data: object, lines: dict[Path, int], first_line: int) -> Iterator[Entry]:
    if isinstance(data, dict):
        yield Entry(data=data, lines=lines, first_line=first_line)
    elif isinstance(data, list):
        for number, one in enumerate(data):
            line = lines.get((number,), first_line)
            if not isinstance(one, dict):
                raise FormatError(f"{_EXPECTED}, not {_described(one)}", line=line, field=f"[{number}]")
            yield Entry(data=one, lines=lines, root=(number,), first_line=line)
    elif data is not None:
        raise FormatError(f"{_EXPECTED}, not {_described(data)}", line=first_line)


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"the text {value[:40]!r}" if isinstance(value, str) else f"the value {json.dumps(value)}"


def _composed(text: str, line_offset: int) -> list[yaml.Node | None]:
    try:
        return list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = [part for part in (error.context, error.problem) if part]
        raise FormatError(f"is not valid YAML: {', '.join(parts)}", line=mark.line + 1 + line_offset if mark else None) from error
    except yaml.YAMLError as error:
        raise FormatError(f"is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise FormatError("is nested too deeply to be a document") from error
    except ValueError as error:  # such as half of a surrogate pair behind an escape
        raise FormatError(f"is not valid YAML: {error}") from error


def _parsed(text: str, line_offset: int) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise FormatError(f"is not valid JSON: {error.msg}, at column {error.colno}", line=error.lineno + line_offset) from error
    except FormatError as error:
        raise FormatError(error.problem.message, line=line_offset + 1 if line_offset else None) from error
    except ValueError as error:  # a number of more digits than Python converts
        raise FormatError(f"is not valid JSON: {error}") from error
    except RecursionError as error:
        raise FormatError("is nested too deeply to be a document") from error


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise FormatError(f"gives {next(key for key in keys if keys.count(key) > 1)!r} twice in one object")
    return found


def _refuse_constant(name: str) -> object:
    raise FormatError(f"is not valid JSON: {name} is not a JSON number")


class _Tree:
    """Values of a tree of nodes, and the lines that they were found at."""

    def __init__(self, line_offset: int) -> None:
        self.lines: dict[Path, int] = {}
        self._offset = line_offset
        self._seen: set[int] = set()
        self._aliased = 0

    def line(self, node: yaml.Node) -> int:
        return int(node.start_mark.line) + 1 + self._offset

    def value(self, node: yaml.Node, path: Path) -> object:
        self.lines.setdefault(path, self.line(node))
        self._count(node, path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, (*path, number)) for number, one in enumerate(node.value)]
        return self._scalar(node)

    def _count(self, node: yaml.Node, path: Path) -> None:
        if len(path) > _DEEPEST:
            raise FormatError("is nested too deeply to be a document, or an alias contains itself", line=self.line(node))
        if id(node) in self._seen:
            self._aliased += 1
            if self._aliased > MOST_ALIASED:
                raise FormatError(
                    f"uses aliases that expand to more than {MOST_ALIASED} values; write them out", line=self.lines.get(path[:1])
                )
        self._seen.add(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        merged: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise FormatError("uses a list or a mapping as a key; expected text", line=self.line(key))
            here = (*path, key.value)
            if key.value == "<<" and not key.style:
                merged.update(self._merged(value, path))
                continue
            if key.value in found:
                raise FormatError(f"is given twice; first in line {self.lines[here]}", line=self.line(key), field=show(here))
            self.lines[here] = self.line(key)
            found[key.value] = self.value(value, here)
        return merged | found

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, object]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(part, yaml.MappingNode) for part in parts):
            raise FormatError("merges something that is not a mapping with <<", line=self.line(node), field=show(path))
        return {key: value for part in reversed(parts) for key, value in self._mapping_of(part, path).items()}

    def _mapping_of(self, node: yaml.Node, path: Path) -> dict[str, object]:
        value = _Tree.value(self, node, (*path, "<<"))
        return value if isinstance(value, dict) else {}

    def _scalar(self, node: yaml.Node) -> object:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text) if len(text) <= _LONGEST_NUMBER else text
            case "float":
                return float(text)
            case _:
                message = f"uses the tag {node.tag}; expected plain text, numbers, lists and mappings"
                raise FormatError(message, line=self.line(node))
