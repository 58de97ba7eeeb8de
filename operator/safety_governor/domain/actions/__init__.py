"""Everything that the governor can do, one kind of step a file."""

from typing import Any, TypeAlias

from safety_governor.domain import values
from safety_governor.domain.actions.base import Action, Intent
from safety_governor.domain.actions.cordon import Cordon, Uncordon
from safety_governor.domain.actions.evict_pods import EvictPods
from safety_governor.domain.actions.manual import Manual
from safety_governor.domain.actions.patch_fields import PatchFields
from safety_governor.domain.actions.rollout_restart import RolloutRestart
from safety_governor.domain.actions.rollout_undo import RolloutUndo
from safety_governor.domain.actions.run_job import RunJob
from safety_governor.domain.actions.scale import Scale
from safety_governor.domain.actions.webhook import Webhook

AnyAction: TypeAlias = Action[Any]

__all__ = ["EXECUTABLE", "AnyAction", "Intent", "of"]

_ALL: tuple[AnyAction, ...] = (
    RolloutRestart(),
    RolloutUndo(),
    Scale(),
    EvictPods(),
    Cordon(),
    Uncordon(),
    RunJob(),
    PatchFields(),
    Webhook(),
    Manual(),
)

_BY_TYPE = {one.action_type: one for one in _ALL}

EXECUTABLE = frozenset(_BY_TYPE) - {values.ActionType.MANUAL}
"""The kinds of step that the executor carries out itself."""


def of(kind: values.ActionType) -> AnyAction:
    """What there is to know about steps of this kind."""
    return _BY_TYPE[kind]
