"""One account of a run: looked at, written, and looked at again."""

import asyncio
import json
from collections.abc import Sequence
from typing import Final

import attrs

from cfsso.errors import CfssoError, JournalError, WriteState
from cfsso.fleet._deciding import decide, ended, lets_in, settle
from cfsso.fleet._gate import Stopped
from cfsso.fleet._held import Held, Watch
from cfsso.fleet._judged import Sight, judged
from cfsso.fleet._means import Means
from cfsso.fleet._plain import now
from cfsso.fleet._targets import Ending, Intent, Target
from cfsso.fleet._verdicts import is_token_refused
from cfsso.fleet._visit import FRESH, TRIES, Visit
from cfsso.fleet.outcomes import OutcomeStatus
from cfsso.models import SSOConnector

_CHANGED: Final = OutcomeStatus.CHANGED
_FAILURES: Final = {OutcomeStatus.FAILED, OutcomeStatus.CONFLICT, OutcomeStatus.UNKNOWN}
_NOT_ATTEMPTED: Final = OutcomeStatus.NOT_ATTEMPTED
_LEFT: Final = "left before it was read back"
# A read may show an old state, so one that contradicts a confirmed write is done again after these.
_PAUSES: Final = (2.0, 4.0)
_LONGEST: Final = 300.0
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
# Until then a write whose run was cut off may still arrive.
_SECONDS_TO_ARRIVE: Final = 30.0


