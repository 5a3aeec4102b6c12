"""All faults by name, ready to use."""

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

from cfsso.testing import faults
from cfsso.testing.edge import edge_faults
from cfsso.testing.faults import Fault, Line, Suits, alter_answer, answer_with
from cfsso.transports.base import MAX_BODY, Request, Response

_Object: TypeAlias = dict[str, Any]

_OPERATIONS: Final = {
    # The method, and how many slashes the path has.
    ("GET", 3): "list",
    ("POST", 3): "create",
    ("GET", 4): "get",
    ("PATCH", 4): "update",
    ("DELETE", 4): "delete",
    ("POST", 5): "begin_verification",
}


def _only(*operations: str) -> Suits:
    def suits(request: Request, _send: Line) -> bool:
        return _OPERATIONS.get((request.method, request.path.count("/"))) in operations

    return suits


_shows_one: Final = _only("create", "get", "update")
_shows_some: Final = _only("create", "get", "list", "update")
_updates: Final = _only("update")

_HTML: Final = b"<!DOCTYPE html><html><head><title>Error</title></head><body>Error</body></html>"
_CHALLENGE: Final = (
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>"
    b"<script>window._cf_chl_opt = {};</script></body></html>"
)
_AS_HTML: Final = {"content-type": "text/html; charset=UTF-8"}
_LOCATION: Final = {"location": "https://elsewhere.example/client/v4"}

# Of a 429. The date is 30 seconds after the server's own clock.
_RETRY_AFTER: Final[Mapping[str, Mapping[str, str]]] = {
    "seconds": {"retry-after": "30"},
    "date": {
        "date": "Tue, 06 Oct 2026 07:28:00 GMT",
        "retry-after": "Tue, 06 Oct 2026 07:28:30 GMT",
    },
    "garbage": {"retry-after": "1_0, soon"},
    "negative": {"retry-after": "-30"},
    "absurd": {"retry-after": "1000000000"},
}

_RATELIMIT: Final = {
    "exhausted": '"default";r=0;t=30',
    "boundless": '"default";r=1000000000;t=30',
    "negative": '"default";r=-5;t=-30',
    "without_t": '"default";r=3',
    "garbage": 'r==;;"default',
}

# Put in front of the other members of an envelope.
_MEMBERS: Final = {
    "duplicate_keys": b'"success":false',
    "not_a_number": b'"x":NaN',
    "bad_utf8": b'"x":"\xff"',
    "huge_int": b'"x":' + b"9" * 5000,
    "lone_surrogate": b'"x":"\\ud800"',
    "deep_nesting": b'"x":' + b"[" * 100_000 + b"]" * 100_000,
}

_BODIES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "cut_json": lambda body: body[: len(body) // 2],
    "byte_order_mark": lambda body: b"\xef\xbb\xbf" + body,
    "utf16": lambda body: body.decode("utf-8", "replace").encode("utf-16"),
    "oversize_body": lambda body: body.ljust(MAX_BODY + 1),
}


def _unanswered() -> Iterator[Fault]:
    yield from (faults.fail_dns, faults.refuse_connection, faults.time_out_connecting)
    yield from (faults.fail_tls, faults.lose_request, faults.lose_answer)
    yield faults.time_out(10, applied=True)
    yield faults.time_out(10, applied=False)
    yield faults.delay_request(5)


def _statuses() -> Iterator[Fault]:
    """Statuses that say that the write was not done, which is true."""
    for status in (400, 401, 403, 404, 409, 422, 429):
        yield answer_with(status, applied=False, name=f"status_{status}")
    for form, headers in _RETRY_AFTER.items():
        name = f"status_429_retry_after_{form}"
        yield answer_with(429, applied=False, headers=headers, name=name)
    challenge = {"cf-mitigated": "challenge", **_AS_HTML}
    yield answer_with(403, applied=False, headers=challenge, body=_CHALLENGE, name="challenge")


def _undecided(*, applied: bool) -> Iterator[Fault]:
    """Answers that leave open whether the write was done."""
    done = "applied" if applied else "not_applied"
    for status in (408, 425, 500, 503, 504):
        yield answer_with(status, applied=applied)
    for status in (502, *range(520, 528), 530):
        yield answer_with(status, applied=applied, headers=_AS_HTML, body=_HTML)
    for status in (301, 302, 307, 308):
        yield answer_with(status, applied=applied, headers=_LOCATION, body=b"")
    name = f"status_503_retry_after_{done}"
    yield answer_with(503, applied=applied, headers={"retry-after": "5"}, name=name)
    yield answer_with(200, applied=applied, headers=_AS_HTML, body=_HTML, name=f"html_page_{done}")
    yield answer_with(200, applied=applied, body=b"", name=f"empty_body_{done}")
    yield answer_with(204, applied=applied, body=b"", name=f"no_content_{done}")
    failed = json.dumps(_envelope(success=False, result=None)).encode()
    yield answer_with(200, applied=applied, body=failed, name=f"success_false_{done}")
    # To a delete the first two would be a success, to a list the first and the third one an
    # account without connectors.
    for name, envelope, suits in (
        ("result_null", _envelope(result=None), _shows_one),
        ("result_missing", _envelope(), _shows_some),
        ("result_empty_list", _envelope(result=[]), _shows_one),
    ):
        body = json.dumps(envelope).encode()
        yield answer_with(200, applied=applied, body=body, name=f"{name}_{done}", suits=suits)
    yield _echo(f"lying_echo_{done}", lambda value: not value, applied=applied)


