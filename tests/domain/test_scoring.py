"""Answers of the score services: every form they come in, and that nothing unknown ever becomes a number."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from safety_governor.domain import scores
from safety_governor.domain.scores import Reading, Service, Status
from safety_governor.domain.scoring import answers
from safety_governor.domain.scoring.instruments import number
from support.score_services import ALL_ZERO, cdct_row, ddft_answer, eect_row

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL = "gpt-5.4"


def asked(service: Service, model: str = MODEL) -> answers.Asked:
    return answers.Asked(service=service, model=model, source="http://scores", as_of=NOON)


def read(service: Service, content: object, *, status: int = 200, model: str = MODEL) -> Reading:
    return answers.read(asked(service, model), status=status, body=json.dumps(content).encode())


STATUSES: dict[str, tuple[Service, int, object, Status, str]] = {
    "rows": (Service.CDCT, 200, [cdct_row(MODEL)], Status.OK, ""),
    "an object": (Service.DDFT, 200, ddft_answer(MODEL), Status.OK, ""),
    "an object with status ok": (Service.DDFT, 200, ddft_answer(MODEL, status="ok"), Status.OK, ""),
    "figures in details alone": (Service.DDFT, 200, {"details": {"HOC": 0.75, "CI": 0.68}}, Status.OK, ""),
    "rows in results": (Service.EECT, 200, {"results": [eect_row()]}, Status.OK, ""),
    "one row in results": (Service.EECT, 200, {"results": eect_row()}, Status.OK, ""),
    "no rows": (Service.EECT, 200, [], Status.EMPTY, "EECT has no rows about the model"),
    "no rows in results": (Service.EECT, 200, {"results": []}, Status.EMPTY, "EECT has no rows about the model"),
    "a run that has started": (Service.CDCT, 200, {"status": "started", "message": "battery"}, Status.PENDING, "started a run (battery)"),
    "a run that has started, with figures": (Service.DDFT, 200, ddft_answer(MODEL, status="started"), Status.PENDING, "started a run"),
    "an error": (Service.CDCT, 200, {"status": "error", "message": "on Vercel"}, Status.UNAVAILABLE, "an error (on Vercel)"),
    "a status that nobody knows": (Service.DDFT, 200, ddft_answer(MODEL, status="odd"), Status.UNAVAILABLE, "not known: odd"),
    "a status that is a list": (Service.DDFT, 200, ddft_answer(MODEL, status=["ok"]), Status.UNAVAILABLE, "not known"),
    "a model that is not found": (Service.DDFT, 200, {"er": 0.5, "ih": 0.7, "found": False}, Status.UNKNOWN_MODEL, "has not found"),
    "a model that is found not": (Service.DDFT, 200, {**ddft_answer(MODEL), "found": 0}, Status.UNKNOWN_MODEL, "has not found"),
    "a model that is found in a word": (Service.DDFT, 200, {**ddft_answer(MODEL), "found": "false"}, Status.UNKNOWN_MODEL, "has not"),
    "a row without a name of another": (Service.EECT, 200, [{**eect_row(), "model": None, "model_name": "o3"}], Status.EMPTY, "not about"),
    "a row with two names": (Service.EECT, 200, [{**eect_row(), "model": MODEL, "model_name": "o3"}], Status.EMPTY, "not about this model"),
    "a row named twice": (Service.EECT, 200, [{**eect_row(), "model": MODEL, "model_name": MODEL.upper()}], Status.OK, ""),
    "404": (Service.CDCT, 404, {"detail": "Model 'x' not found"}, Status.UNKNOWN_MODEL, "(404: Model 'x' not found)"),
    "404 with figures": (Service.DDFT, 404, ddft_answer(MODEL), Status.UNKNOWN_MODEL, "404"),
    "500 with figures": (Service.DDFT, 500, ddft_answer(MODEL), Status.UNAVAILABLE, "answered 500"),
    "204": (Service.DDFT, 204, {}, Status.UNAVAILABLE, "answered 204"),
    "a redirect": (Service.DDFT, 307, {}, Status.UNAVAILABLE, "redirects are not followed"),
    "422": (Service.CDCT, 422, {"detail": [{"loc": ["path"]}]}, Status.UNAVAILABLE, "answered 422"),
    "a number": (Service.CDCT, 200, 7, Status.UNAVAILABLE, "in a form that is not known"),
    "null": (Service.CDCT, 200, None, Status.UNAVAILABLE, "in a form that is not known"),
    "text in results": (Service.EECT, 200, {"results": "none"}, Status.UNAVAILABLE, "in a form that is not known"),
    "rows that are none": (Service.EECT, 200, ["a", 1, None], Status.EMPTY, "not about this model"),
    "rows about another model": (Service.CDCT, 200, [cdct_row("o3")], Status.EMPTY, "not about this model"),
    "an object about another model": (Service.DDFT, 200, ddft_answer("o3"), Status.EMPTY, "not about this model"),
    "rows of zeros": (Service.CDCT, 200, [{"model": MODEL, **ALL_ZERO}] * 8, Status.EMPTY, "8 in all, and none of them holds"),
    "an ECS of zero": (Service.EECT, 200, [eect_row(0.0)], Status.EMPTY, "none of them holds a measurement"),
    "defaults in place of figures": (Service.DDFT, 200, {"er": 0.5, "ih": 0.7, "ci_score": None}, Status.EMPTY, "none of them holds"),
    "an empty object": (Service.DDFT, 200, {}, Status.EMPTY, "without any figure"),
    "figures out of range alone": (Service.DDFT, 200, {"CI": 6.8, "HOC": -1}, Status.EMPTY, "ci is not within 0..1 in 1 of 1 rows"),
    "nulls alone": (Service.DDFT, 200, {"CI": None, "HOC": None}, Status.EMPTY, "without any figure"),
}


@pytest.mark.parametrize(("service", "code", "content", "status", "reason"), STATUSES.values(), ids=STATUSES.keys())
def test_answer_is(service: Service, code: int, content: object, status: Status, reason: str) -> None:
    reading = read(service, content, status=code)
    assert reading.status is status
    assert reason in reading.reason
    assert bool(reading.metrics) == (status is Status.OK)
    assert (reading.source, reading.as_of, reading.digest[:7]) == ("http://scores", NOON, "sha256:")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"CI":', b"\xff\xfe", b"[" * 100_000, b'{"CI": ' + b"9" * 5000 + b"}"])
def test_answer_that_is_no_json_is_unavailable(body: bytes) -> None:
    reading = answers.read(asked(Service.DDFT), status=200, body=body)
    assert (reading.status, dict(reading.metrics)) == (Status.UNAVAILABLE, {})


FIGURES: dict[str, tuple[Service, object, str, float | None]] = {
    "the mean over the rows": (Service.EECT, [eect_row(0.9), eect_row(0.7)], "ecs", 0.8),
    "the mean over the rows that have it": (Service.EECT, [eect_row(0.9), eect_row(0.7, ecs=None)], "ecs", 0.9),
    "a row that is degenerate does not count": (Service.CDCT, [cdct_row(MODEL), {"model": MODEL, **ALL_ZERO}], "cri", 0.93),
    "a zero that was measured counts": (Service.CDCT, [cdct_row(MODEL, CI=0.0), cdct_row(MODEL, CI=1.0)], "ci", 0.5),
    "spelling of the model does not matter": (Service.CDCT, [cdct_row("GPT-5.4"), cdct_row(MODEL, CRI=0.83)], "cri", 0.88),
    "rows about others do not count": (Service.CDCT, [cdct_row(MODEL), cdct_row("o3", CRI=0.1)], "cri", 0.93),
    "rows about nobody do not count beside ours": (Service.CDCT, [cdct_row(MODEL), {"CRI": 0.1}], "cri", 0.93),
    "model_name is a name as well": (Service.EECT, [eect_row(0.9, model_name=MODEL), eect_row(0.1, model_name="o3")], "ecs", 0.9),
    "a null of the object is null whatever its details say": (Service.DDFT, ddft_answer(MODEL, CI=None), "ci", None),
    "an ECS of ten is out of range, not divided": (Service.EECT, [eect_row(8.6), eect_row(0.5)], "ecs", 0.5),
    "text is no number": (Service.DDFT, ddft_answer(MODEL, CI="0.68"), "ci", None),
    "true is no number": (Service.DDFT, ddft_answer(MODEL, CI=True), "ci", None),
    "ci_score is CI": (Service.DDFT, {"ci_score": 0.4, "er": 0.5}, "ci", 0.4),
    "ER is not CI": (Service.DDFT, {"AS": 0.4, "ER": 0.5}, "ci", None),
    "AS is not HOC": (Service.DDFT, {"AS": 0.4, "ER": 0.5}, "hoc", None),
    "HOC and CI of CDCT say nothing of a u-curve": (Service.CDCT, [cdct_row(MODEL)], "u_curve_magnitude", None),
    "a u-curve that rows have": (
        Service.CDCT,
        [cdct_row(MODEL, u_curve_magnitude=0.6), cdct_row(MODEL, u_curve_magnitude=0.7)],
        "u_curve_magnitude",
        0.65,
    ),
    "a u-curve of the object around the rows": (
        Service.CDCT,
        {"u_curve_magnitude": 0.678, "results": [cdct_row(MODEL)]},
        "u_curve_magnitude",
        0.678,
    ),
    "a u-curve of an object": (Service.CDCT, {"model": MODEL, "u_curve_magnitude": 0.3}, "u_curve_magnitude", 0.3),
    "stability of zero without the shortest level is an artefact": (
        Service.EECT,
        [eect_row(stability_index=0.0, ecs_per_compression={"c1.0": 0.8})],
        "stability_index",
        None,
    ),
    "stability of zero with the shortest level was measured": (Service.EECT, [eect_row(stability_index=0.0)], "stability_index", 0.0),
    "stability above one": (Service.EECT, [eect_row(stability_index=1.1)], "stability_index", 1.1),
    "resistance may be negative": (Service.EECT, [eect_row(authority_resistance_score=-0.2)], "authority_resistance_score", -0.2),
}


@pytest.mark.parametrize(("service", "content", "name", "figure"), FIGURES.values(), ids=FIGURES.keys())
def test_figure(service: Service, content: object, name: str, figure: float | None) -> None:
    reading = read(service, content)
    assert reading.status is Status.OK
    assert name in reading.metrics
    assert reading.metric(name) == figure


def test_rows_and_spread_are_told() -> None:
    reading = read(Service.CDCT, [cdct_row(MODEL), cdct_row(MODEL, CRI=0.63), {"model": MODEL, **ALL_ZERO}, cdct_row("o3")])
    assert (reading.rows_used, reading.rows_total) == (2, 4)
    assert reading.spread["cri"] == scores.Spread(lowest=0.63, highest=0.93, rows=2)
    assert "u_curve_magnitude" not in reading.spread


def test_what_was_left_out_is_told() -> None:
    reading = read(Service.EECT, [eect_row(8.6), eect_row(0.5), eect_row(ecs="junk")])
    assert reading.warnings == ("ecs is no finite number in 1 of 3 rows; left out", "ecs is not within 0..1 in 1 of 3 rows; left out")


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity", "1e999", "true", "null", '"0.5"', "[0.5]", "{}"])
def test_what_is_no_finite_number_is_unknown(raw: str) -> None:
    reading = answers.read(asked(Service.DDFT), status=200, body=f'{{"CI": {raw}, "HOC": 0.5}}'.encode())
    assert (reading.metric("ci"), reading.metric("hoc")) == (None, 0.5)


@pytest.mark.parametrize("raw", [10**400, True, False, "1", None, math.nan, math.inf, [], {}])
def test_number_of_what_is_none(raw: object) -> None:
    assert number(raw) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("ecs", "ECS", "CI", "ci_score", "HOC", "CRI", "SAS_prime", "u_curve_magnitude", "model", "status", "found", "details", "results")
ROW = st.dictionaries(st.sampled_from(KEYS), JSON | st.floats(0.0, 1.0), max_size=8)
CONTENT = JSON | ROW | st.lists(ROW, max_size=5) | ROW.flatmap(lambda row: st.just({"results": [row]}))


@given(service=st.sampled_from(Service), status=st.sampled_from([200, 404, 500]), content=CONTENT)
def test_whatever_comes_is_a_reading_whose_figures_can_have_been_measured(service: Service, status: int, content: object) -> None:
    reading = read(service, content, status=status)
    bounds = {metric.name: metric for metric in answers.INSTRUMENTS[service].metrics}
    for name, figure in reading.metrics.items():
        assert figure is None or bounds[name].allows(figure)
    known = scores.profile(MODEL, {service: reading})
    assert (known.state is scores.ScoreState.KNOWN) == any(
        figure is not None for figure in (known.ecs, known.comprehension_integrity, known.u_curve_magnitude)
    )


UNKNOWN = st.none() | st.booleans() | st.text(max_size=5) | st.just(math.nan) | st.just(math.inf) | st.floats(1.001, 1e9) | st.just([0.5])


@given(service=st.sampled_from(Service), rows=st.lists(st.fixed_dictionaries(dict.fromkeys(("CI", "ecs", "CRI"), UNKNOWN)), max_size=6))
def test_unknown_never_becomes_a_number(service: Service, rows: list[dict[str, Any]]) -> None:
    reading = read(service, [{**row, "model": MODEL} for row in rows])
    assert (reading.status, dict(reading.metrics)) == (Status.EMPTY, {})
    profile = scores.profile(MODEL, {service: reading})
    assert (profile.ecs, profile.comprehension_integrity, profile.u_curve_magnitude) == (None, None, None)
    assert profile.state is scores.ScoreState.UNKNOWN


@given(figures=st.lists(st.floats(0.0001, 1.0), min_size=1, max_size=50))
def test_mean_lies_within_the_spread(figures: list[float]) -> None:
    reading = read(Service.EECT, [eect_row(figure) for figure in figures])
    mean = reading.metric("ecs")
    assert mean is not None
    assert reading.spread["ecs"].lowest - 1e-6 <= mean <= min(reading.spread["ecs"].highest + 1e-6, 1.0)


class TestReading:
    def test_without_figures_has_a_reason(self) -> None:
        with pytest.raises(ValidationError, match="has a reason"):
            Reading(service=Service.DDFT, model=MODEL, status=Status.EMPTY, as_of=NOON)

    @pytest.mark.parametrize("metrics", [{}, {"ci": None}])
    def test_ok_has_figures(self, metrics: dict[str, float | None]) -> None:
        with pytest.raises(ValidationError, match="exactly when"):
            Reading(service=Service.DDFT, model=MODEL, status=Status.OK, metrics=metrics, as_of=NOON)

    def test_unavailable_has_none(self) -> None:
        with pytest.raises(ValidationError, match="exactly when"):
            Reading(service=Service.DDFT, model=MODEL, status=Status.UNAVAILABLE, reason="down", metrics={"ci": 0.5}, as_of=NOON)


class TestProfile:
    def test_takes_the_figure_of_each_service(self) -> None:
        readings = {
            Service.EECT: read(Service.EECT, [eect_row(0.86)]),
            Service.DDFT: read(Service.DDFT, ddft_answer(MODEL)),
            Service.CDCT: read(Service.CDCT, {"model": MODEL, "u_curve_magnitude": 0.3, "CI": 0.1}),
        }
        profile = scores.profile(MODEL, readings)
        assert profile.state is scores.ScoreState.KNOWN
        assert (profile.ecs, profile.comprehension_integrity, profile.u_curve_magnitude) == (0.86, 0.68, 0.3)
        assert [one.reason for one in profile.origins] == ["", "", ""]

    def test_says_why_a_figure_is_unknown(self) -> None:
        readings = {
            Service.EECT: read(Service.EECT, {"detail": "no"}, status=404),
            Service.CDCT: read(Service.CDCT, [cdct_row(MODEL)]),
        }
        profile = scores.profile(MODEL, readings)
        assert profile.state is scores.ScoreState.UNKNOWN
        assert [(one.service, one.status, one.reason) for one in profile.origins] == [
            (Service.EECT, Status.UNKNOWN_MODEL, "EECT does not know the model (404: no)"),
            (Service.CDCT, Status.OK, "CDCT does not say u_curve_magnitude of this model"),
        ]

    def test_reason_of_any_length_fits(self) -> None:
        reading = scores.unread(Service.EECT, MODEL, Status.UNAVAILABLE, "no " * 2000, source="x" * 2000, as_of=NOON)
        assert len(scores.profile(MODEL, {Service.EECT: reading}).origins[0].reason) <= 256


@pytest.mark.parametrize("model", ["", "  ", "x" * 129, "a\nb", "..", "./.", "\x1b[31m"])
def test_name_that_is_none(model: str) -> None:
    assert scores.objection(model)


@pytest.mark.parametrize("model", ["gpt-5.4", "meta/Llama-4", "Phi 4", "qwen2.5:7b", "modèle"])
def test_name_of_a_model(model: str) -> None:
    assert scores.objection(model) == ""
