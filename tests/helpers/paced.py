"""A way to an emulator with a latency that varies, and how to judge what arrived there."""

import asyncio
import random
from collections import deque
from collections.abc import Sequence

import cfsso


class Jittery:
    """A transport to an emulator that takes its time before and after the work is done."""

    def __init__(
        self, cloud: cfsso.CloudflareEmulator, latency: float = 0.0, api_token: str | None = None
    ) -> None:
        self._inner = cfsso.InMemoryTransport(cloud, api_token=api_token)
        self._latency = latency
        self._random = random.Random(1)  # noqa: S311 - chance in a test
        self.under_way = 0

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*; either way takes up to half the latency."""
        self.under_way += 1
        try:
            await asyncio.sleep(self._random.uniform(0, self._latency / 2))
            response = await self._inner.send(request)
            await asyncio.sleep(self._random.uniform(0, self._latency / 2))
        finally:
            self.under_way -= 1
        return response

    async def aclose(self) -> None:
        """Hold nothing."""


def usable(limit: cfsso.RateLimit) -> cfsso.RateLimit:
    """Return what of *limit* everything but what lets people in may use."""
    return cfsso.RateLimit(limit.requests - limit.reserve, limit.seconds, reserve=0)


def worst(times: Sequence[float], seconds: float) -> int:
    """Return how many of *times*, which are in order, the fullest window holds."""
    most, window = 0, deque[float]()
    for at in times:
        window.append(at)
        while window[0] <= at - seconds + 1e-6:
            window.popleft()
        most = max(most, len(window))
    return most


def ideal(counts: Sequence[int], limit: cfsso.RateLimit, address: cfsso.RateLimit) -> float:
    """Return when the last of so many requests of each credential could be sent at best."""
    left = list(counts)
    sent: list[list[float]] = [[] for _ in counts]
    all_sent: list[float] = []

    def soonest(times: list[float], bound: cfsso.RateLimit) -> float:
        full = len(times) >= bound.requests
        return times[-bound.requests] + bound.seconds if full else 0.0

    at = 0.0
    while any(left):
        # Of those that may go at once, the one that has the most left.
        soonest_of = [max(at, soonest(times, limit)) for times in sent]
        at, _, who = min((soonest_of[w], -count, w) for w, count in enumerate(left) if count)
        at = max(at, soonest(all_sent, address))
        left[who] -= 1
        sent[who].append(at)
        all_sent.append(at)
    return all_sent[-1]
