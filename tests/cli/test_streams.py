"""Standard streams that are closed, full, or do not block."""

import errno
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import banners
import pytest

import cfsso
from cfsso.cli import streams
from cfsso.cli.app import app

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


def test_a_closed_descriptor_becomes_the_null_device() -> None:
    """One that is open stays what it is."""
    number = os.open(os.devnull, os.O_RDWR)
    os.close(number)

    streams._fill(number)
    streams._fill(number)

    assert os.path.samestat(Path(os.devnull).stat(), os.fstat(number))
    assert os.get_inheritable(number)
    os.close(number)


@pytest.mark.parametrize("device", [os.devnull, "/no/such/device"])
def test_streams_that_are_missing(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They can be read and written, also where there is no null device; lost results are known."""
    monkeypatch.setattr(os, "devnull", device)
    monkeypatch.setattr(streams._Lost, "stdout", False)
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)

    streams.prepare()

    assert "" == sys.stdin.read()
    assert b"" == sys.stdin.buffer.read()
    for stream in (sys.stdout, sys.stderr):
        assert not stream.isatty()
        stream.write("lost\n")
        stream.flush()
    assert streams.results_are_lost()


def test_the_process_s_own_streams_are_made_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program has put in their place is left alone."""
    reader, writer = os.pipe()
    other = io.StringIO()
    with os.fdopen(writer, "w", encoding="latin-1") as own, os.fdopen(reader, "rb") as found:
        monkeypatch.setattr(sys, "stdout", own)
        monkeypatch.setattr(sys, "__stdout__", own)
        monkeypatch.setattr(sys, "stderr", other)
        monkeypatch.setattr(streams._Lost, "stdout", True)

        streams.prepare()
        sys.stdout.write("caf\xe9 \u2713")
        sys.stdout.flush()

        assert sys.stderr is other
        assert not streams.results_are_lost()
        assert own.fileno() == sys.stdout.fileno()
        assert b"caf\xe9 \\u2713" == os.read(found.fileno(), 100)


@pytest.mark.parametrize("forgiving", [False, True])
def test_a_pipe_that_does_not_block_is_waited_for(forgiving: bool) -> None:  # noqa: FBT001 - a case
    """All of it arrives; once the reader has gone it is an error, or nothing at all."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    raw = streams._Descriptor(writer, forgiving=forgiving)
    stream = io.BufferedWriter(raw)
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(slowly(reader, 65536)))

    thread.start()
    stream.write(b"x" * 1_000_000)
    stream.flush()
    os.close(writer)
    thread.join(30)
    os.close(reader)

    assert [1_000_000] == [len(part) for part in found]
    reader, writer = os.pipe()
    os.close(reader)
    gone = streams._Descriptor(writer, forgiving=forgiving)
    if forgiving:
        assert 3 == gone.write(b"abc")
    else:
        with pytest.raises(streams.OutputError) as caught:
            gone.write(b"abc")
        assert errno.EPIPE == caught.value.errno
    os.close(writer)


@pytest.mark.parametrize(("changes", "code"), [(False, 1), (True, 1)])
def test_lost_results_are_no_success(
    changes: bool,  # noqa: FBT001 - a case
    code: int,
    run: Any,
    cloud: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever asked what there is to change got no answer; a usage error stays one."""
    monkeypatch.setattr(streams._Lost, "stdout", True)
    file = cloud.rollout(f"{cloud.account},{cloud.add(enabled=not changes)},true,")

    ran = run("plan", file, "--detailed-exitcode", "--emulate", cloud.state)

    assert code == ran.code
    assert ran.err.endswith("cfsso: stdout is closed: the results are lost\n")
    assert 2 == run("plan").code


def test_what_the_system_refuses_is_named_by_where_it_began(
    run: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that is not about the results does not say so; exit 1, no traceback."""
    for error, said in (
        (
            PermissionError(errno.EACCES, "Permission denied", "/some/file"),
            "/some/file: Permission",
        ),
        (OSError("no usable folder"), "no usable folder"),
    ):
        monkeypatch.setattr("cfsso.cli.session.Session.run", _raising(error))
        ran = run("list", cloud.account, "--emulate", cloud.state)
        assert (1, "") == (ran.code, ran.out)
        assert ran.err.startswith(f"cfsso: {said}")


def _raising(error: Exception) -> Any:
    def run(*_: object, **__: object) -> None:
        raise error

    return run


def test_help_whose_reader_has_gone_is_quiet(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that goes away ends it without a word; a disk that is full has one line."""
    for number, said in (
        (errno.EPIPE, ""),
        (errno.ENOSPC, "cfsso: can't write the results: No space left on device\n"),
    ):
        error = streams.OutputError(number, os.strerror(number))
        monkeypatch.setattr("cfsso.cli.app.App.get_help", _raising(error))
        ran = run("--help")
        assert (1, said) == (ran.code, ran.err)


def test_no_place_for_a_temporary_journal(
    run: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any folder for it, a rehearsal says so and what to do; exit 2."""
    error = FileNotFoundError(errno.ENOENT, "No usable temporary directory found")
    monkeypatch.setattr("tempfile.TemporaryDirectory", _raising(error))
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")

    ran = run("apply", file, "--yes", "--emulate", cloud.state)

    assert (2, "") == (ran.code, ran.out)
    assert ran.err.endswith(
        "cfsso: no place for the journal: No usable temporary directory found:"
        " give --journal FILE; nothing was sent\n"
    )


def test_a_bug_does_not_hide_the_journal(
    cloud: Any,
    hooked: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever ends a run, its journal and the way on are said."""
    hooked(lambda _: None)
    monkeypatch.setattr("cfsso.cli.running.Running._take", _raising(RuntimeError("a bug")))
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    journal = tmp_path / "run.cfsso"
    with pytest.raises(RuntimeError, match="a bug"):
        app.main(["apply", file, "--yes", "--journal", str(journal)])
    assert capsys.readouterr().err.endswith(f"\ncfsso: journal: {journal}\n")
