"""Have pods leave one after the other, so that their controller starts new ones. The disruption budgets may refuse."""

import enum
from collections.abc import Sequence

from pydantic import Field

from safety_governor.domain import errors, guardrails, plans, requests, rollouts, snapshots, values, workloads
from safety_governor.domain.actions import base


class Which(enum.StrEnum):
    """Which pods."""

    UNREADY = "unready"
    """Those that are not ready, oldest first."""
    OLDEST = "oldest"
    """The oldest, ready or not."""


class Parameters(base.Parameters):
    """Which pods and how many."""

    which: Which = Which.UNREADY
    most: int = Field(default=1, ge=1, le=snapshots.POD_LIMIT)
    """So many at most."""


class EvictPods(base.Action[Parameters]):
    """Certain pods, by name and uid, chosen when the action is claimed: a pod that has left is not evicted twice."""

    action_type = values.ActionType.EVICT_PODS
    kinds = workloads.ROLLING | {workloads.JOB}
    reads = frozenset({workloads.Related.PODS})
    changes_target = False
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        given = self.read(step)
        which = "that are not ready" if given.which is Which.UNREADY else "that are the oldest"
        return f"evicts up to {given.most} pods of {target} {which}, one after the other"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """It is not known whom to evict."""
        del step, rules
        return () if scene.pods is not None else (f"the pods of {scene.name} are not known",)

    def needless(self, step: plans.Step, scene: workloads.Scene) -> str:
        """Nobody to evict."""
        return "" if scene.pods is None or self._chosen(step, scene) else f"{scene.name} has no pod to evict, so nothing would change"

    def takes_down(self, step: plans.Step, scene: workloads.Scene) -> int:
        """One at a time, as the next waits for the one in the place of the last; none when those that go are not ready anyway."""
        return min(1, sum(pod.ready for pod in self._chosen(step, scene)))

    def first_to_go(self, step: plans.Step, scene: workloads.Scene) -> workloads.Pod | None:
        """The first of those that are to leave: the budgets may spare one that is not ready as well."""
        return next(iter(self._chosen(step, scene)), None)

    def snapshot(self, step: plans.Step, scene: workloads.Scene) -> snapshots.Snapshot:
        """With the pods that are to leave."""
        return snapshots.take(scene, pods=self._chosen(step, scene))

    def waits(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> str:
        """Before a ready pod goes, the one in the place of the last has to be ready."""
        if self.read(step).which is Which.UNREADY or not self.has_begun(scene, intent):
            return ""
        ready, wanted = _ready(scene), scene.target.rollout.wanted
        return f"{ready} of {wanted} pods of {scene.name} are ready; the next leaves when all are" if ready < wanted else ""

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """The next of the pods that is still there, and, where those go that are not ready, still is not."""
        spared = {pod.uid for pod in scene.pods or () if pod.ready} if self.read(step).which is Which.UNREADY else set()
        left = [pod for pod in _there(scene, intent.before.pods) if pod.uid not in spared]
        if not left:
            return None
        if self.has_begun(scene, intent) and (worse := _gone_wrong(scene, intent)):
            raise errors.ClusterRefusedError(f"pod {worse.name}, which came in the place of one that left, does not run; no other leaves")
        return requests.Evict(pod=left[0].name, uid=left[0].uid)

    def has_begun(self, scene: workloads.Scene, intent: base.Intent) -> bool:
        """Whether one of them has left."""
        return len(_there(scene, intent.before.pods)) < len(intent.before.pods)

    def progress(self, step: plans.Step, scene: workloads.Scene) -> tuple[rollouts.Progress, str]:
        """Until there are as many ready pods as there should be: what the target says of itself may be from before they left."""
        ready, wanted = _ready(scene), scene.target.rollout.wanted
        if ready < wanted:
            return rollouts.Progress.GOING_ON, f"{ready} of {wanted} pods are ready"
        return super().progress(step, scene)

    def _chosen(self, step: plans.Step, scene: workloads.Scene) -> Sequence[workloads.Pod]:
        given = self.read(step)
        candidates = [pod for pod in scene.pods or () if not pod.terminating and (given.which is Which.OLDEST or not pod.ready)]
        return sorted(candidates, key=lambda pod: (pod.created_at, pod.name))[: given.most]


def _gone_wrong(scene: workloads.Scene, intent: base.Intent) -> workloads.Pod | None:
    new = (pod for pod in scene.pods or () if pod.created_at >= intent.at and not pod.terminating)
    return next((pod for pod in new if pod.is_crash_looping or pod.cannot_start), None)


def _ready(scene: workloads.Scene) -> int:
    return sum(pod.ready and not pod.terminating for pod in scene.pods or ())


def _there(scene: workloads.Scene, pods: Sequence[snapshots.PodName]) -> list[snapshots.PodName]:
    present = {pod.uid for pod in scene.pods or () if not pod.terminating}
    return [pod for pod in pods if pod.uid in present]
