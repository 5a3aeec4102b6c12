"""
Cloudflare over HTTP: this room and its ``_aiohttp_*`` know aiohttp and see a token, no others.

Nothing of aiohttp leaves them. Its exceptions hold the request's headers, so ours are
made where theirs is handled and raised where it no longer is.
"""

import asyncio
import errno
import threading

import aiohttp

from cfsso.errors import CfssoError, InvalidRequestError, WriteState
from cfsso.transports import _descriptors
from cfsso.transports._aiohttp_answers import masked
from cfsso.transports._aiohttp_by_session import BySession
from cfsso.transports._aiohttp_direct import Direct, is_possible
from cfsso.transports._aiohttp_failures import failure, lacks_descriptor, no_descriptor
from cfsso.transports._aiohttp_session import NEVER_ROUND, is_replaced, new_session
from cfsso.transports._call import NEVER, Call, current
from cfsso.transports._closing import close_on
from cfsso.transports._masking import Masker
from cfsso.transports._places import LEAST, MOST, Need, Places
from cfsso.transports._urls import BASE_URL, check_proxy, checked_base_url, proxy_secrets
from cfsso.transports.base import Request, Response
from cfsso.transports.credentials import Credentials, Secret, TokenSource

_CONNECT_SECONDS = 10.0
# Connections that nothing is under way on may have one descriptor in so many.
_IDLE_SHARE = 4
# Seconds before it is tried again to get a descriptor, and how often they double.
_FIRST_PAUSE = 0.05
_DOUBLINGS = 4
# Of two threads that begin at once, one has it.
_FIRST_USE = threading.Lock()


