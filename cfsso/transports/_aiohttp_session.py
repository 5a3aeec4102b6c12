"""A session of aiohttp with the settings of ours, and what a request says in it."""

import ssl

import aiohttp

from cfsso._version import __version__
from cfsso.transports._aiohttp_resolver import Resolver
from cfsso.transports.base import Request
from cfsso.transports.credentials import Secret

NEVER_ROUND = float("inf")
"""aiohttp rounds longer timeouts up to whole seconds of the clock unless told not to."""


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
