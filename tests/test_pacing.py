"""The limit of a credential is kept, whoever calls and however slow the answers are."""

import asyncio
import gc
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from paced import Jittery, ideal, usable, worst
from scripted import ACCOUNT, Scripted, failure, success

import cfsso
from cfsso.testing import VirtualTimeLoop
from cfsso.transports import pacing
from cfsso.transports._call import Call, current

pytestmark = pytest.mark.virtual_time

GET = cfsso.Request("GET", f"/accounts/{ACCOUNT}/sso_connectors")
PATCH = cfsso.Request("PATCH", f"/accounts/{ACCOUNT}/sso_connectors/{'c' * 32}", b"{}")
SMALL = cfsso.RateLimit(requests=2, seconds=10.0)
LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
UNSENT = cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT)
Reply = cfsso.Response | Exception


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


def windows() -> list[Any]:
    """Return the windows of this loop, the address's first."""
    lanes = pacing._lanes(asyncio.get_running_loop())
    return [lanes.address.window, *(lane.window for lane in lanes._by_key.values())]


class Timed(Scripted):
    """Gives replies after a while, and keeps when it was asked."""

    def __init__(self, *replies: cfsso.Response | Exception, seconds: float = 0.0) -> None:
        super().__init__(*replies)
        self.seconds = seconds
        self.times: list[float] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Give the next reply."""
        self.times.append(now())
        try:
            return await super().send(request)
        finally:
            await asyncio.sleep(self.seconds)


@attrs.define
class World:
    """Accounts on an emulator, each with a connector and a credential, and one way to them."""

    cloud: cfsso.CloudflareEmulator
    ways: list[tuple[cfsso.AsyncSSOConnectors, str, str]]

    @classmethod
    def of(
        cls,
        limit: cfsso.RateLimit,
        latency: float = 0.0,
        credentials: int = 1,
        max_wait: float | None = None,
    ) -> "World":
        """Let server and client have the same limit."""
        cloud = cfsso.CloudflareEmulator(rate_limit=limit, seed=1)
        ways = []
        for number in range(credentials):
            account = cloud.add_account()
            key = cloud.add_connector(
                account, email_domain=f"d{number}.example", status="verified"
            ).id
            wire = Jittery(cloud, latency, api_token=f"token-{number}")
            paced = cfsso.PacingTransport(wire, rate_limit=limit)
            retrying = cfsso.RetryingTransport(paced)
            ways.append((cfsso.AsyncSSOConnectors(retrying, max_wait=max_wait), account, key))
        return cls(cloud, ways)

    async def toggle(self, number: int) -> None:
        """Toggle a connector, each in its turn."""
        turn, way = divmod(number, len(self.ways))
        connectors, account, key = self.ways[way]
        await connectors.update(key, account_id=account, enabled=turn % 2 == 0)

    def times(self, number: int = 0) -> list[float]:
        """Return when the requests for an account arrived."""
        account = self.ways[number][1]
        return [entry.time for entry in self.cloud.requests if account in entry.path]


LIMITS = {
    "default": cfsso.RateLimit(),
    "narrow": cfsso.RateLimit(requests=50, seconds=20.0),
    "short": cfsso.RateLimit(requests=100, seconds=1.0),
    "one": cfsso.RateLimit(requests=1, seconds=0.2),
}


@pytest.mark.parametrize("latency", [0.0, 0.04, 2.0])
@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
async def test_no_429_of_our_own_making(limit: cfsso.RateLimit, latency: float) -> None:
    """Whatever the limit and the latency, calls at once overfill no window and leave none idle."""
    world = World.of(limit, latency)
    count = 5000 if limit == cfsso.RateLimit() else 1000
    await asyncio.gather(*map(world.toggle, range(count)))

    assert {200} == {entry.status for entry in world.cloud.requests}
    times = world.times()
    assert count == len(times)
    assert worst(times, limit.seconds) <= limit.requests
    assert worst(times, 1.0) <= pacing.ADDRESS_LIMIT.requests
    # One turn of a place is the window, and what an answer takes.
    best = ideal([count], usable(limit), usable(pacing.ADDRESS_LIMIT))
    turns = best / limit.seconds + best
    assert times[-1] <= 1.02 * best + latency * turns
    if latency <= 0.02 * limit.seconds:
        assert times[-1] <= best / 0.95


@pytest.mark.parametrize(("credentials", "latency"), [(1, 0.05), (8, 0.05), (8, 0.3)])
async def test_ten_thousand_toggles_take_as_long_as_they_must(
    credentials: int, latency: float
) -> None:
    """The last of ten thousand toggles is done within 1.02 of the time of a perfect plan."""
    limit = cfsso.RateLimit()
    world = World.of(limit, latency, credentials)
    count = 10_000
    await asyncio.gather(*map(world.toggle, range(count)))

    counts = [count // credentials] * credentials
    best = ideal(counts, usable(limit), usable(pacing.ADDRESS_LIMIT))
    assert now() <= 1.02 * best
    assert {200} == {entry.status for entry in world.cloud.requests}
    for number in range(credentials):
        assert worst(world.times(number), limit.seconds) <= limit.requests
    assert worst([entry.time for entry in world.cloud.requests], 1.0) <= 200


@pytest.mark.parametrize("callers", [50, 2000])
async def test_a_429_parks_all_callers(callers: int) -> None:
    """After somebody else's 429 nothing is sent for as long as it asks, then one, then all."""
    limit = cfsso.RateLimit(requests=3000, seconds=300.0)
    world = World.of(limit, 0.05)
    places = asyncio.Semaphore(callers)

    async def toggle(number: int) -> None:
        async with places:
            await world.toggle(number)

    async def use_up() -> None:
        """Be somebody else with the same token, who takes what is left and one more."""
        other = cfsso.InMemoryTransport(world.cloud, api_token="token-0")
        await asyncio.sleep(5)
        path = f"/accounts/{'f' * 32}/sso_connectors"
        while (await other.send(cfsso.Request("GET", path))).status != 429:
            pass

    await asyncio.gather(use_up(), *map(toggle, range(2000)))

    ours = [entry for entry in world.cloud.requests if world.ways[0][1] in entry.path]
    refused = [entry.time for entry in ours if entry.status == 429]
    after = [entry.time for entry in ours if entry.time > refused[0] + 0.05]
    assert 2000 == len(ours) - len(refused)
    # What was on its way when the first refusal came; then the probe.
    assert len(refused) <= 50
    assert after[0] >= refused[0] + 299.0
    assert after[0] - refused[0] <= 301.2
    assert worst(after[:2], 0.0001) == 1
    assert now() <= after[0] + len(after) / 200 * 1.05 + 1.0


