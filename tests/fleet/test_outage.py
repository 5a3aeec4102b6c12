"""A server that does not answer burns no target: a run holds, goes on, or stops with the truth."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import attrs
import pytest
from worlds import Reply, Through, World

import cfsso
from cfsso.fleet import Change, Outcome, apply, read_journal, resume, revert
from cfsso.fleet import OutcomeStatus as Status
from cfsso.testing import (
    Fault,
    FaultyTransport,
    answer_with,
    lose_answer,
    lose_request,
    refuse_connection,
    time_out,
)

pytestmark = pytest.mark.virtual_time

FAULTS = [
    refuse_connection,
    lose_answer,
    lose_request,
    answer_with(503, applied=False),
    answer_with(502, applied=True),
]
AWAY = cfsso.APIConnectionError("connection refused", write=cfsso.WriteState.NOT_SENT)


@attrs.define
class Stack:
    """The standard way to a world, on which things may go wrong, and what was seen there."""

    world: World
    faulty: FaultyTransport
    connectors: cfsso.AsyncSSOConnectors
    events: list[cfsso.Event]

    @classmethod
    def of(cls, world: World) -> "Stack":
        """Put the usual transports above a faulty one."""
        world.cloud.latency = 0.05
        faulty = FaultyTransport(cfsso.InMemoryTransport(world.cloud), seed=1)
        events: list[cfsso.Event] = []
        connectors = cfsso.AsyncSSOConnectors(
            cfsso.RetryingTransport(cfsso.PacingTransport(faulty)),
            deadline=120.0,
            on_event=events.append,
        )
        return cls(world, faulty, connectors, events)

    def fail(self, fault: Fault, begin: float, seconds: float = 1e9) -> None:
        """Let *fault* befall all that is sent for so long."""
        loop = asyncio.get_running_loop()
        loop.call_at(begin, lambda: self.faulty.on(fault, times=None))
        loop.call_at(begin + seconds, self.faulty.heal)

    @property
    def holds(self) -> list[tuple[float, float]]:
        """For how long there was no answer at each pause, and how long it is to be."""
        held = [event for event in self.events if event.reason == "outage"]
        assert {"apply"} >= {event.operation for event in held}
        assert {""} >= {event.account_id for event in held}
        return [(round(event.waited, 1), event.seconds) for event in held]


async def all_of(world: World, run: AsyncGenerator[Outcome]) -> Counter[Status]:
    """Return how many targets ended how, each of which has one outcome."""
    outcomes = [outcome async for outcome in run]
    assert len(world.changes) == len(outcomes)
    assert len(world.changes) == len({outcome.change for outcome in outcomes})
    return Counter(outcome.status for outcome in outcomes)


@pytest.mark.parametrize("seed", range(20))
async def test_an_outage_at_any_moment(seed: int, tmp_path: Path) -> None:
    """Once the server is back a resume ends with everything changed, and nothing has failed."""
    world = World.of("verified", "verified", accounts=60)
    stack = Stack.of(world)
    chance = random.Random(seed)  # noqa: S311 - chance in a test
    begin, seconds = chance.uniform(0, 1.4), chance.choice([5, 45]) * chance.uniform(1, 13)
    stack.fail(chance.choice(FAULTS), begin, seconds)

    found = await all_of(world, apply(stack.connectors, world.changes, journal=tmp_path / "j"))

    # A write in doubt may be settled until the deadline of its call.
    assert asyncio.get_running_loop().time() < begin + (46 if seconds > 45 else 130)
    while found != {Status.CHANGED: 120}:
        assert {Status.CHANGED, Status.UNKNOWN, Status.NOT_ATTEMPTED} >= set(found)
        assert asyncio.get_running_loop().time() < begin + seconds + 130
        found = await all_of(world, resume(stack.connectors, tmp_path / "j"))
    async with await read_journal(tmp_path / "j") as journal:
        assert journal.latest.ended is not None
        recorded = [each.outcome.status async for each in journal.targets()]
    assert [Status.CHANGED] * 120 == recorded


async def test_a_server_that_is_away_from_the_beginning(tmp_path: Path) -> None:
    """The run stops after 45 seconds, has sent little, and leaves all open with the reason."""
    world = World.of("verified", accounts=300)
    stack = Stack.of(world)
    stack.fail(refuse_connection, 0.0)

    run = apply(stack.connectors, world.changes, journal=tmp_path / "j")
    outcomes = [outcome async for outcome in run]

    assert [Status.NOT_ATTEMPTED] * 300 == [outcome.status for outcome in outcomes]
    (note,) = {outcome.note for outcome in outcomes}
    assert note.startswith("no answer from the API for 45 s: GET /accounts/")
    assert note.endswith("/sso_connectors: connection refused")
    assert 45.0 == asyncio.get_running_loop().time()
    assert [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0] == [pause for _, pause in stack.holds]
    assert [0.0, 1.0, 3.0, 7.0] == [silence for silence, _ in stack.holds][:4]
    # The first ones of all that were under way, and then one at a time.
    assert stack.faulty.requests <= 3 + 8
    async with await read_journal(tmp_path / "j") as journal:
        assert {note} == {recorded.outcome.note async for recorded in journal.targets()}
        assert journal.latest.ended is None
    stack.faulty.heal()
    again = await all_of(world, resume(stack.connectors, tmp_path / "j"))
    assert {Status.CHANGED: 300} == again


async def test_a_short_outage_is_no_failure() -> None:
    """What was held up is tried again, and counts for nothing, not even for max_failures."""
    world = World.of("verified", "verified", accounts=10)
    stack = Stack.of(world)
    stack.fail(refuse_connection, 0.31, 20.0)

    run = apply(stack.connectors, world.changes, max_failures=0, canary=0)

    assert {Status.CHANGED: 20} == await all_of(world, run)
    assert 20.0 < asyncio.get_running_loop().time() < 36.0
    assert stack.holds


@pytest.mark.parametrize("concurrency", [1, 3, 32])
async def test_one_account_that_alone_fails_is_no_outage(concurrency: int) -> None:
    """Its targets are not attempted, with their error, and the others go on."""
    world = World.of("verified", "verified", accounts=12)
    bad = world.changes[4].account_id
    world.cloud.latency = 0.05
    transport = Through(
        world.cloud,
        lambda r: cfsso.Response(500, {}, b"{}") if r.account_id == bad else None,
    )
    connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(transport), deadline=120.0)

    run = apply(connectors, world.changes, concurrency=concurrency)
    outcomes = [outcome async for outcome in run]

    assert {Status.CHANGED: 22, Status.NOT_ATTEMPTED: 2} == Counter(o.status for o in outcomes)
    left = [outcome for outcome in outcomes if outcome.status is Status.NOT_ATTEMPTED]
    assert {bad} == {outcome.change.account_id for outcome in left}
    assert [cfsso.InternalServerError] * 2 == [type(outcome.error) for outcome in left]
    assert asyncio.get_running_loop().time() < 30.0


async def test_any_other_answer_is_an_answer() -> None:
    """A server that refuses everything is there: nothing holds."""
    world = World.of("verified", accounts=9)
    refused = cfsso.Response(429, {"retry-after": "5"}, b"{}")
    replies: list[Reply | None] = [AWAY, AWAY, refused] * 3
    transport = Through(world.cloud, lambda _request: replies.pop(0) if replies else None)
    events: list[cfsso.Event] = []
    connectors = cfsso.AsyncSSOConnectors(
        cfsso.RetryingTransport(transport), on_event=events.append
    )

    found = await all_of(world, apply(connectors, world.changes, concurrency=1))

    assert {Status.CHANGED: 9} == found
    assert "outage" not in {event.reason for event in events}


@pytest.mark.parametrize("seconds", [30.0, 60.0])
async def test_a_server_that_hangs(seconds: float) -> None:
    """What runs into its time-out counts from when it was sent, and a call under way is cut off."""
    world = World.of("verified", accounts=40)
    stack = Stack.of(world)
    stack.fail(time_out(seconds, applied=False), 0.0)

    run = apply(stack.connectors, world.changes, concurrency=8)

    assert {Status.NOT_ATTEMPTED: 40} == await all_of(world, run)
    assert max(45.0, seconds + 2.0) == asyncio.get_running_loop().time()


async def test_what_was_written_is_unknown_if_the_run_stops(tmp_path: Path) -> None:
    """What could not be read back any more is settled by the resume."""
    world = World.of("verified", accounts=3)
    stack = Stack.of(world)
    stack.fail(refuse_connection, 0.08)

    run = apply(stack.connectors, world.changes, journal=tmp_path / "j", canary=0, outage=10)
    outcomes = [outcome async for outcome in run]

    assert [Status.UNKNOWN] * 3 == [outcome.status for outcome in outcomes]
    assert {"left before it was read back"} == {outcome.note for outcome in outcomes}
    assert 10.0 < asyncio.get_running_loop().time() < 11.0
    # It is still away: what was in flight can't be settled.
    again = await all_of(world, resume(stack.connectors, tmp_path / "j", outage=10))
    assert {Status.UNKNOWN: 3} == again
    stack.faulty.heal()
    again = await all_of(world, resume(stack.connectors, tmp_path / "j"))
    assert {Status.CHANGED: 3} == again
    assert 3 == sum(request.method == "PATCH" for request in world.cloud.requests)


async def test_a_stop_ends_the_hold(tmp_path: Path) -> None:
    """Whoever stops a run that holds need not wait: nothing of it is under way."""
    world = World.of("verified", accounts=5)
    stack = Stack.of(world)
    stack.fail(refuse_connection, 0.0)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(10.0, stop.set)

    run = apply(stack.connectors, world.changes, journal=tmp_path / "j", stop=stop, outage=1e9)

    assert {Status.NOT_ATTEMPTED: 5} == await all_of(world, run)
    assert 10.0 == asyncio.get_running_loop().time()
    assert {asyncio.current_task()} == asyncio.all_tasks()


@pytest.mark.parametrize("outage", [float("inf"), None])
async def test_a_run_may_hold_for_ever(outage: Any) -> None:
    """Without a bound it goes on whenever the server is back."""
    world = World.of("verified", accounts=5)
    stack = Stack.of(world)
    stack.fail(refuse_connection, 0.12, 7200.0)

    found = await all_of(world, apply(stack.connectors, world.changes, outage=outage))

    assert {Status.CHANGED: 5} == found


async def test_what_no_time_helps_is_not_waited_for() -> None:
    """A certificate that is not trusted stops the run after a second look."""
    world = World.of("verified", accounts=5)
    error = cfsso.APIConnectionError("certificate verify failed", write=None)
    error.retryable = False
    transport = Through(world.cloud, lambda _request: error)

    outcomes = await world.run(transport)

    assert {Status.NOT_ATTEMPTED} == {outcome.status for outcome in outcomes}
    assert {"no answer from the API for 2 s: certificate verify failed"} == {
        outcome.note or str(outcome.error) for outcome in outcomes
    }
    assert 2.0 == asyncio.get_running_loop().time()


@pytest.mark.parametrize("act", [apply, resume, revert])
@pytest.mark.parametrize("outage", [-1, "45", True])
async def test_an_impossible_outage_is_refused(act: Any, outage: Any, tmp_path: Path) -> None:
    """Only seconds are taken, before anything is opened or sent."""
    world = World.of("verified")
    given = world.changes if act is apply else tmp_path / "missing"
    transport = Through(world.cloud)

    with pytest.raises(cfsso.InvalidRequestError, match=r"^outage must be seconds"):
        await anext(act(cfsso.AsyncSSOConnectors(transport), given, outage=outage))
    assert [] == transport.seen


async def test_a_rescue_goes_on_while_reads_fail() -> None:
    """What only lets people in is written although all reads are answered with 500."""
    world = World.of("enabled", accounts=4)
    world.changes = [
        Change(change.account_id, change.sso_connector_id, enabled=False)
        for change in world.changes
    ]
    stack = Stack.of(world)
    stack.faulty.on(answer_with(500, applied=False), method="GET", times=None)

    found = await all_of(world, apply(stack.connectors, world.changes, canary=0))

    assert {Status.UNKNOWN: 4} == found
    shown = [world.cloud.connector(c.account_id, c.sso_connector_id) for c in world.changes]
    assert {False} == {connector.enabled for connector in shown}


async def test_disables_hold_in_an_outage_too() -> None:
    """What only lets people in takes its turn as well: a few tries, not one every moment."""
    world = World.of(*["enabled"] * 5, accounts=2)
    world.changes = [
        Change(change.account_id, change.sso_connector_id, enabled=False)
        for change in world.changes
    ]
    stack = Stack.of(world)
    stack.fail(refuse_connection, 0.03)
    # Nobody below pauses between two tries.
    bare = cfsso.AsyncSSOConnectors(stack.faulty, on_event=stack.events.append)

    found = await all_of(world, apply(bare, world.changes, canary=0))

    assert {Status.NOT_ATTEMPTED: 10} == found
    attempts = [event for event in stack.events if event.kind is cfsso.EventKind.ATTEMPT]
    assert len(attempts) < 40
    assert asyncio.get_running_loop().time() < 50


async def test_a_watcher_that_fails_changes_nothing() -> None:
    """What is raised by whoever watches a hold is logged, and the run goes on."""
    world = World.of("verified", accounts=5)
    stack = Stack.of(world)
    stack.fail(refuse_connection, 0.12, 3.0)

    def watch(event: cfsso.Event) -> None:
        """Fail at each hold."""
        assert event.reason != "outage"

    connectors = stack.connectors.with_options(on_event=watch)

    assert {Status.CHANGED: 5} == await all_of(world, apply(connectors, world.changes))


async def test_a_revert_in_an_outage_settles_later(tmp_path: Path) -> None:
    """A revert whose run can't be settled leaves all open, and goes on when the server is back."""
    world = World.of("verified", accounts=3)
    stack = Stack.of(world)
    await all_of(world, apply(stack.connectors, world.changes, journal=tmp_path / "j"))
    away = asyncio.get_running_loop().time()
    stack.faulty.on(refuse_connection, times=None)

    found = await all_of(world, revert(stack.connectors, tmp_path / "j"))

    assert {Status.NOT_ATTEMPTED: 3} == found
    assert 45.0 == pytest.approx(asyncio.get_running_loop().time() - away)
    stack.faulty.heal()
    assert {Status.CHANGED: 3} == await all_of(world, revert(stack.connectors, tmp_path / "j"))
