"""Where a run's journal is, and how to go on: said first and last, and true when it is typed."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cfsso

PRINTED = re.compile(r"`(cfsso [^`]*)`")


@pytest.fixture
def typed(tmp_path: Path) -> Callable[[str], "subprocess.CompletedProcess[str]"]:
    """Return what types a printed command into a POSIX shell, where there is no other token."""
    script = tmp_path / "bin" / "cfsso"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m cfsso "$@"\n', "utf-8")
    script.chmod(0o700)
    env = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    env.pop("CLOUDFLARE_API_TOKEN", None)

    def typed(line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 - it is ours
            ["sh", "-c", line],  # noqa: S607 - whichever there is
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=env,
            cwd=tmp_path,
        )

    return typed


def three(cloud: Any) -> str:
    """Return a file that enables a connector in each of three accounts."""
    rows = []
    for _ in range(3):
        account = cloud.emulator.add_account()
        rows.append(f"{account},{cloud.add(account=account)},true,")
    return str(cloud.rollout(*rows))


def states(cloud: Any) -> list[bool]:
    """Return which connectors are enabled."""
    return [
        connector.enabled
        for account in cloud.emulator.accounts
        for connector in cloud.emulator.connectors(account)
    ]


def kept(tmp_path: Path) -> list[Path]:
    """Return the journals of the state folder."""
    return sorted((tmp_path / "state" / "cfsso").glob("*.cfsso*"))


def test_the_journal_of_a_run_is_said_first_and_last(
    run: Any, cloud: Any, hooked: Any, tmp_path: Path
) -> None:
    """Also of a run that succeeded, and with the way to take it back."""
    hooked(lambda _: None)

    ran = run("apply", three(cloud), "--yes", "--json")

    (journal,) = kept(tmp_path)
    lines = ran.err.splitlines()
    assert 0 == ran.code
    assert f"cfsso: journal: {journal}" == lines[1]
    assert [
        f"cfsso: journal: {journal}",
        f"cfsso: hint: `cfsso revert {journal}` takes it back",
    ] == lines[-2:]


@pytest.mark.parametrize("full", [False, True], ids=["head", "full"])
def test_the_way_back_is_said_though_nobody_reads_the_results(
    full: bool,  # noqa: FBT001 - a case
    cloud: Any,
    serve: Any,
    spawn: Any,
    tmp_path: Path,
) -> None:
    """A reader that goes away and a full disk take no journal with them."""
    url = serve(cloud.emulator)
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "w") if full else os.fdopen(writer, "w") as stdout:  # noqa: PTH123
        process = spawn("--base-url", url, "apply", three(cloud), "--yes", stdout=stdout)
        _, err = process.communicate(timeout=30)

    (journal,) = kept(tmp_path)
    assert 1 == process.returncode
    assert f"cfsso: journal: {journal}\n" in err
    assert f"cfsso: hint: `cfsso revert {journal} --base-url {url}` takes it back\n" in err


@pytest.mark.parametrize("stopped", [False, True], ids=["unchanged", "stopped"])
def test_no_journal_is_kept_of_a_run_that_wrote_nothing(
    stopped: bool,  # noqa: FBT001 - a case
    run: Any,
    cloud: Any,
    hooked: Any,
    tmp_path: Path,
) -> None:
    """It is not named at the end either; but one that was asked for stays."""

    def stop(request: cfsso.Request) -> None:
        # The first request of each command is the plan's.
        if stopped and len(cloud.emulator.requests) % 2:
            signal.raise_signal(signal.SIGINT)
        assert not request.is_write

    file = cloud.rollout(f"{cloud.account},{cloud.add(enabled=True)},true,")
    hooked(stop)
    named = str(tmp_path / "named.cfsso")

    ran = run("apply", file, "--yes")
    other = run("apply", file, "--yes", "--journal", named)

    assert [] == kept(tmp_path)
    assert 1 == ran.err.count("cfsso: journal: /")
    assert "hint" not in ran.err
    assert Path(named).exists()
    assert 2 == other.err.count(f"cfsso: journal: {named}\n")


def test_each_printed_command_reaches_the_same_server(
    run: Any,
    cloud: Any,
    serve: Any,
    typed: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was printed is typed as it stands, and does what was said of it."""
    url = serve(cloud.emulator)
    file = three(cloud)
    tokens = tmp_path / "the 'token' file"
    tokens.write_text("it's-mine", "utf-8")
    tokens.chmod(0o600)
    cloud.emulator.add_token("it's-mine", [*cloud.emulator.accounts])
    journal = str(tmp_path / "a\u00a0b\nc $(d).cfsso")
    monkeypatch.chdir(tmp_path)
    told = ("--base-url", url, "--token-file", str(tokens))

    ran = run("apply", file, *told, "--yes", "--journal", journal)
    assert 0 == ran.code
    (revert,) = PRINTED.findall(ran.err)
    done = typed(f"{revert} --yes")
    assert 0 == done.returncode, done.stderr
    assert [False] * 3 == states(cloud)

    (plan,) = PRINTED.findall(run("plan", file, *told, "--out", "-p").err)
    assert 0 == typed(f"{plan} --yes").returncode
    assert [True] * 3 == states(cloud)

    (look,) = PRINTED.findall(run("get", cloud.account, "f" * 32, *told).err)
    assert 0 == typed(look).returncode
    assert shlex.split(look)[3:] == ["--base-url", url, "--token-file", str(tokens)]


