"""The phases of an incident and which of them are the end.

Pending ─> Planning ─> Stressing ─> Gated ─┬─> Executing ─> Verifying ─┬─> Resolved | RolledBack
│       ^                   └─> Indeterminate
├─> AwaitingApproval ───────────> Rejected | Expired
├─> Blocked (no approval can release it)
├─> HandedOver (people carry out the runbook)
└─> Observed (mode Observe)
from anywhere before acting ─> Aborted;  from anywhere ─> Failed
"""

import enum


class Phase(enum.StrEnum):
    """Where an incident stands, for people; programs read the conditions."""

    PENDING = "Pending"
    PLANNING = "Planning"
    STRESSING = "Stressing"
    GATED = "Gated"
    AWAITING_APPROVAL = "AwaitingApproval"
    EXECUTING = "Executing"
    VERIFYING = "Verifying"
    RESOLVED = "Resolved"
    ROLLED_BACK = "RolledBack"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    ABORTED = "Aborted"
    BLOCKED = "Blocked"
    HANDED_OVER = "HandedOver"
    OBSERVED = "Observed"
    INDETERMINATE = "Indeterminate"
    FAILED = "Failed"


TERMINAL = frozenset(
    {
        Phase.RESOLVED,
        Phase.ROLLED_BACK,
        Phase.REJECTED,
        Phase.EXPIRED,
        Phase.ABORTED,
        Phase.BLOCKED,
        Phase.HANDED_OVER,
        Phase.OBSERVED,
        Phase.INDETERMINATE,
        Phase.FAILED,
    }
)
"""Phases that never change again; the API server refuses it, too."""

ACTING = frozenset({Phase.EXECUTING, Phase.VERIFYING})
"""Phases in which the cluster may have been touched: what was begun is finished, never begun again."""
