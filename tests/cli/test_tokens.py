"""The token file: one token for all accounts, or one for each."""

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

import cfsso
from cfsso.cli.tokens import read_tokens

A, B = "a" * 32, "B" * 32
CANARY = "canary-token"


def written(tmp_path: Path, content: bytes | str, mode: int = 0o600) -> str:
    """Write a token file and return its path."""
    file = tmp_path / "tokens"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(mode)
    return str(file)


def read(path: str) -> Any:
    """Read a token file of which nobody is warned."""
    return read_tokens(path, pytest.fail)


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\n  "])
def test_a_json_object_maps_accounts_to_tokens(before: bytes, tmp_path: Path) -> None:
    """Each account has a token of its own; a BOM and blanks are fine."""
    tokens = {A: CANARY, B: "another"}

    assert tokens == read(written(tmp_path, before + json.dumps(tokens, indent=1).encode()))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_anything_else_is_one_token(end: str, tmp_path: Path) -> None:
    """It is taken as it stands, but for one line break."""
    assert CANARY == read(written(tmp_path, CANARY + end))


def test_a_large_file_is_read_to_its_end(tmp_path: Path) -> None:
    """Tens of thousands of accounts are no problem."""
    tokens = {f"{number:032d}": CANARY for number in range(2000)}

    assert tokens == read(written(tmp_path, json.dumps(tokens)))


def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    """Whoever keeps many tokens in a file is told to close it."""
    warnings: list[str] = []
    path = written(tmp_path, json.dumps({A: CANARY}), 0o644)

    read_tokens(path, warnings.append)

    assert [f"others can read {path}: chmod 600 it"] == warnings


KEY = "the key must be an account id of 32 letters and digits"
OF_A = f"the token of account {A}"


@pytest.mark.parametrize(
    ("problem", "content"),
    [
        ("no accounts: give a token for each account id", "{}"),
        ("no JSON: Expecting ',' delimiter at line 1, column 42", f'{{"{A}": "x" "{CANARY}"}}'),
        ("no JSON: Extra data at line 2, column 1", f'{{"{A}": "x"}}\n{CANARY}'),
        ("no JSON object of account ids and tokens", "{" + '"":{' * 100_000),
        ("no JSON object of account ids and tokens", f'{{"{A}": {"9" * 5000}}}'),
        ("not UTF-8: save it as UTF-8", b'{"\xff": 1}'),
        (f"member 1: {KEY}", f'{{"{CANARY}": "{A}"}}'),
        (f"member 2: {KEY}", f'{{"{A}": "x", "": "{CANARY}"}}'),
        (f"{OF_A} must be a text", f'{{"{A}": ["{CANARY}"]}}'),
        (f"{OF_A} must be a text", f'{{"{A}": {{"token": "{CANARY}"}}}}'),
        (f"{OF_A} must be a text", f'{{"{A}": null}}'),
        (f"{OF_A} is empty", f'{{"{A}": ""}}'),
        (f"{OF_A} starts with 'Bearer ': give the token alone", f'{{"{A}": "Bearer {CANARY}"}}'),
        (
            f"{OF_A} has a character that no token has (or more than 4096)",
            f'{{"{A}": "{CANARY} "}}',
        ),
        (f"account {A} stands twice", f'{{"{A}": "{CANARY}", "{A}": "{CANARY}"}}'),
    ],
    ids=[*"abcdefghijklmno"],
)
def test_json_that_can_t_be_used_is_refused(
    problem: str, content: bytes | str, tmp_path: Path
) -> None:
    """The file and the account are named, and no token, not even in a frame."""
    path = written(tmp_path, content)

    with pytest.raises(cfsso.InvalidRequestError) as caught:
        read(path)

    assert f"--token-file {path}: {problem}" == str(caught.value)
    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in whole.stack if "cfsso" in frame.filename and frame.locals]
    ours = [frame for frame in frames if frame.filename.endswith("tokens.py")]
    assert ours
    for frame in ours:
        if "tests" not in frame.filename:
            assert CANARY not in str(frame.locals)


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_file_that_can_t_be_read_is_refused(name: str, tmp_path: Path) -> None:
    """It is named with the reason."""
    path = str(tmp_path / name)

    with pytest.raises(cfsso.InvalidRequestError, match=r"^--token-file .*: \w+"):
        read(path)


def test_a_global_key_among_the_tokens_is_warned_of(
    run: Any, cloud: Any, serve: Any, tmp_path: Path
) -> None:
    """All commands take one token for each account, and warn of one that may do everything."""
    other = cloud.emulator.add_account()
    cloud.emulator.add_token("cfk_canary", [cloud.account])
    cloud.emulator.add_token("another", [other])
    path = written(tmp_path, json.dumps({cloud.account: "cfk_canary", other: "another"}))

    ran = run(
        "--base-url", serve(cloud.emulator), "--token-file", path, "list", cloud.account, other
    )

    assert 0 == ran.code
    assert "warning: the token is a Global API Key" in ran.err
    assert "canary" not in ran.err


def test_an_account_without_a_token_is_named(
    run: Any, cloud: Any, serve: Any, tmp_path: Path
) -> None:
    """The one that is missing is named, and no token."""
    other = cloud.emulator.add_account()
    path = written(tmp_path, json.dumps({cloud.account: "a-token"}))

    ran = run(
        "--base-url", serve(cloud.emulator), "--token-file", path, "list", cloud.account, other
    )

    assert 2 == ran.code
    assert f"api_token for account {other} is missing" in ran.err
    assert "a-token" not in ran.err


def test_a_path_that_is_none_is_refused() -> None:
    """It is one line, as of any other file."""
    with pytest.raises(cfsso.InvalidRequestError, match="no name of a file"):
        read("a\0b")


def test_a_warning_comes_once(
    run: Any, cloud: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a command asks for its connectors, it warns of a key once."""
    url = serve(cloud.emulator)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "cfk_canary")
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")

    ran = run("--base-url", url, "apply", file, "--yes")

    assert 0 == ran.code
    assert 1 == ran.err.count("warning: the token is a Global API Key")
