"""Files that are named on the command line: pipes, ``-``, and what may be replaced."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import banners
import pytest

import cfsso
from cfsso.fleet import _files
from cfsso.fleet.plans import KIND, is_plan


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Return what runs a line of bash in which ``cfsso`` is the command."""
    if shutil.which("bash") is None:
        pytest.skip("the system has no bash")
    script = tmp_path / "bin" / "cfsso"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m cfsso "$@"\n', "utf-8")
    script.chmod(0o700)

    def shell(line: str) -> "subprocess.CompletedProcess[str]":
        path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(  # noqa: S603 - it is ours
            ["bash", "-c", line],  # noqa: S607 - whichever there is
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PATH": path, "PYTHONDEVMODE": ""},
        )

    return shell


@pytest.fixture
def protected(cloud: Any, serve: Any) -> str:
    """Return the URL of the cloud, which one token serves."""
    cloud.emulator.add_token("the-token", [cloud.account])
    return str(serve(cloud.emulator))


@pytest.mark.parametrize(
    "line",
    [
        "apply {file} --yes --token-file <(echo the-token)",
        "apply <(cat {file}) --yes --token-file <(echo the-token)",
        "plan <(cat {file}) --accounts-file <(echo {account}) --token-file <(echo the-token)",
        "break-glass --accounts-file <(echo {account}) --yes --token-file <(echo the-token)",
        "break-glass {account} --drill --token-file <(echo the-token)",
        "list {account} --token-file <(echo the-token)",
        "enable {account} {connector} --yes --token-file <(echo the-token)",
        "transfer c.example --from {account} --to {other} --yes --token-file <(echo the-token)",
        "apply {file} --yes --token-file - <<< the-token",
        "apply - --yes --token-file <(echo the-token) < {file}",
        "break-glass --accounts-file - --yes --token-file <(echo the-token) <<< {account}",
        "plan {file} --token-file <(echo the-token) --out - | cfsso --base-url {url} apply - --yes"  # noqa: ISC004
        " --token-file <(echo the-token)",
    ],
)
def test_every_file_may_be_a_pipe(line: str, cloud: Any, protected: str, shell: Any) -> None:
    """What can be read only once is read once, by every command."""
    other = cloud.emulator.add_account()
    cloud.emulator.add_token("the-token", [cloud.account, other])
    cloud.add(account=other, email_domain="c.example", enabled=False)
    connector = cloud.add(email_domain="c.example")
    names = {
        "file": cloud.rollout(f"{cloud.account},{connector},false,"),
        "account": cloud.account,
        "connector": connector,
        "other": other,
        "url": protected,
    }

    ran = shell(f"cfsso --base-url {protected} {line.format(**names)}")

    assert 0 == ran.returncode, ran.stderr


def test_jsonl_and_a_plan_are_known_by_what_they_hold(
    cloud: Any, run: Any, shell: Any, tmp_path: Path
) -> None:
    """Where no name tells, a pipe of objects is JSON Lines, and a saved plan a plan."""
    connector = cloud.add()
    row = {"account_id": cloud.account, "sso_connector_id": connector, "enabled": True}
    (tmp_path / "rollout").write_text(json.dumps(row) + "\n", "utf-8")
    plan = str(tmp_path / "the.plan")
    emulated = ("--emulate", cloud.state)

    assert 0 == run("apply", str(tmp_path / "rollout"), "--yes", *emulated).code
    assert 0 == run("plan", str(tmp_path / "rollout"), "--out", plan, *emulated).code
    for pipe in (f"<(cat {tmp_path / 'rollout'})", f"<(cat {plan})"):
        ran = shell(f"cfsso apply {pipe} --yes --json --emulate {cloud.state}")
        assert 0 == ran.returncode, ran.stderr
        assert ["changed"] == [json.loads(line)["status"] for line in ran.stdout.splitlines()]


