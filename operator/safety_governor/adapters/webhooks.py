"""temporary"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from safety_governor.domain import hooks


class Webhooks:
    def __init__(self, endpoints: Mapping[str, hooks.Endpoint], *, now: Callable[[], datetime]) -> None: ...
    def check(self, webhook: str) -> None: ...
    async def call(self, webhook: str, *, key: str, body: Mapping[str, Any]) -> None: ...
