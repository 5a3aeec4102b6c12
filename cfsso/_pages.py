"""What pages and other texts from elsewhere say, without their markup."""

import re
from typing import Final

import attrs

from cfsso._text import printable

TITLE: Final = 200
"""The most characters of a title that are kept."""

DETAIL: Final = 500
"""The most characters of a text that are kept."""

# So many bytes of a page are looked at: its title stands near its beginning.
_LOOKED_AT: Final = 262_144
# Each of these ends, at the end of the page if nowhere else: so no page takes long.
_HIDDEN: Final = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|template|noscript|svg)\b.*?(?:</\1\b[^>]*(?:>|\Z)|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_TAG: Final = re.compile(r"<[A-Za-z/!?][^>]*(?:>|\Z)")
_HEADING: Final = re.compile(
    r"<(title|h1|h2)\b[^>]*(?:>|\Z)(.*?)(?:</\1\b|\Z)", re.DOTALL | re.IGNORECASE
)
# What only Cloudflare's own pages have; that a page names Cloudflare says nothing of its writer.
_CLOUDFLARE: Final = re.compile(
    r"cf-error|cf-wrapper|/cdn-cgi/|cf_chl|\bray id\b|\| cloudflare\s*</title"
    r"|used cloudflare to restrict|\| 5[0-9]{2}: ",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"\berror(?: code)?:? ?([1-9][0-9]{2,3})\b", re.IGNORECASE)
# All that Cloudflare's edge says if no page is accepted.
# No other server's errors have these numbers.
_ITS_CODE: Final = re.compile(r"\berror(?: code)?:? ?1[0-9]{3}\b", re.IGNORECASE)
_BARE: Final = re.compile(r"error code: ?([15][0-9]{2,3})", re.IGNORECASE)
_STATUS: Final = re.compile(r"([1-9][0-9]{2}): ")
_RAY: Final = re.compile(r"\bray id: ?([0-9a-f]{16})\b", re.IGNORECASE)


@attrs.frozen
class Page:
    """
    What a page, or a plain text, says.

    Attributes:
        title: Its title, or else what it begins with.
        code: The number of Cloudflare's error. None: it is no page of Cloudflare's, or has none.
        ray_id: What Cloudflare's support asks for. None: it has none.
        is_cloudflare: Whether it is a page of Cloudflare's edge.
    """

    title: str
    code: int | None = None
    ray_id: str | None = None
    is_cloudflare: bool = False


def one_line(value: object) -> str:
    """Return a value that a server wrote as one printable line without tags."""
    # Once more, since what entities stand for need not be printable.
    return printable(plain(printable(str(value))))


def plain(text: str, limit: int = DETAIL) -> str:
    """Return *text* as one line of at most *limit* characters, without tags and entities."""
    text = text.replace("\0", "")
    if "<" in text:
        text = _TAG.sub(" ", _HIDDEN.sub(" ", text))
    # More is not needed, even if each character of it is written as an entity.
    text = text[: 8 * limit]
    if "&" in text:
        # Here, since its table is large and pages are rare.
        import html

        text = _TAG.sub(" ", _HIDDEN.sub(" ", html.unescape(_without_long_numbers(text))))
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def untagged(text: str, limit: int = DETAIL) -> str:
    """Return *text* as it is if it has no markup and is no longer than *limit*, else as `plain`."""
    return plain(text, limit) if len(text) > limit or "<" in text or "&" in text else text


def _without_long_numbers(text: str) -> str:
    """Leave out what no character has for its number, and what Python may refuse to read."""
    return re.sub(r"&#[0-9]{8,}", " ", text)


def read(body: bytes, *, is_cloudflare: bool = False) -> Page:
    """
    Read a page, or a plain text.

    Args:
        body: The page.
        is_cloudflare: Whether it is known to be one of Cloudflare's edge.
    """
    markup = body[:_LOOKED_AT].decode("utf-8", "replace").replace("\0", "")
    shown = _HIDDEN.sub(" ", markup)
    text = plain(shown, 4 * DETAIL)
    headings = (plain(found[2], TITLE) for found in _HEADING.finditer(shown))
    title = next(filter(None, headings), "") or plain(text, TITLE)
    bare = _BARE.fullmatch(text)
    if bare is not None:
        title = ""
    elif not (is_cloudflare or _CLOUDFLARE.search(markup) or _ITS_CODE.search(text)):
        return Page(title)
    ray = _RAY.search(text)
    title = _own_title(title)
    code = bare or _CODE.search(text) or _STATUS.match(title)
    return Page(
        title=title if code is None else _with_code(title, code[1]),
        code=None if code is None else int(code[1]),
        ray_id=None if ray is None else ray[1],
        is_cloudflare=True,
    )


def _own_title(title: str) -> str:
    """Return a title of Cloudflare's without the names of the site and of Cloudflare."""
    parts = [part for part in title.split(" | ") if "cloudflare" not in part.lower()]
    named = [part for part in parts if _STATUS.match(part)] or parts
    return named[0] if named else title


def _with_code(title: str, code: str) -> str:
    if re.match(rf"error (?:code:? )?{code}\b", title, re.IGNORECASE):
        return title
    rest = title.removeprefix(f"{code}: ")
    return f"Error {code}: {rest}" if rest else f"Error {code}"
