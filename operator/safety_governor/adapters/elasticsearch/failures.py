"""What every failure of Elasticsearch means and what to do about it, in one sentence.

Nothing of it is terminal for an incident: a key can be put right and a cluster comes back, and until then the incident waits.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import elasticsearch

from safety_governor.domain import errors

CLOSED = "index_closed_exception"
UNKNOWN = "so what it holds is unknown, not empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What happened, as `Elasticsearch at X ...`, and what to do."""

    what: str
    remedy: str


@contextlib.contextmanager
def translated(name: str, index: str = "") -> Iterator[None]:
    """Raise what goes wrong inside as KnowledgeUnavailableError."""
    try:
        yield
    except (elasticsearch.ApiError, elasticsearch.TransportError) as error:
        raise unavailable(name, explained(error, index=index)) from error


def unavailable(name: str, failure: Failure) -> errors.KnowledgeUnavailableError:
    """The error for a question that has no complete answer."""
    return errors.KnowledgeUnavailableError(f"Elasticsearch at {name} {failure.what}, {UNKNOWN}: {failure.remedy}.")


def explained(error: elasticsearch.ApiError | elasticsearch.TransportError, *, index: str = "") -> Failure:
    """What this error means; `index` is what was asked for."""
    if isinstance(error, elasticsearch.UnsupportedProductError):
        return Failure(what="is not Elasticsearch", remedy=_ANOTHER)
    if isinstance(error, elasticsearch.ApiError):
        return _refused(error, index or "what was asked for")
    return _unreached(error)


def incomplete(answer: Mapping[str, Any]) -> Failure | None:
    """Why an answer with status 200 is not complete, if it is not."""
    shards = answer.get("_shards") or {}
    if answer.get("timed_out"):
        return Failure(what="searched only in part, as the time was up", remedy="look at its load, or raise the request timeout")
    if shards.get("failed"):
        what = f"searched only in part ({shards['failed']} of {shards.get('total')} shards failed)"
        return Failure(what=what, remedy="look at the health of the cluster")
    return None


def closed(index: str) -> Failure:
    """What it means that an index is closed."""
    return Failure(what=f"has closed {index}", remedy="open it again (POST /INDEX/_open)")


def _is_of_another_product(error: elasticsearch.ApiError) -> bool:
    """Whether it was some other server that refused: Elasticsearch names itself, and so do its errors.

    What stands in front of it may ask for credentials, call for patience or say that nobody is behind it.
    """
    names_itself = error.meta.headers.get("x-elastic-product") == "Elasticsearch" or _reason(error.body)[0] != _UNTOLD
    return not names_itself and error.status_code not in (401, 403, 407, 429, 502, 503, 504)


def _refused(error: elasticsearch.ApiError, index: str) -> Failure:
    status, kind, reason = error.status_code, *_reason(error.body)
    if _is_of_another_product(error):
        return Failure(what=f"is not Elasticsearch (it answered {status})", remedy=_ANOTHER)
    if known := _by_kind(kind, reason, status=status, index=index):
        return known
    if status in _BY_STATUS:
        what, remedy = _BY_STATUS[status]
        return Failure(what=what.format(index=index), remedy=remedy)
    if status >= 500:
        return Failure(what=f"failed ({status}, {kind})", remedy="look at the log of the cluster")
    return Failure(what=f"refused the request ({status}, {kind}: {reason})", remedy="compare the index with the files in mappings/")


def _by_kind(kind: str, reason: str, *, status: int, index: str) -> Failure | None:
    """What Elasticsearch says in words of its own, if it is known."""
    if status == 400 and kind == "media_type_header_exception":
        return Failure(what="is of another major version", remedy="this client speaks to Elasticsearch 9; upgrade the cluster")
    if kind == "cluster_block_exception" and "index read" in reason:
        return Failure(
            what=f"has not got all of {index} yet", remedy="wait for the load, or run `safety-governor load` again if it broke off"
        )
    if kind == "cluster_block_exception":
        return Failure(what=f"has blocked {index} ({status}: {reason})", remedy="lift the block, which a full disk may have caused")
    if kind == CLOSED:
        return closed(index)
    if missing := _NO_ANALYZER.search(reason):
        remedy = "name one that it has in GOVERNOR_ELASTICSEARCH__ANALYZER, such as standard, or install what brings it"
        return Failure(what=f"has no analyzer {missing[1]}", remedy=remedy)
    return None


def _unreached(error: elasticsearch.TransportError) -> Failure:
    if isinstance(error, elasticsearch.ConnectionTimeout):
        return Failure(what="did not answer in time", remedy="look at its load, or raise GOVERNOR_ELASTICSEARCH__REQUEST_TIMEOUT")
    if isinstance(error, elasticsearch.SSLError):
        return _insecure(error)
    if isinstance(error, elasticsearch.ConnectionError):
        return Failure(what="cannot be reached", remedy="check that it runs and that the address is right")
    return Failure(what=f"gave an answer that cannot be read ({type(error).__name__})", remedy="check what stands between it and here")


def _insecure(error: elasticsearch.SSLError) -> Failure:
    cause: BaseException | None = error
    # By what it has: aiohttp's error is of the same type, and does not say why.
    while cause is not None and not hasattr(cause, "verify_message"):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return Failure(what="does not speak TLS", remedy="check the port, and whether the address begins with http:// instead of https://")
    what = f"has a certificate that is not trusted ({str(cause.verify_message).rstrip('.')})"
    return Failure(what=what, remedy="name its CA in GOVERNOR_ELASTICSEARCH__CA_FILE, or call it by a name that the certificate has")


_ANOTHER = "something else answers at that address; correct GOVERNOR_ELASTICSEARCH__URL"
_UNTOLD = "no reason given"
_NO_ANALYZER = re.compile(r"Unknown analyzer type \[([^\]]*)\]")

_BY_STATUS = {
    401: ("does not accept the credentials (401)", "check GOVERNOR_ELASTICSEARCH__API_KEY or its file"),
    403: ("does not allow this for {index} (403)", "give the API key the privileges for that index"),
    404: ("has no index {index} (404)", "run `safety-governor load`, or correct the name of the index"),
    429: ("is overloaded (429)", "it is asked again later; if it stays so, give the cluster more room"),
    503: ("has no working shard for {index} (503)", "the cluster is red or starting; look at its health"),
}


def _reason(body: object) -> tuple[str, str]:
    """Type and reason of what the server says; proxies say anything at all."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return _UNTOLD, ""
    cause = error.get("root_cause") or [error]
    innermost = cause[0] if isinstance(cause, list) and cause and isinstance(cause[0], dict) else error
    return str(error.get("type", "")), str(innermost.get("reason", ""))[:300]
