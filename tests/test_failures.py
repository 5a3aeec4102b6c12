"""Which error an answer becomes, and what it tells."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ACCOUNT, COLLECTION, CONNECTOR, ITEM, RAY, failure, respond

import cfsso
from cfsso import UNSET, _wire

READ = _wire.build_list(ACCOUNT)
WRITE = _wire.build_update(CONNECTOR, ACCOUNT, enabled=False, use_fedramp_language=UNSET)
CHAIN = [{"code": 6111, "message": "b"}, "c"]
OTHER = "not the API: another server answered"
NO = {"code": 1003, "message": "no"}


def error_of(response: cfsso.Response, request: cfsso.Request = WRITE) -> cfsso.APIStatusError:
    """Return the error that an error status becomes."""
    with pytest.raises(cfsso.APIStatusError) as caught:
        _wire.read(request, response)
    return caught.value


KINDS: dict[int, type[cfsso.APIStatusError]] = {
    400: cfsso.BadRequestError,
    401: cfsso.AuthenticationError,
    403: cfsso.PermissionDeniedError,
    404: cfsso.NotFoundError,
    409: cfsso.ConflictError,
    422: cfsso.UnprocessableEntityError,
    429: cfsso.RateLimitError,
}


@pytest.mark.parametrize("status", [*range(100, 200), *range(300, 600)])
def test_every_status_has_its_error(status: int) -> None:
    """The status alone decides the class, and whether a write was surely refused."""
    error = error_of(failure(status, NO))

    other = cfsso.InternalServerError if status >= 500 else cfsso.APIStatusError
    refused = 400 <= status < 500 and status not in {408, 425}
    assert KINDS.get(status, other) is type(error)
    assert (cfsso.WriteState.REFUSED if refused else cfsso.WriteState.UNKNOWN) is error.write
    assert error_of(failure(status, NO), READ).write is None
    assert (status, RAY, WRITE) == (error.status, error.ray_id, error.request)
    assert (cfsso.ResponseInfo(code=1003, message="no"),) == error.errors


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("code", [6003, 9106, 10001, "9106"], ids=repr)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_wrong_credentials_with_another_status(status: int, code: Any, depth: int) -> None:
    """A 400 with a code of credentials, however deep, is about the token; other statuses stay."""
    item: Any = {"code": code, "message": "token"}
    for _ in range(depth):
        item = {"code": 1000, "message": "outer", "error_chain": ["x", item]}

    error = error_of(failure(status, NO, item))

    assert (cfsso.AuthenticationError if status == 400 else KINDS[status]) is type(error)
    assert cfsso.WriteState.REFUSED is error.write


@pytest.mark.parametrize(
    ("said", "response"),
    [
        ("1003 no", failure(400, NO)),
        ("1003 no; late", failure(400, NO, "late")),
        ("6003 a (6111 b; c)", failure(400, {"code": 6003, "message": "a", "error_chain": CHAIN})),
        ("no reason given", failure(400)),
        ("no reason given", respond({"success": False, "errors": None}, 400)),
        ("no reason given", respond({}, 400)),
        ("7", respond({"errors": {"code": 7}}, 400)),
        (f"{OTHER}: text", respond({"errors": "text"}, 400)),
        ("1000 why", respond({"code": 1000, "error": "why"}, 400)),
        (f"{OTHER}: why", respond({"error": "why"}, 400)),
        ("1000 why", respond({"errors": [], "code": "1000", "error": "why"}, 400)),
        (f"{OTHER}: 5 why", respond({"error": {"code": 5, "message": "why"}}, 400)),
        ("no reason given", respond({"error": 7, "code": 8}, 400)),
        ("1003 no", respond({"errors": [NO], "error": "other"}, 400)),
        ("an empty body", respond(b"", 400)),
        ("not the API: Cloudflare's edge answered", respond(b"<html>\n", 400)),
        ("expected object at $", respond([], 400)),
    ],
)  # fmt: skip
def test_what_is_said(said: str, response: cfsso.Response) -> None:
    """The error says what the answer says, in every form that answers have."""
    assert f"400 from PATCH {ITEM}: {said}" == str(error_of(response))


def test_the_short_form_has_a_code() -> None:
    """A code beside a single error classifies like one in a list."""
    error = error_of(respond({"code": 9106, "error": "no credentials"}, 400))

    assert cfsso.AuthenticationError is type(error)
    assert (cfsso.ResponseInfo(code=9106, message="no credentials"),) == error.errors


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirects_are_named(status: int) -> None:
    """A redirect is an error that says where it would have led."""
    error = error_of(failure(status, location="https://evil.example/"))

    text = "a redirect, which is never followed"
    assert f"{status} from PATCH {ITEM}: {text}: https://evil.example/" == str(error)
    assert str(error_of(failure(status))).endswith(f"{text}: no reason given")


def test_a_challenge_is_named() -> None:
    """A challenge page shows as what it is, not as its HTML."""
    page = respond(
        b"<!DOCTYPE html><title>Just a moment...</title>", 403, {"cf-mitigated": "challenge"}
    )

    error = error_of(page, READ)

    assert cfsso.PermissionDeniedError is type(error)
    assert str(error).startswith(
        f"403 from GET {COLLECTION}: stopped by a challenge of Cloudflare's"
    )
    assert "1003 no" == str(error_of(failure(403, NO, cf_mitigated="other")))[-7:]


@pytest.mark.parametrize(
    ("expected", "response"),
    [
        (None, failure(500)),
        (300.0, failure(429)),
        (5.0, failure(503, retry_after="5")),
        (9.0, failure(429, ratelimit='"default";r=0;t=9')),
    ],
)
def test_errors_know_how_long_to_wait(expected: float | None, response: cfsso.Response) -> None:
    """The wait that an answer asks for is on its error."""
    assert expected == error_of(response).retry_after


def test_messages_are_kept() -> None:
    """An error has the answer's messages too."""
    error = error_of(respond({"messages": ["hint"]}, 500))

    assert (cfsso.ResponseInfo(message="hint"),) == error.messages


@given(st.text(max_size=2000), st.text(max_size=100), st.integers(300, 599))
def test_an_error_is_one_safe_line(text: str, location: str, status: int) -> None:
    """Whatever a server writes, its error shows as one short line without control characters."""
    answers = [
        failure(
            status, text, {"code": 1, "message": text, "error_chain": [text]}, location=location
        ),
        respond(text.encode("utf-8", "surrogatepass"), status, {"location": location}),
        respond({"success": True, "result": {"id": text}}),
        respond({"success": True, "result": [{"id": CONNECTOR, text: text}] * 2}),
    ]
    for answer in answers:
        with pytest.raises(cfsso.CfssoError) as caught:
            _wire.read_connector(_wire.read(WRITE, answer), CONNECTOR)

        line = str(caught.value)
        assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in line}
        assert len(line) < 12_000
