"""How long an answer asks to wait, what it says is left, and when it was given."""

import datetime as dt
import math
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cfsso._headers import BLOCK_SECONDS, quota, remaining, retry_after, server_time

NOON = "Mon, 02 Mar 2026 12:00:00 GMT"


def exhausted(text: str) -> dict[str, str]:
    """Return headers with that ``Ratelimit``."""
    return {"ratelimit": text}


@pytest.mark.parametrize(
    ("expected", "headers"),
    [
        (0.0, {"retry-after": "0"}),
        (30.0, {"retry-after": "30"}),
        (30.0, {"retry-after": " 30\t"}),
        (999_999.0, {"retry-after": "999999"}),
        (90.0, {"retry-after": "Mon, 02 Mar 2026 12:01:30 GMT", "date": NOON}),
        (90.0, {"retry-after": "Mon, 02 Mar 2026 12:01:30", "date": NOON}),
        (90.0, {"retry-after": "Mon, 02 Mar 2026 12:01:30 -0000", "date": NOON}),
        (90.0, {"retry-after": "Monday, 02-Mar-26 12:01:30 GMT", "date": NOON}),
        (0.0, {"retry-after": "Mon, 02 Mar 2026 11:00:00 GMT", "date": NOON}),
        (0.0, {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}),
        (0.0, {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT", "date": "yesterday"}),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 200])
def test_retry_after(expected: float, headers: Mapping[str, str], status: int) -> None:
    """Retry-After is seconds, or a date that counts from the answer's own; it comes first."""
    assert expected == retry_after(status, headers)
    assert expected == retry_after(status, {**headers, **exhausted('"default";r=0;t=7')})


def test_a_date_counts_from_now_without_another_date() -> None:
    """A date without the answer's own counts from this machine's clock, up to six digits."""
    assert 999_999.0 == retry_after(503, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"})
    assert 0.0 == retry_after(503, {"retry-after": "Fri, 01 Jan 2021 00:00:00 GMT"})


@pytest.mark.parametrize(
    "text",
    [
        *["-1", "+5", "nan", "NaN", "inf", "-inf", "1e9", "1_000", "٣", "1.5", "0x10", ""],
        *["9" * 7, "9" * 5000, "5, 10", "soon", "\x00", "Mon, 99 Mar 2026 12:00:00 GMT"],
        *["Mon, 02 Mar 2026 12:00:00 +9999999", "Mon, 02 Mar 99999 12:00:00 GMT"],
        "Mon, 02 Mar " + "9" * 5000 + " 12:00:00 GMT",
    ],
    ids=lambda text: repr(text)[:40],
)
def test_garbage_names_no_time(text: str) -> None:
    """What can't be read asks for nothing; a 429 then means the documented block."""
    assert retry_after(503, {"retry-after": text}) is None
    assert 300.0 == BLOCK_SECONDS == retry_after(429, {"retry-after": text})


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (200.0, '"default";r=0;t=200'),
        (200.0, '"default"; r=0; t=200'),
        (200.0, '"default";t=200;r=0;pk=:YQ==:'),
        (200.0, '"a,;\\"b";r=0;t=200'),
        (200.0, '"default";r=0;t=200;note="x;y,z"'),
        (300.0, '"default";r=5;note="x;r=0;t=900"'),
        (60.0, '"burst";r=50;t=900, "perhour";r=0;t=60'),
        (90.0, '"a";r=0;t=60,"b";r=0;t=90,"c";r=0'),
        (300.0, '"default";r=50;t=30'),
        (300.0, '"default";r=0'),
        (300.0, '"default";r=0;t=0'),
        (300.0, '"default";t=30'),
        (300.0, '"default"'),
        (300.0, '"default";r=0;t=-5'),
        (300.0, '"default";r=0;t=1e9'),
        (300.0, '"default";r=0;t=9999999'),
        (300.0, '"default";r=0;t=٣'),
        (300.0, '"default";r=-0;t=30'),
        (300.0, "default;r=0;t=30"),
        (300.0, '"default;r=0;t=30'),
        (300.0, '"default";r=0;t=30 garbage'),
        (300.0, '"a";r=0;t=30,,'),
        (300.0, ""),
    ],
)
def test_an_exhausted_limit(expected: float, text: str) -> None:
    """A 429 means the longest wait of what is used up; a malformed field is ignored."""
    assert expected == retry_after(429, exhausted(text))


@pytest.mark.parametrize("status", [200, 403, 503])
def test_other_answers_name_no_time(status: int) -> None:
    """Only a 429 asks to wait without saying so."""
    assert retry_after(status, exhausted('"default";r=0;t=200')) is None
    assert retry_after(status, {}) is None


POLICY = '"burst";q=100;w=60, "default";q=1200;w=300;qu="requests"'


@pytest.mark.parametrize(
    ("expected", "text", "policy"),
    [
        ((50, 30.0), '"default";r=50;t=30', None),
        ((0, 30.0), '"default"; t=30; r=0', None),
        ((999_999, 0.0), '"default";r=999999;t=0', None),
        ((50, 30.0), '"burst";r=90;t=1, "default";r=50;t=30', None),
        ((5, 1.0), '"burst";r=5;t=1, "default";r=50;t=30', None),
        ((5, 1.0), '"burst";r=5;t=1, "default";r=5;t=30', None),
        ((50, None), '"default";r=50', None),
        ((50, 300.0), '"default";r=50', POLICY),
        ((50, 60.0), '"burst";r=50', POLICY),
        ((50, 30.0), '"default";r=50;t=30', POLICY),
        ((50, None), '"other";r=50', POLICY),
        ((50, None), '"default";r=50', '"default";q=1200'),
        ((50, None), '"default";r=50', "default;w=300"),
        ((50, 30.0), '"default";t=5, "other";r=50;t=30', None),
        ((50, 30.0), '"default";r=50;t=30;pk=:YQ==:;note="r=0;r=0;t=9"', None),
        ((50, None), '"default";r=50;t=-30', None),
        ((50, None), '"default";r=50;t=1e9', None),
        (None, '"default";r=-5;t=-30', None),
        (None, '"default";r=1000000000;t=30', None),
        (None, '"default";r=1_0;t=30', None),
        (None, '"default";r=٣;t=30', None),
        (None, '"default";r="0";t=30', None),
        (None, '"default";t=30', POLICY),
        (None, "default;r=0;t=30", POLICY),
        (None, 'r==;;"default', POLICY),
        (None, "", POLICY),
        (None, None, POLICY),
    ],
)
def test_what_remains(
    expected: tuple[int, float | None] | None, text: str | None, policy: str | None
) -> None:
    """Of all limits the one with the least left counts, for as long as it or its policy says."""
    given = {"ratelimit": text, "ratelimit-policy": policy}
    headers = {name: value for name, value in given.items() if value is not None}
    assert expected == remaining(headers)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC), NOON),
        (dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC), "Mon, 02 Mar 2026 12:00:00"),
        (dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC), "Mon, 02 Mar 2026 12:00:00 -0000"),
        (dt.datetime(2026, 3, 2, 11, tzinfo=dt.UTC), "Mon, 02 Mar 2026 12:00:00 +0100"),
        (None, "yesterday"),
        (None, "Mon, 99 Mar 2026 12:00:00 GMT"),
        (None, ""),
        (None, None),
    ],
)
def test_the_time_of_the_server(expected: dt.datetime | None, text: str | None) -> None:
    """An answer's Date has a zone, UTC if it names none; what can't be read is no date."""
    assert expected == server_time({} if text is None else {"date": text})


