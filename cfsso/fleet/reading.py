"""What a journal says of its runs, for whoever only wants to know."""

import datetime as dt
import os
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Final, Self

import attrs

from cfsso._json import Value
from cfsso.fleet._deciding import ended
from cfsso.fleet._journal import Journal
from cfsso.fleet._targets import Place, Run, RunKind, Target
from cfsso.fleet.outcomes import Outcome, OutcomeStatus

_IN_FLIGHT: Final = "under way when the run was cut off: resume settles it"
_IN_RESCUE: Final = "under way when the record ended: break the glass again, or revert it"


@attrs.frozen(kw_only=True)
class Recorded(Value):
    """
    What a journal says of one target.

    Attributes:
        outcome:
            How it ended. What was under way when the run was cut off is ``unknown``; what
            the run did not come to is ``not_attempted``.
        intended: When its write was about to be sent, an aware time. ``None``: it was not.
        ended: When its outcome was known, an aware time. ``None``: it is not.
    """

    outcome: Outcome
    intended: dt.datetime | None
    ended: dt.datetime | None


class JournalReader:
    """
    What a journal said when it was opened, even while a run writes it; see `read_journal`.

    Attributes:
        runs: In the order in which they began.
        server:
            Which server they reach: a base URL, or ``emulated:`` and the digest of an
            emulated Cloudflare. Empty: it is not known, as in a journal of an older version.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.runs: tuple[Run, ...] = journal.runs
        self.server: str = journal.server

    @property
    def latest(self) -> Run:
        """
        The run that began last.

        Raises:
            InvalidRequestError: No run has begun.
        """
        return self._journal.run

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the copy. May be called more than once."""
        await self._journal.aclose()

    async def targets(self, run: int | None = None) -> AsyncGenerator[Recorded]:
        """
        Yield every target of a run, in the order in which the run takes them.

        Args:
            run: The number of the run. ``None``: the latest.

        Raises:
            JournalError: The file can't be read any more.
        """
        after: Place | None = None
        number = self.latest.number if run is None else run
        while page := await self._journal.pages(open_only=False, after=after, run=number):
            after = page[-1].place
            for target in page:
                yield _recorded(target, self.runs[number - 1].kind)

    async def activity(self, run: int | None = None) -> list[tuple[dt.datetime, str, int]]:
        """
        Return how many requests a run sent: second, fingerprint of the token, requests.

        In the order of the seconds; the fingerprint is empty where it is not known.

        Args:
            run: As for `targets`.

        Raises:
            JournalError: As for `targets`.
        """
        return await self._journal.activity(run)


async def read_journal(journal: str | os.PathLike[str]) -> JournalReader:
    """
    Read a journal as it is now, with all its checks; use it with ``async with``.

    The file is copied first, in memory or to a temporary file, so that nobody who writes
    it has to wait for a reader. It stays as it is, whoever it belongs to.

    Raises:
        InvalidRequestError: The file is no journal, or is damaged, and where.
    """
    return JournalReader(await Journal.open(journal, readonly=True))


def _recorded(target: Target, kind: RunKind) -> Recorded:
    ending = target.ending
    known = None if ending is None else ending.at
    intended, before = None, None
    if target.intent is not None:
        intended, before = target.intent.at, target.intent.before
    if ending is None and intended is None:
        ending = ended(OutcomeStatus.NOT_ATTEMPTED)
    elif ending is None:
        note = _IN_RESCUE if kind is RunKind.BREAK_GLASS else _IN_FLIGHT
        ending = ended(OutcomeStatus.UNKNOWN, note, before=before)
    return Recorded(outcome=target.outcome(ending), intended=intended, ended=known)
