"""A run that a rate limit holds up: nothing is written by what was known long before."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from worlds import Through, World

import cfsso
from cfsso.fleet import Outcome, apply, read_journal
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

LIMIT = cfsso.RateLimit(requests=3, seconds=100)
BLOCK = cfsso.Response(
    429, {"retry-after": "100"}, b'{"success":false,"errors":[{"code":971,"message":"slow"}]}'
)


def stack(transport: Through) -> cfsso.AsyncSSOConnectors:
    """Return connectors that pace and retry above *transport*."""
    paced = cfsso.PacingTransport(transport, rate_limit=LIMIT, credential=lambda account: account)
    return cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced), deadline=120.0)


def patch(world: World, number: int, body: bytes) -> None:
    """Be somebody else, who writes the connector of a change."""
    change = world.changes[number]
    path = f"/accounts/{change.account_id}/sso_connectors/{change.sso_connector_id}"
    assert 200 == world.cloud.handle(cfsso.Request("PATCH", path, body)).status


async def test_what_the_limit_held_up_is_read_again() -> None:
    """A write that had to wait goes by a new read, and not at all if somebody was faster."""
    world = World.of("verified", "verified", "verified", "verified")
    transport = Through(world.cloud)
    asyncio.get_running_loop().call_later(50, patch, world, 3, b'{"enabled":true}')

    outcomes = [o async for o in apply(stack(transport), world.changes, concurrency=1, canary=0)]

    assert [Status.CHANGED] * 3 + [Status.UNCHANGED] == [o.status for o in outcomes]
    assert ["GET", "PATCH", "PATCH", "GET", "PATCH", "GET"] == transport.seen
    assert [1, 1, 1, 0] == [outcome.attempts for outcome in outcomes]


async def test_a_write_that_a_429_refused_is_judged_anew() -> None:
    """What was surely refused may be given up while its time is waited for."""
    world = World.of("verified")
    refusals = [BLOCK]
    transport = Through(world.cloud, lambda r: refusals.pop() if r.is_write and refusals else None)
    asyncio.get_running_loop().call_later(50, patch, world, 0, b'{"enabled":true}')

    (outcome,) = [o async for o in apply(stack(transport), world.changes, canary=0)]

    assert (Status.UNCHANGED, 1) == (outcome.status, outcome.attempts)
    assert ["GET", "PATCH", "GET"] == transport.seen


async def test_a_doubt_is_not_given_up() -> None:
    """A write in doubt is settled, however long the limit holds up its reads."""
    world = World.of("verified")
    lost = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
    sent = 0

    class Lossy(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            nonlocal sent
            answer = await super().send(request)
            sent += 1
            if request.is_write:
                raise lost
            return BLOCK if sent == 3 else answer

    (outcome,) = [o async for o in apply(stack(Lossy(world.cloud)), world.changes, canary=0)]

    assert (Status.CHANGED, 1) == (outcome.status, outcome.attempts)


async def test_what_is_held_up_lets_others_go() -> None:
    """An account that waits for its limit does not keep others from going on."""
    world = World.of("verified", "verified", "verified", accounts=3)
    times: dict[str, list[float]] = {}

    class Timed(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            now = asyncio.get_running_loop().time()
            times.setdefault(request.account_id, []).append(now)
            return await super().send(request)

    run = apply(stack(Timed(world.cloud)), world.changes, concurrency=1, canary=0)
    outcomes = [outcome async for outcome in run]

    assert {Status.CHANGED} == {outcome.status for outcome in outcomes}
    # A list and two writes each at once; then all wait for the same time.
    assert [3, 3, 3] == [sum(when < 1 for when in each) for each in times.values()]
    assert asyncio.get_running_loop().time() < 210


async def test_a_stop_ends_the_wait_at_once(tmp_path: Path) -> None:
    """What is held up was not sent, so nobody waits for it; its intent is taken back."""
    world = World.of("verified", "verified", "verified")
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(50, stop.set)
    transport = Through(world.cloud)

    run = apply(
        stack(transport), world.changes, journal=tmp_path / "j", stop=stop, concurrency=1, canary=0
    )
    outcomes = [outcome async for outcome in run]

    # The read of what was written takes the place that comes free after 100 seconds,
    # which is longer than a stop waits.
    assert [Status.UNKNOWN, Status.UNKNOWN, Status.NOT_ATTEMPTED] == [o.status for o in outcomes]
    assert 80.0 == asyncio.get_running_loop().time()
    async with await read_journal(tmp_path / "j") as journal:
        intended = [recorded.intended is None async for recorded in journal.targets()]
    assert [False, False, True] == intended


async def test_whoever_watches_sees_the_wait() -> None:
    """The wait is told with its time, and not followed by an end of the call."""
    world = World.of("verified", "verified", "verified")
    seen: list[cfsso.Event] = []
    connectors = stack(Through(world.cloud)).with_options(on_event=seen.append)

    outcomes = [o async for o in apply(connectors, world.changes, concurrency=1, canary=0)]

    assert 3 == len(outcomes)
    waits = [n for n, event in enumerate(seen) if event.kind is cfsso.EventKind.WAIT]
    assert ["rate limit"] * len(waits) == [seen[n].reason for n in waits]
    assert 99.0 < seen[waits[0]].seconds <= 100.0
    assert "update" == seen[waits[0]].operation
    after = seen[waits[0] + 1]
    assert (cfsso.EventKind.END, "update") != (after.kind, after.operation)


async def test_being_cancelled_while_held_up_passes() -> None:
    """Cancelling the run while it waits for a limit ends it."""
    world = World.of("verified", "verified", "verified")

    async def take() -> list[Outcome]:
        return [
            o
            async for o in apply(
                stack(Through(world.cloud)), world.changes, concurrency=1, canary=0
            )
        ]

    task = asyncio.create_task(take())
    await asyncio.sleep(50)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert {asyncio.current_task()} == asyncio.all_tasks()


class Late(Through):
    """A transport whose first PATCH takes ten seconds, in which something may *happen*."""

    def __init__(self, world: World, happen: Callable[[], None] = lambda: None) -> None:
        super().__init__(world.cloud)
        self._happen = happen

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*."""
        if request.is_write and "PATCH" not in self.seen:
            await asyncio.sleep(10)
            self._happen()
        return await super().send(request)


