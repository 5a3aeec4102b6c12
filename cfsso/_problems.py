"""
What an answer that is no success says, and whether the API said it.

Cloudflare's edge answers in its own name with "problem details" (RFC 9457), a page or a line of
text; a company's proxy and a captive portal with anything. The API's own answers have
a ``success`` that is a boolean.

https://developers.cloudflare.com/support/troubleshooting/http-status-codes/
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from cfsso import _converter, _headers, _pages
from cfsso._pages import plain
from cfsso.models import ResponseInfo
from cfsso.transports.base import Response

_CLOUDFLARE: Final = "Cloudflare's edge"
_ANOTHER: Final = "another server"
_REDIRECTS: Final = 300
_ERRORS: Final = 400
# No other server's; and what by its definition comes from what stands before a server.
_CLOUDFLARES: Final = frozenset({*range(520, 528), 530})
_OF_THE_EDGE: Final = _CLOUDFLARES | {407, 511}
_NO_TLS: Final = frozenset({525, 526})
# Numbers below are HTTP's.
_CODES: Final = 600
# More seconds than any answer means.
_MOST: Final = 999_999
_URL: Final = re.compile(r"https?://[^\s<>\"']{1,300}")
_RAY: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_DIGITS: Final = re.compile(r"[0-9]{1,6}")
_KNOWN: Final = frozenset({
    "type", "title", "status", "detail", "error_code", "ray_id", "retry_after", "retryable",
    "cloudflare_error",
})  # fmt: skip
# Where others write what they have to say.
_WORDS: Final = ("error", "message", "error_description", "msg", "reason")
_NO_JSON: Final = object()


@attrs.frozen(kw_only=True)
class Problem:
    """
    What an answer says.

    Attributes:
        speaker: Who answered in place of the API, in words. Empty: the API, or nobody knows.
        edge: Whether it was not the API.
        title: A title, without markup.
        detail: What it says besides, without markup.
        code: The number of Cloudflare's error, if its edge answered.
        errors: Its errors, in its order.
        messages: Its messages, in its order.
        ray_id: What Cloudflare's support asks for, as the body has it.
    """

    speaker: str = ""
    edge: bool = False
    title: str = ""
    detail: str = ""
    code: int | None = None
    errors: tuple[ResponseInfo, ...] = ()
    messages: tuple[ResponseInfo, ...] = ()
    ray_id: str | None = None

    @property
    def is_before_the_origin(self) -> bool:
        """Whether Cloudflare's edge says that it had no connection to send the request on."""
        return self.speaker == _CLOUDFLARE and self.code in _NO_TLS


def read(response: Response, envelope: Mapping[str, Any] | None = None) -> Problem:
    """
    Return what *response* says.

    Args:
        response: The answer.
        envelope: Its body, if it was parsed already.
    """
    value = _value(response) if envelope is None else envelope
    if isinstance(value, Mapping):
        return _of_object(response, value)
    if value is _NO_JSON and (text := response.body.strip()):
        return _of_text(response, text)
    if response.status >= _ERRORS and (detail := _text(value)):
        return Problem(speaker=_ANOTHER, edge=True, detail=detail)
    return Problem(edge=_is_of_the_edge(response, says_something=value is not _NO_JSON))


def retry_after(response: Response) -> float | None:
    """
    Return how many seconds an answer asks to wait, or ``None`` if it does not.

    Its headers come first, then the ``retry_after`` of its body; see `_headers.retry_after`.
    """
    return _headers.retry_after(response.status, response.headers, lambda: _told(response))


def retryable(response: Response) -> bool | None:
    """Return whether the same request may fare better later. ``None``: it does not say."""
    if response.status in _NO_TLS:
        return False
    found = _members(response).get("retryable")
    return found if isinstance(found, bool) else None


def is_turned_away(response: Response) -> bool:
    """Whether Cloudflare's edge refused a request for now, so that the same may go later."""
    members = _members(response)
    if members.get("cloudflare_error") is not True or _is_api(members):
        return False
    said = members.get("retryable")
    return said is True or (said is None and retry_after(response) is not None)


def _told(response: Response) -> float | None:
    seconds = _members(response).get("retry_after")
    if isinstance(seconds, str) and _DIGITS.fullmatch(seconds):
        return float(seconds)
    # Not bool, and no comparison is true of NaN.
    if isinstance(seconds, int | float) and type(seconds) is not bool and 0 <= seconds <= _MOST:
        return float(seconds)
    return None


def _members(response: Response) -> Mapping[str, Any]:
    value = _value(response) if response.status >= _ERRORS else None
    return value if isinstance(value, dict) else {}


def _value(response: Response) -> Any:
    """Return what is written in JSON, as far as it can be read."""
    body = response.body.removeprefix(b"\xef\xbb\xbf")
    for decode in (_converter.decode, _converter.decode_leniently):
        try:
            return decode(body)
        except _converter.ConversionError:
            pass
    return _NO_JSON


