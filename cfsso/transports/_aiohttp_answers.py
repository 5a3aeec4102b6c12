"""What comes back through aiohttp: an answer, or why there is none."""

from collections.abc import Mapping

import aiohttp
from aiohttp.http import HttpProcessingError

from cfsso import _failures
from cfsso.errors import (
    APIConnectionError,
    APITimeoutError,
    CfssoError,
    WriteState,
)
from cfsso.transports._call import Sink, SinkOf
from cfsso.transports._descriptors import are_exhausted, is_full
from cfsso.transports.base import MAX_BODY, Request, Response

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
    (HttpProcessingError, APIConnectionError, WriteState.UNKNOWN, "the answer is no HTTP"),
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


async def read(
    request: Request,
    status: int,
    headers: Mapping[str, str],
    content: aiohttp.StreamReader,
    sink: SinkOf | None,
) -> Response | CfssoError:
    """
    Return the answer to *request*, or an error if it is larger than can be taken.

    Args:
        request: What was asked.
        status: The status of the answer.
        headers: Its headers.
        content: Its content, of which nothing was read yet.
        sink: Makes what takes the content of a GET that succeeded. None: it is kept.
    """
    taker: Sink = _Whole() if sink is None or not _is_taken(request, status) else sink()
    # What an error keeps of an answer that can't be taken.
    start = b""
    while True:
        chunk = await content.readany()
        if len(start) < _failures.KEPT:
            start += chunk
        try:
            if not chunk:
                return Response(status, by_name(headers), taker.close())
            taker.feed(chunk)
        except ValueError as error:
            response = Response(status, by_name(headers), start)
            return _failures.unreadable(request, response, str(error))


class _Whole:
    """A sink that keeps everything, if it is not too much."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._left = MAX_BODY

    def feed(self, chunk: bytes) -> None:
        """Keep *chunk*."""
        self._left -= len(chunk)
        if self._left < 0:
            msg = f"more than {MAX_BODY} bytes"
            raise ValueError(msg)
        self._chunks.append(chunk)

    def close(self) -> bytes:
        """Return all that was kept."""
        return b"".join(self._chunks)


def _is_taken(request: Request, status: int) -> bool:
    return request.method == "GET" and 200 <= status < 300  # noqa: PLR2004


def by_name(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* by name in lower case, lines of one name joined, without cookies."""
    found = {name.lower(): value for name, value in headers.items()}
    if len(found) < len(headers):
        found.clear()
        for name, value in headers.items():
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
    found.pop("set-cookie", None)
    return found


def lacks_descriptor(error: Exception) -> bool:
    """Whether there is no connection for want of a file descriptor, so that nothing was sent."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and is_full(cause):
        return True
    # Looking up a name or a certificate opens files as well, and does not say what failed.
    return isinstance(error, aiohttp.ClientConnectorError) and are_exhausted()


def failure(error: Exception, request: Request) -> APIConnectionError:
    """Return what *error*, raised by aiohttp or the system, says of *request*."""
    kind, write, phrase = next(row[1:] for row in _FAILURES if isinstance(error, row[0]))
    # Only what the system says: aiohttp's own texts may hold URLs and headers.
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    said = cause.strerror if isinstance(cause, OSError) else None
    found = kind(
        f"{request}: {phrase}{f': {said}' if said else ''}",
        write=request.write_state(write),
        request=request,
    )
    found.retryable = not isinstance(error, _HOPELESS)
    return found
