"""
Requests on connections of an aiohttp session, without what the session does around them.

Its connector opens them and its parser reads the answers. What is left out can't happen
here: redirects, cookies, netrc, a proxy, middlewares and traces.
"""

import asyncio
import select
from typing import Final

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from cfsso._version import __version__
from cfsso.errors import APIConnectionError, CfssoError, WriteState
from cfsso.transports._aiohttp_answers import by_name, read
from cfsso.transports._aiohttp_kept import Kept, Line
from cfsso.transports._aiohttp_session import LONGEST_LINE, MOST_HEADERS
from cfsso.transports._call import Call
from cfsso.transports._deadlines import Deadlines
from cfsso.transports._masking import Masker
from cfsso.transports.base import Request, Response
from cfsso.transports.credentials import Secret

# What this was tested with; with any other it is better to be slow.
_TESTED: Final = ("3.14.",)
# Of the answers that refuse a request, those that say no more than "not now".
_PASSING: Final = {408, 425, 429}
# Bytes, far fewer than those at which aiohttp pauses a connection.
_LITTLE: Final = 1 << 16
# Seconds in which the right answer comes if the first was not for this request.
_LINGER: Final = 1.0


def is_possible(session: aiohttp.ClientSession) -> bool:
    """Whether *session*, made here, leaves nothing out that somebody put in its way."""
    return (
        aiohttp.__version__.startswith(_TESTED)
        and hasattr(select, "poll")
        and not session.trace_configs
        and not session._middlewares  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # nothing public names them
        and not session.headers
    )


