"""Automation outside of the cluster: where it is reached, and the secret that proves a call to be ours."""

import ipaddress
from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, StringConstraints, UrlConstraints, field_validator, model_validator

from safety_governor.domain import values

SHORTEST_SECRET = 32
"""A secret of fewer characters could be found out from one call that somebody has overheard."""

_Url = Annotated[HttpUrl, UrlConstraints(max_length=2048, allowed_schemes=["https", "http"])]


class Endpoint(BaseModel):
    """One automation that runbooks may call by name."""

    # The address may carry a token, and what is wrong with a secret must not show it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    url: Annotated[_Url, Field(repr=False)]
    """Where it is called: https, or http on this machine."""
    secret: SecretStr | None = None
    """What calls are signed with: at least 32 characters, better from a generator than from a person."""
    secret_file: Annotated[str, StringConstraints(min_length=1, max_length=values.TEXT_LIMIT)] | None = None
    """A file with the secret instead, read at every call, so that it can be replaced. White space around it does not count."""
    timeout: timedelta = Field(default=timedelta(seconds=10), gt=timedelta(0), le=timedelta(minutes=2))
    """An answer that takes longer is taken for lost, and the call is repeated."""
    allow_insecure: bool = False
    """Whether http to another machine is let through: everybody on the way can then read what is asked for."""

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            require_long(secret.get_secret_value())
        return secret

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("name either secret or secret_file")
        if self.url.username is not None or self.url.password is not None:
            raise ValueError("url must not carry a user or password; calls are signed with the secret")
        if self.url.scheme == "http" and not self.allow_insecure and not _is_loopback(self.url.host or ""):
            raise ValueError("url must begin with https://; only allow_insecure lets http to another machine through")
        return self


def require_long(secret: str) -> str:
    """The secret itself. Raises ValueError, without repeating it, when it is too short."""
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"the secret must have at least {SHORTEST_SECRET} characters")
    return secret


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
