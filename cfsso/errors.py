"""
Everything this package raises on purpose.

The names are the official SDK's where it has one::

    CfssoError
    ├── InvalidRequestError (also a ValueError)
    ├── APIConnectionError
    │   └── APITimeoutError
    ├── APIStatusError
    │   ├── BadRequestError
    │   ├── AuthenticationError
    │   ├── PermissionDeniedError
    │   ├── NotFoundError
    │   ├── ConflictError
    │   ├── UnprocessableEntityError
    │   ├── RateLimitError
    │   └── InternalServerError
    ├── APIResponseValidationError
    ├── UnconfirmedWriteError
    └── JournalError
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cfsso._text import printable
from cfsso.models import ResponseInfo, SSOConnector


class WriteState(enum.StrEnum):
    """
    Whether a write that ended in an error may have happened.

    Attributes:
        NOT_SENT: No byte of it left this machine.
        REFUSED: Cloudflare answered that it did not do it.
        UNKNOWN: It may have happened; read before you send it again.
    """

    NOT_SENT = "not_sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Settlement(enum.StrEnum):
    """
    What reading showed of a write whose answer was in doubt.

    Attributes:
        APPLIED: What was asked for is there.
        ALREADY: It was there before, and nobody wrote since.
        NOT_APPLIED: All is as it was before; the write may still arrive.
        CONFLICT: Somebody else wrote.
        GONE: The connector is no longer there.
        UNKNOWN: It can't be known.
    """

    APPLIED = "applied"
    ALREADY = "already"
    NOT_APPLIED = "not_applied"
    CONFLICT = "conflict"
    GONE = "gone"
    UNKNOWN = "unknown"


class ConnectionFailure(enum.StrEnum):
    """
    What kept an answer away.

    Attributes:
        NAME: The name of the server or of the proxy could not be looked up.
        CONNECT: There was no connection: refused, unreachable, or not in time.
        TLS: There was a connection, but TLS could not be agreed on.
        CERTIFICATE: The certificate is not one that this machine trusts for that name.
        PROXY: The proxy did not make a connection; the error's ``status`` is the proxy's.
        TIMEOUT: Time ran out with a request under way.
        LOST: The connection ended before the answer did.
        PROTOCOL: What came is no answer of HTTP, or one that can't be decoded.
        FILES: This process could not open another file or socket.
        OTHER: Anything else; the message names the class of the exception.
    """

    NAME = "name"
    CONNECT = "connect"
    TLS = "tls"
    CERTIFICATE = "certificate"
    PROXY = "proxy"
    TIMEOUT = "timeout"
    LOST = "lost"
    PROTOCOL = "protocol"
    FILES = "files"
    OTHER = "other"


class RequestInfo(Protocol):
    """What an error tells of the request it is about; holds no credential."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        ...

    @property
    def path(self) -> str:
        """What comes after the base URL."""
        ...

    @property
    def body(self) -> bytes | None:
        """What was sent. ``None``: nothing."""
        ...


class RawResponse(Protocol):
    """The answer that an error is about, as it came; holds no credential and no cookie."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case, without cookies."""
        ...

    @property
    def body(self) -> bytes:
        """The decoded content, up to 64 KiB of it."""
        ...


class CfssoError(Exception):
    """
    The root of the tree. ``str()`` of any of its errors is one printable line.

    Attributes:
        write: Whether the write may have happened. ``None``: it was a read.
        status: The HTTP status. ``None``: there was no answer.
        errors: The answer's ``errors``, in its order.
        messages: The answer's ``messages``, in its order.
        ray_id:
            The answer's ``cf-ray``, or what its body has, for Cloudflare's support.
            ``None``: absent.
        retry_after:
            Seconds to wait before another request of this credential, counted from
            the answer; never negative. ``None``: the answer asked for no wait.
        request: What was sent, or would have been. ``None``: nothing was built.
        edge:
            Whether Cloudflare's edge, or a proxy on the way, spoke in place of the API. What
            it says is about the way there, and not about the token, account or connector.
        title: The title of an edge's answer, one printable line. Empty: it had none.
        detail: What an edge's answer says besides its title, as printable. Empty: nothing.
        retryable:
            Whether the same request may fare better later, as the answer says, or as
            follows from the failure of a connection. ``None``: not known.
        response: The answer. ``None``: there was none.
    """

    retryable: bool | None = None

    def __init__(  # noqa: PLR0913 - what an answer has
        self,
        message: str,
        *,
        write: WriteState | None = None,
        status: int | None = None,
        errors: Sequence[ResponseInfo] = (),
        messages: Sequence[ResponseInfo] = (),
        ray_id: str | None = None,
        retry_after: float | None = None,
        request: RequestInfo | None = None,
        edge: bool = False,
        title: str = "",
        detail: str = "",
        response: RawResponse | None = None,
    ) -> None:
        super().__init__(printable(message, 1000))
        self.write = write
        self.status = status
        self.errors = tuple(errors)
        self.messages = tuple(messages)
        self.ray_id = ray_id
        self.retry_after = retry_after
        self.request = request
        self.edge = edge
        self.title = printable(title)
        self.detail = printable(detail, 1000)
        self.response = response

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


def _restore(cls: type[CfssoError], args: tuple[Any, ...], state: dict[str, Any]) -> CfssoError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class InvalidRequestError(CfssoError, ValueError):
    """Refused here, before anything was sent; the message says how to put it right."""


class APIConnectionError(CfssoError):
    """
    There is no complete answer.

    Attributes:
        retryable: Whether the same request may fare better in a moment; it may not
            if a certificate is wrong. Transports set it.
        reason: What kept the answer away. Transports set it.
    """

    retryable: bool | None = True
    reason: ConnectionFailure = ConnectionFailure.OTHER


class APITimeoutError(APIConnectionError):
    """There is no complete answer, because time ran out."""


class APIStatusError(CfssoError):
    """Cloudflare, or something on the way there, answered with an error status."""


class BadRequestError(APIStatusError):
    """400: the request is wrong."""


class AuthenticationError(APIStatusError):
    """401, or 400 with code 6003, 9106 or 10001: the token is missing or wrong."""


class PermissionDeniedError(APIStatusError):
    """403: the token lacks the permission, or is not allowed from this address."""


class NotFoundError(APIStatusError):
    """404: the account or the connector does not exist, or the token can't see it."""


class ConflictError(APIStatusError):
    """409: the present state forbids it, such as a domain enabled in another account."""


class UnprocessableEntityError(APIStatusError):
    """422: the request is well-formed, but refused."""


class RateLimitError(APIStatusError):
    """
    429, or a wait for a limit that is longer than allowed.

    ``retry_after`` says when to go on. Its ``status`` is ``None`` if nothing was
    sent, and 5xx if an answer of that status asked for the wait.
    """


class InternalServerError(APIStatusError):
    """
    5xx: Cloudflare failed; a write may have happened.

    Unless its edge says, with 525 or 526, that it had no connection to send it on.
    """


class APIResponseValidationError(CfssoError):
    """An answer that can't be read as one of this API."""


class UnconfirmedWriteError(CfssoError):
    """
    The write may have happened, and a read could not settle it.

    Attributes:
        settlement: What reading showed; never ``applied`` or ``already``.
        found: The connector as last read. ``None``: it was not seen.
    """

    def __init__(
        self,
        message: str,
        *,
        settlement: Settlement = Settlement.UNKNOWN,
        found: SSOConnector | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.settlement = settlement
        self.found = found


class JournalError(CfssoError):
    """
    The journal of a run could not be written or read any more.

    No write is sent whose intent is not in the journal, so the run has ended; the
    message says why and how to go on.
    """
