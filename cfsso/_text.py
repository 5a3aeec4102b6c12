"""Text from elsewhere, made safe for a line on a screen or in a log."""

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
