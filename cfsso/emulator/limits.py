"""How many requests one credential may send."""

import math
from collections import deque
from typing import Any, Final

from cfsso.emulator import checks
from cfsso.emulator.clock import SLACK
from cfsso.transports.base import RateLimit

RETRY_AFTER: Final = "retry-after"


class _Window:
    __slots__ = ("blocked_until", "times")

    def __init__(self) -> None:
        self.times: deque[float] = deque()
        self.blocked_until = 0.0


class Limiter:
    """
    Counts the requests of each credential in a sliding window.

    One request more than the limit blocks the credential for as long as the
    window is. What is refused meanwhile is not counted and prolongs nothing.

    Args:
        limit: What is allowed. ``None``: everything.

    Raises:
        InvalidRequestError: *limit* is neither.
    """

    __slots__ = ("_limit", "_policy", "_windows")

    def __init__(self, limit: Any) -> None:
        if limit is not None and not isinstance(limit, RateLimit):
            raise checks.wrong("rate_limit", "a RateLimit or None")
        self._limit = limit
        self._windows: dict[str | None, _Window] = {}
        if limit is not None:
            w = math.ceil(limit.seconds)
            self._policy = f'"default";q={int(limit.requests)};w={w}'

    def count(self, credential: str | None, now: float) -> dict[str, str]:
        """
        Count one request of *credential* and return the headers of its answer.

        ``retry-after`` is among them if the request is to be refused.
        """
        limit = self._limit
        if limit is None:
            return {}
        window = self._windows.get(credential)
        if window is None:
            window = self._windows[credential] = _Window()
        times = window.times
        gone = now - limit.seconds + SLACK
        while times and times[0] <= gone:
            times.popleft()
        if now >= window.blocked_until - SLACK:
            if len(times) < int(limit.requests):
                times.append(now)
                left = int(limit.requests) - len(times)
                return self._headers(left, _seconds(times[0] + limit.seconds - now))
            window.blocked_until = now + limit.seconds
        wait = _seconds(window.blocked_until - now)
        return {**self._headers(0, wait), RETRY_AFTER: str(wait)}

    def _headers(self, left: int, seconds: int) -> dict[str, str]:
        return {
            "ratelimit": f'"default";r={left};t={seconds}',
            "ratelimit-policy": self._policy,
        }


def _seconds(value: float) -> int:
    return max(1, math.ceil(value - SLACK))
