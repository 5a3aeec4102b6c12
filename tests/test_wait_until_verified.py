"""Waiting for a verification: how often it looks, what ends it, and what does not."""

import asyncio
import itertools
import logging
from typing import Any

import pytest
from scripted import ACCOUNT, CONNECTOR, DOMAIN, failure, respond, shown, success

import cfsso
from cfsso import VerificationStatus as Status
from cfsso import WriteState
from cfsso.testing import FaultyTransport, refuse_connection

pytestmark = pytest.mark.virtual_time

Reply = cfsso.Response | Exception
CODE = "cloudflare_dashboard_sso=0b7d3c1e"
LOST = cfsso.APIConnectionError("lost", write=WriteState.UNKNOWN)
NOT_SENT = cfsso.APIConnectionError("no way", write=WriteState.NOT_SENT)
TWO_DAYS = 2 * 86_400.0
BEGUN = success()


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


def at(status: str | None, moment: int = 1) -> cfsso.Response:
    """Return a connector in that status, as it was written at that second."""
    verification = {"code": CODE} | ({} if status is None else {"status": status})
    written = f"2026-03-04T11:00:{moment:02}.0000Z"
    return success(shown(enabled=False, verification=verification, updated_on=written))


class Timed:
    """A transport that replies in turn, the last reply for ever, and keeps when it was asked."""

    def __init__(self, *replies: Reply, seconds: float = 0.0) -> None:
        self._replies = list(replies)
        self._seconds = seconds
        self.seen: list[tuple[float, str]] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Give the next reply after a while."""
        self.seen.append((now(), request.method))
        await asyncio.sleep(self._seconds)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def aclose(self) -> None:
        """Hold nothing."""

    @property
    def times(self) -> list[float]:
        """When it was asked."""
        return [moment for moment, _ in self.seen]

    @property
    def methods(self) -> list[str]:
        """What it was asked."""
        return [method for _, method in self.seen]


async def wait(transport: cfsso.Transport, **options: Any) -> cfsso.SSOConnector:
    """Wait until the connector is verified."""
    connectors = cfsso.AsyncSSOConnectors(transport)
    return await connectors.wait_until_verified(CONNECTOR, account_id=ACCOUNT, **options)


async def fail(transport: cfsso.Transport, **options: Any) -> Any:
    """Return the error in which the wait must end."""
    with pytest.raises(cfsso.CfssoError) as caught:
        await wait(transport, **options)
    return caught.value


async def test_what_is_verified_is_returned_at_once() -> None:
    """One look is enough for a verified connector, and nothing is written."""
    transport = Timed(at("verified"))

    found = await wait(transport, restart=True)

    assert (Status.VERIFIED, DOMAIN) == (found.verification.status, found.email_domain)
    assert [(0.0, "GET")] == transport.seen


async def test_what_has_failed_is_returned_too() -> None:
    """A failed verification is a result, not an error."""
    transport = Timed(at("pending"), at("failed", 2))

    found = await wait(transport)

    assert Status.FAILED is found.verification.status
    assert ["GET", "GET"] == transport.methods


async def test_the_pauses_grow_to_five_minutes() -> None:
    """It looks at once, after 5 s, and then in pauses that grow by half up to 300 s."""
    transport = Timed(*[at("pending")] * 16, at("verified"))

    await wait(transport)

    pauses = [after - before for before, after in itertools.pairwise(transport.times)]
    assert [5.0, 7.5, 11.25] == pauses[:3]
    assert all(long == min(1.5 * short, 300.0) for short, long in itertools.pairwise(pauses))
    assert [300.0] * 4 == pauses[-4:]


async def test_an_interval_beyond_five_minutes_does_not_shrink() -> None:
    """Whoever asks for longer pauses gets them."""
    transport = Timed(at("pending"), at("pending"), at("pending"), at("verified"))

    await wait(transport, interval=600.0)

    assert [0.0, 600.0, 1200.0, 1800.0] == transport.times


@pytest.mark.parametrize("status", ["awaiting", "pending", "odd\x1b[2J", None])
async def test_nothing_else_ends_it(status: str | None) -> None:
    """While nobody searches, or with a status of the future or none, it goes on looking."""
    transport = Timed(*[at(status)] * 3, at("verified"))

    assert Status.VERIFIED is (await wait(transport)).verification.status
    assert ["GET"] * 4 == transport.methods


async def test_it_lasts_longer_than_cloudflare_looks() -> None:
    """Unless told otherwise it sees Cloudflare give up after two days."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None)
    account = cloud.add_account()
    seeded = cloud.add_connector(account, email_domain=DOMAIN, status="pending")
    connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud))

    found = await connectors.wait_until_verified(seeded.id, account_id=account)

    assert Status.FAILED is found.verification.status
    assert TWO_DAYS <= now() <= TWO_DAYS + 300.0
    assert 600 > len(cloud.requests)


