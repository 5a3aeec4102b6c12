"""Who may have a connection: what lets people in never waits for what may hang."""

import asyncio
import enum
from collections import OrderedDict
from typing import Final

# As many as pacing lets one address have under way, so that nothing queues below it.
NORMAL: Final = 200
# With those that only what is urgent may have.
MOST: Final = 1000
# However few descriptors there are.
LEAST: Final = 4
# Of all places, one in so many only an urgent write may have.
_FOR_WRITES: Final = 4
# Seconds before one more is tried than what worked.
_REST: Final = 1.0


class Need(enum.IntEnum):
    """
    Who goes first; among equals, who came first.

    Attributes:
        URGENT_WRITE: A write that lets people in. It may have any place.
        URGENT_READ: A read that such a write may need.
        NORMAL: Everything else.
    """

    URGENT_WRITE = 0
    URGENT_READ = 1
    NORMAL = 2


class Places:
    """
    Hands out places for requests that are under way.

    Everything together may have up to 200 of them. What is urgent has others, and of those
    the last quarter is for urgent writes: so neither waits for reads that hang.

    Args:
        most: How many places there are in all.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._grows_at = 0.0
        self.under_way = 0
        # Ordered, and yet whoever gives up is gone at once.
        self._waiting: tuple[OrderedDict[asyncio.Future[None], None], ...] = tuple(
            OrderedDict() for _ in Need
        )
        self._bounds: tuple[int, ...]
        self._bound(most)

    def _bound(self, bound: int) -> None:
        self.bound = bound
        reads = bound - max(1, bound // _FOR_WRITES)
        self._bounds = (bound, reads, min(NORMAL, max(1, bound // 2)))

    def try_take(self, need: Need) -> bool:
        """Take a place if there is one at once; return whether there was."""
        if self.under_way >= self._bounds[need] or any(self._waiting[: need + 1]):
            return False
        self.under_way += 1
        return True

    async def take(self, need: Need) -> None:
        """Take a place when one comes free. A cancelled wait leaves nothing behind."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[need][future] = None
        try:
            await future
        except BaseException:
            self._waiting[need].pop(future, None)
            if future.done() and not future.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Leave a place."""
        self.under_way -= 1
        if self.bound < self._most or any(self._waiting):
            self._serve()

    def shrink(self) -> None:
        """Have one place less than are taken: for the last one there was no descriptor."""
        self._bound(max(LEAST, min(self.bound, self.under_way - 1)))
        self._grows_at = asyncio.get_running_loop().time() + _REST

    def _serve(self) -> None:
        if self.bound < self._most:
            now = asyncio.get_running_loop().time()
            if self._grows_at <= now:
                self._grows_at = now + _REST
                self._bound(self.bound + 1)
        for line, bound in zip(self._waiting, self._bounds, strict=True):
            while line and self.under_way < bound:
                future, _ = line.popitem(last=False)
                if not future.done():
                    self.under_way += 1
                    future.set_result(None)
