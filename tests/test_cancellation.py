"""A cancellation passes at every point where a call can be suspended, and leaves nothing."""

import asyncio
import gc
import itertools
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import attrs
import pytest

import cfsso
from cfsso.emulator.http import serving
from cfsso.testing import run_in_virtual_time
from cfsso.transports import pacing

LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
NOT_SENT = cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT)
LIMIT = cfsso.RateLimit(requests=2, seconds=10.0)

Fate = cfsso.APIConnectionError | str


class Faulty:
    """A transport to an emulator where each write meets the next fate."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, fates: list[Fate]) -> None:
        self._inner = cfsso.InMemoryTransport(cloud)
        self._fates = iter(fates)
        self.under_way = 0

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*; a write may be lost before or after that."""
        fate = next(self._fates, "") if request.is_write else ""
        self.under_way += 1
        try:
            if isinstance(fate, Exception):
                await asyncio.sleep(0.01)
                raise fate
            response = await self._inner.send(request)
        finally:
            self.under_way -= 1
        if fate == "lose the answer":
            raise LOST
        return response

    async def aclose(self) -> None:
        """Hold nothing."""


@attrs.define
class World:
    """Callers of one credential over the whole stack, in virtual time."""

    cloud: cfsso.CloudflareEmulator
    account: str
    seeded: list[cfsso.SSOConnector]
    bottom: Faulty
    paced: cfsso.PacingTransport
    connectors: cfsso.AsyncSSOConnectors

    @classmethod
    def of(cls, fates: list[Fate], rate_limit: cfsso.RateLimit | None) -> "World":
        """Make one whose server has no limit but the client's."""
        cloud = cfsso.CloudflareEmulator(seed=1, rate_limit=rate_limit, latency=0.05)
        account = cloud.add_account()
        seeded = [
            cloud.add_connector(account, email_domain=f"d{n}.example", status="verified")
            for n in range(4)
        ]
        bottom = Faulty(cloud, fates)
        paced = cfsso.PacingTransport(bottom, rate_limit=rate_limit, timeout=1.0)
        connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced), deadline=300.0)
        return cls(cloud, account, seeded, bottom, paced, connectors)

    async def toggle(self, number: int) -> cfsso.SSOConnector:
        """Enable one of the connectors."""
        before = self.seeded[number]
        return await self.connectors.update(
            before.id, account_id=self.account, enabled=True, before=before
        )

    async def check(self) -> None:
        """See that nobody holds anything, and that a further call goes through."""
        assert 0 == self.bottom.under_way
        lanes = pacing._lanes(asyncio.get_running_loop())
        windows = [lanes.address.window, *(lane.window for lane in lanes._by_key.values())]
        retrying: Any = self.connectors._transport
        windows.append(retrying._budget._window)
        assert [0] * len(windows) == [window.under_way for window in windows]
        assert [0] * len(windows) == [window.waiting for window in windows]
        assert {asyncio.current_task()} == asyncio.all_tasks()
        assert (await self.toggle(3)).enabled


