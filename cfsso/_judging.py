"""What a read says of a write in doubt: the decisions, without the reading."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from cfsso import _checks, _headers, _wire
from cfsso._seen import Seen, is_later
from cfsso.errors import CfssoError, NotFoundError, Settlement, WriteState
from cfsso.models import SSOConnector

# Clocks of a server's parts may differ, and a Date has whole seconds.
_SKEW: Final = dt.timedelta(seconds=2)
# Date and a connector's times may come from clocks that differ, but by no more than this.
_APART: Final = dt.timedelta(minutes=1)
# What was written later than that by the server's clock is dated wrong.
_FUTURE: Final = dt.timedelta(days=1)


@attrs.frozen(kw_only=True)
class Finding:
    """
    What one look shows.

    Attributes:
        settlement: What it means for the write.
        said: The same in words.
        final: Whether it needs no second look.
        outdated: Whether it was disproved by what was seen before, so that it counts for nothing.
        value: What the operation returns if the write was done.
        found: The connector, if it was seen.
        error: Why nothing was seen.
    """

    settlement: Settlement
    said: str = ""
    final: bool = False
    outdated: bool = False
    value: Any = None
    found: SSOConnector | None = None
    error: CfssoError | None = None


@attrs.frozen
class Span:
    """
    The time from the sending of a write to a read, by the server's clock.

    Attributes:
        long_before: What is older was there before, whatever clock it is dated by.
        begin: A moment surely before the sending.
        end: A moment surely after the read.
        future: What is dated later tells nothing.
    """

    long_before: dt.datetime
    begin: dt.datetime
    end: dt.datetime
    future: dt.datetime = attrs.Factory(lambda span: span.end + _FUTURE, takes_self=True)

    @classmethod
    def until(cls, answer: _wire.Answer, seconds: float) -> "Span | None":
        """Return the last *seconds* before *answer*; ``None``: it has no date to go by."""
        date = _headers.server_time(answer.response.headers)
        if date is None:
            return None
        try:
            begin = date.astimezone(dt.UTC) - dt.timedelta(seconds=seconds) - _SKEW
            return cls(begin - _APART, begin, date + _SKEW)
        except OverflowError:
            return None

    def has(self, stamp: dt.datetime | None) -> bool:
        """Whether *stamp* is in it."""
        return stamp is not None and self.begin <= stamp <= self.end


def gone(error: NotFoundError, sso_connector_id: str, seen: Seen) -> Finding:
    """Say what became of an update if a read of the connector is answered with *error*."""
    if error.edge:
        # Somebody on the way knows no connectors.
        return unread(error)
    seen.miss(sso_connector_id)
    return Finding(settlement=Settlement.GONE, said=f"the connector is not there: {error}")


def unread(error: CfssoError) -> Finding:
    """Say that a look failed with *error*."""
    said = f"reading failed too: {error}"
    return Finding(settlement=Settlement.UNKNOWN, said=said, error=error)


def check_before(before: SSOConnector | None, sso_connector_id: str) -> None:
    """Refuse what can't be how the connector of that id was known before."""
    if before is None:
        return
    if not isinstance(before, SSOConnector):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
        problem = f"an SSOConnector, not {type(before).__name__}"
    elif before.id != sso_connector_id:
        problem = f"the connector {sso_connector_id}, not {before.id!r:.60}"
    else:
        return
    _checks.refuse(f"before must be {problem}", WriteState.NOT_SENT)


def judge_update(
    found: SSOConnector,
    wished: Mapping[str, bool],
    before: SSOConnector | None,
    span: Span | None,
    seen: Seen,
) -> Finding:
    """
    Say what became of an update.

    Args:
        found: The connector, read after the update was sent.
        wished: What the update asked for.
        before: The connector as it was known before. ``None``: it was not.
        span: The time from sending it to reading. ``None``: unknown.
        seen: What was seen before, *before* included; *found* is added.
    """
    shown = _wire.values_shown(found, wished)
    stamp, known = found.updated_on, None if before is None else before.updated_on
    was_so = before is not None and _wire.shows(before, wished)
    recent = span is not None and span.has(stamp)
    if span is not None:
        seen.forget_after(span.future)
    settlement, said = Settlement.UNKNOWN, f"a read shows {shown}"
    final, outdated = False, seen.outdates(found, wished)
    if outdated:
        said = f"{said}, and is older than what was known before"
    elif seen.contradicts(found, wished):
        said = f"{said}, and one that may be newer shows other values"
    elif _wire.shows(found, wished):
        idle = was_so and known is not None and stamp == known
        settlement = Settlement.ALREADY if idle else Settlement.APPLIED
        # Without a Date there is nothing to go by, and a second look would show as much.
        final = span is None and not idle and not seen.wavers(found.id)
    elif any(getattr(found, name) is None for name in wished):
        pass
    elif _somebody_wrote(found, wished, before, recent=recent):
        settlement, said = Settlement.CONFLICT, f"somebody else wrote: {said}"
    elif _nobody_wrote(stamp, known, span):
        settlement, said = Settlement.NOT_APPLIED, f"{said}, as before"
    return Finding(
        settlement=settlement, said=said, final=final, outdated=outdated, value=found, found=found
    )


