"""Elasticsearch as a place of knowledge and records: where it is reached, how the indices are called, and what may be used of it."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, StringConstraints, TypeAdapter, field_validator, model_validator

from safety_governor.domain import values

IndexName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
"""One index or alias; never a pattern, as a pattern that matches nothing looks like an empty index."""
LogIndices = Annotated[str, StringConstraints(min_length=1, max_length=values.TEXT_LIMIT, pattern=r"^[a-z0-9*.][a-z0-9*._,-]*$")]
"""Indices, aliases, data streams or patterns, with commas between them."""


_ADDRESS: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


class Indices(BaseModel):
    """How the indices are called."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    runbooks: IndexName = "runbooks-demo"
    evidence: IndexName = "evidence-demo"
    policies: IndexName = "policies-demo"
    logs: LogIndices = "kibana_sample_data_logs"
    """Where the live logs are, in indices of whoever writes them."""
    incidents: IndexName = "incidents-demo"
    workflow_events: IndexName = "workflow_events"
    action_executions: IndexName = "action_executions"


class Embeddings(BaseModel):
    """A service that turns texts into vectors, spoken to as OpenAI's /v1/embeddings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+", max_length=2048)]
    """The whole address, such as http://127.0.0.1:11434/v1/embeddings."""
    model: Annotated[str, StringConstraints(min_length=1, max_length=values.LINE_LIMIT)]
    """Another model is another space of vectors: load again after a change."""
    dimensions: int = Field(ge=1, le=4096)
    """How many numbers a vector of this model has."""
    api_key: SecretStr | None = None
    timeout: timedelta = Field(default=timedelta(seconds=3), gt=timedelta(0), le=timedelta(minutes=1))
    """After so long a search goes on with the text alone."""


class Elasticsearch(BaseModel):
    """A cluster and what is used of it. Without `url` or `cloud_id` there is none."""

    # The address may carry a password, and what is wrong with a key must not show it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    url: Annotated[str | None, Field(repr=False)] = None
    """http or https; several with commas between them."""
    cloud_id: str | None = None
    """Instead of url: the id that Elastic Cloud shows."""
    api_key: SecretStr | None = None
    """In its encoded form."""
    api_key_file: str | None = None
    """A file with the key instead, read when the process starts."""
    ca_file: str | None = None
    """A file of certificates (PEM) that are believed instead of those of the system."""
    request_timeout: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0), le=timedelta(minutes=1))
    """An answer that takes longer is taken for lost."""
    retries: int = Field(default=2, ge=0, le=5)
    """How often a request is repeated on another or the same node after 429, 502, 503, 504 or a lost connection; never after a timeout."""
    indices: Indices = Indices()
    analyzer: Annotated[str, StringConstraints(pattern=r"^[a-z_]+$", max_length=63)] = "english"
    """What the analyzer `governor_text` of the indices is, by the name of an analyzer that Elasticsearch has."""
    log_service_field: Annotated[str, StringConstraints(max_length=values.LINE_LIMIT)] = ""
    """The field of the live logs that names the service. Empty: service.name, service or host, whichever the logs have.
    `*`: every line is about every service."""
    embeddings: Embeddings | None = None
    """With these, searches compare meanings besides words."""

    @property
    def configured(self) -> bool:
        """Whether there is a cluster."""
        return self.url is not None or self.cloud_id is not None

    @property
    def addresses(self) -> tuple[HttpUrl, ...]:
        """Of every node that was named."""
        return _addresses(self.url or "")

    @property
    def name(self) -> str:
        """As it is called in messages; without passwords."""
        if self.cloud_id is not None:
            return self.cloud_id.partition(":")[0]
        return ", ".join(f"{one.scheme}://{one.host}:{one.port}" for one in self.addresses)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None:
            try:
                found = _addresses(url)
            except ValueError:  # pydantic's own would repeat the address, which may carry a password
                found = ()
            if not found:
                raise ValueError("every address must begin with http:// or https:// and name a host; commas stand between several")
        return url

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.url is not None and self.cloud_id is not None:
            raise ValueError("name either url or cloud_id")
        if self.api_key is not None and self.api_key_file is not None:
            raise ValueError("name either api_key or api_key_file")
        return self


def _addresses(urls: str) -> tuple[HttpUrl, ...]:
    return tuple(_ADDRESS.validate_python(one.strip()) for one in urls.split(",") if one.strip())
