"""A workload as far as decisions about it need to know it."""

from safety_governor.domain import rollouts, values


class Workload(values.Value):
    """One version of a workload, as the API server had it."""

    kind: values.Word
    name: values.Name
    uid: values.Line
    resource_version: values.Line
    template_hash: values.Line
    """Digest of its pod template."""
    paused: bool = False
    """A paused Deployment does not roll out."""
    last_action: values.Line = ""
    """Key of the governor's last action on it."""
    rollout: rollouts.Observed