async def test_the_default_deadline() -> None:
    """After 49 hours it ends, whatever happens."""
    error = await fail(Timed(at("pending")))

    assert cfsso.APITimeoutError is type(error)
    assert 176_400.0 == now()


async def test_no_deadline() -> None:
    """Without a deadline it goes on for as long as it takes."""
    transport = Timed(*[at("pending")] * 2000, at("verified"))

    await wait(transport, deadline=None)

    assert 3 * TWO_DAYS < now()


async def test_the_deadline_says_how_long_and_what_was_seen() -> None:
    """The error names the connector, the seconds and the last status, and has no cause."""
    transport = Timed(at("pending"))

    error = await fail(transport, deadline=60.0)

    assert f"connector {CONNECTOR} was not verified within 60 s; last seen: pending" == str(error)
    assert (None, None) == (error.__cause__, error.write)
    assert 60.0 == now()


async def test_the_last_look_comes_shortly_before_the_deadline() -> None:
    """What is verified one interval before the deadline is seen, however long pauses have got."""
    transport = Timed(at("pending"))

    await fail(transport, deadline=60.0)

    assert [0.0, 5.0, 12.5, 23.75, 40.625, 55.0] == transport.times


async def test_text_of_the_server_is_escaped() -> None:
    """A status of the future is named in the error without its control characters."""
    error = await fail(Timed(at("odd\x1b[2J")), deadline=1.0)

    assert str(error).endswith("; last seen: odd\\x1b[2J")


async def test_a_status_that_was_never_told() -> None:
    """An answer without a status is said to have had none."""
    error = await fail(Timed(at(None)), deadline=1.0)

    assert str(error).endswith("; last seen: no status")


@pytest.mark.parametrize(
    "reply",
    [
        NOT_SENT,
        cfsso.APITimeoutError("late"),
        failure(500),
        failure(503),
        failure(408),
        failure(425),
        failure(429),
        respond(b"<html>"),
        success([]),
    ],
)
async def test_what_may_pass_does_not_end_it(reply: Reply) -> None:
    """Lost connections, server errors, limits and answers that can't be read are sat out."""
    transport = Timed(at("pending"), reply, reply, at("verified"))

    assert Status.VERIFIED is (await wait(transport)).verification.status


async def test_what_may_pass_is_the_cause_at_the_deadline() -> None:
    """If the last look failed the error says why, besides what was seen before."""
    error = await fail(Timed(at("pending"), NOT_SENT), deadline=20.0)

    assert str(error).endswith("; last seen: pending; the last request failed: no way")
    assert NOT_SENT is error.__cause__


async def test_what_was_never_seen() -> None:
    """If no look ever showed anything the error says so."""
    error = await fail(Timed(NOT_SENT), deadline=20.0)

    assert "within 20 s; it was never seen; the last request failed: no way" in str(error)


async def test_a_failure_that_was_followed_by_a_look_is_no_cause() -> None:
    """What failed before the last look has no part in the error."""
    error = await fail(Timed(NOT_SENT, at("pending")), deadline=20.0)

    assert str(error).endswith("; last seen: pending")
    assert error.__cause__ is None


def broken_for_good() -> cfsso.APIConnectionError:
    """Return an error that will not pass, such as a wrong certificate."""
    error = cfsso.APIConnectionError("TLS failed")
    error.retryable = False
    return error


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failure(400), cfsso.BadRequestError),
        (failure(401), cfsso.AuthenticationError),
        (failure(403), cfsso.PermissionDeniedError),
        (failure(404), cfsso.NotFoundError),
        (failure(409), cfsso.ConflictError),
        (failure(422), cfsso.UnprocessableEntityError),
        (failure(302), cfsso.APIStatusError),
        (broken_for_good(), cfsso.APIConnectionError),
        (cfsso.InvalidRequestError("no token"), cfsso.InvalidRequestError),
    ],
)
async def test_what_will_not_pass_ends_it(reply: Reply, kind: type[cfsso.CfssoError]) -> None:
    """A refusal is raised as it is, at once."""
    transport = Timed(at("pending"), reply)

    error = await fail(transport)

    assert kind is type(error)
    assert [0.0, 5.0] == transport.times


async def test_no_look_comes_before_a_promised_time() -> None:
    """After an answer that asks to wait the next look comes then, not earlier."""
    transport = Timed(failure(429, retry_after="300"), at("verified"))

    await wait(transport)

    assert [0.0, 300.0] == transport.times


