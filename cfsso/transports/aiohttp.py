"""
Cloudflare over HTTP: the one room that knows aiohttp and the one that sees a token.

Nothing of aiohttp leaves it. Its exceptions hold the request's headers, so ours are
made where theirs is handled and raised where it no longer is.
"""

import asyncio
import ssl

import aiohttp
from yarl import URL

from cfsso._version import __version__
from cfsso.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    CfssoError,
    InvalidRequestError,
    WriteState,
)
from cfsso.transports._urls import BASE_URL, check_proxy, checked_base_url
from cfsso.transports.base import MAX_BODY, Request, Response
from cfsso.transports.credentials import Credentials, Secret, TokenSource

_CONNECT_SECONDS = 10.0
# As many as pacing lets one address have under way, so that nothing queues below it.
_CONNECTIONS = 200
# aiohttp rounds longer timeouts up to whole seconds of the clock unless told not to.
_NEVER_ROUND = float("inf")

# What went wrong, whether a request can have left, and how to say it: the first
# match counts, so what is narrow stands first.
_FAILURES: tuple[tuple[type[BaseException], type[APIConnectionError], WriteState, str], ...] = (
    (aiohttp.ConnectionTimeoutError, APITimeoutError, WriteState.NOT_SENT, "no connection in time"),
    (aiohttp.ClientSSLError, APIConnectionError, WriteState.NOT_SENT, "TLS failed"),
    (aiohttp.ClientConnectorError, APIConnectionError, WriteState.NOT_SENT, "can't connect"),
    (aiohttp.ServerFingerprintMismatch, APIConnectionError, WriteState.NOT_SENT, "TLS failed"),
    (aiohttp.ClientHttpProxyError, APIConnectionError, WriteState.NOT_SENT, "the proxy refused"),
    (aiohttp.InvalidURL, APIConnectionError, WriteState.NOT_SENT, "aiohttp refuses the URL"),
    (
        aiohttp.NonHttpUrlClientError,
        APIConnectionError,
        WriteState.NOT_SENT,
        "aiohttp refuses the URL",
    ),
    (TimeoutError, APITimeoutError, WriteState.UNKNOWN, "no complete answer in time"),
    (aiohttp.ClientPayloadError, APIConnectionError, WriteState.UNKNOWN, "the answer was cut off"),
    (aiohttp.ClientResponseError, APIConnectionError, WriteState.UNKNOWN, "the answer is no HTTP"),
    (aiohttp.ClientError, APIConnectionError, WriteState.UNKNOWN, "the connection was lost"),
    (OSError, APIConnectionError, WriteState.UNKNOWN, "the connection was lost"),
    (Exception, APIConnectionError, WriteState.UNKNOWN, "the request failed"),
)

