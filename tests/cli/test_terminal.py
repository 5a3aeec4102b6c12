"""The command on a real terminal."""

import json
import os
import pty
import re
import select
import signal
import sys
from typing import Any

import pytest
from screens import SECONDS

import cfsso
from cfsso.cli import asking


@pytest.fixture
def slow(cloud: Any, serve: Any) -> str:
    """Return the URL of the cloud behind a port, where each answer is late."""
    cloud.emulator.latency = 0.2
    return str(serve(cloud.emulator))


def rollout(cloud: Any, count: int) -> str:
    """Return a file that enables *count* connectors, each in an account of its own."""
    rows = []
    for _ in range(count):
        account = cloud.emulator.add_account()
        rows.append(f"{account},{cloud.add(account=account)},true,")
    return str(cloud.rollout(*rows))


def test_a_question_is_asked_on_the_terminal(cloud: Any, on_terminal: Any) -> None:
    """The question waits for an answer; a yes shows a table that fits."""
    file = rollout(cloud, 3)
    screen = on_terminal("apply", file, "--emulate", cloud.state)

    screen.wait_for("3 connectors in 3 accounts, 3 to enable, 0 to disable? [y/N] ")
    screen.type("y\n")

    assert 0 == screen.end()
    assert "changed      3  written, and a later read shows it" in screen.text.replace(
        "\x1b[32m", ""
    ).replace("\x1b[0m", "")


def test_ctrl_c_at_a_question_sends_nothing(cloud: Any, on_terminal: Any) -> None:
    """Ctrl-C instead of an answer is one line and 130."""
    screen = on_terminal("apply", rollout(cloud, 1), "--emulate", cloud.state)

    screen.wait_for("[y/N] ")
    screen.type("\x03")

    assert 130 == screen.end()
    assert screen.text.endswith("cfsso: interrupted\r\n")
    assert "Traceback" not in screen.text


