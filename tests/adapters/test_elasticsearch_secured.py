"""A real Elasticsearch behind TLS and API keys."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from safety_governor.adapters.elasticsearch import ElasticsearchKnowledge, loading
from safety_governor.domain import elastic, errors
from support.builders import a_runbook
from support.elastic import connection
from support.elastic_front import ElasticFront
from support.tls import certificate

KEY = "c29tZTprZXk="


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("own"))


@pytest.fixture
async def front(elasticsearch_url: str, own: Path) -> AsyncIterator[ElasticFront]:
    async with ElasticFront(elasticsearch_url, key=KEY, certificate=own) as entered:
        yield entered


async def found(settings: elastic.Elasticsearch) -> list[str]:
    store = ElasticsearchKnowledge.connect(settings)
    try:
        return [hit.document.id for hit in await store.search_runbooks("checkout pool", service="checkout", limit=3)]
    finally:
        await store.close()


async def test_everything_works_with_the_right_key_and_certificate(front: ElasticFront, own: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    settings = connection(front.url, ca_file=str(own), api_key_file=str(tmp_path / "key"), request_timeout=60)
    writing = loading.Writing.connect(settings)
    try:
        await writing.replace_documents([a_runbook("rb-1")], progress=lambda _: None)
        assert await found(settings) == ["rb-1"]
        await writing._cluster.client.indices.delete(index=[str(settings.indices.runbooks)])
    finally:
        await writing.close()


@pytest.mark.parametrize("given", [{"api_key": "b3RoZXI6a2V5"}, {}], ids=["another key", "no key"])
async def test_wrong_key_is_said_and_nothing_is_taken_for_empty(front: ElasticFront, own: Path, given: dict[str, Any]) -> None:
    with pytest.raises(errors.KnowledgeUnavailableError, match=r"does not accept the credentials \(401\).*unknown, not empty") as raised:
        await found(connection(front.url, ca_file=str(own), retries=0, **given))
    assert "b3RoZXI6a2V5" not in str(raised.value)


async def test_certificate_of_an_unknown_authority_is_not_trusted(front: ElasticFront) -> None:
    with pytest.raises(
        errors.KnowledgeUnavailableError,
        match=r"has a certificate that is not trusted \(self-signed certificate\).*GOVERNOR_ELASTICSEARCH__CA_FILE",
    ):
        await found(connection(front.url, api_key=KEY, retries=0))


async def test_certificate_for_another_address_is_not_trusted(elasticsearch_url: str, tmp_path: Path) -> None:
    others = certificate(tmp_path, address="127.0.0.2")
    async with ElasticFront(elasticsearch_url, key=KEY, certificate=others) as entered:
        with pytest.raises(errors.KnowledgeUnavailableError, match=r"not trusted \(IP address mismatch"):
            await found(connection(entered.url, ca_file=str(others), api_key=KEY, retries=0))


async def test_no_tls_where_it_is_expected_is_said(elasticsearch_url: str) -> None:
    with pytest.raises(errors.KnowledgeUnavailableError, match=r"does not speak TLS.*http://"):
        await found(connection(elasticsearch_url.replace("http:", "https:"), retries=0))


def test_file_without_certificates_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("nothing of the kind")
    with pytest.raises(errors.ConfigurationError, match="PEM is expected"):
        ElasticsearchKnowledge.connect(connection("https://127.0.0.1:1", ca_file=str(tmp_path / "ca")))
