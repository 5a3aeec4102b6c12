"""From an answer that is no success to the error that says so."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import attrs

from cfsso import _problems
from cfsso._pages import plain, untagged
from cfsso._problems import Problem
from cfsso.errors import (
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    CfssoError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
    WriteState,
)
from cfsso.models import ResponseInfo
from cfsso.transports.base import Request, Response

_Error = TypeVar("_Error", bound=CfssoError)

_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
# Request Timeout and Too Early: whether the write was taken up is not said.
_UNDECIDED = {408, 425}
# Wrong credentials, although the status is 400.
_CREDENTIAL_CODES = {6003, 9106, 10001}

KEPT: Final = 65_536
"""The most bytes of an answer that an error keeps."""

# These name who may do what, and so are none of an error's.
_UNKEPT: Final = frozenset({
    "set-cookie", "set-cookie2", "cookie", "authorization", "proxy-authorization",
    "authentication-info", "proxy-authentication-info",
})  # fmt: skip
# Characters of a line that a server's words may take: a request, and another error, fit beside.
_LONGEST: Final = 600
_LENGTHS: Final = (300, 80)
_MOST_ITEMS: Final = 20
_PAGE: Final = re.compile(r"[^\s<>]{1,300}")


def _details(request: Request, response: Response, problem: Problem) -> dict[str, Any]:
    return {
        "status": response.status,
        "errors": problem.errors,
        "messages": problem.messages,
        "ray_id": response.headers.get("cf-ray") or problem.ray_id,
        "retry_after": _problems.retry_after(response),
        "request": request,
        "edge": problem.edge,
        "title": problem.title,
        "detail": problem.detail,
        "response": _kept(response),
    }


def _kept(response: Response) -> Response:
    """Return what an error keeps of its answer."""
    headers = {n: text for n, text in response.headers.items() if n.lower() not in _UNKEPT}
    return Response(response.status, headers, response.body[:KEPT])


def unreadable(
    request: Request,
    response: Response,
    said: str,
    envelope: Mapping[str, Any] | None = None,
) -> APIResponseValidationError:
    """Return the error for an answer that is no answer of this API; a write may have happened."""
    problem = _problems.read(response, envelope)
    error = APIResponseValidationError(
        f"{response.status} from {request}: {_said_for(problem) or untagged(said, _LONGEST)}",
        write=request.write_state(WriteState.UNKNOWN),
        **_details(request, response, problem),
    )
    return _marked(error, response)


def status_error(
    request: Request, response: Response, envelope: Mapping[str, Any] | None, said: str
) -> APIStatusError:
    """Return the error for a status: by the status first, by the codes second, by text never."""
    status = response.status
    problem = _problems.read(response, envelope)
    kind = _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
    if kind is BadRequestError and not problem.edge and _codes(problem.errors) & _CREDENTIAL_CODES:
        kind = AuthenticationError
    refused = 400 <= status < 500 and status not in _UNDECIDED
    # What had no connection to be sent on was not done either.
    refused = refused or (status == problem.code and problem.is_before_the_origin)
    write = WriteState.REFUSED if refused else WriteState.UNKNOWN
    said = _said_for(problem) or said_by(problem.errors) or untagged(said, _LONGEST)
    said = said or "no reason given"
    if response.headers.get("cf-mitigated") == "challenge":
        said = f"stopped by a challenge of Cloudflare's firewall: {said}"
    elif 300 <= status < 400:
        location = plain(response.headers.get("location", ""))
        said = f"a redirect, which is never followed: {location or said}"
    error = kind(
        f"{status} from {request}: {said}",
        write=request.write_state(write),
        **_details(request, response, problem),
    )
    return _marked(error, response)


def too_long(request: Request, response: Response, seconds: float) -> RateLimitError:
    """Return the error for a read whose answer asks to wait for longer than its call may."""
    problem = _problems.read(response)
    said = _said_for(problem) or said_by(problem.errors)
    error = RateLimitError(
        f"{response.status} from {request}: asks to wait {seconds:,.0f} s"
        + (f": {said}" if said else ""),
        **_details(request, response, problem),
    )
    return _marked(error, response)


def _marked(error: _Error, response: Response) -> _Error:
    """Return *error* with what its answer says of trying again."""
    if (retryable := _problems.retryable(response)) is not None:
        error.retryable = retryable
    return error


def _said_for(problem: Problem) -> str:
    """Say who answered in place of the API, and what; empty if nobody is known to have."""
    if not problem.speaker:
        return ""
    title = problem.title
    if problem.code is not None and str(problem.code) not in title:
        title = f"{problem.code} {title}".strip()
    if title:
        said = ": ".join(filter(None, (title, plain(problem.detail, _LENGTHS[0]))))
        said = _with_page(said, problem.errors[0].documentation_url if problem.errors else None)
    else:
        said = said_by(problem.errors) or plain(problem.detail, _LENGTHS[0])
    return f"not the API: {problem.speaker} answered" + (f": {said}" if said else "")


def _codes(errors: tuple[ResponseInfo, ...]) -> set[int | None]:
    return {code for e in errors for code in ({e.code} | _codes(e.error_chain))}


def said_by(errors: tuple[ResponseInfo, ...]) -> str:
    """
    Return codes, texts and pages of documentation in one line, each with what led to it.

    What led to it stands in brackets. If that is long, texts are shortened, and then only the
    first error is told; codes and addresses are never cut.
    """
    some = errors[:_MOST_ITEMS]
    for length in _LENGTHS:
        said = "; ".join(_said(error, length) for error in some)
        if len(said) <= _LONGEST and len(some) == len(errors):
            return said
    first = _said(attrs.evolve(errors[0], error_chain=()), _LENGTHS[0])
    others = len(errors) - 1
    return f"{first}; and {others:,} more" if others else first


def _said(error: ResponseInfo, length: int) -> str:
    code = "" if error.code is None else str(error.code)
    chain = "; ".join(_said(inner, length) for inner in error.error_chain[:_MOST_ITEMS])
    said = " ".join(filter(None, (code, untagged(error.message, length))))
    shown = _with_page(said, error.documentation_url)
    return " ".join(filter(None, (shown, f"({chain})" if chain else "")))


def _with_page(said: str, url: str | None) -> str:
    """Return *said* with a page of documentation, unless it can't be one."""
    if not url or url in said or not _PAGE.fullmatch(url):
        return said
    return f"{said.removesuffix('.')}, see {url}" if said else f"see {url}"