DATES = ["Mon,", "02", "Mar", "2026", "99999", "12:00:00", "24:61:61", "GMT", "-0000", "+2400"]
LIMITS = ['"default"', ";r=0", ";t=9", ";t=", ",", '"', "\\", " ", "-", "nan", "1e5", "٣", "(", ")"]
pieces = st.lists(st.sampled_from(DATES + LIMITS)).map(" ".join)


@given(st.one_of(st.text(), pieces), st.one_of(st.text(), pieces), st.integers(100, 599))
@example("0 0 0 0", "", 429)
def test_any_text_asks_for_a_sane_time_or_none(text: str, date: str, status: int) -> None:
    """Whatever headers say, the wait is None or a finite number that is not negative."""
    found = retry_after(status, {"retry-after": text, "date": date, "ratelimit": date})

    assert found is None or (math.isfinite(found) and found >= 0)
    assert status != 429 or found is not None


@given(st.one_of(st.text(), pieces), st.one_of(st.text(), pieces))
@example('"";r=0' * 50, "")
def test_any_text_leaves_a_sane_number_or_none(text: str, policy: str) -> None:
    """Whatever fields say, what remains is None or counts that are not negative."""
    found = remaining({"ratelimit": text, "ratelimit-policy": policy})

    assert found is None or 0 <= found[0] <= 999_999
    assert found is None or found[1] is None or 0 <= found[1] <= 999_999


