"""What waits and what ends at the very same moment: nothing is lost, and nobody waits for ever."""

import asyncio
from typing import Any

import pytest
from scripted import failure
from worlds import Reply, Through, World

import cfsso
from cfsso.fleet import Change, apply, plan
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._gate import Gate, Stopped
from cfsso.fleet._held import Watch
from cfsso.fleet._lanes import Lane
from cfsso.fleet._outage import Outage

pytestmark = pytest.mark.virtual_time

LOST = cfsso.APIConnectionError("lost", write=None)


def lane(requests: int = 3, most: int = 5) -> Lane:
    """Return a lane for so many requests in 10 seconds."""
    return Lane(cfsso.RateLimit(requests, 10), most, Gate(0, None), lambda _account, _seconds: None)


@pytest.mark.parametrize("first", ["closing", "resting"])
async def test_a_gate_that_closes_as_a_rest_ends(first: str) -> None:
    """Whichever comes first counts, and the other one changes nothing."""
    gate, loop = Gate(0, None), asyncio.get_running_loop()
    if first == "closing":
        loop.call_later(5, gate.close, "enough")
    rest = asyncio.create_task(gate.rest(5))
    await asyncio.sleep(0)
    if first == "resting":
        loop.call_later(5, gate.close, "enough")

    await asyncio.wait({rest})

    assert 5.0 == loop.time()
    assert (isinstance(rest.exception(), Stopped)) is (first == "closing")


async def test_a_place_that_is_given_to_one_who_was_cancelled() -> None:
    """It goes to the next one."""
    line = lane(requests=3)
    stay = await line.enter("a", 3)
    one = asyncio.create_task(line.enter("b", 3))
    other = asyncio.create_task(line.enter("c", 3))
    await asyncio.sleep(0)

    stay.leave()
    one.cancel()
    await asyncio.wait({one, other}, timeout=1)

    assert one.cancelled()
    assert "c" == other.result().account_id


async def test_one_who_was_cancelled_is_passed_over() -> None:
    """Who left the line before its turn came holds no place."""
    line = lane(requests=3)
    stay = await line.enter("a", 3)
    one = asyncio.create_task(line.enter("b", 3))
    other = asyncio.create_task(line.enter("c", 3))
    await asyncio.sleep(0)

    one.cancel()
    stay.leave()
    await asyncio.wait({one, other}, timeout=1)

    assert one.cancelled()
    assert "c" == other.result().account_id


async def test_what_is_not_needed_is_given_to_others() -> None:
    """An account of many connectors, few of which are to be written, keeps nobody waiting."""
    line = lane(requests=10)
    stay = await line.enter("a", 9)
    other = asyncio.create_task(line.enter("b", 3))
    await asyncio.sleep(0)
    assert not other.done()

    stay.sent(0.1)
    stay.needs(2)
    await asyncio.wait({other}, timeout=1)

    assert "b" == other.result().account_id
    stay.needs(5)
    assert 2 == stay.promised


async def test_who_is_held_up_in_the_middle_lets_fewer_begin() -> None:
    """As many as the pace of the limit asks for at the latency that was seen, at least six."""
    line = lane(requests=100, most=32)
    stays = [await line.enter(str(number), 1) for number in range(6)]
    stays[0].held()

    seventh = asyncio.create_task(line.enter("6", 1))
    await asyncio.sleep(0)
    assert not seventh.done()
    stays[0].leave()
    await asyncio.wait({seventh}, timeout=1)
    assert seventh.done()


def event(account_id: str = "a", **members: Any) -> cfsso.Event:
    """Return an attempt."""
    known: dict[str, Any] = {
        "kind": cfsso.EventKind.ATTEMPT,
        "operation": "list",
        "account_id": account_id,
        "error": LOST,
    }
    return cfsso.Event(**(known | members))


def outage(gate: Gate, seconds: float = 45.0) -> Outage:
    """Return an outage that has begun."""
    found = Outage(gate, seconds, lambda _pause, _silence: None)
    for _ in range(3):
        found.notice(event())
    assert found.holding
    return found


async def test_one_that_leaves_as_its_turn_comes() -> None:
    """The next one in the line goes ahead, if need be after another pause."""
    found = outage(Gate(0, None))
    ahead: list[str] = []

    async def go(name: str) -> None:
        """Go when it may."""
        async with found.turn(leave=True):
            ahead.append(name)

    tasks = [asyncio.create_task(go(name)) for name in "abc"]
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    loop.call_later(1.0, tasks[0].cancel)
    await asyncio.sleep(0.5)
    tasks[1].cancel()
    await asyncio.sleep(4.0)

    assert ["c"] == ahead
    found.notice(event(error=None, status=200))
    assert not found.holding
    await asyncio.wait(tasks)
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_whoever_is_late_goes_ahead_at_once() -> None:
    """If nobody waits when it is time, the next one to come goes."""
    found = outage(Gate(0, None))
    await asyncio.sleep(2.0)

    async with found.turn(leave=False):
        assert 2.0 == asyncio.get_running_loop().time()
    found.end()


