"""The front door's handle."""

from typing import TYPE_CHECKING

from cfsso.connectors import AsyncSSOConnectors
from cfsso.transports._urls import BASE_URL
from cfsso.transports.credentials import Credentials, Secret, TokenSource

if TYPE_CHECKING:
    import aiohttp


def connect(
    *,
    api_token: TokenSource | None = None,
    base_url: str | None = None,
    session: "aiohttp.ClientSession | None" = None,
    timeout: float = 30.0,
    proxy: str | None = None,
) -> AsyncSSOConnectors:
    """
    Return the SSO connectors of Cloudflare's API; use it with ``async with``.

    Args:
        api_token:
            A token for all accounts, or a mapping or a callable (plain or async)
            from account id to token. ``None`` reads ``CLOUDFLARE_API_TOKEN``; no
            other variable is used, and none is read if this is given.
        base_url: Instead of Cloudflare's own: https, or http on this machine.
        session: Your own session of aiohttp, never closed here.
        timeout: Seconds that one request may take, connecting within 10 of them.
        proxy: The URL of an HTTP proxy.

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

    return AsyncSSOConnectors(
        AiohttpTransport(
            credentials,
            base_url=BASE_URL if base_url is None else base_url,
            session=session,
            timeout=timeout,
            proxy=hidden,
        )
    )