def _is_api(members: Mapping[str, Any]) -> bool:
    """Whether an object is the API's: its envelope, or a short form with a code of its own."""
    if "success" in members:
        return isinstance(members["success"], bool)
    errors = _converter.messages(members.get("errors")) or single(members)
    return any(error.code is not None and error.code >= _CODES for error in errors)


def single(members: Mapping[str, Any]) -> tuple[ResponseInfo, ...]:
    """Read the short form of a failure: ``code`` and ``error`` in place of ``errors``."""
    if isinstance(members.get("error"), str):
        item = {"code": members.get("code"), "message": members["error"]}
        return _converter.messages(item)
    return _converter.messages(members.get("error"))


def _of_object(response: Response, members: Mapping[str, Any]) -> Problem:
    found = Problem(
        errors=_converter.messages(members.get("errors")) or single(members),
        messages=_converter.messages(members.get("messages")),
        ray_id=_ray_id(members.get("ray_id")),
    )
    if _is_api(members):
        return found
    is_cloudflare = members.get("cloudflare_error") is True
    title, detail = (_text(members.get(name)) for name in ("title", "detail"))
    if is_cloudflare or title or detail:
        return _of_details(found, members, title, detail, is_cloudflare=is_cloudflare)
    errors = tuple(map(_cleaned, found.errors))
    words = [_text(members.get(name)) for name in _WORDS]
    detail = ": ".join(filter(None, words)) or next((e.message for e in errors if e.message), "")
    if not detail or (response.status < _ERRORS and "result" in members):
        return attrs.evolve(found, edge=_is_of_the_edge(response, says_something=True))
    return attrs.evolve(
        found,
        speaker=_ANOTHER,
        edge=True,
        detail=detail,
        errors=errors or (ResponseInfo(message=detail),),
        messages=tuple(map(_cleaned, found.messages)),
    )


def _of_details(
    found: Problem, members: Mapping[str, Any], title: str, detail: str, *, is_cloudflare: bool
) -> Problem:
    """Read problem details (RFC 9457)."""
    code = _code(members.get("error_code"))
    item = ResponseInfo(
        code=code,
        message=detail or title,
        documentation_url=_url(members.get("type")),
        extra=_converter.unknown(members, _KNOWN),
    )
    return attrs.evolve(
        found,
        speaker=_CLOUDFLARE if is_cloudflare else _ANOTHER,
        edge=True,
        title=title[: _pages.TITLE],
        detail=detail,
        code=code,
        errors=(item,),
        messages=(),
    )


def _of_text(response: Response, text: bytes) -> Problem:
    """Read a page, or plain text; what begins as JSON does is an answer that was cut off."""
    kind = response.headers.get("content-type", "").lower()
    is_page = text.startswith(b"<") or "html" in kind
    if not is_page and (text[:1] in b'{["' or not _is_shown(text)):
        return Problem(edge=_is_of_the_edge(response, says_something=False))
    by_cloudflare = "cf-mitigated" in response.headers or (is_page and _is_cloudflares(response))
    page = _pages.read(text, is_cloudflare=by_cloudflare)
    item = () if page.code is None else (ResponseInfo(code=page.code, message=page.title),)
    other = "an HTML page" if is_page else "plain text"
    return Problem(
        speaker=_CLOUDFLARE if page.is_cloudflare else other,
        edge=True,
        title=page.title,
        code=page.code,
        errors=item,
        ray_id=page.ray_id,
    )


def _is_of_the_edge(response: Response, *, says_something: bool) -> bool:
    """Whether an answer without a word is not the API's: its errors have their envelope."""
    status = response.status
    if status in _OF_THE_EDGE or "cf-mitigated" in response.headers:
        return True
    if _REDIRECTS <= status < _ERRORS:
        return True
    return says_something and status >= _ERRORS


def _is_cloudflares(response: Response) -> bool:
    """Whether a page came by way of Cloudflare; the API itself writes none."""
    headers = response.headers
    if response.status in _CLOUDFLARES or "cf-ray" in headers:
        return True
    return headers.get("server", "").lower() == "cloudflare"


def _is_shown(text: bytes) -> bool:
    """Whether *text* is one that people can read."""
    start = text[:1000].decode("utf-8", "replace")
    return any(map(str.isalnum, start)) and not re.search(r"[\x00-\x08\x0e-\x1f\x7f]", start)


def _cleaned(item: ResponseInfo) -> ResponseInfo:
    return attrs.evolve(
        item,
        message=plain(item.message),
        documentation_url=_url(item.documentation_url),
        error_chain=tuple(map(_cleaned, item.error_chain)),
    )


def _url(value: Any) -> str | None:
    return value if isinstance(value, str) and _URL.fullmatch(value) else None


def _text(value: Any) -> str:
    return plain(value) if isinstance(value, str) else ""


def _code(value: Any) -> int | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value if type(value) is int and 0 <= value <= _MOST else None


def _ray_id(value: Any) -> str | None:
    return value if isinstance(value, str) and _RAY.fullmatch(value) else None
