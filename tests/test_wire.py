"""Requests to the byte, and which answers count as success."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from scripted import (
    ACCOUNT,
    COLLECTION,
    CONNECTOR,
    ITEM,
    OTHER,
    RAY,
    respond,
    shown,
    success,
)

import cfsso
from cfsso import UNSET, _wire
from cfsso._listing import Listing

VALID = success(shown(), errors=[], messages=[{"code": 1000, "message": "é 😀"}]).body
UPDATE = _wire.build_update(CONNECTOR, ACCOUNT, enabled=True, use_fedramp_language=UNSET)
GET = _wire.build_get(CONNECTOR, ACCOUNT)


def create(domain: str, begin: Any = UNSET, fedramp: Any = UNSET) -> cfsso.Request:
    """Build the POST that creates a connector."""
    return _wire.build_create(ACCOUNT, domain, begin, fedramp)


def update(enabled: Any = UNSET, fedramp: Any = UNSET) -> cfsso.Request:
    """Build the PATCH that changes a connector."""
    return _wire.build_update(CONNECTOR, ACCOUNT, enabled, fedramp)


BEGIN = _wire.build_begin_verification(CONNECTOR, ACCOUNT)


@pytest.mark.parametrize(
    ("method", "path", "body", "found"),
    [
        ("GET", COLLECTION, None, _wire.build_list(ACCOUNT)),
        ("GET", ITEM, None, GET),
        ("DELETE", ITEM, None, _wire.build_delete(CONNECTOR, ACCOUNT)),
        ("POST", f"{ITEM}/begin_verification", None, BEGIN),
        ("PATCH", ITEM, '{"enabled":true}', update(enabled=True)),
        ("PATCH", ITEM, '{"enabled":false}', update(enabled=False)),
        ("PATCH", ITEM, '{"use_fedramp_language":true}', update(fedramp=True)),
        ("PATCH", ITEM, '{"use_fedramp_language":false}', update(fedramp=False)),
        ("PATCH", ITEM, '{"enabled":true,"use_fedramp_language":false}', update(True, False)),  # noqa: FBT003
        ("POST", COLLECTION, '{"email_domain":"a.b"}', create("a.b")),
        ("POST", COLLECTION, '{"email_domain":"\\u00e9.b"}', create("é.b")),
        (
            "POST",
            COLLECTION,
            '{"email_domain":"a.b","begin_verification":false}',
            create("a.b", begin=False),
        ),
        (
            "POST",
            COLLECTION,
            '{"email_domain":"a.b","begin_verification":true,"use_fedramp_language":false}',
            create("a.b", begin=True, fedramp=False),
        ),
    ],
    ids=str,
)
def test_requests_to_the_byte(
    method: str, path: str, body: str | None, found: cfsso.Request
) -> None:
    """A request holds what was asked for and nothing else."""
    assert cfsso.Request(method, path, body.encode() if body else None) == found


@pytest.mark.parametrize("enabled", [UNSET, True, False], ids=str)
@pytest.mark.parametrize("fedramp", [UNSET, True, False], ids=str)
def test_every_update_says_what_is_wished(enabled: Any, fedramp: Any) -> None:
    """The body of an update is its wish as JSON, for each of the eight wishes."""
    wished = _wire.wish(enabled, fedramp)

    if wished:
        assert json.dumps(wished, separators=(",", ":")).encode() == update(enabled, fedramp).body


@pytest.mark.parametrize(
    "request_",
    [GET, UPDATE, BEGIN, create("a.b"), _wire.build_list(ACCOUNT), _wire.build_verify_user_token()],
    ids=str,
)
def test_requests_that_are_built_are_like_any_other(request_: cfsso.Request) -> None:
    """What is made of checked parts passes all checks, and differs in nothing."""
    again = cfsso.Request(request_.method, request_.path, request_.body)

    assert cfsso.Request is type(request_)
    assert (again, hash(again), repr(again)) == (request_, hash(request_), repr(request_))
    assert again == pickle.loads(pickle.dumps(request_))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request_.path = "/"  # type: ignore[misc] # that it can't be set is the point


def test_the_reading_of_an_update() -> None:
    """What an update changes is read where it was written."""
    assert _wire.build_get(CONNECTOR, ACCOUNT) == _wire.build_reading(UPDATE)


def test_an_update_of_nothing_is_refused() -> None:
    """A PATCH that changes nothing is not even built."""
    with pytest.raises(cfsso.InvalidRequestError, match=r"^nothing to change: give") as caught:
        _wire.build_update(CONNECTOR, ACCOUNT, UNSET, UNSET)

    assert cfsso.WriteState.NOT_SENT is caught.value.write


def unreadable(call: Callable[[], Any]) -> cfsso.APIResponseValidationError:
    """Return the error of a call that can't read its answer."""
    with pytest.raises(cfsso.APIResponseValidationError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("said", "body"),
    [
        ("an empty body", b""),
        ("not the API: Cloudflare's edge answered", b"<!DOCTYPE html><p>"),
        ("not the API: Cloudflare's edge answered: Error 1010", b"error code: 1010\n"),
        ("no JSON: ", b"\xef\xbb\xbf{}"),
        ("text that is not UTF-8", '{"success":true}'.encode("utf-16")),
        ('text that is not UTF-8: "\\xff"', b"\xff"),
        ("text that is not UTF-8", b'{"success":true,"a":"\\ud800"}'),
        ("text that is not UTF-8", b'{"success":true,"\\uDfFf":0}'),
        ("text that is not UTF-8", b'{"a":"\xed\xa0\x80"}'),
        ("JSON that repeats a key", b'{"success":false,"success":true}'),
        ("JSON that repeats a key", b'{"result":{"id":"a","id":"b"}}'),
        ("a number that JSON does not have", b'{"a":NaN}'),
        ("a number that JSON does not have", b'{"a":Infinity}'),
        ("a number that JSON does not have", b'{"a":-Infinity}'),
        ("a number that JSON does not have", b'{"a":1e999}'),
        ("a number that JSON does not have", b'{"a":-1.5E999}'),
        ("a number too long to read", b'{"a":' + b"1" * 5000 + b"}"),
        ("JSON nested too deep", b"[" * 100_000),
        ("JSON nested too deep", b'{"a":' * 100_000),
        ("no JSON: Invalid control character", b'{"a":"\x1b[2J"}'),
        ("no JSON: Extra data", b'{"success":true} {"success":true}'),
        ("expected object at $", b"[]"),
        ("expected object at $", b"null"),
        ("expected object at $", b'"text"'),
        ("expected true at $.success", b"{}"),
        ("expected true at $.success", b'{"success":1}'),
        ("expected true at $.success", b'{"success":"true"}'),
        ("expected true at $.success", b'{"success":null,"result":{}}'),
        (
            "expected true at $.success: 1003 no",
            b'{"success":false,"errors":[{"code":1003,"message":"no"}]}',
        ),
        ("more than 1048576 bytes", b" " * 1024 * 1024 + b"{}"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_hostile_bodies(said: str, body: bytes) -> None:
    """A body that is no success envelope becomes our own error with a short reason."""
    response = respond(body)

    error = unreadable(lambda: _wire.read(UPDATE, response))

    assert str(error).startswith(f"200 from PATCH {ITEM}: {said}")
    assert len(str(error)) < 400
    assert str(error).isprintable()
    assert (200, RAY, UPDATE) == (error.status, error.ray_id, error.request)
    assert cfsso.WriteState.UNKNOWN is error.write
    assert unreadable(lambda: _wire.read(GET, response)).write is None


def test_a_body_of_the_largest_size() -> None:
    """A body of exactly 1 MiB is read."""
    body = VALID.ljust(1024 * 1024)

    assert _wire.read(UPDATE, respond(body)).envelope["success"] is True


def test_a_surrogate_pair_is_a_character() -> None:
    """Two escapes that make one character are text like any other."""
    answer = _wire.read(GET, respond(b'{"success":true,"a":"\\ud83d\\ude00"}'))

    assert "\N{GRINNING FACE}" == answer.envelope["a"]


def test_no_cut_body_is_a_success() -> None:
    """A success that is cut at any byte is none."""
    for length in range(len(VALID)):
        unreadable(lambda end=length: _wire.read(UPDATE, respond(VALID[:end])))  # type: ignore[misc] # mypy can't type a default of a lambda

    assert VALID == _wire.read(UPDATE, respond(VALID)).response.body


def read_update(result: Any, **members: Any) -> cfsso.SSOConnector:
    """Read an answer with that *result* to an update that enables."""
    answer = _wire.read(UPDATE, success(result, **members))
    return _wire.read_updated(answer, CONNECTOR, {"enabled": True})


@pytest.mark.parametrize(
    "result",
    [
        shown(),
        [shown()],
        [shown(id=OTHER, enabled="odd"), shown(), None, "text", {"id": []}],
        {"id": CONNECTOR, "enabled": True},
    ],
    ids=["object", "list", "list-of-others", "bare"],
)
def test_results_that_count(result: Any) -> None:
    """A result counts as an object, or as a list in which one has the id."""
    connector = read_update(result)

    assert (CONNECTOR, True) == (connector.id, connector.enabled)


one_match = f"expected one connector {CONNECTOR} at $.result, not"


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("expected object at $.result", None),
        ("expected object at $.result", "text"),
        (f"{one_match} 0", []),
        (f"{one_match} 0", [shown(id=OTHER)]),
        (f"{one_match} 0", [shown(id=CONNECTOR.upper())]),
        (f"{one_match} 2", [shown(), shown()]),
        (f"expected id {CONNECTOR} at $.result.id, not {OTHER}", shown(id=OTHER)),
        (f"expected id {CONNECTOR} at $.result.id, not ", {"enabled": True}),
        ("expected bool at $.result.enabled", shown(enabled="true")),
        ("expected bool at $.result[1].enabled", [{}, shown(enabled=1)]),
        ("the answer shows enabled=False", shown(enabled=False)),
        ("expected bool at $.result.enabled", shown(enabled=None)),
        ("the answer shows enabled=None", {"id": CONNECTOR}),
    ],
)
def test_results_that_do_not_count(said: str, result: Any) -> None:
    """Any other result leaves the write unknown and says why; messages are kept."""
    warning = {"code": 1001, "message": "slow"}

    error = unreadable(lambda: read_update(result, messages=[warning], errors=["odd"]))

    assert f"200 from PATCH {ITEM}: {said}" == str(error)
    assert cfsso.WriteState.UNKNOWN is error.write
    assert (cfsso.ResponseInfo(code=1001, message="slow"),) == error.messages
    assert (cfsso.ResponseInfo(message="odd"),) == error.errors


def test_a_missing_result_does_not_count() -> None:
    """A success without a result shows no connector."""
    answer = _wire.read(UPDATE, success())

    error = unreadable(lambda: _wire.read_updated(answer, CONNECTOR, {"enabled": True}))
    assert str(error).endswith("expected object at $.result")


def listed(response: cfsso.Response) -> tuple[cfsso.SSOConnector, ...]:
    """Return the connectors of a list."""
    listing = Listing(_wire.StrictReading)
    answer = listing.read(_wire.build_list(ACCOUNT), response)
    return tuple(listing.done(answer)[0].connectors)


@pytest.mark.parametrize("result", [({},), ("a",), (False,), ()], ids=repr)
def test_a_list_must_be_a_list(result: tuple[Any, ...]) -> None:
    """What is no list is not an empty one, nor is what is missing."""
    error = unreadable(lambda: listed(success(*result)))
    assert f"200 from GET {COLLECTION}: expected list at $.result" == str(error)


def test_a_null_is_a_list_without_items() -> None:
    """An account without connectors may be shown as null."""
    assert () == listed(success(None))


def test_lists_keep_their_order_and_name_their_items() -> None:
    """Connectors come in the answer's order; what is wrong is named by its place."""
    ids = [OTHER, CONNECTOR, None, None]
    wrong = [shown(), shown(id=OTHER), shown(verification={"code": 7})]

    shown_ids = [connector.id for connector in listed(success([shown(id=name) for name in ids]))]

    assert [OTHER, CONNECTOR, "", ""] == shown_ids
    error = unreadable(lambda: listed(success(wrong)))
    assert str(error).endswith(": expected str at $.result[2].verification.code")


def test_a_list_shows_a_connector_once() -> None:
    """A connector that stands twice could be in either state, so the list is none."""
    twice = success([shown(enabled=False), shown(enabled=True)])
    assert "stands twice at $.result" in str(unreadable(lambda: listed(twice)))


@pytest.mark.parametrize(
    ("expected", "members"),
    [
        (0, {}),
        (0, {"result_info": None}),
        (0, {"result_info": {}}),
        (0, {"result_info": {"total_count": "9"}}),
        (0, {"result_info": {"total_count": True}}),
        (0, {"result_info": {"total_count": 0}}),
        (0, {"result_info": {"total_count": 1}}),
        (4, {"result_info": {"total_count": 5}}),
    ],
)
def test_how_many_are_missing(expected: int, members: Any) -> None:
    """A list that knows of more connectors than it has says how many."""
    answer = _wire.read(_wire.build_list(ACCOUNT), success([shown()], **members))

    assert expected == _wire.missing(answer, 1)


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (None, shown(email_domain="A.Example")),
        (None, {"id": "short", "email_domain": "a.example", "use_fedramp_language": False}),
        ("expected str at $.result.id", shown(id=None, email_domain="a.example")),
        ("expected str at $.result.id", shown(id="", email_domain="a.example")),
        ("expected a.example at $.result.email_domain", shown()),
        ("expected a.example at $.result.email_domain", shown(email_domain=None)),
        ("expected a.example at $.result.email_domain", shown(email_domain="a..\ud800é"[:3])),
        ("expected a.example at $.result.email_domain", shown(email_domain="ａ.example")),  # noqa: RUF001 (not the letter that it looks like)
        (
            "the answer shows use_fedramp_language=True",
            shown(email_domain="a.example", use_fedramp_language=True),
        ),
        ("expected object at $.result", None),
        ("expected object at $.result", []),
    ],
)
def test_what_was_created(said: str | None, result: Any) -> None:
    """A connector was created if it has an id, the domain and the values asked for."""
    answer = _wire.read(create("a.example", fedramp=False), success(result))

    def read() -> cfsso.SSOConnector:
        return _wire.read_created(answer, "a.example", {"use_fedramp_language": False})

    if said is None:
        assert result["id"] == read().id
    else:
        assert f"200 from POST {COLLECTION}: {said}" == str(unreadable(read))