async def test_a_place_that_was_long_in_coming() -> None:
    """A write that waited for others is preceded by a read of its own."""
    world = World.of("verified", "verified")
    transport = Late(world)
    connectors = cfsso.AsyncSSOConnectors(transport)

    outcomes = [o async for o in apply(connectors, world.changes, concurrency=1, canary=0)]

    assert [Status.CHANGED] * 2 == [outcome.status for outcome in outcomes]
    assert ["GET", "PATCH", "GET", "PATCH", "GET"] == transport.seen


@pytest.mark.parametrize(
    ("body", "status", "written"),
    [
        (b'{"enabled":true}', Status.UNCHANGED, 1),
        (b'{"use_fedramp_language":true}', Status.CHANGED, 2),
    ],
)
async def test_what_happened_while_it_waited_for_a_place(
    body: bytes, status: Status, written: int, tmp_path: Path
) -> None:
    """It is judged anew, and what was found then is what the journal has."""
    world = World.of("verified", "verified")

    def happen() -> None:
        """Be faster."""
        world.cloud.advance(1)
        patch(world, 1, body)

    connectors = cfsso.AsyncSSOConnectors(transport := Late(world, happen))
    run = apply(connectors, world.changes, journal=tmp_path / "j", concurrency=1, canary=0)

    outcomes = [outcome async for outcome in run]

    assert status is outcomes[1].status
    assert written == transport.seen.count("PATCH")
    assert outcomes[1].before is not None
    assert (status is Status.CHANGED) is (not outcomes[1].before.enabled)
    async with await read_journal(tmp_path / "j") as journal:
        intended = [recorded.intended is not None async for recorded in journal.targets()]
    assert [True, written == 2] == intended


async def test_a_limit_that_holds_up_the_read_before_a_write() -> None:
    """However few requests the limit leaves, a run comes to its end."""
    world = World.of("verified", "verified")
    transport = Late(world)
    limit = cfsso.RateLimit(requests=2, seconds=100)
    paced = cfsso.PacingTransport(transport, rate_limit=limit)
    connectors = cfsso.AsyncSSOConnectors(paced)

    outcomes = [o async for o in apply(connectors, world.changes, concurrency=1, canary=0)]

    assert [Status.CHANGED] * 2 == [outcome.status for outcome in outcomes]
    assert ["GET", "PATCH"] == transport.seen[:2]
    assert ["GET", "PATCH", "GET"] == transport.seen[-3:]
    assert 2 == transport.seen.count("PATCH")
    assert asyncio.get_running_loop().time() < 600


