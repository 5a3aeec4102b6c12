"""No older state of a connector is believed once a newer one was seen."""

import contextlib
import datetime as dt
import email.utils
import itertools
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ACCOUNT, CONNECTOR, DOMAIN, OTHER, Scripted, failure, shown, success

import cfsso
from cfsso._seen import Seen, is_later

pytestmark = pytest.mark.virtual_time

LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
SENT = dt.datetime(2026, 3, 4, 11, 0, 20, tzinfo=dt.UTC)
DATE = email.utils.format_datetime(SENT + dt.timedelta(seconds=5), usegmt=True)


class State(NamedTuple):
    """A connector as a read shows it: whether it is enabled, and the seconds of its time."""

    enabled: bool | None
    time: float | None


# From long before the write to after it; of two with one time, with none, and without a value.
STATES = [
    State(enabled=False, time=-900.5),
    State(enabled=True, time=-500.5),
    State(enabled=False, time=-300.5),
    State(enabled=True, time=1.5),
    State(enabled=False, time=3.5),
    State(enabled=True, time=3.5),
    State(enabled=True, time=3.0),
    State(enabled=None, time=4.5),
    State(enabled=True, time=None),
    State(enabled=False, time=None),
]
GONE = None
LONG_AGO = -1e6
READS = [*STATES, GONE]
BEFORE = [None, *STATES[1:3]]


def time_of(seconds: float) -> dt.datetime:
    return SENT + dt.timedelta(seconds=seconds)


def reply(read: State | None) -> cfsso.Response:
    """Return the answer to a read."""
    if read is None:
        return failure(404)
    members: dict[str, str | bool] = {"id": CONNECTOR}
    if read.time is not None:
        members["updated_on"] = time_of(read.time).isoformat()
    if read.enabled is not None:
        members["enabled"] = read.enabled
    answer = success(members)
    return attrs.evolve(answer, headers={"date": DATE})


def known(before: State | None) -> cfsso.SSOConnector | None:
    if before is None:
        return None
    time = None if before.time is None else time_of(before.time)
    return cfsso.SSOConnector(id=CONNECTOR, enabled=before.enabled, updated_on=time)


def is_denied(found: cfsso.SSOConnector, reads: list[State | None], before: State | None) -> bool:
    """Whether *found* is an older state than one that is not as asked for."""
    if GONE in reads:
        return True
    since = LONG_AGO if before is None or before.time is None else before.time
    if found.updated_on is not None and found.updated_on < time_of(since):
        return True
    dated = [read for read in reads if read is not None and read.time is not None]
    newest = max((read.time for read in dated if read.time is not None), default=LONG_AGO)
    if newest < since or not dated:
        return False
    # Of those with one time the one counts that was shown first in the last place.
    last = [*dict.fromkeys(read for read in dated if read.time == newest)][-1]
    return last.enabled is False


async def settled(
    reads: list[State | None], before: State | None
) -> tuple[list[State | None], cfsso.SSOConnector | None, int]:
    """Return the reads that an update saw whose answer was lost, its result, and its writes."""
    transport = Scripted(LOST, *map(reply, reads))
    connectors = cfsso.AsyncSSOConnectors(transport)
    found: cfsso.SSOConnector | None = None
    with contextlib.suppress(cfsso.UnconfirmedWriteError):
        found = await connectors.update(
            CONNECTOR, account_id=ACCOUNT, enabled=True, before=known(before)
        )
    writes = sum(request.is_write for request in transport.requests)
    # All but the first write; a second one is answered with the last of them, too.
    looks = len(transport.requests) - 1
    return [*reads, *[reads[-1]] * looks][:looks], found, writes


def orders() -> Iterator[tuple[list[State | None], State | None]]:
    """Yield all orders of three reads, with all that may have been known before."""
    for before in BEFORE:
        for reads in itertools.product(READS, repeat=3):
            yield [*reads], before


async def test_no_success_is_disproved_by_a_read_of_its_settling() -> None:
    """In all orders of three reads, of which the last goes on, no read denies a success."""
    successes = 0
    for reads, before in orders():
        looks, found, writes = await settled(reads, before)
        story = f"{reads} after {before}: {found}, {writes} writes"
        if found is not None:
            successes += 1
            assert found.enabled, story
            assert not is_denied(found, looks, before), story
    assert 500 < successes


async def test_nothing_is_sent_again_onto_a_newer_state() -> None:
    """In all orders of three reads a write is repeated only if none is newer than what was known.

    Nor does it follow on one that shows the values that were asked for.
    """
    repeated = 0
    for reads, before in orders():
        looks, _, writes = await settled(reads, before)
        if writes == 1:
            continue
        repeated += 1
        least = -60.0 if before is None or before.time is None else before.time
        for read in looks[:5]:
            assert read is not None
            assert read.time is None or read.time <= least, f"{reads} after {before}"
    assert 10 < repeated


@given(
    st.lists(st.sampled_from(READS), min_size=4, max_size=8),
    st.sampled_from(BEFORE),
    st.randoms(use_true_random=False),
)
async def test_the_order_of_stale_reads_does_not_matter(
    reads: list[State | None],
    before: State | None,
    random: Random,
) -> None:
    """However stale reads are mixed, no read denies a success."""
    random.shuffle(reads)
    looks, found, _ = await settled(reads, before)
    if found is not None:
        assert not is_denied(found, looks, before)


