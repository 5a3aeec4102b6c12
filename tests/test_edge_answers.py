"""What Cloudflare's edge and proxies say in place of the API, in JSON, and what it is worth."""

import math
import pickle
import re
from typing import Any

import attrs
import pytest
from edges import BLOCKED, LIMITED, answer, edge
from hypothesis import given
from hypothesis import strategies as st
from scripted import ACCOUNT, CONNECTOR, ITEM, RAY, failure, respond

import cfsso
from cfsso import UNSET, WriteState, _wire

READ = _wire.build_list(ACCOUNT)
WRITE = _wire.build_update(CONNECTOR, ACCOUNT, enabled=False, use_fedramp_language=UNSET)
EDGE = "not the API: Cloudflare's edge answered"
OTHER = "not the API: another server answered"
# What the edge refuses by its own rules, and what it can't get of an origin.
REFUSED = [1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1015, 1020, 1106]
FAILED = [500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527]


def error_of(response: cfsso.Response, request: cfsso.Request = WRITE) -> cfsso.CfssoError:
    """Return the error that an answer becomes."""
    with pytest.raises(cfsso.CfssoError) as caught:
        _wire.read(request, response)
    return caught.value


def test_a_block_of_the_edge() -> None:
    """A block (RFC 9457) tells its title, detail, code, page and ray id, and is no API's."""
    error = error_of(answer(403, BLOCKED))

    assert cfsso.PermissionDeniedError is type(error)
    assert str(error) == (
        f"403 from PATCH {ITEM}: {EDGE}: Error 1020: Access denied: The owner of this website"
        f" has configured a rule that denies access, see {BLOCKED['type']}"
    )
    assert (True, "Error 1020: Access denied") == (error.edge, error.title)
    assert BLOCKED["detail"] == error.detail
    assert (False, None, BLOCKED["ray_id"]) == (error.retryable, error.retry_after, error.ray_id)
    assert WriteState.REFUSED is error.write
    (item,) = error.errors
    assert (1020, BLOCKED["detail"]) == (item.code, item.message)
    assert BLOCKED["type"] == item.documentation_url
    unknown = {"instance", "error_name", "error_category", "owner_action_required"}
    assert {name: BLOCKED[name] for name in unknown} == item.extra


def test_a_limit_of_the_edge() -> None:
    """A limit tells for how long, and that it may fare better then."""
    error = error_of(answer(429, LIMITED))

    assert cfsso.RateLimitError is type(error)
    assert (30.0, True, True) == (error.retry_after, error.retryable, error.edge)
    assert [1015] == [item.code for item in error.errors]


@pytest.mark.parametrize("code", REFUSED)
def test_refusals_of_the_edge(code: int) -> None:
    """What the edge refuses with 4xx was not done."""
    error = error_of(edge(403, code))

    assert WriteState.REFUSED is error.write
    assert f"{EDGE}: Error {code}: It failed: What it says of that, see https://" in str(error)


@pytest.mark.parametrize("status", FAILED)
def test_failures_of_the_edge(status: int) -> None:
    """Only where TLS with the origin failed did it surely get nothing."""
    error = error_of(edge(status))

    assert cfsso.InternalServerError is type(error)
    assert [status] == [item.code for item in error.errors]
    assert (WriteState.REFUSED if status in {525, 526} else WriteState.UNKNOWN) is error.write
    assert (False if status in {525, 526} else None) is error.retryable


@pytest.mark.parametrize(
    "response",
    [
        answer(526, b""),
        answer(526, {"title": "No"}),
        edge(526, 1016),
        edge(525, 526),
        edge(530, 526),
    ],
    ids=["empty", "of a proxy", "another code", "another status", "530"],
)
def test_a_526_that_may_have_been_done(response: cfsso.Response) -> None:
    """It takes Cloudflare's own word to know that nothing was sent on."""
    assert WriteState.UNKNOWN is error_of(response).write


