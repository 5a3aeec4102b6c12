"""Values as plain data and back: what journals, plans and reports are made of."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from cfsso import _converter, errors
from cfsso._text import rfc3339
from cfsso.errors import CfssoError, Settlement, UnconfirmedWriteError, WriteState
from cfsso.models import ResponseInfo, SSOConnector, Verification
from cfsso.transports.base import Request


def of_connector(connector: SSOConnector) -> dict[str, Any]:
    """Return a connector under the API's own names, without what the answer did not have."""
    known = {
        "id": connector.id or None,
        "email_domain": connector.email_domain,
        "enabled": connector.enabled,
        "use_fedramp_language": connector.use_fedramp_language,
        "verification": _of_verification(connector.verification) or None,
        "created_on": of_time(connector.created_on),
        "updated_on": of_time(connector.updated_on),
    }
    return {**connector.extra, **_present(known)}


def to_connector(value: Any, path: str) -> SSOConnector:
    """
    Return the connector that `of_connector` gave *value* for.

    Raises:
        ConversionError: It is none; the JSON path, which begins with *path*, says why.
    """
    return _converter.connector(value, path)


def of_time(moment: dt.datetime | None) -> str | None:
    """Return a time as RFC 3339 has it."""
    return None if moment is None else rfc3339(moment)


def now() -> dt.datetime:
    """Return the time on the wall, for people who read it; in whole milliseconds."""
    moment = dt.datetime.now(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def of_error(error: CfssoError) -> dict[str, Any]:
    """Return what there is to say of an error; it holds no credential."""
    details: dict[str, Any] = {
        "type": type(error).__name__,
        "message": str(error),
        "write": error.write,
        "status": error.status,
        "errors": [_of_info(item) for item in error.errors] or None,
        "messages": [_of_info(item) for item in error.messages] or None,
        "ray_id": error.ray_id,
        "retry_after": error.retry_after,
        "request": _of_request(error.request),
        "edge": error.edge or None,
        "title": error.title or None,
        "detail": error.detail or None,
        "retryable": vars(error).get("retryable"),
    }
    if isinstance(error, UnconfirmedWriteError):
        details["settlement"] = error.settlement
        details["found"] = None if error.found is None else of_connector(error.found)
    return _present(details)


def to_error(value: Mapping[str, Any]) -> CfssoError:
    """
    Return an error of the same class that says the same.

    A class of another version of this package becomes a `CfssoError`.
    """
    kind = getattr(errors, value["type"], CfssoError)
    details: dict[str, Any] = {
        "write": None if value.get("write") is None else WriteState(value["write"]),
        "status": value.get("status"),
        "errors": _converter.messages(value.get("errors")),
        "messages": _converter.messages(value.get("messages")),
        "ray_id": value.get("ray_id"),
        "retry_after": value.get("retry_after"),
        "request": _to_request(value.get("request")),
        "edge": value.get("edge", False),
        "title": value.get("title", ""),
        "detail": value.get("detail", ""),
    }
    if kind is UnconfirmedWriteError:
        found = value.get("found")
        details["settlement"] = Settlement(value["settlement"])
        details["found"] = None if found is None else to_connector(found, "$.found")
    restored: CfssoError = kind(value["message"], **details)
    if "retryable" in value:
        restored.retryable = value["retryable"]
    return restored


def _of_request(request: errors.RequestInfo | None) -> list[str | None] | None:
    if request is None:
        return None
    body = None if request.body is None else request.body.decode("utf-8", "backslashreplace")
    return [request.method, request.path, body]


def _to_request(value: Any) -> Request | None:
    if value is None:
        return None
    method, path, body = value
    return Request(method, path, None if body is None else body.encode())


def _of_info(item: ResponseInfo) -> dict[str, Any]:
    known = {
        "code": item.code,
        "message": item.message or None,
        "documentation_url": item.documentation_url,
        "source": None if item.source is None else {"pointer": item.source.pointer},
        "error_chain": [_of_info(inner) for inner in item.error_chain] or None,
    }
    return _present(known)


def _of_verification(verification: Verification) -> dict[str, Any]:
    known = {"code": verification.code, "status": verification.raw_status}
    return {**verification.extra, **_present(known)}


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