def listed(*connectors: tuple[str, float | None, bool]) -> cfsso.Response:
    """Return a list of connectors: their ids, times and FedRAMP wording."""
    items = [
        shown(
            id=key,
            use_fedramp_language=wording,
            created_on=time_of(0.5).isoformat(),
            updated_on=None if time is None else time_of(time).isoformat(),
        )
        for key, time, wording in connectors
    ]
    return attrs.evolve(success(items), headers={"date": DATE})


async def test_a_list_from_before_counts_for_nothing_for_a_delete() -> None:
    """A list that shows an older state of another connector does not show that one is gone."""
    there = listed((CONNECTOR, -9.0, True), (OTHER, 2.0, True))
    from_before = listed((OTHER, -900.0, True))
    transport = Scripted(LOST, there, from_before)

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await cfsso.AsyncSSOConnectors(transport).delete(CONNECTOR, account_id=ACCOUNT)

    assert cfsso.Settlement.NOT_APPLIED is caught.value.settlement
    assert 1 == sum(request.is_write for request in transport.requests)


async def test_a_list_from_before_counts_for_nothing_for_a_create() -> None:
    """A connector that was made and then changed by somebody is not believed as it was made."""
    changed = listed((CONNECTOR, 3.0, False))
    made = listed((CONNECTOR, 0.5, True))
    transport = Scripted(LOST, changed, made)

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await cfsso.AsyncSSOConnectors(transport).create(
            account_id=ACCOUNT, email_domain=DOMAIN, use_fedramp_language=True
        )

    assert caught.value.settlement is not cfsso.Settlement.APPLIED


async def test_a_list_without_times_beside_one_with_them() -> None:
    """Of two lists that differ, and of which one has no times, none is believed."""
    unknown, made = listed((CONNECTOR, None, False)), listed((CONNECTOR, 0.5, True))
    transport = Scripted(LOST, unknown, made)

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await cfsso.AsyncSSOConnectors(transport).create(
            account_id=ACCOUNT, email_domain=DOMAIN, use_fedramp_language=True
        )

    assert "lists of one time show it with several values" in str(caught.value)


async def test_a_time_of_the_future_outdates_nothing() -> None:
    """A connector that was dated years ahead can be written, and settled."""
    before = cfsso.SSOConnector(id=CONNECTOR, enabled=False, updated_on=time_of(1e9))
    transport = Scripted(LOST, reply(State(enabled=True, time=1.5)))

    found = await cfsso.AsyncSSOConnectors(transport).update(
        CONNECTOR, account_id=ACCOUNT, enabled=True, before=before
    )

    assert found.enabled


async def test_the_answer_to_a_create_is_evidence() -> None:
    """A list that is older than the answer, which showed something else, shows no success."""
    answer = success(shown(use_fedramp_language=False, updated_on=time_of(3.0).isoformat()))
    transport = Scripted(answer, listed((CONNECTOR, 0.5, True)))

    with pytest.raises(cfsso.UnconfirmedWriteError):
        await cfsso.AsyncSSOConnectors(transport).create(
            account_id=ACCOUNT, email_domain=DOMAIN, use_fedramp_language=True
        )


@pytest.mark.parametrize(
    ("one", "other", "later"),
    [
        ("11:00:20.123457", "11:00:20.123456", True),
        ("11:00:20.123456", "11:00:20.123457", False),
        ("11:00:20.123456", "11:00:20", False),
        ("11:00:20", "11:00:20.123456", False),
        ("11:00:21", "11:00:20.923456", True),
        ("11:00:20.1235", "11:00:20.123456", True),
        ("11:00:20.123456", "11:00:20.1234", True),
        ("11:00:20.5+00:00", "12:00:20.5+01:00", False),
    ],
)
def test_a_time_is_compared_as_far_as_both_are_precise(
    one: str, other: str, *, later: bool
) -> None:
    """What one of two times leaves out makes none of them later."""
    times = [dt.datetime.fromisoformat(f"2026-03-04T{text}") for text in (one, other)]
    first, second = (t if t.tzinfo else t.replace(tzinfo=dt.UTC) for t in times)

    assert later is is_later(first, second)


def test_times_at_both_ends_of_the_calendar_are_compared() -> None:
    """Times that are no times in UTC are older and newer than all others."""
    first = dt.datetime.fromisoformat("0001-01-01T00:00:00+01:00")
    last = dt.datetime.fromisoformat("9999-12-31T23:59:59-01:00")

    assert is_later(SENT, first)
    assert is_later(last, SENT)
    assert not is_later(first, last)


def test_a_coarser_time_does_not_replace_a_finer_one() -> None:
    """Whole seconds beside fractions take nothing back of what was known."""
    seen = Seen(cfsso.SSOConnector(id=CONNECTOR, updated_on=time_of(0.5)))
    seen.note(cfsso.SSOConnector(id=CONNECTOR, updated_on=time_of(0.0)))

    assert seen.outdates(cfsso.SSOConnector(id=CONNECTOR, updated_on=time_of(0.4321)))
    assert not seen.outdates(cfsso.SSOConnector(id=CONNECTOR, updated_on=time_of(0.0)))
    assert not seen.outdates(cfsso.SSOConnector(id=OTHER, updated_on=time_of(-9.0)))
