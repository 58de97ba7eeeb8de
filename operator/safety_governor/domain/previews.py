"""What a step would change, for the person who decides. The same step on the same version gives the same preview at any time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from safety_governor.domain import actions, changes, digests, plans, requests, snapshots, values, verification, workloads

_ANY_KEY = "sha256:" + "0" * 64
_ANY_INCIDENT = "namespace/name"
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_KNOWN = {_ANY_KEY: "(key of the action)", _ANY_INCIDENT: "(this incident)", f"{_ANY_TIME:%Y-%m-%dT%H:%M:%SZ}": "(time of the claim)"}


def intent(before: snapshots.Snapshot, watch: verification.Watch) -> actions.Intent:
    """A claim that nobody makes: what is only settled by a claim is replaced by words."""
    return actions.Intent(key=_ANY_KEY, incident=_ANY_INCIDENT, at=_ANY_TIME, before=before, patience_seconds=watch.timeout_seconds)


def of(step: plans.Step, scene: workloads.Scene, request: requests.Request | None, result: Mapping[str, Any]) -> changes.Preview:
    """The preview; `result` is the object as the API server computed it in a dry run."""
    action = actions.of(step.type)
    before = action.snapshot(step, scene)
    inverse = action.inverse(step, before)
    return changes.Preview(
        step=step.id,
        summary=values.clip(action.describe(step, scene.name), values.LINE_LIMIT),
        changes=_changes(scene, request, result, before=before),
        undo=values.clip(actions.of(inverse.type).describe(inverse, scene.name), values.LINE_LIMIT) if inverse is not None else "",
        warnings=tuple(values.clip(one, values.TEXT_LIMIT) for one in action.warnings(scene)),
    )


def content(request: requests.Request | None, result: Mapping[str, Any]) -> str:
    """Digest of what would be asked for, hidden values included, so that what was approved is that and nothing else.

    `result` is the answer to a dry run; of automation outside of the cluster it tells where that is.

    Left out is what says which version of the target was read; what it is to be is part of the approval anyway.
    """
    match request:
        case requests.Patch(body=body) if isinstance(body, Mapping):
            return digests.digest(body.get("spec"))
        case requests.Patch(body=body):
            return digests.digest([dict(one) for one in body if isinstance(one, Mapping) and one["path"].startswith("/spec")])
        case requests.Create(body=body):
            return digests.digest(dict(body))
        case requests.Call(body=body):
            return digests.digest([dict(body), dict(result)])
        case _:
            return digests.digest(None)


def _changes(
    scene: workloads.Scene, request: requests.Request | None, result: Mapping[str, Any], *, before: snapshots.Snapshot
) -> tuple[changes.Change, ...]:
    match request:
        case requests.Patch():
            return changes.between(dict(scene.target.body), dict(result), known=_KNOWN)
        case requests.Create(body=body):
            # What the API server adds, such as a uid, would be another each time.
            return changes.between({}, dict(body), known=_KNOWN)
        case requests.Evict():
            # One request asks for one pod; what is released are all of them.
            evicted = tuple(
                changes.Change(path=values.clip(f"pods[{one.name}]", values.LINE_LIMIT), before="there", after="evicted")
                for one in before.pods
            )
            return evicted[: changes.CHANGE_LIMIT]
        case requests.Call(webhook=webhook, body=body):
            return changes.between({}, {"call": {webhook: dict(body)}}, known=_KNOWN)
        case None:
            return ()
