"""Requests by a session of aiohttp, where the caller, or what watches it, wants to see them."""

from typing import Any

import aiohttp
from yarl import URL

from cfsso.errors import CfssoError
from cfsso.transports._aiohttp_answers import read
from cfsso.transports._aiohttp_session import headers, once, tells_when_it_sends
from cfsso.transports._call import Call
from cfsso.transports._masking import Masker
from cfsso.transports.base import Request, Response
from cfsso.transports.credentials import Secret


class BySession:
    """
    Sends requests, each on a connection of its own.

    Args:
        session: What sends them.
        base_url: Where they go.
        timeout: What one may take.
        proxy: The proxy, if there is one.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        timeout: aiohttp.ClientTimeout,
        proxy: Secret | None,
    ) -> None:
        self._session = session
        self._base_url = base_url
        self._timeout = timeout
        self._proxy = proxy

    async def send(
        self, request: Request, secret: Secret, call: Call, masker: Masker
    ) -> Response | CfssoError:
        """
        Send *request* and return its answer, or an error if it can't be taken.

        Args:
            request: What is sent.
            secret: The token.
            call: Is told when it leaves, and may have a sink for the answer.
            masker: Knows what no sink may be fed.

        Raises:
            Exception: Of aiohttp, the system or the caller's code: there is no answer.
        """
        session = self._session
        theirs = session._middlewares  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] # nothing public names them, and they still run
        if not tells_when_it_sends(session):
            call.sent = True
        # Servers compress without being asked.
        more: Any = {} if session.auto_decompress else {"auto_decompress": True}
        async with session.request(
            request.method,
            URL(self._base_url + request.path, encoded=True),
            data=request.body,
            headers=headers(request, secret),
            allow_redirects=False,
            raise_for_status=False,
            timeout=self._timeout,
            proxy=None if self._proxy is None else self._proxy.reveal(),
            middlewares=(*theirs, once(call)),
            **more,
        ) as answer:
            outcome = await read(
                request, answer.status, answer.headers, answer.content, call.sink, masker
            )
            if not isinstance(outcome, Response):
                answer.close()
            return outcome
