"""A limit that never ends: waits grow, are told, and keep to the bounds of a call."""

import asyncio
import itertools
from typing import Any

import pytest
from edges import answer, edge
from scripted import ACCOUNT, CONNECTOR, OPERATIONS, Scripted, failure, success

import cfsso
from cfsso.events import EventKind
from cfsso.testing import run_in_virtual_time
from cfsso.transports.pacing import PacingTransport
from cfsso.transports.retrying import again

PAST = "Mon, 02 Mar 2026 11:59:59 GMT"
NOON = "Mon, 02 Mar 2026 12:00:00 GMT"
# All of them say to come again at once.
REFUSALS: dict[str, cfsso.Response] = {
    "Retry-After: 0": failure(429, retry_after="0"),
    "Retry-After: 1": failure(429, retry_after="1"),
    "a date in the past": failure(429, retry_after=PAST, date=NOON),
    "of the edge": edge(429, 1015, retry_after=0),
    "of a proxy": answer(429, {"title": "Slower", "retry_after": 0.25}),
}
every_refusal = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)


class Refusing:
    """A transport that refuses everything until a time, and keeps when it was asked."""

    def __init__(self, refusal: cfsso.Response, until: float = float("inf")) -> None:
        self._refusal = refusal
        self._until = until
        self.times: list[float] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Refuse *request*."""
        del request
        now = asyncio.get_running_loop().time()
        self.times.append(now)
        return self._refusal if now < self._until else success([])

    async def aclose(self) -> None:
        """Have nothing to close."""

    @property
    def pauses(self) -> list[float]:
        """The seconds between two requests."""
        return [after - before for before, after in itertools.pairwise(self.times)]


def stack(inner: cfsso.Transport, paced: str) -> cfsso.Transport:
    """Return retries around *inner*, over its pacing or not."""
    limit = cfsso.RateLimit() if paced == "paced" else None
    return cfsso.RetryingTransport(
        inner if paced == "bare" else PacingTransport(inner, rate_limit=limit)
    )


every_stack = pytest.mark.parametrize("paced", ["bare", "paced", "unlimited"])


@every_refusal
@every_stack
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_call_ends_within_its_bounds(operation: str, paced: str, refusal: cfsso.Response) -> None:
    """A call that is refused for ever waits longer each time, and tells why before it may not."""
    inner = Refusing(refusal)
    events: list[cfsso.Event] = []
    connectors = cfsso.AsyncSSOConnectors(
        stack(inner, paced), deadline=120.0, max_wait=60.0, on_event=events.append
    )

    async def work() -> Any:
        """Do it."""
        return await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)

    with pytest.raises(cfsso.RateLimitError) as caught:
        run_in_virtual_time(work())

    assert 429 == caught.value.status
    assert inner.times[-1] <= 60.0
    assert len(inner.times) <= 8
    assert inner.pauses == sorted(inner.pauses)
    assert [event for event in events if event.kind is EventKind.WAIT]


@every_refusal
@every_stack
def test_waits_without_a_bound_grow_to_the_block(paced: str, refusal: cfsso.Response) -> None:
    """Without a bound it goes on for ever, ever slower down to the API's own block, and says so."""
    inner = Refusing(refusal, until=4000.0)
    waits: list[float] = []

    def watch(event: cfsso.Event) -> None:
        """Keep the waits."""
        if event.kind is EventKind.WAIT:
            waits.append(event.seconds)

    connectors = cfsso.AsyncSSOConnectors(stack(inner, paced), on_event=watch)
    assert () == run_in_virtual_time(connectors.list(account_id=ACCOUNT))

    assert len(inner.times) < 25
    assert inner.pauses == sorted(inner.pauses)
    assert 300.0 == max(inner.pauses)
    assert 4000.0 == pytest.approx(sum(waits), abs=300.0)


@pytest.mark.parametrize("seconds", [1, 30, 299])
def test_promises_that_are_kept_cost_nothing(seconds: int) -> None:
    """One refusal for the limit is waited for to the second, as is the next after a success."""
    refusal, done = failure(429, retry_after=str(seconds)), success([])
    transport = Scripted(refusal, done, refusal, done, refusal, done)
    connectors = cfsso.AsyncSSOConnectors(stack(transport, "paced"))

    async def work() -> float:
        """List the account three times, and return how long that took."""
        for _ in range(3):
            await connectors.list(account_id=ACCOUNT)
        return asyncio.get_running_loop().time()

    assert 3.0 * seconds == run_in_virtual_time(work())


def test_refusals_of_one_moment_are_one() -> None:
    """Many that were under way together, and are refused together, make no long wait."""
    inner = Refusing(failure(429, retry_after="2"), until=1.0)
    connectors = cfsso.AsyncSSOConnectors(stack(inner, "paced"))

    async def work() -> float:
        """List the account a hundred times at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(connectors.list(account_id=ACCOUNT))
        return asyncio.get_running_loop().time()

    assert 2.0 == run_in_virtual_time(work())


def test_an_exhausted_limit_of_no_time() -> None:
    """A limit that is exhausted for no time is a block."""
    plan = again(cfsso.Request("GET", "/a"), failure(429, ratelimit='"default";r=0;t=0'), 0, 1.0)

    assert plan is not None
    assert 300.0 == plan.seconds


@every_stack
@pytest.mark.parametrize("retry_after", ["0", PAST])
def test_a_busy_server_for_ever(paced: str, retry_after: str) -> None:
    """A read that is answered with 503 and no time is given up after four retries."""
    inner = Refusing(failure(503, retry_after=retry_after, date=NOON))
    connectors = cfsso.AsyncSSOConnectors(stack(inner, paced))

    with pytest.raises(cfsso.InternalServerError):
        run_in_virtual_time(connectors.list(account_id=ACCOUNT))

    assert 5 == len(inner.times)


@pytest.mark.parametrize("refusal", [REFUSALS["Retry-After: 0"], REFUSALS["of the edge"]])
def test_a_run_slows_down(refusal: cfsso.Response, tmp_path: Any) -> None:
    """A run that is refused for ever asks ever less often, whatever it has to do, and says so."""
    inner = Refusing(refusal)
    waits: list[float] = []

    def watch(event: cfsso.Event) -> None:
        """Keep the waits."""
        if event.kind is EventKind.WAIT:
            waits.append(event.seconds)

    connectors = cfsso.AsyncSSOConnectors(stack(inner, "paced"), on_event=watch)
    changes = [cfsso.fleet.Change(f"{n:032x}", CONNECTOR, enabled=n % 2 == 0) for n in range(50)]

    async def work() -> None:
        """Apply the changes for an hour."""
        run = cfsso.fleet.apply(connectors, changes, journal=tmp_path / "run.cfsso")
        try:
            async with asyncio.timeout(3600.0):
                async for _ in run:
                    pass
        except TimeoutError:
            await run.aclose()

    run_in_virtual_time(work())

    assert len(inner.times) < 50 + 30
    assert 300.0 == inner.pauses[-1]
    assert 300.0 in waits