def test_a_hint_of_a_run_that_failed(run: Any, cloud: Any, hooked: Any, answer: Any) -> None:
    """What the API refused is tried again with `--failed`, and only that is said."""

    def refuse(request: cfsso.Request) -> Any:
        return answer(403, success=False, errors=[]) if request.is_write else None

    hooked(refuse)
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")

    ran = run("apply", file, "--yes")

    assert 1 == ran.code
    assert re.search(r"hint: `cfsso resume /\S+ --failed` tries again what failed, too\n", ran.err)
    assert "goes on with what is left" not in ran.err
    assert "takes it back" not in ran.err


def test_a_hint_of_a_run_that_others_crossed(
    run: Any, cloud: Any, hooked: Any, answer: Any
) -> None:
    """What was written can be taken back, even if a later read shows something else."""
    key = cloud.add()
    shown: list[Any] = []

    def cross(request: cfsso.Request) -> Any:
        if request.is_write:
            shown.append(request)
        elif shown:
            found = cfsso.CloudflareEmulator.load(cloud.path).to_state()["accounts"]
            return answer(200, success=True, result=found[cloud.account]["connectors"])
        return None

    hooked(cross)

    ran = run("apply", cloud.rollout(f"{cloud.account},{key},true,"), "--yes", "--json")

    assert ["conflict"] == [record["status"] for record in ran.records]
    assert "takes it back" in ran.err


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["table", "json"])
def test_a_finished_run_that_is_shown_again_says_so(
    json: tuple[str, ...], run: Any, cloud: Any, hooked: Any, tmp_path: Path
) -> None:
    """When it finished is said, and that nothing was sent now."""
    hooked(lambda _: None)
    journal = str(tmp_path / "run.cfsso")
    said = re.compile(r"cfsso: finished at 2\d{3}-\d\d-\d\d .* UTC; nothing was sent now\n")

    first = run(*json, "apply", three(cloud), "--yes", "--journal", journal)
    resumed = run(*json, "resume", journal)
    reverted = run(*json, "revert", journal, "--yes")
    sent = len(cloud.emulator.requests)
    again = run(*json, "revert", journal, "--yes")

    assert [0] * 4 == [each.code for each in (first, resumed, reverted, again)]
    assert [False, True, False, True] == [
        bool(said.search(each.err)) for each in (first, resumed, reverted, again)
    ]
    assert sent == len(cloud.emulator.requests)
    assert f"`cfsso revert {journal}` takes it back" in resumed.err
    assert "hint" not in reverted.err + again.err


