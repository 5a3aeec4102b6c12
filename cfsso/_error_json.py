"""Errors as JSON: for events, outcomes and journals."""

from typing import Any

from cfsso.errors import APIConnectionError, CfssoError, RequestInfo, UnconfirmedWriteError


def of_error(error: CfssoError) -> dict[str, Any]:
    """
    Return what there is to say of an error, by the names of its attributes; no credential.

    Its answer is left out, since it may be 64 KiB.
    """
    told: dict[str, Any] = {
        "type": type(error).__name__,
        "message": str(error),
        "write": error.write,
        "status": error.status,
        "errors": error.errors,
        "messages": error.messages,
        "ray_id": error.ray_id,
        "retry_after": error.retry_after,
        "edge": error.edge,
        "title": error.title,
        "detail": error.detail,
        "retryable": error.retryable,
        "request": None if error.request is None else _of_request(error.request),
    }
    if isinstance(error, APIConnectionError):
        told["reason"] = error.reason
    if isinstance(error, UnconfirmedWriteError):
        told["settlement"] = error.settlement
        told["found"] = error.found
    return told


def _of_request(request: RequestInfo) -> dict[str, Any]:
    """Return what there is to say of a request."""
    return {"method": request.method, "path": request.path, "body": request.body}
