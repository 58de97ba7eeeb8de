"""How the test bed comes by Elasticsearch: what is said when it cannot, and that one server serves all and ends with the last."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import elasticsearch
from testbed.elasticsearch import ElasticsearchError, SharedElasticsearch

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def forgetful() -> None:
    elasticsearch.java_home.cache_clear()


def a_jdk(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch(mode=0o755)
    (folder / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return folder


def test_jdk_that_is_named_is_taken_before_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = a_jdk(tmp_path / "old", "17.0.15"), a_jdk(tmp_path / "new", "21.0.2")
    monkeypatch.setenv("ES_JAVA_HOME", str(old))
    monkeypatch.setenv("JAVA_HOME", str(new))
    assert elasticsearch.java_home() == new


def test_without_a_new_jdk_it_says_which_it_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = a_jdk(tmp_path / "old", "17.0.15")
    monkeypatch.setattr(elasticsearch, "_java_homes", lambda: iter([old, tmp_path / "none"]))
    with pytest.raises(
        ElasticsearchError, match=r"needs a JDK of version 21 or newer .*old is Java 17; .*none is Java of an unknown"
    ) as raised:
        elasticsearch.java_home()
    assert "ES_JAVA_HOME" in str(raised.value) and "ELASTICSEARCH_URL" in str(raised.value)


def test_without_maven_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ElasticsearchError, match=r"there is no `mvn`\. Install Maven, or set ELASTICSEARCH_URL"):
        elasticsearch.fetch()


def test_maven_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho 'Could not transfer artifact' >&2\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ElasticsearchError, match=r"`mvn dependency:get` could not fetch .*\nCould not transfer artifact"):
        elasticsearch.fetch()


def test_url_that_nobody_answers_at_is_not_replaced_by_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://127.0.0.1:1")
    with pytest.raises(ElasticsearchError, match=r"ELASTICSEARCH_URL names http://127\.0\.0\.1:1, where no Elasticsearch answers"):
        SharedElasticsearch().__enter__()


@pytest.mark.timeout(300)
def test_processes_share_one_server(elasticsearch_url: str) -> None:
    code = "from testbed.elasticsearch import SharedElasticsearch\nwith SharedElasticsearch() as server: print(server.url)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == elasticsearch_url
    assert elasticsearch.answers(elasticsearch_url)
