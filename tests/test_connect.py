"""What `cfsso.connect` makes: the order of its transports, and that each option arrives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from raw_sockets import http, raw_server, read_request
from scripted import ACCOUNT, CONNECTOR, OPERATIONS, failure

import cfsso
from cfsso.emulator.http import PREFIX, serving

TOKEN = "connect-5f2e9c-not-a-real-token"
VARIABLES = ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY"]
TWO = cfsso.RateLimit(2, 300)


@attrs.frozen
class Place:
    """An emulator with an account, and where it is served."""

    cloud: cfsso.CloudflareEmulator
    account: str
    url: str

    def connect(self, **options: Any) -> cfsso.AsyncSSOConnectors:
        """Return connectors of it."""
        return cfsso.connect(**{"api_token": TOKEN, "base_url": self.url, **options})

    @property
    def sent(self) -> list[int]:
        """The statuses of what arrived."""
        return [request.status for request in self.cloud.requests]


@contextlib.asynccontextmanager
async def served(**options: Any) -> AsyncIterator[Place]:
    """Serve an emulator on this machine; without a limit unless told."""
    cloud = cfsso.CloudflareEmulator(**{"seed": 1, "rate_limit": None, **options})
    account = cloud.add_account()
    async with serving(cloud) as url:
        yield Place(cloud, account, url)


async def refusal(connectors: cfsso.AsyncSSOConnectors, account: str) -> cfsso.RateLimitError:
    """Return the error by which a list is refused for a limit."""
    with pytest.raises(cfsso.RateLimitError) as caught:
        await connectors.list(account_id=account)
    return caught.value


def made_of(connectors: cfsso.AsyncSSOConnectors) -> tuple[Any, Any, Any]:
    """Return the transports, outermost first."""
    retrying: Any = connectors._transport
    return retrying, retrying._inner, retrying._inner._inner


@pytest.mark.parametrize("base_url", [None, "https://api.cloudflare.com/client/v4/"])
async def test_the_order_of_the_transports(base_url: str | None) -> None:
    """Retries are outermost, so that each of them is paced."""
    async with cfsso.connect(api_token=TOKEN, base_url=base_url) as connectors:
        expected = "<AiohttpTransport https://api.cloudflare.com/client/v4>"
        paced = f"RetryingTransport(PacingTransport({expected}))"
        assert f"AsyncSSOConnectors({paced})" == repr(connectors)


async def test_what_is_so_unless_told() -> None:
    """A call has two minutes and waits for one, a request has half of one, 1200 in five."""
    async with cfsso.connect(api_token=TOKEN) as connectors:
        _, paced, wire = made_of(connectors)
        assert (120.0, 60.0, None) == (
            connectors._deadline,
            connectors._max_wait,
            connectors.on_event,
        )
        assert (cfsso.RateLimit(1200, 300.0), 30.0) == (paced._limit, paced._timeout)
        assert (30.0, 10.0) == (wire._timeout.total, wire._timeout.connect)


async def test_one_timeout_for_both() -> None:
    """What a request may take is also how long one that was given up counts as on its way."""
    async with cfsso.connect(api_token=TOKEN, timeout=7, proxy="http://p.example:1") as connectors:
        _, paced, wire = made_of(connectors)
        assert (7, 7, 7) == (paced._timeout, wire._timeout.total, wire._timeout.connect)
        assert "http://p.example:1" == wire._proxy.reveal()


async def test_a_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without api_token the token is that of the environment, and has the same limit."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    async with (
        served() as place,
        place.connect(api_token=None, rate_limit=TWO, max_wait=0) as ours,
        place.connect(rate_limit=TWO, max_wait=0) as same,
    ):
        place.cloud.add_token(TOKEN, [place.account])
        assert () == await ours.list(account_id=place.account)
        assert () == await same.list(account_id=place.account)
        assert None is (await refusal(ours, place.account)).status


async def test_a_limit_arrives() -> None:
    """The third call of two allowed is told to wait for the rest of the window, and not sent."""
    async with served() as place, place.connect(rate_limit=TWO, max_wait=0) as connectors:
        for _ in range(2):
            await connectors.list(account_id=place.account)
        error = await refusal(connectors, place.account)

        assert (None, [200, 200]) == (error.status, place.sent)
        assert error.retry_after is not None
        assert 240.0 < error.retry_after <= 300.0
        with pytest.raises(cfsso.RateLimitError) as caught:
            await OPERATIONS["update"](connectors, CONNECTOR, place.account)
        assert cfsso.WriteState.NOT_SENT is caught.value.write


@pytest.mark.parametrize(("max_wait", "sent"), [(0, 1), (0.05, 1), (30.0, 2), (None, 2)])
async def test_how_long_to_wait_arrives(max_wait: float | None, sent: int) -> None:
    """A call waits for its place if that takes no longer than max_wait."""
    limit = cfsso.RateLimit(1, 0.3)
    async with served() as place, place.connect(rate_limit=limit, max_wait=max_wait) as connectors:
        results = await asyncio.gather(
            *(connectors.list(account_id=place.account) for _ in range(2)), return_exceptions=True
        )

        assert [200] * sent == place.sent
        refused = [result for result in results if isinstance(result, cfsso.RateLimitError)]
        assert 2 - sent == len(refused)


SAME: dict[str, dict[str, Any]] = {
    "the same": {},
    "a mapping": {"api_token": {ACCOUNT: TOKEN}},
    "a callable": {"api_token": lambda _account_id: TOKEN},
    "a slash": {"slash": True},
    "another spelling": {"spelling": True},
    "other bounds": {"deadline": 5.0, "timeout": 5.0},
}
OTHERS: dict[str, dict[str, Any]] = {
    "another token": {"api_token": "another"},
    "another path": {"path": True},
    "another limit": {"rate_limit": cfsso.RateLimit(2, 299)},
}


def addressed(place: Place, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the URL that they stand for."""
    marks = {"slash", "path", "spelling"}
    known = {name: value for name, value in options.items() if name not in marks}
    url = place.url
    if "slash" in options:
        url += "/"
    if "spelling" in options:
        url = url.replace("http:", "HTTP:").replace("localhost", "LocalHost")
    if "path" in options:
        # The emulator has nothing there, and says so.
        url = url.removesuffix(PREFIX)
    return {"base_url": url, "rate_limit": TWO, "max_wait": 0, **known}


