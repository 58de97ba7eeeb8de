"""Who exists in a test cluster: the people, the service accounts of the governor, and the cluster's own components.

The API server knows them by the tokens in its token file. No one here has a right of their own except `admin` and the
components; RBAC gives the others theirs, as in a real cluster.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

GOVERNOR_NAMESPACE = "governor-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Someone the API server knows."""

    name: str
    """The short name that tests use."""
    username: str
    """The name that the API server and RBAC use."""
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)
    """The bearer token; random, so every control plane has its own."""
    purpose: str = ""
    """What the identity is there for, in a few words for a human reader."""


def person(name: str, purpose: str = "", groups: Iterable[str] = ()) -> Identity:
    """A human user whose user name is the short name."""
    return Identity(name=name, username=name, groups=tuple(groups), purpose=purpose)


def service_account(name: str, account: str, namespace: str = GOVERNOR_NAMESPACE, purpose: str = "") -> Identity:
    """A service account, with the groups that its tokens would carry."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return Identity(name=name, username=f"system:serviceaccount:{namespace}:{account}", groups=groups, purpose=purpose)


def people() -> tuple[Identity, ...]:
    """The humans of the story; eve may edit but never approve."""
    return (
        person("alice", "reports incidents"),
        person("bob", "approves"),
        person("carol", "overrides"),
        person("dave", "approves as the second person"),
        person("eve", "edits, but may not approve"),
    )


def defaults() -> tuple[Identity, ...]:
    """Everybody a control plane starts with, with fresh tokens."""
    return (
        Identity(name="admin", username="admin", groups=("system:masters",), purpose="may do everything"),
        *people(),
        service_account("operator", "governor-operator", purpose="the operator"),
        service_account("mcp", "governor-mcp", purpose="the MCP server"),
        service_account("slack", "governor-slack", purpose="the Slack listener"),
        service_account("alerts", "governor-alerts", purpose="the alert receiver"),
        Identity(name="controller-manager", username="system:kube-controller-manager"),
        Identity(name="scheduler", username="system:kube-scheduler"),
        Identity(name="kwok", username="kwok", groups=("system:masters",)),
    )


def token_file(identities: Iterable[Identity]) -> str:
    """The text of the API server's token file.

    Raises:
        ValueError: two identities share a short name.
    """
    lines: dict[str, str] = {}
    for one in identities:
        if one.name in lines:
            raise ValueError(f"two identities are called {one.name!r}")
        lines[one.name] = f'{one.token},"{one.username}","{one.name}","{",".join(one.groups)}"\n'
    return "".join(lines.values())