async def test_after_an_outage_nobody_goes() -> None:
    """Once the run was stopped for it, what may not be given up fails with the reason."""
    gate = Gate(0, None)
    found = outage(gate, 5.0)
    await asyncio.sleep(10)

    assert "no answer from the API for 5 s: lost" == found.over == gate.reason
    with pytest.raises(cfsso.APIConnectionError, match=found.over):
        await found.turn(leave=False).__aenter__()
    with pytest.raises(Stopped, match=found.over):
        await found.turn(leave=True).__aenter__()


async def test_a_watched_call_that_is_over_before_it_is_cancelled() -> None:
    """What was cancelled and needs no further turn has its result, and nothing comes later."""
    found = Outage(Gate(0, None), 45.0, lambda _pause, _silence: None)
    watch = Watch(None, found)

    async def work() -> str:
        """Wait, as far as is told, and be done."""
        watch(event(kind=cfsso.EventKind.WAIT, reason="rate limit", seconds=300.0))
        return "done"

    assert "done" == await watch.run(work())
    await asyncio.sleep(1)
    task = asyncio.current_task()
    assert task is not None
    assert 0 == task.cancelling()


async def test_a_watched_call_that_others_cancel() -> None:
    """If it swallows both cancellations, that of the others counts."""
    found = Outage(Gate(0, None), 45.0, lambda _pause, _silence: None)
    watch = Watch(None, found)

    async def work() -> str:
        """Take no notice."""
        watch(event(kind=cfsso.EventKind.WAIT, reason="rate limit", seconds=300.0))
        for _ in range(2):
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue
        return "done"

    task = asyncio.create_task(watch.run(work()))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()


async def test_a_write_that_is_cancelled_by_nobody() -> None:
    """A transport that cancels what it does leaves its target unknown, and ends no other."""
    world = World.of("verified", "verified", "verified")

    def rule(request: cfsso.Request) -> None:
        if request.is_write and request.path.endswith(world.changes[1].sso_connector_id):
            raise asyncio.CancelledError

    outcomes = await world.run(Through(world.cloud, rule))

    assert [Status.CHANGED, Status.UNKNOWN, Status.CHANGED] == [o.status for o in outcomes]


async def test_what_needs_one_that_was_not_attempted() -> None:
    """A domain that could not be disabled for its token is not enabled elsewhere, and both wait."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    here, there = cloud.add_account(), cloud.add_account()
    old = cloud.add_connector(here, email_domain="example.com", enabled=True, status="verified")
    new = cloud.add_connector(there, email_domain="example.com", status="verified")
    world = World(cloud, [Change(there, new.id, enabled=True), Change(here, old.id, enabled=False)])

    def rule(request: cfsso.Request) -> Reply | None:
        return failure(401) if request.is_write and request.account_id == here else None

    connectors = cfsso.AsyncSSOConnectors(Through(cloud, rule))
    made = await plan(connectors, world.changes)
    outcomes = {o.change: o async for o in apply(connectors, made)}

    assert {Status.NOT_ATTEMPTED} == {outcome.status for outcome in outcomes.values()}
    assert outcomes[world.changes[0]].note == (
        f"connector {old.id} of account {here} was not attempted,"
        " and has to be done before this one"
    )


async def test_many_bugs() -> None:
    """What may have been written is unknown, and of many bugs ten are told."""
    world = World.of("verified", accounts=13)
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    connectors.update = None  # type: ignore[assignment,method-assign] # the bug
    notes: list[str] = []

    async def take() -> None:
        """Take all outcomes."""
        async for outcome in apply(connectors, world.changes, canary=0):
            notes.append(outcome.note)  # noqa: PERF401 - those before the error count

    with pytest.raises(ExceptionGroup) as caught:
        await take()
    assert 10 == len(caught.value.exceptions)
    assert ["left before it was read back"] * 13 == notes


async def test_a_thousand_are_passed_by() -> None:
    """When the canary stops a large run, all the rest has the reason."""
    world = World.of("verified", accounts=1400)
    first = world.changes[0].sso_connector_id
    transport = Through(
        world.cloud, lambda r: failure(409) if r.is_write and r.path.endswith(first) else None
    )

    outcomes = await world.run(transport, canary=1)

    assert 1399 == sum(outcome.status is Status.NOT_ATTEMPTED for outcome in outcomes)
    assert {"", "the run stopped, since the canary did not succeed"} == {o.note for o in outcomes}


async def test_nobody_rests_at_a_closed_gate() -> None:
    """Once it is closed there is nothing to wait for."""
    gate = Gate(0, None)
    gate.close("enough")

    with pytest.raises(Stopped, match="enough"):
        await gate.rest(5)
    assert 0.0 == asyncio.get_running_loop().time()
