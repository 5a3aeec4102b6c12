"""How much of a run may be under way: what max_failures, canary and waves allow."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Final

from cfsso import _checks

_CANARY: Final = "the run stopped, since the canary was not green"


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nothing more is to begin; the text says why, and is empty if somebody asked for it."""


class Gate:
    """
    Lets accounts and writes begin.

    The first accounts that write, as many as *canary* says, go alone; once all of them
    are green each green account lets one more be under way, so that waves double. With
    *max_failures* there are never more writes under way, nor more accounts between
    their first write and the read after their last, than failures are left, plus one.

    Args:
        canary: How many accounts go first. 0: none.
        max_failures: How many targets may fail before nothing more begins. ``None``: all.

    Raises:
        InvalidRequestError: An argument is no such number.
    """

    def __init__(self, canary: int, max_failures: int | None) -> None:
        _checks.whole("canary", canary, 0)
        if max_failures is not None:
            _checks.whole("max_failures", max_failures, 0)
        self._canary = canary
        self._max_failures = max_failures
        self._green = self._accounts = self._writes = self._failures = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._reason: str | None = None
        self._closed = asyncio.Event()

    @property
    def reason(self) -> str | None:
        """Why nothing more begins. ``None``: it is open."""
        return self._reason

    def close(self, reason: str) -> None:
        """Let nothing more begin; the first reason counts."""
        if self._reason is None:
            self._reason = reason
            self._closed.set()
            self._wake()

    async def rest(self, seconds: float) -> None:
        """
        Wait.

        Raises:
            Stopped: The gate is closed, perhaps meanwhile.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return
        raise Stopped(self._reason)

    def fail(self, targets: int) -> None:
        """Count targets that failed; negative for those that turned out well after all."""
        self._failures += targets
        most = self._max_failures
        if most is not None and self._failures > most:
            tolerated = f" ({most} tolerated)" if most else ""
            self.close(f"the run stopped after {_counted(self._failures)}{tolerated}")
        self._wake()

    @asynccontextmanager
    async def account(self) -> AsyncGenerator[Callable[[bool], None]]:
        """
        Wait until an account may begin to write; it ends with the context.

        What it gives is to be told whether the account is green, once that is known.

        Raises:
            Stopped: The gate is closed.
        """
        await self._until(lambda: self._accounts < min(self._wave, self._room))
        self._accounts += 1
        try:
            yield self._judge
        finally:
            self._accounts -= 1
            self._wake()

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[None]:
        """
        Wait until a write may begin; it ends with the context.

        Raises:
            Stopped: The gate is closed.
        """
        await self._until(lambda: self._writes < self._room)
        self._writes += 1
        try:
            yield
        finally:
            self._writes -= 1
            self._wake()

    @property
    def _room(self) -> float:
        return inf if self._max_failures is None else self._max_failures - self._failures + 1

    @property
    def _wave(self) -> float:
        if not self._canary:
            return inf
        if self._green < self._canary:
            return self._canary - self._green
        return self._canary + self._green

    def _judge(self, green: bool) -> None:  # noqa: FBT001 - it is all there is to say
        if green:
            self._green += 1
        elif self._green < self._canary:
            self.close(_CANARY)

    async def _until(self, may: Callable[[], bool]) -> None:
        while True:
            if self._reason is not None:
                raise Stopped(self._reason)
            if may():
                return
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def _counted(failures: int) -> str:
    return "1 failure" if failures == 1 else f"{failures:,} failures"
