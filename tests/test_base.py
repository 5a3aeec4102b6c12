"""The seam's values: what a request may look like, whatever is asked of it."""

from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import yarl
from hypothesis import assume, example, given
from hypothesis import strategies as st

import cfsso

BASE = "https://api.cloudflare.com/client/v4"
PLAIN = "ABCXYZabcxyz0189._~-"

segments = st.text(PLAIN, min_size=1).filter(lambda text: text not in {".", ".."})
plain_paths = st.lists(segments, min_size=1).map(lambda parts: "/" + "/".join(parts))
# What can change where a URL leads, far more often than chance would have it.
crooked_paths = st.lists(
    st.sampled_from([*"/\\.%?#@:;=&[]", *" \t\r\n\0é", "..", "%2e", "%2F", "//", "a", "b1"])
).map("".join)


@given(plain_paths)
def test_plain_paths_are_accepted(path: str) -> None:
    """A path of plain segments is taken as it is."""
    assert path == cfsso.Request("GET", path).path


@given(st.one_of(crooked_paths, crooked_paths.map("/accounts/".__add__), st.text()))
@example("/accounts/../user")
@example("/accounts/%2e%2e/user")
@example("//evil.example/accounts")
@example("/accounts/a\n")
def test_no_accepted_path_leaves_the_base(path: str) -> None:
    """Every accepted path stays below the base URL, on its host, for every parser of URLs."""
    try:
        cfsso.Request("GET", path)
    except cfsso.InvalidRequestError:
        return

    for url in (yarl.URL(BASE + path), yarl.URL(BASE + path, encoded=True)):
        assert "api.cloudflare.com" == url.host
        assert "/client/v4" + path == url.raw_path
        assert ("", "") == (url.query_string, url.fragment)
        assert BASE + path == str(url)
    assert (BASE + path) == urlsplit(BASE + path).geturl()


@given(plain_paths, st.sampled_from(["/", "?a=b", "#a", "/.", "/..", "/%2e", "\n", "//", " "]))
def test_what_ends_a_path_is_refused(path: str, end: str) -> None:
    """Nothing that a URL ends or changes with can be appended."""
    with pytest.raises(cfsso.InvalidRequestError, match="path must be"):
        cfsso.Request("GET", path + end)


@pytest.mark.parametrize(
    "path", ["", "/", "a", "/a b", "/é", "https://evil.example/", None, b"/a", 1], ids=repr
)
def test_other_paths_are_refused(path: Any) -> None:
    """What is no absolute path of plain segments is refused before anything is sent."""
    with pytest.raises(cfsso.InvalidRequestError, match="path must be an absolute path"):
        cfsso.Request("GET", path)


@pytest.mark.parametrize(
    "method",
    ["", "get", "GET ", "GET\n", "GET\r\nX: y", "G3T", "É", "X" * 17, None, b"GET"],
    ids=repr,
)
def test_other_methods_are_refused(method: Any) -> None:
    """A method can't carry anything else into the request."""
    with pytest.raises(cfsso.InvalidRequestError, match="method must be"):
        cfsso.Request(method, "/accounts")


