"""Text from elsewhere, made safe for a line on a screen or in a log."""

import unicodedata

# Cc control, Cf format (bidi, zero width), Cs lone surrogates, Zl/Zp line and
# paragraph separators: what can move a cursor, hide text or break a line.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str, limit: int = 200) -> str:
    r"""
    Return *text* as one line that is safe to show.

    Control, format and separator characters become ``\\x1b``-like escapes, and
    what goes beyond *limit* characters is replaced by an ellipsis.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escape, text))


def _escape(char: str) -> str:
    if unicodedata.category(char) not in _UNSAFE:
        return char
    return char.encode("unicode_escape", "surrogatepass").decode()
