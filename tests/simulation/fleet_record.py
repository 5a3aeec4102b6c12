"""The thread that keeps the record of a rescue, made to go in the time of its world."""

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fleet_process import Process

# Real seconds that no step of the thread takes.
_HANGS: Final = 20.0


class Killed(BaseException):
    """The process of the thread is no more."""


class Handed:
    """
    A queue to a thread of which each item is a job of the process's disk.

    The world stands still while the thread is at work, so that a seed is always the same.

    Args:
        process: Whose thread it is.
    """

    def __init__(self, process: "Process") -> None:
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._begins = threading.Event()
        self._rests = threading.Event()
        self._over = False
        self._process = process
        process.records.append(self)
        # Later, since the thread has not been started yet.
        asyncio.get_running_loop().call_soon(self._have_begun)

    def put(self, item: Any) -> None:
        """Have the disk hand it over, when its turn is there."""
        self._last = self._process.disk.do(lambda: self._hand(item))

    def qsize(self) -> int:
        """Have nothing that could be taken with what was taken: it would depend on threads."""
        return 0

    def get(self) -> Any:
        """Rest until there is something; in the thread."""
        self._rests.set()
        item = self._items.get()
        if item is Killed:
            raise Killed
        return item

    def wait(self) -> None:
        """Begin when the disk does; in the thread."""
        self._begins.wait()
        if self._over:
            raise Killed

    def end(self) -> None:
        """The thread has ended; in the thread."""
        self._over = True
        self._rests.set()

    def kill(self) -> None:
        """Let the thread end as it is."""
        if self._over:
            return
        self._over = not self._begins.is_set()
        self._begins.set()
        self._hand(Killed)

    def _have_begun(self) -> None:
        # It may die of it.
        with contextlib.suppress(asyncio.CancelledError):
            self._last = self._process.disk.do(self._begin)

    def _begin(self) -> None:
        self._begins.set()
        self._is_at_rest()

    def _hand(self, item: Any) -> None:
        if self._over:
            return
        self._rests.clear()
        self._items.put(item)
        self._is_at_rest()

    def _is_at_rest(self) -> None:
        assert self._rests.wait(_HANGS), "the thread that keeps a record hangs"
