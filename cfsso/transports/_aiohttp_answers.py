"""What comes back through aiohttp: an answer, or why there is none."""

from collections.abc import Mapping
from typing import Final

import aiohttp

from cfsso import _failures
from cfsso.errors import (
    APIConnectionError,
    CfssoError,
    ConnectionFailure,
    WriteState,
)
from cfsso.transports._call import Sink, SinkOf
from cfsso.transports._masking import Masker
from cfsso.transports.base import MAX_BODY, Request, Response

# What aiohttp decodes, if what it takes is installed, and what needs no decoding.
_ENCODINGS: Final = {"gzip", "deflate", "br", "zstd", "identity"}
# Bytes that a secret, however escaped, fits into.
_MORE: Final = 8192


async def read(
    request: Request,
    status: int,
    headers: Mapping[str, str],
    content: aiohttp.StreamReader,
    sink: SinkOf | None,
    masker: Masker,
) -> Response | CfssoError:
    """
    Return the answer to *request*, or an error if it is larger than can be taken.

    Args:
        request: What was asked.
        status: The status of the answer.
        headers: Its headers.
        content: Its content, of which nothing was read yet.
        sink: Makes what takes the content of a GET that succeeded. None: it is kept.
        masker: Knows what no sink may be fed.
    """
    encoding = headers.get("Content-Encoding", "identity")
    if encoding.lower() not in _ENCODINGS:
        return undecodable(request, status, masker.text(encoding))
    is_taken = sink is not None and request.method == "GET" and 200 <= status < 300  # noqa: PLR2004
    taker: Sink = masker.around(sink)() if sink is not None and is_taken else _Whole()
    # What an error keeps of an answer that can't be taken.
    start = b""
    while True:
        chunk = await content.readany()
        if len(start) < _failures.KEPT + _MORE:
            start += chunk
        try:
            if not chunk:
                return Response(status, by_name(headers), taker.close())
            taker.feed(chunk)
        except ValueError as error:
            # The end of what was read so far may be half a secret.
            kept = start[: masker.split(start)] if chunk else start
            response = masked(Response(status, by_name(headers), kept), masker)
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


def undecodable(request: Request, status: int, encoding: str) -> APIConnectionError:
    """Return the error for an answer in an encoding that nobody here knows."""
    error = APIConnectionError(
        f"{request}: the answer can't be decoded: content-encoding: {encoding}",
        write=request.write_state(WriteState.UNKNOWN),
        status=status,
        request=request,
    )
    error.reason, error.retryable = ConnectionFailure.PROTOCOL, False
    return error


def masked(response: Response, masker: Masker) -> Response:
    """Return *response* without secrets."""
    # What this escapes is not overlooked.
    shown = f"{response.headers}".encode()
    if not masker.may_be_in(shown + response.body):
        return response
    headers = response.headers.items()
    cleaned = {masker.text(name): masker.text(value) for name, value in headers}
    return Response(response.status, cleaned, masker.mask(response.body))
