"""An account of 50,000 connectors is rescued, and only what is kept of a list costs memory."""

import asyncio
import itertools
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from raw_sockets import http, raw_server, read_request
from scripted import shown

import cfsso
from cfsso.emulator.http import serving
from cfsso.fleet import OutcomeStatus, break_glass

MIB: Final = 1 << 20
COUNT: Final = 20_000
MANY: Final = 50_000
LAST: Final = f"{COUNT - 1:032}"
ACCOUNT: Final = "5d1f0a93c7e24b68a0b3d9e7f1c24680"


@asynccontextmanager
async def listing() -> AsyncIterator[cfsso.AsyncSSOConnectors]:
    """Yield connectors whose server lists so many."""
    items = ",".join(
        json.dumps(shown(id=f"{number:032}", email_domain=f"d{number}.example"))
        for number in range(COUNT)
    )
    answer = http(f'{{"result":[{items}],"success":true,"errors":[],"messages":[]}}'.encode())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for place in range(0, len(answer), MIB):
            writer.write(answer[place : place + MIB])
            await writer.drain()

    async with (
        raw_server(serve) as url,
        cfsso.connect(api_token="t", base_url=url) as connectors,
    ):
        yield connectors


@pytest.mark.parametrize(("only", "found", "most"), [([LAST], 1, 5), (None, COUNT, 40)])
async def test_what_is_not_kept_costs_nothing(
    only: list[str] | None, found: int, most: int
) -> None:
    """A list of 6 MiB is never in memory as such: what was asked for is, and no more."""
    async with listing() as connectors:
        tracemalloc.start()
        try:
            salvage = await connectors._list_for_rescue(ACCOUNT, only=only)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert (found, LAST, 0) == (len(salvage.connectors), salvage.connectors[-1].id, salvage.lost)
    assert peak < most * MIB


async def test_a_rescue() -> None:
    """All are seen in a drill, and the one whose domain was given is disabled."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    account = cloud.add_account()
    made = [
        cloud.add_connector(
            account, email_domain=f"d{number}.example", enabled=True, status="verified"
        )
        for number in range(MANY)
    ]
    domain = str(made[-1].email_domain)

    async with (
        serving(cloud) as url,
        cfsso.connect(api_token="t", base_url=url) as connectors,
    ):
        drill = [outcome async for outcome in break_glass(connectors, [account], drill=True)]
        rescue = [outcome async for outcome in break_glass(connectors, [account], domain=domain)]
        listed = await connectors.list(account_id=account)

    assert MANY == sum(outcome.change.sso_connector_id != "" for outcome in drill)
    assert [made[-1].id] == [
        outcome.change.sso_connector_id
        for outcome in rescue
        if outcome.status is OutcomeStatus.CHANGED
    ]
    assert [made[-1].id] == [connector.id for connector in listed if not connector.enabled]


def bomb() -> Iterator[bytes]:
    """Yield an answer that unpacks to a GiB of blanks."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * MIB
    first, again = (packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    yield http(first + 1023 * again, "Content-Encoding: gzip")


def endless(start: bytes, again: bytes) -> Iterator[bytes]:
    """Yield an answer that goes on for ever."""
    yield b"HTTP/1.1 200 OK\r\n\r\n" + start
    yield from itertools.repeat(again * (65536 // len(again)))


@pytest.mark.parametrize(
    ("said", "pieces"),
    [
        ("more than 67108864 bytes", bomb),
        ("more than 67108864 bytes", lambda: endless(b'{"result":[', b" ")),
        ("a value of more than 1048576 characters", lambda: endless(b'{"result":["', b"a")),
        ("a value of more than 1048576 characters", lambda: endless(b'{"x":[1', b",2")),
        ("expected object at $", lambda: endless(b"\0", b"\0")),
    ],
    ids=["bomb", "blanks", "item", "member", "no JSON"],
)
async def test_a_list_without_end(said: str, pieces: Callable[[], Iterator[bytes]]) -> None:
    """It is refused for its size, by a client that never has more than some MiB of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces():
            writer.write(piece)
            await writer.drain()

    async with (
        raw_server(serve) as url,
        cfsso.connect(api_token="t", base_url=url) as connectors,
    ):
        tracemalloc.start()
        try:
            with pytest.raises(cfsso.APIResponseValidationError) as refused:
                await connectors.list(account_id=ACCOUNT)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert said in str(refused.value)
    assert peak < 32 * MIB