async def test_an_answer_may_come_before_or_after_it_was_counted() -> None:
    """A place is taken until one window after the answer, not after the sending."""
    inner = Timed(success([]), seconds=3.0)
    paced = cfsso.PacingTransport(inner, rate_limit=SMALL)
    await asyncio.gather(*(paced.send(GET) for _ in range(6)))

    assert [0.0, 0.0, 13.0, 13.0, 26.0, 26.0] == inner.times


@pytest.mark.parametrize(
    ("free_at", "error"),
    [
        (40.0, LOST),
        (40.0, ValueError("foreign")),
        (10.0 + 35.0, LOST),
        (0.0, UNSENT),
        (0.0, cfsso.InvalidRequestError("closed")),
    ],
    ids=["lost", "foreign", "late", "unsent", "invalid"],
)
async def test_a_failure_is_counted_if_it_may_have_arrived(
    free_at: float, error: Exception
) -> None:
    """Without an answer a request counts from when its time was up; what was not sent, never."""
    limit = cfsso.RateLimit(requests=1, seconds=10.0)
    # The attempt may take longer than its time.
    inner = Timed(error, success([]), seconds=0.0 if free_at != 45.0 else 35.0)
    paced = cfsso.PacingTransport(inner, rate_limit=limit, timeout=30.0)
    with pytest.raises(type(error)):
        await paced.send(GET)
    inner.seconds = 0.0
    await paced.send(GET)

    assert free_at == inner.times[1]


