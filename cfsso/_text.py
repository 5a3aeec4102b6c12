"""Values from elsewhere as text: safe for a line on a screen or in a log, whatever they are."""

import datetime as dt

# Letters that show as nothing, and so are taken for printable.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0")


def printable(text: str, limit: int = 200) -> str:
    r"""
    Return *text* as one line that is safe to show.

    What is not printable (control and format characters, odd spaces, characters
    that no standard assigns) becomes ``\\x1b``-like escapes, and what goes beyond
    *limit* characters is replaced by an ellipsis.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text if text.isascii() and text.isprintable() else "".join(map(_escape, text))


def _escape(char: str) -> str:
    if char.isprintable() and char not in _BLANK:
        return char
    return char.encode("unicode_escape", "surrogatepass").decode()


def rfc3339(moment: dt.datetime) -> str:
    """Return an aware time as RFC 3339 has it, in UTC if UTC has it."""
    return in_utc(moment).isoformat().replace("+00:00", "Z")


def shown_time(moment: dt.datetime) -> str:
    """Return an aware time for people, to the second, in UTC if UTC has it."""
    moment = in_utc(moment)
    clock = moment.replace(tzinfo=None).isoformat(" ", "seconds")
    offset = moment.isoformat()[len(moment.replace(tzinfo=None).isoformat()) :]
    return f"{clock} {'UTC' if offset == '+00:00' else offset}"


def in_utc(moment: dt.datetime) -> dt.datetime:
    """Return an aware time in UTC; one beyond the ends of its calendar stays as it is."""
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        return moment
