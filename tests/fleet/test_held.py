"""A run that a rate limit holds up: nothing is written by what was known long before."""

import asyncio
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

    outcomes = [o async for o in apply(stack(transport), world.changes, concurrency=1)]

    assert [Status.CHANGED] * 3 + [Status.UNCHANGED] == [o.status for o in outcomes]
    assert ["GET", "PATCH", "PATCH", "GET", "PATCH", "GET"] == transport.seen
    assert [1, 1, 1, 0] == [outcome.attempts for outcome in outcomes]


async def test_a_write_that_a_429_refused_is_judged_anew() -> None:
    """What was surely refused may be given up while its time is waited for."""
    world = World.of("verified")
    refusals = [BLOCK]
    transport = Through(world.cloud, lambda r: refusals.pop() if r.is_write and refusals else None)
    asyncio.get_running_loop().call_later(50, patch, world, 0, b'{"enabled":true}')

    (outcome,) = [o async for o in apply(stack(transport), world.changes)]

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

    (outcome,) = [o async for o in apply(stack(Lossy(world.cloud)), world.changes)]

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

    run = apply(stack(Timed(world.cloud)), world.changes, concurrency=1)
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

    run = apply(stack(transport), world.changes, journal=tmp_path / "j", stop=stop, concurrency=1)
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

    outcomes = [o async for o in apply(connectors, world.changes, concurrency=1)]

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
        return [o async for o in apply(stack(Through(world.cloud)), world.changes, concurrency=1)]

    task = asyncio.create_task(take())
    await asyncio.sleep(50)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert {asyncio.current_task()} == asyncio.all_tasks()
