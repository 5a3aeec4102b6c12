"""A session of aiohttp with the settings of ours, and what a request says in it."""

import ssl
from contextvars import ContextVar
from types import FunctionType
from typing import Any

import aiohttp

from cfsso._version import __version__
from cfsso.transports._aiohttp_resolver import Resolver
from cfsso.transports._call import Call
from cfsso.transports.base import Request
from cfsso.transports.credentials import Secret

NEVER_ROUND = float("inf")
"""aiohttp rounds longer timeouts up to whole seconds of the clock unless told not to."""

LONGEST_LINE = 65536
"""Bytes of a header of an answer; aiohttp itself takes 8,190."""

MOST_HEADERS = 512
"""How many headers an answer may have; aiohttp itself takes 128."""

_UNDER_WAY: ContextVar[Call | None] = ContextVar("cfsso_under_way", default=None)


def new_session(*, tls: bool = True) -> aiohttp.ClientSession:
    """Return a session that keeps no connection, no cookie and no setting of the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            force_close=True,
            # Reading the system's certificates takes long.
            ssl=_context() if tls else True,
            timeout_ceil_threshold=NEVER_ROUND,
            resolver=Resolver(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
        max_headers=MOST_HEADERS,
    )


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # SSLKEYLOGFILE would write down the keys of a connection that carries the token.
    context.keylog_filename = None  # type: ignore[assignment] # typeshed knows only str
    return context


def headers(request: Request, secret: Secret) -> dict[str, str]:
    """Return what goes with *request*."""
    fields = {
        "Accept": "application/json",
        # Answers are small, and not every session unpacks them.
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {secret.reveal()}",
        # On a connection in use again, a late second answer would confirm what never was.
        "Connection": "close",
        "User-Agent": f"cfsso/{__version__}",
    }
    if request.body is not None:
        fields["Content-Type"] = "application/json"
    return fields


async def _note(_session: object, _context: object, _parameters: object) -> None:
    # aiohttp tells this just before it hands anything to the socket.
    call = _UNDER_WAY.get()
    if call is not None:
        call.sent = True


_NOTING = aiohttp.TraceConfig()
_NOTING.on_request_headers_sent.append(_note)
_NOTING.freeze()


def tells_when_it_sends(session: aiohttp.ClientSession) -> bool:
    """Whether *session* tells the call when it hands a request to a socket, from now on."""
    traces = session.trace_configs
    if _NOTING not in traces and isinstance(traces, list):  # pyright: ignore[reportUnnecessaryIsInstance] # it is the caller's
        traces.append(_NOTING)
    send = session._request  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # see below
    return _NOTING in session.trace_configs and not _is_other(getattr(send, "__func__", send))


def is_replaced() -> bool:
    """Whether somebody replaced the method by which all sessions send, at any time."""
    return _is_other(aiohttp.ClientSession._request)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # nothing public names it


def _is_other(send: Any) -> bool:
    return type(send) is not FunctionType or send.__globals__ is not aiohttp.client.__dict__


def once(call: Call) -> aiohttp.ClientMiddlewareType:
    """
    Return a middleware that stops aiohttp, and other middlewares, from sending a request again.

    Args:
        call: Is told when the request leaves.
    """
    passed = False

    async def pass_on(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Pass *request* on, once."""
        nonlocal passed
        if passed:
            raise aiohttp.ServerDisconnectedError
        passed = True
        # Not before: what other middlewares send is not this request.
        token = _UNDER_WAY.set(call)
        try:
            return await handler(request)
        finally:
            _UNDER_WAY.reset(token)

    # No object: what records requests copies all that belongs to them.
    return pass_on