def test_a_refusal_stays_short() -> None:
    """A refusal shows only the beginning of what it refuses."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        cfsso.Request("GET", "x" * 100_000)

    assert len(str(caught.value)) < 150


@given(segments, st.lists(segments).map(lambda parts: "".join(f"/{part}" for part in parts)))
def test_the_account_of_a_request(account_id: str, rest: str) -> None:
    """A request knows the account its path names."""
    assert account_id == cfsso.Request("GET", f"/accounts/{account_id}{rest}").account_id


@given(plain_paths)
@example("/accounts")
@example("/user/tokens/verify")
def test_a_request_without_an_account(path: str) -> None:
    """A request whose path names no account says so with an empty text."""
    assume(not path.startswith("/accounts/"))

    assert "" == cfsso.Request("GET", path).account_id


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "POST"])
def test_what_is_no_get_is_a_write(method: str) -> None:
    """Whether something may have happened is a question for all but GET."""
    assert cfsso.Request(method, "/a").is_write
    assert not cfsso.Request("GET", "/a").is_write


def test_a_request_shows_as_its_first_line() -> None:
    """A request shows as method and path, which hold no secret."""
    request = cfsso.Request("PATCH", "/accounts/a/sso_connectors/b", b'{"enabled":true}')

    assert "PATCH /accounts/a/sso_connectors/b" == str(request)
    assert cfsso.Request("GET", "/a").body is None


def test_a_response_shows_without_its_body() -> None:
    """A response shows no content, which may be long or private."""
    response = cfsso.Response(200, {"cf-ray": "1"}, b"private")

    assert "Response(status=200, headers={'cf-ray': '1'})" == repr(response)


@pytest.mark.parametrize(
    "value",
    [cfsso.Request("GET", "/a"), cfsso.Response(200, {}, b""), cfsso.RateLimit()],
    ids=["Request", "Response", "RateLimit"],
)
def test_values_are_frozen(value: Any) -> None:
    """A value never changes on its way through the transports."""
    name = attrs.fields(type(value))[0].name

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, None)


@pytest.mark.parametrize("body", ["{}", bytearray(b"{}"), {}])
def test_a_body_is_bytes(body: Any) -> None:
    """What is no bytes is refused here, not by whoever sends it."""
    with pytest.raises(cfsso.InvalidRequestError, match="body must be bytes, not"):
        cfsso.Request("POST", "/a", body)


def test_the_write_state_of_a_read() -> None:
    """Nothing is said of a write where there was none."""
    assert None is cfsso.Request("GET", "/a").write_state(cfsso.WriteState.UNKNOWN)
    assert "unknown" == cfsso.Request("PUT", "/a").write_state(cfsso.WriteState.UNKNOWN)


def test_the_rate_limit_is_cloudflares() -> None:
    """Unless told otherwise, a credential keeps to the documented 1,200 in 300 seconds."""
    assert cfsso.RateLimit(requests=1200, seconds=300.0) == cfsso.RateLimit()


@pytest.mark.parametrize("name", ["requests", "seconds"])
@pytest.mark.parametrize(
    "value", [0, -1, 0.0, float("nan"), float("inf"), True, "1", None], ids=repr
)
def test_an_impossible_rate_limit_is_refused(name: str, value: Any) -> None:
    """A limit that would never let anything pass, or everything, is refused."""
    with pytest.raises(cfsso.InvalidRequestError, match=f"{name} must be a (finite|whole) number"):
        cfsso.RateLimit(**{name: value})


@pytest.mark.parametrize(
    ("limit", "reserve"),
    [
        (cfsso.RateLimit(), 60),
        (cfsso.RateLimit(1200, 300), 60),
        (cfsso.RateLimit(10, 60), 0),
        (cfsso.RateLimit(199), 9),
        (cfsso.RateLimit(1), 0),
        (cfsso.RateLimit(1200, 300, 0), 0),
        (cfsso.RateLimit(2, reserve=1), 1),
    ],
    ids=repr,
)
def test_a_twentieth_of_a_limit_is_in_reserve(limit: cfsso.RateLimit, reserve: int) -> None:
    """Unless told otherwise, a twentieth of a limit, rounded down, is kept for what is urgent."""
    assert reserve == limit.reserve


@pytest.mark.parametrize("reserve", [-1, 10, 11, 1.0, True, "1", None], ids=repr)
def test_an_impossible_reserve_is_refused(reserve: Any) -> None:
    """A reserve is a whole number that leaves something to the rest."""
    said = f"reserve must be a whole number from 0 to 9, below requests, not {reserve!r}"
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        cfsso.RateLimit(10, reserve=reserve)
    assert said == str(caught.value)


def test_a_transport_is_what_sends_and_closes() -> None:
    """Anything with the two methods is a transport; no base class is needed."""

    class Own:
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            raise NotImplementedError

        async def aclose(self) -> None:
            raise NotImplementedError

    assert isinstance(Own(), cfsso.Transport)
    assert not isinstance(object(), cfsso.Transport)
