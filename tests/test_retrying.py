"""What may be sent again is, and nothing else; and an outage does not get worse by it."""

import asyncio
import itertools
from typing import Any

import attrs
import pytest
from scripted import ACCOUNT, Scripted, failure, success

import cfsso
from cfsso.testing import FAULTS, FaultyTransport, run_in_virtual_time
from cfsso.transports import _budget, retrying
from cfsso.transports._budget import Budget
from cfsso.transports._call import Call
from cfsso.transports._window import Place
from cfsso.transports.retrying import Again, again

pytestmark = pytest.mark.virtual_time

GET = cfsso.Request("GET", f"/accounts/{ACCOUNT}/sso_connectors")
PATCH = cfsso.Request("PATCH", f"/accounts/{ACCOUNT}/sso_connectors/{'c' * 32}", b"{}")
Reply = cfsso.Response | cfsso.CfssoError

LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
UNSENT = cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT)
SLOW = cfsso.APITimeoutError("slow", write=cfsso.WriteState.UNKNOWN)
SLOW_TO_CONNECT = cfsso.APITimeoutError("slow", write=cfsso.WriteState.NOT_SENT)
UNTRUSTED = cfsso.APIConnectionError("certificate", write=cfsso.WriteState.NOT_SENT)
UNTRUSTED.retryable = False


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses be as long as they may be."""
    monkeypatch.setattr(retrying, "_jitter", lambda: 1.0)


def of_call(inner: cfsso.Transport, request: cfsso.Request, **members: Any) -> Any:
    """Return the sending of *request* over retries, in a call of its own."""
    transport = cfsso.RetryingTransport(inner)
    return Call(operation="test", **members).run(transport.send(request))


YES = Again(0.5, promised=False)


@pytest.mark.parametrize(
    ("read", "write", "outcome"),
    [
        (None, None, success([])),
        (None, None, failure(400)),
        (None, None, failure(403)),
        (None, None, failure(404)),
        (None, None, failure(409)),
        (None, None, failure(409, retry_after="3")),
        (None, None, cfsso.Response(302, {}, b"")),
        (YES, None, failure(408)),
        (YES, None, failure(425)),
        (YES, None, failure(500)),
        (YES, None, failure(502)),
        (YES, None, failure(503)),
        (YES, None, failure(599)),
        (Again(30.0, promised=True), None, failure(503, retry_after="30")),
        (Again(300.0, promised=True), Again(300.0, promised=True), failure(429)),
        (Again(7.0, promised=True), Again(7.0, promised=True), failure(429, retry_after="7")),
        (Again(0.5, promised=True), Again(0.5, promised=True), failure(429, retry_after="0")),
        (YES, None, LOST),
        (YES, None, SLOW),
        (YES, YES, UNSENT),
        (YES, YES, SLOW_TO_CONNECT),
        (None, None, UNTRUSTED),
        (None, None, cfsso.APIResponseValidationError("large", write=cfsso.WriteState.UNKNOWN)),
        (None, None, cfsso.InvalidRequestError("closed", write=cfsso.WriteState.NOT_SENT)),
        (None, None, cfsso.RateLimitError("told", write=cfsso.WriteState.NOT_SENT)),
    ],
    ids=str,
)
def test_what_may_be_sent_again(read: Again | None, write: Again | None, outcome: Reply) -> None:
    """Reads are sent again if they may fare better; writes only if Cloudflare did not take them."""
    assert read == again(GET, outcome, 0, 1.0)
    assert write == again(PATCH, outcome, 0, 1.0)


def test_pauses_grow() -> None:
    """Each pause is twice the one before, up to 8 seconds, times the jitter."""
    plans = [again(GET, LOST, retries, 1.0) for retries in range(7)]

    expected = [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert expected == [plan.seconds for plan in plans if plan]
    assert Again(2.0, promised=False) == again(GET, LOST, 3, 0.5)


def test_pauses_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The jitter is between a half and one, and not always the same."""
    monkeypatch.undo()
    drawn = [retrying._jitter() for _ in range(100)]

    assert 0.5 <= min(drawn) < max(drawn) <= 1.0


