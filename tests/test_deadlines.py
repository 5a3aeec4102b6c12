"""One timer for the ends of time of many."""

import asyncio

import pytest

import cfsso
from cfsso.testing import run_in_virtual_time
from cfsso.transports._deadlines import Deadlines


class Watched:
    """Notes when its time was up."""

    def __init__(self) -> None:
        self.expired: list[float] = []

    def expire(self) -> None:
        self.expired.append(asyncio.get_running_loop().time())


@pytest.mark.virtual_time
async def test_each_is_told_once_and_in_time() -> None:
    """Who is not done is told when its own time is up, and only then."""
    deadlines = Deadlines(asyncio.get_running_loop(), 10.0)
    watched = [Watched() for _ in range(4)]
    ends = []
    for one in watched:
        ends.append(deadlines.start(one, asyncio.get_running_loop().time()))
        await asyncio.sleep(1.0)
    deadlines.stop(watched[1])
    await asyncio.sleep(100.0)

    assert [[ends[0]], [], [ends[2]], [ends[3]]] == [one.expired for one in watched]


@pytest.mark.virtual_time
async def test_one_timer_for_all() -> None:
    """However many are watched, the event loop has one timer for them, and none after the last."""
    loop = asyncio.get_running_loop()
    before = len(loop._scheduled)  # type: ignore[attr-defined] # nothing public tells
    deadlines = Deadlines(loop, 10.0)
    watched = [Watched() for _ in range(100)]
    for one in watched:
        deadlines.start(one, asyncio.get_running_loop().time())
    assert before + 1 == len(loop._scheduled)  # type: ignore[attr-defined]
    for one in watched:
        deadlines.stop(one)
    deadlines.stop(watched[0])
    timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    assert before == len(timers)
    assert deadlines._timer is None


@pytest.mark.virtual_time
async def test_who_ends_another(caplog: pytest.LogCaptureFixture) -> None:
    """What is stopped because another's time is up at the same moment is not told."""
    deadlines = Deadlines(asyncio.get_running_loop(), 10.0)
    second = Watched()

    class First(Watched):
        def expire(self) -> None:
            super().expire()
            deadlines.stop(second)

    first = First()
    deadlines.start(first, 0.0)
    deadlines.start(second, 0.0)
    await asyncio.sleep(20.0)

    assert (1, []) == (len(first.expired), second.expired)
    assert [] == caplog.records


def test_in_each_loop_its_own() -> None:
    """A client that is used in one event loop after the other keeps its deadline in each."""
    cloud = cfsso.CloudflareEmulator(seed=1, latency=20.0)
    account = cloud.add_account()
    connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud), deadline=10.0)

    async def late() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(cfsso.APITimeoutError):
            await connectors.list(account_id=account)
        return loop.time() - began

    assert [10.0, 10.0] == [run_in_virtual_time(late()) for _ in range(2)]