def _somebody_wrote(
    found: SSOConnector, wished: Mapping[str, bool], before: SSOConnector | None, *, recent: bool
) -> bool:
    """Whether *found*, which shows other values than those *wished*, was written since."""
    if before is not None:
        pairs = [(getattr(before, name), getattr(found, name)) for name in wished]
        if any(old is not None and old is not new for old, new in pairs):
            return True
        if before.updated_on is not None:
            return found.updated_on is not None and is_later(found.updated_on, before.updated_on)
    return recent


def _nobody_wrote(stamp: dt.datetime | None, known: dt.datetime | None, span: Span | None) -> bool:
    """Whether a connector surely was not written since, by its *stamp* and the *known* one."""
    if stamp is None:
        return False
    if known is None:
        return span is not None and stamp < span.long_before
    # Two writes may share a stamp of whole seconds.
    return stamp == known and (stamp.microsecond > 0 or (span is not None and stamp < span.begin))


def judge_delete(
    connectors: Sequence[SSOConnector],
    left_out: int,
    sso_connector_id: str,
    span: Span | None,
    seen: Seen,
) -> Finding:
    """Say what became of a delete, by a list that may have *left_out* some; *seen* is added to."""
    if _is_outdated(connectors, span, seen):
        return _OUTDATED
    for connector in connectors:
        if connector.id == sso_connector_id:
            said = "a list still shows it"
            return Finding(settlement=Settlement.NOT_APPLIED, said=said, found=connector)
    if not all(connector.id for connector in connectors):
        return Finding(settlement=Settlement.UNKNOWN, said="a list shows one without an id")
    return _absent(Settlement.APPLIED, "", left_out)


_OUTDATED: Final = Finding(
    settlement=Settlement.UNKNOWN, said="a list is older than one before it", outdated=True
)


def _is_outdated(connectors: Sequence[SSOConnector], span: Span | None, seen: Seen) -> bool:
    if span is not None:
        seen.forget_after(span.future)
    return seen.outdates_any(connectors)


def judge_create(
    connectors: Sequence[SSOConnector],
    left_out: int,
    email_domain: str,
    wished: Mapping[str, bool],
    span: Span | None,
    seen: Seen,
) -> Finding:
    """Say what became of a create, by a list that may have *left_out* some; *seen* is added to."""
    if _is_outdated(connectors, span, seen):
        return _OUTDATED
    findings = [
        _judge_candidate(connector, wished, span, seen)
        for connector in connectors
        if _checks.same_domain(connector.email_domain, email_domain)
    ]
    if not findings:
        return _absent(Settlement.NOT_APPLIED, "a list does not show it", left_out)
    made = [finding for finding in findings if finding.settlement is Settlement.APPLIED]
    return (made or findings)[0]


def _judge_candidate(
    connector: SSOConnector, wished: Mapping[str, bool], span: Span | None, seen: Seen
) -> Finding:
    """Say whether a connector of the domain is the one that a create was to make."""
    stamp = connector.created_on
    settlement = Settlement.CONFLICT
    if seen.contradicts(connector, wished):
        settlement, said = Settlement.UNKNOWN, "lists of one time show it with several values"
    elif stamp is None or span is None or not connector.id:
        settlement, said = Settlement.UNKNOWN, "a list shows one of unknown age"
    elif stamp < span.long_before:
        said = "a list shows one that was there before"
    elif not span.has(stamp):
        settlement, said = Settlement.UNKNOWN, f"a list shows one made at {stamp.isoformat()}"
    elif not _wire.shows(connector, wished):
        said = f"a list shows one with {_wire.values_shown(connector, wished)}"
    else:
        settlement, said = Settlement.APPLIED, ""
    final = settlement is Settlement.APPLIED
    return Finding(settlement=settlement, said=said, final=final, value=connector, found=connector)


def _absent(settlement: Settlement, said: str, left_out: int) -> Finding:
    if left_out:
        said = f"a list left out {left_out} connectors"
        return Finding(settlement=Settlement.UNKNOWN, said=said)
    return Finding(settlement=settlement, said=said)