async def test_a_promised_time_beyond_the_deadline() -> None:
    """The look that would come before the deadline is not made if a limit forbids it."""
    transport = Timed(failure(429, retry_after="300"))

    error = await fail(transport, deadline=60.0)

    assert [0.0] == transport.times
    assert cfsso.RateLimitError is type(error.__cause__)
    assert 60.0 == now()


async def test_a_wait_for_a_limit_counts() -> None:
    """Time that a call spends in the queue of a limit is part of the deadline."""
    limit = cfsso.RateLimit(requests=1, seconds=300.0)
    transport = cfsso.PacingTransport(Timed(at("pending")), rate_limit=limit)

    error = await fail(transport, deadline=100.0)

    assert cfsso.APITimeoutError is type(error)
    assert 100.0 == now()


async def test_a_look_that_never_ends_is_cut_off() -> None:
    """The deadline ends a look that is under way."""
    error = await fail(Timed(at("pending"), seconds=1e6), deadline=60.0)

    assert "it was never seen" in str(error)
    assert 60.0 == now()


async def test_each_look_has_the_deadline_of_a_call() -> None:
    """A look that hangs ends by the connectors' own deadline, and the next one follows."""
    transport = Timed(at("pending"), seconds=1e6)
    connectors = cfsso.AsyncSSOConnectors(transport, deadline=10.0)

    with pytest.raises(cfsso.APITimeoutError) as caught:
        await connectors.wait_until_verified(CONNECTOR, account_id=ACCOUNT, deadline=60.0)

    assert [0.0, 15.0, 32.5, 53.75] == transport.times
    assert "no result within the deadline of 10 s" in str(caught.value.__cause__)


@pytest.mark.parametrize("status", ["awaiting", "failed"])
async def test_restart_begins_an_idle_search(status: str) -> None:
    """If nobody searches at the first look the search is begun, once."""
    transport = Timed(at(status), BEGUN, at("pending", 2), at("failed", 3))

    found = await wait(transport, restart=True)

    assert Status.FAILED is found.verification.status
    assert ["GET", "POST", "GET", "GET"] == transport.methods
    assert [0.0, 0.0, 5.0, 12.5] == transport.times


async def test_restart_leaves_a_search_alone() -> None:
    """A search under way is not begun again, not even once it has failed."""
    transport = Timed(at("pending"), at("failed", 2))

    assert Status.FAILED is (await wait(transport, restart=True)).verification.status
    assert ["GET", "GET"] == transport.methods


async def test_without_restart_nothing_is_written() -> None:
    """An idle search is only watched unless it is asked for more."""
    transport = Timed(at("awaiting"), at("failed", 2))

    await wait(transport)

    assert ["GET", "GET"] == transport.methods


async def test_the_first_look_may_come_late() -> None:
    """The first look is the first one that shows something."""
    transport = Timed(NOT_SENT, at("failed"), BEGUN, at("verified", 2))

    await wait(transport, restart=True)

    assert ["GET", "GET", "POST", "GET"] == transport.methods


async def test_an_old_state_is_not_the_end_of_a_new_search() -> None:
    """Reads that lag behind the restart show the old failure, which is not returned."""
    transport = Timed(at("failed"), BEGUN, at("failed"), at("failed"), at("verified", 2))

    found = await wait(transport, restart=True)

    assert Status.VERIFIED is found.verification.status


async def test_an_old_state_that_stays_is_what_is() -> None:
    """If reads show the same failure for half a minute the restart did nothing."""
    transport = Timed(at("failed"), BEGUN, at("failed"))

    found = await wait(transport, restart=True)

    assert Status.FAILED is found.verification.status
    assert [0.0, 0.0, 5.0, 12.5, 23.75, 40.625] == transport.times


@pytest.mark.parametrize("reply", [NOT_SENT, failure(429)])
async def test_a_restart_that_was_not_taken_up_is_made_later(reply: Reply) -> None:
    """What surely did not reach Cloudflare is no restart: the next look makes one."""
    transport = Timed(at("failed"), reply, at("failed"), BEGUN, at("verified", 2))

    await wait(transport, restart=True)

    assert ["GET", "POST", "GET", "POST", "GET"] == transport.methods


async def test_a_restart_that_was_taken_up_is_no_doubt() -> None:
    """At the deadline there is nothing to say of a write that was answered."""
    error = await fail(Timed(at("awaiting"), BEGUN, at("pending", 2)), restart=True, deadline=60.0)

    assert (cfsso.APITimeoutError, None) == (type(error), error.write)