def test_a_rehearsal_uses_no_journal_up(
    run: Any, cloud: Any, serve: Any, typed: Any, tmp_path: Path
) -> None:
    """A journal of one server is refused at another, untouched, with the command for its own."""
    url, file = serve(cloud.emulator), three(cloud)
    journal = tmp_path / "run.cfsso"
    assert 0 == run("--base-url", url, "apply", file, "--yes", "--journal", str(journal)).code
    before = journal.read_bytes()
    hint = ""

    for command in (("revert", str(journal), "--yes"), ("resume", str(journal))):
        for elsewhere in (("--emulate", cloud.state), (), ("--base-url", "http://127.0.0.1:1/v4")):
            ran = run(*command, *elsewhere)
            assert (2, "") == (ran.code, ran.out)
            assert f"cfsso: {journal} belongs to {url}, not to " in ran.err
            assert "nothing was sent\n" in ran.err
            (hint,) = PRINTED.findall(ran.err)
            assert hint == shlex.join(["cfsso", *command, "--base-url", url])
    assert before == journal.read_bytes()
    assert [True] * 3 == states(cloud)

    done = typed(f"CLOUDFLARE_API_TOKEN=any {hint.replace('resume', 'revert')} --yes")
    assert 0 == done.returncode, done.stderr
    assert [False] * 3 == states(cloud)


def test_a_journal_of_an_emulated_cloud(run: Any, cloud: Any, serve: Any, tmp_path: Path) -> None:
    """It is refused elsewhere, and in another emulated cloud; its own takes it."""
    url, file = serve(cloud.emulator), three(cloud)
    journal, emulated = str(tmp_path / "run.cfsso"), ("--emulate", cloud.state)
    assert 0 == run("apply", file, *emulated, "--yes", "--journal", journal).code
    cfsso.CloudflareEmulator(seed=9).save(tmp_path / "other.json")

    for elsewhere in (("--base-url", url), ("--emulate", str(tmp_path / "other.json"))):
        ran = run("revert", journal, "--yes", *elsewhere)
        assert 2 == ran.code
        assert "belongs to an emulated Cloudflare (" in ran.err
        assert "hint: give --emulate with the state file that the run began with\n" in ran.err
    assert 0 == run("resume", journal, *emulated).code


def test_a_journal_of_cloudflare_itself(cloud: Any) -> None:
    """Its command needs no address; an address that can't be one is not repeated."""
    from cfsso.cli import options, servers
    from cfsso.cli.endings import CommandEnded
    from cfsso.cli.session import Session

    settings = options.Settings()
    settings.emulate = cloud.state
    real = "https://api.cloudflare.com/client/v4"
    assert f"Cloudflare ({real})" == servers.shown(real)
    for server in (real, "https://user@evil.example; rm"):
        with pytest.raises(CommandEnded):
            servers.check(settings, Session(settings), server, "j", "revert", "j")


def test_a_journal_that_failed_before_the_run_began(
    run: Any, cloud: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There is an outcome for each target, and no way is named to a file that is not there."""
    from cfsso.fleet._journal import Journal

    async def begin(_self: Any, _targets: Any, /, **_: Any) -> None:
        """Have no room."""
        raise cfsso.JournalError("can't be written: database or disk is full; start again")

    hooked(lambda _: None)
    monkeypatch.setattr(Journal, "begin", begin)

    ran = run("apply", three(cloud), "--yes", "--json", "--journal", str(tmp_path / "j"))

    assert 1 == ran.code
    assert ["not_attempted"] * 3 == [record["status"] for record in ran.records]
    assert "hint" not in ran.err
    assert ran.err.endswith("cfsso: can't be written: database or disk is full; start again\n")


def test_a_journal_that_may_hold_a_write_is_kept(
    run: Any, cloud: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If it can't be seen that nothing is in it, it stays and is named."""

    async def broken(_path: object) -> None:
        """Fail to read."""
        raise cfsso.JournalError("can't be read")

    hooked(lambda _: None)
    monkeypatch.setattr("cfsso.fleet.read_journal", broken)

    ran = run("apply", cloud.rollout(f"{cloud.account},{cloud.add(enabled=True)},true,"), "--yes")

    (journal,) = kept(tmp_path)
    assert ran.err.endswith(f"cfsso: journal: {journal}\n")


def test_a_rescue_is_not_resumed(run: Any, cloud: Any, hooked: Any, tmp_path: Path) -> None:
    """What can't be gone on with is refused by its journal, without a hint to try it again."""
    hooked(lambda _: None)
    cloud.add(enabled=True)
    journal = str(tmp_path / "rescue.cfsso")
    assert 0 == run("break-glass", cloud.account, "--yes", "--journal", journal).code

    ran = run("resume", journal)

    assert (2, "") == (ran.code, ran.out)
    assert "hint" not in ran.err
    assert 0 == run("revert", journal, "--yes").code