async def test_a_short_wait_and_a_slow_answer() -> None:
    """What was sent after a short wait is not given up for the time that its answer takes."""
    world = World.of("verified")

    class Slow(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            await asyncio.sleep(3 if request.is_write else 0)
            return await super().send(request)

    transport = Slow(world.cloud)
    paced = cfsso.PacingTransport(transport, rate_limit=cfsso.RateLimit(requests=1, seconds=0.5))

    (outcome,) = [o async for o in apply(cfsso.AsyncSSOConnectors(paced), world.changes, canary=0)]

    assert (Status.CHANGED, 1) == (outcome.status, outcome.attempts)
    assert ["GET", "PATCH", "GET"] == transport.seen


async def test_a_stop_while_single_reads_wait() -> None:
    """Reads of what a list lacks are given up as well, and none is left under way."""
    world = World.of("verified", "verified", "verified")
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(50, stop.set)
    empty = cfsso.Response(200, {}, b'{"success":true,"result":[]}')
    transport = Through(world.cloud, lambda r: empty if r.path.endswith("connectors") else None)
    paced = cfsso.PacingTransport(transport, rate_limit=cfsso.RateLimit(requests=2, seconds=100))

    run = apply(cfsso.AsyncSSOConnectors(paced), world.changes, stop=stop, canary=0)
    outcomes = [outcome async for outcome in run]

    assert [Status.NOT_ATTEMPTED] * 3 == [outcome.status for outcome in outcomes]
    assert 50.0 == asyncio.get_running_loop().time()
    assert {asyncio.current_task()} == asyncio.all_tasks()


class Swallowing:
    """A way whose waits take no notice of a cancellation, and then do what they were to do."""

    def __init__(self, inner: cfsso.Transport, *, times: int) -> None:
        self._inner = inner
        self._times = times
        self.swallowed = 0

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*, again if that was cancelled."""
        while True:
            try:
                return await self._inner.send(request)
            except asyncio.CancelledError:
                if self.swallowed >= self._times:
                    raise
                self.swallowed += 1

    async def aclose(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize("times", [1, 3, 10_000])
async def test_a_cancellation_that_is_swallowed_ends_nothing(times: int) -> None:
    """What goes on although it was given up has its result, and the run goes on."""
    world = World.of("verified", "verified", accounts=6)
    limit = cfsso.RateLimit(requests=4, seconds=100)
    paced = cfsso.PacingTransport(Through(world.cloud), rate_limit=limit)
    transport = Swallowing(paced, times=times)
    connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(transport))

    outcomes = [outcome async for outcome in apply(connectors, world.changes, canary=0)]

    assert [Status.CHANGED] * 12 == [outcome.status for outcome in outcomes]
    assert transport.swallowed
    assert {asyncio.current_task()} == asyncio.all_tasks()


@pytest.mark.parametrize("failing", [False, True])
async def test_a_credential_that_swallows_a_cancellation(failing: bool) -> None:  # noqa: FBT001
    """So does what is asked for the credential, as by `asyncio.wait_for` before Python 3.12."""
    world = World.of("verified", accounts=12)

    async def credential(_account_id: str) -> str:
        """Take two seconds, whatever happens."""
        for _ in range(2):
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                if failing:
                    raise ValueError from None
        return "token"

    limit = cfsso.RateLimit(requests=5, seconds=1.2)
    paced = cfsso.PacingTransport(Through(world.cloud), rate_limit=limit, credential=credential)
    connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced))

    run = apply(connectors, world.changes, canary=0)
    statuses = {outcome.status async for outcome in run}

    assert {Status.CHANGED} == statuses if not failing else Status.CHANGED in statuses
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_being_cancelled_by_others_while_one_is_swallowed() -> None:
    """A run that is cancelled by its caller ends, whoever swallows what."""
    world = World.of("verified", "verified", accounts=3)
    paced = cfsso.PacingTransport(
        Through(world.cloud), rate_limit=cfsso.RateLimit(requests=3, seconds=100)
    )
    connectors = cfsso.AsyncSSOConnectors(Swallowing(paced, times=4))

    async def take() -> None:
        """Take all outcomes."""
        async for _ in apply(connectors, world.changes, canary=0):
            pass

    task = asyncio.create_task(take())
    await asyncio.sleep(50)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert {asyncio.current_task()} == asyncio.all_tasks()
