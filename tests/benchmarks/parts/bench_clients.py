"""
The clients: each gives a function that enables one connector and checks the answer.

What only one of them needs is loaded by it, since each is measured in a process of its own.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
from bench_floor import Toggle, floor
from bench_world import BODY, TOKEN, BenchError, Target, check, path

if TYPE_CHECKING:
    import aiohttp

    import cfsso

Make: TypeAlias = Callable[[str, int], AbstractAsyncContextManager[Toggle]]


@asynccontextmanager
async def _bare(base: str, connector: "aiohttp.TCPConnector") -> AsyncGenerator[Toggle]:
    import aiohttp

    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(connector=connector) as session:

        async def toggle(target: Target) -> None:
            url, wish = f"{base}{path(target)}", {"enabled": True}
            async with session.patch(url, json=wish, headers=headers) as answer:
                answer.raise_for_status()
                result = (await answer.json())["result"]
            check(result["id"], result["enabled"], target)

        yield toggle


def taught(base: str, in_flight: int) -> AbstractAsyncContextManager[Toggle]:
    """Give aiohttp as its documentation teaches it; no request waits for a connection."""
    import aiohttp

    # 100 is what a connector lets go at once by itself.
    return _bare(base, aiohttp.TCPConnector(limit=max(100, in_flight)))


def single_shots(base: str, in_flight: int) -> AbstractAsyncContextManager[Toggle]:
    """Give the same with a new connection for each request, as curl has it."""
    import aiohttp

    return _bare(base, aiohttp.TCPConnector(limit=max(100, in_flight), force_close=True))


@asynccontextmanager
async def lean(base: str, in_flight: int) -> AsyncGenerator[Toggle]:
    """Give the least that can be done with what aiohttp has in public."""
    del in_flight
    import aiohttp
    from yarl import URL

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        auto_decompress=False,
    ) as session:

        async def toggle(target: Target) -> None:
            # Made each time, as whoever writes thousands of connectors, each once, has to.
            url = URL(f"{base}{path(target)}", encoded=True)
            answer = await session.patch(url, data=BODY, allow_redirects=False)
            result = json.loads(await answer.read())["result"]
            check(result["id"], result["enabled"], target)

        yield toggle


def _ours(*, watched: bool) -> Make:
    @asynccontextmanager
    async def make(base: str, in_flight: int) -> AsyncGenerator[Toggle]:
        del in_flight
        import cfsso
        from cfsso.transports import pacing

        # Limits are reckoned with as ever, but never reached.
        much = 10**9
        pacing.ADDRESS_LIMIT = cfsso.RateLimit(much, 1.0)  # type: ignore[misc]
        async with cfsso.connect(
            api_token=TOKEN,
            base_url=base,
            rate_limit=cfsso.RateLimit(much, 300.0),
            on_event=_Watcher() if watched else None,
        ) as connectors:

            async def toggle(target: Target) -> None:
                account, key = target
                found = await connectors.update(key, account_id=account, enabled=True)
                check(found.id, found.enabled, target)

            yield toggle

    return make


@asynccontextmanager
async def transport(base: str, in_flight: int) -> AsyncGenerator[Toggle]:
    """Give the lowest layer of cfsso by itself: from the bytes of a body to those of an answer."""
    del in_flight
    import cfsso

    async with contextlib.aclosing(cfsso.AiohttpTransport(TOKEN, base_url=base)) as wire:

        async def toggle(target: Target) -> None:
            answer = await wire.send(cfsso.Request("PATCH", path(target), BODY))
            if answer.status != 200 or target[1].encode() not in answer.body:
                raise BenchError(f"asked for {target[1]}, got {answer!r} ")

        yield toggle


class _Watcher:
    """Counts events by kind."""

    def __init__(self) -> None:
        self.counts: dict[object, int] = {}

    def __call__(self, event: "cfsso.Event") -> None:
        self.counts[event.kind] = self.counts.get(event.kind, 0) + 1


def _official(*, over_aiohttp: bool) -> Make:
    @asynccontextmanager
    async def make(base: str, in_flight: int) -> AsyncGenerator[Toggle]:
        del in_flight
        import cloudflare

        http = cloudflare.DefaultAioHttpClient() if over_aiohttp else None
        async with cloudflare.AsyncCloudflare(
            api_token=TOKEN, base_url=base, http_client=http
        ) as client:

            async def toggle(target: Target) -> None:
                account, key = target
                found = await client.iam.sso.update(key, account_id=account, enabled=True)
                check(found and found.id, found and found.enabled, target)

            yield toggle

    return make


@attrs.frozen
class Client:
    """
    One that is measured.

    Attributes:
        label: How people call it.
        make: From base URL and number in flight to what toggles.
    """

    label: str
    make: Make


CLIENTS: Final = {
    "floor": Client("floor: asyncio.Protocol", floor),
    "lean": Client("aiohttp, the leanest", lean),
    "taught": Client("aiohttp, as taught", taught),
    "cfsso": Client("cfsso", _ours(watched=False)),
    "transport": Client("cfsso, its transport alone", transport),
    "cfsso-events": Client("cfsso, on_event given", _ours(watched=True)),
    "official-aiohttp": Client("official SDK, aiohttp", _official(over_aiohttp=True)),
    "official": Client("official SDK, httpx", _official(over_aiohttp=False)),
    "single-shots": Client("aiohttp, a connection a request", single_shots),
}
