"""The bounds of a call through all transports: its deadline, and its waits for limits."""

import asyncio
from typing import Any

import pytest
from scripted import ACCOUNT, CONNECTOR, OPERATIONS, RAY, READS, Scripted, failure, shown, success

import cfsso
from cfsso import WriteState
from cfsso.fleet import Change, OutcomeStatus, apply
from cfsso.testing import FaultyTransport, delay_answer
from cfsso.transports import retrying

pytestmark = pytest.mark.virtual_time

Reply = cfsso.Response | Exception
LOST = cfsso.APIConnectionError("lost", write=WriteState.UNKNOWN)
NOT_SENT = cfsso.APIConnectionError("no way", write=WriteState.NOT_SENT)
ONE = cfsso.RateLimit(requests=1, seconds=10.0)


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses be as long as they may be."""
    monkeypatch.setattr(retrying, "_jitter", lambda: 1.0)


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


class Timed(Scripted):
    """Gives each reply after a while, and keeps when it was asked."""

    def __init__(self, *replies: Reply, seconds: float = 0.0) -> None:
        super().__init__(*replies)
        self.seconds = seconds
        self.times: list[float] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Give the next reply."""
        self.times.append(now())
        await asyncio.sleep(self.seconds)
        return await super().send(request)


def over(
    inner: cfsso.Transport, rate_limit: cfsso.RateLimit | None = None, **options: Any
) -> cfsso.AsyncSSOConnectors:
    """Return connectors over the whole stack."""
    paced = cfsso.PacingTransport(inner, rate_limit=rate_limit, timeout=1.0)
    return cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced), **options)


async def enable(connectors: cfsso.AsyncSSOConnectors) -> cfsso.SSOConnector:
    """Enable the connector."""
    return await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True)


async def fail(connectors: cfsso.AsyncSSOConnectors, operation: str = "list") -> Any:
    """Return the error in which the operation must end."""
    with pytest.raises(cfsso.CfssoError) as caught:
        await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)
    return caught.value


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_time_is_up_while_a_request_is_under_way(operation: str) -> None:
    """At the deadline a write may have happened, and there is nothing to say of a read."""
    error = await fail(over(Timed(success([]), seconds=9.0), deadline=3.0), operation)

    assert cfsso.APITimeoutError is type(error)
    assert (None if operation in READS else WriteState.UNKNOWN) is error.write
    assert 3.0 == now()


@pytest.mark.parametrize("max_wait", [15.0, 20.0, 60.0])
@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() - READS))
async def test_time_is_up_in_the_line(operation: str, max_wait: float) -> None:
    """A write that still waits for its place was not sent, whichever bound is the first."""
    inner = Timed(success([]), seconds=100.0)
    connectors = over(inner, ONE, deadline=20.0, max_wait=max_wait)
    first = asyncio.ensure_future(connectors.with_options(deadline=None).list(account_id=ACCOUNT))
    await asyncio.sleep(1.0)
    error = await fail(connectors, operation)

    # Nobody knew that the first answer would take so long.
    assert isinstance(error, cfsso.APITimeoutError | cfsso.RateLimitError)
    assert WriteState.NOT_SENT is error.write
    assert [1.0 + min(20.0, max_wait), 1] == [now(), len(inner.times)]
    await first


@pytest.mark.parametrize(
    ("ends", "deadline"), [(0.0, 0.4), (0.0, 0.5), (0.5, 0.6), (1.5, 2.0), (1.5, 3.5), (3.5, 3.6)]
)
async def test_no_pause_that_ends_too_late(ends: float, deadline: float) -> None:
    """If the next attempt would not come before the deadline, the failure is told at once."""
    inner = Timed(failure(500))
    error = await fail(over(inner, deadline=deadline))

    assert cfsso.InternalServerError is type(error)
    assert (ends, ends) == (inner.times[-1], now())


async def test_a_write_that_was_not_sent_and_then_was() -> None:
    """What counts at the deadline is the last attempt: it may have arrived."""

    class Slower(Timed):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            self.seconds = 100.0 * len(self.requests)
            return await super().send(request)

    error = await fail(over(Slower(NOT_SENT, success(shown())), deadline=5.0), "update")

    assert (cfsso.APITimeoutError, WriteState.UNKNOWN) == (type(error), error.write)
    assert 5.0 == now()