# What a second try can't mend.
_HOPELESS = (
    aiohttp.ClientSSLError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class AiohttpTransport:
    """
    A `Transport` over aiohttp.

    It belongs to the event loop that first uses it. Each request has a connection of
    its own. Redirects are not followed, cookies not kept, environment variables and
    netrc not read; TLS is 1.2 or newer with the system's certificates. Up to 200
    requests are under way at once, others wait before their time begins to count.

    Args:
        api_token:
            A token for all accounts, or a mapping or a callable (plain or async)
            from account id to token, asked anew for each request.
        base_url: https, or http on this machine.
        session:
            Yours: its TLS, proxy, cookie and middleware settings hold, and it is
            never closed here. Give it a connector with ``force_close=True``, since
            a connection that others used may hold an answer of theirs. Without it
            there is one with the settings above.
        timeout:
            Seconds that one request may take, connecting within 10 of them; finding
            the token comes before.
        proxy: The URL of an HTTP proxy, with userinfo if it asks for it; for https only.

    Raises:
        InvalidRequestError: An argument can't be used; the message says why.
    """

    # For the repr of one whose arguments are refused, as debuggers show it.
    _base_url = "(not ready)"

    def __init__(
        self,
        api_token: TokenSource | Credentials,
        *,
        base_url: str = BASE_URL,
        session: aiohttp.ClientSession | None = None,
        timeout: float = 30.0,
        proxy: str | Secret | None = None,
    ) -> None:
        self._credentials = Credentials.of(api_token)
        self._proxy = proxy if proxy is None or isinstance(proxy, Secret) else Secret(proxy)
        # No frame of a refusal may hold a token or a password.
        del api_token, proxy
        self._credentials.check()
        self._base_url = checked_base_url(base_url)
        if self._proxy is not None:
            check_proxy(self._proxy, self._base_url)
        if type(timeout) not in {int, float} or not 0 < timeout < float("inf"):
            raise InvalidRequestError(
                f"timeout must be a finite number of seconds above 0, not {timeout!r:.60}"
            )
        self._timeout = aiohttp.ClientTimeout(
            total=timeout, connect=min(_CONNECT_SECONDS, timeout), ceil_threshold=_NEVER_ROUND
        )
        if session is not None and not isinstance(session, aiohttp.ClientSession):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
            raise InvalidRequestError(
                f"session must be an aiohttp.ClientSession, not {type(session).__name__}"
            )
        if session is not None and session.auth is not None:
            raise InvalidRequestError(
                "the session has auth= of its own: make it without, the token is added here"
            )
        self._theirs = session
        self._session = session
        # A session knows it already, if only in private.
        self._loop: asyncio.AbstractEventLoop | None = getattr(session, "_loop", None)
        self._closed = False
        self._places = asyncio.Semaphore(_CONNECTIONS)

    def __repr__(self) -> str:
        return f"<AiohttpTransport {self._base_url}>"

    async def send(self, request: Request) -> Response:
        """Send *request* once; see `Transport.send`."""
        self._usable_session(request)
        try:
            secret = await self._credentials.secret(request.account_id)
        except InvalidRequestError as error:
            error.request = request
            error.write = request.write_state(WriteState.NOT_SENT)
            raise
        async with self._places:
            # Asked again: it may have been closed during the wait for a token or a place.
            session = self._usable_session(request)
            outcome = await self._exchange(session, request, secret)
        if isinstance(outcome, Response):
            return outcome
        raise outcome

    async def aclose(self) -> None:
        """Close the connections; a session of yours stays open."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and session is not self._theirs:
            await session.close()

    def _usable_session(self, request: Request) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._closed or (self._session is not None and self._session.closed):
            raise _unusable(request, "the transport is closed: make a new one")
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise _unusable(
                request, "the transport belongs to another event loop: make one for each"
            )
        if self._session is None:
            self._session = _new_session()
        return self._session

    async def _exchange(
        self, session: aiohttp.ClientSession, request: Request, secret: Secret
    ) -> Response | CfssoError:
        theirs = session._middlewares  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] # nothing public names them, and they still run
        try:
            async with session.request(
                request.method,
                URL(self._base_url + request.path, encoded=True),
                data=request.body,
                headers=_headers(request, secret),
                allow_redirects=False,
                raise_for_status=False,
                timeout=self._timeout,
                proxy=None if self._proxy is None else self._proxy.reveal(),
                middlewares=(*theirs, _Once()),
            ) as answer:
                return await _read(answer, request)
        except Exception as error:  # noqa: BLE001 - nothing foreign leaves, see _FAILURES
            return _failure(error, request)
        except BaseException as error:  # noqa: BLE001 - raised again
            # Cancellation passes, without the frames that hold the header.
            error.__context__ = None
            raise error.with_traceback(None) from None


class _Once:
    """A middleware that stops aiohttp, and other middlewares, from sending a request again."""

    def __init__(self) -> None:
        self._sent = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._sent:
            raise aiohttp.ServerDisconnectedError
        self._sent = True
        return await handler(request)


def _new_session() -> aiohttp.ClientSession:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # SSLKEYLOGFILE would write down the keys of a connection that carries the token.
    context.keylog_filename = None  # type: ignore[assignment] # typeshed knows only str
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, force_close=True, ssl=context, timeout_ceil_threshold=_NEVER_ROUND
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def _headers(request: Request, secret: Secret) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        # Answers are small, and not every session unpacks them.
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {secret.reveal()}",
        # On a connection in use again, a late second answer would confirm what never was.
        "Connection": "close",
        "User-Agent": f"cfsso/{__version__}",
    }
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return headers


async def _read(answer: aiohttp.ClientResponse, request: Request) -> Response | CfssoError:
    chunks: list[bytes] = []
    left = MAX_BODY
    while chunk := await answer.content.readany():
        left -= len(chunk)
        if left < 0:
            answer.close()
            return APIResponseValidationError(
                f"{answer.status} from {request}: more than {MAX_BODY} bytes",
                write=request.write_state(WriteState.UNKNOWN),
                status=answer.status,
                ray_id=answer.headers.get("cf-ray"),
                request=request,
            )
        chunks.append(chunk)
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        key = name.lower()
        if key != "set-cookie":
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return Response(answer.status, headers, b"".join(chunks))


def _failure(error: Exception, request: Request) -> APIConnectionError:
    kind, write, phrase = next(row[1:] for row in _FAILURES if isinstance(error, row[0]))
    # Only what the system says: aiohttp's own texts may hold URLs and headers.
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    said = cause.strerror if isinstance(cause, OSError) else None
    failure = kind(
        f"{request}: {phrase}{f': {said}' if said else ''}",
        write=request.write_state(write),
        request=request,
    )
    failure.retryable = not isinstance(error, _HOPELESS)
    return failure


def _unusable(request: Request, message: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{request}: {message}",
        write=request.write_state(WriteState.NOT_SENT),
        request=request,
    )