class Direct:
    """
    Sends requests of one base URL.

    Args:
        session: Whose connections they are.
        base_url: Where requests go.
        timeout: What one may take.
        most_kept: How many connections that nothing is under way on may stay open.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        timeout: aiohttp.ClientTimeout,
        most_kept: int,
    ) -> None:
        assert session.connector is not None  # noqa: S101 # it is not closed
        self._session = session
        self._connector = session.connector
        self._url = URL(base_url, encoded=True)
        self._timeout = timeout
        assert timeout.total is not None  # noqa: S101 # it is bounded
        self._seconds = timeout.total
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(self._loop, self._seconds)
        self._kept = Kept(self._loop, most_kept)
        self._path = self._url.raw_path.rstrip("/")
        self._fields = (
            f" HTTP/1.1\r\nHost: {self._url.host_port_subcomponent}\r\n"
            "Accept: application/json\r\nAccept-Encoding: identity\r\n"
            f"User-Agent: cfsso/{__version__}\r\nAuthorization: Bearer "
        )

    async def send(
        self, request: Request, secret: Secret, call: Call, masker: Masker
    ) -> Response | CfssoError:
        """
        Send *request* and return its answer, or an error if it is not to be believed.

        Args:
            request: What is sent.
            secret: The token.
            call: Is told when it leaves, and may have a sink for the answer.
            masker: Knows what no sink may be fed.

        Raises:
            Exception: Of aiohttp or the system: there is no answer.
        """
        about = _about(request)
        now = self._loop.time()
        line = self._kept.take(about, now, writes=request.is_write) if about else None
        timer: asyncio.TimerHandle | None = None
        if line is not None:
            self._deadlines.start(line, now)
        else:
            line = await self._open()
            timer = self._loop.call_at(now + self._seconds, line.expire)
        try:
            return await self._ask(line, request, secret, about, call, masker)
        except Exception:
            # What aiohttp makes of the end of time is that the server hung up.
            if line.expired:
                raise TimeoutError from None
            raise
        finally:
            if timer is None:
                self._deadlines.stop(line)
            else:
                timer.cancel()

    async def _ask(
        self,
        line: Line,
        request: Request,
        secret: Secret,
        about: str | None,
        call: Call,
        masker: Masker,
    ) -> Response | CfssoError:
        """Send *request* and keep *line*, or close it."""
        kept = False
        try:
            line.protocol.set_response_params(
                read_until_eof=True,
                max_line_size=LONGEST_LINE,
                max_field_size=LONGEST_LINE,
                max_headers=MOST_HEADERS,
            )
            data = self._bytes(request, secret, "keep-alive" if about else "close")
            call.sent = True
            line.write(data)
            message, content = await line.protocol.read()
            while message.code < 200 and message.code != 101:  # noqa: PLR2004 # as RFC 9110 has it
                message, content = await line.protocol.read()
            outcome: Response | CfssoError
            encoded = "Content-Encoding" in message.headers
            body = None if call.sink or encoded else _whole(content)
            if body is None:
                outcome = await read(
                    request, message.code, message.headers, content, call.sink, masker
                )
            else:
                outcome = Response(message.code, by_name(message.headers), body)
            if line.expired:
                raise TimeoutError
            if about and _is_success(outcome):
                kept = self._kept.put(line, about)
            elif line.asked and _is_refusal(outcome) and not await _is_alone(line):
                outcome = _two_answers(request)
            return outcome
        finally:
            if not kept:
                line.close()

    def close(self) -> None:
        """Close the connections that nothing is under way on."""
        self._kept.close()

    def let_go(self) -> None:
        """Close the same, and keep others later."""
        self._kept.let_go()

    async def _open(self) -> Line:
        request = aiohttp.ClientRequest(
            "GET", self._url, loop=self._loop, session=self._session, ssl=True
        )
        try:
            connection = await self._connector.connect(request, traces=[], timeout=self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        if connection.closed:
            # Whoever took it has hung up already.
            connection.close()
            raise aiohttp.ServerDisconnectedError
        return Line(connection)

    def _bytes(self, request: Request, secret: Secret, connection: str) -> bytes:
        """Return *request* as it stands on the wire."""
        body = request.body
        if body is not None:
            rest = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        elif request.method == "GET":
            rest = "\r\n"
        else:
            # As aiohttp itself has it.
            kind = (
                "" if request.method == "DELETE" else "Content-Type: application/octet-stream\r\n"
            )
            rest = f"{kind}Content-Length: 0\r\n\r\n"
        head = (
            f"{request.method} {self._path}{request.path}{self._fields}{secret.reveal()}\r\n"
            f"Connection: {connection}\r\n{rest}"
        )
        return head.encode() + (body or b"")


def _about(request: Request) -> str | None:
    """Return what an answer to *request* is about, if that can be seen in it, or None."""
    if request.method not in {"PATCH", "GET"}:
        return None
    _, found, connector = request.path.partition("/sso_connectors")
    # Lists don't say of which account they are, so that one is like any other.
    return (connector or found) if "/" not in connector[1:] else None


def _whole(content: aiohttp.StreamReader) -> bytes | None:
    """Return what is there to its end already, if it is little."""
    if not content.is_eof() or content.exception() or content.total_bytes > _LITTLE:
        return None
    # Its methods ask the protocol to go on reading, which takes longer than all the parsing.
    return b"".join(content._buffer) if content.total_bytes else b""  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _is_success(outcome: Response | CfssoError) -> bool:
    return isinstance(outcome, Response) and 200 <= outcome.status < 300  # noqa: PLR2004


def _is_refusal(outcome: Response | CfssoError) -> bool:
    return (
        isinstance(outcome, Response)
        and 400 <= outcome.status < 500  # noqa: PLR2004
        and outcome.status not in _PASSING
    )


async def _is_alone(line: Line) -> bool:
    """Whether no other answer follows the one that came."""
    try:
        async with asyncio.timeout(_LINGER):
            await line.protocol.read()
    except (TimeoutError, aiohttp.ClientError):
        return True
    except HttpProcessingError:
        pass
    return False


def _two_answers(request: Request) -> CfssoError:
    return APIConnectionError(
        f"{request}: two answers came, and which is the one to it can't be known",
        write=request.write_state(WriteState.UNKNOWN),
        request=request,
    )
