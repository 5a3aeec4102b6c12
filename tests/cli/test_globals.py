"""The global options, the token and the proxy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cfsso
from cfsso.cli.proxies import proxy_for

ACCOUNT = "a" * 32


def test_global_options_stand_before_or_after_the_command(run: Any, cloud: Any) -> None:
    """Each global option means the same on both sides of the command's name."""
    connector = cloud.add()

    before = run("--json", "--emulate", cloud.state, "get", cloud.account, connector)
    after = run("get", cloud.account, connector, "--emulate", cloud.state, "--json")
    around = run("--json", "get", cloud.account, connector, "--emulate", cloud.state)

    assert 0 == before.code
    assert before == after == around
    assert connector == before.records[0]["id"]


def test_an_emulated_and_a_named_cloud_exclude_each_other(run: Any, cloud: Any) -> None:
    """There is one place to send requests to, or exit 2."""
    ran = run("list", ACCOUNT, "--emulate", cloud.state, "--base-url", "https://example.com")

    assert (2, "cfsso: --emulate and --base-url exclude each other: see cfsso list --help\n") == (
        ran.code,
        ran.err,
    )


def test_the_state_file_is_only_read(run: Any, cloud: Any) -> None:
    """`--emulate` leaves its file as it is, whatever was written to the emulator."""
    connector = cloud.add()
    before = cloud.path.read_bytes()

    ran = run("enable", cloud.account, connector, "--yes", "--emulate", cloud.state)

    assert 0 == ran.code
    assert before == cloud.path.read_bytes()


@pytest.mark.parametrize("content", [None, "{", '{"accounts": []}'])
def test_a_state_file_that_is_none_is_refused(
    content: str | None, run: Any, tmp_path: Path
) -> None:
    """A missing or wrong state file is one line and exit 2."""
    file = tmp_path / "state.json"
    if content is not None:
        file.write_text(content)

    ran = run("list", ACCOUNT, "--emulate", str(file))

    assert 2 == ran.code
    assert ran.err.startswith(f"cfsso: {file}: ")
    assert 1 == ran.err.count("\n")


def test_without_a_token_both_ways_to_give_one_are_named(run: Any) -> None:
    """No token is one line that names the variable and the option, and exit 2."""
    ran = run("list", ACCOUNT)

    assert (
        2,
        "",
        "cfsso: no token: set CLOUDFLARE_API_TOKEN or give --token-file FILE\n",
    ) == (ran.code, ran.out, ran.err)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch, cloud: Any) -> list[dict[str, Any]]:
    """Return the arguments of each `connect`, which leads to the cloud."""
    calls: list[dict[str, Any]] = []

    def connect(**options: Any) -> cfsso.AsyncSSOConnectors:
        calls.append(options)
        return cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud.emulator))

    monkeypatch.setattr("cfsso.connect", connect)
    return calls


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_token_file_may_end_in_one_line_break(
    end: str, run: Any, cloud: Any, tmp_path: Path, connected: list[dict[str, Any]]
) -> None:
    """The token is the file without its last line break."""
    file = tmp_path / "token"
    file.write_bytes(b"canary-token" + end.encode())
    file.chmod(0o600)

    ran = run("list", cloud.account, "--token-file", str(file))

    assert 0 == ran.code
    assert ["canary-token"] == [call["api_token"].only_secret.reveal() for call in connected]
    assert "warning" not in ran.err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "--token-file {}: No such file or directory"),
        ("", "the token in {} is empty"),
        ("Bearer canary-token", "the token in {} starts with 'Bearer ': give the token alone"),
        (
            "canary\ntoken",
            "the token in {} has several lines: give the token alone, on one line",
        ),
        (
            "CLOUDFLARE_API_TOKEN=canary-token\n",
            "the token in {} is a line of a .env file: give the value alone,"  # noqa: ISC004
            " without name, = and quotes",
        ),
        ('"canary-token"\n', "the token in {} stands in quotes: give the token without them"),
        (
            "op://vault/item/canary-token\n",
            "the token in {} is a reference or a placeholder: give the token itself,"  # noqa: ISC004
            " as its tool prints it",
        ),
    ],
)
def test_a_token_file_that_holds_no_token_is_refused(
    content: str | None, problem: str, run: Any, tmp_path: Path
) -> None:
    """What can't be a token is named by its file, never shown, and exit 2."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
        file.chmod(0o600)

    ran = run("list", ACCOUNT, "--token-file", str(file))

    assert (2, "", f"cfsso: {problem.format(file)}\n") == (ran.code, ran.out, ran.err)


@pytest.mark.usefixtures("at_terminal")
def test_a_token_file_that_others_can_read_is_warned_of_once(
    run: Any, cloud: Any, tmp_path: Path, connected: list[dict[str, Any]]
) -> None:
    """A warning names the file and the remedy, once a command however often it is read."""
    file = tmp_path / "token"
    file.write_text("canary-token")
    file.chmod(0o644)
    connector = cloud.add()

    ran = run("enable", cloud.account, connector, "--token-file", str(file), answer="y\n")

    assert 0 == ran.code
    assert 2 == len(connected)
    assert 1 == ran.err.count(f"cfsso: warning: others can read {file}: chmod 600 it\n")


def test_a_global_key_is_warned_of_in_one_line(
    run: Any, cloud: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that may do everything gives one line, without Python's own decoration."""
    url = serve(cloud.emulator)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "cfk_canary")
    monkeypatch.setenv("NO_PROXY", "*")

    ran = run("get", cloud.account, cloud.add(), "--base-url", url)

    assert (0, 1) == (ran.code, ran.err.count("\n"))
    assert ran.err.startswith("cfsso: warning: the token is a Global API Key")
    assert "canary" not in ran.err