async def test_a_cancelled_attempt_is_counted() -> None:
    """A request that was given up on its way may have arrived."""
    inner = Timed(success([]), seconds=5.0)
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(1, 10.0), timeout=30.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await paced.send(GET)
    await paced.send(GET)

    assert [0.0, 40.0] == inner.times


async def test_a_cancelled_wait_for_a_connection_is_not_counted() -> None:
    """What is known not to have left when it was given up takes no place."""

    class Waiting(Timed):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            current().held = len(self.times) == 0
            return await super().send(request)

    inner = Waiting(success([]), seconds=5.0)
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(1, 10.0), timeout=30.0)
    call = Call(operation="test")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await call.run(paced.send(GET))
    await paced.send(GET)

    assert [0.0, 1.0] == inner.times


async def test_what_disables_goes_first_then_what_was_begun() -> None:
    """Of those who wait, a call that disables is first, and a retry is before new calls."""
    seen: list[str] = []

    class Names(Timed):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            seen.append(request.path.rsplit("/", 1)[1])
            return await super().send(request)

    paced = cfsso.PacingTransport(Names(success([])), rate_limit=cfsso.RateLimit(1, 10.0))

    async def call(name: str, **members: Any) -> None:
        mine = Call(operation="test", **members)
        await mine.run(paced.send(cfsso.Request("GET", f"/{name}")))

    rows: list[tuple[str, dict[str, bool]]] = [
        ("first", {}),
        ("new-1", {}),
        ("begun-1", {"queued": True}),
        ("urgent-1", {"urgent": True}),
        ("new-2", {}),
        ("urgent-2", {"urgent": True}),
        ("begun-2", {"queued": True}),
    ]
    await asyncio.gather(*(call(name, **members) for name, members in rows))

    expected = ["first", "urgent-1", "urgent-2", "begun-1", "begun-2", "new-1", "new-2"]
    assert expected == seen


async def test_transports_with_one_credential_share_its_limit() -> None:
    """What counts is the credential, not the transport; another one is free."""
    inner = Timed(success([]))
    transports = [
        cfsso.PacingTransport(inner, rate_limit=SMALL, credential=lambda _account: "one"),
        cfsso.PacingTransport(inner, rate_limit=SMALL, credential=lambda _account: "one"),
        cfsso.PacingTransport(inner, rate_limit=SMALL, credential=lambda _account: "other"),
        cfsso.PacingTransport(inner, rate_limit=SMALL),
        cfsso.PacingTransport(inner, rate_limit=SMALL),
    ]
    await asyncio.gather(*(paced.send(GET) for paced in transports for _ in range(2)))

    assert [0.0] * 8 + [10.0] * 2 == sorted(inner.times)


async def test_accounts_may_have_credentials_of_their_own() -> None:
    """The function is given the account, and may take its time."""
    asked: list[str] = []

    async def credential(account_id: str) -> str:
        asked.append(account_id)
        await asyncio.sleep(1)
        return account_id

    inner = Timed(success([]))
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(1, 10.0), credential=credential)
    paths = [GET.path, f"/accounts/{'b' * 32}/sso_connectors", "/user"]
    requests = [cfsso.Request("GET", path) for path in paths]
    await asyncio.gather(*map(paced.send, requests))

    assert [ACCOUNT, "b" * 32, ""] == asked
    assert [1.0] * 3 == inner.times


