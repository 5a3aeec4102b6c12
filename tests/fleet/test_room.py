"""Accounts that begin are no more than the rate limit can serve, so that nothing is read twice."""

import asyncio

import pytest
from worlds import Through, World

import cfsso
from cfsso.fleet import Outcome, apply
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time


async def fingerprint(_account_id: str) -> str:
    """Give one token to all."""
    return "12345678"


def process(
    world: World, limit: cfsso.RateLimit, events: list[cfsso.Event], *, shared: bool = False
) -> cfsso.AsyncSSOConnectors:
    """Return the connectors of a process, which has a window of its own unless it is *shared*."""
    transport = cfsso.PacingTransport(
        cfsso.InMemoryTransport(world.cloud, api_token="token"),
        rate_limit=limit,
        credential=(lambda _account: "token") if shared else None,
    )
    return cfsso.AsyncSSOConnectors(
        cfsso.RetryingTransport(transport),
        deadline=120.0,
        on_event=events.append,
        fingerprint=fingerprint,
        rate_limit=limit,
    )


def limited(accounts: int, latency: float = 0.1) -> World:
    """Return accounts behind the real limit, with one token."""
    world = World.of("verified", accounts=accounts)
    cloud = cfsso.CloudflareEmulator(seed=1, latency=latency)
    world.cloud, changes = cloud, []
    for number in range(accounts):
        account = cloud.add_account()
        made = cloud.add_connector(account, email_domain=f"a{number}.example", status="verified")
        changes.append(cfsso.fleet.Change(account, made.id, enabled=True))
    world.changes = changes
    cloud.add_token("token", [change.account_id for change in changes])
    return world


async def share(
    world: World, processes: int, quota: int, *, shared: bool = False
) -> list[cfsso.Event]:
    """Let processes apply a part of the changes each; return all attempts."""
    events: list[cfsso.Event] = []
    limit = cfsso.RateLimit(quota, 300)

    async def run(number: int) -> list[Outcome]:
        """Be one process."""
        connectors = process(world, limit, events, shared=shared)
        mine = world.changes[number::processes]
        return [outcome async for outcome in apply(connectors, mine)]

    for outcomes in await asyncio.gather(*map(run, range(processes))):
        assert {Status.CHANGED} == {outcome.status for outcome in outcomes}
    return [event for event in events if event.kind is cfsso.EventKind.ATTEMPT]


@pytest.mark.parametrize(("processes", "quota"), [(1, 1200), (8, 142)])
async def test_processes_that_split_a_token(processes: int, quota: int) -> None:
    """2,000 accounts take at most 3.1 requests each, no 429, and the time of the limit."""
    world = limited(2000)

    attempts = await share(world, processes, quota)

    assert len(attempts) <= 3.1 * 2000
    assert {200} == {event.status for event in attempts}
    assert asyncio.get_running_loop().time() <= 1501 * 1.01


async def test_runs_that_share_one_window() -> None:
    """Who is held up in the middle, since others use the limit too, has few others under way."""
    world = limited(2000)

    attempts = await share(world, 6, 1200, shared=True)

    assert len(attempts) <= 3.1 * 2000
    assert asyncio.get_running_loop().time() <= 1501 * 1.01


async def test_a_slow_server() -> None:
    """As many are under way as its latency asks for, so that the limit is used up."""
    world = limited(1000, latency=2.0)

    attempts = await share(world, 1, 1200)

    assert len(attempts) <= 3.1 * 1000
    assert asyncio.get_running_loop().time() <= 601 + 400


async def test_a_small_run_is_not_slowed_down() -> None:
    """What the limit can serve at once has its full concurrency."""
    world = limited(320)

    attempts = await share(world, 1, 1200)

    assert 3 * 320 == len(attempts)
    # 200 requests a second are the limit of an address; waves that double come before.
    assert asyncio.get_running_loop().time() < 960 / 200 + 2 * 5 * 0.1 + 0.2


async def test_whoever_waits_for_its_place_is_told() -> None:
    """The wait for the window of a run that has used it up is an event like any other."""
    world = limited(60)
    events: list[cfsso.Event] = []
    connectors = process(world, cfsso.RateLimit(100, 300), events)

    outcomes = [outcome async for outcome in apply(connectors, world.changes)]

    assert {Status.CHANGED} == {outcome.status for outcome in outcomes}
    waits = [event for event in events if event.reason == "rate limit" and event.seconds > 1]
    assert {"list"} == {event.operation for event in waits}
    assert 290 < waits[0].seconds <= 300


async def test_one_account_may_need_more_than_the_limit_has() -> None:
    """An account with more targets than a window has places goes alone, window by window."""
    world = World.of(*["verified"] * 40, accounts=2)
    limit = cfsso.RateLimit(25, 100)
    paced = cfsso.PacingTransport(Through(world.cloud), rate_limit=limit)
    connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced))

    outcomes = [outcome async for outcome in apply(connectors, world.changes, canary=0)]

    assert [Status.CHANGED] * 80 == [outcome.status for outcome in outcomes]
    assert asyncio.get_running_loop().time() < 800


@pytest.mark.parametrize("when", [10.0, 310.0])
async def test_a_stop_ends_the_wait_for_a_place(when: float) -> None:
    """Accounts that did not begin yet are not attempted, at once."""
    world = limited(100)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(when, stop.set)
    connectors = process(world, cfsso.RateLimit(100, 300), [])

    outcomes = [outcome async for outcome in apply(connectors, world.changes, stop=stop)]

    assert {Status.CHANGED, Status.NOT_ATTEMPTED} == {outcome.status for outcome in outcomes}
    assert when == asyncio.get_running_loop().time()
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_being_cancelled_while_waiting_for_a_place() -> None:
    """A run that is cancelled there leaves no task and no timer."""
    world = limited(100)
    connectors = process(world, cfsso.RateLimit(100, 300), [])

    async def take() -> None:
        """Take all outcomes."""
        async for _ in apply(connectors, world.changes):
            pass

    task = asyncio.create_task(take())
    await asyncio.sleep(20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {asyncio.current_task()} == asyncio.all_tasks()
