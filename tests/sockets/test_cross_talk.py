"""An answer that belongs to another request is never taken for the answer to ours."""

import asyncio
import collections
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from raw_sockets import Answer, Doubt, Watched, http, raw_server, read_request, reset

import cfsso

# How many stray answers each kind sends; its test checks that the server did.
STRAYS = {
    "late": 600,
    "swapped": 240,
    "about another": 200,
    "to a read": 50,
    "left over": 200,
    "joined": 240,
}
DELAYS = [0.0, 0.001, 0.01, 0.05, 0.1]
KEEP = "Connection: keep-alive"

Run = Callable[[cfsso.AsyncSSOConnectors, str], Awaitable[Any]]

# Every case has a number, and an account, a connector and a domain of that name.
OPERATIONS: dict[str, Run] = {
    "list": lambda c, case: c.list(account_id=case),
    "get": lambda c, case: c.get(case, account_id=case),
    "create": lambda c, case: c.create(account_id=case, email_domain=f"{case}.example"),
    "update": lambda c, case: c.update(case, account_id=case, enabled=True),
    "delete": lambda c, case: c.delete(case, account_id=case),
    "begin_verification": lambda c, case: c.begin_verification(case, account_id=case),
}
READS = {"list", "get"}
# The answers to the others do not say what they are about.
NAMED = ["get", "create", "update", "delete"]
OTHER = "f" * 32


def case_of(path: str) -> str:
    return path.split("/")[2]


def said(result: object) -> bytes:
    return json.dumps({"success": True, "errors": [], "messages": [], "result": result}).encode()


def stray(operation: str, case: str, *headers: str) -> bytes:
    """Return the answer that would make *operation* believe what is not so."""
    connector = {"id": case, "email_domain": f"{case}.example", "enabled": True}
    results: dict[str, object] = {"list": [connector], "begin_verification": None}
    return http(said(results.get(operation, connector)), *headers)


def truth(method: str, path: str, *headers: str) -> bytes:
    """Return what is so: there is one connector, not enabled, and no write is done."""
    if method != "GET":
        return http(b'{"success": false}', *headers, status="403 Forbidden")
    connector = {"id": case_of(path), "enabled": False}
    return http(said([connector] if path.endswith("/sso_connectors") else connector), *headers)


class Client:
    """Runs operations and counts how they end."""

    def __init__(self, transport: cfsso.Transport) -> None:
        self._transport = transport
        self._numbers = itertools.count(1)
        self.ends: collections.Counter[str] = collections.Counter()

    def case(self) -> str:
        """Return a number that was not used before."""
        return f"{next(self._numbers):032}"

    async def run(self, operation: str, case: str) -> None:
        self.ends[await self._end(operation, case)] += 1

    async def _end(self, operation: str, case: str) -> str:
        connectors = cfsso.AsyncSSOConnectors(Watched(self._transport))
        try:
            result = await OPERATIONS[operation](connectors, case)
        except Doubt:
            return "doubted"
        except cfsso.PermissionDeniedError:
            return "told the truth"
        except (cfsso.APIResponseValidationError, cfsso.APIConnectionError) as error:
            write = None if operation in READS else cfsso.WriteState.UNKNOWN
            return "doubted" if write is error.write else f"{write} in an error"
        connector = cfsso.SSOConnector(id=case, enabled=False)
        so = {"list": (connector,), "get": connector}.get(operation)
        return "told the truth" if operation in READS and so == result else "ACCEPTED"


@contextlib.asynccontextmanager
async def client_of(answer: Answer) -> AsyncIterator[Client]:
    async with raw_server(answer) as url:
        transport = cfsso.AiohttpTransport("a-token", base_url=url)
        async with contextlib.aclosing(transport):
            yield Client(transport)


def test_there_are_a_thousand() -> None:
    """The tests below send a thousand stray answers or more."""
    assert 1000 <= sum(STRAYS.values())


