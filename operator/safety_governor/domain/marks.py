"""What the governor leaves on an object that it has touched, so that after a crash an effect is told from a claim."""

DOMAIN = "safetygovernor.io"

LAST_ACTION = f"{DOMAIN}/last-action"
"""Annotation: the key of the action that touched the object last."""
ACTED_FOR = f"{DOMAIN}/incident"
"""Annotation: which incident the last action was for."""
TAKEN_BACK = f"{DOMAIN}/taken-back"
"""Annotation: the key of the action that was claimed last and is not done after all; what was asked for it before comes too late."""
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The annotation on a pod template that kubectl, too, uses to start a rollout."""


def of_field(path_digest: str) -> str:
    """Annotation that marks a field that was patched. One for each field, as each is owned by a manager of its own."""
    return f"patch.{DOMAIN}/{path_digest}"
