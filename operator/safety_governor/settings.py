"""Every setting of the governor: read once, from the environment, into typed values. Nothing else reads the environment."""

import os
import secrets
import socket
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from safety_governor.domain import checks, guardrails, hooks


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "safety-governor"


class Settings(BaseSettings):
    """Environment variables GOVERNOR_*; nested ones with two underscores, such as GOVERNOR_GATE__CONTRADICTIONS=1."""

    model_config = SettingsConfigDict(
        env_prefix="GOVERNOR_", env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    store: Path = Field(default_factory=lambda: _data_home() / "knowledge.db")
    """The file of the embedded store of runbooks, evidence, policies and logs."""
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
