"""Tokens: where they come from, what is refused, and that nothing shows them."""

import copy
import hashlib
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from scripted import ACCOUNT, OTHER

import cfsso
from cfsso.transports.credentials import Credentials, Secret

TOKEN = "canary-5f2e9c-not-a-real-token"
Source = str | Mapping[str, str] | Callable[[str], Any]


async def give(_account_id: str) -> str:
    """Give the token after a while."""
    return TOKEN


def fail(_account_id: str) -> str:
    """Have no token."""
    raise LookupError(TOKEN)


def refusal(credentials: Credentials) -> str:
    """Return why *credentials* are refused."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        credentials.check()
    return str(caught.value)


def test_a_secret_is_told_on_request_only() -> None:
    """A secret shows its text to no way of printing."""
    secret = Secret(TOKEN)

    assert TOKEN == secret.reveal()
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>99}", f"{secret!r}"):
        assert "Secret(***)" == text


ENV = "is a line of a .env file: give the value alone, without name, = and quotes"
QUOTED = "stands in quotes: give the token without them"
REFERENCE = "is a reference or a placeholder: give the token itself, as its tool prints it"
LINES = "has several lines: give the token alone, on one line"
IN_DISGUISE = [
    (ENV, f"CLOUDFLARE_API_TOKEN={TOKEN}"),
    (ENV, f"export CLOUDFLARE_API_TOKEN={TOKEN}\n"),
    (ENV, f'CLOUDFLARE_API_TOKEN="{TOKEN}"'),
    (ENV, f"CLOUDFLARE_API_TOKEN = {TOKEN}"),
    (ENV, f"token='{TOKEN}'"),
    (ENV, f'$env:CLOUDFLARE_API_TOKEN = "{TOKEN}"'),
    (QUOTED, f'"{TOKEN}"'),
    (QUOTED, f"'{TOKEN}'"),
    (QUOTED, f'{TOKEN}"'),
    (REFERENCE, "op://vault/item/field"),
    (REFERENCE, "vault:secret/data/cloudflare#token"),
    (REFERENCE, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cloudflare"),
    (REFERENCE, "$CLOUDFLARE_API_TOKEN"),
    (REFERENCE, "${CLOUDFLARE_API_TOKEN}"),
    (REFERENCE, "{{secrets.token}}"),
    (REFERENCE, "<token>"),
    (LINES, f"{TOKEN}\n\n"),
    (LINES, f"# mine\n{TOKEN}\n"),
    (LINES, f"CLOUDFLARE_API_TOKEN={TOKEN}\nOTHER=x\n"),
]


@pytest.mark.parametrize(("said", "text"), IN_DISGUISE)
async def test_what_stands_in_a_token_s_place_is_refused(
    said: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of files, quotes and references are no tokens, wherever they stand; none is shown."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", text)

    assert f"api_token {said}" == refusal(Credentials(text))
    assert f"CLOUDFLARE_API_TOKEN {said}" == refusal(Credentials.from_environment())
    for source in ({ACCOUNT: text}, lambda _account_id: text):
        with pytest.raises(cfsso.InvalidRequestError) as caught:
            await Credentials(source).secret(ACCOUNT)
        assert f"api_token for account {ACCOUNT} {said}" == str(caught.value)


@pytest.mark.parametrize("text", ["abc", "a.b-c_d~e+f/g", "YWJj=", "YWJjZA==", "cfat_x-0"])
def test_what_a_token_may_be(text: str) -> None:
    """Whatever RFC 6750 calls a token is taken for one."""
    Credentials(text).check()


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_copied(way: Callable[[Any], Any]) -> None:
    """A secret gets into no pickle and no copy."""
    with pytest.raises(TypeError, match="can't be pickled or copied"):
        way(Secret(TOKEN))


@pytest.mark.parametrize("way", [hash, iter, len, vars], ids=lambda way: way.__name__)
def test_a_secret_has_no_other_face(way: Callable[[Any], Any]) -> None:
    """A secret has no hash, no length, no items and no attributes."""
    with pytest.raises(TypeError):
        way(Secret(TOKEN))


@pytest.mark.parametrize(
    ("expected", "other"),
    [
        (True, Secret(TOKEN)),
        (False, Secret("other")),
        (False, Secret("é\ud800")),
        (False, TOKEN),
        (False, None),
    ],
    ids=["same", "other", "no-utf8", "str", "None"],
)
def test_secrets_compare(expected: bool, other: Any) -> None:  # noqa: FBT001 (a table)
    """A secret equals another of the same text, and nothing else."""
    assert expected is (Secret(TOKEN) == other)
    assert expected is (other == Secret(TOKEN))


@pytest.mark.parametrize(
    "source",
    [
        TOKEN,
        TOKEN + "\n",
        TOKEN + "\r\n",
        {ACCOUNT: TOKEN},
        {ACCOUNT: TOKEN + "\n", OTHER: "x"},
        lambda account_id: {ACCOUNT: TOKEN}[account_id],
        give,
        {ACCOUNT: TOKEN}.__getitem__,
    ],
    ids=["str", "newline", "crlf", "mapping", "mapping-newline", "callable", "async", "method"],
)
async def test_sources(source: Source) -> None:
    """A token comes from a text, a mapping or a callable, less one newline at its end."""
    credentials = Credentials(source)

    credentials.check()
    assert Secret(TOKEN) == await credentials.secret(ACCOUNT)
    assert credentials is Credentials.of(credentials)
    assert Secret(TOKEN) == await Credentials.of(source).secret(ACCOUNT)
    assert TOKEN not in repr(credentials)


async def test_tokens_are_asked_for_anew() -> None:
    """A callable is asked each time, so that a token can be replaced in a run."""
    tokens = iter(["first", "second"])
    credentials = Credentials(lambda _account_id: next(tokens))

    assert Secret("first") == await credentials.secret(ACCOUNT)
    assert Secret("second") == await credentials.secret(ACCOUNT)


ODD = "has a character that no token has (or more than 4096)"
BAD_TOKENS: dict[str, tuple[str, Any]] = {
    "empty": ("is empty", ""),
    "newline": ("is empty", "\n"),
    "bearer": ("starts with 'Bearer ': give the token alone", f"Bearer {TOKEN}"),
    "BEARER": ("starts with 'Bearer ': give the token alone", f"BEARER {TOKEN}"),
    "space": (ODD, f" {TOKEN}"),
    "two newlines": (LINES, f"{TOKEN}\n\n"),
    "header": (LINES, f"{TOKEN}\r\nX-Auth-Key: a"),
    "nul": (ODD, f"{TOKEN}\0"),
    "accent": (ODD, f"{TOKEN}é"),
    "bom": (ODD, f"\N{ZERO WIDTH NO-BREAK SPACE}{TOKEN}"),
    "surrogate": (ODD, f"{TOKEN}\ud800"),
    "long": (ODD, TOKEN * 200),
}
bad_tokens = pytest.mark.parametrize(("said", "token"), BAD_TOKENS.values(), ids=BAD_TOKENS)


@bad_tokens
def test_what_is_no_token(said: str, token: str) -> None:
    """What can't be a token is refused with the reason, and not repeated."""
    assert f"api_token {said}" == refusal(Credentials(token))


