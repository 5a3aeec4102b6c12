"""What happens during a call: the way to see attempts, waits and settled doubts."""

import enum
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from cfsso._error_json import of_error
from cfsso._json import Value, fields_of
from cfsso.errors import CfssoError, Settlement
from cfsso.models import ResponseInfo
from cfsso.transports.base import Request


class EventKind(enum.StrEnum):
    """
    What an event tells.

    Attributes:
        ATTEMPT: A request was answered, or failed.
        WAIT: The call waits: for a limit, before it tries again, or before it looks again.
        SETTLE: A write was in doubt, and reading said what it could.
        WARNING: A success came with warnings.
        END: The call is over; always the last one.
    """

    ATTEMPT = "attempt"
    WAIT = "wait"
    SETTLE = "settle"
    WARNING = "warning"
    END = "end"


@attrs.frozen(kw_only=True)
class Event(Value):
    """
    Something that happened during one call of an operation.

    Attributes:
        kind: What it is; the other members depend on it.
        operation: The method's name, such as ``update``; that of a run, such as ``apply``.
        account_id: The call's account.
        sso_connector_id: The call's connector. ``None``: it has none.
        attempts: How many requests the call has sent so far, reads included.
        writes: How many of them were writes.
        waited: Seconds that the call has waited so far.
        request: The request of an attempt. ``None`` otherwise.
        status: The HTTP status of an attempt's answer. ``None``: there was none.
        seconds:
            Of a wait: how long it will be, at least. Of an attempt: how long it
            took. Of the end: how long the call took.
        reason:
            Why the call waits: ``rate limit``, ``retry`` or ``settle``. Without a call, and
            so without an account, a run waits: ``outage``, while nothing is answered, with
            ``waited`` since when; or ``in flight``, since a write may still arrive.
        settlement: How a doubt was settled; at the end too. ``None``: there was none.
        warnings: What a success had in its ``errors`` and ``messages``; at the end too.
        error: What ended an attempt or the call. ``None``: it went well, or was cancelled.
    """

    kind: EventKind
    operation: str
    account_id: str
    sso_connector_id: str | None = None
    attempts: int = 0
    writes: int = 0
    waited: float = 0.0
    request: Request | None = None
    status: int | None = None
    seconds: float = 0.0
    reason: str = ""
    settlement: Settlement | None = None
    warnings: tuple[ResponseInfo, ...] = ()
    error: CfssoError | None = None

    def _members(self) -> dict[str, Any]:
        error = None if self.error is None else of_error(self.error)
        return {**fields_of(self), "error": error}


OnEvent: TypeAlias = Callable[[Event], object]
"""
Is called with each event as it happens; must be quick and not async, and what it raises is logged.
"""
