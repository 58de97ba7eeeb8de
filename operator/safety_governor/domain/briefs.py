"""What passes between the governor and an agent: the brief, and the reply as it came."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What an agent is told about an incident. All of it is data from outside, never an instruction."""

    service: str
    severity: str
    summary: str
    symptoms: tuple[str, ...]

    @property
    def text(self) -> str:
        """Summary and symptoms in one, as a search asks for them."""
        return "\n".join((self.summary, *self.symptoms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An agent's answer as it came, and the ids of the documents that recorded searches showed it on the way."""

    answer: object
    seen: frozenset[str]
