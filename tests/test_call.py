"""One call: its deadline, its waits, what it says when time is up, and who watches it."""

import asyncio
import logging
from typing import Any

import pytest
from scripted import ACCOUNT, Scripted, failure, success

import cfsso
from cfsso import EventKind
from cfsso.transports._call import NEVER, Call, current

pytestmark = pytest.mark.virtual_time

GET = cfsso.Request("GET", f"/accounts/{ACCOUNT}/sso_connectors")
PATCH = cfsso.Request("PATCH", f"/accounts/{ACCOUNT}/sso_connectors/{'c' * 32}", b"{}")
DOUBT = cfsso.InternalServerError(
    "500 from it", write=cfsso.WriteState.UNKNOWN, status=500, ray_id="ray", request=PATCH
)


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


def of(**members: Any) -> Call:
    """Return a call."""
    return Call(operation="test", **members)


async def give(value: Any) -> Any:
    """Return *value* after a turn of the loop."""
    await asyncio.sleep(0)
    return value


async def test_a_call_is_found_from_within() -> None:
    """What runs in a call finds it, also from a task of its own; outside there is a free one."""

    async def look() -> Call:
        # As asyncio.wait_for of Python 3.11 does.
        return await asyncio.create_task(give_current())

    async def give_current() -> Call:
        return current()

    call = of(urgent=True)
    assert call is await call.run(look())
    outside = current()
    assert (None, None, False) == (outside.deadline, outside.max_wait, outside.urgent)
    assert outside is not current()
    assert (NEVER, NEVER) == (outside.left(), outside.may_wait())


async def test_a_call_within_a_call() -> None:
    """Each has its own; the outer one is back afterwards."""
    outer, inner = of(), of()

    async def main() -> tuple[Call, Call, Call]:
        return current(), await inner.run(give_current()), current()

    async def give_current() -> Call:
        return current()

    assert (outer, inner, outer) == await outer.run(main())


async def test_calls_side_by_side() -> None:
    """Calls of different tasks don't see each other."""

    async def look() -> Call:
        await asyncio.sleep(1)
        return current()

    calls = [of() for _ in range(10)]
    assert calls == await asyncio.gather(*(call.run(look()) for call in calls))


async def test_a_task_that_a_call_left_behind() -> None:
    """What goes on after a call has ended is no part of it, and can't change its deadline."""
    call = of(deadline=1.0)
    left: list[asyncio.Task[Any]] = []

    async def later() -> Call:
        with call.waiting(5.0, "rate limit", limited=True):
            await asyncio.sleep(5)
        return current()

    async def main() -> None:
        left.append(asyncio.create_task(later()))
        await asyncio.sleep(0.5)

    await call.run(main())
    assert call is not await left[0]


@pytest.mark.parametrize(
    ("write", "request_", "held"),
    [
        (None, GET, False),
        (None, GET, True),
        (cfsso.WriteState.NOT_SENT, PATCH, True),
        (cfsso.WriteState.UNKNOWN, PATCH, False),
        (None, None, True),
    ],
)
async def test_the_deadline(
    write: cfsso.WriteState | None,
    request_: cfsso.Request | None,
    held: bool,  # noqa: FBT001
) -> None:
    """When time is up, the error says whether the write can have left."""
    call = of(deadline=2.5, request=request_, held=held)
    with pytest.raises(cfsso.APITimeoutError) as caught:
        await call.run(asyncio.sleep(10))

    assert 2.5 == now()
    assert f"{request_}: no result within the deadline of 2.5 s" == str(caught.value)
    assert (write, request_) == (caught.value.write, caught.value.request)


async def test_the_deadline_while_in_doubt() -> None:
    """A write in doubt stays one when time is up, with all that its answer said."""
    call = of(deadline=2, doubt=DOUBT)
    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await call.run(asyncio.sleep(10))

    error = caught.value
    said = "may or may not have happened: 500 from it; no result within the deadline of 2 s"
    assert said == str(error)
    assert ("unknown", 500, "ray", PATCH) == (
        error.write,
        error.status,
        error.ray_id,
        error.request,
    )
    assert (cfsso.Settlement.UNKNOWN, "unknown") == (call.settlement, error.settlement)


async def test_no_time_at_all() -> None:
    """A deadline of 0 ends a call at its first wait; what needs none succeeds."""

    async def at_once() -> int:
        return 7

    assert 7 == await of(deadline=0).run(at_once())
    with pytest.raises(cfsso.APITimeoutError):
        await of(deadline=0).run(asyncio.sleep(1))
    assert 0.0 == now()


