"""What a call took, for benchmarks."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence


async def milliseconds(call: Callable[[], Awaitable[object]]) -> float:
    """How long one call took."""
    start = time.perf_counter()
    await call()
    return (time.perf_counter() - start) * 1000


def percentiles(times: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]
