"""Event loops in several threads get in each other's way nowhere."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Generator

import attrs
import pytest
from scripted import Scripted

import cfsso
from cfsso.emulator.http import serving
from cfsso.testing import run_in_virtual_time

THREADS = 4
TOGGLES = 2500
# Enough that nobody has to wait.
LIMIT = cfsso.RateLimit(requests=1_000_000, seconds=1.0)


def in_threads(work: Callable[[int], object], count: int = THREADS) -> None:
    """
    Do *work* in so many threads that begin at once; raise what the first of them raised.

    They take turns as often as they can.
    """
    before = sys.getswitchinterval()
    # Not before all have begun: what measures coverage is set up in each.
    begin = threading.Barrier(count, lambda: sys.setswitchinterval(1e-6))
    errors: list[BaseException] = []

    def run(number: int) -> None:
        begin.wait(30)
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    if errors:
        raise errors[0]


@attrs.define
class Cloud:
    """An emulator with a connector for each thread."""

    emulator: cfsso.CloudflareEmulator
    account: str
    keys: list[str]

    @classmethod
    def new(cls) -> "Cloud":
        """Return one without a limit."""
        emulator = cfsso.CloudflareEmulator(rate_limit=None, log=0)
        account = emulator.add_account()
        added = [
            emulator.add_connector(account, email_domain=f"d{n}.example", status="verified")
            for n in range(THREADS)
        ]
        return cls(emulator, account, [str(each.id) for each in added])

    async def toggle(
        self, connectors: cfsso.AsyncSSOConnectors, number: int, count: int = TOGGLES
    ) -> None:
        """Toggle the connector of a thread, and see that it is so."""
        key = self.keys[number]
        for turn in range(count):
            enabled = turn % 2 == 0
            shown = await connectors.update(key, account_id=self.account, enabled=enabled)
            assert (key, enabled) == (shown.id, shown.enabled)


def client(cloud: Cloud, limit: cfsso.RateLimit | None) -> cfsso.AsyncSSOConnectors:
    """Return a client of a cloud in memory; all of them have one credential."""
    wire = cfsso.InMemoryTransport(cloud.emulator)
    paced = cfsso.PacingTransport(wire, rate_limit=limit, credential=lambda _account: "threads")
    return cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced), deadline=60.0)


@pytest.fixture
def served() -> Generator[tuple[Cloud, str]]:
    """Serve a cloud from a thread of its own."""
    cloud, urls, begun = Cloud.new(), list[str](), threading.Event()
    stops: list[Callable[[], object]] = []

    async def stay() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        stops.append(lambda: loop.call_soon_threadsafe(ended.set))
        async with serving(cloud.emulator) as url:
            urls.append(url)
            begun.set()
            await ended.wait()

    server = threading.Thread(target=lambda: asyncio.run(stay()))
    server.start()
    assert begun.wait(30)
    yield cloud, urls[0]
    stops[0]()
    server.join()


@pytest.mark.parametrize(("limit", "count"), [(None, TOGGLES), (LIMIT, 100)])
def test_a_loop_and_a_client_for_each_thread(limit: cfsso.RateLimit | None, count: int) -> None:
    """Ten thousand toggles of four threads over one emulator all succeed."""
    cloud = Cloud.new()

    async def work(number: int) -> None:
        async with client(cloud, limit) as connectors:
            await cloud.toggle(connectors, number, count)

    in_threads(lambda number: asyncio.run(work(number)))


def test_a_loop_for_each_call_in_threads() -> None:
    """Loops that come and go in four threads do not disturb each other."""
    cloud = Cloud.new()
    # Whoever keeps clients keeps loops that are closed.
    clients: list[cfsso.AsyncSSOConnectors] = []

    async def work(number: int) -> None:
        async with client(cloud, LIMIT) as connectors:
            clients.append(connectors)
            await cloud.toggle(connectors, number, 1)

    def many(number: int) -> None:
        for _ in range(TOGGLES // 4):
            asyncio.run(work(number))

    in_threads(many)


@pytest.mark.parametrize(("limit", "count"), [(None, 500), (LIMIT, 100)])
def test_one_client_for_all_threads(limit: cfsso.RateLimit | None, count: int) -> None:
    """Four threads, each with its own loop, may share a client whose transport allows it."""
    cloud = Cloud.new()
    connectors = client(cloud, limit)

    in_threads(lambda number: asyncio.run(cloud.toggle(connectors, number, count)))


def test_looks_that_settle_wait_for_a_budget_of_their_own_loop() -> None:
    """Threads that share a transport may all wait for its budget; each wait ends in its loop."""
    cloud = Cloud.new()
    lost = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
    connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(Scripted(lost)), deadline=3600.0)

    async def work(number: int) -> None:
        key = cloud.keys[number]
        for _ in range(50):
            with pytest.raises(cfsso.UnconfirmedWriteError):
                await connectors.update(key, account_id=cloud.account, enabled=True)

    in_threads(lambda number: run_in_virtual_time(work(number)))


def test_over_http_with_one_token(served: tuple[Cloud, str]) -> None:
    """Four clients of one base URL and one token share what they count, and nothing breaks."""
    cloud, url = served

    async def work(number: int) -> None:
        async with cfsso.connect(api_token="one", base_url=url, rate_limit=LIMIT) as connectors:
            await cloud.toggle(connectors, number, TOGGLES // 20)

    in_threads(lambda number: asyncio.run(work(number)))


def test_a_connection_belongs_to_one_loop(served: tuple[Cloud, str]) -> None:
    """Of four threads that share a client over HTTP one works, and the others are told why not."""
    cloud, url = served
    connectors = cfsso.connect(api_token="one", base_url=url, rate_limit=LIMIT)
    went_on, ended = threading.Barrier(THREADS), list[str]()

    async def work(number: int) -> None:
        try:
            await cloud.toggle(connectors, number, 5)
            ended.append("it worked")
        except cfsso.InvalidRequestError as error:
            ended.append(str(error))
        went_on.wait(30)
        if ended[-1] == "it worked":
            await connectors.aclose()

    in_threads(lambda number: asyncio.run(work(number)))

    assert 1 == ended.count("it worked")
    assert 3 == sum("the transport belongs to another event loop" in text for text in ended)


class Meddled(asyncio.SelectorEventLoop):
    """A loop that does something when somebody asks whether it is closed."""

    meddle: Callable[[], object] | None = None

    def is_closed(self) -> bool:
        """Say whether it is, after what is to be done first."""
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        return super().is_closed()


def test_a_loop_that_begins_while_others_are_looked_through() -> None:
    """A loop in another thread may begin at any moment of the first request of this one."""
    cloud = Cloud.new()
    request = cfsso.Request("GET", f"/accounts/{cloud.account}/sso_connectors")
    answers: list[int] = []

    async def ask() -> None:
        paced = cfsso.PacingTransport(cfsso.InMemoryTransport(cloud.emulator))
        answers.append((await paced.send(request)).status)

    other = threading.Thread(target=lambda: asyncio.run(ask()))

    def begin() -> None:
        other.start()
        # It may have to wait until this one has found its own.
        other.join(0.3)

    with contextlib.closing(Meddled()) as first:
        first.run_until_complete(ask())
        first.meddle = begin
        asyncio.run(ask())
        other.join(30)

    assert [200] * 3 == answers
