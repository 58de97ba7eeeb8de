"""Settings from the environment: which store is used, and what of it is never shown."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from safety_governor.settings import Settings

URL = "http://127.0.0.1:9200"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own."""
    for name in ("URL", "CLOUD_ID", "API_KEY"):
        monkeypatch.delenv(f"ELASTICSEARCH_{name}", raising=False)


@pytest.mark.parametrize(
    ("environment", "used", "key"),
    [
        ({}, None, None),
        ({"ELASTICSEARCH_URL": URL}, URL, None),
        ({"ELASTICSEARCH_URL": URL, "ELASTICSEARCH_API_KEY": "k"}, URL, "k"),
        ({"ELASTICSEARCH_URL": "http://other", "GOVERNOR_ELASTICSEARCH__URL": URL}, URL, None),
        ({"ELASTICSEARCH_API_KEY": "k", "GOVERNOR_ELASTICSEARCH__URL": URL}, URL, "k"),
        ({"ELASTICSEARCH_API_KEY": "k", "GOVERNOR_ELASTICSEARCH__URL": URL, "GOVERNOR_ELASTICSEARCH__API_KEY_FILE": "f"}, URL, None),
        ({"ELASTICSEARCH_URL": URL, "GOVERNOR_STORE": "knowledge.db"}, None, None),
        ({"ELASTICSEARCH_URL": URL, "GOVERNOR_ELASTICSEARCH__ANALYZER": "standard"}, URL, None),
    ],
)
def test_cluster_is_taken_from_our_own_names_before_conventional_ones(
    environment: dict[str, str], used: str | None, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = Settings().elasticsearch
    assert found.url == used
    assert found.configured == (used is not None)
    assert (found.api_key.get_secret_value() if found.api_key else None) == key


def test_cloud_id_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTICSEARCH_CLOUD_ID", "governor:ZXhhbXBsZS5jb20kYWJj")
    assert Settings().elasticsearch.configured
    assert Settings().elasticsearch.name == "governor"


def test_every_index_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNOR_ELASTICSEARCH__INDICES__RUNBOOKS", "runbooks")
    monkeypatch.setenv("GOVERNOR_ELASTICSEARCH__INDICES__LOGS", "logs-*,filebeat-*")
    indices = Settings().elasticsearch.indices
    assert (indices.runbooks, indices.logs, indices.policies) == ("runbooks", "logs-*,filebeat-*", "policies-demo")


@pytest.mark.parametrize(
    "environment",
    [
        {"GOVERNOR_ELASTICSEARCH__URL": "ftp://elastic:hunter2@host"},
        {"GOVERNOR_ELASTICSEARCH__URL": "elastic:hunter2@host:9200"},
        {"GOVERNOR_ELASTICSEARCH__URL": "http://ok,,not one hunter2"},
        {"GOVERNOR_ELASTICSEARCH__URL": ""},
        {"GOVERNOR_ELASTICSEARCH__URL": URL, "GOVERNOR_ELASTICSEARCH__CLOUD_ID": "x:hunter2"},
        {"GOVERNOR_ELASTICSEARCH__API_KEY": "hunter2", "GOVERNOR_ELASTICSEARCH__API_KEY_FILE": "f"},
        {"GOVERNOR_ELASTICSEARCH__INDICES__POLICIES": "policies-*"},
        {"GOVERNOR_ELASTICSEARCH__INDICES__POLICIES": "a,b"},
        {"GOVERNOR_ELASTICSEARCH__INDEX": "x"},
        {"GOVERNOR_ELASTICSEARCH__EMBEDDINGS__URL": "http://127.0.0.1/v1/embeddings"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_and_no_secret_shown(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert "hunter2" not in str(raised.value)


def test_secrets_are_not_shown_in_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://elastic:hunter2@127.0.0.1:9200")
    monkeypatch.setenv("ELASTICSEARCH_API_KEY", "hunter2")
    found = Settings().elasticsearch
    assert "hunter2" not in repr(found)
    assert found.name == URL
