"""What may be asked for, and how the rest is refused."""

from typing import Any

import pytest
import yarl
from hypothesis import example, given
from hypothesis import strategies as st
from scripted import ACCOUNT, CONNECTOR, DOMAIN, OPERATIONS, READS, Scripted, success

import cfsso
from cfsso import _checks

pytestmark = pytest.mark.virtual_time

BASE = "https://api.cloudflare.com/client/v4"
NOT_SENT = cfsso.WriteState.NOT_SENT

every_operation = pytest.mark.parametrize("operation", OPERATIONS)
letters = st.sampled_from("0aZ/\\.%?#@:; \t\r\n\0é٣\u017f\u212a")
hostile = st.text(letters, min_size=30, max_size=34)
ids = st.one_of(
    st.text(), hostile, st.from_regex(r"[0-9A-Za-z]{32}", fullmatch=True), st.just(ACCOUNT)
)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("not 0 characters", ""),
        ("not 31 characters", "a" * 31),
        ("not 33 characters", "a" * 33),
        ("not 33 characters", "a" * 32 + "\n"),
        ("character 1 is '-'", "-" + "a" * 31),
        ("character 32 is '\\n'", "a" * 31 + "\n"),
        ("character 5 is '/'", "aaaa/" + "a" * 27),
        ("character 2 is '.'", "a..a" + "a" * 28),
        ("character 3 is '%'", "aa%2e" + "a" * 27),
        ("character 4 is '\\u0663'", "aaa\u0663" + "a" * 28),
        ("character 6 is '\\u212a'", "aaaaa\N{KELVIN SIGN}" + "a" * 26),
        ("character 7 is '\\ud800'", "aaaaaa\ud800" + "a" * 25),
        ("not int", 7),
        ("not bytes", b"a" * 32),
        ("not NoneType", None),
        ("not Unset", cfsso.UNSET),
    ],
)
@pytest.mark.parametrize(
    ("name", "operation"),
    [("account_id", name) for name in OPERATIONS]
    + [("sso_connector_id", name) for name in OPERATIONS if name not in {"list", "create"}],
)
async def test_wrong_ids_are_refused(name: str, operation: str, value: Any, said: str) -> None:
    """A wrong id is refused with its name and the reason, and nothing is sent."""
    transport = Scripted(success())
    account, connector = (value, CONNECTOR) if name == "account_id" else (ACCOUNT, value)

    with pytest.raises(cfsso.InvalidRequestError) as caught:
        await OPERATIONS[operation](cfsso.AsyncSSOConnectors(transport), connector, account)

    assert str(caught.value).startswith(f"{name} must be ")
    assert said in str(caught.value)
    assert (None if operation in READS else NOT_SENT) is caught.value.write
    assert [] == transport.requests


def test_a_subclass_of_str_is_no_id() -> None:
    """A text that may behave like another one is no id."""

    class Sly(str):
        __slots__ = ()

    with pytest.raises(cfsso.InvalidRequestError, match="not Sly"):
        _checks.identifier("account_id", Sly(ACCOUNT), None)


@pytest.mark.parametrize("value", [ACCOUNT, ACCOUNT.upper(), "Z" * 32], ids=str)
def test_ids_are_taken_as_they_are(value: str) -> None:
    """An id of 32 letters and digits is not changed in any way."""
    assert value == _checks.identifier("account_id", value, None)


@every_operation
@given(account=ids, connector=ids)
@example(account="../../user/tokens/verify".ljust(32, "x"), connector=CONNECTOR)
async def test_no_id_changes_where_a_request_goes(
    operation: str, account: str, connector: str
) -> None:
    """Whatever is given as an id, a request goes to the host and the depth it should."""
    transport = Scripted(success([]))
    try:
        await OPERATIONS[operation](cfsso.AsyncSSOConnectors(transport), connector, account)
    except cfsso.InvalidRequestError:
        assert [] == transport.requests
    except cfsso.CfssoError:
        assert transport.requests

    for request in transport.requests:
        url = yarl.URL(BASE + request.path, encoded=True)
        tail = [] if operation in {"list", "create"} or len(url.parts) == 6 else [connector]
        tail += ["begin_verification"] if operation == "begin_verification" else []
        assert "api.cloudflare.com" == url.host
        assert ["/", "client", "v4", "accounts", account, "sso_connectors", *tail] == [*url.parts]
        assert ("", "", None) == (url.query_string, url.fragment, url.user)
        assert yarl.URL(BASE + request.path) == url