@pytest.mark.parametrize("delay", DELAYS)
async def test_late_second_answer(delay: float) -> None:
    """An answer nobody asked for, sent after the right one, answers no later request."""
    sent: dict[str, asyncio.Event] = {}
    plans: dict[str, tuple[str, bool]] = {}
    strays = 0

    async def send_late(writer: asyncio.StreamWriter, case: str) -> None:
        nonlocal strays
        await asyncio.sleep(delay)
        strays += not writer.is_closing()
        writer.write(stray(plans[case][0], case, KEEP))
        sent[case].set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The group keeps a connection open for its stray when the client has closed it.
        async with asyncio.TaskGroup() as late:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    method, path = await read_request(reader)
                    case = case_of(path)
                    if case in sent and plans[case][1]:
                        await sent[case].wait()
                    writer.write(truth(method, path, KEEP))
                    if case not in sent:
                        sent[case] = asyncio.Event()
                        late.create_task(send_late(writer, case))

    async def ask(client: Client, operation: str, *, held: bool) -> None:
        case = client.case()
        plans[case] = (operation, held)
        await client.run("get", case)
        if not held:
            await sent[case].wait()
        await client.run(operation, case)
        await sent[case].wait()

    expected = STRAYS["late"] // len(DELAYS)
    kinds = itertools.product(OPERATIONS, (False, True))
    async with client_of(serve) as client:
        await asyncio.gather(
            *(
                ask(client, operation, held=held)
                for operation, held in kinds
                for _ in range(expected // len(OPERATIONS) // 2)
            )
        )
    assert {"told the truth": 2 * expected} == client.ends
    assert expected == strays


@pytest.mark.parametrize("operation", NAMED)
async def test_swapped_answers(operation: str) -> None:
    """When two requests under way get each other's answers, neither believes its own."""
    partners: dict[str, tuple[str, asyncio.Barrier]] = {}
    strays = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal strays
        partner, both = partners[case_of((await read_request(reader))[1])]
        await both.wait()
        writer.write(stray(operation, partner, KEEP))
        strays += 1
        await reader.read()

    async def ask(client: Client) -> None:
        one, other, both = client.case(), client.case(), asyncio.Barrier(2)
        partners.update({one: (other, both), other: (one, both)})
        await asyncio.gather(client.run(operation, one), client.run(operation, other))

    expected = STRAYS["swapped"] // len(NAMED)
    async with client_of(serve) as client:
        await asyncio.gather(*(ask(client) for _ in range(expected // 2)))
    assert {"doubted": expected} == client.ends
    assert expected == strays


@pytest.mark.parametrize("operation", NAMED)
async def test_answer_about_another(operation: str) -> None:
    """An answer that is about another connector is doubted, whatever it confirms."""
    strays = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal strays
        await read_request(reader)
        writer.write(stray(operation, OTHER, KEEP))
        strays += 1
        await reader.read()

    expected = STRAYS["about another"] // len(NAMED)
    async with client_of(serve) as client:
        await asyncio.gather(*(client.run(operation, client.case()) for _ in range(expected)))
    assert {"doubted": expected} == client.ends
    assert expected == strays


async def test_answer_to_a_read() -> None:
    """An answer to somebody's reading of the same connector does not confirm an update."""
    strays = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal strays
        _, path = await read_request(reader)
        writer.write(truth("GET", path, KEEP))
        strays += 1
        await reader.read()

    expected = STRAYS["to a read"]
    async with client_of(serve) as client:
        await asyncio.gather(*(client.run("update", client.case()) for _ in range(expected)))
    assert {"doubted": expected} == client.ends
    assert expected == strays


@pytest.mark.parametrize("operation", NAMED)
async def test_answer_left_over(operation: str) -> None:
    """An answer about another that is in the socket before there is a request is doubted."""
    strays = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal strays
        writer.write(stray(operation, OTHER, KEEP))
        strays += 1
        writer.write(truth(*await read_request(reader), KEEP))
        await reader.read()

    expected = STRAYS["left over"] // len(NAMED)
    async with client_of(serve) as client:
        await asyncio.gather(*(client.run(operation, client.case()) for _ in range(expected)))
    assert {"doubted": expected} == client.ends
    assert expected == strays


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
async def test_second_answer_in_the_same_segment(operation: str, connection: str) -> None:
    """Of two answers that come together, the second is never believed."""
    strays = 0
    header = f"Connection: {connection}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal strays
        method, path = await read_request(reader)
        writer.write(truth(method, path, header) + stray(operation, case_of(path), header))
        strays += 1
        await reader.read()

    expected = STRAYS["joined"] // len(OPERATIONS) // 2
    async with client_of(serve) as client:
        await asyncio.gather(*(client.run(operation, client.case()) for _ in range(expected)))
    # After "close" nothing may follow, so a parser may also refuse both.
    allowed = {"told the truth"} | ({"doubted"} if connection == "close" else set())
    assert allowed >= client.ends.keys()
    assert (expected, expected) == (client.ends.total(), strays)


@pytest.mark.parametrize("end", [asyncio.StreamWriter.close, reset])
@pytest.mark.parametrize("method", ["PATCH", "DELETE", "POST", "GET"])
async def test_connection_that_does_not_last(
    method: str, end: Callable[[asyncio.StreamWriter], None]
) -> None:
    """A server that promises to keep a connection and ends it sees each request once."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await read_request(reader))[1]
            seen.append(path)
            if path.startswith("/answered"):
                writer.write(http(b"{}", KEEP))
            end(writer)

    paths = [f"/{kind}/{number}" for number in range(10) for kind in ("answered", "ended")]
    ends: list[object] = []
    async with raw_server(serve) as url:
        transport = cfsso.AiohttpTransport("a-token", base_url=url)
        async with contextlib.aclosing(transport):
            for path in paths:
                try:
                    ends.append((await transport.send(cfsso.Request(method, path))).status)
                except cfsso.APIConnectionError as error:
                    ends.append(error.write)
    assert [200, None if method == "GET" else cfsso.WriteState.UNKNOWN] * 10 == ends
    assert paths == seen


# How many strays come on connections in use again, of each kind, in each order, for each delay.
AGAIN = 30
AGAIN_DELAYS = [0.0, 0.001, 0.01]
# What may share a connection, each after a look at the same connector.
SHARING = ["get", "update", "list", "update"]
ERROR = b'{"success": false, "errors": [{"code": 7003, "message": "a stray"}], "result": null}'

# What comes a second time, given what the first answer was about.
SECONDS: dict[str, Callable[[str, str], bytes]] = {
    "confirmation": lambda operation, case: stray(operation, case, KEEP),
    "about another": lambda operation, _: stray(operation, OTHER, KEEP),
    "403": lambda *_: http(ERROR, KEEP, status="403 Forbidden"),
    "404": lambda *_: http(ERROR, KEEP, status="404 Not Found"),
}


class Refused:
    """A transport around another that counts which stray refusals were believed."""

    def __init__(self, inner: cfsso.Transport) -> None:
        self._inner = inner
        self.wrongly = 0

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        response = await self._inner.send(request)
        self.wrongly += b"a stray" in response.body
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def operation_of(method: str, path: str) -> str:
    if method == "PATCH":
        return "update"
    return "list" if path.endswith("/sso_connectors") else "get"


def test_there_are_hundreds_on_connections_in_use_again() -> None:
    """The test below sends hundreds of stray answers to requests that share a connection."""
    assert 700 <= 2 * AGAIN * len(SECONDS) * len(AGAIN_DELAYS)


@pytest.mark.parametrize("delay", AGAIN_DELAYS)
@pytest.mark.parametrize("kind", SECONDS)
@pytest.mark.parametrize("first", [True, False], ids=["before the right one", "after it"])
async def test_connection_in_use_again(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    delay: float,
    first: bool,  # noqa: FBT001
) -> None:
    """A second answer that comes when the next request is under way answers nothing."""
    # New ones are used again at once, so that nothing but what is asked on them protects.
    monkeypatch.setattr("cfsso.transports._aiohttp_kept._REST", 0.0)
    # To each refusal another answer follows, however slow this machine is.
    monkeypatch.setattr("cfsso.transports._aiohttp_direct._LINGER", 30.0)
    strays = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal strays
        asked: list[tuple[str, str]] = []
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                method, path = await read_request(reader)
                # One to a request that shares its connection, of any that came on it before.
                second = SECONDS[kind](*asked[-1 - strays % len(asked)]) if asked else b""
                strays += bool(asked)
                asked.append((operation_of(method, path), case_of(path)))
                writer.write(second if first else truth(method, path, KEEP))
                if second:
                    await asyncio.sleep(delay)
                writer.write(truth(method, path, KEEP) if first else second)

    async def ask(client: Client) -> None:
        while strays < AGAIN:
            for operation in SHARING:
                case = client.case()
                await client.run("get", case)
                await client.run(operation, case)

    async with raw_server(serve) as url:
        refused = Refused(cfsso.AiohttpTransport("a-token", base_url=url))
        async with contextlib.aclosing(refused):
            client = Client(refused)
            await asyncio.gather(*(ask(client) for _ in range(4)))
    assert {"told the truth", "doubted"} == client.ends.keys()
    assert 0 == refused.wrongly
    assert AGAIN <= strays


@pytest.mark.parametrize("operation", ["update", "create", "delete", "begin_verification"])
@pytest.mark.parametrize("delay", AGAIN_DELAYS)
async def test_late_second_answer_to_a_list(
    monkeypatch: pytest.MonkeyPatch, operation: str, delay: float
) -> None:
    """A list that comes a second time, as a write would have it, confirms no write."""
    monkeypatch.setattr("cfsso.transports._aiohttp_kept._REST", 0.0)
    strays = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal strays
        listed = ""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                method, path = await read_request(reader)
                if listed:
                    # The second answer to the list stands where another answer is expected.
                    strays += 1
                    writer.write(stray("list", listed, KEEP))
                    await asyncio.sleep(delay)
                writer.write(truth(method, path, KEEP))
                listed = case_of(path) if path.endswith("/sso_connectors") else ""

    async def ask(client: Client) -> None:
        for _ in range(10):
            case = client.case()
            await client.run("list", case)
            # Reads go there, and see what is no answer to them.
            await client.run("get", client.case())
            await client.run("list", case)
            await client.run(operation, case)

    async with client_of(serve) as client:
        await asyncio.gather(*(ask(client) for _ in range(4)))
    assert {"told the truth", "doubted"} >= client.ends.keys()
    assert 0 < strays
