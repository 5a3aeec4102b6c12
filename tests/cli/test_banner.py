"""It is said whenever it is not Cloudflare that a command reaches."""

import signal
from typing import Any

import banners
import pytest

EMULATED = "EMULATED: nothing is sent to Cloudflare; this is "
LAST = "EMULATED: nothing was sent to Cloudflare"


@pytest.mark.parametrize(
    "args",
    [
        ("list", "{account}", "--emulate", "{state}"),
        ("--emulate={state}", "disable", "{account}", "{connector}"),
        ("--emulate", "{state}", "break-glass", "{account}", "--yes", "--json"),
        ("--emulate", "{state}", "get", "no-id", "{connector}"),
        ("get", "no-id", "{connector}", "--emulate", "{state}"),
        ("list", "--emulate", "{state}"),
        ("list", "{account}", "--emulate", "{state}", "--no-such-option"),
        ("list", "{account}", "--emulate", "/dev/null/missing"),
        ("--emulate", "{state}", "list", "--help"),
    ],
    ids=" ".join,
)
def test_an_emulated_command_says_so_first_and_last(
    args: tuple[str, ...], cloud: Any, spawn: Any
) -> None:
    """Whether it succeeds, fails or was mistyped, stderr begins and ends with it."""
    names = {"account": cloud.account, "connector": cloud.add(), "state": cloud.state}
    words = [word.format(**names) for word in args]

    _, err = spawn(*words).communicate(timeout=30)

    lines = err.splitlines()
    assert lines[0].startswith(EMULATED)
    assert LAST == lines[-1]
    assert 2 == len(banners.lines_of(err))


def test_an_emulated_run_that_is_interrupted_says_so(
    cloud: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C it is the last line, too."""
    monkeypatch.setattr(
        "cfsso.CloudflareEmulator.handle", lambda *_, **__: signal.raise_signal(signal.SIGINT)
    )

    ran = run("list", cloud.account, "--emulate", cloud.state)

    assert 130 == ran.code
    assert [f"{EMULATED}{cloud.state}", LAST] == ran.banner


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost:1/client/v4", "https://[::1]:1"]
)
def test_a_server_on_this_machine_is_named(url: str, cloud: Any, run: Any) -> None:
    """Before anything else it is said that this is not Cloudflare."""
    ran = run("--base-url", url, "list", cloud.account)

    assert 2 == ran.code
    assert [f"using {url}: a server on this machine, not Cloudflare"] == ran.banner


@pytest.mark.parametrize(
    "args",
    [
        ("--base-url", "https://api.cloudflare.com/client/v4", "list", "{account}"),
        ("--base-url", "https://[", "list", "{account}"),
        ("list", "{account}"),
        ("list", "{account}", "--", "--emulate", "file"),
        ("list", "{account}", "--emulate"),
    ],
    ids=" ".join,
)
def test_nothing_is_said_of_cloudflare_itself(args: tuple[str, ...], cloud: Any, run: Any) -> None:
    """What goes elsewhere, or nowhere, has no such line."""
    ran = run(*(word.format(account=cloud.account) for word in args))

    assert 2 == ran.code
    assert [] == ran.banner


def test_an_option_may_have_its_value_attached(cloud: Any, run: Any) -> None:
    """`--emulate=FILE` is said like `--emulate FILE`, and the last one counts."""
    ran = run("--emulate", "/missing", "list", cloud.account, f"--emulate={cloud.state}")

    assert 0 == ran.code
    assert [f"{EMULATED}{cloud.state}", LAST] == ran.banner