def test_a_signal_just_before_a_question_is_read_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While nothing is typed the command looks again and again whether a signal came."""
    ours, theirs = pty.openpty()
    real, looks = select.select, list[object]()

    def typed_late(*args: Any) -> Any:
        looks.append(args)
        if len(looks) == 2:
            os.write(ours, b"y\n")
        return real(*args) if len(looks) > 2 else ([], [], [])

    monkeypatch.setattr(select, "select", typed_late)
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert asking.ask("Sure?")
    os.close(ours)

    assert 3 == len(looks)


def test_the_bar_moves_and_ctrl_c_stops_the_run(cloud: Any, slow: str, on_terminal: Any) -> None:
    """A live bar has count, rate and time left; Ctrl-C ends with the table and 130."""
    file = rollout(cloud, 12)
    screen = on_terminal("--base-url", slow, "apply", file, "--yes", "--concurrency", "2")

    screen.wait_for_the_plan()
    screen.wait_for("ETA 0:")
    screen.type("\x03")

    assert 130 == screen.end()
    assert "stopping: no further write is sent" in screen.text
    assert "nothing was written; it can be done again" in screen.text
    assert "cfsso: interrupted by SIGINT\r\ncfsso: journal: /" in screen.text
    assert "cfsso: hint: `cfsso resume /" in screen.text


def test_a_wait_for_the_limit_counts_down_and_ctrl_c_ends_it(
    cloud: Any, serve: Any, on_terminal: Any
) -> None:
    """The bar shows how long the rate limit holds the run up; Ctrl-C leaves without waiting."""
    file = rollout(cloud, 4)
    limit = cfsso.RateLimit(requests=7, seconds=300)
    url = serve(cfsso.CloudflareEmulator.load(cloud.state, rate_limit=limit))
    screen = on_terminal("--base-url", url, "apply", file, "--yes", "--concurrency", "1")

    screen.wait_for_the_plan()
    screen.wait_for("ETA 1")
    screen.wait_for("rate limit: 4:59")
    screen.type("\x03")

    assert 130 == screen.end()
    assert "stopping at once: the rate limit asks to wait 29" in screen.text
    assert "not_attempted" in screen.text
    # Not in the middle of the bar.
    assert "waiting" not in screen.text


def test_a_second_ctrl_c_leaves_at_once(cloud: Any, slow: str, on_terminal: Any) -> None:
    """Two signals end the run with what is known by then."""
    file = rollout(cloud, 12)
    screen = on_terminal("--base-url", slow, "apply", file, "--yes", "--concurrency", "2")

    screen.wait_for_the_plan()
    screen.wait_for("/12")
    screen.type("\x03")
    screen.wait_for("stopping")
    screen.type("\x03")

    assert 130 == screen.end()
    assert "interrupted by SIGINT" in screen.text
    assert "Traceback" not in screen.text


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_a_run_without_a_terminal(
    number: signal.Signals, code: int, cloud: Any, slow: str, spawn: Any
) -> None:
    """What is under way is read back, and each target has exactly one record."""
    file = rollout(cloud, 12)
    args = ["--base-url", slow, "--json", "apply", file, "--yes", "--concurrency", "2"]
    process = spawn(*args)

    first = process.stdout.readline()
    process.send_signal(number)
    # Not by communicate(), which misses what readline() has read ahead.
    records = [json.loads(line) for line in [first, *process.stdout]]
    progress = process.stderr.read()

    assert code == process.wait(SECONDS)
    assert 12 == len({record["sso_connector_id"] for record in records}) == len(records)
    assert {"changed", "not_attempted"} == {record["status"] for record in records}
    assert f"interrupted by {number.name}" in progress
    for record in records:
        really = cloud.emulator.connector(record["account_id"], record["sso_connector_id"])
        assert really.enabled is (record["status"] == "changed")


def test_records_are_whole_lines_while_the_bar_moves(
    cloud: Any, slow: str, on_terminal: Any
) -> None:
    """With stdout elsewhere the bar stays on the terminal and the records out of it."""
    file = rollout(cloud, 2)
    reader, writer = os.pipe()
    screen = on_terminal("--base-url", slow, "--json", "apply", file, "--yes", stdout=writer)
    os.close(writer)

    assert 0 == screen.end()

    with os.fdopen(reader) as stream:
        assert ["changed"] * 2 == [json.loads(line)["status"] for line in stream]
    assert "/2" in screen.text
    assert "sso_connector_id" not in screen.text


def test_a_plan_fits_the_terminal(cloud: Any, on_terminal: Any) -> None:
    """A plan is coloured and as wide as the screen; a bar leaves no trace; long domains go on."""
    cloud.add("pending", email_domain=f"{'long-' * 11}name.example")
    pending = cloud.emulator.connectors(cloud.account)[0].id
    file = cloud.rollout(
        f"{cloud.account},{pending},true,",
        f"{cloud.account},{cloud.add(email_domain='company.example')},true,true",
    )
    screen = on_terminal("--emulate", cloud.state, "plan", file)

    assert 1 == screen.end()

    shown = screen.text[screen.text.rindex("\x1b[1maccount") :]
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).split("\r\n")
    assert "\x1b[32m" in shown
    assert "\x1b[33m" in shown
    assert plain[0] == f"account {cloud.account}"
    assert re.fullmatch("  ! blocked  long-.*  can't be enabled.*", plain[1])
    *_, last, empty, line, _ = plain
    assert "enabled: false -> true" in " ".join(plain)
    assert (True, "") == (len(last) <= 80, empty)
    assert all(len(each) <= 80 for each in plain[:-2])
    assert line.startswith("Plan: 1 to change, 0 unchanged, 1 blocked; 1 domain in 1 account; ")


def test_ctrl_c_ends_a_plan(cloud: Any, slow: str, on_terminal: Any) -> None:
    """While accounts are read a bar moves; Ctrl-C is one line and 130, and shows no plan."""
    screen = on_terminal("--base-url", slow, "plan", rollout(cloud, 12), "--concurrency", "1")

    screen.wait_for("1/12")
    screen.type("\x03")

    assert 130 == screen.end()
    assert screen.text.endswith("cfsso: interrupted\r\n")
    assert "Plan:" not in screen.text
    assert "Traceback" not in screen.text