class AiohttpTransport:
    """
    A `Transport` over aiohttp.

    It belongs to the event loop that first uses it. A connection is used again for
    other connectors only, so that a second answer confirms nothing. Redirects are not
    followed, cookies not kept, environment variables and netrc not read; TLS is 1.2 or
    newer with the system's certificates. Up to 200 requests are under way at once,
    others wait before their time begins to count; what lets people in has hundreds of
    places of its own. There are fewer if the process may not open as many files, and
    whatever finds no file descriptor left is sent as soon as there is one. An answer that
    repeats the token, or the password of the proxy, is passed on without it.

    Args:
        api_token:
            A token for all accounts, or a mapping or a callable (plain or async)
            from account id to token, asked anew for each request.
        base_url: https, or http on this machine.
        session:
            Yours: its TLS, proxy, cookie and middleware settings hold, and it is
            never closed here. Each request has a connection of its own then, and a trace
            of ours is added, to know when a request leaves. Give it
            a connector with ``force_close=True``, since a connection that others used
            may hold an answer of theirs. Without it there is one with the settings above.
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
            total=timeout, connect=min(_CONNECT_SECONDS, timeout), ceil_threshold=NEVER_ROUND
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
        self._direct: Direct | None = None
        self._closed = False
        secret = self._credentials.only_secret
        self._masker = None if secret is None else self._masker_of(secret)
        # How many there may be shows at the first use.
        self._places: Places | None = None
        self._most_idle = 0

    def __repr__(self) -> str:
        return f"<AiohttpTransport {self._base_url}>"

    @property
    def server(self) -> str:
        """The base URL, in its canonical form."""
        return self._base_url

    async def send(self, request: Request) -> Response:
        """Send *request* once; see `Transport.send`."""
        places = self._usable_places(request)
        call = current()
        if call.sent is None:
            call.sent = False
        try:
            secret = self._credentials.only_secret
            if secret is None:
                secret = await self._look_up(request)
                # It may have been closed meanwhile.
                places = self._usable_places(request)
            outcome = await self._in_place(places, request, secret, call)
            if outcome is None:
                outcome = await self._patiently(places, request, secret, call)
        except CfssoError:
            _forget(call)
            raise
        if isinstance(outcome, Response) and call.sent:
            return outcome
        _forget(call)
        if isinstance(outcome, Response):
            return outcome
        raise outcome

    async def aclose(self) -> None:
        """
        Close the connections; a session of yours stays open.

        Another event loop than the transport's own may ask for it too.

        Raises:
            InvalidRequestError: That other loop can't now; the message says how to.
        """
        self._closed = True
        if self._session is None or self._session is self._theirs:
            self._session = None
        elif self._loop in {None, asyncio.get_running_loop()}:
            await self._close()
        else:
            assert self._loop is not None  # noqa: S101 # see above
            await close_on(self._loop, self._close, self._drop)

    async def _close(self) -> None:
        if self._session is not None and self._session.connector is not None:
            # First, as it waits for no farewell over TLS: the loop may have no time for that.
            await self._session.connector.close()
        if self._direct is not None:
            self._direct.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        # What was closed ends in the next turn.
        await asyncio.sleep(0)

    def _drop(self) -> None:
        session, self._session, self._direct = self._session, None, None
        if session is not None:
            session.detach()

    async def _in_place(
        self, places: Places, request: Request, secret: Secret, call: Call
    ) -> Response | CfssoError | None:
        """Send *request* when there is a place. None: there was no descriptor, so it was not."""
        need = Need.NORMAL
        if call.urgent:
            need = Need.URGENT_WRITE if request.is_write else Need.URGENT_READ
        waits = not places.try_take(need)
        if waits:
            held, call.held = call.held, True
            await places.take(need)
            call.held = held
        try:
            if waits:
                self._usable_places(request)
            outcome = await self._exchange(request, secret, call)
            if outcome is None:
                places.shrink()
        finally:
            places.leave()
        return outcome

    async def _patiently(
        self, places: Places, request: Request, secret: Secret, call: Call
    ) -> Response | CfssoError:
        """Send *request* as soon as there is a descriptor, if there is one in time."""
        assert self._loop is not None  # noqa: S101 # it was used
        # The deadline ends this from without; who has none does not wait for ever.
        ends = self._loop.time() + (self._timeout.total or 0.0) if call.left() == NEVER else NEVER
        tries = 0
        while True:
            if self._direct is not None:
                self._direct.let_go()
            held, call.held = call.held, True
            await asyncio.sleep(_FIRST_PAUSE * 2 ** min(tries, _DOUBLINGS))
            call.held = held
            outcome = await self._in_place(places, request, secret, call)
            if outcome is not None:
                return outcome
            if self._loop.time() >= ends:
                return no_descriptor(request, sent=call.sent is True)
            tries += 1

    def _usable_places(self, request: Request) -> Places:
        loop = asyncio.get_running_loop()
        if self._closed or (self._session is not None and self._session.closed):
            raise _unusable(request, "the transport is closed: make a new one")
        if self._loop is not loop and not self._is_taken(loop):
            raise _unusable(
                request, "the transport belongs to another event loop: make one for each"
            )
        if self._places is None:
            left = _descriptors.left()
            self._most_idle = int(min(MOST, max(0, left / _IDLE_SHARE)))
            self._places = Places(int(min(MOST, max(LEAST, left - self._most_idle))))
        return self._places

    def _is_taken(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the transport belongs to *loop*, as it does if nobody used it before."""
        with _FIRST_USE:
            self._loop = self._loop or loop
        return self._loop is loop

    def _open_session(self) -> aiohttp.ClientSession:
        """Return a session, which is there from the first request on."""
        if _descriptors.are_exhausted():
            # It would have no certificates, silently.
            raise OSError(errno.EMFILE, "no file can be opened")
        session = self._session = new_session(tls=self._base_url.startswith("https:"))
        if self._proxy is None and is_possible(session):
            self._direct = Direct(session, self._base_url, self._timeout, self._most_idle)
        return session

    async def _look_up(self, request: Request) -> Secret:
        try:
            return await self._credentials.secret(request.account_id)
        except InvalidRequestError as error:
            error.request = request
            error.write = request.write_state(WriteState.NOT_SENT)
            raise

    async def _exchange(
        self, request: Request, secret: Secret, call: Call
    ) -> Response | CfssoError | None:
        """Send *request*. None: there was no descriptor, so that it was not."""
        masker = self._masker or self._masker_of(secret)
        try:
            session = self._session or self._open_session()
            if self._direct is not None and not is_replaced():
                outcome = await self._direct.send(request, secret, call, masker)
            else:
                way = BySession(session, self._base_url, self._timeout, self._proxy)
                outcome = await way.send(request, secret, call, masker)
        except Exception as error:  # noqa: BLE001 - nothing foreign leaves
            if not call.sent and lacks_descriptor(error):
                return None
            return failure(error, request, sent=call.sent is True, mask=masker.text)
        except BaseException as error:  # noqa: BLE001 - raised again
            # Cancellation passes, without what holds the header.
            del masker
            error.__context__ = None
            raise error.with_traceback(None) from None
        return masked(outcome, masker) if isinstance(outcome, Response) else outcome

    def _masker_of(self, secret: Secret) -> Masker:
        proxy = () if self._proxy is None else proxy_secrets(self._proxy)
        return Masker(secret.reveal(), *proxy)


def _forget(call: Call) -> None:
    """Say no more that nothing was sent: another transport may have the request next."""
    if not call.sent:
        call.sent = None


def _unusable(request: Request, message: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{request}: {message}",
        write=request.write_state(WriteState.NOT_SENT),
        request=request,
    )