class Account:
    """
    The targets of one account, on their way to their endings.

    Args:
        means: What it shares with others.
        targets: At least one, all of one account and of one rank.

    Attributes:
        endings: By position. What is missing after `run` was not attempted.
        visit: How it is read.
    """

    def __init__(self, means: Means, targets: Sequence[Target]) -> None:
        self._means = means
        self._targets = targets
        self._id = targets[0].account_id
        # What may have been written, what surely was, or was refused, and what was read since.
        self._intended: set[int] = set()
        self._tried: set[int] = set()
        self._confirmed: set[int] = set()
        self._counted = 0
        self.visit = Visit(
            means,
            self._id,
            [target.sso_connector_id for target in targets],
            patient=not all(map(lets_in, targets)),
        )
        self.endings: dict[int, Ending] = {}

    async def run(self) -> str:
        """Fill `endings`; return why the others were not attempted, empty if there is no reason."""
        try:
            # A list, the writes, and a list.
            await self.visit.begin(len(self._targets) + 2)
            self.visit.check_open()
            await self._decide_all()
            return await self._write_all()
        except Stopped as reason:
            return str(reason)

    async def settle(self) -> str:
        """Fill `endings` for writes that were under way; one that is missing then was not done."""
        self._intended = {target.position for target in self._targets}
        await self.visit.begin()
        await self.visit.look_back(target.sso_connector_id for target in self._targets)
        for target in self._targets:
            ending = settle(target, self._sight(target))
            if ending is not None:
                self.endings[target.position] = attrs.evolve(ending, attempts=1)
        return ""

    def leave(self) -> None:
        """Say of what may have been written, when `run` was cut off, that it is not known."""
        for target in self._targets:
            ending = self.endings.get(target.position)
            if ending is None and target.position in self._intended:
                ending = ended(_CHANGED, before=self.visit.seen(target.sso_connector_id))
            if ending is not None and ending.status is _CHANGED:
                self.endings[target.position] = attrs.evolve(
                    ending, status=OutcomeStatus.UNKNOWN, note=_LEFT, attempts=ending.attempts or 1
                )

    async def _decide_all(self) -> None:
        await self.visit.look()
        for target in self._targets:
            ending = await self._waits_for(target)
            if ending is None and not self.visit.is_unread(target.sso_connector_id):
                ending = self._decided(target, self._sight(target))
            if ending is not None:
                self._end(target, ending)
        self._count_failures()

    def _end(self, target: Target, ending: Ending) -> None:
        self.endings[target.position] = ending
        self._means.refusals.notice(self._id, ending)

    def _decided(self, target: Target, sight: Sight) -> Ending | None:
        age = (now() - self._means.journal.run.begun).total_seconds()
        return decide(target, sight, late=target.unsettled and age < _SECONDS_TO_ARRIVE)

    async def _waits_for(self, target: Target) -> Ending | None:
        """Return why *target* can't be written because of the one that it needs."""
        if target.needs is None:
            return None
        needed = await self._means.journal.find(target.needs)
        if needed.ending is not None and needed.ending.status.is_green:
            return None
        status = _NOT_ATTEMPTED if needed.is_open else OutcomeStatus.BLOCKED
        became = "was not attempted"
        if needed.ending is not None and needed.ending.status is not _NOT_ATTEMPTED:
            became = f"is {needed.ending.status}"
        note = f"connector {needed.sso_connector_id} of account {needed.account_id} {became}"
        return ended(status, f"{note}, and has to be done before this one")

    async def _write_all(self) -> str:
        """Write in batches, each of which is read back; return why some were not attempted."""
        waiting = [target for target in self._targets if target.position not in self.endings]
        reason = ""
        while waiting and not reason:
            self.visit.need(len(waiting) + 1)
            async with self._means.gate.batch(len(waiting)) as batch:
                part, waiting = waiting[: batch.size], waiting[batch.size :]
                try:
                    reason = await self._write(part)
                finally:
                    # What was written and not read back, whatever the reason, is no success.
                    batch.judge(
                        self._has_succeeded(target)
                        for target in part
                        if target.position in self._tried and not self._is_barred(target)
                    )
        return reason

    async def _write(self, part: Sequence[Target]) -> str:
        async with asyncio.TaskGroup() as writes:
            tasks = [writes.create_task(self._bring(target)) for target in part]
        for target in part:
            # A task that was cancelled by nobody of ours.
            if target.position in self._intended and target.position not in self.endings:
                self._end(target, ended(OutcomeStatus.UNKNOWN, _LEFT))
        if any(target.position in self._tried for target in part):
            await self._look_back(part)
            self._count_failures()
        return next((task.result() for task in tasks if not task.cancelled() and task.result()), "")

    def _has_succeeded(self, target: Target) -> bool:
        ending = self.endings.get(target.position)
        return ending is not None and ending.status.is_green and target.position in self._confirmed

    def _is_barred(self, target: Target) -> bool:
        """Whether its token was refused before it was written, which says nothing of a target."""
        ending = self.endings.get(target.position)
        return (
            ending is not None
            and ending.status is _NOT_ATTEMPTED
            and is_token_refused(ending.error)
        )

    async def _look_back(self, part: Sequence[Target]) -> None:
        """Look once more after the last write, and judge by that."""
        written = [t.sso_connector_id for t in part if t.position in self._tried]
        await self.visit.look_back(written)
        for pause in _PAUSES:
            contradicted = [t.sso_connector_id for t in part if self._is_contradicted(t)]
            if not contradicted:
                break
            await asyncio.sleep(pause)
            await self.visit.look_back(contradicted)
        for target in self._targets:
            ending, sight = self.endings.get(target.position), self._sight(target)
            is_new = target.position not in self._confirmed
            if ending is None or (isinstance(sight, CfssoError) and not is_new):
                continue
            self.endings[target.position] = judged(ending, target.wished, sight)
            if not isinstance(sight, CfssoError):
                self._confirmed.add(target.position)

    def _is_contradicted(self, target: Target) -> bool:
        ending, sight = self.endings.get(target.position), self._sight(target)
        if ending is None or ending.status is not _CHANGED:
            return False
        if not isinstance(sight, SSOConnector):
            return self.visit.is_outdated(target.sso_connector_id)
        return judged(ending, target.wished, sight).status is not _CHANGED

    async def _bring(self, target: Target) -> str:
        """Write one target; or return why it was not attempted."""
        attempts, unanswered, longer = 0, 0, 0.0
        try:
            while True:
                async with self._means.gate.write():
                    ending, seconds, sent = await self._try(target, unanswered < TRIES)
                attempts += sent
                if ending is not None:
                    self._end(target, attrs.evolve(ending, attempts=attempts))
                    self._count_failures()
                    return ""
                if seconds:
                    # A look and a write need two places of the limit. If there is but one whenever
                    # its time has come, waiting longer than that lets more come free.
                    pause, longer = seconds + longer, min(max(FRESH, 2 * longer), _LONGEST)
                else:
                    pause, unanswered = 0.0, unanswered + (not self._means.outage.holding)
                await self.visit.rest(pause, leave=True)
        except Stopped as reason:
            return str(reason)
        except JournalError as error:
            self._means.gate.close(str(error))
            return str(error)

    async def _try(self, target: Target, again: bool) -> tuple[Ending | None, float, int]:  # noqa: FBT001 - see _send
        """
        Return the ending, or for how long it is held up, and how many writes were sent.

        Args:
            target: What to write.
            again: Whether it may be tried again if nothing is answered.
        """
        await self.visit.look_at(target.sso_connector_id)
        sight = self._sight(target)
        ending = self._decided(target, sight)
        if ending is not None:
            return ending, 0.0, 0
        # Not within a place for requests: the disk takes its time too.
        await self._intend(target, sight)
        try:
            # In an outage a write waits for its turn as reads do.
            async with self._means.outage.turn(leave=True), self._means.places:
                self.visit.check_open()
                if not self.visit.is_fresh(target.sso_connector_id):
                    # The place was long in coming.
                    latest = await self.visit.glance(target.sso_connector_id)
                    ending = self._decided(target, latest)
                    if ending is not None:
                        await self._forget(target)
                        return ending, 0.0, 0
                    if latest != sight:
                        sight = latest
                        # One intent is all that stands of a target.
                        await self._forget(target)
                        await self._intend(target, sight)
                ending, sent = await self._send(target, _connector(sight), again=again)
            if ending.status is _NOT_ATTEMPTED:
                await self._forget(target)
        except Held as held:
            await self._forget(target)
            return None, held.seconds, held.writes
        except Stopped:
            await self._forget(target)
            raise
        return ending, 0.0, sent

    async def _intend(self, target: Target, sight: Sight) -> None:
        body = _ENCODE(target.wished)
        intent = Intent(at=now(), before=_connector(sight), body=body)
        await self._means.journal.intend(target.position, intent)

    async def _forget(self, target: Target) -> None:
        """Take an intent back of which nothing was sent, or nothing that was not refused."""
        self._intended.discard(target.position)
        await self._means.journal.forget(target.position)

    async def _send(
        self, target: Target, before: SSOConnector | None, *, again: bool
    ) -> tuple[Ending, int]:
        watch = Watch(self.visit.count, self._means.outage)
        connectors = self._means.connectors.with_options(on_event=watch)
        key, wished = target.sso_connector_id, target.wished
        self._intended.add(target.position)
        error: CfssoError | None = None
        try:
            await watch.run(connectors.update(key, account_id=self._id, before=before, **wished))
        except CfssoError as raised:
            error = raised
            self.visit.heed(raised)
            unsent = raised.write is WriteState.NOT_SENT
            if unsent and again and self.visit.may_fare_better(raised):
                raise Held(0.0, watch.writes) from None
        self._tried.add(target.position)
        status = _CHANGED if error is None else OutcomeStatus.of_run_error(error)
        return ended(status, before=before, error=error), watch.writes

    def _count_failures(self) -> None:
        """Tell the gate; a 401 is no failure of a target, and stops its credential instead."""
        failures = sum(map(_is_failure, self.endings.values()))
        self._means.gate.fail(failures - self._counted)
        self._counted = failures

    def _sight(self, target: Target) -> Sight:
        return self.visit.sight(target.sso_connector_id)


def _is_failure(ending: Ending) -> bool:
    if is_token_refused(ending.error):
        return False
    # What merely was not begun has no error of its own.
    return ending.status in _FAILURES or (
        ending.status is _NOT_ATTEMPTED and ending.error is not None
    )


def _connector(sight: Sight) -> SSOConnector | None:
    return sight if isinstance(sight, SSOConnector) else None
