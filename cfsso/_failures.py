"""From an answer that is no success to the error that says so."""

from collections.abc import Mapping
from typing import Any

from cfsso import _converter, _headers
from cfsso.errors import (
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
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


def _details(
    request: Request, response: Response, envelope: Mapping[str, Any] | None
) -> dict[str, Any]:
    found = envelope or {}
    return {
        "status": response.status,
        "errors": _converter.messages(found.get("errors")) or _single(found),
        "messages": _converter.messages(found.get("messages")),
        "ray_id": response.headers.get("cf-ray"),
        "retry_after": _headers.retry_after(response.status, response.headers),
        "request": request,
    }


def _single(envelope: Mapping[str, Any]) -> tuple[ResponseInfo, ...]:
    """Read the short form of a failure: ``code`` and ``error`` in place of ``errors``."""
    if isinstance(envelope.get("error"), str):
        return _converter.messages({**envelope, "message": envelope["error"]})
    return _converter.messages(envelope.get("error"))


def unreadable(
    request: Request,
    response: Response,
    problem: str,
    envelope: Mapping[str, Any] | None = None,
) -> APIResponseValidationError:
    """Return the error for an answer that is no answer of this API; a write may have happened."""
    return APIResponseValidationError(
        f"{response.status} from {request}: {problem}",
        write=request.write_state(WriteState.UNKNOWN),
        **_details(request, response, envelope),
    )


def status_error(
    request: Request, response: Response, envelope: Mapping[str, Any] | None, problem: str
) -> APIStatusError:
    """Return the error for a status: by the status first, by the codes second, by text never."""
    status = response.status
    details = _details(request, response, envelope)
    kind = _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
    if kind is BadRequestError and _codes(details["errors"]) & _CREDENTIAL_CODES:
        kind = AuthenticationError
    refused = 400 <= status < 500 and status not in _UNDECIDED
    write = WriteState.REFUSED if refused else WriteState.UNKNOWN
    said = said_by(details["errors"]) or problem or "no reason given"
    if response.headers.get("cf-mitigated") == "challenge":
        said = f"stopped by a challenge of Cloudflare's firewall: {said}"
    elif 300 <= status < 400:
        said = f"a redirect, which is never followed: {response.headers.get('location', said)}"
    return kind(f"{status} from {request}: {said}", write=request.write_state(write), **details)


def _codes(errors: tuple[ResponseInfo, ...]) -> set[int | None]:
    return {code for e in errors for code in ({e.code} | _codes(e.error_chain))}


def said_by(errors: tuple[ResponseInfo, ...]) -> str:
    """Return codes and texts in one line, each with what led to it in brackets."""
    return "; ".join(map(_said, errors))


def _said(error: ResponseInfo) -> str:
    code = "" if error.code is None else str(error.code)
    chain = f"({said_by(error.error_chain)})" if error.error_chain else ""
    return " ".join(filter(None, (code, error.message, chain)))