async def test_time_is_up_while_a_doubt_waits_for_the_budget() -> None:
    """A write in doubt whose reads have to wait is unconfirmed at the deadline."""
    inner = Timed(LOST)
    connectors = over(inner, deadline=30.0)
    errors = await asyncio.gather(*(fail(connectors, "update") for _ in range(20)))

    assert {cfsso.UnconfirmedWriteError} == set(map(type, errors))
    assert {WriteState.UNKNOWN} == {error.write for error in errors}
    assert 30.0 == now()
    writes = [request for request in inner.requests if request.is_write]
    # Five reads at once, then one after 2 s and one after 10 more.
    assert (20, 27) == (len(writes), len(inner.requests))


@pytest.mark.parametrize("operation", ["list", "create", "update"])
@pytest.mark.parametrize(("max_wait", "seconds"), [(0, 1), (29, 30), (60.0, 61), (None, 3601)])
async def test_a_refusal_that_asks_too_much(
    operation: str, max_wait: float | None, seconds: int
) -> None:
    """A 429 that asks for more than may be waited, or than an hour, is told with what it asks."""
    inner = Timed(failure(429, retry_after=str(seconds)))
    connectors = over(inner, max_wait=max_wait)
    error = await fail(connectors, operation)

    assert (cfsso.RateLimitError, 429, RAY) == (type(error), error.status, error.ray_id)
    assert (float(seconds), 0.0, 1) == (error.retry_after, now(), len(inner.times))
    assert (None if operation in READS else WriteState.REFUSED) is error.write
    # The next one is told without being sent, and for how long it is then.
    await asyncio.sleep(0.25)
    error = await fail(connectors, operation)
    assert (None, seconds - 0.25, 1) == (error.status, error.retry_after, len(inner.times))
    assert (None if operation in READS else WriteState.NOT_SENT) is error.write


@pytest.mark.parametrize("max_wait", [30, 30.0, 60.0, None, float("inf")])
async def test_a_refusal_that_may_be_waited_for(max_wait: float | None) -> None:
    """A wait that is just as long as allowed is waited for to the second, by a create too."""
    inner = Timed(failure(429, retry_after="30"), success(shown()))
    await OPERATIONS["create"](over(inner, max_wait=max_wait), CONNECTOR, ACCOUNT)

    assert [0.0, 30.0] == inner.times
    assert 1 == len(set(inner.requests))


async def test_the_waits_of_a_call_add_up() -> None:
    """Waits for a place, for a 429 and for a 503 come out of one allowance; other waits do not."""
    busy = failure(503, retry_after="20")
    refused = failure(429, retry_after="20")
    replies = [success([]), failure(500), busy, refused, success([])]
    events: list[cfsso.Event] = []
    inner = Timed(*replies)
    connectors = over(inner, ONE, max_wait=64.0, on_event=events.append)
    await connectors.list(account_id=ACCOUNT)
    await connectors.list(account_id=ACCOUNT)

    assert [0.0, 10.0, 20.0, 40.0, 60.0] == inner.times
    waits = [event for event in events if event.kind is cfsso.EventKind.WAIT]
    assert ["rate limit", "retry", *["rate limit"] * 3] == [event.reason for event in waits]
    assert [10.0, 0.5, 9.5, 20.0, 20.0] == [event.seconds for event in waits]


@pytest.mark.parametrize(("max_wait", "sent"), [(59.0, 4), (59.5, 5)])
async def test_the_last_wait_is_one_too_many(max_wait: float, sent: int) -> None:
    """What is left after the waits so far decides about the next one."""
    busy, refused = failure(503, retry_after="20"), failure(429, retry_after="20")
    inner = Timed(success([]), failure(500), busy, refused, success([]))
    connectors = over(inner, ONE, max_wait=max_wait)
    await connectors.list(account_id=ACCOUNT)
    if sent == 5:
        assert () == await connectors.list(account_id=ACCOUNT)
    else:
        error = await fail(connectors)
        assert (429, 20.0, 40.0) == (error.status, error.retry_after, now())
    assert sent == len(inner.times)


