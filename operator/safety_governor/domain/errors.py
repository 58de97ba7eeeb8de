"""Everything that can go wrong, by what the governor does about it.

GovernorError
├── RetryableError          try again later; the incident waits and says for what
│   ├── KnowledgeUnavailableError
│   │   └── PartlyStoredError
│   ├── RecordsUnavailableError
│   ├── ClusterUnavailableError
│   ├── AgentUnavailableError
│   ├── AutomationUnavailableError
│   ├── JournalUnavailableError
│   ├── DisruptionRefusedError
│   └── NotLeaderError
├── ConflictError           somebody else changed the resource; read again and decide again
└── TerminalError           trying again cannot help; the incident ends in Failed with this text
    ├── ClusterRefusedError
    │   ├── ForbiddenError
    │   └── InvalidStatusError
    ├── AutomationRefusedError
    └── ConfigurationError
        ├── NoTrailError
        └── InUseError

A text says what happened, what it means for the incident and what to do next.
"""


class GovernorError(Exception):
    """The root of all errors that the governor raises itself."""


class RetryableError(GovernorError):
    """It may work later."""


class KnowledgeUnavailableError(RetryableError):
    """The store of runbooks, evidence, policies and logs did not answer."""


class PartlyStoredError(KnowledgeUnavailableError):
    """Of the documents of one load some were stored and some were not; loading again completes it."""


class RecordsUnavailableError(RetryableError):
    """Whether all of the records were written is not known; writing them again is harmless."""


class ClusterUnavailableError(RetryableError):
    """The API server did not answer, or asked to come back later.

    `retry_after` is the number of seconds it asked for, if it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AgentUnavailableError(RetryableError):
    """The agent did not answer."""


class AutomationUnavailableError(RetryableError):
    """Automation outside of the cluster did not answer, or asked to come back later; whether it took the call is not known.

    `retry_after` is the number of seconds it asked for, if it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class JournalUnavailableError(RetryableError):
    """The journal cannot be written or read, so nothing is executed."""


class DisruptionRefusedError(RetryableError):
    """The disruption budgets do not let a pod go now."""


class NotLeaderError(RetryableError):
    """The Lease is not certainly ours any more, so nothing may be done with it."""


class ConflictError(GovernorError):
    """The resource was changed since it was read; nothing was written."""


class TerminalError(GovernorError):
    """Trying again cannot help."""


class ClusterRefusedError(TerminalError):
    """The API server refused for good: forbidden, invalid, or not there."""


class ForbiddenError(ClusterRefusedError):
    """The right is missing, so nothing was done. It may come back: a server that has just started knows nobody's rights."""


class InvalidStatusError(ClusterRefusedError):
    """The API server does not take the status as it is: the definitions are older than the operator, or a bound was missed."""


class AutomationRefusedError(TerminalError):
    """Automation outside of the cluster refused this call for good, or is not known.

    It says nothing about an earlier call of the same key whose answer was lost.
    """


class ConfigurationError(TerminalError):
    """The process cannot start or go on with the configuration that it was given."""


class NoTrailError(ConfigurationError):
    """There is no audit trail where one was looked for; that says nothing about whether there was one."""


class InUseError(ConfigurationError):
    """What it was told to use another process is using."""
