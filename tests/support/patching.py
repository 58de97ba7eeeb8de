"""What an API server makes of a patch: enough of merge patch, JSON patch and server-side apply for the requests of the governor."""

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from safety_governor.domain import errors, requests

KEYS = ("name", "containerPort")
"""By which elements of lists are told apart."""


def patched(body: Mapping[str, Any], request: requests.Patch, *, any_version: bool = False) -> dict[str, Any]:
    """The object afterwards, with a higher resourceVersion and, where spec or annotations differ, generation.

    `any_version` is for dry runs, which name no version. Raises ConflictError for another version, and ClusterRefusedError where
    somebody else owns the field.
    """
    before = copy.deepcopy(dict(body))
    made = _APPLIED[request.style](copy.deepcopy(before), request)
    version = before["metadata"]["resourceVersion"]
    if made["metadata"]["resourceVersion"] != version and not any_version:
        raise errors.ConflictError(f"the object is at version {version}")
    if _desired(made) != _desired(before):
        made["metadata"]["resourceVersion"] = str(int(version) + 1)
        if "generation" in made["metadata"]:
            made["metadata"]["generation"] += 1
    return made


def _desired(body: Mapping[str, Any]) -> tuple[Any, Any]:
    return body.get("spec"), body["metadata"].get("annotations")


def _merged(body: dict[str, Any], request: requests.Patch) -> dict[str, Any]:
    assert isinstance(request.body, Mapping)
    return _merge(body, request.body)


def _merge(into: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, Mapping):
            present = into.get(name)
            into[name] = _merge(present if isinstance(present, dict) else {}, value)
        else:
            into[name] = copy.deepcopy(value)
    return into


def _replaced(body: dict[str, Any], request: requests.Patch) -> dict[str, Any]:
    assert isinstance(request.body, Sequence)
    for operation in request.body:
        *above, last = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:])
        place = body
        for part in above:
            place = place[part]
        assert operation["op"] == "add" or last in place, f"there is nothing to replace at {operation['path']}"
        place[last] = copy.deepcopy(operation["value"])
    return body


def _applied(body: dict[str, Any], request: requests.Patch) -> dict[str, Any]:
    assert isinstance(request.body, Mapping)
    assert request.manager, "server-side apply takes a manager"
    wanted = {name: part for name, part in request.body.items() if name not in ("apiVersion", "kind")}
    metadata = {name: part for name, part in wanted["metadata"].items() if name not in ("name", "resourceVersion")}
    body["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"]
    leaves = dict(_leaves({**wanted, "metadata": metadata}, ()))
    owners: dict[str, list[tuple[Any, ...]]] = body["metadata"].setdefault("owners", {})
    for manager, owned in owners.items():
        if manager != request.manager and any(path in owned and _get(body, path) != value for path, value in leaves.items()):
            raise errors.ClusterRefusedError(f"Apply failed with 1 conflict: conflict with {manager!r}")
    for path in owners.get(request.manager, []):
        if path not in leaves and not any(path in owned for manager, owned in owners.items() if manager != request.manager):
            _put(body, path, None)
    for path, value in leaves.items():
        _put(body, path, value)
    owners[request.manager] = list(leaves)
    return body


def _leaves(value: Any, path: tuple[Any, ...]) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, Mapping):
        return [leaf for name, part in value.items() for leaf in _leaves(part, (*path, name))]
    if isinstance(value, list):
        found = []
        for one in value:
            key = next(name for name in KEYS if name in one)
            found += _leaves({name: part for name, part in one.items() if name != key}, (*path, (key, one[key])))
        return found
    return [(path, value)]


def _get(body: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        if body is None:
            return None
        body = _element(body, part) if isinstance(part, tuple) else body.get(part)
    return body


def _put(body: Any, path: tuple[Any, ...], value: Any) -> None:
    for part, following in itertools.pairwise(path):
        if isinstance(part, tuple):
            found = _element(body, part)
            if found is None:
                found = {part[0]: part[1]}
                body.append(found)
            body = found
        else:
            body = body.setdefault(part, [] if isinstance(following, tuple) else {})
    if value is None:
        body.pop(path[-1], None)
    else:
        body[path[-1]] = value


def _element(elements: list[dict[str, Any]], part: tuple[str, Any]) -> dict[str, Any] | None:
    return next((one for one in elements if one.get(part[0]) == part[1]), None)


_APPLIED = {requests.PatchStyle.MERGE: _merged, requests.PatchStyle.JSON: _replaced, requests.PatchStyle.APPLY: _applied}