@pytest.mark.parametrize(
    ("expected", "policy"),
    [
        (1200, '"default";q=1200;w=300'),
        (50, '"burst";q=1200;w=300, "default";q=50;w=10'),
        (None, '"default";w=300'),
        (None, ""),
        (None, "1200;w=300"),
    ],
)
def test_the_quota_of_a_policy(expected: int | None, policy: str) -> None:
    """Of several policies the narrowest counts, and what can't be read says nothing."""
    assert expected == quota(policy)


def test_long_fields_are_read_in_no_time() -> None:
    """No field makes reading take more than its length asks for."""
    for piece in ('"a";r=1;', '"', '";', "\\", ';a="', '"a";r=1,', "=;"):
        assert remaining({"ratelimit": piece * 100_000}) in {None, (1, None)}


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ((7, 30.0), '"default";r=50;r=7;t=30'),
        ((7, 60.0), '"perhour";r=7;t=60,\t"burst";r=50;t=5'),
        ((50, 30.0), '"a;r=0, \\"b";r=50;t=30'),
        ((50, None), '"default";r=50;t'),
        (None, '"default";R=50;t=30'),
        (None, '"default";r=1.5;t=30'),
        (None, '"default";r=50 ;t=30'),
        (None, '"default";r=50;t=30 "burst";r=7'),
        (None, '"a";r=50;t=30,,"b";r=7;t=5'),
        (None, '"default;r=50;t=30'),
        (None, "limit=100, remaining=50, reset=30"),
        (None, "50"),
    ],
)
def test_what_remains_by_odd_fields(expected: tuple[int, float | None] | None, text: str) -> None:
    """What RFC 9651 allows is read, of two values the last; what it does not is no field."""
    assert expected == remaining(exhausted(text))


numbers = st.integers(0, 999_999)


@given(st.lists(st.tuples(st.sampled_from("abc"), numbers, numbers), min_size=1))
def test_well_formed_fields_are_read(members: list[tuple[str, int, int]]) -> None:
    """Of any list of members the first one with the least is found, with its time."""
    text = ", ".join(f'"{name}";r={left};t={seconds}' for name, left, seconds in members)
    _, left, seconds = min(members, key=lambda member: member[1])

    assert (left, float(seconds)) == remaining(exhausted(text))


@given(st.one_of(st.text(), pieces))
def test_any_text_is_a_moment_or_none(text: str) -> None:
    """Whatever Date holds, it is a moment with an offset, or nothing."""
    found = server_time({"date": text})

    assert found is None or found.utcoffset() is not None


@given(
    st.text('a"; ', max_size=4),
    st.integers(0, 9_999_999),
    st.sampled_from([";t=", "; t=", ";  t=", ";w=", " ;t="]),
    st.integers(0, 9_999_999),
)
def test_the_usual_field_is_read_like_any_other(name: str, r: int, t: str, seconds: int) -> None:
    """What is read in one go says what it says with a space before it, which is not."""
    field = f'"{name}";r={r}{t}{seconds}'

    assert remaining({"ratelimit": f" {field}"}) == remaining({"ratelimit": field})