class Steps:
    """Drives a coroutine, counts where it is suspended, and cancels it at one of these points."""

    def __init__(self, at: int | None = None, *, late: bool = False) -> None:
        self.count = 0
        self._at = at
        self._late = late

    @types.coroutine
    def drive(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Be *work*, but cancelled at that point: at once, or as what it waits for is there."""
        task = asyncio.current_task()
        assert task is not None
        go_on: Callable[[Any], Any] = work.send
        value: Any = None
        while True:
            try:
                waits_for = go_on(value)
            except StopIteration as end:
                return end.value
            self.count += 1
            if self.count == self._at:
                if self._late and waits_for is not None:
                    # The future's callbacks run in order, and this one is the first.
                    waits_for.add_done_callback(lambda _future: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
            try:
                go_on, value = work.send, (yield waits_for)
            except BaseException as error:  # noqa: BLE001 - the work's own matter
                go_on, value = work.throw, error


async def driven(steps: Steps, work: Coroutine[Any, Any, Any]) -> Any:
    """Await *work* step by step."""
    return await steps.drive(work)


SCENES: dict[str, tuple[list[Fate], cfsso.RateLimit | None]] = {
    "update": ([], None),
    "settle, applied": (["lose the answer"], None),
    "settle, sent again": ([LOST], None),
    "settle, sent again and lost": ([LOST, LOST, LOST], None),
    "retry": ([NOT_SENT, NOT_SENT], None),
    "pacing": ([], cfsso.RateLimit(requests=1, seconds=10.0)),
    "pacing and settling": (["lose the answer", LOST], LIMIT),
    "the address": ([], cfsso.RateLimit()),
}


@pytest.fixture(autouse=True)
def narrow_address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one request a second leave the address in the scene that is about it."""
    if "the address" in request.node.name:
        monkeypatch.setattr(pacing, "ADDRESS_LIMIT", cfsso.RateLimit(requests=1, seconds=1.0))


CASES = [
    pytest.param(scene, late, id=f"{scene}, {'as it goes on' if late else 'as it waits'}")
    for scene, late in itertools.product(SCENES, [False, True])
]


def points(scene: str) -> list[int]:
    """Return how many points of suspension each of two callers has, besides a third."""
    counted = Steps(), Steps()

    async def main() -> None:
        world = World.of(*SCENES[scene])
        jobs = [driven(steps, world.toggle(n)) for n, steps in enumerate(counted)]
        await asyncio.gather(*jobs, world.toggle(2), return_exceptions=True)

    run_in_virtual_time(main())
    assert all(steps.count for steps in counted)
    return [steps.count for steps in counted]


async def cancelled_at(scene: str, *, late: bool, places: tuple[int, ...]) -> None:
    """Cancel some callers, each at one of its points, and see that only they notice."""
    world = World.of(*SCENES[scene])
    all_steps = [Steps(at, late=late) for at in places]
    tasks = [
        asyncio.ensure_future(driven(steps, world.toggle(number)))
        for number, steps in enumerate(all_steps)
    ]
    others = [asyncio.ensure_future(world.toggle(n)) for n in range(len(places), 3)]
    await asyncio.wait([*tasks, *others])
    # One that left may have spared another a wait, and so the point it was meant to leave at.
    reached = [steps.count >= at for steps, at in zip(all_steps, places, strict=True)]
    assert reached[0]
    assert reached == [task.cancelled() for task in tasks]
    for other in others:
        # It may have met the fate that was meant for the one that left.
        assert isinstance(other.exception(), cfsso.UnconfirmedWriteError | None)
    await world.check()


@pytest.mark.parametrize(("scene", "late"), CASES)
def test_one_caller_of_three(scene: str, late: bool) -> None:  # noqa: FBT001
    """Wherever a call is cancelled, it ends so, the others do not notice, and nothing leaks."""
    count = points(scene)[0]
    for at in range(1, count + 1):
        run_in_virtual_time(cancelled_at(scene, late=late, places=(at,)))


@pytest.mark.parametrize(("scene", "late"), CASES)
def test_two_callers_of_three(scene: str, late: bool) -> None:  # noqa: FBT001
    """Wherever two calls are cancelled that wait for each other, nothing is swallowed or leaks."""
    first, second = points(scene)
    for places in itertools.product(range(1, first + 1), range(1, second + 1)):
        run_in_virtual_time(cancelled_at(scene, late=late, places=places))


@pytest.mark.parametrize("late", [False, True], ids=["as it waits", "as it goes on"])
async def test_an_update_over_http(late: bool) -> None:  # noqa: FBT001
    """Wherever an update over HTTP is cancelled, no place and no connection stays taken."""
    cloud = cfsso.CloudflareEmulator(seed=1)
    account = cloud.add_account()
    key = cloud.add_connector(account, email_domain="d.example", status="verified").id
    async with (
        serving(cloud) as base_url,
        cfsso.connect(api_token="token", base_url=base_url) as connectors,
    ):
        wire: Any = connectors._transport
        wire = wire._inner._inner
        for at in itertools.count(1):
            steps = Steps(at, late=late)
            work = connectors.update(key, account_id=account, enabled=at % 2 == 0)
            task = asyncio.ensure_future(driven(steps, work))
            await asyncio.wait([task])
            if steps.count < at:
                break
            assert task.cancelled()
            assert wire._places is not None
            assert 0 == wire._places.under_way
            assert not wire._session or not wire._session.connector._acquired
        assert at > 3
        assert (await connectors.get(key, account_id=account)).enabled is (at % 2 == 0)


@pytest.mark.parametrize("late", [False, True], ids=["as it waits", "as it goes on"])
async def test_closing_over_http(late: bool) -> None:  # noqa: FBT001
    """Wherever closing is cancelled while a call is under way, closing again does the rest."""
    cloud = cfsso.CloudflareEmulator(seed=1, latency=0.005)
    account = cloud.add_account()
    async with serving(cloud) as base_url:
        for at in itertools.count(1):
            connectors = cfsso.connect(api_token="token", base_url=base_url)
            listing = asyncio.ensure_future(connectors.list(account_id=account))
            while not cloud.requests:  # noqa: ASYNC110 - an emulator has no event to wait for
                await asyncio.sleep(0)
            cloud.requests.clear()
            steps = Steps(at, late=late)
            closing = asyncio.ensure_future(driven(steps, connectors.aclose()))
            await asyncio.wait([closing])
            assert steps.count < at or closing.cancelled()
            await connectors.aclose()
            await asyncio.wait([listing])
            assert isinstance(listing.exception(), cfsso.CfssoError | None)
            if steps.count < at:
                break
        gc.collect()
        assert at > 1