@pytest.mark.parametrize("status", [408, 425])
def test_some_refusals_leave_a_doubt(status: int) -> None:
    """What does not say whether it was taken up does not say so for the edge either."""
    assert WriteState.UNKNOWN is error_of(edge(status, 1000)).write


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (
            f"{OTHER}: Blocked: By policy 7",
            {"title": "Blocked", "status": 403, "detail": "By policy 7"},
        ),
        (
            f"{OTHER}: Blocked, see https://proxy.example/7",
            {"title": "Blocked", "type": "https://proxy.example/7"},
        ),
        (f"{OTHER}: Blocked", {"title": "Blocked", "type": "about:blank"}),
        (f"{OTHER}: By policy 7", {"detail": "By policy 7"}),
        (f"{OTHER}: blocked", {"error": "blocked"}),
        (f"{OTHER}: 403 blocked", {"code": 403, "error": "blocked"}),
        (f"{OTHER}: 5 why", {"error": {"code": 5, "message": "why"}}),
        (f"{OTHER}: no Route matched", {"message": "no Route matched"}),
        (f"{OTHER}: denied: for you", {"error_description": "for you", "message": "denied"}),
        (f"{OTHER}: denied", {"errors": [{"message": "denied"}], "success": "no"}),
        (f"{OTHER}: go away", "go <b>away</b>"),
        (f"{OTHER}: a b", {"error": "a <script>x</script> b"}),
        (f"{OTHER}: once", b'\xef\xbb\xbf{"error": "once", "n": 1, "n": 2}'),
        ("no reason given", {}),
        ("expected object at $", []),
        ("expected object at $", 7),
        (EDGE, {"cloudflare_error": True}),
        (f"{EDGE}: 1020", {"cloudflare_error": True, "error_code": 1020}),
        (
            f"{EDGE}: 1020 Denied",
            {"cloudflare_error": True, "error_code": "1020", "title": "Denied"},
        ),
    ],
)
def test_json_that_is_not_the_apis(said: str, body: Any) -> None:
    """What has no envelope of the API is not the API's, and tells what it says."""
    error = error_of(answer(403, body))

    assert f"403 from PATCH {ITEM}: {said}" == str(error)
    assert error.edge


@pytest.mark.parametrize(
    "response",
    [
        failure(403),
        failure(403, {"code": 10000, "message": "Forbidden"}, cf_mitigated="challenge"),
        respond({"success": False, "cloudflare_error": True, "title": "x"}, 403),
        respond({"success": True}, 403),
        respond({"errors": [{"code": 7003, "message": "no route"}]}, 404),
        respond({"code": 9106, "error": "no credentials"}, 400),
        respond({"errors": [{"code": 971, "message": "slower"}]}, 429),
        respond(b"", 403),
        respond(b'{"success": false, "errors": [{"co', 403),
        respond(b'["', 502),
        respond({"success": False}, 526),
        respond(b"\x1f\x8b\x08\0\xff\xfe", 403),
        respond({"result": [], "message": "x"}),
        respond({"result": {"id": CONNECTOR}}),
        respond({}),
        respond([]),
        respond(b"", 204),
        respond(b'{"success": true, "res'),
    ],
    ids=lambda response: f"{response.status} {response.body[:40]!r}",
)
def test_what_may_be_the_apis(response: cfsso.Response) -> None:
    """An envelope is the API's whatever else it has; so may be what was cut off, or is empty."""
    assert not error_of(response).edge


@pytest.mark.parametrize("status", [301, 302, 407, 511, 520, 524, 527, 530])
def test_statuses_of_the_edge(status: int) -> None:
    """Some statuses are not the API's, though nothing else is said."""
    assert error_of(answer(status, b"")).edge
    assert not error_of(failure(status)).edge


@pytest.mark.parametrize("code", [6003, 9106, 10001])
def test_codes_of_others_say_nothing_of_a_token(code: int) -> None:
    """A code of credentials is one only if the API wrote it."""
    assert cfsso.BadRequestError is type(error_of(edge(400, code)))