async def test_a_cancellation_is_no_timeout() -> None:
    """A call that is cancelled before its deadline ends as cancelled."""
    task = asyncio.ensure_future(of(deadline=5).run(asyncio.sleep(10)))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()


async def test_a_timeout_of_the_caller_is_its_own() -> None:
    """A timeout around a call stays the caller's, even at the same moment."""
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(1):
            await of(deadline=2).run(asyncio.sleep(10))
    assert not isinstance(caught.value, cfsso.CfssoError)


async def test_waits_for_limits_and_the_deadline() -> None:
    """Without a bound for them, waits for limits stop the deadline; other waits don't."""
    call = of(deadline=10.0)

    async def work() -> None:
        await call.sleep(100.0, "rate limit", limited=True)
        assert 10.0 == call.left()
        await call.sleep(4.0, "retry")
        await call.sleep(1000.0, "rate limit", limited=True)
        assert 6.0 == call.left()
        assert NEVER == call.may_wait()
        await asyncio.sleep(100)

    with pytest.raises(cfsso.APITimeoutError):
        await call.run(work())
    assert 1110.0 == now()
    assert 1104.0 == call.waited


async def test_waits_that_are_bounded_count() -> None:
    """With a bound, waits for limits use up both the bound and the deadline."""
    call = of(deadline=10.0, max_wait=8.0)

    async def work() -> list[float]:
        found = [call.may_wait()]
        await call.sleep(3.0, "rate limit", limited=True)
        found.append(call.may_wait())
        await call.sleep(4.0, "retry")
        found.append(call.may_wait())
        return found

    assert [8.0, 5.0, 3.0] == await call.run(work())
    assert 7.0 == call.waited


async def test_a_wait_that_is_cancelled_counts_as_long_as_it_was() -> None:
    """The deadline goes on by what it had left, also if a wait ends early."""
    call = of(deadline=10.0)

    async def work() -> float:
        try:
            async with asyncio.timeout(3.0):
                await call.sleep(100.0, "rate limit", limited=True)
        except TimeoutError:
            return call.left()
        return 0.0

    assert 10.0 == await call.run(work())
    assert 3.0 == call.waited


async def test_whoever_swallows_the_cancellation() -> None:
    """A transport that goes on when time is up does not stop the deadline by a wait."""
    call = of(deadline=1.0)

    async def work() -> float:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await call.sleep(5.0, "rate limit", limited=True)
        return call.left()

    assert -5.0 == await call.run(work())


async def test_attempts_are_counted() -> None:
    """All requests count; those that may have written count as writes."""
    call = of()
    unsent = cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT)
    lost = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
    for outcome in (success(), failure(429), lost, unsent, ValueError("foreign")):
        call.attempted(GET, outcome, 0.0)
        call.attempted(PATCH, outcome, 0.0)

    assert (10, 4) == (call.attempts, call.writes)


@pytest.mark.parametrize(("expected", "held"), [((1, 1), False), ((0, 0), True)])
@pytest.mark.parametrize("deadline", [None, 1.0], ids=["cancelled", "out of time"])
async def test_what_was_under_way_at_the_end(
    expected: tuple[int, int],
    held: bool,  # noqa: FBT001
    deadline: float | None,
) -> None:
    """A request whose end nobody saw counts, unless it had not left; so does the last event."""
    events: list[cfsso.Event] = []
    call = of(request=PATCH, held=held, deadline=deadline, on_event=events.append)
    with pytest.raises((TimeoutError, cfsso.APITimeoutError)):
        async with asyncio.timeout(5):
            await call.run(asyncio.sleep(10))

    assert expected == (call.attempts, call.writes)
    assert [(EventKind.END, *expected)] == [(e.kind, e.attempts, e.writes) for e in events]


async def test_nothing_is_under_way_during_a_wait() -> None:
    """A call that ends while it waits had nothing on its way."""
    call = of(request=PATCH, held=False, deadline=1.0)
    with pytest.raises(cfsso.APITimeoutError):
        await call.run(call.sleep(5.0, "settle"))

    assert (0, 0) == (call.attempts, call.writes)


