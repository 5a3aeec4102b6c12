"""Text from elsewhere, made harmless in a page and in what is copied from it."""

import html
from typing import Final

from cfsso._text import printable

_LIMIT: Final = 2000
# With these a spreadsheet takes a cell for a formula; some know the wide ones too.
_FORMULAS: Final = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def text(value: str) -> str:
    """
    Return *value* as one line of HTML text that also fits an attribute in quotes.

    Markup and odd characters are shown as what they are. What a spreadsheet would take
    for a formula gets an apostrophe in front.
    """
    # Blanks in front are lost when a cell is copied.
    begins = {value[:1], value.lstrip()[:1]}
    safe = f"'{value}" if begins & _FORMULAS else value
    return html.escape(printable(safe, _LIMIT))


def scrolling(name: str) -> str:
    """Return the beginning of a ``div`` for what may be wider than a phone; *name* is HTML."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
