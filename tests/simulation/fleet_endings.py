"""Which endings are final, by what the API has really answered."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from fleet_truth import Program, Sent, said

if TYPE_CHECKING:
    from fleet_verdicts import Verdicts

# A run that hears nothing stops after so many seconds, and some for what is under way then.
_OUTAGE: Final = 45.0
_TO_SETTLE: Final = 30.0
_FIRST: Final = 3.0
# Of what is sent after the first ones, how much may go before the run stops: in each of eight
# pauses one call goes ahead, which may try again once before it hears that the run holds.
_TRIES: Final = 16
# What is so short nobody should have to do anything about.
_SHORT: Final = 25.0
_OPEN: Final = {"unknown", "not_attempted"}
_REQUESTS_A_TARGET: Final = 4
_SERVER_ERRORS: Final = 500
_OK: Final = 200


def ends_by_right(
    oracle: "Verdicts",
    program: Program,
    outcome: Any,
    *,
    others: Iterable[Program] = (),
    in_flight: bool = False,
) -> None:
    """
    See that an outcome which is not as asked for has the reason that it claims.

    Args:
        oracle: Who is told.
        program: Who says it.
        outcome: What it says.
        others: Who may have written it before, or write it yet.
        in_flight: Whether the journal had an intent of it, so that it may have been sent.
    """
    account, key = outcome.change.account_id, outcome.change.sso_connector_id
    status = str(outcome.status)
    if status == "failed" and not is_refused(program, account, key):
        oracle.breaks(program, f"F10 failed, and nobody refused it: {said(outcome)}")
    away = [sent for each in (program, *others) for sent in each.writes_of(key) if sent.got_away]
    if status == "unknown" and not away and not in_flight:
        oracle.breaks(program, f"F10 unknown, and nothing of it ever left: {said(outcome)}")
    if status != "not_attempted":
        return
    if not (outcome.note or outcome.error or program.stopped):
        oracle.breaks(program, f"F10 not attempted, without a reason: {said(outcome)}")
    doubtful = [sent for sent in program.writes_of(key) if is_in_doubt(program, sent)]
    if doubtful:
        oracle.breaks(
            program, f"F10 not attempted, and yet sent: {doubtful[0].request}, {said(outcome)}"
        )


def is_refused(program: Program, account: str, key: str) -> bool:
    """Whether the API has refused a write of a connector, or a read that shows it, for good."""
    return any(
        sent.is_refusal and sent.request.account_id == account and sent.key in {"", key}
        for sent in program.requests
    )


def is_in_doubt(program: Program, sent: Sent) -> bool:
    """Whether a write may have been done, and no read has shown anything since."""
    read = program.reads.get(sent.key)
    return sent.got_away and (read is None or sent.ended is None or read.begun < sent.ended)


def stops_in_time(oracle: "Verdicts", program: Program) -> None:
    """
    See that a run which hears nothing holds, and stops.

    It goes by the requests between two answers: lost connections and 5xx, one after the other.
    """
    silent_since = longest = 0.0
    for moment, is_end, sent in [*_in_order(program), (oracle.now(), True, None)]:
        if not is_end:
            continue
        if sent is None or (sent.status is not None and sent.status < _SERVER_ERRORS):
            longest = max(longest, moment - silent_since if silent_since else 0.0)
            silent_since = 0.0
        else:
            silent_since = silent_since or moment
    oracle.counts["runs that hear nothing"] += longest >= _OUTAGE
    oracle.longest_silence = max(oracle.longest_silence, longest)
    if longest > _OUTAGE + _TO_SETTLE:
        oracle.breaks(program, f"F12 it hears nothing for {longest:.1f} s, and went on")


def holds(oracle: "Verdicts", program: Program) -> None:
    """See that a run which hears nothing lets one request go ahead, not all of them."""
    silent_since, sent_since = None, 0
    for moment, is_end, sent in _in_order(program):
        if is_end and sent.status is not None and sent.status < _SERVER_ERRORS:
            silent_since, sent_since = None, 0
        elif is_end and silent_since is None:
            silent_since = moment
        elif not is_end and silent_since is not None and moment > silent_since + _FIRST:
            sent_since += 1
            oracle.most_tries = max(oracle.most_tries, sent_since)
    if sent_since > _TRIES:
        oracle.breaks(program, f"F12 {sent_since} requests go, and nothing is heard")


def _in_order(program: Program) -> list[tuple[float, bool, Sent]]:
    facts = [(sent.left, False, sent) for sent in program.requests]
    facts += [(sent.ended, True, sent) for sent in program.requests if sent.ended is not None]
    return sorted(facts, key=lambda fact: fact[0])


def endures(oracle: "Verdicts", program: Program, seconds: float) -> None:
    """
    See that an outage of so many seconds, if it was all that went wrong, costs no target.

    A write in doubt is settled in its call's own time, and others may have to wait for that.
    """
    oracle.counts["runs through an outage"] += 0 < seconds
    in_doubt = any(sent.got_away and sent.status != _OK for sent in program.writes)
    if in_doubt or not 0 < seconds < _SHORT:
        return
    oracle.counts["runs through a short outage"] += 1
    for _, outcome in program.outcomes:
        if str(outcome.status) in _OPEN:
            oracle.breaks(program, f"F12 an outage of {seconds:.1f} s, and {said(outcome)}")
            return


def is_modest(oracle: "Verdicts", program: Program, targets: int) -> None:
    """See that a run of which nothing went wrong sends at most four requests a target."""
    sent = len(program.requests)
    oracle.most_requests = max(oracle.most_requests, sent / max(1, targets))
    if sent > _REQUESTS_A_TARGET * targets:
        oracle.breaks(program, f"F13 {sent} requests for {targets} targets")