@pytest.mark.parametrize(
    ("expected", "header", "members"),
    [
        (7.0, "7", {"retry_after": 30}),
        (30.0, "soon", {"retry_after": 30}),
        (30.0, None, {"retry_after": 30}),
        (30.0, None, {"retry_after": "30"}),
        (1.5, None, {"retry_after": 1.5}),
        (0.0, None, {"retry_after": 0}),
        (0.0, None, {"retry_after": -0.0}),
        (999_999.0, None, {"retry_after": 999_999}),
        *(
            (None, None, {"retry_after": odd})
            for odd in (
                None,
                -1,
                1e99,
                10**400,
                True,
                "1e3",
                "-1",
                " 5",
                "٣",
                [5],
                {"s": 5},
                math.nan,
                math.inf,
            )
        ),
    ],
)
@pytest.mark.parametrize("status", [403, 429, 500, 504])
def test_how_long_an_answer_asks_to_wait(
    expected: float | None, header: str | None, members: dict[str, Any], status: int
) -> None:
    """The header counts, then the body; what is no number of seconds is none."""
    response = edge(status, **members)
    if header is not None:
        response = attrs.evolve(response, headers={"retry-after": header})

    found = error_of(response).retry_after

    assert (300.0 if status == 429 and expected is None else expected) == found


def test_a_success_asks_for_no_wait() -> None:
    """What no error status bears is no promise."""
    assert error_of(answer(200, {"retry_after": 30, "message": "x"})).retry_after is None


@pytest.mark.parametrize("odd", ["false", 0, 1, None, [], {}], ids=repr)
def test_an_odd_word_on_trying_again(odd: Any) -> None:
    """Only a boolean says whether to try again."""
    assert error_of(edge(503, retryable=odd)).retryable is None


@pytest.mark.parametrize(
    ("expected", "ray"),
    [
        ("9f03c1d2ab47e6f5-FRA", "9f03c1d2ab47e6f5-FRA"),
        *((None, odd) for odd in (7, "", "<b>", "x" * 65, None, ["x"])),
    ],
)
def test_the_ray_id_of_a_body(expected: str | None, ray: Any) -> None:
    """The body's counts where there is no header, if it is one; the API's, too."""
    assert expected == error_of(edge(403, ray_id=ray)).ray_id
    assert RAY == error_of(attrs.evolve(edge(403, ray_id=ray), headers={"cf-ray": RAY})).ray_id
    assert expected == error_of(answer(403, {"success": False, "ray_id": ray})).ray_id


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text()
    | st.sampled_from(["<b>x</b>", "&lt;i&gt;", "https://a.example/<b>", "x" * 3000, "30", "1020"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = [
    "type",
    "title",
    "status",
    "detail",
    "error_code",
    "ray_id",
    "retry_after",
    "retryable",
    "cloudflare_error",
    "success",
    "errors",
    "messages",
    "error",
    "code",
    "message",
    "result",
    "documentation_url",
    "instance",
]
STATUSES = st.sampled_from([200, 302, 400, 401, 403, 404, 408, 429, 500, 503, 522, 526])


@given(st.dictionaries(st.sampled_from(NAMES), JSON), STATUSES, st.booleans(), st.booleans())
def test_odd_bodies(members: dict[str, Any], status: int, cloudflare: bool, write: bool) -> None:  # noqa: FBT001 - Hypothesis gives them
    """Whatever stands in a body, its error is one of ours, in proper types, without markup."""
    if members.get("success") is True:
        del members["success"]
    if cloudflare:
        members["cloudflare_error"] = True
    error = error_of(answer(status, members), WRITE if write else READ)

    wait = error.retry_after
    assert wait is None or (type(wait) is float and 0 <= wait <= 999_999)
    assert type(error.edge) is bool
    assert error.retryable in {None, True, False}
    assert error.ray_id is None or re.fullmatch(r"[0-9A-Za-z-]{1,64}", error.ray_id)
    assert str(error).isprintable()
    assert not re.search(r"<[a-zA-Z/!?]", f"{error} {error.title} {error.detail}")
    if error.edge:
        assert not any(re.search(r"<[a-zA-Z/!?]", item.message) for item in error.errors)
    restored = pickle.loads(pickle.dumps(error))
    assert (str(error), error.retryable) == (str(restored), restored.retryable)


def test_pages_of_documentation_are_told() -> None:
    """Each item tells its page of documentation, however deep it stands."""
    page = "https://developers.cloudflare.com/api/resources/iam/subresources/sso/"
    inner = {"code": 1, "message": "b", "documentation_url": "https://b.example/1"}
    items = [
        {"code": 10000, "message": "Forbidden.", "documentation_url": page, "error_chain": [inner]},
        {"message": f"see {page} too", "documentation_url": page},
        {"documentation_url": page},
        {"message": "c", "documentation_url": "no page"},
        {"message": "d", "documentation_url": "<b>"},
    ]

    assert str(error_of(failure(403, *items))) == (
        f"403 from PATCH {ITEM}: 10000 Forbidden, see {page} (1 b, see https://b.example/1);"
        f" see {page} too; see {page}; c; d"
    )


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 5000])
def test_much_is_told_in_short(count: int) -> None:
    """Many errors, and long ones, leave room for the code and the page of the first."""
    page = f"https://developers.cloudflare.com/{'p' * 200}/"
    item = {
        "code": 10000,
        "message": "m" * 5000,
        "documentation_url": page,
        "error_chain": ["i" * 999],
    }
    error = error_of(failure(403, *[item] * count))

    assert page in str(error)
    assert ": 10000 mmm" in str(error)
    assert len(str(error)) < 900
    assert (f"and {count - 1:,} more" in str(error)) is (count > 1)