async def test_until_it_works() -> None:
    """What fails is sent again after each pause, until an answer is there."""
    inner = Scripted(UNSENT, UNSENT, SLOW_TO_CONNECT, success([]))

    assert 200 == (await of_call(inner, PATCH)).status
    assert [PATCH] * 4 == inner.requests
    assert 3.5 == now()


@pytest.mark.parametrize("outcome", [LOST, failure(500)], ids=["lost", "500"])
async def test_until_enough(outcome: Reply) -> None:
    """After four retries the last outcome stands, be it an answer or an error."""
    inner = Scripted(outcome)
    try:
        found: Reply = await of_call(inner, GET)
    except cfsso.CfssoError as error:
        found = error

    assert outcome is found
    assert 5 == len(inner.requests)
    assert 7.5 == now()


@pytest.mark.parametrize("outcome", [LOST, SLOW, UNTRUSTED], ids=["lost", "slow", "tls"])
async def test_a_write_in_doubt_is_not_repeated(outcome: cfsso.CfssoError) -> None:
    """A write that may have happened is sent once; so is what no retry would help."""
    inner = Scripted(outcome)
    with pytest.raises(type(outcome)) as caught:
        await of_call(inner, PATCH)

    assert outcome is caught.value
    assert [PATCH] == inner.requests


@pytest.mark.parametrize("most", [0, 1])
async def test_the_number_of_retries(most: int) -> None:
    """It may be set, to none at all."""
    inner = Scripted(LOST)
    with pytest.raises(cfsso.APIConnectionError):
        await cfsso.RetryingTransport(inner, max_retries=most).send(GET)

    assert 1 + most == len(inner.requests)


@pytest.mark.parametrize("most", [-1, 1.0, True, "4", None], ids=repr)
def test_what_is_no_number_of_retries(most: Any) -> None:
    """Another value is refused at once."""
    with pytest.raises(cfsso.InvalidRequestError, match=r"^max_retries must be a whole number fr"):
        cfsso.RetryingTransport(Scripted(), max_retries=most)


async def test_a_429_is_waited_for_as_often_as_it_takes() -> None:
    """Without a bound, 429 after 429 is obeyed, ever slower if they ask little, at no retry."""
    refusals = [failure(429, retry_after=str(seconds)) for seconds in (300, 60, 3600, 1, 1, 1, 1)]
    inner = Scripted(*refusals, success([]))

    # They don't count toward the deadline either.
    assert 200 == (await of_call(inner, PATCH, deadline=10.0)).status
    assert 3960.0 + 8.0 + 16.0 + 32.0 + 64.0 == now()


@pytest.mark.parametrize(
    ("seconds", "members"),
    [
        (61, {"max_wait": 60.0}),
        (1, {"max_wait": 0.0}),
        (31, {"max_wait": 60.0, "deadline": 30.0}),
        (3601, {}),
        (999_999, {}),
    ],
)
@pytest.mark.parametrize("request_", [GET, PATCH], ids=["read", "write"])
async def test_a_429_that_asks_too_much(
    seconds: int, members: dict[str, float], request_: cfsso.Request
) -> None:
    """A promise that is too long is not waited for: the refusal is the result, at once."""
    inner = Scripted(failure(429, retry_after=str(seconds)))

    assert 429 == (await of_call(inner, request_, **members)).status
    assert 0.0 == now()
    assert 1 == len(inner.requests)


async def test_all_waits_for_limits_count() -> None:
    """The waits of one call together are never longer than it allows."""
    inner = Scripted(failure(429, retry_after="25"))

    assert 429 == (await of_call(inner, PATCH, max_wait=60.0)).status
    assert 50.0 == now()
    assert 3 == len(inner.requests)


async def test_a_503_that_names_a_time() -> None:
    """A read waits as long as a 503 asks, and then comes out of the budget like others."""
    inner = Scripted(failure(503, retry_after="20"))

    assert 503 == (await of_call(inner, GET)).status
    assert 80.0 == now()
    assert 5 == len(inner.requests)


