"""What all tools have in common: they answer in time, and tell what they could not find out."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from safety_governor.domain import errors, values
from safety_governor_mcp import limits
from safety_governor_mcp.results import Data, Result, Status


class Desk(Protocol):
    """Whatever has tools."""

    source: str
    """Where its answers come from."""

    def now(self) -> datetime:
        """The time, in UTC."""


_Desk = TypeVar("_Desk", bound=Desk)
_Asked = ParamSpec("_Asked")


def in_time(
    tool: Callable[Concatenate[_Desk, _Asked], Awaitable[Result[Data]]],
) -> Callable[Concatenate[_Desk, _Asked], Awaitable[Result[Data]]]:
    """The tool; but where the outside does not answer, or not in time, the answer is that it is unavailable."""

    @functools.wraps(tool)
    async def asked(desk: _Desk, /, *args: _Asked.args, **kwargs: _Asked.kwargs) -> Result[Data]:
        try:
            async with asyncio.timeout(limits.PATIENCE.total_seconds()):
                return await tool(desk, *args, **kwargs)
        except errors.GovernorError as error:
            why = str(error)
        except TimeoutError:
            why = f"there was no answer within {limits.PATIENCE.total_seconds():.0f} s"
        return Result(
            status=Status.UNAVAILABLE,
            reason=values.clip(
                f"{why.rstrip('.')}. This is unknown, which speaks neither for nor against anything; say so, or try once more.", 2000
            ),
            source=desk.source,
            as_of=desk.now(),
        )

    return asked
