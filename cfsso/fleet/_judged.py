"""What the read after an account's last write makes of a result."""

import datetime as dt
from collections.abc import Mapping
from typing import Final, TypeAlias, TypeVar

import attrs

from cfsso import _wire
from cfsso._seen import Seen
from cfsso.errors import APIResponseValidationError, CfssoError
from cfsso.fleet._plain import now
from cfsso.fleet._targets import Ending
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector

Sight: TypeAlias = SSOConnector | CfssoError | None
"""What a read shows of a target: how it is, why it can't be seen, or that it is not there."""

_FUTURE: Final = dt.timedelta(days=1)

_Result = TypeVar("_Result", Outcome, Ending)


def outdated(found: SSOConnector) -> CfssoError:
    """Return why *found* can't be believed, which is an older state than one that was seen."""
    return APIResponseValidationError(
        f"a read of {found.id} shows an older state than a read before it"
    )


def believed(sight: Sight, seen: Seen) -> Sight:
    """Return *sight*, or an error if *seen* outdates it; else it is remembered."""
    if isinstance(sight, SSOConnector):
        if seen.outdates(sight):
            return outdated(sight)
        # A time of the future would outdate all that is written now.
        if sight.updated_on is not None and sight.updated_on - now() < _FUTURE:
            seen.note(sight)
    return sight


def judged(result: _Result, wished: Mapping[str, bool], sight: Sight) -> _Result:
    """Return *result* in the light of the read that came after the account's last write."""
    if isinstance(sight, CfssoError):
        if not result.status.is_green:
            return result
        return _unseen(result, "it could not be read back", sight)
    result = attrs.evolve(result, after=sight)
    shown = sight is not None and _wire.shows(sight, wished)
    if result.status is OutcomeStatus.UNKNOWN and shown and result.attempts:
        note = "the answer was lost, a read shows it"
        return attrs.evolve(result, status=OutcomeStatus.CHANGED, note=note)
    if not result.status.is_green or shown:
        return result
    if sight is None:
        note = "the last read does not show it"
    elif _is_silent(wished, sight):
        return _unseen(result, "the last read does not show how it is")
    else:
        note = "the last read shows other values"
    return attrs.evolve(result, status=OutcomeStatus.CONFLICT, note=note)


def _unseen(result: _Result, note: str, error: CfssoError | None = None) -> _Result:
    # Of what nothing was sent for, there is no doubt what was done: a later run reads it again.
    status = OutcomeStatus.UNKNOWN if result.attempts else OutcomeStatus.NOT_ATTEMPTED
    return attrs.evolve(result, status=status, error=error, note=note)


def _is_silent(wished: Mapping[str, bool], sight: SSOConnector) -> bool:
    """Whether *sight* contradicts nothing that was asked for, and does not show it either."""
    return all(getattr(sight, name) in {None, value} for name, value in wished.items())