def raising(error: Exception) -> Callable[[str], Any]:
    """Return a function that fails so."""

    def fail(_account_id: str) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("said", "credential"),
    [
        (f"{PATCH}: credential failed: LookupError", raising(LookupError("token"))),
        (f"{PATCH}: credential failed: TypeError", lambda _account: []),
        ("no token", raising(cfsso.InvalidRequestError("no token"))),
    ],
)
async def test_a_credential_that_cannot_be_had(said: str, credential: Any) -> None:
    """Without a credential nothing is sent, and the error says so."""
    inner = Timed(success([]))
    paced = cfsso.PacingTransport(inner, credential=credential)
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        await paced.send(PATCH)

    assert said == str(caught.value)
    assert (cfsso.WriteState.NOT_SENT, PATCH) == (caught.value.write, caught.value.request)
    assert [] == inner.times


@pytest.mark.parametrize("limit", [1200, "1200/300", (1200, 300.0)], ids=str)
def test_what_is_no_limit(limit: Any) -> None:
    """A limit of another type is refused at once."""
    with pytest.raises(cfsso.InvalidRequestError, match=r"^rate_limit must be a RateLimit or None"):
        cfsso.PacingTransport(Scripted(), rate_limit=limit)


async def test_all_credentials_share_the_address() -> None:
    """However many credentials there are, no second sees more than 200 requests."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    cloud.add_account(ACCOUNT)
    paced = [cfsso.PacingTransport(Jittery(cloud, 0.02)) for _ in range(100)]
    await asyncio.gather(*(transport.send(GET) for transport in paced for _ in range(10)))

    assert worst([entry.time for entry in cloud.requests], 1.0) <= 200
    assert now() <= 5.0 * 1.05 + 0.1


async def test_waiting_for_the_address_is_given_up() -> None:
    """Whoever gives up while he waits for the address leaves his place of the credential."""
    inner = Timed(success([]))
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(requests=1000))
    tasks = [asyncio.ensure_future(paced.send(GET)) for _ in range(201)]
    await asyncio.sleep(0.5)
    tasks[-1].cancel()
    await asyncio.wait(tasks)

    assert tasks[-1].cancelled()
    assert [(0, 0), (0, 0)] == [(window.under_way, window.waiting) for window in windows()]
    assert 200 == len(inner.times)


async def test_without_a_limit_only_refusals_slow_down() -> None:
    """None as the limit turns pacing off, for the address too; a 429 still parks."""
    replies = [success([], result_info={})] * 500
    headers = {"ratelimit": '"default";r=0;t=300'}
    calm = cfsso.Response(200, headers, replies[0].body)
    inner = Timed(*[calm] * 500, failure(429, retry_after="60"), success([]))
    paced = cfsso.PacingTransport(inner, rate_limit=None)
    await asyncio.gather(*(paced.send(GET) for _ in range(501)))
    assert 0.0 == now()
    await asyncio.gather(*(paced.send(GET) for _ in range(500)))

    assert 60.0 == now()
    assert 0 == sum(0 < at < 60 for at in inner.times)


@pytest.mark.parametrize(
    ("opens_at", "reply"),
    [
        (30.0, failure(429, retry_after="30")),
        (300.0, failure(429)),
        (7.0, failure(429, ratelimit='"default";r=0;t=7')),
        (1.0, failure(429, retry_after="0")),
        (30.0, failure(503, retry_after="30")),
        (0.0, failure(503)),
        (0.0, failure(500, retry_after="30")),
        (0.0, success([])),
        (5.0, cfsso.Response(200, {"ratelimit": '"default";r=0;t=5'}, b"")),
        (1.0, cfsso.Response(200, {"ratelimit": '"default";r=0;t=0'}, b"")),
        (300.0, cfsso.Response(200, {"ratelimit": '"default";r=0'}, b"")),
        (300.0, cfsso.Response(200, {"ratelimit": '"default";r=0;t=999999'}, b"")),
        (0.0, cfsso.Response(200, {"ratelimit": '"default";r=-1;t=999999'}, b"")),
        (0.0, cfsso.Response(200, {"ratelimit": '"default";r=1000000000;t=1'}, b"")),
        (0.0, cfsso.Response(200, {"ratelimit": "garbage"}, b"")),
        (0.0, cfsso.Response(200, {"ratelimit": '"default";r=5000;t=300'}, b"")),
    ],
)
async def test_what_answers_ask(opens_at: float, reply: cfsso.Response) -> None:
    """Refusals and Ratelimit slow down, never beyond the window if it is only a hint."""
    inner = Timed(reply, success([]))
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(reserve=0))
    await paced.send(GET)
    await paced.send(GET)

    assert [0.0, opens_at] == inner.times


@pytest.mark.parametrize(
    ("left", "others_at", "urgent_at"),
    [
        (61, 0.0, 0.0),
        (60, 7.0, 0.0),
        # Then by and by, so that within a window all of it is there again.
        (59, 7.0 + 300 / 61, 0.0),
        (1, 7.0 + 300 / 61 * 59, 0.0),
        # Our own is free by then.
        (0, 300.0, 7.0),
    ],
)
@pytest.mark.parametrize("urgent", [True, False])
async def test_what_an_answer_leaves(
    *, left: int, others_at: float, urgent_at: float, urgent: bool
) -> None:
    """When no more is left than the reserve, only what is urgent goes on; for it, to the last."""
    found = cfsso.Response(200, {"ratelimit": f'"default";r={left};t=7'}, b"")
    inner = Timed(found, success([]))
    paced = cfsso.PacingTransport(inner)
    await paced.send(GET)
    await Call(operation="test", urgent=urgent).run(paced.send(GET))

    assert [0.0, pytest.approx(urgent_at if urgent else others_at)] == inner.times


async def test_the_reserve_of_a_limit() -> None:
    """Of ten requests two are kept for what is urgent, which may have all of them."""
    inner = Timed(success([]))
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(10, 10.0, reserve=2))
    await asyncio.gather(*(paced.send(GET) for _ in range(9)))
    assert [0.0] * 8 + [10.0] == inner.times
    await asyncio.gather(
        *(Call(operation="test", urgent=True).run(paced.send(PATCH)) for _ in range(10))
    )
    assert [10.0] * 10 + [20.0] == inner.times[8:]


@pytest.mark.parametrize(
    ("policy", "passed"), [("7", 7), ("39", 38), ("5000", 0), ("", 0), ("1200, other", 0)]
)
async def test_the_reserve_of_a_smaller_limit(policy: str, passed: int) -> None:
    """If the server's limit is smaller than ours, the reserve is the same share of it."""
    left = itertools.count(int(policy) - 1 if passed else 38, -1)

    class Small(Timed):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            await super().send(request)
            named = {"ratelimit-policy": f'"default";q={policy};w=300'} if policy else {}
            return cfsso.Response(
                200, {"ratelimit": f'"default";r={next(left)};t=300', **named}, b""
            )

    inner = Small(success([]))
    paced = cfsso.PacingTransport(inner)
    call = Call(operation="test", max_wait=0.0)
    for _ in range(max(1, passed)):
        await call.run(paced.send(GET))
    with pytest.raises(cfsso.RateLimitError):
        await Call(operation="test", max_wait=0.0).run(paced.send(GET))


