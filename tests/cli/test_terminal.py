"""The command on a real terminal."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

import cfsso

# In a session of its own the terminal has to be taken, so that Ctrl-C becomes a signal;
# and what runs the tests may ignore it, which no shell on a terminal does.
START = (
    "-c",
    "import fcntl, signal, termios\n"  # noqa: ISC004 - one program
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "fcntl.ioctl(2, termios.TIOCSCTTY, 0)\n"
    "from cfsso.cli import main\n"
    "main()",
)
SECONDS = 30.0


@attrs.define
class Screen:
    """A process on a terminal of 80 columns, and all that it wrote there."""

    process: subprocess.Popen[str]
    terminal: int
    text: str = ""

    def wait_for(self, wanted: str) -> None:
        """Read until *wanted* has been written."""
        deadline = time.monotonic() + SECONDS
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"no {wanted!r} in {self.text!r}"
            assert self.read(), f"no {wanted!r} in {self.text!r}"

    def read(self) -> bool:
        """Read what there is; return whether more may come."""
        ready, _, _ = select.select([self.terminal], [], [], 0.1)
        if not ready:
            return self.process.poll() is None
        try:
            chunk = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.text += chunk.decode()
        return bool(chunk)

    def type(self, keys: str) -> None:
        """Type *keys*."""
        os.write(self.terminal, keys.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + SECONDS
        while self.read():
            assert time.monotonic() < deadline, self.text
        return self.process.wait(SECONDS)


@pytest.fixture
def on_terminal(spawn: Any) -> Iterator[Callable[..., Screen]]:
    """Return what starts the command on a terminal of its own."""
    terminals: list[int] = []

    def start(*args: str, **options: Any) -> Screen:
        ours, theirs = pty.openpty()
        terminals.append(ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs, **options}
        process = spawn(*args, start=START, start_new_session=True, **streams)
        os.close(theirs)
        return Screen(process, ours)

    yield start
    for terminal in terminals:
        os.close(terminal)


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


def test_the_bar_moves_and_ctrl_c_stops_the_run(cloud: Any, slow: str, on_terminal: Any) -> None:
    """A live bar has count, rate and time left; Ctrl-C ends with the table and 130."""
    file = rollout(cloud, 12)
    screen = on_terminal("--base-url", slow, "apply", file, "--yes", "--concurrency", "2")

    screen.wait_for("ETA 0:")
    screen.type("\x03")

    assert 130 == screen.end()
    assert "stopping: no further write is sent" in screen.text
    assert "the run stopped before it came to it" in screen.text
    assert screen.text.endswith("cfsso: interrupted by SIGINT: run it again to go on\r\n")


def test_a_wait_for_the_limit_counts_down_and_ctrl_c_ends_it(
    cloud: Any, serve: Any, on_terminal: Any
) -> None:
    """The bar shows how long the rate limit holds the run up; Ctrl-C leaves without waiting."""
    file = rollout(cloud, 4)
    limit = cfsso.RateLimit(requests=3, seconds=300)
    url = serve(cfsso.CloudflareEmulator.load(cloud.state, rate_limit=limit))
    screen = on_terminal("--base-url", url, "apply", file, "--yes", "--concurrency", "1")

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
