"""How late a ticker in the same event loop is while toggles are in flight."""

import asyncio
from itertools import cycle

from bench_floor import Toggle
from bench_world import TARGETS

TICK = 0.001


class Ticker:
    """Is due a millisecond after it was called last, and notes how late it is called."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.late: list[float] = []
        self._due = self._loop.time() + TICK
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        self.late.append(now - self._due)
        self._due = now + TICK
        self._handle = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        self._handle.cancel()


def percentile(values: list[float], share: float) -> float:
    """Return the value that *share* of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def stall(
    toggle: Toggle, in_flight: int, seconds: float, rate: float | None
) -> dict[str, float]:
    """
    Toggle for a while, and return the percentiles of a ticker's lateness in milliseconds.

    Args:
        toggle: What is done.
        in_flight: How often at once, at most.
        seconds: For how long.
        rate: How many are begun each second. ``None``: always as many as *in_flight*.
    """
    done = await _toggle(toggle, in_flight, seconds, rate)
    late, count = done
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    figures = {name: percentile(late, share) * 1000 for name, share in shares.items()}
    return {**figures, "ticks": len(late), "rate": count / seconds}


async def _toggle(
    toggle: Toggle, in_flight: int, seconds: float, rate: float | None
) -> tuple[list[float], int]:
    loop = asyncio.get_running_loop()
    targets = cycle(TARGETS)
    count = begun = 0
    ticker = Ticker()
    start = loop.time()
    end = start + seconds

    async def work() -> None:
        nonlocal count, begun
        while (now := loop.time()) < end:
            if rate is not None:
                # Each takes the next place in time; one that is overdue is begun at once.
                due, begun = start + begun / rate, begun + 1
                if due >= end:
                    return
                await asyncio.sleep(max(0.0, due - now))
            await toggle(next(targets))
            count += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())
    ticker.stop()
    return ticker.late, count