def test_what_the_library_logs_is_a_line(
    run: Any, cloud: Any, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """A list that leaves something out says so on stderr."""
    hooked(lambda _: answer(200, success=True, result=[], result_info={"total_count": 3}))

    ran = run("list", cloud.account)

    assert 0 == ran.code
    assert "left out 3 connectors" in ran.err.splitlines()[0]
    assert ran.err.startswith("cfsso: warning: ")


@pytest.mark.parametrize(
    ("environment", "base_url", "expected"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, None, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, None, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "cloudflare.com"}, None, None),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "example.com"}, None, "http://p"),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "example.com"}, "https://example.com/v4", None),
        ({"HTTPS_PROXY": "http://p"}, "http://127.0.0.1:8080", None),
        ({"HTTPS_PROXY": "http://p"}, "https://[", None),
    ],
)
def test_the_proxy_of_the_environment(
    environment: dict[str, str],
    base_url: str | None,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HTTPS_PROXY is used for https unless NO_PROXY excepts the host."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert expected == proxy_for(base_url)


def test_the_proxy_is_handed_to_connect(
    run: Any, cloud: Any, connected: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token file the library reads the environment, and gets the proxy from here."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")

    assert 0 == run("list", cloud.account).code
    assert [
        {"api_token": None, "base_url": None, "proxy": "http://proxy:3128", "max_wait": None}
    ] == connected


def test_the_longest_wait_is_handed_to_connect(
    run: Any, cloud: Any, connected: list[dict[str, Any]], tmp_path: Path
) -> None:
    """`--max-wait` bounds each call, wherever it stands and wherever the token comes from."""
    file = tmp_path / "token"
    file.write_text("canary")
    file.chmod(0o600)

    run("--max-wait", "2.5", "list", cloud.account)
    run("list", cloud.account, "--max-wait", "0", "--token-file", str(file))

    assert [2.5, 0.0] == [call["max_wait"] for call in connected]


def test_records_are_ascii(run: Any, cloud: Any) -> None:
    """JSON Lines hold no byte that a terminal or a log could stumble over."""
    connector = cloud.add(email_domain="b\x1b\u202eücher.example")

    ran = run("--emulate", cloud.state, "--json", "get", cloud.account, connector)

    assert ran.out.isascii()
    assert "\x1b" not in ran.out
    assert "b\x1b\u202eücher.example" == json.loads(ran.out)["email_domain"]


def test_records_have_the_names_of_the_api(run: Any, cloud: Any) -> None:
    """A listed connector has its ids, a status, and every field of the API."""
    connector = cloud.add("pending")
    shown = json.loads(cloud.path.read_bytes())["accounts"][cloud.account]["connectors"][0]

    ran = run("--emulate", cloud.state, "--json", "list", cloud.account)

    (record,) = ran.records
    for name in ("created_on", "updated_on"):
        # The API writes four digits of a second, Python six.
        assert record.pop(name).startswith(shown.pop(name).removesuffix("Z"))
    assert {
        **shown,
        "account_id": cloud.account,
        "sso_connector_id": connector,
        "status": "unchanged",
    } == record
