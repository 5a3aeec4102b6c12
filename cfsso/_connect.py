"""The front door's handle."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from cfsso._later import Later
from cfsso.connectors import AsyncSSOConnectors
from cfsso.events import OnEvent
from cfsso.transports._urls import BASE_URL, checked_base_url
from cfsso.transports.base import RateLimit
from cfsso.transports.credentials import Credentials, Secret, TokenSource

if TYPE_CHECKING:
    import aiohttp
else:
    # So that the signature, looked at, shows what it names.
    aiohttp = Later("aiohttp")

_DEFAULT: Final = RateLimit()


def connect(
    *,
    api_token: TokenSource | None = None,
    base_url: str | None = None,
    session: "aiohttp.ClientSession | None" = None,
    timeout: float = 30.0,
    deadline: float | None = 120.0,
    max_wait: float | None = 60.0,
    rate_limit: RateLimit | None = _DEFAULT,
    proxy: str | None = None,
    on_event: OnEvent | None = None,
) -> AsyncSSOConnectors:
    """
    Return the SSO connectors of Cloudflare's API; use it with ``async with``.

    Requests keep to the rate limit of each credential (`PacingTransport`), and are
    sent again where that is safe (`RetryingTransport`).

    Args:
        api_token:
            A token for all accounts, or a mapping or a callable (plain or async)
            from account id to token. ``None`` reads ``CLOUDFLARE_API_TOKEN``; no
            other variable is used, and none is read if this is given.
        base_url: Instead of Cloudflare's own: https, or http on this machine.
        session: Your own session of aiohttp, never closed here.
        timeout: Seconds that one request may take, connecting within 10 of them.
        deadline:
            Seconds that one call may take, with its retries and the reads that settle
            a doubt. ``None``: no bound.
        max_wait:
            Seconds that one call may wait for rate limits before it raises
            `RateLimitError`. ``None``: no bound, and such waits do not count toward the
            deadline.
        rate_limit:
            What one credential may send. ``None``: as much as it likes, until an answer
            asks it to wait.
        proxy: The URL of an HTTP proxy.
        on_event: Is called with what happens during each call; see `Event`. It is not async.

    Raises:
        InvalidRequestError: No token, an ambiguous one, or an argument that can't
            be used; the message says how to put it right.
    """
    credentials = Credentials.from_environment() if api_token is None else Credentials.of(api_token)
    hidden = None if proxy is None else Secret(proxy)
    # No frame of a refusal may hold a token or a password.
    del api_token, proxy
    # Here, so that importing cfsso does not cost an HTTP client.
    from cfsso.transports.aiohttp import AiohttpTransport
    from cfsso.transports.pacing import PacingTransport
    from cfsso.transports.retrying import RetryingTransport

    base_url = BASE_URL if base_url is None else base_url
    wire = AiohttpTransport(
        credentials, base_url=base_url, session=session, timeout=timeout, proxy=hidden
    )
    # Not as it was given: with and without a slash it is one place.
    place = checked_base_url(base_url)

    def credential(account_id: str) -> tuple[str, bytes] | Awaitable[tuple[str, bytes]]:
        """Return what the limit counts by."""
        only = credentials.only_key
        return (place, only) if only is not None else by_account(account_id)

    async def by_account(account_id: str) -> tuple[str, bytes]:
        """Return the same where each account may have a token of its own."""
        return place, await credentials.key(account_id)

    paced = PacingTransport(wire, rate_limit=rate_limit, credential=credential, timeout=timeout)
    return AsyncSSOConnectors(
        RetryingTransport(paced),
        deadline=deadline,
        max_wait=max_wait,
        on_event=on_event,
        fingerprint=credentials.fingerprint,
        rate_limit=rate_limit,
    )
