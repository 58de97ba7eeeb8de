"""Requests to the API server as plain JSON, with every failure put into one of our classes.

The asyncio client of the `kubernetes` package brings the connection, TLS, kubeconfig and token renewal; objects stay plain
JSON, because a typed model of another server version refuses what it does not know.
"""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import yaml
from kubernetes.aio import client, config

from safety_governor.api import group
from safety_governor.domain import errors

Body: TypeAlias = Mapping[str, Any]
"""A Kubernetes object as JSON; its shape is the API server's."""

PatchList: TypeAlias = Sequence[Mapping[str, Any]]
"""A JSON patch."""

PAGE = 500
"""So many items of a collection are asked for at once."""

TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
"""A request that takes longer is taken for unanswered."""

MERGE_PATCH = "application/merge-patch+json"
_AGAIN_LATER = frozenset({401, 408, 410, 429, 500, 502, 503, 504})
"""401 as well: a projected token is replaced on disk a moment before the client reads it again. 410: a collection changed
while it was read page by page."""


class InvalidError(errors.ClusterRefusedError):
    """The object is not as the API server wants it (400 or 422)."""


class NotFoundError(errors.ClusterRefusedError):
    """The object is certainly not there."""


class UnknownResourceError(errors.ClusterUnavailableError):
    """The API server does not know the resource, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An address and an identity. Never logged."""

    server: str
    ca_path: str | None
    insecure: bool
    scheme: str | None
    token: str | None = field(repr=False)
    certificate_path: str | None
    private_key_path: str | None


