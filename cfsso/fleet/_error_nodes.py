"""Errors back from JSON: those of journals and of outcomes."""

from typing import Any, Final

from cfsso import _converter, errors
from cfsso._nodes import Node
from cfsso._text import printable
from cfsso.errors import (
    APIConnectionError,
    CfssoError,
    ConnectionFailure,
    InvalidRequestError,
    Settlement,
    UnconfirmedWriteError,
    WriteState,
)
from cfsso.models import ResponseInfo
from cfsso.transports.base import Request

# More than the escapes of the longest message take.
_LONGEST: Final = 16_384
_TEXTS: Final = ("ray_id", "title", "detail")
_OTHERS: Final = ("write", "status", "errors", "messages", "retry_after", "request")
_OF_SOME: Final = ("reason", "settlement", "found")
_OPTIONAL: Final = (*_TEXTS, *_OTHERS, *_OF_SOME, "edge", "retryable")


def to_error(node: Node) -> CfssoError:
    """
    Return an error of the same class that says the same.

    A class of another version of this package becomes a `CfssoError`. A member that is
    missing is one of an earlier version's that had none of that name.

    Raises:
        ConversionError: It is none.
    """
    members = node.members(("type", "message"), _OPTIONAL)
    known = {name: member for name, member in members.items() if member.value is not None}
    kind = _kind(members["type"].text())
    error = kind(members["message"].text(), **_details(known), **_details_of(kind, known))
    # Not cut once more: escapes may have made it longer than what a new one may be.
    error.args = (printable(members["message"].text(), _LONGEST),)
    if "retryable" in members:
        error.retryable = known["retryable"].flag() if "retryable" in known else None
    if isinstance(error, APIConnectionError) and "reason" in known:
        error.reason = known["reason"].word(ConnectionFailure)
    return error


def _kind(name: str) -> type[CfssoError]:
    found = getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, CfssoError) else CfssoError


def _details(known: dict[str, Node]) -> dict[str, Any]:
    details: dict[str, Any] = {name: known[name].text() for name in _TEXTS if name in known}
    for name in ("errors", "messages"):
        details[name] = _infos(known[name]) if name in known else ()
    if "write" in known:
        details["write"] = known["write"].word(WriteState)
    if "status" in known:
        details["status"] = known["status"].whole()
    if "retry_after" in known:
        details["retry_after"] = known["retry_after"].seconds()
    if "edge" in known:
        details["edge"] = known["edge"].flag()
    if "request" in known:
        details["request"] = _request(known["request"])
    return details


def _details_of(kind: type[CfssoError], known: dict[str, Node]) -> dict[str, Any]:
    if not issubclass(kind, UnconfirmedWriteError):
        return {}
    found, settlement = known.get("found"), known.get("settlement")
    return {
        "found": None if found is None else found.connector(),
        "settlement": Settlement.UNKNOWN if settlement is None else settlement.word(Settlement),
    }


def _infos(node: Node) -> tuple[ResponseInfo, ...]:
    for item in node.items():
        if type(item.value) is not dict:
            raise item.wrong("expected object")
    return _converter.messages(node.value)


def _request(node: Node) -> Request:
    if type(node.value) is list and len(node.value) == 3:  # noqa: PLR2004 - as journals had it first
        method, path, body = node.items()
    else:
        members = node.members(("method", "path"), ("body",))
        method, path = members["method"], members["path"]
        body = members.get("body", Node(None))
    try:
        return Request(
            method.text(), path.text(), None if body.value is None else body.text().encode()
        )
    except InvalidRequestError as error:
        problem = str(error)
    raise node.wrong(problem)