async def test_a_block_holds_the_urgent_too() -> None:
    """After a 429 nothing is sent for as long as it asks, whatever is in reserve."""
    inner = Timed(failure(429, retry_after="30"), success([]))
    paced = cfsso.PacingTransport(inner)
    await paced.send(GET)
    await Call(operation="test", urgent=True).run(paced.send(PATCH))

    assert [0.0, 30.0] == inner.times


async def test_the_reserve_of_the_address() -> None:
    """Of the 200 requests a second of an address ten are kept for what is urgent."""
    inner = Timed(success([]))
    paced = cfsso.PacingTransport(inner)
    await asyncio.gather(
        *(paced.send(GET) for _ in range(300)),
        *(Call(operation="test", urgent=True).run(paced.send(PATCH)) for _ in range(10)),
    )

    assert [0.0] * 200 == inner.times[:200]
    assert 10 == inner.requests[:200].count(PATCH)


@pytest.mark.parametrize("max_wait", [0.0, 29.0])
async def test_a_wait_that_is_too_long_is_told_at_once(max_wait: float) -> None:
    """Whoever may not wait as long is refused without waiting, and told for how long it is."""
    inner = Timed(failure(429, retry_after="30"))
    paced = cfsso.PacingTransport(inner)
    await paced.send(GET)
    with pytest.raises(cfsso.RateLimitError) as caught:
        await Call(operation="test", max_wait=max_wait).run(paced.send(PATCH))

    assert 0.0 == now()
    assert f"{PATCH}: nothing was sent, the rate limit asks to wait 30 s" == str(caught.value)
    error = caught.value
    assert (None, 30.0, "not_sent") == (error.status, error.retry_after, error.write)
    assert PATCH is error.request


