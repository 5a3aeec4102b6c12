"""Why nothing seems to happen: what calls wait for, on stderr."""

import asyncio
import math
from typing import Final, TypeAlias

import cfsso
from cfsso.cli.screen import say

# Shorter waits are not worth a word.
_LONG: Final = 2.0
# How much longer than what is left of an announced wait one has to be to be announced too.
_MORE: Final = 3.0
_LIMIT: Final = "rate limit"
# Why a run waits while nothing of it is under way.
_OUTAGE: Final = "outage"
_IN_FLIGHT: Final = "in flight"

_SERVER_ERROR: Final = 500

_Key: TypeAlias = tuple[str, str, str | None]


class Waits:
    """
    Is told by `cfsso.connect` what happens, and says which waits are long.

    Callers that wait for the same reason at the same time give one line, unless a
    later one has to wait much longer. It belongs to the running event loop.

    Args:
        limits: Whether waits for a rate limit give lines. If not, somebody shows `left`.

    Attributes:
        may_have_written: Whether a write may have left.
    """

    def __init__(self, *, limits: bool = True) -> None:
        self._limits = limits
        self._time = asyncio.get_running_loop().time
        self._limited: dict[_Key, float] = {}
        self._failures: dict[_Key, str] = {}
        self._told: dict[str, float] = {}
        # A plain number, since the bar is drawn by another thread.
        self._until = 0.0
        self._answered = self._time()
        self.may_have_written = False

    def __call__(self, event: cfsso.Event) -> None:
        """Take notice of one event."""
        key = event.operation, event.account_id, event.sso_connector_id
        if self._limited.pop(key, None) is not None:
            self._until = max(self._limited.values(), default=0.0)
        if event.kind is cfsso.EventKind.WAIT:
            if event.seconds > _LONG or event.reason == _OUTAGE:
                self._wait(key, event)
        elif event.kind is cfsso.EventKind.ATTEMPT:
            self._failures[key] = _failure(event)
            if event.status is not None and event.status < _SERVER_ERROR:
                self._answered = self._time()
        elif event.kind is cfsso.EventKind.END:
            self._failures.pop(key, None)
            self.may_have_written = self.may_have_written or event.writes > 0

    def left(self) -> float:
        """Return for how many seconds calls still wait for a rate limit."""
        return max(0.0, self._until - self._time())

    def _wait(self, key: _Key, event: cfsso.Event) -> None:
        now = self._time()
        end = now + event.seconds
        if event.reason == _LIMIT:
            self._limited[key] = end
            self._until = max(self._until, end)
            if not self._limits:
                return
        # Once the announced one is over, any other is longer.
        if event.seconds > _MORE * (self._told.get(event.reason, 0.0) - now):
            self._told[event.reason] = end
            say(self._line(key, event))

    def _line(self, key: _Key, event: cfsso.Event) -> str:
        seconds = f"{math.ceil(event.seconds):,} s"
        if event.reason == _LIMIT:
            return f"waiting {seconds} for the rate limit"
        if event.reason == _OUTAGE:
            silent = math.floor(self._time() - self._answered)
            return f"no answer from the API for {silent:,} s: holding, next try in {seconds}"
        if event.reason == _IN_FLIGHT:
            return f"waiting {seconds}: a write of the earlier run may still arrive"
        if event.reason == "settle":
            return f"not confirmed yet: looking again in {seconds}"
        return f"{self._failures.get(key, 'no answer')}: trying again in {seconds}"


def _failure(event: cfsso.Event) -> str:
    """Say why an attempt was no success, without the ids that the user typed."""
    if event.status is not None:
        return f"the answer was {event.status}"
    return str(event.error).removeprefix(f"{event.request}: ")
