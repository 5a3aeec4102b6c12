"""The emulator behind an HTTP port."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from cfsso.emulator import answers
from cfsso.emulator.cloud import CloudflareEmulator
from cfsso.emulator.log import SERVED
from cfsso.emulator.service import respond
from cfsso.errors import InvalidRequestError
from cfsso.transports.base import MAX_BODY, Request, Response

PREFIX = "/client/v4"
"""Where the API begins, as at Cloudflare."""

logger = logging.getLogger(__name__)

# What aiohttp says of its own part.
_of_aiohttp = logging.getLogger(f"{__name__}.aiohttp")


@_of_aiohttp.addFilter
def _is_a_failure(record: logging.LogRecord) -> bool:
    """Say nothing of what is no HTTP, where the client is told, nor of a client that is gone."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


# So much of a body is enough to refuse it.
_TOO_LARGE: Final = bytes(MAX_BODY + 1)

# What real answers carry besides; values mean nothing and nobody should keep them.
_OTHERS = (
    ("server", "cloudflare"),
    ("cache-control", "no-store, no-cache, must-revalidate"),
    ("set-cookie", "__cflb=emulated; SameSite=Lax; path=/; HttpOnly"),
    ("set-cookie", "__cfruid=emulated; path=/; HttpOnly"),
    ("set-cookie", "_cfuvid=emulated; path=/; HttpOnly"),
)


def app(cloud: CloudflareEmulator) -> web.Application:
    """Return an application that serves *cloud* under `PREFIX`, and 404 elsewhere."""
    cloud.bound_log(SERVED)

    # Not a route: some targets, such as "*" and those with line ends, match none.
    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer everything here, whatever the path."""
        del handler
        try:
            response = await _handle(cloud, request)
        except Exception:
            logger.exception("The emulator failed")
            response = _refuse(cloud, answers.broken())
        await asyncio.sleep(cloud.latency)
        headers = CIMultiDict(response.headers)
        headers.extend(_OTHERS)
        answered = web.Response(status=response.status, headers=headers, body=response.body)
        if request.content.exception() is not None:
            # Nothing more can be read here; aiohttp would try, fail, and log that.
            request.content.feed_eof()
            answered.force_close()
        return answered

    return web.Application(client_max_size=MAX_BODY, middlewares=[answer])


@asynccontextmanager
async def serving(
    cloud: CloudflareEmulator, port: int = 0, host: str = "127.0.0.1"
) -> AsyncGenerator[str, None]:
    """
    Serve *cloud* and yield the base URL, such as ``http://127.0.0.1:8080/client/v4``.

    Args:
        cloud:
            The emulator; it may be used directly meanwhile. From now on it keeps the
            last 10,000 requests, unless it was made with another *log*.
        port: 0 picks a free one.
        host: An address of this machine.

    Raises:
        OSError: The address can't be had.
    """
    runner = web.AppRunner(app(cloud), access_log=None, logger=_of_aiohttp, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        name = f"[{host}]" if ":" in host else host
        yield f"http://{name}:{bound}{PREFIX}"
    finally:
        await runner.cleanup()


async def _handle(cloud: CloudflareEmulator, incoming: web.Request) -> Response:
    # As it came: a decoded path could name something else.
    raw = incoming.raw_path.partition("?")[0]
    path = raw.removeprefix(PREFIX)
    try:
        body = await incoming.read()
    except web.HTTPRequestEntityTooLarge:
        # It is refused in its turn, with the headers that all answers have.
        body = _TOO_LARGE
    except (web.RequestPayloadError, ConnectionError):
        # After the latter nobody is there to see the answer.
        return _refuse(cloud, answers.bad_body("The request body can't be read"))
    try:
        if path == raw:
            raise answers.unroutable(raw)
        request = Request(incoming.method, path, body or None)
    except InvalidRequestError:
        return _refuse(cloud, answers.unroutable(path))
    except answers.RefusedError as refusal:
        return _refuse(cloud, refusal)
    return cloud.handle(request, incoming.headers)


def _refuse(cloud: CloudflareEmulator, refusal: answers.RefusedError) -> Response:
    # The answer to what can't even be put as a Request; the emulator sees nothing.
    return respond(
        refusal.status, refusal.body, refusal.headers, date=cloud.date, draw=random.getrandbits
    )