class Api:
    """One connection pool to one API server, as one identity."""

    def __init__(self, connection: client.ApiClient, *, limits: aiohttp.ClientTimeout = TIMEOUT) -> None:
        self._connection = connection
        self._limits = limits

    @classmethod
    async def connect(cls, *, kubeconfig: str | None = None, context: str | None = None, limits: aiohttp.ClientTimeout = TIMEOUT) -> "Api":
        """From a kubeconfig file, the default one, or the ServiceAccount of the pod, in this order.

        Raises ConfigurationError when there is no usable configuration.
        """
        settings = client.Configuration()
        try:
            if kubeconfig is None and context is None and await asyncio.to_thread(_in_cluster):
                config.load_incluster_config(client_configuration=settings)
            else:
                await asyncio.to_thread(_check_there, kubeconfig)
                await config.load_kube_config(config_file=kubeconfig, context=context, client_configuration=settings)
            return cls(client.ApiClient(configuration=settings), limits=limits)
        except (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError) as error:
            raise errors.ConfigurationError(
                f"no connection to a cluster: {error}. Set KUBECONFIG or --kubeconfig to a file that names one, or run in a pod"
            ) from error

    async def credentials(self) -> "Credentials":
        """How to reach the same server as the same identity, for whoever brings a client of his own. Tokens are fresh."""
        settings = self._connection.configuration
        scheme, _, token = (await settings.get_api_key_with_prefix("BearerToken", alias="authorization") or "").rpartition(" ")
        return Credentials(
            server=settings.host,
            ca_path=settings.ssl_ca_cert,
            insecure=not settings.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=settings.cert_file,
            private_key_path=settings.key_file,
        )

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self._connection.configuration.host)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def get(self, path: str, *, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON of the API server
        """Read. Raises NotFoundError, ClusterUnavailableError or ClusterRefusedError."""
        return await self._request("GET", path, query=query)

    async def list(self, path: str, *, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Every item of a collection, page by page. An answer that is cut short by a change of the collection is begun anew."""
        items: list[dict[str, Any]] = []
        following: str | None = ""
        while following is not None:
            page = await self.get(path, query={**(query or {}), "limit": str(PAGE), **({"continue": following} if following else {})})
            items += page.get("items") or []
            following = page.get("metadata", {}).get("continue") or None
        return items

    async def post(self, path: str, body: Body, *, impersonate: str | None = None, dry_run: bool = False) -> Any:  # noqa: ANN401
        """Create, possibly as another user. Raises ConflictError when it is there already."""
        return await self._request("POST", path, body=body, impersonate=impersonate, query={"dryRun": "All"} if dry_run else None)

    async def put(self, path: str, body: Body) -> Any:  # noqa: ANN401
        """Replace exactly the version whose resourceVersion the body names. Raises ConflictError when it was changed since."""
        return await self._request("PUT", path, body=body)

    async def patch(
        self,
        path: str,
        body: Body | PatchList,
        *,
        impersonate: str | None = None,
        dry_run: bool = False,
        style: str = MERGE_PATCH,
        manager: str = "",
    ) -> Any:  # noqa: ANN401
        """Patch, possibly as another user. Raises ConflictError when the body names a resourceVersion that is not current."""
        query = {"dryRun": "All"} if dry_run else {}
        if manager:
            query["fieldManager"] = manager
        return await self._request("PATCH", path, body=body, impersonate=impersonate, query=query, style=style)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Body | PatchList | None = None,
        query: Mapping[str, str] | None = None,
        impersonate: str | None = None,
        style: str = "application/json",
    ) -> Any:  # noqa: ANN401
        headers = {"Accept": "application/json", "Content-Type": style}
        if impersonate:
            headers["Impersonate-User"] = impersonate
        parameters = dict(query or {})
        if method != "GET":
            parameters = {"fieldManager": group.FIELD_MANAGER, "fieldValidation": "Strict", **parameters}
        what = f"{method} {path}"
        try:
            prepared = await self._connection.param_serialize(
                method=method,
                resource_path=path,
                query_params=list(parameters.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._connection.call_api(*prepared, _request_timeout=self._limits)
            text = await response.read()
        except (aiohttp.ClientError, config.ConfigException, TimeoutError, OSError) as error:
            raise errors.ClusterUnavailableError(
                f"the API server does not answer ({what}: {type(error).__name__}); the incident waits and is tried again"
            ) from error
        if response.status < 300:
            try:
                return json.loads(text)
            except ValueError as error:
                raise errors.ClusterUnavailableError(
                    f"something between us and the API server answered {what} with other than JSON"
                ) from error
        raise _failure(response.status, text, what, response.headers.get("Retry-After"))


async def default_namespace(*, kubeconfig: str | None, context: str | None) -> str:
    """The namespace that kubectl would take: that of the context, else `default`."""
    try:
        contexts, active = await asyncio.to_thread(config.list_kube_config_contexts, config_file=kubeconfig)
    except (config.ConfigException, OSError):
        return "default"
    chosen = next((one for one in contexts if one["name"] == context), None) if context else active
    return str(chosen["context"].get("namespace") or "default") if chosen else "default"


def _check_there(kubeconfig: str | None) -> None:
    """The library says by itself only that a field of an empty configuration is missing, and prints a warning of its own."""
    paths = kubeconfig or config.KUBE_CONFIG_DEFAULT_LOCATION
    if not any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path):
        raise FileNotFoundError(f"there is no file {paths}")


def _in_cluster() -> bool:
    try:
        config.load_incluster_config(client_configuration=client.Configuration())
    except config.ConfigException:
        return False
    return True


def _failure(status: int, text: bytes, what: str, retry_after: str | None) -> errors.GovernorError:
    message, names_object, causes = _told(text)
    said = f"the API server answered {status} to {what}: {message}"
    if status == 409:
        # Somebody else owns the field: that is no matter of trying again.
        return errors.ClusterRefusedError(said) if "FieldManagerConflict" in causes else errors.ConflictError(said)
    if status == 429 and "DisruptionBudget" in causes:
        which = causes["DisruptionBudget"]
        return errors.DisruptionRefusedError(f"{message.rstrip('.')}{': ' + which if which else ''}; it is asked again")
    if status in _AGAIN_LATER:
        asked = float(retry_after) if retry_after and retry_after.isdigit() else None
        return errors.ClusterUnavailableError(f"{said}; the incident waits and is tried again", retry_after=asked)
    if status == 404:
        # Only an answer that names the object says that the object is not there. After its start a server does not know our
        # resources for a moment, and an incident must not be taken for deleted because of that.
        return NotFoundError(said) if names_object else UnknownResourceError(f"{said}; the incident waits and is tried again")
    if status == 403 and what.startswith("GET "):
        # Right after its start a server may not know anybody's rights yet, and rights that were taken away can come back.
        return errors.ClusterUnavailableError(f"{said}; the incident waits until the operator may read it again")
    if status == 403:
        return errors.ForbiddenError(said)
    if status in (400, 422):
        return InvalidError(said)
    return errors.ClusterRefusedError(said)


def _told(text: bytes) -> tuple[str, bool, Mapping[str, str]]:
    """The message of a Status, whether it is about an object of a name, and its causes: what each says, by its reason."""
    try:
        body = json.loads(text)
        details = body.get("details") or {}
        causes = {str(one.get("reason")): str(one.get("message") or "") for one in details.get("causes") or []}
        return str(body.get("message", "")), bool(details.get("name")), causes
    except (ValueError, AttributeError):
        return text[:200].decode(errors="replace"), False, {}
