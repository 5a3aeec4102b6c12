"""
What stands before the API and answers in its place: Cloudflare's edge, and proxies.

https://developers.cloudflare.com/support/troubleshooting/http-status-codes/
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from cfsso.emulator import checks
from cfsso.errors import APIConnectionError, ConnectionFailure, InvalidRequestError, WriteState
from cfsso.testing.faults import RAY, Fault, Line, answer_with
from cfsso.transports.base import Request, Response

_RAY_ID: Final = RAY.partition("-")[0]
_DOCS: Final = "https://developers.cloudflare.com/support/troubleshooting/http-status-codes"
_HOST: Final = "api.cloudflare.com"
_FORMS: Final = ("json", "html", "text")
_ONE_THOUSAND: Final = 1000
# Refusals for now: Request Timeout, Too Early, Too Many Requests.
_PASSING: Final = frozenset({408, 425, 429})
# They say that there was no connection to send the request on.
_NO_TLS: Final = frozenset({525, 526})


@attrs.frozen
class _Error:
    """
    One error of the edge.

    Attributes:
        status: The status that comes with it.
        title: What it is called.
        retry_after: How many seconds it asks to wait. None: it is not to be tried again.
        may_be_done: Whether the request may have been passed on before.
    """

    status: int
    title: str
    retry_after: int | None = None
    may_be_done: bool = False


# Cloudflare publishes which of these ask for a wait, and of those from 1000 how long a one; of
# the others ten have a form in JSON, 503 and 530 are made like these.
_ERRORS: Final[Mapping[int, _Error]] = {
    1000: _Error(403, "DNS points to prohibited IP"),
    1001: _Error(409, "DNS resolution error"),
    1003: _Error(403, "Direct IP access not allowed"),
    1005: _Error(403, "Banned zone", 120),
    1006: _Error(403, "Access denied"),
    1007: _Error(403, "Access denied"),
    1008: _Error(403, "Access denied"),
    1009: _Error(403, "Country or region banned"),
    1010: _Error(403, "Browser signature banned"),
    1011: _Error(403, "Hotlinking denied"),
    1012: _Error(403, "Access denied"),
    1015: _Error(429, "Rate limited", 30),
    1016: _Error(530, "Origin DNS error"),
    1020: _Error(403, "Access denied"),
    1033: _Error(530, "Argo Tunnel error", 120),
    1101: _Error(500, "Worker threw exception", may_be_done=True),
    1102: _Error(503, "Worker exceeded resource limits", may_be_done=True),
    500: _Error(500, "Internal server error", 10, may_be_done=True),
    502: _Error(502, "Bad gateway", 10, may_be_done=True),
    503: _Error(503, "Service temporarily unavailable", 10, may_be_done=True),
    504: _Error(504, "Gateway timeout", 10, may_be_done=True),
    520: _Error(520, "Web server is returning an unknown error", 10, may_be_done=True),
    521: _Error(521, "Web server is down", 10),
    522: _Error(522, "Connection timed out", 10, may_be_done=True),
    523: _Error(523, "Origin is unreachable", 10),
    524: _Error(524, "A timeout occurred", 10, may_be_done=True),
    525: _Error(525, "SSL handshake failed"),
    526: _Error(526, "Invalid SSL certificate"),
    530: _Error(530, "Origin DNS error"),
}


def edge_error(
    code: int,
    *,
    applied: bool = False,
    form: str = "json",
    in_header: bool = True,
    name: str | None = None,
) -> Fault:
    """
    Return the fault that Cloudflare's edge answers in place of the API.

    Args:
        code: The number of its error, such as 1020 or 502.
        applied: Whether the API got the request before, so that a write was done.
        form:
            ``json``: problem details (RFC 9457), which come if the request asks for JSON.
            ``html``: a page. ``text``: one line with the number.
        in_header: Whether a wait that it asks for stands in ``Retry-After``, too.
        name: ``None``: made from the rest.

    Raises:
        InvalidRequestError: There is no such error or form, or it never reaches the API.
    """
    error = _ERRORS.get(code)
    if type(code) is not int or error is None:
        raise checks.wrong("code", f"one of {', '.join(map(str, sorted(_ERRORS)))}")
    checks.one_of(_FORMS, form, "form")
    if checks.flag(applied, "applied") and not error.may_be_done:
        raise InvalidRequestError(f"applied must be false: after error {code} nothing is done")
    headers = {"server": "cloudflare"}
    if error.retry_after is not None and checks.flag(in_header, "in_header"):
        headers["retry-after"] = str(error.retry_after)
    body, headers["content-type"] = _BODIES[form](code, error)
    fault = answer_with(
        error.status,
        applied=applied,
        headers=headers,
        body=body,
        name=name or _named(code, error, form, applied=applied),
    )
    return attrs.evolve(fault, ambiguous=False) if code in _NO_TLS else fault


def refuse_by_proxy(status: int) -> Fault:
    """
    Return the fault that a proxy on the way makes no connection; nothing is sent.

    Args:
        status: What it answers to ``CONNECT``, such as 407.

    Raises:
        InvalidRequestError: *status* is none of a refusal.
    """
    if type(status) is not int or not 400 <= status <= 599:  # noqa: PLR2004
        raise checks.wrong("status", "a whole number from 400 to 599")

    async def act(request: Request, _send: Line) -> Response:
        """Tell of the refusal."""
        error = APIConnectionError(
            f"{request}: the proxy refused to connect: it answered {status}",
            write=request.write_state(WriteState.NOT_SENT),
            request=request,
            status=status,
            edge=True,
        )
        error.reason = ConnectionFailure.PROXY
        error.retryable = status in _PASSING or status >= 500  # noqa: PLR2004
        raise error

    return Fault(f"proxy_{status}", act, ambiguous=False)


def edge_faults() -> Iterator[Fault]:
    """Return what `cfsso.testing.FAULTS` has of all this."""
    for code, error in _ERRORS.items():
        yield from _both(code, "json", may_be_done=error.may_be_done)
    for code, form in ((1015, "html"), (1020, "html"), (502, "html"), (524, "html")):
        yield from _both(code, form, may_be_done=_ERRORS[code].may_be_done)
    for code in (1010, 502):
        yield from _both(code, "text", may_be_done=_ERRORS[code].may_be_done)
    yield edge_error(1015, in_header=False, name="edge_1015_retry_after_in_body")
    for status in (403, 407, 502):
        yield refuse_by_proxy(status)


def _both(code: int, form: str, *, may_be_done: bool) -> Iterator[Fault]:
    if may_be_done:
        yield edge_error(code, form=form, applied=True)
    yield edge_error(code, form=form)


def _named(code: int, error: _Error, form: str, *, applied: bool) -> str:
    kind = "" if form == "json" else f"_{form}"
    done = ("_applied" if applied else "_not_applied") if error.may_be_done else ""
    return f"edge_{code}{kind}{done}"


def _as_json(code: int, error: _Error) -> tuple[bytes, str]:
    group = "1xxx" if code >= _ONE_THOUSAND else "5xx"
    details: dict[str, Any] = {
        "type": f"{_DOCS}/cloudflare-{group}-errors/error-{code}/",
        "title": f"Error {code}: {error.title}",
        "status": error.status,
        "detail": f"{error.title}, says a fault of cfsso.testing.",
        "instance": _RAY_ID,
        "error_code": code,
        "error_name": error.title.lower().replace(" ", "_"),
        "ray_id": _RAY_ID,
        "cloudflare_error": True,
        "retryable": error.retry_after is not None,
        "retry_after": error.retry_after,
        "owner_action_required": error.retry_after is None,
    }
    return json.dumps(details).encode(), "application/json"


def _as_html(code: int, error: _Error) -> tuple[bytes, str]:
    if code >= _ONE_THOUSAND:
        title = f"{error.title} | {_HOST} used Cloudflare to restrict access"
    else:
        title = f"{_HOST} | {code}: {error.title}"
    page = (
        f'<!DOCTYPE html>\n<html lang="en-US">\n<head>\n<title>{title}</title>\n'
        '<link rel="stylesheet" href="/cdn-cgi/styles/main.css">\n</head>\n<body>\n'
        '<div id="cf-wrapper"><div id="cf-error-details">\n'
        f'<h1><span>{error.title}</span> <span class="code-label">Error code {code}</span></h1>\n'
        f"<p>Ray ID: {_RAY_ID} &bull; Performance &amp; security by Cloudflare</p>\n"
        "</div></div>\n</body>\n</html>\n"
    )
    return page.encode(), "text/html; charset=UTF-8"


def _as_text(code: int, _error: _Error) -> tuple[bytes, str]:
    return f"error code: {code}".encode(), "text/plain; charset=UTF-8"


_BODIES: Final = {"json": _as_json, "html": _as_html, "text": _as_text}