async def test_a_503_that_asks_too_much() -> None:
    """A read is told of a longer promise by the error for limits."""
    inner = Scripted(failure(503, retry_after="90"))
    with pytest.raises(cfsso.RateLimitError) as caught:
        await of_call(inner, GET, max_wait=60.0)

    error = caught.value
    assert f"503 from {GET}: asks to wait 90 s" == str(error)
    assert (503, 90.0, None) == (error.status, error.retry_after, error.write)
    assert (GET, "8a1b2c3d4e5f6789-FRA") == (error.request, error.ray_id)


async def test_no_pause_beyond_the_deadline() -> None:
    """A pause that would end after the deadline is not begun: the outcome is told now."""
    inner = Scripted(LOST)
    with pytest.raises(cfsso.APIConnectionError) as caught:
        await of_call(inner, GET, deadline=3.0)

    assert LOST is caught.value
    assert 1.5 == now()


async def test_what_is_foreign_passes() -> None:
    """An exception that no transport should raise is none of our business."""
    inner = Scripted(ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        await of_call(inner, GET)
    assert 1 == len(inner.requests)


async def test_what_a_call_is_told() -> None:
    """Each attempt counts, with how long it took itself; what was not sent does not."""
    events: list[cfsso.Event] = []
    limit = cfsso.RateLimit(requests=1, seconds=10.0)
    inner = Scripted(UNSENT, LOST, success([]))
    transport = cfsso.RetryingTransport(cfsso.PacingTransport(inner, rate_limit=limit))
    await Call(operation="a", on_event=events.append).run(transport.send(GET))
    with pytest.raises(cfsso.RateLimitError):
        await Call(operation="b", max_wait=0.0, on_event=events.append).run(transport.send(GET))

    shown = [(event.operation, str(event.kind), event.seconds) for event in events]
    # A lost request is counted from the end of its time.
    assert [
        ("a", "attempt", 0.0),
        ("a", "wait", 0.5),
        ("a", "attempt", 0.0),
        ("a", "wait", 1.0),
        ("a", "wait", 39.0),
        ("a", "attempt", 0.0),
        ("a", "end", 40.5),
        ("b", "end", 0.0),
    ] == shown
    assert (3, 0) == (events[-2].attempts, events[-1].attempts)


async def test_a_cancelled_pause_costs_nothing() -> None:
    """A retry that was never made leaves the budget as it was."""
    transport = cfsso.RetryingTransport(Scripted(LOST))
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await transport.send(GET)

    assert 0 == transport._budget._window.under_way
    assert 0 == transport._budget._spent


async def test_a_cancelled_attempt_costs_what_a_failure_does() -> None:
    """Nobody knows how it would have fared."""

    class Hangs(Scripted):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if len(self.requests) > 0:
                await asyncio.sleep(1000)
            return await super().send(request)

    transport = cfsso.RetryingTransport(Hangs(LOST))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await transport.send(GET)

    assert 0 == transport._budget._window.under_way
    assert 5 == transport._budget._spent


async def test_a_read_that_settles_waits_for_the_budget() -> None:
    """When nothing is left of the budget, a read that settles a doubt waits until there is."""
    transport = cfsso.RetryingTransport(Scripted(LOST))
    spend(transport._budget, 5)
    calls = [
        Call(operation=name, settling=True, urgent=name == "urgent") for name in ("a", "urgent")
    ]
    order: list[str] = []

    async def read(call: Call) -> None:
        with pytest.raises(cfsso.APIConnectionError):
            await call.run(transport.send(GET))
        order.append(f"{call.operation} at {now():g}, {call.waited:g} waited")

    await asyncio.gather(*map(read, calls))

    assert ["urgent at 2, 2 waited", "a at 12, 12 waited"] == order


async def test_a_refusal_to_wait_costs_nothing() -> None:
    """A read that settles, and that the rate limit kept from being sent, is no failure."""
    limit = cfsso.RateLimit(requests=1, seconds=10.0)
    paced = cfsso.PacingTransport(Scripted(success([])), rate_limit=limit)
    transport = cfsso.RetryingTransport(paced)
    await transport.send(GET)
    call = Call(operation="test", settling=True, max_wait=1.0)
    with pytest.raises(cfsso.RateLimitError):
        await call.run(transport.send(GET))

    assert (0, 0) == (transport._budget._spent, transport._budget._window.under_way)
    # Nor is one that was given up before its turn came.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await Call(operation="test", settling=True).run(transport.send(GET))
    assert (0, 0) == (transport._budget._spent, transport._budget._window.under_way)


async def test_it_shows_and_closes_what_it_is_around() -> None:
    """The inner transport is named and closed."""
    inner = Scripted()
    transport = cfsso.RetryingTransport(inner)
    await transport.aclose()

    assert "RetryingTransport(Scripted())" == repr(transport)
    assert 1 == inner.closed


def spend(budget: Budget, most: int = 1000) -> int:
    """Fail as often as the budget allows at once; return how often that was."""
    places: list[Place] = []
    while len(places) < most and (place := budget.take(now())) is not None:
        places.append(place)
    for place in places:
        budget.count(place, now(), failed=True)
    return len(places)


def calls(budget: Budget, count: int, *, failed: bool | None = None) -> None:
    """Make so many calls, which have no outcome yet unless it is given."""
    for _ in range(count):
        budget.count_call(now())
        if failed is not None:
            budget.count(None, now(), failed=failed)


@pytest.mark.parametrize(("expected", "count"), [(5, 0), (5, 54), (6, 55), (195, 1000)])
async def test_a_fifth_of_the_calls(expected: int, count: int) -> None:
    """What may fail at once is a fifth of the calls, less five for later, and at least five."""
    budget = Budget()
    calls(budget, count)

    assert expected == spend(budget)
    assert 0 == spend(budget)


@pytest.mark.parametrize(("expected", "seconds"), [(195, 59), (195, 119), (5, 121), (5, 1e6)])
async def test_calls_of_long_ago_do_not_count(expected: int, seconds: float) -> None:
    """Only the calls of the last minute or two count."""
    budget = Budget()
    calls(budget, 1000)
    await asyncio.sleep(seconds)
    calls(budget, 1)

    assert expected == spend(budget)


async def test_what_succeeds_costs_nothing() -> None:
    """A place is back at once if the request did not fail, or was not sent."""
    budget = Budget()
    for _ in range(100):
        place = budget.take(now())
        budget.count(place, now(), failed=False)
        budget.give_back(budget.take(now()))
    budget.give_back(None)

    assert 5 == spend(budget)


async def test_one_at_a_time_and_ever_more_rarely() -> None:
    """When nothing is left, one goes after 2 s, and each next one after five times as long."""
    budget = Budget()
    spend(budget)
    times = []
    for _ in range(7):
        place = await budget.wait(Call(operation="test"))
        times.append(now())
        assert budget.take(now()) is None
        budget.count(place, now(), failed=True)

    assert [2.0, 12.0, 62.0, 312.0, 1562.0, 7812.0, 15012.0] == times


async def test_after_the_outage_those_who_wait_go_one_after_the_other() -> None:
    """That an outage is over is found out by those who wait, without any call."""
    budget = Budget()
    spend(budget)

    async def wait() -> float:
        place = await budget.wait(Call(operation="test"))
        at = now()
        await asyncio.sleep(0.1)
        budget.count(place, now(), failed=False)
        return at

    times = await asyncio.gather(*(wait() for _ in range(50)))
    assert [2.0 + n / 10 for n in range(50)] == pytest.approx(times)


async def test_the_next_outage_begins_anew() -> None:
    """A success makes the next rest a short one."""
    budget = Budget()
    spend(budget)
    for failed in (True, True, False, True):
        place = await budget.wait(Call(operation="test"))
        budget.count(place, now(), failed=failed)
    await budget.wait(Call(operation="test"))

    assert 62.0 + 2.0 == now()


async def test_calls_that_succeed_earn_it_back() -> None:
    """Five calls that succeed are worth one that failed; a waiting read goes at once."""
    budget = Budget()
    spend(budget)
    calls(budget, 4, failed=False)
    assert 0 == spend(budget)
    waiting = asyncio.ensure_future(budget.wait(Call(operation="test")))
    await asyncio.sleep(0)
    calls(budget, 1, failed=False)
    budget.give_back(await waiting)

    assert 0.0 == now()
    assert 1 == spend(budget)


async def test_a_quiet_minute_ends_an_outage() -> None:
    """If a call succeeds after a minute without any failure, all is forgotten."""
    budget = Budget()
    spend(budget)
    await asyncio.sleep(30)
    calls(budget, 1, failed=True)
    await asyncio.sleep(59)
    calls(budget, 1, failed=False)
    assert 24 == budget._spent
    await asyncio.sleep(1)
    calls(budget, 1, failed=False)

    assert 0 == budget._spent
    assert 5 == spend(budget)


OUTAGES: dict[str, str] = {
    "500": "status_500_not_applied",
    "lost answers": "lose_answer",
    "timeouts": "time_out_not_applied",
    "refused connections": "refuse_connection",
    "503 with Retry-After": "status_503_retry_after_not_applied",
}


@attrs.frozen
class Load:
    """How many calls there are, how many at once, and their bounds."""

    targets: int = 50
    at_once: int = 50
    deadline: float | None = 120.0
    gap: float = 0.0


LOADS = {
    "all at once": Load(),
    "one by one": Load(at_once=1),
    "one by one, and rarely": Load(at_once=1, gap=100.0),
    "without a deadline": Load(at_once=8, deadline=None),
    "many": Load(targets=600, at_once=32),
    "many without a deadline": Load(targets=400, at_once=100, deadline=None),
}


async def outage(fault: str, seconds: float, load: Load) -> tuple[int, list[str]]:
    """Return how many requests met an outage of *seconds*, and how the calls ended."""
    cloud = cfsso.CloudflareEmulator(seed=1, latency=0.05)
    account = cloud.add_account()
    seeded = [
        cloud.add_connector(account, email_domain=f"d{n}.example", status="verified")
        for n in range(load.targets)
    ]
    faulty = FaultyTransport(cfsso.InMemoryTransport(cloud), seed=1)
    faulty.on(FAULTS[fault], times=None)
    transport = cfsso.RetryingTransport(cfsso.PacingTransport(faulty))
    connectors = cfsso.AsyncSSOConnectors(transport, deadline=load.deadline, max_wait=60.0)
    healing = asyncio.get_running_loop().call_later(seconds, faulty.heal)
    places = asyncio.Semaphore(load.at_once)
    ends: list[str] = []

    async def enable(connector: cfsso.SSOConnector) -> None:
        async with places:
            try:
                await connectors.update(
                    connector.id, account_id=account, enabled=True, before=connector
                )
                ends.append("done")
            except cfsso.CfssoError as error:
                ends.append(type(error).__name__)
            await asyncio.sleep(load.gap)

    await asyncio.gather(*map(enable, seeded))
    healing.cancel()
    assert 0 == transport._budget._window.under_way + transport._budget._window.waiting
    return sum(faulty.injected.values()), ends


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize("fault", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_does_not_get_worse(fault: str, load: Load) -> None:
    """However long an outage is, it meets at most 1.2 requests a call, of fifty or more."""
    for seconds in (1.0, 60.0, 600.0, 7200.0):
        met, ends = run_in_virtual_time(outage(fault, seconds, load))
        assert load.targets == len(ends)
        assert met <= 1.2 * load.targets, seconds


@pytest.mark.parametrize("load", [LOADS["all at once"], LOADS["many"]], ids=["50", "600"])
@pytest.mark.parametrize("seconds", [1.0, 10.0, 50.0])
def test_short_outages_are_got_over(seconds: float, load: Load) -> None:
    """A write whose answer was lost is settled in time if the outage is a short one."""
    _, ends = run_in_virtual_time(outage("lose_answer", seconds, load))

    assert {"done"} == set(ends)


def test_the_numbers_agree() -> None:
    """In two hours, what goes one at a time is what was kept back for that."""
    rests = itertools.accumulate([_budget._FIRST_REST * _budget._LONGER**n for n in range(10)])
    assert _budget._LATER == sum(at <= 7200 for at in rests)