@pytest.mark.parametrize("value", [None, 0, 1, "true", "false", 1.0, [], (True,)], ids=repr)
@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("create", "begin_verification"),
        ("create", "use_fedramp_language"),
        ("update", "enabled"),
        ("update", "use_fedramp_language"),
    ],
)
async def test_only_bools_are_bools(operation: str, name: str, value: Any) -> None:
    """What is neither True nor False is refused by name, and nothing is sent."""
    transport = Scripted(success())
    connectors: Any = cfsso.AsyncSSOConnectors(transport)
    arguments = {"account_id": ACCOUNT, name: value}
    if operation == "create":
        call = connectors.create(email_domain=DOMAIN, **arguments)
    else:
        call = connectors.update(CONNECTOR, **arguments)

    with pytest.raises(cfsso.InvalidRequestError) as caught:
        await call

    assert f"{name} must be True or False, not {type(value).__name__}" == str(caught.value)
    assert NOT_SENT is caught.value.write
    assert [] == transport.requests


@pytest.mark.parametrize(
    "domain",
    [
        "example.com",
        "EXAMPLE.Com",
        "a.b",
        "1.example",
        "xn--bcher-kva.example",
        "bücher.example",
        "例え.jp",
        "a-b.c-d.example",
        f"{'a' * 63}.example",
        ".".join(["a" * 61] * 4) + ".abcde",
    ],
)
def test_domains(domain: str) -> None:
    """A name with a top level is a domain, in Unicode or as A-labels, up to 253 bytes."""
    assert _checks.domain_problem(domain) is None


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "example",
        "example.com.",
        ".example.com",
        "a..example",
        "user@example.com",
        "a＠b.example",  # noqa: RUF001 (it becomes a plain @)
        "https://example.com",
        "example.com/x",
        "exa mple.com",
        "example.com\n",
        "-a.example",
        "a-.example",
        "a_b.example",
        "192.0.2.1",
        "ex\u00adample.com",
        "straße.de",
        "\u212aelvin.example",
        "xn--zzzzzz.é.example",
        "example.1",
        "*.example.com",
        f"{'a' * 64}.example",
        f"{'é' * 64}.example",
        "é..example",
        "a\ud800.example",
        ".".join(["a" * 61] * 4) + ".abcdef",
        "é" + "a." * 200 + "com",
        None,
        b"example.com",
        7,
    ],
    ids=ascii,
)
async def test_what_is_no_domain_is_refused(domain: Any) -> None:
    """What can't be a domain is refused in a short line, and nothing is sent."""
    transport = Scripted(success())

    with pytest.raises(cfsso.InvalidRequestError, match=r"^email_domain must be") as caught:
        await cfsso.AsyncSSOConnectors(transport).create(account_id=ACCOUNT, email_domain=domain)

    assert len(str(caught.value)) < 200
    assert NOT_SENT is caught.value.write
    assert [] == transport.requests


@given(st.text())
def test_any_text_is_a_domain_or_has_a_problem(text: str) -> None:
    """No text makes the check itself fail; what passes is short ASCII once encoded."""
    if _checks.domain_problem(text) is None:
        form = _checks.ascii_form(text)
        assert form is not None
        assert form.isascii()
        assert len(form) <= 253


SAME = [
    ("example.com", "EXAMPLE.com"),
    ("example.com", "example.com."),
    ("bücher.example", "xn--bcher-kva.example"),
    ("BÜCHER.example", "XN--BCHER-KVA.Example."),
    ("straße.example", "xn--strae-oqa.example"),
    ("STRAẞE.example", "straße.example"),
    ("ΟΔΟΣ.example", "οδοσ.example"),
    ("a b.example", "A B.example"),
    ("\ud800É.example", "\ud800é.example"),
    ("é" * 300, "É" * 300),
]
# Pairs that IDNA 2003 takes for one.
OTHERS = [
    ("strasse.example", "straße.example"),
    ("strasse.example", "xn--strae-oqa.example"),
    ("kelvin.example", "\N{KELVIN SIGN}elvin.example"),
    ("οδος.example", "οδοσ.example"),
    ("example.com", "ex\u00adample.com"),
    ("example.com", "example\N{IDEOGRAPHIC FULL STOP}com"),
    ("example.com", "ｅxample.com"),  # noqa: RUF001 (it is not the letter that it looks like)
    ("office.example", "o\N{LATIN SMALL LIGATURE FFI}ce.example"),
    ("abc.example", "xn--abc-.example"),
    ("istanbul.example", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}stanbul.example"),
    ("", ""),
    (None, None),
    (None, "none"),
    (".", ""),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=ascii)
def test_spellings_of_one_domain(one: str, other: str) -> None:
    """Case, A-labels and a dot at the end make no other domain."""
    assert _checks.same_domain(one, other)
    assert _checks.same_domain(other, one)


@pytest.mark.parametrize(("one", "other"), OTHERS, ids=ascii)
def test_what_only_looks_like_a_domain_is_another_one(one: str | None, other: str | None) -> None:
    """No letter is taken for another one, whatever IDNA 2003 says."""
    assert not _checks.same_domain(one, other)
    assert not _checks.same_domain(other, one)


@given(st.text(), st.text())
def test_any_text_can_be_compared(one: str, other: str) -> None:
    """No text makes the comparison fail, and equal ones are the same."""
    assert bool(one) is _checks.same_domain(one, one)
    assert _checks.same_domain(one, other) is _checks.same_domain(other, one)
