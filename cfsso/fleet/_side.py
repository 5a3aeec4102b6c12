"""One of the two accounts of a transfer: what it has, what is written, what a list shows then."""

from collections.abc import Sequence
from typing import Any, Final

import attrs

from cfsso import _checks
from cfsso._seen import Seen
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import APIResponseValidationError, CfssoError, NotFoundError
from cfsso.fleet._judged import believed
from cfsso.fleet._writes import Writes
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector, VerificationStatus

UNREAD: Final = "it could not be read back"
AGAIN: Final = "look at it, and transfer again"


@attrs.define(eq=False)
class Side:
    """
    One of the two accounts.

    Attributes:
        before: The connector of the domain as first seen. None: there is none.
        last: What the last list showed of it, or why there was none.
        left: The connector as its last write left it. None: there was none.
        attempts: How many writes were sent.
    """

    connectors: AsyncSSOConnectors
    email_domain: str
    account_id: str
    wished: bool = attrs.field(kw_only=True)
    before: SSOConnector | None = None
    last: SSOConnector | CfssoError | None = None
    left: SSOConnector | None = None
    attempts: int = 0
    _seen: Seen = attrs.field(factory=Seen, init=False)

    async def look(self) -> SSOConnector | CfssoError | None:
        """List the account; return the connector if it is there, or why that is not known."""
        try:
            found = await self._read()
            if found is not None and self._seen.outdates(found):
                # A list may be from before what a former one showed.
                found = await self._get(found.id)
            self.last = believed(found, self._seen)
        except CfssoError as error:
            self.last = error
        return self.last

    async def _read(self) -> SSOConnector | None:
        """Return the connector, which is read by itself if the list shows it in part only."""
        key = None if self.before is None else self.before.id
        listed = await self.connectors._list_for_rescue(  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] # of this package only
            self.account_id, only=None if key is None else [key]
        )
        found = self._find(listed.connectors)
        if found is not None and found.id not in listed.odd:
            return found
        # In part only means that it may be the one, if not even its domain can be read.
        nameless = (one for one in listed.connectors if one.id in listed.odd)
        hidden = listed.lost + sum(not one.email_domain for one in nameless)
        if found is not None or (key and hidden):
            return await self._get(key or str(found and found.id))
        if hidden:
            said = f"the list hides {hidden} of the connectors"
            raise APIResponseValidationError(f"{said}, and the domain may be among them")
        return None

    async def _get(self, key: str) -> SSOConnector | None:
        try:
            return await self.connectors.get(key, account_id=self.account_id)
        except NotFoundError as error:
            if error.edge:
                raise
            return None

    async def see(self) -> CfssoError | None:
        """Look for the first time; return what went wrong."""
        found = await self.look()
        if isinstance(found, CfssoError):
            return found
        self.before = found
        return None

    def _find(self, listed: Sequence[SSOConnector]) -> SSOConnector | None:
        if self.before is not None:
            return next((one for one in listed if one.id == self.before.id), None)
        return _most_important(
            [one for one in listed if _checks.same_domain(one.email_domain, self.email_domain)]
        )

    def shows(self, found: SSOConnector | None) -> bool:
        """Whether *found* is as wished; what never was there is disabled."""
        if found is None:
            return not self.wished and self.before is None
        return found.enabled is self.wished

    def is_as_left(self, found: SSOConnector) -> bool:
        """Whether nobody wrote *found* since our last write."""
        if self.left is None or self.left.updated_on is None:
            return False
        return found.enabled is self.wished and found.updated_on == self.left.updated_on

    def outcome(self, status: OutcomeStatus, **members: Any) -> Outcome:
        """Return an outcome with what is known of the account."""
        key = "" if self.before is None else self.before.id
        return Outcome(
            change=Change(self.account_id, key, enabled=self.wished),
            status=status,
            before=self.before,
            attempts=self.attempts,
            **members,
        )

    async def write(self, found: SSOConnector, *, enabled: bool) -> CfssoError | None:
        """Set it; return what went wrong."""
        writes = Writes(self.connectors.on_event)
        try:
            written = await self.connectors.with_options(on_event=writes).update(
                found.id, account_id=self.account_id, enabled=enabled, before=found
            )
        except CfssoError as error:
            return error
        finally:
            self.attempts += writes.count
        self.left = written
        return None

    async def bring(self) -> Outcome:
        """Bring it to the wish, and see by a list whether it is there."""
        if self.before is None or self.shows(self.before):
            return self.outcome(OutcomeStatus.UNCHANGED, after=self.before)
        error = await self.write(self.before, enabled=self.wished)
        status = OutcomeStatus.CHANGED if error is None else OutcomeStatus.of_error(error)
        return await self.confirm(self.outcome(status, error=error))

    async def confirm(self, outcome: Outcome) -> Outcome:
        """Return *outcome* in the light of one more list."""
        found = await self.look()
        if isinstance(found, CfssoError):
            return unread(outcome, found, UNREAD) if outcome.status.is_green else outcome
        outcome = attrs.evolve(outcome, after=found)
        shown = self.shows(found)
        if shown and (self.left is None or self.left.updated_on is None):
            self.left = found
        if outcome.status is OutcomeStatus.UNKNOWN and shown:
            note = "the answer was lost, a read shows it"
            return attrs.evolve(outcome, status=OutcomeStatus.CHANGED, note=note)
        if outcome.status.is_green and not shown:
            note = "the last read shows other values" if found else "the last read does not show it"
            note = f"{note}: {AGAIN}"
            return attrs.evolve(outcome, status=OutcomeStatus.CONFLICT, note=note)
        return outcome


def unread(outcome: Outcome, error: CfssoError, note: str) -> Outcome:
    """Return *outcome* where its connector could not be read back, because of *error*."""
    note = f"{note}: {AGAIN}"
    unknown = OutcomeStatus.UNKNOWN
    return attrs.evolve(outcome, status=unknown, after=None, error=error, note=note)


def _most_important(found: Sequence[SSOConnector]) -> SSOConnector | None:
    """Return the enabled one if there is one, or a verified one; the API says there is one."""
    verified = VerificationStatus.VERIFIED
    return max(
        (one for one in found if one.id),
        key=lambda one: (one.enabled is True, one.verification.status is verified),
        default=None,
    )
