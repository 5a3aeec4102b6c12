"""What a watcher is told of a call: which events, in which order, with what in them."""

import asyncio
import datetime as dt
import logging
from typing import Any

import attrs
import pytest
from scripted import (
    ACCOUNT,
    COLLECTION,
    CONNECTOR,
    ITEM,
    OPERATIONS,
    OTHER,
    READS,
    Scripted,
    failure,
    shown,
    success,
)

import cfsso
from cfsso import EventKind as Kind
from cfsso import Settlement

pytestmark = pytest.mark.virtual_time

LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
NOT_SENT = cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT)
OFF = shown(enabled=False)
BEFORE = cfsso.SSOConnector(
    id=CONNECTOR, enabled=False, updated_on=dt.datetime.fromisoformat(OFF["updated_on"])
)
FOREIGN = success(shown(enabled=False, updated_on="2026-03-05T00:00:00Z"))


class Slow(Scripted):
    """Takes half a second for each reply."""

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Give the next reply, late."""
        await asyncio.sleep(0.5)
        return await super().send(request)


def watched(transport: cfsso.Transport) -> tuple[cfsso.AsyncSSOConnectors, list[cfsso.Event]]:
    """Return connectors, and the events of their calls as they come."""
    events: list[cfsso.Event] = []
    return cfsso.AsyncSSOConnectors(transport, on_event=events.append), events


async def update(connectors: cfsso.AsyncSSOConnectors) -> cfsso.SSOConnector:
    """Enable the connector that was known to be disabled."""
    return await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=BEFORE)


def kinds(events: list[cfsso.Event]) -> list[str]:
    """Return the kinds alone."""
    return [str(event.kind) for event in events]


def counts(events: list[cfsso.Event]) -> list[tuple[int, int, float]]:
    """Return how many requests and writes there were so far, and how long was waited."""
    return [(event.attempts, event.writes, event.waited) for event in events]


async def test_a_plain_success() -> None:
    """A success is one attempt and the end, each with all that is known of it."""
    transport = Slow(success(shown()))
    connectors, events = watched(transport)

    await update(connectors)

    call: dict[str, Any] = {
        "operation": "update",
        "account_id": ACCOUNT,
        "sso_connector_id": CONNECTOR,
        "attempts": 1,
        "writes": 1,
        "seconds": 0.5,
    }
    attempt = cfsso.Event(kind=Kind.ATTEMPT, request=transport.requests[0], status=200, **call)
    assert [attempt, cfsso.Event(kind=Kind.END, **call)] == events


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_operation_tells(operation: str) -> None:
    """Whatever the operation, each event names it, and the end is the last, once."""
    reply = success(None if operation == "delete" else [shown()])
    connectors, events = watched(Scripted(reply))

    await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)

    assert ["attempt", "end"] == kinds(events)
    assert {operation} == {event.operation for event in events}
    named = None if operation in {"list", "create"} else CONNECTOR
    assert {(ACCOUNT, named)} == {(event.account_id, event.sso_connector_id) for event in events}
    assert (1, 0 if operation in READS else 1) == (events[-1].attempts, events[-1].writes)


async def test_what_was_refused_at_once() -> None:
    """What is refused before there is a call tells nothing."""
    connectors, events = watched(Scripted(success(shown())))

    with pytest.raises(cfsso.InvalidRequestError):
        await connectors.get("x", account_id=ACCOUNT)

    assert [] == events


@pytest.mark.parametrize(
    ("reply", "status", "writes"),
    [(failure(409), 409, 1), (NOT_SENT, None, 0), (cfsso.InvalidRequestError("closed"), None, 0)],
    ids=["refused", "not sent", "closed"],
)
async def test_a_failure(reply: Any, status: int | None, writes: int) -> None:
    """A failed call tells what ended it; a write that was not sent is none."""
    connectors, events = watched(Scripted(reply))

    with pytest.raises(cfsso.CfssoError) as caught:
        await update(connectors)

    assert ["attempt", "end"] == kinds(events)
    assert (status, (1, writes, 0.0)) == (events[0].status, counts(events)[0])
    assert (None if status else caught.value) is events[0].error
    assert caught.value is events[1].error
    assert (None, ()) == (events[1].settlement, events[1].warnings)


async def test_a_transport_that_fails_in_its_own_way() -> None:
    """What is none of our errors is an attempt as well."""
    connectors, events = watched(Scripted(ZeroDivisionError()))

    with pytest.raises(cfsso.APIConnectionError) as caught:
        await connectors.list(account_id=ACCOUNT)

    assert ["attempt", "end"] == kinds(events)
    assert caught.value is events[0].error is events[1].error
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_retry() -> None:
    """Each attempt is told once, with a wait between them that says why and how long."""
    connectors, events = watched(cfsso.RetryingTransport(Slow(failure(500), success([]))))

    await connectors.list(account_id=ACCOUNT)

    assert ["attempt", "wait", "attempt", "end"] == kinds(events)
    assert [500, None, 200, None] == [event.status for event in events]
    wait = events[1]
    assert ("retry", None, 0.0) == (wait.reason, wait.request, wait.waited)
    assert 0.25 <= wait.seconds <= 0.5
    assert [1, 1, 2, 2] == [event.attempts for event in events]
    assert pytest.approx(wait.seconds) == events[-1].waited
    assert pytest.approx(1.0 + wait.seconds) == events[-1].seconds


async def test_a_wait_for_a_limit() -> None:
    """A wait that an answer asked for says so."""
    limited = failure(429, retry_after="7")
    connectors, events = watched(cfsso.RetryingTransport(Scripted(limited, success(shown()))))

    await update(connectors)

    assert ["attempt", "wait", "attempt", "end"] == kinds(events)
    assert ("rate limit", 7.0) == (events[1].reason, events[1].seconds)
    assert (2, 2, 7.0) == counts(events)[-1]


async def test_a_doubt_that_was_settled() -> None:
    """The reads, the waits, the second try and what came of it are told in order."""
    off = success(OFF)
    connectors, events = watched(Scripted(LOST, *[off] * 5, success(shown())))

    await update(connectors)

    looks = ["attempt", "wait"] * 4
    assert ["attempt", *looks, "attempt", "attempt", "settle", "end"] == kinds(events)
    waits = [event for event in events if event.kind is Kind.WAIT]
    assert [("settle", seconds) for seconds in (2.0, 4.0, 8.0, 16.0)] == [
        (event.reason, event.seconds) for event in waits
    ]
    assert LOST is events[0].error
    assert [Settlement.APPLIED] * 2 == [event.settlement for event in events[-2:]]
    assert (7, 2, 30.0) == counts(events)[-1]
    assert None is events[-1].error


async def test_a_conflict() -> None:
    """A doubt that ends badly tells how, and the end has the error."""
    connectors, events = watched(Scripted(LOST, FOREIGN))

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await update(connectors)

    assert ["attempt", "attempt", "wait", "attempt", "settle", "end"] == kinds(events)
    assert [Settlement.CONFLICT] * 2 == [event.settlement for event in events[-2:]]
    assert [None, caught.value] == [event.error for event in events[-2:]]


async def test_a_deadline() -> None:
    """A deadline in the middle of a doubt ends the call, and the end says so."""
    connectors, events = watched(Slow(LOST, success(OFF)))

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await update(connectors.with_options(deadline=0.7))

    assert ["attempt", "end"] == kinds(events)
    assert (Settlement.UNKNOWN, 0.7) == (events[-1].settlement, events[-1].seconds)
    assert caught.value is events[-1].error


async def test_a_cancellation() -> None:
    """A cancelled call has an end as well."""
    connectors, events = watched(Slow(success(shown())))
    task = asyncio.create_task(update(connectors))

    await asyncio.sleep(0.2)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["end"] == kinds(events)
    assert (None, 0.2) == (events[0].error, events[0].seconds)


async def test_warnings() -> None:
    """Warnings of a success are told when they come, and all of them at the end."""
    first, second = {"code": 1, "message": "soon"}, {"code": 2, "message": "really"}
    wrong = success(shown(id=OTHER), messages=[first])
    connectors, events = watched(
        Scripted(wrong, success(shown(updated_on="2026-03-05T00:00:00Z"), errors=[second]))
    )

    await update(connectors)

    told = [event.warnings for event in events if event.kind is Kind.WARNING]
    codes = [[warning.code for warning in warnings] for warnings in told]
    assert [[1], [2]] == codes
    assert ["attempt", "warning", "attempt", "warning", "settle", "end"] == kinds(events)
    assert [1, 2] == [warning.code for warning in events[-1].warnings]


async def test_a_watcher_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What a watcher raises is logged and changes nothing."""

    def fail(event: cfsso.Event) -> None:
        raise ZeroDivisionError(event.kind)

    connectors = cfsso.AsyncSSOConnectors(Scripted(success(shown())), on_event=fail)

    assert (await update(connectors)).enabled
    expected = [("cfsso", logging.ERROR, "on_event failed")] * 2
    assert expected == caplog.record_tuples


async def test_calls_at_once() -> None:
    """Events of calls that overlap are told apart by what they name."""
    connectors, events = watched(Slow(success([shown()])))

    await asyncio.gather(
        connectors.list(account_id=ACCOUNT), connectors.get(CONNECTOR, account_id=ACCOUNT)
    )

    requests = {str(e.operation): str(e.request) for e in events if e.kind is Kind.ATTEMPT}
    assert {"list": f"GET {COLLECTION}", "get": f"GET {ITEM}"} == requests
    assert [1] * 4 == [event.attempts for event in events]


def test_an_event_can_not_be_changed() -> None:
    """Watchers can't get at the call through an event."""
    event = cfsso.Event(kind=Kind.END, operation="list", account_id=ACCOUNT)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.attempts = 5  # type: ignore[misc] # wrong on purpose
    assert ["attempt", "wait", "settle", "warning", "end"] == list(Kind)
