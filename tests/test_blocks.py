"""A block of a credential holds for the process, whatever event loops come and go."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from scripted import ACCOUNT, CONNECTOR, Scripted, failure, shown, success

import cfsso
from cfsso.emulator.http import serving
from cfsso.testing import run_in_virtual_time
from cfsso.transports._blocks import Block, Blocks

BLOCKED = failure(429, retry_after="300")
List = Callable[[], Coroutine[Any, Any, tuple[cfsso.SSOConnector, ...]]]


class Way:
    """One way to a server whose answers are known, by any number of clients of a credential."""

    def __init__(self, *replies: cfsso.Response | Exception, max_wait: float | None = 0.0) -> None:
        self.inner = Scripted(*replies)
        self.max_wait = max_wait
        # A new one for each test.
        self._key = object()

    def client(self, **options: Any) -> cfsso.AsyncSSOConnectors:
        """Return a new client."""
        paced = cfsso.PacingTransport(self.inner, credential=lambda _account: self._key, **options)
        return cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced), max_wait=self.max_wait)

    async def list(self) -> tuple[cfsso.SSOConnector, ...]:
        """List by a new client."""
        return await self.client().list(account_id=ACCOUNT)

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return len(self.inner.requests)


def refused(work: Coroutine[Any, Any, object]) -> float:
    """Do *work* on a loop of its own, which the limit refuses; return the seconds to wait."""
    with pytest.raises(cfsso.RateLimitError) as caught:
        asyncio.run(work)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


@pytest.mark.parametrize("status", [429, 503])
def test_a_block_holds_in_loops_that_are_made_later(status: int) -> None:
    """What was refused on one loop is not sent on the next ones, and they say for how long."""
    way = Way(failure(status, retry_after="300"), success([]))
    refused(way.list())

    waits = [refused(way.list()) for _ in range(3)]

    assert all(295 < wait <= 300 for wait in waits)
    assert 1 == way.sent


async def test_over_http_nothing_more_reaches_the_server() -> None:
    """Clients of one base URL and one token, a loop for each call, ask the server no more."""
    cloud = cfsso.CloudflareEmulator(rate_limit=cfsso.RateLimit(requests=2, seconds=300.0))
    account = cloud.add_account()
    async with serving(cloud) as url:

        async def call() -> None:
            async with cfsso.connect(
                api_token="blocked", base_url=url, rate_limit=None, max_wait=0.0
            ) as connectors:
                await connectors.list(account_id=account)

        for _ in range(2):
            await asyncio.to_thread(asyncio.run, call())
        for _ in range(3):
            with pytest.raises(cfsso.RateLimitError):
                await asyncio.to_thread(asyncio.run, call())

    assert [200, 200, 429] == [entry.status for entry in cloud.requests]


def test_a_block_holds_in_loops_that_run_in_other_threads() -> None:
    """A loop that has sent before sends nothing once another one was refused."""
    way = Way(success([]), BLOCKED, success([]))
    before, after = threading.Event(), threading.Event()
    ended: list[str] = []

    async def other() -> None:
        client = way.client()
        await client.list(account_id=ACCOUNT)
        before.set()
        assert after.wait(30)
        try:
            await client.list(account_id=ACCOUNT)
        except cfsso.RateLimitError as error:
            ended.append(str(error))

    thread = threading.Thread(target=lambda: asyncio.run(other()))
    thread.start()
    assert before.wait(30)
    refused(way.list())
    after.set()
    thread.join()

    assert 2 == way.sent
    assert len(ended) == 1
    assert "nothing was sent, the rate limit asks to wait" in ended[0]


def test_what_waits_for_the_address_is_called_back() -> None:
    """Callers of one loop that have a place, but have not sent yet, heed a block of another."""
    way = Way(success([]), max_wait=60.0)

    async def many() -> list[Any]:
        client = way.client()
        calls = [asyncio.ensure_future(client.list(account_id=ACCOUNT)) for _ in range(250)]
        while way.sent < 190:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0)
        blocked = Way(BLOCKED)
        blocked._key = way._key
        await asyncio.to_thread(refused, blocked.list())
        return await asyncio.gather(*calls, return_exceptions=True)

    ended = asyncio.run(many())

    assert 190 == way.sent
    assert 60 == sum(isinstance(each, cfsso.RateLimitError) for each in ended)


def test_what_is_urgent_is_held_as_well() -> None:
    """A disable on a new loop waits for the same block."""
    way = Way(BLOCKED, success(shown(enabled=False)))
    refused(way.list())

    refused(way.client().update(CONNECTOR, account_id=ACCOUNT, enabled=False))

    assert 1 == way.sent


def test_whatever_limit_a_client_keeps_to_it_heeds_the_block() -> None:
    """Clients of one credential with other limits, or none, are held as well."""
    way = Way(BLOCKED, success([]))
    refused(way.list())

    for limit in (None, cfsso.RateLimit(requests=5, seconds=1.0)):
        refused(way.client(rate_limit=limit).list(account_id=ACCOUNT))

    assert 1 == way.sent


def test_other_credentials_go_on() -> None:
    """A block is of one credential."""
    refused(Way(BLOCKED).list())

    assert () == asyncio.run(Way(success([])).list())


def test_a_promise_of_more_than_an_hour_is_told() -> None:
    """A block of days is not waited for on a later loop either."""
    way = Way(failure(429, retry_after="100000"), success([]), max_wait=None)
    refused(way.list())

    assert 99_000 < refused(way.list()) <= 100_000
    assert 1 == way.sent


def later(monkeypatch: pytest.MonkeyPatch, *, wall: float = 0.0, monotonic: float = 0.0) -> None:
    """Put the clocks of the machine forward, or back."""
    for name, seconds in (("time", wall), ("monotonic", monotonic)):
        real = getattr(time, name)
        monkeypatch.setattr(time, name, lambda real=real, seconds=seconds: real() + seconds)


def test_a_block_ends_while_the_process_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that passes on the wall clock alone ends a block."""
    way = Way(BLOCKED, success([]))
    refused(way.list())
    later(monkeypatch, wall=301.0)

    assert () == asyncio.run(way.list())


