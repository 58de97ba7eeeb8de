"""`kubectl incident approve|reject|override`: show what is decided about, ask, write it, and tell what came of it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rich.console import Console
from rich.prompt import Confirm

from safety_governor.api import v1alpha1
from safety_governor.cli import story
from safety_governor.domain import approvals, digests, errors, lifecycle

EXIT_DONE, EXIT_ERROR, EXIT_MISUSE, EXIT_REFUSED = 0, 1, 2, 3

PATIENCE = 30.0
"""Seconds for which an API server that is not ready is tried again."""
REACTION = 15.0
"""Seconds for which the operator's reaction is waited for."""

_ADMISSION = re.compile(r"ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request: ")
_VERBS = {approvals.Word.APPROVE: "approve", approvals.Word.FORCE_OVERRIDE: "override", approvals.Word.REJECT: "reject"}
_Answer = TypeVar("_Answer")


class Desk(Protocol):
    """The API server as the person at the command line."""

    async def whoami(self) -> str:
        """The user name that the API server sees."""

    async def decide(self, *, namespace: str, name: str, field: str, approval: approvals.Approval) -> None:
        """Write an approval."""


class Incidents(Protocol):
    """Incidents to read."""

    async def find(self, namespace: str, name: str) -> v1alpha1.Incident | None:
        """As it is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the person wants."""

    namespace: str
    name: str
    word: approvals.Word
    reason: str
    digest: str
    """The digest that the person was shown elsewhere; empty: the one shown now."""
    on_behalf_of: str
    without_asking: bool


def misuse(word: approvals.Word, *, name: str, reason: str, is_blind: bool) -> str:
    """What is wrong with the command line, before anybody is asked; empty when nothing is.

    It `is_blind` when nobody sees what is decided about and nobody says which plan is meant. To reject that much does no harm.
    """
    if word is approvals.Word.FORCE_OVERRIDE and len(reason.strip()) < approvals.REASON_LENGTH:
        return (
            f"an override takes a reason of at least {approvals.REASON_LENGTH} characters, and this one has {len(reason.strip())}; nothing was "
            "sent. Say with -m what makes it right to act against the gate: it is kept for good"
        )
    if is_blind and word is not approvals.Word.REJECT:
        return (
            "--yes would release whatever is there now, seen by nobody; nothing was sent. Name the plan that you have seen with --digest: "
            f"it stands in .status.gate.planDigest (kubectl get incident {name} -o jsonpath='{{.status.gate.planDigest}}') "
            f"and, shortened, in the line “Gate” of `kubectl incident why {name}`"
        )
    return ""