def _altered() -> Iterator[Fault]:
    """The real answer, spoilt."""
    for name, change in _BODIES.items():
        yield alter_answer(name, _in_body(change))
    for name, member in _MEMBERS.items():
        yield alter_answer(name, _in_body(_with_member(member)))
    yield alter_answer("partial_content", _partial)
    for name, enabled in (("text", "false"), ("zero", 0), ("one", 1), ("null", None)):
        spoil = _in_connectors(_setting(enabled=enabled))
        yield alter_answer(f"enabled_as_{name}", spoil, suits=_shows_some)
    other = {"id": "0" * 31 + "1", "email_domain": "another.example"}
    yield alter_answer(
        "wrong_id",
        _in_connectors(_setting(id=other["id"])),
        suits=_only("delete", "get", "update"),
    )
    yield alter_answer(
        "another_connector", _in_connectors(_setting(**other)), suits=_only("get", "update")
    )


def _harmless() -> Iterator[Fault]:
    """What a client must put up with: odd, but right."""
    yield faults.delay_answer(2)
    yield faults.stale_read(60)
    for form, field in _RATELIMIT.items():
        yield alter_answer(f"ratelimit_{form}", _with_header("ratelimit", field), ambiguous=False)
    plain = _with_header("content-type", "text/plain")
    yield alter_answer("wrong_content_type", plain, ambiguous=False)
    yield alter_answer("list_of_one", _in_list, ambiguous=False, suits=_only("get", "update"))
    changes: Mapping[str, Callable[[_Object], None]] = {
        "unknown_verification_status": _setting(verification={"status": "quantum"}),
        "extra_fields": _setting(brand_new={"enabled": 7}),
        "missing_optional_fields": _without_times,
    }
    for name, change in changes.items():
        spoil = _in_connectors(change)
        yield alter_answer(name, spoil, ambiguous=False, suits=_shows_some)


def _echo(name: str, shown: Callable[[bool], bool], *, applied: bool) -> Fault:
    """Answer an update with a value that is *shown* for each that was asked for."""

    async def act(request: Request, send: Line) -> Response:
        response = await send(request if applied else Request("GET", request.path))
        wished = _decode(request.body or b"").items()
        echo = {field: shown(value) for field, value in wished if isinstance(value, bool)}
        return _in_connectors(_setting(**echo))(response)

    return Fault(name, act, suits=_updates)


def _envelope(*, success: bool = True, **members: Any) -> _Object:
    return {"success": success, "errors": [], "messages": [], **members}


def _decode(body: bytes) -> _Object:
    try:
        value = json.loads(body)
    except (RecursionError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _in_body(change: Callable[[bytes], bytes]) -> Callable[[Response], Response]:
    return lambda response: attrs.evolve(response, body=change(response.body))


def _in_connectors(change: Callable[[_Object], None]) -> Callable[[Response], Response]:
    def alter(response: Response) -> Response:
        envelope = _decode(response.body)
        result = envelope.get("result")
        for connector in result if isinstance(result, list) else [result]:
            if isinstance(connector, dict):
                change(connector)
        return attrs.evolve(response, body=json.dumps(envelope).encode()) if result else response

    return alter


def _in_list(response: Response) -> Response:
    envelope = _decode(response.body)
    if not isinstance(envelope.get("result"), dict):
        return response
    envelope["result"] = [envelope["result"]]
    return attrs.evolve(response, body=json.dumps(envelope).encode())


def _with_member(member: bytes) -> Callable[[bytes], bytes]:
    return lambda body: b"{" + member + b"," + body[1:]


def _with_header(name: str, value: str) -> Callable[[Response], Response]:
    return lambda response: attrs.evolve(response, headers={**response.headers, name: value})


def _setting(**fields: Any) -> Callable[[_Object], None]:
    return lambda connector: connector.update(fields)


def _without_times(connector: _Object) -> None:
    for field in ("created_on", "updated_on"):
        connector.pop(field, None)


def _partial(response: Response) -> Response:
    return attrs.evolve(response, status=206, body=response.body[: len(response.body) // 2])


false_success: Final = _echo("false_success", lambda value: value, applied=False)
"""
An update that is not done, and an answer that shows it done.

Nobody sees through it without a later read, so it is not in `FAULTS`.
"""

FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        fault.name: fault
        for group in (
            _unanswered(),
            _statuses(),
            _undecided(applied=True),
            _undecided(applied=False),
            _altered(),
            _harmless(),
            edge_faults(),
        )
        for fault in group
    }
)
"""All faults by name, one of each; what takes a time takes some seconds."""