def test_a_clock_that_is_set_back_does_not_prolong_a_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block lasts no longer than the server asked, whatever the wall clock shows."""
    way = Way(BLOCKED, success([]))
    refused(way.list())
    later(monkeypatch, wall=-86_400.0)
    assert refused(way.list()) <= 300
    later(monkeypatch, monotonic=301.0)

    assert () == asyncio.run(way.list())


def test_when_a_block_is_over_one_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a new loop one request shows whether the block is over; with it, the others go."""
    way = Way(BLOCKED, BLOCKED, *[success([])] * 20)
    refused(way.list())
    later(monkeypatch, wall=301.0)

    async def many() -> int:
        calls = await asyncio.gather(*(way.list() for _ in range(10)), return_exceptions=True)
        return sum(isinstance(each, cfsso.RateLimitError) for each in calls)

    assert 10 == asyncio.run(many())
    assert 2 == way.sent
    later(monkeypatch, wall=301.0)
    assert 0 == asyncio.run(many())
    assert 12 == way.sent


def test_once_somebody_got_through_nobody_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is made after a request got through lets all go at once."""
    gate = asyncio.Event()

    class Slow(Scripted):
        """Holds back its answers after the second one."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            """Give the next reply."""
            response = await super().send(request)
            if len(self.requests) > 2:
                await gate.wait()
            return response

    way = Way(BLOCKED, success([]))
    way.inner = Slow(BLOCKED, success([]))
    refused(way.list())
    later(monkeypatch, wall=301.0)
    asyncio.run(way.list())

    async def many() -> None:
        calls = [asyncio.ensure_future(way.list()) for _ in range(10)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert 12 == way.sent
        gate.set()
        await asyncio.gather(*calls)

    asyncio.run(many())


def test_virtual_time_is_a_world_of_its_own() -> None:
    """What is refused in virtual time holds nobody else, and nobody else holds what is virtual."""
    way = Way(BLOCKED, success([]), BLOCKED, success([]))
    with pytest.raises(cfsso.RateLimitError):
        run_in_virtual_time(way.list())
    assert () == run_in_virtual_time(way.list())

    refused(way.list())

    assert () == run_in_virtual_time(way.list())
    refused(way.list())


def test_a_loop_that_leaves_the_time_of_the_machine_tells_nothing() -> None:
    """What a loop is told whose clock was moved is no news for others."""

    class Moved(asyncio.SelectorEventLoop):
        """A loop whose clock can be moved."""

        ahead = 0.0

        def time(self) -> float:
            """Return the time as it is set."""
            return super().time() + self.ahead

    way = Way(success([]), BLOCKED, success([]))
    loop = Moved()

    async def work() -> None:
        await way.list()
        loop.ahead = 1000.0
        with pytest.raises(cfsso.RateLimitError):
            await way.list()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(work())

    assert () == asyncio.run(way.list())


def test_blocks_that_are_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many credentials were blocked, those of the last hour or so are kept."""
    blocks = Blocks()
    for number in range(1000):
        blocks.add(number, 300.0)
    assert 1000 == len(blocks)
    later(monkeypatch, wall=2 * 3600.0)
    for number in range(1000, 2100):
        blocks.add(number, 300.0)

    assert 1100 == len(blocks)
    assert blocks.find(999) is None
    later(monkeypatch, wall=2 * 3600.0)
    assert blocks.find(2099) is None
    assert 1099 == len(blocks)


def test_of_two_blocks_the_one_that_ends_last_counts() -> None:
    """A shorter block that is learnt later does not shorten one that is known."""
    blocks = Blocks()
    first = blocks.add("key", 300.0)

    assert isinstance(first, Block)
    assert blocks.add("key", 5.0) is None
    assert blocks.find("key") is first
    blocks.remove("key")
    assert blocks.find("key") is first
    assert 299 < first.left() <= 300
    assert blocks.add("key", 600.0) is not first