@pytest.mark.parametrize(("max_wait", "seconds"), [(60.0, 61), (None, 3601), (0.0, 1)])
async def test_a_503_that_asks_too_much(max_wait: float | None, seconds: int) -> None:
    """A read is told of the wait by a RateLimitError; a write may have happened: it is in doubt."""
    busy = failure(503, retry_after=str(seconds))
    error = await fail(over(Timed(busy), max_wait=max_wait))
    assert (cfsso.RateLimitError, 503, RAY) == (type(error), error.status, error.ray_id)
    assert (float(seconds), None, 0.0) == (error.retry_after, error.write, now())

    inner = Timed(busy)
    error = await fail(over(inner, max_wait=max_wait), "update")
    assert (cfsso.UnconfirmedWriteError, 503) == (type(error), error.status)
    assert (float(seconds), 0.0) == (error.retry_after, now())
    assert ["PATCH"] == [request.method for request in inner.requests]


async def test_a_write_is_not_repeated_after_503() -> None:
    """A 503 with a promise leaves a write in doubt: it is read when that time is over."""
    inner = Timed(failure(503, retry_after="20"), success(shown()))
    connector = await enable(over(inner))

    assert connector.enabled
    assert [0.0, 20.0] == inner.times[:2]
    assert 1 == sum(request.is_write for request in inner.requests)


async def test_waits_without_a_bound_stop_the_clock() -> None:
    """With max_wait None the deadline counts neither waits for refusals nor for a place."""
    inner = Timed(success([]), failure(429, retry_after="300"), success([]), seconds=4.0)
    connectors = over(inner, cfsso.RateLimit(1, 60.0), deadline=9.0)
    await connectors.list(account_id=ACCOUNT)
    await connectors.list(account_id=ACCOUNT)

    # Two requests of 4 seconds are within 9.
    assert [0.0, 64.0, 368.0] == inner.times
    inner.seconds = 10.0
    error = await fail(connectors)
    assert cfsso.APITimeoutError is type(error)
    assert [432.0, 441.0] == [inner.times[-1], now()]


async def test_waits_with_a_bound_count() -> None:
    """With max_wait a wait that ends after the deadline is told, though max_wait allows it."""
    inner = Timed(failure(429, retry_after="300"))
    error = await fail(over(inner, deadline=120.0, max_wait=400.0))

    assert (429, 300.0, 0.0) == (error.status, error.retry_after, now())


async def test_options_of_a_copy_hold_for_it_alone() -> None:
    """Calls through several copies at once have each their own bounds."""
    inner = Timed(success([]), seconds=10.0)
    connectors = over(inner, deadline=5.0)
    patient = connectors.with_options(deadline=None)
    results = await asyncio.gather(
        *(each.list(account_id=ACCOUNT) for each in (connectors, patient, connectors, patient)),
        return_exceptions=True,
    )

    expected = [cfsso.APITimeoutError, tuple, cfsso.APITimeoutError, tuple]
    assert expected == [type(result) for result in results]
    assert 10.0 == now()


async def test_a_call_inside_a_call() -> None:
    """A credential that is looked up by a call of its own has its own bounds and counts."""
    events: list[cfsso.Event] = []
    vault = over(Timed(NOT_SENT, success([]), seconds=3.0), deadline=8.0, on_event=events.append)

    async def credential(account_id: str) -> str:
        await vault.list(account_id=account_id)
        return "key"

    inner = Timed(success([]), seconds=3.0)
    paced = cfsso.PacingTransport(inner, credential=credential)
    connectors = cfsso.AsyncSSOConnectors(
        cfsso.RetryingTransport(paced), deadline=10.0, max_wait=1.0, on_event=events.append
    )
    await connectors.list(account_id=ACCOUNT)
    assert [(2, 0.5), (1, 0.0)] == [
        (event.attempts, event.waited) for event in events if event.kind is cfsso.EventKind.END
    ]
    # The inner deadline is no reason for the outer call to be told of its own.
    error = await fail(cfsso.AsyncSSOConnectors(paced, deadline=1.0), "update")
    assert (cfsso.APITimeoutError, WriteState.NOT_SENT) == (type(error), error.write)
    assert "deadline of 1 s" in str(error)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 5.0])
async def test_the_time_of_the_caller(seconds: float) -> None:
    """A timeout around a call ends it as the caller's own, also at the moment of the deadline."""
    connectors = over(Timed(success([]), seconds=9.0), deadline=5.0)

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(seconds):
            await connectors.list(account_id=ACCOUNT)
    assert not isinstance(caught.value, cfsso.CfssoError)
    assert seconds == now()