async def test_a_promise_above_an_hour_is_told() -> None:
    """Nobody waits for more than an hour on a server's word, whether he came before or after."""
    inner = Timed(failure(429, retry_after="3601"), seconds=1.0)
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(requests=1))
    results = await asyncio.gather(*(paced.send(GET) for _ in range(3)), return_exceptions=True)
    with pytest.raises(cfsso.RateLimitError):
        await paced.send(GET)

    assert 1.0 == now()
    errors = [result for result in results if isinstance(result, cfsso.RateLimitError)]
    assert [3601.0, 3601.0] == [error.retry_after for error in errors]


async def test_a_429_tells_those_who_cannot_wait_as_long() -> None:
    """Whoever waits already, and not as long as the refusal asks, learns it at once."""
    inner = Timed(failure(429, retry_after="300"), success([]), seconds=1.0)
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(requests=1, seconds=20.0))
    calls = [Call(operation="test", max_wait=seconds) for seconds in (None, 60.0, None, 500.0)]
    tasks = [asyncio.ensure_future(call.run(paced.send(GET))) for call in calls]
    await asyncio.sleep(1.5)

    assert [True, True, False, False] == [task.done() for task in tasks]
    error = tasks[1].exception()
    assert isinstance(error, cfsso.RateLimitError)
    assert 300.0 == error.retry_after
    assert [200, 200] == [(await task).status for task in tasks[2:]]


async def test_a_wait_longer_than_estimated_ends_too() -> None:
    """A wait ends when its time is up, though it looked short enough."""
    inner = Timed(success([]), seconds=100.0)
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(1, 5.0))
    first = asyncio.ensure_future(paced.send(GET))
    await asyncio.sleep(1)
    call = Call(operation="test", max_wait=20.0)
    with pytest.raises(cfsso.RateLimitError) as caught:
        await call.run(paced.send(GET))

    assert 21.0 == now()
    assert 20.0 == call.waited
    assert 5.0 == caught.value.retry_after
    await first


async def test_places_that_wait_for_the_address_are_called_back() -> None:
    """A refusal stops also those who had their place already, but had not sent yet."""
    inner = Timed(*[success([])] * 190, failure(429, retry_after="100"), success([]))
    paced = cfsso.PacingTransport(inner)
    await asyncio.gather(*(paced.send(GET) for _ in range(1000)))

    after = [at for at in inner.times if at > 1.0]
    # All that were let go with the refused one had left; the next one is the probe.
    assert 380 == len(inner.times) - len(after)
    assert 101.0 == after[0]


