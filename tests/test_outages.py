"""In an outage, what comes on top of the calls is at most a fifth of them, at any pace."""

import asyncio
from typing import Any, NamedTuple

import pytest
from scripted import COLLECTION, Scripted

import cfsso
from cfsso.testing import (
    Fault,
    FaultyTransport,
    answer_with,
    lose_answer,
    refuse_connection,
    run_in_virtual_time,
)
from cfsso.transports._budget import Budget
from cfsso.transports._call import Call

DAY = 86400.0
GET = cfsso.Request("GET", COLLECTION)
FAULTS = {
    "500": answer_with(500, applied=False),
    "lost answers": lose_answer,
    "refused connections": refuse_connection,
}
OUTAGES = {"1 s": 1.0, "1 min": 60.0, "10 min": 600.0, "2 h": 7200.0}


class Met(NamedTuple):
    """What an outage met: requests for each target, and how the calls ended after it."""

    share: float
    ends: set[str]


async def meet(fault: Fault, seconds: float, targets: int, pace: float, operation: str) -> Met:
    """Begin a call for each target, so many a second; count what arrives while nothing works."""
    cloud = cfsso.CloudflareEmulator(seed=1, latency=0.05, rate_limit=None)
    account = cloud.add_account()
    ids = [
        cloud.add_connector(account, email_domain=f"d{n}.example", status="verified").id
        for n in range(targets)
    ]
    cloud.advance(2 * DAY)
    bottom = FaultyTransport(cfsso.InMemoryTransport(cloud), seed=1)
    bottom.on(fault, times=None)
    transport = cfsso.RetryingTransport(cfsso.PacingTransport(bottom))
    connectors = cfsso.AsyncSSOConnectors(transport)

    async def call(number: int) -> str:
        await asyncio.sleep(number / pace)
        try:
            if operation == "get":
                await connectors.get(ids[number], account_id=account)
            else:
                await connectors.update(ids[number], account_id=account, enabled=True)
        except cfsso.CfssoError as error:
            return type(error).__name__
        return "done"

    calls = [asyncio.ensure_future(call(number)) for number in range(targets)]
    await asyncio.sleep(seconds)
    met = bottom.requests
    bottom.heal()
    ends = set(await asyncio.gather(*calls))
    assert 0 == transport._budget._window.under_way + transport._budget._window.waiting
    return Met(met / targets, ends)


@pytest.mark.parametrize("operation", ["get", "update"])
@pytest.mark.parametrize("seconds", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_as_many_as_may_go_at_once(fault: Fault, seconds: float, operation: str) -> None:
    """If all call at once, an outage of any length meets at most 1.2 requests for each of them."""
    met = run_in_virtual_time(meet(fault, seconds, 190, 1e9, operation))

    assert 1.0 <= met.share <= 1.2
    if operation == "update" and fault is not refuse_connection:
        # Without a deadline each is settled as soon as reads work again.
        assert {"done"} == met.ends


@pytest.mark.parametrize("pace", [0.3, 0.45, 0.7, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("operation", ["get", "update"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_one_after_the_other(fault: Fault, operation: str, pace: float) -> None:
    """The same holds if new calls go on and on, since each fifth one brings a single retry."""
    targets = max(200, int(300 * pace))
    met = run_in_virtual_time(meet(fault, targets / pace, targets, pace, operation))

    assert 1.0 <= met.share <= 1.2


async def fail_next(budget: Budget) -> float:
    """Wait for a place, let it fail, and return when that was."""
    place = await budget.wait(Call(operation="test"))
    at = asyncio.get_running_loop().time()
    budget.count(place, at, failed=True)
    return at


@pytest.mark.virtual_time
async def test_new_calls_do_not_shorten_the_rest() -> None:
    """A call that brings a place in an outage does not let the lone ones begin anew."""
    budget = Budget()
    for _ in range(50):
        budget.count_call(0.0)
    assert [0.0] * 5 + [2.0, 12.0] == [await fail_next(budget) for _ in range(7)]
    for _ in range(5):
        budget.count_call(12.0)

    # The place that they bring, and then the rest that was due.
    assert [12.0, 62.0, 312.0] == [await fail_next(budget) for _ in range(3)]


@pytest.mark.virtual_time
async def test_what_is_earned_back_shortens_the_rest() -> None:
    """Once calls have earned back all that was spent, the next outage begins with a short rest."""
    budget = Budget()
    assert [0.0] * 5 + [2.0, 12.0] == [await fail_next(budget) for _ in range(7)]
    for _ in range(25):
        budget.count(None, 12.0, failed=False)

    assert [12.0] * 5 + [14.0] == [await fail_next(budget) for _ in range(6)]


@pytest.mark.virtual_time
async def test_reads_that_settle_leave_the_line_when_cancelled() -> None:
    """A read that no longer waits is out of the line, and the next one goes when it would have."""
    transport = cfsso.RetryingTransport(Scripted(cfsso.APIConnectionError("lost")), max_retries=0)
    for _ in range(5):
        await fail_next(transport._budget)
    reads = [Call(operation=name, settling=True).run(transport.send(GET)) for name in "abc"]
    tasks = [asyncio.ensure_future(read) for read in reads]
    await asyncio.sleep(1.0)
    tasks[0].cancel()
    # In the very moment in which it gets its place.
    asyncio.get_running_loop().call_at(2.0, tasks[1].cancel)
    results: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)

    expected = [asyncio.CancelledError, asyncio.CancelledError, cfsso.APIConnectionError]
    assert expected == [type(result) for result in results]
    assert 2.0 == asyncio.get_running_loop().time()
    window = transport._budget._window
    assert (0, 0) == (window.under_way, window.waiting)
