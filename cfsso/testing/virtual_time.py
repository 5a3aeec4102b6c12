"""An event loop whose hours pass in milliseconds."""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# How many turns of a busy loop may pass before it looks for signals and other threads.
_TURNS = 1000


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """
    An event loop whose time jumps to the next timer as soon as there is nothing else to do.

    `time` begins at 0.0, and only waiting takes time: a test of hours runs in
    milliseconds, and the same way each time. Made for `run_in_virtual_time`, for
    `asyncio.Runner` as its ``loop_factory`` and for pytest-asyncio's hook
    ``pytest_asyncio_loop_factories``.

    What comes from outside has no place in this time, so there are no sockets, pipes or
    subprocesses. Time stands still while a job works in an executor, as by
    `asyncio.to_thread`; such a job must not wait for a timer of the loop. It does not
    stand still for threads of other kinds, nor move ``time.monotonic``.

    Raises:
        RuntimeError:
            From what runs the loop: everything waits for ever, since nothing is ready,
            no timer is set and no job works in an executor. From what opens a socket:
            there are none.
    """

    # The base class has these, its stubs have not. No public name gives the next timer,
    # or makes a timer due at the very moment that the clock shows.
    _scheduled: list[asyncio.TimerHandle]
    _clock_resolution: float

    def __init__(self) -> None:
        self._now = 0.0
        self._jobs = 0
        super().__init__(_Selector(self._advance))
        self._clock_resolution = math.ulp(self._now)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run ``func(*args)`` in *executor*; time stands still until it is done."""
        job = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        job.add_done_callback(self._end_job)
        return job

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """End the default executor's threads; time stands still until they are gone."""
        self._jobs += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._end_job()

    def _end_job(self, _job: object = None) -> None:
        self._jobs -= 1

    def _advance(self) -> bool:
        """Go to the next timer. False: a job works, so wait for it."""
        if self._jobs:
            return False
        self._now = self._next_timer()
        # Timers before the sum of both are due: this must be the least that counts.
        self._clock_resolution = math.ulp(self._now)
        return True

    def _next_timer(self) -> float:
        when = self._scheduled[0].when() if self._scheduled else math.inf
        if when < math.inf:
            return when
        tasks = asyncio.all_tasks(self)
        names = sorted({getattr(task.get_coro(), "__qualname__", "?") for task in tasks})
        raise RuntimeError(
            f"everything waits for ever ({', '.join(names[:5])}; {len(tasks)} tasks): nothing is"
            " ready, no timer is set and no job works in an executor"
        )


class _Selector(selectors.DefaultSelector):
    """Calls *advance* where others wait, and waits if that returns false."""

    def __init__(self, advance: Callable[[], bool]) -> None:
        super().__init__()
        self._advance = advance
        self._turn = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Register the pipe through which signals and threads wake the loop, nothing else."""
        if self.get_map():
            raise RuntimeError(
                "a VirtualTimeLoop has no sockets, pipes or subprocesses: use an"
                " InMemoryTransport, or another event loop"
            )
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, which is next to nothing, without waiting for timers."""
        self._turn += 1
        # Once in a while, and before it is said that nothing can happen any more.
        if self._turn >= _TURNS or timeout is None:
            self._turn = 0
            if found := super().select(0):
                return found
        if timeout == 0 or self._advance():
            return []
        return super().select(None)


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """
    Run *main* on a `VirtualTimeLoop` and return its result, as `asyncio.run` would.

    Raises:
        RuntimeError: Everything waits for ever.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