@bad_tokens
@pytest.mark.parametrize(
    "kind",
    [lambda t: {ACCOUNT: t}, lambda t: lambda _account_id: t],
    ids=["mapping", "callable"],
)
async def test_what_is_no_token_of_an_account(said: str, token: Any, kind: Any) -> None:
    """A wrong token of one account is refused by that account's id, and not repeated."""
    credentials = Credentials(kind(token))

    credentials.check()
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        await credentials.secret(ACCOUNT)
    assert f"api_token for account {ACCOUNT} {said}" == str(caught.value)


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("is missing: add it to the mapping", {}),
        ("is missing: add it to the mapping", {OTHER: TOKEN}),
        ("must be a str, not NoneType", {ACCOUNT: None}),
        ("must be a str, not bytes", lambda _account_id: TOKEN.encode()),
        ("must be a str, not Secret", lambda _account_id: Secret(TOKEN)),
        ("could not be had: LookupError", fail),
        ("could not be had: TypeError", lambda: TOKEN),
    ],
)
async def test_an_account_without_a_token(said: str, source: Any) -> None:
    """An account whose token can't be had is named, with the reason."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        await Credentials(source).secret(ACCOUNT)

    assert f"api_token for account {ACCOUNT} {said}" == str(caught.value)
    assert ("could not" in said) is (caught.value.__cause__ is not None)


async def test_a_request_without_an_account() -> None:
    """A request that names no account is told apart."""
    with pytest.raises(cfsso.InvalidRequestError, match=r"^api_token for account \(none\) is miss"):
        await Credentials({}).secret("")


@pytest.mark.parametrize("source", [None, 7, TOKEN.encode(), [TOKEN]], ids=["None", "7", "b", "l"])
def test_what_is_no_source(source: Any) -> None:
    """What can hold no token is refused by its type."""
    expected = (
        "api_token must be a token, or a mapping or callable from account id to token,"
        f" not {type(source).__name__}"
    )
    assert expected == refusal(Credentials(source))


async def test_keys() -> None:
    """A key tells tokens apart and nothing else: it is neither the token nor a hash of it."""
    one = Credentials(TOKEN)
    by_account = Credentials({ACCOUNT: TOKEN + "\n", OTHER: "other"})
    key = await one.key(ACCOUNT)

    assert [key] * 3 == [await one.key(OTHER), await one.key(""), await by_account.key(ACCOUNT)]
    assert key != await by_account.key(OTHER)
    assert TOKEN.encode() not in key
    plain = [hashlib.new(name, TOKEN.encode()) for name in ("sha256", "sha512", "blake2b")]
    assert key not in [found.digest() for found in plain]
    with pytest.raises(cfsso.InvalidRequestError, match="is missing"):
        await by_account.key("f" * 32)


async def test_keys_hold_in_one_process() -> None:
    """Another process has another key for the same token."""
    code = (
        "import asyncio; from cfsso.transports.credentials import Credentials;"
        f" print(asyncio.run(Credentials({TOKEN!r}).key('')).hex())"
    )
    keys = {
        subprocess.run(  # noqa: S603, ASYNC221 - our own code, and nobody waits
            [sys.executable, "-c", code], capture_output=True, check=True, text=True
        ).stdout.strip()
        for _ in range(2)
    }
    assert 3 == len({*keys, (await Credentials(TOKEN).key("")).hex()})


SOURCES: dict[str, Source] = {
    "str": TOKEN,
    "newline": TOKEN + "\r\n",
    "mapping": {ACCOUNT: TOKEN},
    "callable": lambda _account_id: TOKEN,
    "async": give,
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
async def test_one_token_has_one_key(source: Source) -> None:
    """Wherever a token comes from, and for whichever account, its key is the same."""
    assert await Credentials(TOKEN).key(OTHER) == await Credentials(source).key(ACCOUNT)


@pytest.mark.parametrize("other", ["x", TOKEN.upper(), TOKEN + "x", "x" + TOKEN, TOKEN[:-1]])
async def test_another_token_has_another_key(other: str) -> None:
    """Two tokens never share a key, be they of one client or of two."""
    credentials = Credentials({ACCOUNT: TOKEN, OTHER: other})

    assert await credentials.key(ACCOUNT) != await credentials.key(OTHER)
    assert await credentials.key(OTHER) == await Credentials(other).key("")


async def test_a_replaced_token_has_another_key() -> None:
    """A callable is asked for each key, so a token that was replaced counts by itself."""
    tokens = iter([TOKEN, "second", TOKEN])
    credentials = Credentials(lambda _account_id: next(tokens))
    keys = [await credentials.key(ACCOUNT) for _ in range(3)]

    assert [True, False] == [keys[0] == keys[2], keys[0] == keys[1]]


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("is missing: add it to the mapping", {OTHER: TOKEN}),
        ("must be a str, not NoneType", {ACCOUNT: None}),
        ("could not be had: LookupError", fail),
        (ODD, lambda _account_id: f"{TOKEN}\ud800"),
    ],
    ids=["missing", "None", "fails", "surrogate"],
)
async def test_no_token_has_no_key(said: str, source: Any) -> None:
    """An account whose token can't be had has no key, for the same reason."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        await Credentials(source).key(ACCOUNT)

    assert f"api_token for account {ACCOUNT} {said}" == str(caught.value)
    assert TOKEN not in str(caught.value)