def test_a_name_that_tells_is_believed(cloud: Any, run: Any, tmp_path: Path) -> None:
    """What ends in .csv is CSV, and what ends in .jsonl is JSON Lines, whatever it holds."""
    row = {"account_id": cloud.account, "sso_connector_id": cloud.add(), "enabled": True}
    (tmp_path / "a.csv").write_text(json.dumps(row), "utf-8")
    shutil.copy(cloud.rollout(f"{cloud.account},{cloud.add()},true,"), tmp_path / "a.jsonl")

    for name, said in (("a.csv", "no column account_id"), ("a.jsonl", "row 1: ")):
        ran = run("apply", str(tmp_path / name), "--yes", "--emulate", cloud.state)
        assert 2 == ran.code
        assert said in ran.err


@pytest.mark.parametrize(
    "args",
    [
        ("apply", "-", "--yes", "--token-file", "-"),
        ("plan", "-", "--accounts-file", "-"),
        ("break-glass", "--accounts-file", "-", "--token-file", "-", "--yes"),
    ],
    ids=" ".join,
)
def test_only_one_file_is_stdin(args: tuple[str, ...], cloud: Any, run: Any) -> None:
    """Two of them would each get a part; exit 2."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    text = cloud.account if args[0] == "break-glass" else Path(file).read_text("utf-8")

    ran = run(*args, answer=text)

    assert 2 == ran.code
    assert "only one of " in ran.err
    assert " can be - (stdin)" in ran.err


@pytest.mark.parametrize(
    "args",
    [
        ("apply", "-"),
        ("break-glass", "--accounts-file", "-"),
        ("apply", "{file}", "--token-file", "-"),
    ],
    ids=" ".join,
)
def test_who_reads_stdin_can_t_be_asked_there(
    args: tuple[str, ...], cloud: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer can't be typed where a file comes from; exit 2."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "any")
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    text = {"apply": Path(file).read_text("utf-8"), "break-glass": cloud.account}[args[0]]
    if args[-2:] == ("--token-file", "-"):
        text = "a-token"

    ran = run(*(word.format(file=file) for word in args), answer=text)

    assert 2 == ran.code
    assert f"{args[0]} needs --yes where " in ran.err
    assert "is - (stdin); nothing was sent" in ran.err


def test_rows_of_stdin_are_named_so(cloud: Any, run: Any) -> None:
    """Where there is no file, problems are those of stdin."""
    ran = run("plan", "-", "--emulate", cloud.state, answer="a\nb\n")
    empty = run("break-glass", "--accounts-file", "-", "--yes", answer="\n")

    assert (2, "cfsso: stdin: row 1: ") == (ran.code, ran.err[:21])
    assert (2, "cfsso: stdin: no accounts\n") == (empty.code, empty.err)


def test_a_plan_on_stdout(cloud: Any, run: Any) -> None:
    """With `--out -` stdout has the plan and nothing else, and can't have objects too."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")

    ran = run("plan", file, "--out", "-", "--emulate", cloud.state)
    both = run("plan", file, "--out", "-", "--json", "--emulate", cloud.state)

    assert 0 == ran.code
    assert 1 == len(cfsso.fleet.Plan.from_json(ran.out).rows)
    assert "Plan: 1 to change" in ran.err
    assert 2 == both.code
    assert not Path("-").exists()


