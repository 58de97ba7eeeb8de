"""Documents as they stand in the indices, and back.

Beside its own fields a document has `search`: its terms as the governor takes texts apart, and a digest. The terms are indexed as
they are, so that what is found does not depend on the analyzers that a cluster happens to have. Documents that others wrote have
no `search`; they are found by their texts and read all the same.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic

from safety_governor.adapters.elasticsearch import failures
from safety_governor.domain import digests, documents
from safety_governor.search import forms

T = TypeVar("T", bound=documents.Document)

_VERSION = 1
"""Raised when texts are taken apart otherwise than before, so that loading again writes the terms anew."""


def encoded(document: documents.Document, *, space: str = "") -> dict[str, Any]:
    """What is indexed of a document. `space` names the vectors that will be added to it, so that other vectors are another content."""
    body = _log_line(document) if isinstance(document, documents.LogLine) else document.model_dump(mode="json")
    if body.get("observed_at", "") is None:
        del body["observed_at"]
    content: dict[str, Any] = {"kind": type(document).__name__, "content": document.model_dump(mode="json")}
    digest = digests.digest({**content, "version": _VERSION, "space": space})
    return {**body, "search": {"digest": digest, **_terms(document)}}


def decoded(kind: type[T], source: Mapping[str, Any], *, name: str, index: str) -> T:
    """The document of an index. One that cannot be read fails the whole answer, which would be incomplete without it."""
    content = {field: value for field, value in source.items() if field != "search"}
    try:
        return kind.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        which = source.get("id", "without an id")
        what = f"has a {kind.__name__} {which} in {index} that cannot be read ({where}: {first['msg']})"
        raise failures.unavailable(name, failures.Failure(what=what, remedy="correct that document or load it again")) from error


def said(document: documents.Document) -> str:
    """What a vector of the document is a vector of."""
    if isinstance(document, documents.Runbook):
        return "\n".join((document.title, *document.tags, *document.claims, document.body))
    return document.text if isinstance(document, documents.Evidence) else ""


def _terms(document: documents.Document) -> dict[str, str]:
    if isinstance(document, documents.Runbook):
        form = forms.RunbookForm.of(document)
        return {"text": " ".join(form.text(document)), "names": " ".join(sorted(form.named)), "spellings": " ".join(form.spellings)}
    if isinstance(document, documents.Evidence):
        terms = forms.EvidenceForm.of(document)
        return {"text": " ".join(terms.text), "actions": " ".join(terms.actions)}
    return {}


def _log_line(line: documents.LogLine) -> dict[str, Any]:
    """As the Elastic Common Schema has it, so that one set of questions serves ours and everybody else's."""
    code = (line.response or "").strip()
    answered = {"http": {"response": {"status_code": int(code)}}} if code.isdecimal() and len(code) < 10 else {}
    return {
        "id": line.id,
        "@timestamp": line.timestamp.isoformat(),
        "service": {"name": line.service},
        "log": {"level": line.level},
        "message": line.message,
        **answered,
    }