@pytest.mark.parametrize("options", SAME.values(), ids=SAME)
async def test_who_shares_a_window(options: dict[str, Any]) -> None:
    """Clients with one token at one place share its window, whatever else they are told."""
    async with (
        served() as place,
        place.connect(rate_limit=TWO, max_wait=0) as first,
        place.connect(**addressed(place, options)) as second,
    ):
        place.cloud.add_account(ACCOUNT)
        await first.list(account_id=ACCOUNT)
        await second.list(account_id=ACCOUNT)

        for connectors in (first, second):
            assert None is (await refusal(connectors, ACCOUNT)).status
        assert [200, 200] == place.sent


@pytest.mark.parametrize("options", OTHERS.values(), ids=OTHERS)
async def test_who_does_not(options: dict[str, Any]) -> None:
    """Clients with another token, or at another place, or with another limit, have their own."""
    async with (
        served() as place,
        place.connect(rate_limit=TWO, max_wait=0) as first,
        place.connect(**addressed(place, options)) as second,
    ):
        for _ in range(2):
            await first.list(account_id=place.account)
        await refusal(first, place.account)
        for _ in range(2):
            with contextlib.suppress(cfsso.NotFoundError):
                await second.list(account_id=place.account)
        assert None is (await refusal(second, place.account)).status


async def test_each_account_counts_for_its_token() -> None:
    """A client with a token for each account has a window for each token."""
    async with served() as place:
        other = place.cloud.add_account()
        tokens = {place.account: "first", other: "second", ACCOUNT: "second"}
        async with place.connect(api_token=tokens, rate_limit=TWO, max_wait=0) as connectors:
            for _ in range(2):
                await connectors.list(account_id=place.account)
                await connectors.list(account_id=other)
            await refusal(connectors, place.account)
            # Its token is the one of the other account.
            await refusal(connectors, ACCOUNT)
        assert 4 == len(place.sent)


async def test_no_limit() -> None:
    """With rate_limit None everything is sent at once, more than an address may send too."""
    async with (
        served() as place,
        place.connect(rate_limit=None, max_wait=0, deadline=None) as connectors,
    ):
        await asyncio.gather(*(connectors.list(account_id=place.account) for _ in range(250)))

        assert [200] * 250 == place.sent


