"""SIGINT, SIGTERM and SIGHUP while requests are under way."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, cast

from cfsso.cli import hangups


class Signals:
    """
    Turns signals into calls for as long as the context lasts.

    SIGHUP is one of them, unless the process ignores it.

    Args:
        on_first: What the first signal calls; if it returns true, and by any further
            signal, the task is cancelled. ``None``: the first one cancels it.

    Attributes:
        received: The number of the first signal. ``None``: there was none.
    """

    def __init__(self, on_first: Callable[[], bool | None] | None = None) -> None:
        self._on_first = on_first
        self.received: int | None = None
        self._numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
        if hangups.HANGUP is not None and not hangups.is_ignored():
            self._numbers.append(hangups.HANGUP)

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        for number in self._numbers:
            # Not everywhere; there, Ctrl-C is a KeyboardInterrupt.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self._receive, number, task)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in self._numbers:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)

    def _receive(self, number: int, task: "asyncio.Task[Any]") -> None:
        first = self.received is None
        if first:
            self.received = number
        if not first or self._on_first is None or self._on_first():
            task.cancel()