def test_reprs() -> None:
    """Credentials show what kind they are."""
    assert "Credentials(***)" == repr(Credentials(TOKEN))
    assert "Credentials(by account)" == repr(Credentials({ACCOUNT: TOKEN}))


def test_a_key_that_may_do_everything() -> None:
    """A Global API Key is taken, with a warning that does not show it."""
    with pytest.warns(UserWarning, match="Global API Key") as caught:
        Credentials("cfk_" + TOKEN).check()

    assert TOKEN not in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Credentials("cfut_" + TOKEN).check()


NAMES = ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CF_API_TOKEN"]
AMBIGUOUS = (
    "ambiguous credentials: CLOUDFLARE_API_TOKEN and {0} are set; unset {0}, only a token is used"
)
NO_TOKEN = "no token: set CLOUDFLARE_API_TOKEN or pass api_token"


@pytest.mark.parametrize(
    ("said", "values"),
    [
        (NO_TOKEN, {}),
        (NO_TOKEN, {"CLOUDFLARE_API_TOKEN": ""}),
        (NO_TOKEN, {"CLOUDFLARE_API_KEY": "k", "CLOUDFLARE_EMAIL": "e"}),
        (f"{NO_TOKEN} (CF_API_TOKEN is set, but not read)", {"CF_API_TOKEN": TOKEN}),
        (
            AMBIGUOUS.format("CLOUDFLARE_EMAIL"),
            {"CLOUDFLARE_API_TOKEN": TOKEN, "CLOUDFLARE_EMAIL": "e"},
        ),
        (
            AMBIGUOUS.format("CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY"),
            {"CLOUDFLARE_API_TOKEN": TOKEN, "CLOUDFLARE_EMAIL": "e", "CLOUDFLARE_API_KEY": "k"},
        ),
        (f"CLOUDFLARE_API_TOKEN {ODD}", {"CLOUDFLARE_API_TOKEN": f"{TOKEN} x"}),
    ],
)
def test_environments_that_are_refused(
    said: str, values: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment without a token, or with two kinds of credentials, is refused."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    assert said == refusal(Credentials.from_environment())


@pytest.mark.parametrize("also", [{}, {"CF_API_TOKEN": "x"}, {"CLOUDFLARE_EMAIL": ""}], ids=str)
async def test_an_environment_with_a_token(
    also: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLOUDFLARE_API_TOKEN is the one variable that is read."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"CLOUDFLARE_API_TOKEN": TOKEN, **also}.items():
        monkeypatch.setenv(name, value)

    credentials = Credentials.from_environment()

    credentials.check()
    assert Secret(TOKEN) == await credentials.secret(ACCOUNT)