@pytest.mark.parametrize("rate_limit", [None, cfsso.RateLimit()])
async def test_a_refusal_of_the_server(rate_limit: cfsso.RateLimit | None) -> None:
    """A 429 that asks for five minutes is told at once, and then nothing is sent before that."""
    limit = cfsso.RateLimit(1, 300)
    async with (
        served(rate_limit=limit) as place,
        place.connect(rate_limit=rate_limit) as connectors,
        place.connect(rate_limit=rate_limit) as others,
    ):
        # As somebody else with the same token.
        path = f"/accounts/{place.account}/sso_connectors"
        authorized = {"authorization": f"Bearer {TOKEN}"}
        place.cloud.handle(cfsso.Request("GET", path), authorized)
        error = await refusal(connectors, place.account)
        assert (429, 300.0) == (error.status, error.retry_after)

        for each in (connectors, others):
            error = await refusal(each, place.account)
            assert error.status is None
            assert error.retry_after is not None
            assert 240.0 < error.retry_after <= 300.0
        assert [200, 429] == place.sent


async def test_a_503_that_asks_for_five_minutes() -> None:
    """A 503 with a promise is told of a read in the same way, by its status."""
    times = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal times
        await read_request(reader)
        times += 1
        writer.write(http(failure(503).body, "Retry-After: 300", status="503 Busy"))
        await writer.drain()

    async with (
        raw_server(answer) as url,
        cfsso.connect(api_token=TOKEN, base_url=url) as connectors,
    ):
        error = await refusal(connectors, ACCOUNT)
        assert (503, 300.0) == (error.status, error.retry_after)
        assert None is (await refusal(connectors, ACCOUNT)).status
        assert 1 == times


async def test_a_deadline_arrives() -> None:
    """A call ends at the deadline, though one request may take longer."""
    async with served(latency=60.0) as place, place.connect(deadline=0.05) as connectors:
        with pytest.raises(cfsso.APITimeoutError, match=r"within the deadline of 0\.05 s"):
            await connectors.list(account_id=place.account)


async def test_a_watcher_arrives() -> None:
    """What happens is told to on_event, with what the wire answered."""
    events: list[cfsso.Event] = []
    async with served() as place, place.connect(on_event=events.append) as connectors:
        await connectors.list(account_id=place.account)
        with pytest.raises(cfsso.NotFoundError):
            await OPERATIONS["get"](connectors, CONNECTOR, place.account)

    told = [(event.operation, str(event.kind), event.status) for event in events]
    assert [
        ("list", "attempt", 200),
        ("list", "end", None),
        ("get", "attempt", 404),
        ("get", "end", None),
    ] == told


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("deadline must be seconds from 0, or None, not -1", {"deadline": -1}),
        ("deadline must be seconds from 0, or None, not nan", {"deadline": float("nan")}),
        ("deadline must be seconds from 0, or None, not True", {"deadline": True}),
        ("deadline must be seconds from 0, or None, not '5'", {"deadline": "5"}),
        ("max_wait must be seconds from 0, or None, not -0.5", {"max_wait": -0.5}),
        ("max_wait must be seconds from 0, or None, not nan", {"max_wait": float("nan")}),
        ("max_wait must be seconds from 0, or None, not False", {"max_wait": False}),
        ("max_wait must be seconds from 0, or None, not '5'", {"max_wait": "5"}),
        ("rate_limit must be a RateLimit or None, not 1200", {"rate_limit": 1200}),
        ("base_url must be a str, not int", {"base_url": 5}),
    ],
    ids=str,
)
def test_what_can_not_be_used(said: str, options: dict[str, Any]) -> None:
    """A wrong option is refused by name before there is anything to close."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        cfsso.connect(**{"api_token": TOKEN, **options})

    assert said == str(caught.value)


async def test_leaving_closes_all() -> None:
    """After the block nothing is sent any more, and a write says so."""
    async with served() as place:
        async with place.connect() as connectors:
            await connectors.list(account_id=place.account)
        with pytest.raises(cfsso.InvalidRequestError, match="the transport is closed") as caught:
            await OPERATIONS["update"](connectors, CONNECTOR, place.account)

        assert cfsso.WriteState.NOT_SENT is caught.value.write
        assert [200] == place.sent
