"""Where and to whom the tools for agents are served."""

from typing import Annotated, Self

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, StringConstraints, model_validator

Host = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class Serving(BaseModel):
    """Settings of the MCP server."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    address: str = "127.0.0.1:8000"
    """Where it is served over HTTP. Without tokens only loopback is."""
    tokens: str | None = None
    """A file with the digests of bearer tokens; it is read anew when it changes."""
    jwks_uri: AnyHttpUrl | None = None
    """Where the keys are by which JWTs are signed; they are let in besides tokens."""
    jwt_issuer: str | None = None
    """Who has to have issued a JWT."""
    jwt_audience: str | None = None
    """For whom a JWT has to be."""
    allowed_hosts: tuple[Host, ...] = Field(default=(), max_length=64)
    """Names under which it may be called; loopback may always, where it is served there."""
    allowed_origins: tuple[Host, ...] = Field(default=(), max_length=64)
    """Origins of web pages that may call it; none by default."""
    calls_per_minute: int = Field(default=240, ge=1, le=100_000)
    """Of each token."""

    @model_validator(mode="after")
    def _asks_for_whom_a_jwt_is(self) -> Self:
        if self.jwks_uri is not None and (self.jwt_issuer is None or self.jwt_audience is None):
            raise ValueError("jwks_uri needs jwt_issuer and jwt_audience: a token that was meant for somebody else is not one for us")
        return self
