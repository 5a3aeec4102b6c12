"""What became of each target of a run."""

import enum
from typing import Final

import attrs

from cfsso.errors import (
    APIStatusError,
    AuthenticationError,
    CfssoError,
    Settlement,
    UnconfirmedWriteError,
    WriteState,
)
from cfsso.fleet.changes import Change
from cfsso.models import SSOConnector

# 4xx that say no more than "not now" (RFC 9110, RFC 6585, RFC 8470).
_NOT_NOW: Final = {401, 408, 425, 429}


class OutcomeStatus(enum.StrEnum):
    """
    How a target ended; every target of a run ends with exactly one.

    Attributes:
        CHANGED: It was written, and a later read shows the requested values.
        UNCHANGED: It had the requested values before, and nothing was sent.
        BLOCKED: Nothing was sent, because the present state forbids it.
        FAILED: The API refused it, and nothing was changed.
        CONFLICT: The read after the account's last write shows something else.
        UNKNOWN: It may have been applied, or could not be read back.
        NOT_ATTEMPTED:
            Nothing was written: no connection, a refusal by Cloudflare's edge or a proxy, a
            refused token, a limit, a 5xx, or the run stopped before it. A resume does it.
    """

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"
    FAILED = "failed"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    NOT_ATTEMPTED = "not_attempted"

    @classmethod
    def of_error(cls, error: CfssoError) -> "OutcomeStatus":
        """Return how a target ended whose write raised *error*."""
        conflicts = {Settlement.CONFLICT, Settlement.GONE}
        if isinstance(error, UnconfirmedWriteError) and error.settlement in conflicts:
            return cls.CONFLICT
        return cls.UNKNOWN if error.write is WriteState.UNKNOWN else cls.FAILED

    @classmethod
    def of_run_error(cls, error: CfssoError) -> "OutcomeStatus":
        """
        Return how a target of a run ends whose write, or the read before it, raised *error*.

        Only a refusal by the API is final: ``failed``, which is any 4xx but 401, 408, 425
        and 429. What never left, what Cloudflare's edge or a proxy refused, a refused token, a
        limit, a 5xx or an unreadable answer to a read leave the target open as
        ``not_attempted``; a write in doubt is ``unknown``.
        """
        status = cls.of_error(error)
        if status is not cls.FAILED:
            return status
        refused = isinstance(error, APIStatusError) and not isinstance(error, AuthenticationError)
        code = error.status if refused and not error.edge else None
        if code is not None and 400 <= code < 500 and code not in _NOT_NOW:  # noqa: PLR2004 - as RFC 9110 has it
            return cls.FAILED
        return cls.NOT_ATTEMPTED

    @property
    def is_final(self) -> bool:
        """Whether no resume takes up the target again."""
        return self not in {OutcomeStatus.UNKNOWN, OutcomeStatus.NOT_ATTEMPTED}

    @property
    def is_green(self) -> bool:
        """Whether a read showed the target as wished."""
        return self in {OutcomeStatus.CHANGED, OutcomeStatus.UNCHANGED}


@attrs.frozen(kw_only=True)
class Outcome:
    """
    What became of one target.

    Attributes:
        change: What was asked for.
        status: How it ended.
        before: The connector before any write. ``None``: it was not seen.
        after: The connector at the last read. ``None``: it was not seen.
        error: What went wrong. ``None``: nothing did.
        attempts: How many writes were sent.
        note: A reason to show; empty if the status says it all.
    """

    change: Change
    status: OutcomeStatus
    before: SSOConnector | None = None
    after: SSOConnector | None = None
    error: CfssoError | None = None
    attempts: int = 0
    note: str = ""
