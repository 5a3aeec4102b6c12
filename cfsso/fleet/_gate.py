"""How much of a run may be under way: what max_failures, canary and waves allow."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from math import inf
from typing import Any, Final, TypeVar

import attrs

from cfsso import _checks

_CANARY: Final = "the run stopped, since the canary did not succeed"

_Result = TypeVar("_Result")


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nothing more is to begin; the text says why, and is empty if somebody asked for it."""


@attrs.frozen
class Batch:
    """
    What an account may write before it is read back.

    Attributes:
        size: How many of its connectors.
        judge: To be told how those fared that were written: whether each has succeeded.
    """

    size: int
    judge: Callable[[Iterable[bool]], None]


class Gate:
    """
    Lets batches and writes begin.

    The first connectors that are written, as many as *canary* says, go alone and are read
    back; once all of them have succeeded each one that does lets one more be under way, so
    that waves double, over accounts and inside them. With *max_failures* there are never
    more writes under way, nor more accounts between their first write and the read after
    their last, than failures are left, plus one.

    Args:
        canary: How many connectors go first. 0: none.
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
        self._succeeded = self._batches = self._batched = self._writes = self._failures = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._reason: str | None = None
        self._ends = set[asyncio.Future[Any]]()

    @property
    def reason(self) -> str | None:
        """Why nothing more begins. ``None``: it is open."""
        return self._reason

    def close(self, reason: str) -> None:
        """Let nothing more begin; the first reason counts."""
        if self._reason is None:
            self._reason = reason
            for future in self._ends:
                if not future.done():
                    future.set_exception(Stopped(reason))
            self._wake()

    async def rest(self, seconds: float) -> None:
        """
        Wait.

        Raises:
            Stopped: The gate is closed, perhaps meanwhile.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        timer = loop.call_later(seconds, _settle, future)
        try:
            await self.unless_closed(future)
        finally:
            timer.cancel()

    async def unless_closed(self, future: asyncio.Future[_Result]) -> _Result:
        """
        Wait for *future*, which nobody else waits for.

        Raises:
            Stopped: The gate is closed, perhaps meanwhile.
        """
        if self._reason is not None and not future.done():
            future.set_exception(Stopped(self._reason))
        self._ends.add(future)
        try:
            return await future
        finally:
            self._ends.discard(future)

    def fail(self, targets: int) -> None:
        """Count targets that failed; negative for those that turned out well after all."""
        self._failures += targets
        most = self._max_failures
        if most is not None and self._failures > most:
            tolerated = f" ({most} tolerated)" if most else ""
            self.close(f"the run stopped after {_counted(self._failures)}{tolerated}")
        self._wake()

    @asynccontextmanager
    async def batch(self, connectors: int) -> AsyncGenerator[Batch]:
        """
        Wait until an account may write some of so many connectors; the batch ends with the context.

        Raises:
            Stopped: The gate is closed.
        """
        await self._until(lambda: self._batches < self._room and self._batched < self._wave)
        size = int(min(connectors, self._wave - self._batched))
        self._batches += 1
        self._batched += size
        try:
            yield Batch(size, self._judge)
        finally:
            self._batches -= 1
            self._batched -= size
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
        if self._succeeded < self._canary:
            return self._canary - self._succeeded
        return self._canary + self._succeeded

    def _judge(self, successes: Iterable[bool]) -> None:
        for success in successes:
            if success:
                self._succeeded += 1
            elif self._succeeded < self._canary:
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


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _counted(failures: int) -> str:
    return "1 failure" if failures == 1 else f"{failures:,} failures"
