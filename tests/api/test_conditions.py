"""Conditions: set anew at every write, with a transition time that changes only when the status does."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from api.builders import NOON
from safety_governor.api import conditions
from safety_governor.api.conditions import State, Type

LATER = NOON + timedelta(minutes=5)
PLANNED = conditions.put((), Type.PLANNED, State.TRUE, reason="Resolved", message="restart", generation=1, now=NOON)


def test_first_condition_begins_now() -> None:
    (condition,) = PLANNED
    assert condition.last_transition_time == NOON
    assert (condition.status, condition.reason, condition.message, condition.observed_generation) == (State.TRUE, "Resolved", "restart", 1)


def test_same_status_keeps_its_transition_time_and_renews_the_rest() -> None:
    (condition,) = conditions.put(PLANNED, Type.PLANNED, State.TRUE, reason="Again", message="scale", generation=2, now=LATER)
    assert condition.last_transition_time == NOON
    assert (condition.reason, condition.message, condition.observed_generation) == ("Again", "scale", 2)


def test_other_status_begins_now() -> None:
    (condition,) = conditions.put(PLANNED, Type.PLANNED, State.FALSE, reason="UnknownAction", generation=1, now=LATER)
    assert condition.last_transition_time == LATER


def test_other_conditions_stay_as_they_are() -> None:
    present = conditions.put(PLANNED, Type.GATED, State.TRUE, reason="Execute", generation=1, now=LATER)
    assert conditions.find(present, Type.PLANNED) == PLANNED[0]
    assert conditions.find(present, Type.STALLED) is None


def test_order_is_that_of_the_types_whatever_was_set_first() -> None:
    present = conditions.put(PLANNED, Type.STALLED, State.FALSE, reason="NotStalled", generation=1, now=NOON)
    present = conditions.put(present, Type.GATED, State.TRUE, reason="Execute", generation=1, now=NOON)
    assert [one.type for one in present] == [Type.PLANNED, Type.GATED, Type.STALLED]


def test_long_message_is_cut() -> None:
    (condition,) = conditions.put((), Type.PLANNED, State.TRUE, reason="Resolved", message="x" * 5000, generation=1, now=NOON)
    assert len(condition.message) == 1024


@pytest.mark.parametrize("reason", ["", "two words", "1st", "ends:", "Reason!"])
def test_reason_that_programs_cannot_read_is_refused(reason: str) -> None:
    with pytest.raises(ValidationError):
        conditions.put((), Type.PLANNED, State.TRUE, reason=reason, generation=1, now=NOON)
