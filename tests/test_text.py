"""Text from elsewhere becomes one harmless line, and any time a text."""

import datetime as dt
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfsso._text import printable, rfc3339, shown_time


def is_one_safe_line(text: str) -> bool:
    """Say whether nothing in *text* moves a cursor, hides text or breaks the line."""
    unsafe = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return not any(unicodedata.category(char) in unsafe for char in text)


@given(st.text(), st.integers(min_value=1, max_value=300))
def test_any_text_becomes_one_safe_line(text: str, limit: int) -> None:
    """Whatever comes in, what goes out is one safe line that can be encoded."""
    line = printable(text, limit)

    assert is_one_safe_line(line)
    assert len(line.splitlines()) <= 1
    assert line == line.encode().decode()


@given(st.text())
def test_printable_twice_is_printable_once(text: str) -> None:
    """Text that is safe already stays as it is."""
    line = printable(text, 10_000)

    assert line == printable(line, 10_000)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("plain text", "plain text", id="ascii"),
        pytest.param("Grüße, 世界 🎉", "Grüße, 世界 🎉", id="letters of the world"),
        pytest.param("a\\nb\\tc\\x00", "a\nb\tc\0", id="control characters"),
        pytest.param("\\x1b[2Jgone", "\x1b[2Jgone", id="terminal sequences"),
        pytest.param("\\x9b2J", "\x9b2J", id="C1 controls"),
        pytest.param("\\u202egpj.exe", "\u202egpj.exe", id="bidi override"),
        pytest.param("a\\u200bb", "a\u200bb", id="zero width"),
        pytest.param("a\\u2028b", "a\u2028b", id="line separator"),
        pytest.param("\\ud800", "\ud800", id="lone surrogate"),
        pytest.param("\\U000e0041", "\U000e0041", id="tag beyond the first plane"),
    ],
)
def test_escapes(expected: str, text: str) -> None:
    """Only what can do harm is escaped, with the shortest of Python's escapes."""
    assert expected == printable(text)


@pytest.mark.parametrize(("length", "limit"), [(0, 1), (1, 1), (200, 200), (10, 11)], ids=str)
def test_text_within_the_limit_is_whole(length: int, limit: int) -> None:
    """Text of up to *limit* characters is not cut."""
    assert "x" * length == printable("x" * length, limit)


@pytest.mark.parametrize(("expected", "limit"), [("…", 1), ("x…", 2), ("xxxx…", 5)], ids=str)
def test_text_beyond_the_limit_ends_in_an_ellipsis(expected: str, limit: int) -> None:
    """Longer text is cut to *limit* characters, the last of them an ellipsis."""
    assert expected == printable("x" * 100, limit)


def test_limit_is_200_unless_told() -> None:
    """A line is kept to 200 characters."""
    assert "x" * 199 + "…" == printable("x" * 201)


@pytest.mark.parametrize(
    ("people", "machines", "moment"),
    [
        ("2026-03-02 08:15:42 UTC", "2026-03-02T08:15:42.500000Z", "2026-03-02T09:15:42.5+01:00"),
        ("0800-01-01 00:00:00 UTC", "0800-01-01T00:00:00Z", "0800-01-01T00:00:00Z"),
        (
            "0001-01-01 00:00:00 +01:00",
            "0001-01-01T00:00:00+01:00",
            "0001-01-01T00:00:00+01:00",
        ),
        (
            "9999-12-31 23:59:59 -23:59:30",
            "9999-12-31T23:59:59.900000-23:59:30",
            "9999-12-31T23:59:59.9-23:59:30",
        ),
        ("0001-01-01 00:00:00 UTC", "0001-01-01T00:00:00Z", "0001-01-01T01:00:00+01:00"),
    ],
)
def test_times(people: str, machines: str, moment: str) -> None:
    """A time is told in UTC, and one that UTC does not have with its own offset."""
    aware = dt.datetime.fromisoformat(moment)
    assert (people, machines) == (shown_time(aware), rfc3339(aware))
    assert aware == dt.datetime.fromisoformat(machines)


OFFSETS = st.integers(-1439, 1439).map(lambda n: dt.timezone(dt.timedelta(minutes=n)))


@given(st.datetimes(timezones=OFFSETS))
def test_any_time_can_be_told(moment: dt.datetime) -> None:
    """No time is an error, and what is told to machines is that time."""
    assert moment == dt.datetime.fromisoformat(rfc3339(moment))
    assert shown_time(moment)
