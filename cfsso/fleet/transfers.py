"""Move the SSO of a domain from one account to another, and back again if it can't arrive."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from cfsso import _callbacks, _checks
from cfsso._log import log
from cfsso._pages import one_line
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import CfssoError, InvalidRequestError
from cfsso.fleet._side import AGAIN, UNREAD, Side, unread
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector, VerificationStatus

OnConfirmed: TypeAlias = Callable[[Change], object]

_NOBODY: Final = "neither account has the domain enabled"


async def transfer(
    connectors: AsyncSSOConnectors,
    email_domain: str,
    *,
    source: str,
    target: str,
    max_wait: float | None = None,
    on_confirmed: OnConfirmed | None = None,
) -> tuple[Outcome, Outcome]:
    """
    Disable a domain in one account and then enable it in another.

    A domain can be enabled in one account only, so for some seconds it is in neither and
    its users sign in without SSO. Each step is confirmed by a list before the next one
    begins, and both accounts are listed after the last write. If Cloudflare surely did
    not enable it in *target*, it is enabled in *source* again, unless somebody else wrote
    there meanwhile; if that can't be known, *source* stays as it is.

    Nothing is written unless *target* has a connector of the domain that is verified.
    A transfer that was left early, as by a cancellation, goes on from where it was if it
    is run again: what is disabled or enabled already is left alone.

    Args:
        connectors: Where both accounts are.
        email_domain: In any spelling: Unicode, A-labels, upper case.
        source: The account that is to have it disabled; it may have no connector of it.
        target: The account that is to have it enabled.
        max_wait:
            Seconds that each call may wait for rate limits, whatever *connectors* say.
            ``None``: no bound.
        on_confirmed:
            Is called with each change as soon as a read shows it; what it raises is logged.

    Returns:
        What became of the source and of the target, in this order. A change that is
        about no connector, since there is none or it was not seen, has an empty id.

    Raises:
        InvalidRequestError:
            Before anything is sent: the domain, an account id, *max_wait* or
            *on_confirmed* can't be used, or both accounts are the same.
    """
    check(email_domain, source, target)
    on_confirmed = _callbacks.plain("on_confirmed", on_confirmed)
    connectors = connectors.with_options(max_wait=max_wait)
    return await _Transfer(
        source=Side(connectors, email_domain, source, wished=False),
        target=Side(connectors, email_domain, target, wished=True),
        on_confirmed=on_confirmed,
    ).run()


def check(email_domain: str, source: str, target: str) -> None:
    """
    See, without sending anything, that the arguments of `transfer` can be used.

    Raises:
        InvalidRequestError: They can't.
    """
    problem = _checks.domain_problem(email_domain)
    if problem:
        raise InvalidRequestError(f"email_domain {problem}")
    _checks.identifier("source", source, None)
    _checks.identifier("target", target, None)
    if source.lower() == target.lower():
        raise InvalidRequestError("source and target must be two accounts, not one")


@attrs.define(eq=False, kw_only=True)
class _Transfer:
    """The steps of a transfer."""

    source: Side
    target: Side
    on_confirmed: OnConfirmed | None

    async def run(self) -> tuple[Outcome, Outcome]:
        source, target = self.source, self.target
        errors = await asyncio.gather(source.see(), target.see())
        if any(errors):
            return _unseen(source, errors[0]), _unseen(target, errors[1])
        reason = _what_forbids(target)
        if reason:
            blocked = OutcomeStatus.BLOCKED
            return source.outcome(blocked, note=reason), target.outcome(blocked, note=reason)
        disabled = await source.bring()
        if not disabled.status.is_green:
            note = "it is not known to be disabled in the other account"
            return disabled, target.outcome(OutcomeStatus.NOT_ATTEMPTED, note=note)
        self._tell(disabled)
        enabled = await target.bring()
        self._tell(enabled)
        if disabled.status is OutcomeStatus.CHANGED and self._did_not_arrive(enabled):
            return await self._go_back(disabled, enabled)
        if enabled.status is OutcomeStatus.UNKNOWN:
            enabled = attrs.evolve(enabled, note=f"it may be enabled, or be so later: {AGAIN}")
        # Each account has to be read after the last write of all.
        if target.attempts:
            disabled = await source.confirm(disabled)
        elif source.attempts:
            enabled = await target.confirm(enabled)
        return disabled, enabled

    def _did_not_arrive(self, enabled: Outcome) -> bool:
        """Whether the target surely was not enabled, by its write and by the read after it."""
        last = self.target.last
        if isinstance(last, SSOConnector) and last.enabled:
            return False
        if enabled.status is OutcomeStatus.CONFLICT:
            # An answer that a read denies proves nothing; nor does a read that failed.
            return enabled.error is not None and not isinstance(last, CfssoError)
        return enabled.status is OutcomeStatus.FAILED

    async def _go_back(self, disabled: Outcome, enabled: Outcome) -> tuple[Outcome, Outcome]:
        """Enable the source again, if it is as this transfer left it."""
        source = self.source
        found = await source.look()
        if isinstance(found, CfssoError):
            return unread(disabled, found, f"not enabled again, since {UNREAD}"), enabled
        if found is None or not source.is_as_left(found):
            note = "not enabled again, since somebody else may have written it meanwhile"
            return _left(attrs.evolve(disabled, after=found), enabled, note)
        error = await source.write(found, enabled=True)
        disabled = attrs.evolve(disabled, error=error, attempts=source.attempts)
        found = await source.look()
        if isinstance(found, CfssoError):
            note = f"it was to be enabled again, and {UNREAD}"
            return unread(disabled, error or found, note), enabled
        disabled = attrs.evolve(disabled, after=found)
        if found is not None and found.enabled:
            self._say(attrs.evolve(disabled.change, enabled=True))
            note = f"enabled again, since the target could not be: {enabled.error}"
            return attrs.evolve(disabled, status=OutcomeStatus.FAILED, note=note), enabled
        if error is None or OutcomeStatus.of_error(error) is OutcomeStatus.UNKNOWN:
            disabled = attrs.evolve(disabled, status=OutcomeStatus.UNKNOWN)
        return _left(disabled, enabled, "it could not be enabled again")

    def _tell(self, outcome: Outcome) -> None:
        if outcome.status is OutcomeStatus.CHANGED:
            self._say(outcome.change)

    def _say(self, change: Change) -> None:
        if self.on_confirmed is None:
            return
        try:
            self.on_confirmed(change)
        except Exception:  # noqa: BLE001 - a watcher must not leave a domain between two accounts
            log().exception("on_confirmed failed")


def _unseen(side: Side, error: CfssoError | None) -> Outcome:
    if error is not None:
        return side.outcome(OutcomeStatus.FAILED, error=error)
    note = "the other account could not be read"
    return side.outcome(OutcomeStatus.NOT_ATTEMPTED, note=note)


def _what_forbids(target: Side) -> str:
    """Say why the domain can't be enabled in *target*, and how to put it right."""
    found = target.before
    if found is None:
        return "the target has no connector of the domain: create one there and have it verified"
    status = found.verification.status
    if found.enabled or status is VerificationStatus.VERIFIED:
        return ""
    said = "not known" if status is None else one_line(found.verification.raw_status)
    return f"the target's verification is {said}: have the domain verified there"


def _left(disabled: Outcome, enabled: Outcome, note: str) -> tuple[Outcome, Outcome]:
    """Return both outcomes if the source was not enabled again."""
    if disabled.after is None or disabled.after.enabled is not False:
        conflict = OutcomeStatus.CONFLICT
        return attrs.evolve(disabled, status=conflict, note=f"{note}: {AGAIN}"), enabled
    disabled = attrs.evolve(disabled, note=f"{note}: {_NOBODY}")
    return disabled, attrs.evolve(enabled, note=_NOBODY)
