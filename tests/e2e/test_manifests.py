"""What the API server itself refuses, with the sentence that the person reads. No operator runs here."""

import json
from typing import Any

import pytest

from support.shop import Shop

_DIGEST = "sha256:" + "a" * 64
_OTHER = "sha256:" + "b" * 64


def _incident(**changes: Any) -> dict[str, Any]:
    spec = {"service": "payments", "severity": "medium", "summary": "slow", "requestedBy": "alice", **changes}
    return {"apiVersion": "safetygovernor.io/v1alpha1", "kind": "Incident", "metadata": {"name": "bad"}, "spec": spec}


REFUSED = {
    "an unknown field": ({"sevrity": "low"}, 'unknown field "spec.sevrity"'),
    "a wrong severity": ({"severity": "urgent"}, 'Unsupported value: "urgent": supported values: "low", "medium", "high", "critical"'),
    "a summary of 100 kB": ({"summary": "x" * 100_000}, "spec.summary: Too long"),
    "an empty summary": ({"summary": ""}, "spec.summary"),
    "a missing service": ({"service": None}, "spec.service: Required value"),
    "a service that is no name": ({"service": "Pay Ments"}, "spec.service in body should match"),
    "too many symptoms": ({"symptoms": ["x"] * 17}, "spec.symptoms: Too many"),
    "a wrong mode": ({"mode": "Yolo"}, 'Unsupported value: "Yolo"'),
    "a target without a name": ({"target": {"kind": "Deployment"}}, "spec.target.name: Required value"),
    "a target in another namespace": ({"target": {"name": "x", "namespace": "kube-system"}}, 'unknown field "spec.target.namespace"'),
    "a text where a truth value belongs": ({"abort": "yes"}, "spec.abort"),
    "an override without a reason": (
        {"approval": {"decision": "FORCE_OVERRIDE", "planDigest": _DIGEST, "approver": "eve", "reason": "because"}},
        "reason of at least 20 characters",
    ),
    "a digest that is none": ({"approval": {"decision": "APPROVE", "planDigest": "latest", "approver": "bob"}}, "spec.approval.planDigest"),
}


@pytest.mark.parametrize(("changes", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_api_server_refuses_an_incident_with(changes: dict[str, Any], sentence: str, shop: Shop) -> None:
    said = shop.kubectl("apply", "-f", "-", stdin=json.dumps(_incident(**changes)), check=False)
    assert sentence in said


def _stored(shop: Shop, *, phase: str | None = None, digest: str = _DIGEST) -> str:
    name = "case"
    shop.report(name)
    if phase is not None:
        assert not shop.write_status(name, phase, digest)
    return name


def _patch(shop: Shop, **spec: Any) -> str:
    return shop.kubectl("patch", "incident", "case", "--type=merge", "-p", json.dumps({"spec": spec}), user="bob", check=False)


def _approval(digest: str = _DIGEST, **changes: str) -> dict[str, str]:
    return {"decision": "APPROVE", "planDigest": digest, "approver": "bob", **changes}


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("service", "ledger"),
        ("severity", "low"),
        ("summary", "fast"),
        ("symptoms", ["new"]),
        ("target", {"name": "other"}),
        ("source", {"kind": "Person"}),
        ("requestedBy", "mallory"),
        ("requestedBy", None),
    ],
)
def test_what_happened_cannot_be_rewritten(field: str, changed: Any, shop: Shop) -> None:
    _stored(shop)
    assert f"{field} is immutable" in _patch(shop, **{field: changed})


def test_abort_cannot_be_taken_back(shop: Shop) -> None:
    _stored(shop)
    _patch(shop, abort=True)
    assert "abort cannot be taken back" in _patch(shop, abort=False)
    assert "abort cannot be taken back" in _patch(shop, abort=None)


def test_mode_only_changes_from_enforce_to_observe(shop: Shop) -> None:
    _stored(shop)
    assert "patched" in _patch(shop, mode="Observe")
    assert "mode may only change from Enforce to Observe" in _patch(shop, mode="Enforce")


@pytest.mark.parametrize("field", ["approval", "secondApproval"])
class TestApproval:
    def test_before_the_gate_has_asked_is_refused(self, field: str, shop: Shop) -> None:
        _stored(shop)
        assert "must name the current status.gate.planDigest" in _patch(shop, **{field: _approval()})

    def test_of_another_digest_is_refused(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="AwaitingApproval")
        assert "must name the current status.gate.planDigest" in _patch(shop, **{field: _approval(_OTHER)})

    def test_of_the_current_digest_is_taken_once(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="AwaitingApproval")
        assert "patched" in _patch(shop, **{field: _approval()})
        assert "written once" in _patch(shop, **{field: _approval(decision="REJECT")})
        assert "cannot be taken back" in _patch(shop, **{field: None})

    def test_is_kept_when_the_manifest_is_applied_again(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="AwaitingApproval")
        _patch(shop, **{field: _approval()})
        shop.report("case")
        assert shop.incident("case")["spec"][field]["approver"] == "bob"

    def test_may_be_replaced_when_the_digest_has_changed(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="AwaitingApproval")
        _patch(shop, **{field: _approval()})
        assert not shop.write_status("case", "AwaitingApproval", _OTHER)
        assert "must name the current" in _patch(shop, **{field: _approval(decision="REJECT")})
        assert "patched" in _patch(shop, **{field: _approval(_OTHER)})

    def test_of_a_finished_incident_is_refused(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="Expired")
        assert "must name the current status.gate.planDigest" in _patch(shop, **{field: _approval()})


def test_finished_phase_never_changes_again(shop: Shop) -> None:
    _stored(shop, phase="Resolved")
    assert "status.phase is final" in shop.write_status("case", "Executing", _DIGEST)


def test_policy_with_an_unknown_action_is_refused(shop: Shop) -> None:
    said = shop.kubectl("patch", "rp", "default", "--type=merge", "-p", '{"spec":{"allowedActions":["DropDatabase"]}}', check=False)
    assert 'Unsupported value: "DropDatabase"' in said
