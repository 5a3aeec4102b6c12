"""Standard streams that are closed, full, or do not block."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import banners
import pytest

import cfsso

# As a shell closes them; subprocess itself can't.
_CLOSING = ("-c", "import os, sys\nos.close({})\nos.execv(sys.executable, sys.argv[1:])")


def closed(number: int, *args: str) -> Sequence[str]:
    """Return a command whose standard stream of that number is closed when it begins."""
    code, program = _CLOSING
    command = (sys.executable, "-m", "cfsso", *args)
    return (sys.executable, code, program.format(number), *command)


def ran(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run *command* to its end."""
    return subprocess.run(  # noqa: S603 - it is ours
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONDEVMODE": ""},
        stdin=subprocess.DEVNULL,
    )


def enabled(cloud: Any) -> list[bool]:
    """Return which connectors of the emulator are enabled."""
    return [
        connector.enabled
        for account in cloud.emulator.accounts
        for connector in cloud.emulator.connectors(account)
    ]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_rescue_stands_on_closed_streams(number: int, cloud: Any, serve: Any) -> None:
    """All SSO is off, whichever stream is closed; only without stdout it is no success."""
    accounts = [cloud.emulator.add_account() for _ in range(3)]
    for account in accounts:
        cloud.add(account=account, enabled=True)
    url = serve(cloud.emulator)

    done = ran(closed(number, "--base-url", url, "break-glass", *accounts, "--yes"))

    assert [False] * 3 == enabled(cloud)
    assert (number == 1) == done.returncode
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    "args",
    [
        ("list", "{account}"),
        ("disable", "{account}", "{connector}"),
        ("apply", "{file}", "--yes"),
        ("apply", "{file}", "--yes", "--json"),
        ("plan", "{file}"),
        ("--help",),
        ("--version",),
    ],
    ids=" ".join,
)
def test_every_command_stands_on_closed_streams(
    number: int, args: tuple[str, ...], cloud: Any
) -> None:
    """The command does its work; without stdout it says that the results are lost, and exits 1."""
    connector = cloud.add()
    file = cloud.rollout(f"{cloud.account},{connector},true,")
    names = {"account": cloud.account, "connector": connector, "file": file}
    words = [word.format(**names) for word in args]
    emulated = () if args[0].startswith("--") else ("--emulate", cloud.state)

    done = ran(closed(number, *words, *emulated))

    assert (number == 1) == done.returncode
    assert "Traceback" not in done.stdout + done.stderr
    if number == 1:
        assert "cfsso: stdout is closed: the results are lost\n" in done.stderr
    elif number == 2:
        assert "" == done.stderr


@pytest.mark.parametrize(
    "args", [("apply", "{file}"), ("break-glass", "{account}"), ("revert", "{file}")], ids=" ".join
)
def test_nobody_can_be_asked_on_a_closed_stdin(args: tuple[str, ...], cloud: Any) -> None:
    """What needs a yes is refused as without a terminal; exit 2."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    words = [word.format(account=cloud.account, file=file) for word in args]

    done = ran(closed(0, *words, "--emulate", cloud.state))

    assert 2 == done.returncode
    assert f"{args[0]} needs --yes without a terminal; nothing was sent" in done.stderr


def test_no_file_is_opened_in_the_place_of_a_closed_stream(cloud: Any, tmp_path: Path) -> None:
    """What is meant for stderr ends in no journal."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    journal = str(tmp_path / "run.cfsso")
    command = ("apply", file, "--yes", "--journal", journal, "--emulate", cloud.state)

    assert 0 == ran(closed(2, *command)).returncode

    assert 0 == ran((sys.executable, "-m", "cfsso", "report", journal)).returncode


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("args", [("--help",), ("--version",), ("apply", "--help")], ids=" ".join)
def test_help_that_can_t_be_written_is_one_line(args: tuple[str, ...], spawn: Any) -> None:
    """It is named as results that can't be written; exit 1, no traceback."""
    with Path("/dev/full").open("w") as full:
        process = spawn(*args, stdout=full)
        _, err = process.communicate(timeout=30)

    assert (1, "cfsso: can't write the results: No space left on device\n") == (
        process.returncode,
        err,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_stderr_changes_nothing(cloud: Any, spawn: Any) -> None:
    """The command does its work, and exits as ever."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")

    with Path("/dev/full").open("w") as full:
        process = spawn("apply", file, "--yes", "--emulate", cloud.state, stderr=full)
        out, _ = process.communicate(timeout=30)

    assert 0 == process.returncode
    assert "1 connector in 1 account" in out


def slowly(descriptor: int, chunk: int = 512) -> bytes:
    """Read to the end, a little at a time."""
    parts: list[bytes] = []
    while part := os.read(descriptor, chunk):
        parts.append(part)
        time.sleep(0.0005)
    return b"".join(parts)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_all_lines_arrive_on_a_pipe_that_does_not_block(
    stream: str, spawn: Any, tmp_path: Path
) -> None:
    """A slow reader gets every object, and every message, where a parent made the pipe so."""
    cloud = cfsso.CloudflareEmulator(seed=1, rate_limit=None)
    account = cloud.add_account()
    for number in range(400):
        cloud.add_connector(account, email_domain=f"company-{number}.example")
    state, others = str(tmp_path / "cloud.json"), str(tmp_path / "accounts.csv")
    cloud.save(state)
    Path(others).write_text("".join(f"{number}\n" for number in range(3000)), "utf-8")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    args = (
        ("--json", "list", account)
        if stream == "stdout"
        else ("break-glass", "--accounts-file", others, "--yes")
    )

    process = spawn(*args, "--emulate", state, **{stream: writer})
    os.close(writer)
    found = slowly(reader).decode()
    os.close(reader)

    if stream == "stdout":
        assert 0 == process.wait(30)
        assert 400 == len([json.loads(line) for line in found.splitlines()])
    else:
        assert 2 == process.wait(30)
        assert 3001 == len(banners.without(found).splitlines())


def test_a_page_arrives_on_a_pipe_that_does_not_block(
    run: Any, cloud: Any, spawn: Any, tmp_path: Path
) -> None:
    """`report --html -` is whole as well."""
    rows = [f"{cloud.account},{cloud.add()},true," for _ in range(300)]
    journal = str(tmp_path / "run.cfsso")
    command = ("apply", cloud.rollout(*rows), "--yes", "--journal", journal)
    assert 0 == run(*command, "--emulate", cloud.state).code
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    process = spawn("report", journal, "--html", "-", stdout=writer)
    os.close(writer)
    page = slowly(reader, 4096).decode()
    os.close(reader)

    assert 0 == process.wait(30)
    assert page.endswith("</html>\n")


def test_a_reader_that_leaves_a_pipe_that_does_not_block(cloud: Any, spawn: Any) -> None:
    """Who waits for a reader that goes away ends as on any pipe."""
    for _ in range(400):
        cloud.emulator.add_connector(cloud.account, email_domain=f"c-{_}.example")
    cloud.emulator.save(cloud.path)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    process = spawn("--json", "list", cloud.account, "--emulate", cloud.state, stdout=writer)
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    _, err = process.communicate(timeout=30)

    assert (1, "") == (process.returncode, banners.without(err))
