"""The questions that are asked, as bodies of requests. Texts of people and agents are only ever values in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from safety_governor.domain import documents
from safety_governor.search import forms, ranking

_MOST_SPELLINGS = 512
"""Each is a clause, and a query may have only so many. Words of the question itself come first."""
_FOREIGN: dict[str, Any] = {"bool": {"must_not": {"exists": {"field": "search.digest"}}}}
BY_ID = [{"id": "asc"}]

VERSION: dict[str, Any] = {"all": {"global": {}, "aggs": {"newest": {"max": {"field": "_seq_no"}}}}}
"""How many documents the index has and which was written last: while both stay, so do the weights of words."""


def of_service(service: str) -> dict[str, Any]:
    """Documents that concern the service. One that names none concerns all, as when it is loaded."""
    named = {"terms": {"service": [service, documents.ANY_SERVICE]}}
    return {"bool": {"should": [named, {"bool": {"must_not": {"exists": {"field": "service"}}}}], "minimum_should_match": 1}}


def runbook_candidates(question: ranking.Question, query: str, *, service: str, limit: int) -> dict[str, Any]:
    """The runbooks that may fit, with how well their texts do."""
    text = _any_of("search.text", list(question.terms)) | {"_name": "text"}
    spellings = list(dict.fromkeys([*question.terms, *sorted(question.compounds), *sorted(question.initials)]))[:_MOST_SPELLINGS]
    should = [
        {"bool": text},
        {"bool": _any_of("search.spellings", spellings)},
        _foreign(query, ["title^2", "tags^2", "claims", "body"]),
    ]
    return {
        "_source": False,
        "docvalue_fields": ["search.digest"],
        "seq_no_primary_term": True,
        "size": max(limit, forms.CANDIDATES),
        "track_total_hits": False,
        "query": {"bool": {"should": should, "minimum_should_match": 1, "filter": [of_service(service)]}},
        "sort": [{"_score": "desc"}, *BY_ID],
        "aggs": VERSION,
    }


def evidence(question: ranking.Question, query: str, *, service: str, limit: int, stance: documents.Stance | None) -> dict[str, Any]:
    """The evidence that shares most with the question."""
    terms = list(question.terms)
    should = [{"bool": _any_of("search.text", terms)}, {"bool": _any_of("search.actions", terms)}, _foreign(query, ["text"])]
    only = [] if stance is None else [{"term": {"stance": stance.value}}]
    return {
        "_source": {"excludes": ["search"]},
        "size": limit,
        "track_total_hits": False,
        "query": {"bool": {"should": should, "minimum_should_match": 1, "filter": [of_service(service), *only]}},
        "sort": [{"_score": "desc"}, *BY_ID],
    }


def nearest(vector: Sequence[float], *, service: str, limit: int, only: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The documents whose vectors are nearest."""
    filters = [of_service(service), *([only] if only else [])]
    near = {"field": "search.vector", "query_vector": list(vector), "k": limit, "num_candidates": 2 * limit, "filter": filters}
    return {"_source": {"excludes": ["search"]}, "size": limit, "track_total_hits": False, "knn": near}


def with_ids(identifiers: Sequence[str]) -> dict[str, Any]:
    """Documents by their ids, whatever the index calls them."""
    return {
        "_source": {"excludes": ["search"]},
        "size": len(identifiers),
        "track_total_hits": False,
        "query": {"bool": {"filter": [{"terms": {"id": list(identifiers)}}]}},
        "sort": BY_ID,
    }


def everything(only: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every document, or every one that passes."""
    query = {"match_all": {}} if only is None else {"bool": {"filter": [only]}}
    return {"_source": {"excludes": ["search"]}, "query": query, "sort": BY_ID}


def _any_of(field: str, terms: Sequence[str]) -> dict[str, Any]:
    # Terms are looked up as they are; an analyzer has nothing to do with them any more.
    return {"should": [{"term": {field: term}} for term in terms], "minimum_should_match": 1}


def _foreign(query: str, fields: Sequence[str]) -> dict[str, Any]:
    """Documents that others wrote, by the words as the index's own analyzer takes them."""
    words = " ".join(query.encode(errors="replace").decode().split()[: ranking.MOST_TERMS])
    found = {"multi_match": {"query": words, "fields": list(fields), "type": "most_fields"}}
    return {"bool": {"must": [found], "filter": [_FOREIGN], "_name": "foreign"}}
