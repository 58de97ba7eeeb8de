"""The embedded store where it differs from others: its file, other processes, and what breaks."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safety_governor.adapters.embedded import EmbeddedKnowledge, database
from safety_governor.domain import documents, errors

LOADER = """
import sys
from pathlib import Path
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.domain import documents
store = EmbeddedKnowledge.open(Path(sys.argv[1]), create=True)
name = sys.argv[2]
store.replace_documents([documents.Evidence(id=f"{name}-{n}", stance="neutral", text=f"disk {name}") for n in range(int(sys.argv[3]))])
"""


def evidence(identifier: str, text: str = "the disk was full") -> documents.Evidence:
    return documents.Evidence(id=identifier, stance=documents.Stance.NEUTRAL, text=text)


def runbook(identifier: str, title: str) -> documents.Runbook:
    step = documents.RunbookStep.model_validate({"type": "Manual", "text": "x"})
    remedy = documents.Remediation(action="follow", steps=(step,))
    return documents.Runbook(id=identifier, title=title, recommended_action="follow", remediations=(remedy,))


def stored(path: Path, *batch: documents.Document) -> EmbeddedKnowledge:
    store = EmbeddedKnowledge.open(path, create=True)
    store.replace_documents(batch)
    return store


def load_elsewhere(path: Path, name: str, count: int = 1) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", LOADER, str(path), name, str(count)])


def overwrite(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:1024] + b"\xff" * (len(content) - 1024))


def alter(path: Path, statement: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


async def ids(store: EmbeddedKnowledge, query: str = "disk") -> list[str]:
    return [hit.document.id for hit in await store.search_evidence(query, service="checkout", limit=10_000)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "knowledge.db"


async def assert_unknown(store: EmbeddedKnowledge, saying: str) -> None:
    """Every question of the port fails, and says so."""
    now, hour = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)
    for question in (
        store.search_runbooks("x", service="a", limit=1),
        store.search_evidence("x", service="a", limit=1),
        store.find_runbook("x"),
        store.find_evidence(["x"]),
        store.fetch_policies(service="a"),
        store.find_policies(["x"]),
        store.summarise_logs(service="a", until=now, window=hour),
    ):
        with pytest.raises(errors.KnowledgeUnavailableError, match="unknown, not empty") as raised:
            await question
        assert saying in str(raised.value)


async def test_missing_file_is_unknown_until_it_is_loaded(path: Path) -> None:
    store = EmbeddedKnowledge.open(path)
    await assert_unknown(store, "does not exist")
    stored(path, evidence("e"))
    assert await ids(store) == ["e"]


async def test_store_that_was_made_but_never_loaded_is_unknown(path: Path) -> None:
    await assert_unknown(EmbeddedKnowledge.open(path, create=True), "was never loaded")


async def test_store_in_memory_certainly_holds_nothing() -> None:
    assert await ids(EmbeddedKnowledge.in_memory()) == []


@pytest.mark.parametrize(
    ("content", "saying"), [(b"not a database, but long enough to be read as one" * 40, "is damaged"), (b"", "is an empty file")]
)
async def test_unreadable_file_is_unknown(path: Path, content: bytes, saying: str) -> None:
    overwrite(path, content)
    await assert_unknown(EmbeddedKnowledge.open(path), saying)


async def test_file_damaged_while_in_use_is_unknown(path: Path) -> None:
    store = stored(path, *(evidence(f"e{number}", "disk " * 200) for number in range(200)))
    assert len(await ids(store)) == 200
    damage(path)
    await assert_unknown(store, "The knowledge store")


async def test_deleted_file_is_noticed(path: Path) -> None:
    store = stored(path, evidence("e"))
    assert await ids(store) == ["e"]
    await asyncio.to_thread(path.unlink)
    await assert_unknown(store, "does not exist")


async def test_replaced_file_is_noticed_although_it_counts_the_same(path: Path, tmp_path: Path) -> None:
    store = stored(path, evidence("old"))
    assert await ids(store) == ["old"]
    stored(tmp_path / "other.db", evidence("new"))
    await asyncio.to_thread((tmp_path / "other.db").replace, path)
    assert await ids(store) == ["new"]


async def test_file_of_another_program_is_unknown(path: Path) -> None:
    alter(path, "CREATE TABLE theirs (x)")
    await assert_unknown(EmbeddedKnowledge.open(path), "some other program")


def test_file_of_another_program_is_left_alone(path: Path) -> None:
    alter(path, "CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(errors.KnowledgeUnavailableError, match="some other program"):
        EmbeddedKnowledge.open(path, create=True)
    assert path.read_bytes() == before


async def test_file_of_another_format_is_refused(path: Path) -> None:
    store = stored(path, evidence("e"))
    alter(path, "PRAGMA user_version = 99")
    await assert_unknown(store, "has format 99 and this version reads format 1")


async def test_document_that_cannot_be_read_back_is_unknown_not_skipped(path: Path) -> None:
    store = stored(path, evidence("e"), evidence("f"))
    alter(path, "UPDATE documents SET content = '{}' WHERE id = 'f'")
    with pytest.raises(errors.KnowledgeUnavailableError, match="holds a Evidence that cannot be read"):
        await ids(store)


@pytest.mark.parametrize("create", [True, False])
async def test_folder_in_place_of_the_file_is_unknown(tmp_path: Path, create: bool) -> None:
    with pytest.raises(errors.KnowledgeUnavailableError, match="is a folder"):
        await EmbeddedKnowledge.open(tmp_path, create=create).find_runbook("x")


async def test_file_in_place_of_the_folder_is_unknown(tmp_path: Path) -> None:
    overwrite(tmp_path / "file", b"x")
    with pytest.raises(errors.KnowledgeUnavailableError, match="cannot be reached"):
        EmbeddedKnowledge.open(tmp_path / "file" / "knowledge.db", create=True)
    await assert_unknown(EmbeddedKnowledge.open(tmp_path / "file" / "knowledge.db"), "cannot be reached")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
async def test_folder_without_rights_is_unknown(path: Path) -> None:
    store = stored(path, evidence("e"))
    path.parent.chmod(0)
    try:
        await assert_unknown(store, "cannot be reached")
    finally:
        path.parent.chmod(0o700)


async def test_store_that_stays_locked_is_unknown(path: Path) -> None:
    stored(path, evidence("e"))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    hurried = EmbeddedKnowledge(database.FileDatabase(path, patience=0.01), name=str(path))
    await assert_unknown(hurried, "is locked by another process")
    holder.execute("ROLLBACK")
    holder.close()
    assert await ids(hurried) == ["e"]


def test_load_is_all_or_nothing(path: Path) -> None:
    store = stored(path, evidence("e"))
    unstorable = evidence("g").model_copy(update={"id": "\ud800"})
    with pytest.raises((UnicodeError, errors.KnowledgeUnavailableError)):
        store.replace_documents([evidence("f"), unstorable])
    assert store.counts() == {"Runbook": 0, "Evidence": 1, "Policy": 0, "LogLine": 0}


def test_report_says_what_each_document_changed(path: Path) -> None:
    store = stored(path, evidence("same"), evidence("other"))
    report = store.replace_documents([evidence("new"), evidence("same"), evidence("other", "changed")])
    assert report.changes == ("added", "unchanged", "changed")
    assert (report.added, report.changed, report.unchanged) == (1, 1, 1)


async def test_load_by_another_process_is_seen_by_the_next_question(path: Path) -> None:
    store = stored(path, evidence("mine"))
    assert await ids(store) == ["mine"]
    assert load_elsewhere(path, "theirs").wait() == 0
    assert sorted(await ids(store)) == ["mine", "theirs-0"]


async def test_loads_at_once_all_arrive(path: Path) -> None:
    loaders = [load_elsewhere(path, name, 50) for name in "abc"]
    assert [loader.wait() for loader in loaders] == [0, 0, 0]
    assert len(await ids(EmbeddedKnowledge.open(path))) == 150


async def test_readers_during_loads_see_whole_loads_only(path: Path) -> None:
    reader, writer = stored(path, *(evidence(f"e{n}", "disk 0") for n in range(20))), EmbeddedKnowledge.open(path)
    done = threading.Event()

    def load() -> None:
        for version in range(1, 15):
            writer.replace_documents([evidence(f"e{n}", f"disk {version}") for n in range(20)])
        done.set()

    thread = threading.Thread(target=load)
    thread.start()
    while not done.is_set():
        hits = await reader.search_evidence("disk", service="checkout", limit=50)
        assert (len(hits), len({hit.document.text for hit in hits})) == (20, 1)
    thread.join()
    assert {hit.document.text for hit in await reader.search_evidence("disk", service="a", limit=50)} == {"disk 14"}


async def test_hundred_questions_at_once_agree_and_build_one_index(path: Path) -> None:
    store = stored(path, *(runbook(f"r{n}", "Disk full") for n in range(30)))
    answers = await asyncio.gather(*(store.search_runbooks("disk full", service="a", limit=30) for _ in range(100)))
    assert all(answer == answers[0] for answer in answers)
    assert len({id(answer[0].document) for answer in answers}) == 1


async def test_log_lines_do_not_make_the_index_stale(path: Path) -> None:
    store = stored(path, evidence("e"))
    first = await store.search_evidence("disk", service="a", limit=1)
    store.replace_documents([documents.LogLine(id="l", timestamp=datetime(2026, 1, 1, tzinfo=UTC))])
    second = await store.search_evidence("disk", service="a", limit=1)
    assert first[0].document is second[0].document


async def test_event_loop_is_not_held_by_a_question(path: Path) -> None:
    database_in_use, threads = database.FileDatabase(path), set[int]()
    database_in_use.create()
    stored(path, evidence("e"))

    class Noting:
        """The database, noting who reads it."""

        writing = database_in_use.writing
        close = database_in_use.close

        def reading(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
            threads.add(threading.get_ident())
            return database_in_use.reading()

    await ids(EmbeddedKnowledge(Noting(), name=str(path)))
    assert threads
    assert threading.get_ident() not in threads


_TITLES = ["Disk full", "KubePodNotReady", "Queue stuck", "etcdGRPCRequestsSlow", "Certificate expires", "Disk failing", "DiskFull"]
_HELD = EmbeddedKnowledge.in_memory()
_HELD.replace_documents([*(runbook(str(n), title) for n, title in enumerate(_TITLES)), evidence("e")])
_SLOW_START = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_SLOW_START
@given(st.one_of(st.text(max_size=8192), st.text(alphabet=r'+-&|!(){}[]^"~*?:\/ adisk', max_size=200)))
def test_any_text_can_be_asked(query: str) -> None:
    for hits in (
        asyncio.run(_HELD.search_runbooks(query, service="checkout", limit=5)),
        asyncio.run(_HELD.search_evidence(query, service="checkout", limit=5)),
    ):
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@_SLOW_START
@given(st.permutations(list(enumerate(_TITLES))))
def test_order_of_loading_does_not_matter(order: list[tuple[int, str]]) -> None:
    store = EmbeddedKnowledge.in_memory()
    store.replace_documents([runbook(str(number), title) for number, title in order])
    for query in ("disk full", "pod not ready", "grpc requests are slow"):
        expected = asyncio.run(_HELD.search_runbooks(query, service="checkout", limit=9))
        assert asyncio.run(store.search_runbooks(query, service="checkout", limit=9)) == expected
