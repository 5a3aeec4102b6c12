"""What became of each target of a run."""

import enum

import attrs

from cfsso.errors import CfssoError, Settlement, UnconfirmedWriteError, WriteState
from cfsso.fleet.changes import Change
from cfsso.models import SSOConnector


class OutcomeStatus(enum.StrEnum):
    """
    How a target ended; every target of a run ends with exactly one.

    Attributes:
        CHANGED: It was written, and a later read shows the wish.
        UNCHANGED: It was as wished before, and nothing was sent.
        BLOCKED: Nothing was sent, because the present state forbids it.
        FAILED: Surely not applied.
        CONFLICT: The read after the account's last write shows something else.
        UNKNOWN: It may have been applied, or could not be read back.
        NOT_ATTEMPTED: The run stopped before it came to this target.
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
