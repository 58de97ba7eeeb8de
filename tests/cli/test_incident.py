"""`kubectl incident`: what is refused before anybody is asked, and that what would change is shown whole."""

import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from safety_governor.cli import deciding, incident, story
from safety_governor.domain import approvals, changes, errors
from support.builders import CONTRADICTIONS, World

PATH = "spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]"
AFTER = "the value that the whole column was lost of, 2026-11-23T07:21:58Z"


def run(*arguments: str) -> tuple[int, str]:
    # A cluster that is not there: whatever is answered was said before anybody was asked.
    done = CliRunner(env={"KUBECONFIG": "/nonexistent", "COLUMNS": "300"}).invoke(incident.group, list(arguments))
    return done.exit_code, done.output


class TestMisuse:
    @pytest.mark.parametrize(
        "command", [["approve"], ["override", "-m", "The pool is known to be the cause of it"]], ids=["approve", "override"]
    )
    def test_releases_nothing_that_nobody_has_seen(self, command: list[str]) -> None:
        code, said = run(*command, "slow", "--yes")
        assert (code, "seen by nobody; nothing was sent" in said) == (2, True)
        assert "kubectl get incident slow -o jsonpath='{.status.gate.planDigest}'" in said

    def test_of_a_plan_that_is_named_is_none(self) -> None:
        code, said = run("approve", "slow", "--yes", "--digest", "sha256:" + "a" * 64)
        assert (code, "no connection to a cluster: there is no file /nonexistent" in said) == (1, True)

    def test_to_reject_unseen_is_none(self) -> None:
        assert run("reject", "slow", "--yes")[0] == 1

    @pytest.mark.parametrize("reason", ["too short", "x" * (approvals.REASON_LENGTH - 1), "short" + " " * 30])
    def test_of_an_override_without_a_real_reason_is_told_before_it_is_sent(self, reason: str) -> None:
        code, said = run("override", "slow", "--yes", "--digest", "sha256:" + "a" * 64, "-m", reason)
        assert code == 2
        assert f"at least {approvals.REASON_LENGTH} characters, and this one has {len(reason.strip())}" in said


class _Desk:
    """The API server: who it takes the caller for, and what was written."""

    def __init__(self, *, down: bool = False) -> None:
        self.decided: list[approvals.Approval] = []
        self._down = down

    async def whoami(self) -> str:
        if self._down:
            raise errors.ClusterUnavailableError("the API server does not answer")
        return "bob"

    async def decide(self, *, namespace: str, name: str, field: str, approval: approvals.Approval) -> None:
        self.decided.append(approval)
        raise errors.ForbiddenError("the API server answered 403 to PATCH: no")


class TestDeciding:
    async def test_shows_what_it_releases_where_somebody_watches_and_names_no_plan(self) -> None:
        world, desk = await _gated(), _Desk()
        code, said = await _decided(world, desk)
        assert code == deciding.EXIT_REFUSED
        assert "Gate      block_and_escalate" in said
        assert [one.plan_digest for one in desk.decided] == [_digest(world)]

    async def test_shows_no_plan_that_was_named(self) -> None:
        world, desk = await _gated(), _Desk()
        assert "Gate  " not in (await _decided(world, desk, digest=_digest(world)))[1]
        assert len(desk.decided) == 1

    async def test_does_not_call_it_a_refusal_when_nobody_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deciding, "PATIENCE", 0.0)
        code, said = await _decided(await _gated(), _Desk(down=True))
        assert (code, "does not answer" in said) == (deciding.EXIT_ERROR, True)


async def _decided(world: World, desk: _Desk, *, digest: str = "") -> tuple[int, str]:
    about = world.incident.metadata
    request = deciding.Request(
        namespace=about.namespace,
        name=about.name,
        word=approvals.Word.APPROVE,
        reason="",
        digest=digest,
        on_behalf_of="",
        without_asking=True,
    )
    written = io.StringIO()
    console = Console(width=200, file=written, highlight=False, color_system=None)
    code = await deciding.Deciding(desk=desk, incidents=world.incidents, server="https://cluster", console=console).run(request)
    return code, written.getvalue()


def _digest(world: World) -> str:
    assert world.status.gate is not None
    return world.status.gate.plan_digest


def test_help_tells_the_exit_codes() -> None:
    said = " ".join(run("--help")[1].split())
    assert all(
        code in said for code in ("0 done", "1 it could not be done", "2 wrongly called", "3 the API server or the governor refuses")
    )
    assert "..." not in said.partition("Commands:")[2]


@pytest.mark.parametrize("width", [60, 80, 100, 160, 100_000])
async def test_what_would_change_is_never_cut(width: int) -> None:
    said = "".join((await _told(width)).split())
    for shown in (PATH, "- before", f"+ {AFTER}"):
        assert "".join(shown.split()) in said


async def test_what_would_change_stands_side_by_side_where_there_is_room() -> None:
    lines = (await _told(160)).splitlines()
    assert any(PATH in line and AFTER in line for line in lines)


async def _told(width: int) -> str:
    gated = (await _gated()).incident
    change = changes.Change(path=PATH, before="before", after=AFTER)
    preview = changes.Preview(step="step-1", summary="replaces every pod", changes=(change,), undo="goes back")
    assert gated.status.gate is not None
    gate = gated.status.gate.model_copy(update={"previews": (preview,)})
    shown = gated.model_copy(update={"status": gated.status.model_copy(update={"gate": gate})})
    written = io.StringIO()
    story.tell(shown, Console(width=width, file=written, highlight=False, color_system=None), rehearsed=True)
    return written.getvalue()


async def _gated() -> World:
    world = World()
    world.report()
    world.knowledge.put(*CONTRADICTIONS)
    for _ in range(6):
        outcome = await world.runner.advance(world.incident)
        world.incidents.put(world.incident.model_copy(update={"status": outcome.status}))
    return world
