"""A token is found nowhere: not in what is shown, logged, raised, pickled or written."""

import asyncio
import base64
import gc
import io
import logging
import pathlib
import pickle
import sys
import traceback
import types
import urllib.parse
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from raw_sockets import Answer, raw_server

import cfsso
from cfsso.emulator.http import serving
from cfsso.transports.credentials import Credentials, Secret

CANARY = "canary/Token+" + "q7Zk" * 9
FORMS = (
    CANARY,
    CANARY[:12],
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
    urllib.parse.quote(CANARY, safe=""),
)
ACCOUNT, CONNECTOR = "a" * 32, "b" * 32


def shown(text: str) -> list[str]:
    """Return the forms of the token that *text* has."""
    return [form for form in FORMS if form in text]


def graph(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and all that it leads to, suppressed or not."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__]
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions


def reachable(error: BaseException) -> Iterator[Any]:
    """Yield what our frames and the error itself refer to, but not what is there to hide it."""
    roots: list[Any] = [error]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__", "").startswith("cfsso"):
            roots += [value for name, value in frame.f_locals.items() if name != "self"]
    seen: set[int] = set()
    while roots:
        found = roots.pop()
        closed = (type, types.ModuleType, types.FunctionType, types.FrameType, types.TracebackType)
        hidden = (Secret, Credentials, cfsso.AiohttpTransport, aiohttp.ClientSession)
        # The caller's own: what else it runs, such as the server here, is not ours.
        callers = (asyncio.AbstractEventLoop, asyncio.Task)
        if id(found) in seen or isinstance(found, closed + hidden + callers):
            continue
        seen.add(id(found))
        yield found
        roots += gc.get_referents(found)


def leaks(error: BaseException) -> list[str]:
    """Return what an error of ours gives away, in any way of looking at it."""
    text = io.StringIO()
    for one in graph(error):
        text.write(f"{one!r} {one} {getattr(one, '__notes__', '')} {vars(one)}")
        shot = traceback.TracebackException.from_exception(one, capture_locals=True)
        ours = [f for f in shot.stack if f.filename != __file__]
        text.write("".join(str(f.locals) for f in ours))
        text.write("".join(x for x in reachable(one) if isinstance(x, str)))
        text.write(b"".join(x for x in reachable(one) if isinstance(x, bytes)).decode("latin-1"))
    if isinstance(error, cfsso.CfssoError):
        text.write(pickle.dumps(error).decode("latin-1"))
    return shown(text.getvalue())


async def refuse(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what no server should: a body that is no HTTP."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/9.9 what\r\n\r\n")


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Log at DEBUG, asyncio's debug mode included, and look at the end."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    assert [] == shown(caplog.text)
    assert [] == shown(repr([vars(record) for record in caplog.records]))


@pytest.mark.parametrize("serve", [refuse, hang, echo])
@pytest.mark.usefixtures("everything_logged")
async def test_failing_calls(serve: Answer) -> None:
    """A call that fails on the wire gives nothing away."""
    asyncio.get_running_loop().set_debug(True)
    async with (
        raw_server(serve) as url,
        cfsso.connect(api_token=CANARY, base_url=url, timeout=0.05, deadline=0.2) as connectors,
    ):
        for call in (
            connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True),
            connectors.list(account_id=ACCOUNT),
            connectors.delete(CONNECTOR, account_id=ACCOUNT),
        ):
            with pytest.raises(cfsso.CfssoError) as caught:
                await call
            assert [] == leaks(caught.value)
        assert [] == shown(f"{connectors!r} {connectors} {vars(connectors)}")
        layer: Any = connectors._transport
        while layer is not None:
            assert [] == shown(f"{layer!r} {vars(layer)}")
            layer = vars(layer).get("_inner")


@pytest.mark.usefixtures("everything_logged")
async def test_refused_by_the_server() -> None:
    """A refusal by the server, and what the server keeps, give nothing away."""
    cloud = cfsso.CloudflareEmulator(seed=1)
    cloud.add_account(ACCOUNT)
    cloud.add_token("another", [ACCOUNT])
    async with (
        serving(cloud) as url,
        cfsso.connect(api_token=CANARY, base_url=url) as connectors,
    ):
        with pytest.raises(cfsso.APIStatusError) as caught:
            await connectors.list(account_id=ACCOUNT)
    assert [] == leaks(caught.value)
    assert [] == shown(f"{cloud!r} {list(cloud.requests)!r}")


async def test_cancelled_call() -> None:
    """A cancelled call's traceback holds no frame with the header."""
    reached = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reached.set()
        await reader.read()

    async with (
        raw_server(wait) as url,
        cfsso.connect(api_token=CANARY, base_url=url) as connectors,
    ):
        call = asyncio.create_task(connectors.get(CONNECTOR, account_id=ACCOUNT))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert [] == leaks(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"api_token": CANARY + " "},
        {"api_token": "Bearer " + CANARY},
        {"api_token": CANARY.encode()},
        {"api_token": CANARY, "base_url": "https://user@example.com"},
        {"api_token": CANARY, "timeout": -1},
        {"api_token": CANARY, "proxy": f"user:{CANARY}@proxy"},
    ],
    ids=["odd-token", "scheme", "bytes", "userinfo", "timeout", "proxy"],
)
def test_refused_arguments(arguments: dict[str, Any]) -> None:
    """An argument that is refused is not repeated, and no frame of ours holds the token."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        cfsso.connect(**arguments)
    assert [] == leaks(caught.value)


@pytest.mark.parametrize("beside", ["CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY"])
def test_refused_environment(monkeypatch: pytest.MonkeyPatch, beside: str) -> None:
    """An ambiguous environment is refused without a copy of it."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", CANARY)
    monkeypatch.setenv(beside, CANARY)
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        cfsso.connect()
    assert [] == leaks(caught.value)


async def test_source_by_account() -> None:
    """A callable that gives something odd is refused without repeating it."""

    async def odd(_account_id: str) -> str:
        return CANARY + "\x00"

    async with cfsso.connect(api_token=odd) as connectors:
        with pytest.raises(cfsso.InvalidRequestError) as caught:
            await connectors.list(account_id=ACCOUNT)
    assert [] == leaks(caught.value)


def test_a_leak_is_found() -> None:
    """The search finds a token where there is one, so that finding none means something."""

    def leaking(headers: dict[str, str]) -> None:
        raise cfsso.APIConnectionError("lost") from KeyError(headers["Authorization"])

    with pytest.raises(cfsso.APIConnectionError) as caught:
        leaking({"Authorization": f"Bearer {CANARY}"})
    assert list(FORMS[:2]) == leaks(caught.value)


def test_files(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run over HTTP leaves no file behind, with or without the token."""
    monkeypatch.chdir(tmp_path)
    cloud = cfsso.CloudflareEmulator(seed=1)
    account = cloud.add_account()

    async def run() -> None:
        async with (
            serving(cloud) as url,
            cfsso.connect(api_token=CANARY, base_url=url) as connectors,
        ):
            await connectors.create(account_id=account, email_domain="example.com")

    asyncio.run(run())
    assert [] == list(tmp_path.iterdir())
    assert [] == shown(" ".join(sys.argv))
