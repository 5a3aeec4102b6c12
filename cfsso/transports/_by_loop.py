"""One value for each event loop, whichever threads the loops run in."""

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio

_Value = TypeVar("_Value")


class ByLoop(Generic[_Value]):
    """
    Holds a value for each event loop, for as long as the loop lives.

    Threads may share it. A value is for the thread that runs its loop.

    Args:
        make: Makes the value of a loop.
    """

    __slots__ = ("_lock", "_make", "_values")

    def __init__(self, make: "Callable[[asyncio.AbstractEventLoop], _Value]") -> None:
        self._make = make
        self._lock = threading.Lock()
        self._values: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Value] = (
            weakref.WeakKeyDictionary()
        )

    def of(self, loop: "asyncio.AbstractEventLoop") -> _Value:
        """Return the value of *loop*, which is made if there is none yet."""
        with self._lock:
            value = self._values.get(loop)
            if value is None:
                self._forget_closed()
                value = self._values[loop] = self._make(loop)
        return value

    def forget(self, loop: "asyncio.AbstractEventLoop") -> None:
        """Have no value for *loop* until it is asked for again."""
        with self._lock:
            self._values.pop(loop, None)

    def _forget_closed(self) -> None:
        """Forget the loops that are closed: a value that refers to its loop keeps it alive."""
        # A list, since the end of a loop in another thread removes it at any moment.
        for reference in self._values.keyrefs():
            loop = reference()
            if loop is not None and loop.is_closed():
                self._values.pop(loop, None)