@pytest.mark.parametrize("reply", [LOST, failure(500)])
async def test_a_restart_in_doubt_is_not_repeated(reply: Reply) -> None:
    """Looks show what became of it, and whoever gives up learns that it may have happened."""
    transport = Timed(at("awaiting"), reply, at("awaiting"))

    error = await fail(transport, restart=True, deadline=60.0)

    assert 1 == transport.methods.count("POST")
    assert WriteState.UNKNOWN is error.write


async def test_a_restart_that_is_refused_ends_it() -> None:
    """What Cloudflare does not allow is raised as it is."""
    error = await fail(Timed(at("failed"), failure(403), at("failed")), restart=True)

    assert (cfsso.PermissionDeniedError, WriteState.REFUSED) == (type(error), error.write)


async def test_a_restart_that_never_ends_is_cut_off() -> None:
    """A restart under way at the deadline may have happened."""

    class Stuck(Timed):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            response = await super().send(request)
            if request.is_write:
                await asyncio.Event().wait()
            return response

    error = await fail(Stuck(at("failed")), restart=True, deadline=60.0)

    assert (cfsso.APITimeoutError, WriteState.UNKNOWN) == (type(error), error.write)
    assert 60.0 == now()


async def test_a_cancellation_passes() -> None:
    """Whoever cancels a wait gets a cancellation, and no further look is made."""
    transport = Timed(at("pending"))
    task = asyncio.create_task(wait(transport))

    await asyncio.sleep(6.0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [0.0, 5.0] == transport.times


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"deadline": -1.0}, "deadline must be seconds from 0, or None, not -1.0"),
        ({"deadline": "60"}, "deadline must be seconds from 0, or None, not '60'"),
        ({"deadline": float("nan")}, "deadline must be seconds from 0, or None, not nan"),
        ({"interval": 0}, "interval must be seconds above 0, not 0"),
        ({"interval": None}, "interval must be seconds above 0, not None"),
        ({"interval": float("inf")}, "interval must be seconds above 0, not inf"),
        ({"interval": True}, "interval must be seconds from 0, or None, not True"),
        ({"restart": None}, "restart must be True or False, not NoneType"),
    ],
)
async def test_bad_arguments_are_refused(options: dict[str, Any], problem: str) -> None:
    """What can't be used is refused before anything is sent."""
    transport = Timed(at("verified"))

    error = await fail(transport, **options)

    assert (cfsso.InvalidRequestError, problem) == (type(error), str(error))
    assert [] == transport.seen


async def test_bad_ids_are_refused() -> None:
    """An id that can't be one is refused before anything is sent."""
    transport = Timed(at("verified"))
    connectors = cfsso.AsyncSSOConnectors(transport)

    with pytest.raises(cfsso.InvalidRequestError, match="sso_connector_id must be 32"):
        await connectors.wait_until_verified("x", account_id=ACCOUNT)
    assert [] == transport.seen


async def test_whoever_watches_sees_each_look() -> None:
    """Each look but the last is told with the seconds until the next one."""
    looks: list[tuple[object, float]] = []
    transport = Timed(at("awaiting"), BEGUN, NOT_SENT, at("pending", 2), at("verified", 3))

    await wait(
        transport, restart=True, on_look=lambda found, seconds: looks.append((found, seconds))
    )

    statuses = [
        found.verification.raw_status if isinstance(found, cfsso.SSOConnector) else found
        for found, _ in looks
    ]
    assert ["awaiting", NOT_SENT, "pending"] == statuses
    assert [5.0, 7.5, 11.25] == [seconds for _, seconds in looks]


async def test_a_watcher_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What the watcher raises is logged, and the wait goes on."""

    def fails(_found: object, _seconds: float) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "cfsso"):
        await wait(Timed(at("pending"), at("verified")), on_look=fails)

    assert ["on_look failed"] == [record.message for record in caplog.records]


async def test_the_looks_are_ordinary_calls() -> None:
    """Each look is told to the connectors' own watcher, and is retried like any other."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, poll=1.0)
    account = cloud.add_account()
    seeded = cloud.add_connector(account, email_domain=DOMAIN, status="pending")
    assert seeded.verification.code
    cloud.dns[DOMAIN] = [seeded.verification.code]
    faulty = FaultyTransport(cfsso.InMemoryTransport(cloud))
    faulty.on(refuse_connection)
    events: list[cfsso.Event] = []
    connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(faulty), on_event=events.append)

    found = await connectors.wait_until_verified(seeded.id, account_id=account)

    assert Status.VERIFIED is found.verification.status
    ends = [event for event in events if event.kind is cfsso.EventKind.END]
    assert [("get", 2), ("get", 1)] == [(event.operation, event.attempts) for event in ends]
