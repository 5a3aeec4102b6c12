"""What became of each target of a run."""

import enum
from typing import Any, Final, Self

import attrs

from cfsso._error_json import of_error
from cfsso._json import Value, fields_of
from cfsso._nodes import Node, read_value
from cfsso.errors import (
    APIStatusError,
    AuthenticationError,
    CfssoError,
    Settlement,
    UnconfirmedWriteError,
    WriteState,
)
from cfsso.fleet._error_nodes import to_error
from cfsso.fleet.changes import FLAGS, Change, read_change
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
class Outcome(Value):
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

    @classmethod
    def from_json(cls, text: str) -> Self:
        """
        Return the outcome that *text* is, as `to_json` gives it.

        Its error is of the same class and says the same, but has no `CfssoError.response`.

        Raises:
            InvalidRequestError: It is none; the message names the JSON path.
        """
        return read_value(text, "an outcome", lambda top: cls(**_read(top)))

    def _members(self) -> dict[str, Any]:
        change, members = self.change, fields_of(self)
        del members["change"]
        return {
            "account_id": change.account_id,
            # An outcome about a whole account has none.
            "sso_connector_id": change.sso_connector_id or None,
            "status": self.status,
            **dict.fromkeys(FLAGS),
            **change.wished,
            **members,
            "error": None if self.error is None else of_error(self.error),
            "note": self.note or None,
        }


_NEEDED: Final = ("account_id", "sso_connector_id", "status")
_OPTIONAL: Final = (*FLAGS, "before", "after", "error", "attempts", "note")


def _read(top: Node) -> dict[str, Any]:
    members = top.members(_NEEDED, _OPTIONAL)
    known = {
        name: member
        for name, member in members.items()
        if name in _NEEDED or member.value is not None
    }
    found: dict[str, Any] = {
        "change": Change(**read_change(known, top)),
        "status": known["status"].word(OutcomeStatus),
    }
    for name in ("before", "after"):
        if name in known:
            found[name] = known[name].connector()
    if "error" in known:
        found["error"] = to_error(known["error"])
    if "attempts" in known:
        found["attempts"] = known["attempts"].whole()
    if "note" in known:
        found["note"] = known["note"].text()
    return found