async def test_a_hint_calls_places_back() -> None:
    """If the server has little left, those who have not sent yet wait for it."""
    few = cfsso.Response(200, {"ratelimit": '"default";r=10;t=50'}, b"")
    inner = Timed(few, success([]), seconds=0.5)
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(reserve=0))
    await asyncio.gather(*(paced.send(GET) for _ in range(240)))

    # Those under way may have used up what was left.
    assert 190 == sum(at == 0.0 for at in inner.times)
    assert [50.5] + [51.0] * 49 == sorted(inner.times)[190:]


async def test_no_place_is_lost() -> None:
    """However calls end, no place is lost: at the end all are free and nobody waits."""
    refusal = failure(429, retry_after="2")
    replies: list[Reply] = [success([]), LOST, UNSENT, refusal, ValueError("odd")]
    inner = Timed(*replies * 60, success([]), seconds=0.3)
    paced = cfsso.PacingTransport(inner, rate_limit=cfsso.RateLimit(20, 3.0), timeout=1.0)
    tasks = [asyncio.ensure_future(paced.send(GET)) for _ in range(300)]
    for number, task in enumerate(tasks[::7]):
        asyncio.get_running_loop().call_at(number / 5, task.cancel)
    await asyncio.wait(tasks)
    # For an hour it is known that one goes first after a refusal.
    await asyncio.sleep(3700)

    assert [True, True] == [window.is_idle(now()) for window in windows()]
    assert [None, None] == [window._timer for window in windows()]


async def test_credentials_that_nobody_uses_are_forgotten() -> None:
    """Of a hundred thousand credentials used once each, only the latest windows are kept."""
    limit = cfsso.RateLimit(requests=10, seconds=5.0)
    lanes = pacing._Lanes(asyncio.get_running_loop())
    most = 0
    for number in range(100_000):
        at = number / 200
        window = lanes.of(number, limit, at).window
        place = window.try_enter(at)
        assert place is not None
        window.leave(place, at + limit.seconds, answered=True)
        most = max(most, len(lanes._by_key))

    # At 200 a second those of 5 seconds, and as many that wait to be looked at.
    assert 1000 <= most <= 2010
    lanes.of("again", limit, 1000.0)
    assert 1 == len(lanes._by_key)


async def test_one_that_is_closed_for_long_keeps_no_others() -> None:
    """A credential that is refused for days does not keep the windows of others alive."""
    limit = cfsso.RateLimit(requests=10, seconds=5.0)
    inner = Timed(failure(429, retry_after="999999"), success([]))
    keys = itertools.count()
    paced = cfsso.PacingTransport(inner, rate_limit=limit, credential=lambda _account: next(keys))
    for _ in range(1000):
        await paced.send(GET)
        await asyncio.sleep(0.5)

    assert len(windows()) <= 25
    assert 1 == sum(window.closed_for(now()) > 0 for window in windows()[1:])


def test_loops_are_not_kept_alive() -> None:
    """A loop that is closed can go, at the latest when another one is used."""

    def use(*, waiting: bool) -> "weakref.ref[asyncio.AbstractEventLoop]":
        loop = VirtualTimeLoop()
        paced = cfsso.PacingTransport(Scripted(success([])))
        loop.run_until_complete(paced.send(GET))
        if waiting:
            # As somebody leaves it whom nobody cancels: a window that refers to its loop.
            pacing._lanes(loop).address.window._timer = loop.call_later(1.0, print)
        loop.close()
        return weakref.ref(loop)

    clean, unclean, other = use(waiting=False), use(waiting=True), use(waiting=False)
    gc.collect()

    assert [None] * 3 == [clean(), unclean(), other()]


async def test_it_shows_and_closes_what_it_is_around() -> None:
    """The inner transport is named and closed."""
    inner = Scripted()
    paced = cfsso.PacingTransport(inner)
    await paced.aclose()
    await paced.aclose()

    assert "PacingTransport(Scripted())" == repr(paced)
    assert 2 == inner.closed
