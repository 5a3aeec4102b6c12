"""What was answered: the log of an emulator."""

from typing import Final

import attrs

from cfsso.emulator import checks
from cfsso.models import UNSET, Unset

SERVED: Final = 10_000
"""How many requests an emulator behind a port keeps unless told otherwise."""


@attrs.frozen(kw_only=True)
class LoggedRequest:
    """
    One request that was answered.

    Attributes:
        time: Seconds since the emulator was made.
        method: As it came.
        path: As it came, after the base URL.
        body: ``None``: the request had none.
        status: The status of the answer.
        credential:
            Twelve hex digits of the token's SHA-256. ``None``: a trusted call, or
            one without a readable token.
    """

    time: float
    method: str
    path: str
    body: bytes | None
    status: int
    credential: str | None


class Log:
    """
    The last requests, in order.

    Args:
        limit: How many. ``None``: all. `UNSET`: all, until `bound` says how many.

    Attributes:
        requests: One and the same list.

    Raises:
        InvalidRequestError: *limit* is no number of requests.
    """

    __slots__ = ("_given", "_limit", "requests")

    def __init__(self, limit: int | Unset | None) -> None:
        if limit is not None and limit is not UNSET and (type(limit) is not int or limit < 0):
            raise checks.wrong("log", "a whole number from 0, or None")
        self._limit = None if limit is UNSET else limit
        self._given = limit is not UNSET
        self.requests: list[LoggedRequest] = []

    def append(self, entry: LoggedRequest) -> None:
        """Add *entry*, and drop what is too much."""
        self.requests.append(entry)
        if self._limit is not None:
            del self.requests[: -self._limit or None]

    def bound(self, limit: int) -> None:
        """Keep *limit* requests, unless it was said how many."""
        if not self._given:
            self._limit = limit