def test_a_domain_in_unicode_is_created_as_a_labels() -> None:
    """The two forms of one domain are the same domain."""
    answer = _wire.read(GET, success(shown(email_domain="xn--bcher-kva.example")))

    assert CONNECTOR == _wire.read_created(answer, "Bücher.example", {}).id


@pytest.mark.parametrize("members", [{}, {"result": None}, {"result": {"id": CONNECTOR}}])
def test_what_was_deleted(members: Any) -> None:
    """A delete is confirmed by the id, or by a result that is null or missing."""
    _wire.check_deleted(_wire.read(UPDATE, success(**members)), CONNECTOR)


@pytest.mark.parametrize("result", [{}, {"id": OTHER}, [], [{"id": CONNECTOR}], False, 0], ids=repr)
def test_what_was_perhaps_not_deleted(result: Any) -> None:
    """Any other result of a delete confirms nothing."""
    answer = _wire.read(_wire.build_delete(CONNECTOR, ACCOUNT), success(result))

    error = unreadable(lambda: _wire.check_deleted(answer, CONNECTOR))
    assert f"200 from DELETE {ITEM}: expected id {CONNECTOR} at $.result.id" == str(error)
    assert cfsso.WriteState.UNKNOWN is error.write


def test_warnings_are_errors_and_messages_of_a_success() -> None:
    """Errors do not undo a success; they are warnings, and stand before the messages."""
    answer = _wire.read(UPDATE, success(shown(), errors=["a"], messages=[None, "b"]))

    assert ["a", "b"] == [item.message for item in answer.warnings]
    assert () == _wire.read(UPDATE, respond({"success": True})).warnings


@pytest.mark.parametrize("odd", ["", {}], ids=repr)
def test_an_empty_warning_is_one(odd: Any) -> None:
    """A text or an object where a list belongs is a warning, though nothing is in it."""
    answer = _wire.read(UPDATE, success(shown(), errors=odd, messages=[]))

    assert (cfsso.ResponseInfo(),) == answer.warnings