async def test_a_cancellation_at_the_deadline() -> None:
    """Who is cancelled at the very moment of the deadline is cancelled."""
    connectors = over(Timed(success([]), seconds=9.0), deadline=5.0)
    task = asyncio.ensure_future(connectors.list(account_id=ACCOUNT))
    asyncio.get_running_loop().call_at(5.0, task.cancel)
    await asyncio.wait([task])

    assert task.cancelled()


async def test_a_timeout_error_of_the_transport_is_no_deadline() -> None:
    """A TimeoutError that a transport lets out is its failure, not the call's deadline."""
    connectors = cfsso.AsyncSSOConnectors(Timed(TimeoutError()), deadline=5.0)
    error = await fail(connectors, "begin_verification")

    assert (cfsso.APIConnectionError, WriteState.UNKNOWN) == (type(error), error.write)
    assert "deadline" not in str(error)


@pytest.mark.parametrize(
    "value", [-0.001, float("-inf"), float("nan"), 10**400, False, None, "", b"1", 1j, [1.0]]
)
@pytest.mark.parametrize("option", ["deadline", "max_wait"])
def test_what_is_no_bound(option: str, value: Any) -> None:
    """Only numbers from 0, and None, are bounds."""
    options = {option: value}
    if value is None:
        over(Timed(), **options)
        return
    with pytest.raises(cfsso.InvalidRequestError, match=f"^{option} must be seconds from 0"):
        over(Timed(), **options)


@pytest.mark.parametrize("how", ["deadline", "cancelled"])
@pytest.mark.parametrize("stack", [True, False])
async def test_a_write_that_is_cut_off_counts(how: str, *, stack: bool) -> None:
    """A request that was under way when its call ended may have arrived, so the end counts it."""
    events: list[cfsso.Event] = []
    inner = Timed(NOT_SENT if stack else success(shown()), success(shown()), seconds=4.0)
    connectors = over(inner) if stack else cfsso.AsyncSSOConnectors(inner)
    deadline = 6.0 if stack else 2.0
    if how == "deadline":
        await fail(connectors.with_options(deadline=deadline, on_event=events.append), "update")
    else:
        task = asyncio.ensure_future(enable(connectors.with_options(on_event=events.append)))
        await asyncio.sleep(deadline)
        task.cancel()
        await asyncio.wait([task])

    assert (2 if stack else 1, 1) == (events[-1].attempts, events[-1].writes)
    assert deadline == now()


@pytest.mark.parametrize(
    ("writes", "reply", "seconds"), [(0, NOT_SENT, 0.25), (1, LOST, 0.25), (1, LOST, 5.0)]
)
async def test_a_wait_that_is_cut_off_counts_for_nothing(
    writes: int, reply: Reply, seconds: float
) -> None:
    """What was not under way when the call ended is not counted."""
    events: list[cfsso.Event] = []
    inner = Timed(reply, failure(500))
    connectors = over(inner, max_wait=60.0, on_event=events.append)
    task = asyncio.ensure_future(enable(connectors))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])

    assert writes == events[-1].writes
    assert len(inner.times) == events[-1].attempts


async def test_a_run_reads_back_a_write_that_was_cut_off() -> None:
    """A target whose write was under way at the deadline is read, and green if it was done."""
    cloud = cfsso.CloudflareEmulator(seed=1)
    account = cloud.add_account()
    key = cloud.add_connector(account, email_domain="d.example", status="verified").id
    faulty = FaultyTransport(cfsso.InMemoryTransport(cloud))
    faulty.on(delay_answer(200.0), method="PATCH")
    change = Change(account, key, enabled=True)
    outcomes = [outcome async for outcome in apply(over(faulty, deadline=120.0), [change])]

    assert [(OutcomeStatus.CHANGED, 1)] == [(each.status, each.attempts) for each in outcomes]
    assert ["GET", "PATCH", "GET"] == [request.method for request in cloud.requests]


async def test_a_foreign_exception_of_a_retry_counts() -> None:
    """A write that a transport lost in its own way may have happened, also as a second attempt."""
    events: list[cfsso.Event] = []
    connectors = over(Timed(NOT_SENT, ZeroDivisionError()), on_event=events.append)
    error = await fail(connectors, "begin_verification")

    assert WriteState.UNKNOWN is error.write
    assert (2, 1) == (events[-1].attempts, events[-1].writes)
