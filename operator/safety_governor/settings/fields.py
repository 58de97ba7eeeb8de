"""Every setting of the governor: read once, from the environment, into typed values. Nothing else reads the environment."""

import os
import secrets
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from safety_governor.domain import checks, elastic, guardrails, hooks, scores, serving


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "safety-governor"


def _plain_address(address: str) -> str:
    """An address that can be shown and recorded: it carries no secret."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user or password")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or fragment")
    return address.rstrip("/")


# An empty variable is as good as none: that is how people switch off what a template sets.
Address = Annotated[
    Annotated[str, StringConstraints(max_length=200), AfterValidator(_plain_address)] | None, BeforeValidator(lambda given: given or None)
]


def _also(name: str) -> AliasChoices:
    """A variable that other programs know under a name without our prefix."""
    return AliasChoices(f"GOVERNOR_{name}", name)


class Settings(BaseSettings):
    """Environment variables GOVERNOR_*; nested ones with two underscores, such as GOVERNOR_GATE__CONTRADICTIONS=1."""

    model_config = SettingsConfigDict(
        env_prefix="GOVERNOR_",
        env_nested_delimiter="__",
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
    )

    store: Path = Field(default_factory=lambda: _data_home() / "knowledge.db")
    """The file of the embedded store of runbooks, evidence, policies and logs."""
    elasticsearch: elastic.Elasticsearch = elastic.Elasticsearch()
    """Where runbooks, evidence, policies and logs are instead, and where records go: GOVERNOR_ELASTICSEARCH__URL=https://…
    What many programs call ELASTICSEARCH_URL, ELASTICSEARCH_CLOUD_ID and ELASTICSEARCH_API_KEY counts as well, unless a store of our own is named."""
    namespace: str = "governor-system"
    """The operator's own namespace, where its Lease is."""
    watch_namespace: str | None = None
    """Only incidents of this namespace are attended; absent means all."""
    lease: str = "safety-governor-operator"
    """Name of the Lease that makes one operator the only one."""
    lease_duration: timedelta = Field(default=timedelta(seconds=15), ge=timedelta(seconds=3), le=timedelta(minutes=2))
    """After so long without a sign of life another operator takes over; whole seconds."""
    identity: str = Field(default_factory=lambda: f"{socket.gethostname()}-{secrets.token_hex(4)}")
    """The name under which this process holds the Lease; two processes must never share one."""
    health_address: str = "127.0.0.1:8080"
    """Where /healthz and /readyz are served; an empty text serves neither."""
    log_format: Literal["human", "json"] = "human"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    gate: checks.Thresholds = checks.Thresholds()
    """Thresholds of the gate; they can only be made stricter."""
    approval_expiry: timedelta = Field(default=guardrails.DEFAULT_EXPIRY, gt=timedelta(0), le=guardrails.DEFAULT_EXPIRY)
    """How long people may take to decide; a RemediationPolicy may shorten it."""
    verify_timeout: timedelta = Field(default=timedelta(minutes=10), ge=timedelta(seconds=1))
    """After this a rollout that is still going on is inconclusive; a RemediationPolicy may shorten it. Whole seconds."""
    verify_soak: timedelta = Field(default=timedelta(minutes=1), ge=timedelta(0))
    """So long must everything go well after a rollout; a RemediationPolicy may lengthen it. Whole seconds."""
    ceilings: guardrails.Ceilings = guardrails.Ceilings()
    """What no RemediationPolicy can allow more than, over all namespaces."""
    journal: Path = Field(default_factory=lambda: _data_home() / "journal.jsonl")
    """The file in which every action is on record before the cluster is touched. It must outlive the process."""
    audit: Path = Field(default_factory=lambda: _data_home() / "audit")
    """The folder of the audit trail: workflow_events, agent_runs, reliability_metrics and tool_trace. It must outlive the process."""
    audit_file_bytes: int = Field(default=16 * 1024 * 1024, ge=64 * 1024, le=256 * 1024 * 1024)
    """A file of the audit trail of this size is full; it gets a number, and a new one is begun."""
    webhooks: dict[str, hooks.Endpoint] = Field(default_factory=dict)
    """Automation that runbooks may call, by the name that they use: GOVERNOR_WEBHOOKS='{"NAME": {"url": …, "secret_file": …}}'."""
    guard_interval: timedelta = Field(default=timedelta(minutes=2), ge=timedelta(seconds=1), le=timedelta(minutes=4))
    """How often it is proved that the API server refuses forbidden approvals."""
    patience: timedelta = timedelta(minutes=2)
    """After so long without an answer of the store, what cannot be read is recorded as unknown and people are asked."""

    agent_model: Annotated[str, StringConstraints(max_length=scores.MODEL_NAME_LIMIT)] = ""
    """The model behind the agent, as the score services name it; empty: no model takes part, and no profile is asked for."""
    reliability_profile_source: Literal["direct", "mcp"] = Field(default="direct", validation_alias=_also("RELIABILITY_PROFILE_SOURCE"))
    """Who is asked how reliable the model is: the score services themselves, or the tools of the MCP server."""
    cdct_api_url: Address = Field(default=None, validation_alias=_also("CDCT_API_URL"))
    ddft_api_url: Address = Field(default=None, validation_alias=_also("DDFT_API_URL"))
    eect_api_url: Address = Field(default=None, validation_alias=_also("EECT_API_URL"))
    mcp_url: Address = None
    """Where the MCP server is, such as http://mcp.governor-system:8000/mcp."""
    mcp_token_file: Path | None = None
    """A file with the bearer token for the MCP server, read at every question, so that it can be replaced."""
    mcp: serving.Serving = serving.Serving()
    """Where and to whom `safety-governor mcp` serves its tools: GOVERNOR_MCP__ADDRESS and others."""
    mcp_audit: Path = Field(default_factory=lambda: _data_home() / "mcp-audit")
    """The folder of the trail of tool calls, which only the MCP server writes. It must outlive the process."""
    scores_timeout: timedelta = Field(default=timedelta(seconds=8), ge=timedelta(milliseconds=100), le=timedelta(seconds=15))
    """A score service that takes longer has not answered; no decision waits longer than this for figures."""
    scores_keep: timedelta = Field(default=timedelta(hours=6), ge=timedelta(hours=1), le=timedelta(hours=24))
    """So long are figures kept before they are asked for again."""
    scores_keep_unknown: timedelta = Field(default=timedelta(minutes=30), ge=timedelta(minutes=15), le=timedelta(hours=24))
    """So long is it kept that there are none: asking again starts another run at the service."""
    scores_file: Path = Field(default_factory=lambda: _data_home() / "scores.db")
    """The file in which answers are kept for other processes and for after a restart."""

    @property
    def score_services(self) -> dict[scores.Service, str]:
        """The score services that have an address."""
        given = {scores.Service.CDCT: self.cdct_api_url, scores.Service.DDFT: self.ddft_api_url, scores.Service.EECT: self.eect_api_url}
        return {service: address for service, address in given.items() if address is not None}

    @property
    def knowledge(self) -> str:
        """Which store is used, for people; without passwords."""
        return f"Elasticsearch at {self.elasticsearch.name}" if self.elasticsearch.configured else f"the embedded store {self.store}"

    @model_validator(mode="before")
    @classmethod
    def _knows_conventional_names(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the environment holds
        own = given.get("elasticsearch", {}) if isinstance(given, dict) else None
        if not isinstance(own, dict):
            return given
        conventional = {name: os.environ.get(f"ELASTICSEARCH_{name.upper()}") for name in ("url", "cloud_id", "api_key")}
        found = {name: value for name, value in conventional.items() if value}
        if own.keys() & {"url", "cloud_id"} or "store" in given:
            found = {name: value for name, value in found.items() if name == "api_key"}
        elif "url" in found:
            found.pop("cloud_id", None)
        if own.keys() & {"api_key", "api_key_file"}:
            found.pop("api_key", None)
        return {**given, "elasticsearch": {**found, **own}}
