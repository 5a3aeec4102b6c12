"""`cfsso emulator`, as a process and in this one."""

import json
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import cfsso


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the base URL that the first line names."""
    assert process.stdout is not None
    text, _, url = process.stdout.readline().rstrip("\n").partition(" on ")
    assert "listening" == text
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/client/v4")
    return url


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_one_account_until_a_signal(number: signal.Signals, spawn: Any) -> None:
    """The second line is the account's id; the library drives it; a signal is a clean stop."""
    process = spawn("emulator")
    url = first_line(process)
    assert process.stdout is not None
    account = process.stdout.readline().rstrip("\n")

    async with cfsso.connect(api_token="any", base_url=url) as connectors:
        made = await connectors.create(account_id=account, email_domain="example.com")
        listed = await connectors.list(account_id=account)
    process.send_signal(number)

    assert (made,) == listed
    assert ("", "") == process.communicate(timeout=30)
    assert 0 == process.returncode


async def test_its_memory_does_not_grow_with_the_requests(spawn: Any) -> None:
    """What it has answered, it forgets: 96 MiB of requests leave less than 32 MiB behind."""
    process = spawn("emulator", "--no-rate-limit")
    url = first_line(process)
    account = process.stdout.readline().rstrip("\n")

    def memory() -> int:
        status = Path(f"/proc/{process.pid}/status").read_text()
        (kib,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        return int(kib) * 1024

    async with aiohttp.ClientSession(headers={"authorization": "Bearer any"}) as session:

        async def send(count: int) -> None:
            for _ in range(count):
                path = f"{url}/accounts/{account}/sso_connectors/{account}"
                async with session.patch(path, data=b" " * 524_288) as response:
                    assert 404 == response.status

        await send(16)
        before = memory()
        await send(192)
        grown = memory() - before
    process.send_signal(signal.SIGTERM)

    assert 0 == process.wait(timeout=30)
    assert grown < 32 * 1024 * 1024


async def test_the_state_is_saved_on_a_clean_stop(spawn: Any, cloud: Any) -> None:
    """What was written through the port stands in the file afterwards."""
    connector = cloud.add()
    process = spawn("emulator", "--state", cloud.state, "--poll", "0.5", "--no-rate-limit")
    url = first_line(process)

    async with cfsso.connect(api_token="any", base_url=url) as connectors:
        await connectors.update(connector, account_id=cloud.account, enabled=True)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)

    (shown,) = json.loads(cloud.path.read_bytes())["accounts"][cloud.account]["connectors"]
    assert 0 == process.returncode
    assert shown["enabled"] is True


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let an emulator in this process get signals, one by default, as soon as it listens."""
    import click

    shown = click.echo

    def echo(message: object = None, **options: Any) -> None:
        shown(message, **options)
        if str(message).startswith("listening"):
            for _ in range(getattr(request, "param", 1)):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("click.echo", echo)


@pytest.mark.usefixtures("stopped")
def test_a_new_state_file_begins_with_one_account(run: Any, tmp_path: Path) -> None:
    """A state file that does not exist yet is said to be new, and written at the end."""
    file = tmp_path / "new.json"

    ran = run("emulator", "--state", str(file))

    listening, account = ran.out.splitlines()
    assert 0 == ran.code
    assert listening.startswith("listening on http://127.0.0.1:")
    assert [account] == list(json.loads(file.read_bytes())["accounts"])
    assert f"cfsso: {file} is new: it will be written on a clean stop\n" == ran.err


@pytest.mark.usefixtures("stopped")
def test_an_old_state_file_prints_no_account(run: Any, cloud: Any) -> None:
    """With a state file the first line is the only one."""
    ran = run("emulator", "--state", cloud.state, "--no-rate-limit")

    assert (0, 1, "") == (ran.code, len(ran.out.splitlines()), ran.err)


@pytest.mark.usefixtures("stopped")
def test_without_a_state_file_nothing_is_written(run: Any) -> None:
    """An emulator without a file has an account, and ends with it."""
    ran = run("emulator")

    assert (0, 2, "") == (ran.code, len(ran.out.splitlines()), ran.err)


@pytest.mark.usefixtures("stopped")
def test_a_state_that_can_t_be_written_is_one_line(run: Any, tmp_path: Path) -> None:
    """If the state can't be kept the exit is 1."""
    file = tmp_path / "missing" / "new.json"

    ran = run("emulator", "--state", str(file))

    assert 1 == ran.code
    assert ran.err.endswith(
        f"cfsso: can't write {file}: No such file or directory: the state is lost\n"
    )


def test_a_port_that_is_taken_is_one_line(run: Any) -> None:
    """A port that something else listens on is named; exit 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("emulator", "--port", str(port))

    assert (1, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
    assert ran.err.startswith(f"cfsso: can't listen on port {port}: ")
    assert ran.err.endswith(": choose another --port\n")


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf"])
def test_a_time_that_is_none_is_refused(seconds: str, run: Any) -> None:
    """Seconds are finite and not negative; exit 2."""
    ran = run("emulator", "--poll", seconds)

    assert (2, "") == (ran.code, ran.out)
    assert "poll must be a finite number of seconds" in ran.err


@pytest.mark.parametrize("stopped", [2], indirect=True)
@pytest.mark.usefixtures("stopped")
def test_a_second_signal_changes_nothing(run: Any, cloud: Any) -> None:
    """Whoever presses Ctrl-C twice gets a clean stop as well."""
    before = cloud.path.stat().st_ino

    ran = run("emulator", "--state", cloud.state)

    assert (0, "") == (ran.code, ran.err)
    assert before != cloud.path.stat().st_ino


@pytest.mark.usefixtures("stopped")
def test_no_thread_is_left(run: Any) -> None:
    """The emulator ends with all that it began."""
    before = threading.active_count()

    run("emulator")

    assert before == threading.active_count()