async def test_whoever_watches() -> None:
    """Each event tells what happened, and the sums so far; the end comes last."""
    events: list[cfsso.Event] = []
    call = of(account_id="a", sso_connector_id="c", on_event=events.append)
    error = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)

    async def work() -> None:
        call.attempted(PATCH, failure(429), 0.25)
        await call.sleep(3.0, "rate limit")
        call.attempted(PATCH, error, 0.5)
        raise error

    with pytest.raises(cfsso.APIConnectionError):
        await call.run(work())

    sums: dict[str, Any] = {"operation": "test", "account_id": "a", "sso_connector_id": "c"}
    attempt: dict[str, Any] = {"kind": EventKind.ATTEMPT, "request": PATCH, **sums}
    assert [
        cfsso.Event(status=429, seconds=0.25, attempts=1, writes=1, **attempt),
        cfsso.Event(
            kind=EventKind.WAIT, seconds=3.0, reason="rate limit", attempts=1, writes=1, **sums
        ),
        cfsso.Event(seconds=0.5, attempts=2, writes=2, waited=3.0, error=error, **attempt),
        cfsso.Event(
            kind=EventKind.END, seconds=3.0, attempts=2, writes=2, waited=3.0, error=error, **sums
        ),
    ] == events


async def test_a_watcher_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What a watcher raises is logged, and the call does not notice."""

    def fail(_event: cfsso.Event) -> None:
        raise LookupError("watcher")

    call = of(on_event=fail)

    async def work() -> int:
        await call.sleep(1.0, "retry")
        return 7

    assert 7 == await call.run(work())
    assert [("cfsso", logging.ERROR, "on_event failed")] * 2 == caplog.record_tuples


async def test_nobody_watches() -> None:
    """Without a watcher nothing is told, and no event is made."""
    call = of()
    call.tell(EventKind.WARNING, nonsense=True)
    assert 7 == await call.run(give(7))


@pytest.mark.parametrize("given", [None, 30.0])
def test_an_unconfirmed_write(given: float | None) -> None:
    """The time to wait is the read's if it named one, else that of the doubtful answer."""
    doubt = cfsso.InternalServerError("x", write=cfsso.WriteState.UNKNOWN, retry_after=5.0)
    error = of().unconfirmed(doubt, "said", cfsso.Settlement.CONFLICT, None, given)

    assert (5.0 if given is None else given) == error.retry_after
    assert cfsso.Settlement.CONFLICT == error.settlement


async def test_many_calls_over_one_transport() -> None:
    """Calls at the same time over the same transports keep their counts apart."""
    limit = cfsso.RateLimit(requests=3, seconds=10.0)
    paced = cfsso.PacingTransport(Scripted(success([])), rate_limit=limit)
    transport = cfsso.RetryingTransport(paced)
    calls = [of(max_wait=wait) for wait in (None, 0.0, 15.0) * 4]
    results = await asyncio.gather(
        *(call.run(transport.send(GET)) for call in calls), return_exceptions=True
    )

    served = [isinstance(result, cfsso.Response) for result in results]
    # The first three at once; then those who may wait, three after each window.
    assert [int(was) for was in served] == [call.attempts for call in calls]
    assert [0.0] * 3 + [10.0] * 3 + [20.0] == sorted(
        call.waited for call, was in zip(calls, served, strict=True) if was
    )


@pytest.mark.parametrize(
    "reply",
    [
        failure(429, retry_after="10"),
        cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT),
    ],
    ids=["429", "not sent"],
)
async def test_a_deadline_between_two_attempts(reply: Any) -> None:
    """While a write that was not taken waits to be sent again, nothing of it is on its way."""
    transport = cfsso.RetryingTransport(Scripted(reply))
    call = of(deadline=100.0, max_wait=60.0, request=PATCH)
    # It ends sooner than it looked when the pause began.
    asyncio.get_running_loop().call_later(0.1, call._move_deadline, 0.2)
    with pytest.raises(cfsso.APITimeoutError) as caught:
        await call.run(transport.send(PATCH))

    assert 0.2 == now()
    assert cfsso.WriteState.NOT_SENT == caught.value.write


async def test_a_deadline_before_anything_is_sent() -> None:
    """A write that waits for its credential, or for a place, has not left."""

    async def slow(_account_id: str) -> str:
        await asyncio.sleep(5)
        return "key"

    paced = cfsso.PacingTransport(Scripted(success()), credential=slow)
    with pytest.raises(cfsso.APITimeoutError) as caught:
        await of(deadline=1.0, request=PATCH, held=False).run(paced.send(PATCH))

    assert cfsso.WriteState.NOT_SENT == caught.value.write


async def test_a_deadline_that_comes_twice_is_one() -> None:
    """A call that was ended already, and is told so again, ends as it was to end."""

    async def work() -> None:
        try:
            await asyncio.sleep(100.0)
        finally:
            current().expire()

    with pytest.raises(cfsso.APITimeoutError):
        await of(deadline=1.0).run(work())
    assert 1.0 == now()