def test_markup_of_the_api_is_not_told() -> None:
    """A line that is shown has no markup, while an item of the API's stays as it is."""
    error = error_of(failure(403, {"code": 1000, "message": "a <b>c</b> &amp; 1 < 2"}))

    assert str(error).endswith(": 1000 a c & 1 < 2")
    assert "a <b>c</b> &amp; 1 < 2" == error.errors[0].message
    error = error_of(respond(b'{"success": true, "result": "<b>'), READ)
    assert str(error).endswith(': "{"success": true, "result": ""')


def test_unknown_members_of_items_are_kept() -> None:
    """What an item has besides stays as it is: in errors, in messages, and in what led to them."""
    more: dict[str, Any] = {"meta": {"a": [1, 2.5, None, True]}, "details": "x", "n": 7}
    chain = [{"code": 2, "message": "inner", **more}]
    item = {
        "code": 1,
        "message": "outer",
        "source": {"pointer": "/a"},
        "error_chain": chain,
        **more,
    }
    response = respond(
        {"success": False, "errors": [item], "messages": [{"message": "m", **more}]}, 400
    )

    error = error_of(response)

    assert more == error.errors[0].extra == error.errors[0].error_chain[0].extra
    assert more == error.messages[0].extra
    assert {} == error_of(failure(400, {"code": 1, "message": "x"})).errors[0].extra


SECRETS = {
    "set-cookie": "a",
    "set-cookie2": "a",
    "Cookie": "a",
    "authorization": "a",
    "Proxy-Authorization": "a",
    "authentication-info": "a",
    "proxy-authentication-info": "a",
}
HEADERS = {"cf-ray": RAY, "x-odd": "1", "www-authenticate": "Basic", "proxy-authenticate": "Basic"}


@pytest.mark.parametrize("status", [200, 302, 403, 429, 526])
def test_an_error_has_its_answer(status: int) -> None:
    """The answer is at hand: its status, its headers but those of credentials, 64 KiB of it."""
    body = b"{" + b"x" * 100_000
    error = error_of(cfsso.Response(status, {**HEADERS, **SECRETS}, body))

    assert error.response is not None
    assert (status, body[:65_536]) == (error.response.status, error.response.body)
    assert HEADERS == error.response.headers
