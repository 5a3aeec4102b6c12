"""What a person sees of each single command on a real terminal."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from screens import Screen

Start = Callable[..., Screen]


def uncoloured(text: str) -> str:
    """Return *text* without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def plain(text: str) -> str:
    """Return *text* without colours, as one line."""
    return " ".join(uncoloured(text).split())


def test_list_is_a_table(cloud: Any, on_terminal: Start) -> None:
    """The connectors of an account stand in a table that fits, headed by what the columns are."""
    connector = cloud.add(enabled=True)
    screen = on_terminal("list", cloud.account, "--emulate", cloud.state)

    assert 0 == screen.end()
    assert f"account {cloud.account}" in plain(screen.text)
    assert "CONNECTOR DOMAIN SSO VERIFICATION" in plain(screen.text)
    assert f"{connector} company-0.example enabled verified" in plain(screen.text)
    assert 80 >= max(map(len, uncoloured(screen.text).splitlines()))


def test_get_is_a_line_a_value(cloud: Any, on_terminal: Start) -> None:
    """One connector has a line for each value, and the TXT record while it is not verified."""
    connector = cloud.add("pending")
    screen = on_terminal("get", cloud.account, connector, "--emulate", cloud.state)

    assert 0 == screen.end()
    assert f"connector {connector}" in plain(screen.text)
    assert "SSO disabled" in plain(screen.text)
    assert "TXT value cloudflare_dashboard_sso=" in plain(screen.text)


def test_create_shows_the_record_to_set(cloud: Any, on_terminal: Start) -> None:
    """What was made is shown, with the TXT record that proves the domain."""
    screen = on_terminal("create", cloud.account, "new.example", "--emulate", cloud.state)

    assert 0 == screen.end()
    assert "result changed" in plain(screen.text)
    assert "TXT name new.example" in plain(screen.text)


@pytest.mark.parametrize(
    ("command", "was", "result"),
    [
        (("update", "--disabled"), True, "result changed"),
        (("update", "--fedramp-language"), True, "FedRAMP enabled"),
        (("disable",), True, "SSO disabled"),
    ],
)
def test_what_does_not_ask(
    command: tuple[str, ...],
    was: bool,  # noqa: FBT001 - a case
    result: str,
    cloud: Any,
    on_terminal: Start,
) -> None:
    """An update and a disable go ahead, and show what a read shows."""
    name, *options = command
    connector = cloud.add(enabled=was)
    screen = on_terminal(name, cloud.account, connector, *options, "--emulate", cloud.state)

    assert 0 == screen.end()
    assert "[y/N]" not in screen.text
    assert result in plain(screen.text)


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("enable", "Enforce SSO for company-0.example"),
        ("delete", "Delete the connector for company-0.example"),
    ],
)
@pytest.mark.parametrize(("typed", "code"), [("y", 0), ("n", 1)])
def test_what_asks(
    command: str, question: str, typed: str, code: int, cloud: Any, on_terminal: Start
) -> None:
    """The question names the domain; a yes does it, anything else sends nothing."""
    connector = cloud.add()
    screen = on_terminal(command, cloud.account, connector, "--emulate", cloud.state)

    screen.wait_for("[y/N] ")
    screen.type(f"{typed}\n")

    assert code == screen.end()
    assert question in plain(screen.text)
    said = "result changed" if typed == "y" else "cfsso: not confirmed: nothing was sent"
    assert said in plain(screen.text)


def test_verify_says_how_far_it_is(cloud: Any, on_terminal: Start) -> None:
    """The search is begun, and the TXT record to set shown."""
    connector = cloud.add("failed")
    screen = on_terminal("verify", cloud.account, connector, "--emulate", cloud.state)

    assert 0 == screen.end()
    assert "verification pending" in plain(screen.text)
    assert "TXT value cloudflare_dashboard_sso=" in plain(screen.text)


def test_the_emulator_runs_until_ctrl_c(on_terminal: Start) -> None:
    """It says where it listens, and a Ctrl-C ends it cleanly."""
    screen = on_terminal("emulator")

    screen.wait_for("/client/v4")
    screen.type("\x03")

    assert 0 == screen.end()
    assert "listening on http://127.0.0.1:" in screen.text
    assert "Traceback" not in screen.text


def test_a_failure_is_one_line_with_what_to_do(cloud: Any, on_terminal: Start) -> None:
    """What went wrong and what to do next stand in one line, without a traceback."""
    screen = on_terminal("get", cloud.account, "f" * 32, "--emulate", cloud.state)

    assert 1 == screen.end()
    assert "cfsso: 404 from GET " in plain(screen.text)
    assert "check the ids" in plain(screen.text)
    assert "Traceback" not in screen.text
