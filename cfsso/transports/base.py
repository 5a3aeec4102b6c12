"""The seam: one verb over our own values, bytes in and bytes out."""

import re
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import attrs

from cfsso._json import Value
from cfsso.errors import InvalidRequestError, WriteState

MAX_BODY = 1024 * 1024
"""The most bytes of a decoded answer that anything here keeps."""

# RFC 3986 segments without dot segments, escapes, query and fragment: a path of
# this form cannot leave the base URL it is appended to.
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
_ACCOUNT = re.compile(r"/accounts/([^/]+)")
_METHOD = re.compile(r"[A-Z]{1,16}")


def _matches(pattern: re.Pattern[str], form: str) -> Any:
    def validate(_instance: object, attribute: "attrs.Attribute[str]", value: Any) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise InvalidRequestError(f"{attribute.name} must be {form}, not {value!r:.60}")

    return validate


def _bytes(_instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None and type(value) is not bytes:
        raise InvalidRequestError(f"{attribute.name} must be bytes, not {type(value).__name__}")


@attrs.frozen
class Request(Value):
    """
    What is to be sent. It never holds a credential, so it is safe to show.

    Attributes:
        method: An HTTP method in upper case.
        path: What comes after the base URL: ``/accounts/…``, already encoded.
        body: JSON as bytes. ``None``: the request has no body.
    """

    method: str = attrs.field(validator=_matches(_METHOD, "an upper-case HTTP method"))
    path: str = attrs.field(validator=_matches(_PATH, "an absolute path of plain segments"))
    body: bytes | None = attrs.field(default=None, validator=_bytes)

    @property
    def account_id(self) -> str:
        """The account that the path names; empty if it names none."""
        found = _ACCOUNT.match(self.path)
        return found[1] if found else ""

    @property
    def is_write(self) -> bool:
        """Whether the request is one that changes something."""
        return self.method != "GET"

    def write_state(self, state: WriteState) -> WriteState | None:
        """Return *state* for a write, and ``None`` for a read: an error's ``write``."""
        return state if self.is_write else None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def checked_request(method: str, path: str, body: bytes | None = None) -> Request:
    """Return a request of parts that were checked already."""
    request = object.__new__(Request)
    set_ = object.__setattr__
    set_(request, "method", method)
    set_(request, "path", path)
    set_(request, "body", body)
    return request


@attrs.frozen
class Response(Value):
    """
    A complete answer.

    Attributes:
        status: The HTTP status, whatever it is: statuses are data.
        headers:
            By name in lower case; lines of the same name joined by ``", "``.
            Cookies are left out.
        body: The decoded content.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)


def _positive(_instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if type(value) not in {int, float} or not 0 < value < float("inf"):
        raise InvalidRequestError(
            f"{attribute.name} must be a finite number above 0, not {value!r:.60}"
        )


def _whole(_instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if type(value) is not int or value < 1:
        raise InvalidRequestError(
            f"{attribute.name} must be a whole number from 1, not {value!r:.60}"
        )


def _a_twentieth(limit: "RateLimit") -> int:
    # What is no number is refused afterwards.
    return limit.requests // 20 if type(limit.requests) is int else 0


def _below_requests(limit: "RateLimit", attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if type(value) is not int or not 0 <= value < limit.requests:
        raise InvalidRequestError(
            f"{attribute.name} must be a whole number from 0 to {limit.requests - 1:,},"
            f" below requests, not {value!r:.60}"
        )


@attrs.frozen
class RateLimit(Value):
    """
    What one credential may send.

    The API's own limit is 1,200 requests in 300 seconds, see
    https://developers.cloudflare.com/fundamentals/api/reference/limits/.

    Attributes:
        requests: How many requests any window may hold, at least 1.
        seconds: The length of the window in seconds, above 0.
        reserve:
            How many of *requests* only what lets people in may take, from 0, fewer than all of
            them: everything else stops before. A twentieth unless given.
    """

    requests: int = attrs.field(default=1200, validator=_whole)
    seconds: float = attrs.field(default=300.0, validator=_positive)
    reserve: int = attrs.field(
        default=attrs.Factory(_a_twentieth, takes_self=True), validator=_below_requests
    )


@runtime_checkable
class Transport(Protocol):
    """
    Carries one request to Cloudflare and its answer back.

    Write one to reach Cloudflare in another way, or around another transport to
    watch, delay or change what passes. `cfsso.testing.TRANSPORT_CONTRACT` checks
    what is said here.
    """

    async def send(self, request: Request) -> Response:
        """
        Send *request* once and return the complete answer.

        A status code is never raised. Cancellation always passes through. Calls
        may overlap.

        Raises:
            APIConnectionError:
                There is no complete answer. Its ``write`` is ``not_sent`` only if
                no byte can have left, otherwise ``unknown``; ``None`` for a read.
            APITimeoutError: The same, because time ran out.
            APIResponseValidationError:
                The answer was cut short because it is larger than `MAX_BODY`.
            InvalidRequestError:
                Nothing was sent: no credential for the account, or the transport
                is closed or belongs to another event loop.
        """
        ...

    async def aclose(self) -> None:
        """Let go of everything. May be called more than once."""
        ...
