"""An event loop with sockets whose waits take no time."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from math import inf, ulp
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# How often to look, and to let others run, before nothing is believed to come on a socket: what
# was sent on this machine is there at once, or as soon as the kernel has had its turn.
_LOOKS = 3


class HastyLoop(asyncio.SelectorEventLoop):
    """
    An event loop whose time jumps to the next timer when nothing more comes on its sockets.

    Client and server have to run on it both. Time begins at 0.0, and only waiting takes time; it
    stands still while a job works in an executor.
    """

    # The base class has these, its stubs have not.
    _scheduled: list[asyncio.TimerHandle]
    _clock_resolution: float

    def __init__(self) -> None:
        self._now = 0.0
        self._jobs = 0
        super().__init__(_Selector(self._advance))
        self._clock_resolution = ulp(self._now)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run ``func(*args)`` in *executor*."""
        job = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        job.add_done_callback(self._end_job)
        return job

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """End the default executor's threads."""
        self._jobs += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._end_job()

    def _end_job(self, _job: object = None) -> None:
        self._jobs -= 1

    def _advance(self) -> bool:
        """Go to the next timer. False: there is none, or a job works."""
        if self._jobs:
            return False
        when = self._scheduled[0].when() if self._scheduled else inf
        if when == inf:
            return False
        self._now = max(self._now, when)
        # Timers before the sum of both are due: this must be the least that counts.
        self._clock_resolution = ulp(self._now)
        return True


class _Selector(selectors.DefaultSelector):
    """Calls *advance* where others wait, unless something comes at once."""

    def __init__(self, advance: Callable[[], bool]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, without waiting for timers."""
        for _ in range(1 if timeout == 0 else _LOOKS):
            if found := super().select(0):
                return found
            if timeout != 0:
                time.sleep(0)
        return [] if timeout == 0 or self._advance() else super().select(None)


def run_hastily(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on a `HastyLoop` and return its result, as `asyncio.run` would."""
    with asyncio.Runner(loop_factory=HastyLoop) as runner:
        return runner.run(main)
