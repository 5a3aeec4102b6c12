"""How long an answer asks to wait."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cfsso._headers import BLOCK_SECONDS, retry_after

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
