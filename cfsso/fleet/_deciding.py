"""What a read says of a target: is it to be written, or was it when the run was cut off?"""

from collections.abc import Mapping
from typing import Final

from cfsso import _wire
from cfsso._pages import one_line
from cfsso.errors import CfssoError, InvalidRequestError, RateLimitError
from cfsso.fleet._judged import Sight
from cfsso.fleet._plain import now
from cfsso.fleet._targets import Ending, Target
from cfsso.fleet._verdicts import is_token_refused
from cfsso.fleet.outcomes import OutcomeStatus
from cfsso.models import SSOConnector, VerificationStatus

_COMPARED: Final = ("email_domain", "enabled", "use_fedramp_language")
_IN_FLIGHT: Final = "it was under way when the run was cut off"


def ended(
    status: OutcomeStatus,
    note: str = "",
    *,
    before: SSOConnector | None = None,
    after: SSOConnector | None = None,
    error: CfssoError | None = None,
) -> Ending:
    """Return an ending of now."""
    return Ending(status=status, at=now(), before=before, after=after, error=error, note=note)


def decide(target: Target, sight: Sight, *, late: bool) -> Ending | None:
    """
    Return how *target* ends without a write. ``None``: it is to be written.

    Args:
        target: What is asked for.
        sight: What was read.
        late: Whether a write of before may still arrive.
    """
    if isinstance(sight, CfssoError):
        blindly = lets_in(target) and is_worth_a_try(target.wished, sight)
        return None if blindly else _unread(sight)
    if sight is None:
        gone = target.expected is not None or target.holds is not None
        status = OutcomeStatus.CONFLICT if gone else OutcomeStatus.BLOCKED
        return ended(status, "the account has no such connector")
    note = _what_has_moved(target, sight)
    if _wire.shows(sight, target.wished):
        if late:
            note = "a write of the run that is taken back may still arrive"
            return ended(OutcomeStatus.UNKNOWN, note, before=sight, after=sight)
        return ended(OutcomeStatus.UNCHANGED, before=sight, after=sight)
    if note:
        return ended(OutcomeStatus.CONFLICT, note, before=sight)
    reason = what_forbids(target.wished, sight)
    return ended(OutcomeStatus.BLOCKED, reason, before=sight) if reason else None


def settle(target: Target, sight: Sight) -> Ending | None:
    """
    Return how a target ends that was under way when its run was cut off.

    ``None``: it is as it was found before the write, so that it is to be written.
    """
    before = None if target.intent is None else target.intent.before
    if isinstance(sight, CfssoError):
        note = f"{_IN_FLIGHT}, and can't be read"
        return ended(OutcomeStatus.UNKNOWN, note, before=before, error=sight)
    if sight is None:
        note = f"{_IN_FLIGHT}, and the account has no such connector now"
        return ended(OutcomeStatus.CONFLICT, note, before=before)
    if _wire.shows(sight, target.wished):
        note = f"{_IN_FLIGHT}, and a read shows it"
        return ended(OutcomeStatus.CHANGED, note, before=before, after=sight)
    if before is None or not _differ(before, sight):
        return None
    note = f"{_IN_FLIGHT}, and somebody else wrote: a read shows {_shown(sight, target.wished)}"
    return ended(OutcomeStatus.CONFLICT, note, before=before, after=sight)


def _unread(error: CfssoError) -> Ending:
    """Return how a target ends that could not be read: only a refusal is final."""
    refused = OutcomeStatus.of_run_error(error) is OutcomeStatus.FAILED
    status = OutcomeStatus.FAILED if refused else OutcomeStatus.NOT_ATTEMPTED
    return ended(status, error=error)


def lets_in(target: Target) -> bool:
    """Whether *target* lets people in, whatever a read would show."""
    is_planned = target.expected is not None or target.holds is not None
    return not is_planned and target.wished.get("enabled") is False


def is_worth_a_try(wished: Mapping[str, bool], error: CfssoError) -> bool:
    """Whether to write although the target could not be read: only to let people in."""
    hopeless = isinstance(error, RateLimitError | InvalidRequestError) or is_token_refused(error)
    return wished.get("enabled") is False and not hopeless


def _what_has_moved(target: Target, sight: SSOConnector) -> str:
    if target.holds is not None and not _wire.shows(sight, target.holds):
        shown = _shown(sight, target.holds)
        return f"it no longer shows what the run wrote: a read shows {shown}"
    if target.expected is None:
        return ""
    if target.holds is not None:
        # What else the run did not change is anybody's; but this would be another's sign-in.
        same = target.expected.email_domain == sight.email_domain
        return "" if same else f"its domain is {one_line(sight.email_domain)} now"
    names = _differ(target.expected, sight)
    return f"it has moved since the plan: {', '.join(names)}" if names else ""


def _differ(before: SSOConnector, after: SSOConnector) -> list[str]:
    """Return which of the compared fields differ, as they are now."""
    names = [name for name in _COMPARED if getattr(before, name) != getattr(after, name)]
    # That Cloudflare has found the TXT record meanwhile is nobody's write.
    if before.verification == after.verification and before.updated_on != after.updated_on:
        names.append("updated_on")
    return [f"{name} is {one_line(getattr(after, name))}" for name in names]


def _shown(sight: SSOConnector, fields: Mapping[str, bool]) -> str:
    return _wire.values_shown(sight, fields)


def what_forbids(wished: Mapping[str, bool], found: SSOConnector) -> str:
    """Say why the wish can't be; disabling is forbidden only where there is nothing."""
    status = found.verification.status
    enables = wished.get("enabled") is True and found.enabled is not True
    if enables and status not in {None, VerificationStatus.VERIFIED}:
        return f"can't be enabled: verification is {one_line(found.verification.raw_status)}"
    return ""
