"""The virtual-time loop: exact, quick, never stuck in silence."""

import asyncio
import contextlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

import cfsso
from cfsso.testing import VirtualTimeLoop, run_in_virtual_time

YEAR = 365.25 * 24 * 3600


async def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


async def for_ever() -> None:
    """Wait for what never comes."""
    await asyncio.Event().wait()


def test_time_begins_at_zero_and_a_result_comes_back() -> None:
    """The clock begins at 0.0, and what the coroutine returns is returned."""
    assert 0.0 == run_in_virtual_time(now())


def test_an_error_comes_back() -> None:
    """What the coroutine raises is raised."""

    async def main() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_in_virtual_time(main())


def test_a_runner_takes_the_loop() -> None:
    """The class is a loop factory; its time goes on from one run to the next."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(asyncio.sleep(5))
        assert 5.0 == runner.run(now())


def test_a_year_passes_at_once() -> None:
    """A hundred thousand timers of a year are a matter of a second or two."""
    began = time.monotonic()

    async def main() -> float:
        for _ in range(10_000):
            await asyncio.sleep(YEAR / 10_000)
        return await now()

    assert YEAR == pytest.approx(run_in_virtual_time(main()))
    assert 10 > time.monotonic() - began


def test_timers_run_in_order_each_at_its_very_moment() -> None:
    """The clock shows exactly the moment that a timer was set for, whatever floats do."""
    moments = [0.0, 0.1, 0.1 + 0.2, 0.3, 1 / 3, 86_400 * 3 + 0.7, 1e5 + 0.1, 1e9 + 0.1, 1e15 + 0.5]

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        seen: list[float] = []
        for moment in reversed(moments):
            loop.call_at(moment, lambda: seen.append(loop.time()))
        await asyncio.sleep(2e15)
        return seen

    assert sorted(moments) == run_in_virtual_time(main())


@pytest.mark.parametrize("start", [0.0, 1.0, 1e5, 1e9, 1e12], ids=str)
def test_what_is_due_now_is_due_and_nothing_else(start: float) -> None:
    """A timer for the present runs in the present, and the very next one does not."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        await asyncio.sleep(start)
        loop.call_at(math.nextafter(loop.time(), math.inf), seen.append, "later")
        loop.call_at(loop.time(), seen.append, "now")
        await asyncio.sleep(0)
        return seen

    assert ["now"] == run_in_virtual_time(main())


def test_cancelled_timers_take_no_time() -> None:
    """What was cancelled moves the clock no further."""

    async def main() -> float:
        asyncio.get_running_loop().call_later(50, print).cancel()
        async with asyncio.timeout(100):
            await asyncio.sleep(7)
        return await now()

    assert 7.0 == run_in_virtual_time(main())


def test_a_timeout_ends_what_waits_for_ever() -> None:
    """A timeout is a timer, so waiting for nothing ends by it."""

    async def main() -> float:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3600):
                await for_ever()
        return await now()

    assert 3600.0 == run_in_virtual_time(main())


@pytest.mark.parametrize("wait", [for_ever, lambda: asyncio.sleep(math.inf)], ids=["event", "inf"])
def test_waiting_for_ever_is_an_error(wait: Callable[[], object]) -> None:
    """Where another loop would hang, this one names what waits."""

    async def main() -> None:
        await asyncio.gather(wait(), wait())  # type: ignore[call-overload]

    with pytest.raises(RuntimeError, match=r"for ever \(.*main; 3 tasks\).*no timer is set"):
        run_in_virtual_time(main())


def test_time_stands_still_for_a_job_in_an_executor() -> None:
    """A job in a thread takes no virtual time, and no timer runs before it is done."""

    async def main() -> tuple[str, float]:
        release = threading.Event()
        timer = threading.Timer(0.01, release.set)
        timer.start()
        async with asyncio.timeout(0.001):
            done = await asyncio.to_thread(lambda: release.wait() and "done")
        return str(done), await now()

    assert ("done", 0.0) == run_in_virtual_time(main())


def test_time_goes_on_after_a_job() -> None:
    """The end of a job gives time back, and closing the loop waits for the threads."""

    async def main() -> float:
        await asyncio.to_thread(len, "")
        await asyncio.sleep(60)
        return await now()

    assert 60.0 == run_in_virtual_time(main())


def test_a_busy_loop_still_hears_of_signals() -> None:
    """A handler set with the loop runs although something is always ready."""

    async def main() -> int:
        loop, got = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, got.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        turns = 0
        while not got.is_set():
            turns += 1
            await asyncio.sleep(0)
        loop.remove_signal_handler(signal.SIGUSR1)
        return turns

    assert 3000 > run_in_virtual_time(main())


def test_a_signal_is_heard_before_it_is_said_that_all_wait_for_ever() -> None:
    """What stands in the pipe counts as something that can still happen."""

    async def main() -> None:
        loop, got = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, got.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await got.wait()
        loop.remove_signal_handler(signal.SIGUSR1)

    run_in_virtual_time(main())


def test_ctrl_c_ends_a_busy_run() -> None:
    """Ctrl-C ends what never stops."""

    async def main() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while True:  # noqa: ASYNC110 - never to end is the point
            await asyncio.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        run_in_virtual_time(main())


def test_a_thread_reaches_a_busy_loop() -> None:
    """`call_soon_threadsafe` gets through while something is always ready."""

    async def main() -> None:
        got = asyncio.Event()
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(got.set,))
        thread.start()
        while not got.is_set():  # noqa: ASYNC110 - being busy is the point
            await asyncio.sleep(0)
        thread.join()

    run_in_virtual_time(main())


def test_sockets_are_refused() -> None:
    """A socket is refused with a line that says what to use."""

    async def main() -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            listening.settimeout(0)
            await asyncio.get_running_loop().sock_accept(listening)

    with pytest.raises(RuntimeError, match="no sockets, pipes or subprocesses: use an InMemory"):
        run_in_virtual_time(main())


def test_the_emulator_lives_in_this_time() -> None:
    """Latency, polling and the block of the rate limit pass in virtual time."""

    async def main() -> float:
        cloud = cfsso.CloudflareEmulator(latency=2, rate_limit=cfsso.RateLimit(1, 300))
        account = cloud.add_account()
        connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud))
        await connectors.list(account_id=account)
        with pytest.raises(cfsso.RateLimitError) as refused:
            await connectors.list(account_id=account)
        await asyncio.sleep(refused.value.retry_after or 0)
        await connectors.list(account_id=account)
        return await now()

    assert 306.0 == run_in_virtual_time(main())
