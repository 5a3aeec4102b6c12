"""A target of a run, as the journal keeps it."""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from cfsso._json import Value
from cfsso.errors import CfssoError
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import UNSET, SSOConnector

Place: TypeAlias = tuple[int, int, int]
"""Where a target stands in the order of a run: its rank, its account's turn, its position."""


class RunKind(enum.StrEnum):
    """What a run does."""

    APPLY = "apply"
    REVERT = "revert"
    BREAK_GLASS = "break-glass"


@attrs.frozen(kw_only=True)
class Run(Value):
    """
    One run of a journal.

    Attributes:
        number: From 1, in the order in which they began.
        kind: What it does.
        begun: When it began.
        ended: When its last target had its outcome. ``None``: it has not ended.
        reverts: The number of the run that it takes back. ``None``: it is no revert.
        total: How many targets it has.
        merged: How many changes repeated an earlier one.
        plan: The digest of its plan. ``None``: it had none.
        credentials: The fingerprints of the tokens, in order, as far as they are known.
        versions: Of this package and of Python, by name.
        options: What the run was told, by the names of the arguments.
        server:
            Which server it reaches: a base URL, or ``emulated:`` and the digest of an
            emulated Cloudflare. Empty: it is not known.
        written:
            How many writes it was about to send when the journal was opened, those that
            it took back counted in. 0: it has surely written nothing.
    """

    number: int
    kind: RunKind
    begun: dt.datetime
    ended: dt.datetime | None = None
    reverts: int | None = None
    total: int = 0
    merged: int = 0
    plan: str | None = None
    credentials: tuple[str, ...] = ()
    versions: Mapping[str, str] = attrs.field(factory=dict)
    options: Mapping[str, Any] = attrs.field(factory=dict)
    server: str = ""
    written: int = 0


@attrs.frozen(kw_only=True)
class Intent:
    """
    What is about to be written.

    Attributes:
        at: When, by the clock on the wall.
        before: The connector as it was found. ``None``: it could not be read.
        body: The exact body of the request.
        number: From 1, in the order of the run's intents; the journal counts.
    """

    at: dt.datetime
    before: SSOConnector | None
    body: str
    number: int = 0


@attrs.frozen(kw_only=True)
class Ending:
    """How a target ended; see `Outcome`."""

    status: OutcomeStatus
    at: dt.datetime
    before: SSOConnector | None = None
    after: SSOConnector | None = None
    error: CfssoError | None = None
    attempts: int = 0
    note: str = ""


@attrs.frozen(kw_only=True)
class Target:
    """
    One connector that a run is to bring to its wish.

    Attributes:
        position: From 0, in the order of the changes.
        account_id: 32 letters and digits.
        sso_connector_id: 32 letters and digits.
        wished: The values asked for, by the name of their field.
        rank: What has a higher rank begins after all of a lower one have ended.
        needs: The position of the target that has to be green before. ``None``: none.
        expected:
            The connector as the plan saw it; of a revert, as the run that it takes back
            found it. ``None``: there was no plan, or it could not be read.
        holds:
            Of a revert: what the run that it takes back wrote, and the connector has to
            show yet. ``None``: this is no revert.
        unsettled: Of a revert: whether it is not known what became of that run's write.
        intent: What was made durable before its write. ``None``: nothing was sent.
        ending: How it ended. ``None``: it has not.
        turn: The position of the first target of its account; the journal fills it in.
    """

    position: int
    account_id: str
    sso_connector_id: str
    wished: Mapping[str, bool]
    rank: int = 0
    needs: int | None = None
    expected: SSOConnector | None = None
    holds: Mapping[str, bool] | None = None
    unsettled: bool = False
    intent: Intent | None = None
    ending: Ending | None = None
    turn: int = 0

    @property
    def place(self) -> Place:
        """Where it stands in the order of the run."""
        return self.rank, self.turn, self.position

    @property
    def change(self) -> Change:
        """What was asked for."""
        return Change(
            self.account_id,
            self.sso_connector_id,
            self.wished.get("enabled", UNSET),
            self.wished.get("use_fedramp_language", UNSET),
        )

    @property
    def is_open(self) -> bool:
        """Whether a later run may still bring it to its end."""
        return self.ending is None or not self.ending.status.is_final

    def outcome(self, ending: Ending) -> Outcome:
        """Return what users see of *ending*."""
        return Outcome(
            change=self.change,
            status=ending.status,
            before=ending.before,
            after=ending.after,
            error=ending.error,
            attempts=ending.attempts,
            note=ending.note,
        )