class Deciding:
    """One decision of one person."""

    def __init__(self, *, desk: Desk, incidents: Incidents, server: str, console: Console) -> None:
        self._desk = desk
        self._incidents = incidents
        self._server = server
        self._console = console
        self._was_unready = False

    async def run(self, request: Request) -> int:
        """Returns the exit code: 0 done, 1 it could not be done, 3 refused."""
        try:
            who = await self._patiently(self._desk.whoami)
            incident = await self._patiently(lambda: self._incidents.find(request.namespace, request.name))
            objection = _objection(incident, request)
            if incident is None or objection:
                return self._complain(objection)
            if not self._is_confirmed(incident, request, who):
                return EXIT_ERROR
            gate = incident.status.gate
            assert gate is not None, "an incident that awaits approval has been gated"  # noqa: S101
            approval = approvals.Approval(
                decision=request.word,
                plan_digest=gate.plan_digest,
                approver=who,
                on_behalf_of=request.on_behalf_of or None,
                reason=request.reason,
            )
            field = _field(incident)
            await self._patiently(lambda: self._desk.decide(namespace=request.namespace, name=request.name, field=field, approval=approval))
        except errors.ConflictError as error:
            return self._complain(f"the incident was changed meanwhile; look at it again: {error}")
        except errors.GovernorError as error:
            # To the operator a 403 may pass; to a person it is a refusal. A server that does not answer refuses nothing.
            refused = " answered 403 " in str(error) or not isinstance(error, errors.RetryableError)
            return self._complain(explained(str(error), request), code=EXIT_REFUSED if refused else EXIT_ERROR)
        self._console.print(f"[green]✓[/] {request.word} of {digests.short(gate.plan_digest)} by {story.plain(who)} is on record.")
        return await self._reaction(request, gate.plan_digest)

    def _is_confirmed(self, incident: v1alpha1.Incident, request: Request, who: str) -> bool:
        gate = incident.status.gate
        assert gate is not None  # noqa: S101
        if request.without_asking and request.digest:
            return True
        story.tell(incident, self._console, rehearsed=True)
        if request.without_asking:
            return True
        self._console.print(f"\nYou are [bold]{story.plain(who)}[/] on {story.plain(self._server)}.")
        if not self._console.is_terminal:
            self._complain("nobody is there to ask; say --yes, and --digest for the plan that you mean")
            return False
        sentence = f"{_VERBS[request.word].capitalize()} {digests.short(gate.plan_digest)} of {request.namespace}/{request.name}?"
        return Confirm.ask(sentence, console=self._console, default=False)

    async def _reaction(self, request: Request, digest: str) -> int:
        """What the operator made of it, if it answers soon."""
        for _ in range(int(REACTION / 0.5)):
            incident = await self._patiently(lambda: self._incidents.find(request.namespace, request.name))
            if incident is None:
                return self._complain("the incident was deleted meanwhile")
            status = incident.status
            refusal = next((one for one in (status.approval.refusals if status.approval else ()) if one.plan_digest == digest), None)
            if refusal is not None:
                return self._complain(f"the governor refuses it: {refusal.why}", code=EXIT_REFUSED)
            if status.phase != lifecycle.Phase.AWAITING_APPROVAL:
                self._console.print(f"The incident is [bold]{status.phase}[/].")
                return EXIT_DONE
            if status.observed_generation >= incident.metadata.generation and status.approval:
                self._console.print(f"The governor took note of it: {story.plain(status.approval.summary)}.")
                return EXIT_DONE
            await asyncio.sleep(0.5)
        self._console.print("The operator has not reacted yet; `kubectl incident watch` tells when it does.")
        return EXIT_DONE

    def _complain(self, sentence: str, *, code: int = EXIT_ERROR) -> int:
        self._console.print(f"[red]✗[/] {story.plain(sentence)}", soft_wrap=True)
        return code

    async def _patiently(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """The answer, although the API server may need some seconds after a restart until its policies are ready."""
        waited = 0.0
        while True:
            try:
                return await ask()
            except errors.GovernorError as error:
                # A server that has just started knows nobody's rights for a moment; otherwise a right that is missing stays so.
                forbidden = " answered 403 " in str(error) and not _ADMISSION.search(str(error))
                passing = self._was_unready if forbidden else isinstance(error, errors.RetryableError)
                if waited >= PATIENCE or not passing:
                    raise
                self._was_unready = True
                pause = min(2.0, PATIENCE - waited) or PATIENCE
                why = str(error).removesuffix("; the incident waits and is tried again")
                self._console.print(
                    f"[dim]The API server is not ready; trying again in {pause:.0f} s … ({story.plain(why)})[/]", soft_wrap=True
                )
                await asyncio.sleep(pause)
                waited += pause


def _field(incident: v1alpha1.Incident) -> str:
    """`secondApproval` when somebody has already spoken about this digest."""
    first, gate = incident.spec.approval, incident.status.gate
    return "secondApproval" if first is not None and gate is not None and first.plan_digest == gate.plan_digest else "approval"


def _objection(incident: v1alpha1.Incident | None, request: Request) -> str:
    if incident is None:
        return story.missing(request.namespace, request.name)
    if incident.status.phase != lifecycle.Phase.AWAITING_APPROVAL or incident.status.gate is None:
        return f"{incident.key} is {incident.status.phase}; nobody is asked to decide about it (`kubectl incident why {request.name}` says more)"
    current = incident.status.gate.plan_digest
    if request.digest and not _names(request.digest, current):
        return f"the plan has changed since you saw it: you name {digests.short(request.digest)}, current is {digests.short(current)}; look again"
    return ""


def _names(given: str, current: str) -> bool:
    """Whether the digest, or the beginning of it that people are shown, is the current one."""
    start = given.rstrip("…")
    return len(start) >= len("sha256:") + 12 and current.startswith(start)


def explained(said: str, request: Request) -> str:
    """A refusal of the API server in one sentence, with the way out."""
    denied = _ADMISSION.search(said)
    if denied:
        return said[denied.end() :]
    verb = "force-override" if request.word is approvals.Word.FORCE_OVERRIDE else "approve"
    if " answered 403 " in said:
        done = "read" if " answered 403 to GET " in said else "patch"
        return (
            f"you may not {done} incidents in namespace {request.namespace}; ask for the role governor-"
            f"{'overrider' if verb == 'force-override' else 'approver'} (check: kubectl auth can-i {verb} incidents.safetygovernor.io -n {request.namespace})"
        )
    return said
