"""What can go wrong with a request, as values; all by name in `cfsso.testing.FAULTS`."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeAlias

import attrs

from cfsso.emulator import checks
from cfsso.errors import APIConnectionError, APITimeoutError, ConnectionFailure, WriteState
from cfsso.transports.base import Request, Response

# Answers that leave open whether a write was done, though they are no 5xx.
_UNDECIDED: Final = {408, 425}
_TOO_MANY: Final = 429

RAY: Final = "5a1e0fa117000000-TST"
"""The ``cf-ray`` of every answer that is made here."""


class Line(Protocol):
    """The way to the server, as a fault has it."""

    async def __call__(self, request: Request) -> Response:
        """Send *request* and return the real answer."""
        ...

    def later(self, request: Request, seconds: float) -> None:
        """Send *request* after *seconds*; nobody gets the answer."""
        ...

    def earlier(self, request: Request, within: float) -> Response | None:
        """
        Return what a GET showed before the writes of the last *within* seconds.

        ``None``: there was no write, or no read before it that went this way.
        """
        ...


Act: TypeAlias = Callable[[Request, Line], Awaitable[Response]]
Suits: TypeAlias = Callable[[Request, Line], bool]


def any_request(_request: Request, _send: Line) -> bool:
    """Every request."""
    return True


def is_write(request: Request, _send: Line) -> bool:
    """What changes something."""
    return request.is_write


@attrs.frozen(eq=False)
class Fault:
    """
    One thing that can go wrong with a request.

    Attributes:
        name: As in `FAULTS` and in `FaultyTransport.injected`.
        act:
            Takes the request, and the way to the server, which it may call once.
            Returns the answer, or raises what a transport may raise.
        ambiguous: Whether it leaves the sender of a write in doubt if it was done.
        suits: Whether the fault can befall a request, which is asked before each.
    """

    name: str
    act: Act = attrs.field(repr=False)
    ambiguous: bool = True
    suits: Suits = attrs.field(default=any_request, repr=False)

    async def __call__(self, request: Request, send: Line) -> Response:
        """Befall *request*, whose way to the server is *send*."""
        return await self.act(request, send)


def _no_answer(
    request: Request,
    text: str,
    reason: ConnectionFailure = ConnectionFailure.LOST,
    write: WriteState = WriteState.UNKNOWN,
    kind: type[APIConnectionError] = APIConnectionError,
) -> APIConnectionError:
    error = kind(f"{request}: {text}", write=request.write_state(write), request=request)
    error.reason = reason
    return error


def _not_sent(
    name: str,
    text: str,
    reason: ConnectionFailure,
    kind: type[APIConnectionError] = APIConnectionError,
    *,
    retryable: bool = True,
) -> Fault:
    async def act(request: Request, _send: Line) -> Response:
        error = _no_answer(request, text, reason, WriteState.NOT_SENT, kind)
        error.retryable = retryable
        raise error

    return Fault(name, act, ambiguous=False)


fail_dns: Final = _not_sent("fail_dns", "the name was not found", ConnectionFailure.NAME)
"""Not sent: the name has no address."""

refuse_connection: Final = _not_sent(
    "refuse_connection", "connection refused", ConnectionFailure.CONNECT
)
"""Not sent: nobody listens."""

time_out_connecting: Final = _not_sent(
    "time_out_connecting",
    "timed out while connecting",
    ConnectionFailure.CONNECT,
    APITimeoutError,
)
"""Not sent: connecting took too long, which is said at once."""


fail_tls: Final = _not_sent(
    "fail_tls",
    "certificate verify failed",
    ConnectionFailure.CERTIFICATE,
    retryable=False,
)
"""Not sent, and not to be tried again: the certificate is not to be trusted."""


async def _lose_request(request: Request, _send: Line) -> Response:
    raise _no_answer(request, "connection reset")


async def _lose_answer(request: Request, send: Line) -> Response:
    await send(request)
    raise _no_answer(request, "connection reset")


lose_request: Final = Fault("lose_request", _lose_request)
"""Unknown, and not done: the connection ends before the server has the request."""

lose_answer: Final = Fault("lose_answer", _lose_answer)
"""Unknown, but done: the connection ends before the answer is here."""


def time_out(seconds: float, *, applied: bool) -> Fault:
    """
    Return the fault that the answer is not here after *seconds*.

    Args:
        seconds: How long the caller waits.
        applied: Whether the server did the write, which it does at once.

    Raises:
        InvalidRequestError: *seconds* is no duration, or *applied* no boolean.
    """
    checks.flag(applied, "applied")
    patience = checks.seconds(seconds, "seconds")

    async def act(request: Request, send: Line) -> Response:
        """Wait in vain."""
        if applied:
            await send(request)
        await _sleep(patience)
        text, reason = "timed out waiting for the answer", ConnectionFailure.TIMEOUT
        raise _no_answer(request, text, reason, kind=APITimeoutError)

    return Fault(_named("time_out", applied=applied), act)


def delay_request(seconds: float) -> Fault:
    """
    Return the fault that a write seems lost, and is done *seconds* later.

    Raises:
        InvalidRequestError: *seconds* is no duration.
    """
    delay = checks.seconds(seconds, "seconds")

    async def act(request: Request, send: Line) -> Response:
        """Let it pass for lost."""
        send.later(request, delay)
        raise _no_answer(request, "connection reset")

    return Fault("delay_request", act, suits=is_write)


def delay_answer(seconds: float) -> Fault:
    """
    Return the fault that the right answer comes *seconds* late.

    Raises:
        InvalidRequestError: *seconds* is no duration.
    """
    delay = checks.seconds(seconds, "seconds")

    async def act(request: Request, send: Line) -> Response:
        """Wait for the answer, and then some."""
        response = await send(request)
        await _sleep(delay)
        return response

    return Fault("delay_answer", act, ambiguous=False)


def stale_read(within: float) -> Fault:
    """
    Return the fault that a GET shows what was before the latest writes.

    It befalls a GET only if reads before those writes went through the same transport.

    Args:
        within: For how many seconds after a write the server may show what was before.

    Raises:
        InvalidRequestError: *within* is no duration.
    """
    lag = checks.seconds(within, "within")

    async def act(request: Request, send: Line) -> Response:
        """Show what was, in an answer of now."""
        earlier = send.earlier(request, lag)
        response = await send(request)
        if earlier is None or response.status == _TOO_MANY:
            return response
        return attrs.evolve(response, status=earlier.status, body=earlier.body)

    def suits(request: Request, send: Line) -> bool:
        return send.earlier(request, lag) is not None

    return Fault("stale_read", act, ambiguous=False, suits=suits)


def answer_with(
    status: int,
    *,
    applied: bool,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    name: str | None = None,
    suits: Suits = any_request,
) -> Fault:
    """
    Return the fault that this answer comes in place of the real one.

    Args:
        status: Its status.
        applied: Whether the server got the request, so that a write was done.
        headers: Its headers, by names in lower case.
        body: ``None``: a failure envelope.
        name: ``None``: made from *status* and *applied*.
        suits: Which requests it can befall.

    Raises:
        InvalidRequestError: *status* is no HTTP status, or *applied* no boolean.
    """
    if type(status) is not int or not 100 <= status <= 599:  # noqa: PLR2004
        raise checks.wrong("status", "a whole number from 100 to 599")
    checks.flag(applied, "applied")
    failure = {
        "success": False,
        "errors": [{"code": 1000 + status, "message": "made by a fault"}],
        "messages": [],
        "result": None,
    }
    response = Response(
        status,
        {"content-type": "application/json", "cf-ray": RAY, **(headers or {})},
        json.dumps(failure).encode() if body is None else body,
    )

    async def act(request: Request, send: Line) -> Response:
        """Give the made answer."""
        if applied:
            await send(request)
        return response

    refused = 400 <= status < 500 and status not in _UNDECIDED  # noqa: PLR2004
    called = name or _named(f"status_{status}", applied=applied)
    return Fault(called, act, ambiguous=applied or not refused, suits=suits)


def alter_answer(
    name: str,
    alter: Callable[[Response], Response],
    *,
    ambiguous: bool = True,
    suits: Suits = any_request,
) -> Fault:
    """
    Return the fault that the real answer arrives changed; a write was done.

    Args:
        name: What to call it.
        alter: Takes the real answer and returns what arrives.
        ambiguous: Whether what arrives leaves open if a write was done.
        suits: Which requests it can befall.
    """

    async def act(request: Request, send: Line) -> Response:
        """Give the changed answer."""
        return alter(await send(request))

    return Fault(name, act, ambiguous=ambiguous, suits=suits)


def _named(name: str, *, applied: bool) -> str:
    return f"{name}_applied" if applied else f"{name}_not_applied"


async def _sleep(seconds: float) -> None:
    # Not above, since it is slow to load.
    import asyncio

    await asyncio.sleep(seconds)