def linked(path: Path, target: Path) -> Path:
    """Make *path* another name of *target*."""
    path.hardlink_to(target)
    return path


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("this is the file itself", lambda files: files["file"]),
        ("this is the accounts file itself", lambda files: files["accounts"]),
        ("this is the token file itself", lambda files: files["tokens"]),
        ("this is the state file itself", lambda files: files["state"]),
        (
            "this is the file itself",
            lambda files: linked(files["file"].with_name("link"), files["file"]),
        ),
        ("there is something else than a plan", lambda files: files["journal"]),
        ("there is something else than a plan", lambda files: files["other"]),
        ("not a file", lambda _: Path("/dev/null")),
        ("not a file", lambda files: files["folder"]),
        ("No such file or directory", lambda files: files["folder"] / "no" / "x"),
    ],
    ids=[
        *("file", "accounts", "tokens", "state", "hard link", "journal", "other", "device"),
        *("folder", "nowhere"),
    ],
)
def test_a_plan_is_put_in_no_other_file_s_place(
    said: str, place: Any, cloud: Any, run: Any, hooked: Any, tmp_path: Path
) -> None:
    """It is refused before any request, and all files stay as they are; exit 2."""
    files = {name: tmp_path / name for name in ("accounts", "tokens", "journal", "other", "folder")}
    files["file"] = Path(cloud.rollout(f"{cloud.account},{cloud.add()},true,"))
    files["state"] = cloud.path
    files["accounts"].write_text(cloud.account, "utf-8")
    files["tokens"].write_text("a-token", "utf-8")
    files["other"].write_text("of great value", "utf-8")
    files["folder"].mkdir()
    hooked(lambda _: None)
    args = (str(files["file"]), "--token-file", str(files["tokens"]))
    assert 0 == run("apply", *args, "--yes", "--journal", str(files["journal"])).code
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    sent = len(cloud.emulator.requests)
    out = place(files)
    emulated = ("--emulate", cloud.state) if out == cloud.path else ()

    ran = run(
        *("plan", *args, "--accounts-file", str(files["accounts"])), *emulated, "--out", str(out)
    )

    assert (2, "") == (ran.code, ran.out)
    assert f"cfsso: {out}: {said}" in ran.err
    assert sent == len(cloud.emulator.requests)
    assert before.items() <= {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}.items()
    assert Path("/dev/null").is_char_device()


def test_what_a_state_is_written_back_to_is_a_file(run: Any, tmp_path: Path) -> None:
    """The emulator serves from no pipe, folder or device that it would have to replace; exit 2."""
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        ran = run("emulator", "--state", str(path))
        assert (2, "") == (ran.code, ran.out)
        assert f"cfsso: {path}: not a file: give another name\n" == banners.without(ran.err)


def test_part_of_the_package_is_missing(
    run: Any, cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is named, and not the results; what was there stays."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    journal = str(tmp_path / "run.cfsso")
    emulated = ("--emulate", cloud.state)
    assert 0 == run("apply", file, "--yes", "--journal", journal, *emulated).code
    monkeypatch.setattr("cfsso.cli.html_report.resources.files", lambda _package: tmp_path)

    ran = run("report", journal, "--html", str(tmp_path / "page.html"))

    assert (1, "") == (ran.code, ran.out)
    assert ran.err == (
        f"cfsso: {tmp_path / 'report.css'}: No such file or directory: a part of cfsso is"
        " missing: install it again\n"
    )
    assert not (tmp_path / "page.html").exists()


def test_a_stdin_that_can_t_be_read(run: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with the reason; exit 2."""

    def broken() -> bytes:
        raise OSError(errno.EBADF, "Bad file descriptor")

    stdin = SimpleNamespace(buffer=SimpleNamespace(read=broken))
    monkeypatch.setattr("cfsso.cli.named_files.sys", SimpleNamespace(stdin=stdin))

    ran = run("plan", "-", "--emulate", cloud.state)

    assert (2, "cfsso: FILE on stdin: Bad file descriptor\n") == (ran.code, ran.err)


def test_a_former_plan_is_replaced(run: Any, cloud: Any, tmp_path: Path) -> None:
    """Whatever else is missing by then, a plan may stand in the place of a plan."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    out = tmp_path / "the.plan"
    for _ in range(2):
        assert 0 == run("plan", file, "--out", str(out), "--emulate", cloud.state).code

    _files.check_place(out, KIND, {"the token file": tmp_path / "missing"})
    assert is_plan(out.read_bytes())
