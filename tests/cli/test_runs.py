"""`cfsso runs`, and `last` in place of a journal."""

import datetime as dt
import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest

import cfsso
from cfsso.cli import runs
from cfsso.fleet import Run, RunKind
from cfsso.fleet._journal import Journal


@pytest.fixture
def files(cloud: Any, hooked: Any) -> list[str]:
    """Return files that each enable one connector of an account; requests reach the cloud."""
    found = []
    for number in range(3):
        file = Path(cloud.rollout(f"{cloud.account},{cloud.add()},true,"))
        found.append(str(file.rename(file.with_name(f"rollout-{number}.csv"))))
    hooked(lambda _: None)
    return found


def listed(run: Any) -> list[dict[str, Any]]:
    """Return what `cfsso runs` says."""
    ran = run("runs", "--json")
    assert (0, "") == (ran.code, ran.err)
    return list(ran.records)


def test_no_runs(run: Any) -> None:
    """Where none was ever made, it says so; no token is needed."""
    ran = run("runs")

    assert (0, "", "cfsso: no journals\n") == (ran.code, ran.out, ran.err)
    assert [] == listed(run)


def test_runs_are_listed_the_latest_first(run: Any, files: list[str], tmp_path: Path) -> None:
    """Those without a name and those with one are there, with what became of them."""
    named = tmp_path / "elsewhere" / "named.cfsso"
    named.parent.mkdir()
    assert 0 == run("apply", files[0], "--yes").code
    assert 0 == run("apply", files[1], "--yes", "--journal", str(named)).code
    assert 0 == run("apply", files[2], "--yes").code
    assert 0 == run("revert", str(named), "--yes").code

    found = listed(run)

    assert ["revert", "apply", "apply"] == [entry["run"] for entry in found]
    assert str(named) == found[0]["journal"]
    assert ["finished"] * 3 == [entry["state"] for entry in found]
    assert [{"changed": 1}] * 3 == [entry["counts"] for entry in found]
    shown = run("runs").out
    assert f"journal       {named}\nrun           revert of run 1\nbegun         2" in shown
    assert "outcomes      1 changed\nstate         finished\n" in shown


def test_a_journal_that_has_gone_is_left_out(run: Any, files: list[str], tmp_path: Path) -> None:
    """What was removed is skipped, and found again once it is back."""
    named = tmp_path / "named.cfsso"
    assert 0 == run("apply", files[0], "--yes", "--journal", str(named)).code

    named.rename(tmp_path / "away")
    assert [] == listed(run)
    (tmp_path / "away").rename(named)

    assert [str(named)] == [entry["journal"] for entry in listed(run)]


def test_how_a_run_stands(run: Any, files: list[str], tmp_path: Path) -> None:
    """Unreadable ones are named with the reason, and one that somebody holds is in use."""
    folder = tmp_path / "state" / "cfsso"
    assert 0 == run("apply", files[0], "--yes").code
    (whole,) = folder.glob("*.cfsso")
    (folder / "broken.cfsso").write_bytes(whole.read_bytes()[:5000])
    (folder / "empty.cfsso").touch()
    (folder / "a folder.cfsso").mkdir()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.cfsso")}

    states = {Path(entry["journal"]).name: entry for entry in listed(run)}

    assert {whole.name, "broken.cfsso", "empty.cfsso"} == set(states)
    assert "unreadable" == states["broken.cfsso"]["state"]
    assert str(folder / "broken.cfsso") in states["broken.cfsso"]["problem"]
    assert f"state         unreadable: {folder / 'broken.cfsso'}" in run("runs").out
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*.cfsso")}


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system shows no locks")
def test_a_run_that_was_cut_off(
    run: Any, cloud: Any, files: list[str], tmp_path: Path, hooked: Any
) -> None:
    """It can be resumed, unless somebody is at it."""
    import signal

    def stop(request: cfsso.Request) -> None:
        if request.is_write:
            signal.raise_signal(signal.SIGINT)

    hooked(stop)
    journal = str(tmp_path / "run.cfsso")
    with Path(files[0]).open("a", encoding="utf-8") as file:
        file.write(Path(files[1]).read_text("utf-8").splitlines()[1] + "\n")
    assert 130 == run("apply", files[0], "--yes", "--journal", journal, "--concurrency", "1").code

    assert ["can be resumed"] == [entry["state"] for entry in listed(run)]
    with open(journal, "rb") as held:  # noqa: PTH123 - as a run holds it
        fcntl.flock(held, fcntl.LOCK_EX)
        assert ["in use"] == [entry["state"] for entry in listed(run)]
    del cloud


def test_last_is_the_latest_run(run: Any, files: list[str], tmp_path: Path) -> None:
    """Wherever a journal is asked for it stands for the latest one, which is named."""
    named = str(tmp_path / "named.cfsso")
    assert 0 == run("apply", files[0], "--yes").code
    assert 0 == run("apply", files[1], "--yes", "--journal", named).code

    for command in (("report", "last"), ("resume", "last"), ("revert", "last", "--yes")):
        ran = run(*command)
        assert 0 == ran.code
        assert ran.err.startswith(f"cfsso: last is {named}: apply of 2")

    assert "revert of run 1" in run("report", "last").out
    assert ["revert", "apply"] == [entry["run"] for entry in listed(run)]


def test_a_file_that_is_called_last(
    run: Any, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its folder it is a file, and so the hints have it."""
    monkeypatch.chdir(tmp_path)

    ran = run("apply", files[0], "--yes", "--journal", "last")

    assert "`cfsso revert ./last` takes it back" in ran.err
    assert 0 == run("revert", "./last", "--yes").code


def test_there_is_no_last_run(run: Any, tmp_path: Path) -> None:
    """Nothing to stand for is refused; exit 2."""
    (tmp_path / "state" / "cfsso").mkdir(parents=True)
    (tmp_path / "state" / "cfsso" / "empty.cfsso").touch()

    ran = run("report", "last")

    assert (2, "cfsso: there is no last run: name a journal\n") == (ran.code, ran.err)


def test_last_is_not_guessed(run: Any, files: list[str], tmp_path: Path) -> None:
    """If a younger file can't be read, an older run is not taken for the last; exit 2."""
    folder = tmp_path / "state" / "cfsso"
    assert 0 == run("apply", files[0], "--yes").code
    (whole,) = folder.glob("*.cfsso")
    (folder / "broken.cfsso").write_bytes(whole.read_bytes()[:5000])

    ran = run("revert", "last", "--yes")

    assert 2 == ran.code
    assert "cfsso: which run is the last can't be known: " in ran.err
    assert ran.err.endswith(": name the journal\n")

    os.utime(folder / "broken.cfsso", (0, 0))
    assert 0 == run("report", "last").code


def test_a_state_folder_that_can_t_be_used(
    run: Any, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A named journal works without one; that it is not listed is no failure."""
    (tmp_path / "state").write_text("a file", "utf-8")
    named = str(tmp_path / "named.cfsso")

    assert 0 == run("apply", files[0], "--yes", "--journal", named).code
    assert [] == listed(run)
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(Path, "home", _homeless)
    assert 0 == run("resume", named).code
    assert [] == listed(run)
    assert 2 == run("apply", files[1], "--yes").code


def _homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_one_file_is_listed_once(run: Any, files: list[str], tmp_path: Path) -> None:
    """A journal that was named by two paths is one."""
    named = tmp_path / "named.cfsso"
    assert 0 == run("apply", files[0], "--yes", "--journal", str(named)).code
    (tmp_path / "link").symlink_to(named)
    assert 0 == run("resume", str(tmp_path / "link")).code

    assert 1 == len(listed(run))
    shutil.rmtree(tmp_path / "state")
    assert [] == listed(run)


def test_a_rescue_among_the_runs(run: Any, cloud: Any, hooked: Any) -> None:
    """It is listed as what it is; one that was cut off can't be resumed."""
    hooked(lambda _: None)
    cloud.add(enabled=True)
    assert 0 == run("break-glass", cloud.account, "--yes").code

    (found,) = listed(run)

    assert ("break-glass", "finished") == (found["run"], found["state"])
    cut = Run(number=1, kind=RunKind.BREAK_GLASS, begun=dt.datetime.now(dt.UTC))
    assert "cut off" == runs._state("/missing", cut, {"unknown": 1})
    over = attrs.evolve(cut, ended=cut.begun)
    assert "finished" == runs._state("/missing", over, {"unknown": 1})


async def test_a_journal_in_which_no_run_began(tmp_path: Path) -> None:
    """It is listed without one; one that has gone meanwhile is unreadable."""
    path = str(tmp_path / "run.cfsso")
    journal = await Journal.create(path)
    shutil.copy(path, f"{path}.copy")
    await journal.aclose()

    found = await runs.entry(f"{path}.copy")
    gone = await runs.entry(path)

    assert ("no run began", None) == (found.state, found.run)
    assert ("unreadable", 0.0) == (gone.state, gone.modified)
    assert found.when > gone.when


def test_last_is_by_when_a_run_began(run: Any, files: list[str], tmp_path: Path) -> None:
    """A file that was touched later is no later run, nor one without a run."""
    first, second = (str(tmp_path / name) for name in ("1.cfsso", "2.cfsso"))
    assert 0 == run("apply", files[0], "--yes", "--journal", first).code
    assert 0 == run("apply", files[1], "--yes", "--journal", second).code
    later = Path(second).stat().st_mtime + 60
    os.utime(first, (later, later))

    assert f"cfsso: last is {second}: " in run("report", "last").err
    os.utime(second, (later + 60, later + 60))
    assert f"cfsso: last is {second}: " in run("report", "last").err


def test_whose_lock_it_is(
    run: Any, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is in use only if the lock that the system lists is that of its own file."""
    named = tmp_path / "named.cfsso"
    assert 0 == run("apply", files[0], "--yes", "--journal", str(named)).code
    status = named.stat()
    own = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    locks = tmp_path / "locks"
    monkeypatch.setattr(runs, "_LOCKS", locks)

    locks.write_text(
        f"1: POSIX  ADVISORY  WRITE 7 {own} 0 EOF\n2: FLOCK  ADVISORY  WRITE 8 08:01:1 0 EOF\n"
    )
    assert not runs._is_locked(str(named))
    locks.write_text(
        f"1: FLOCK  ADVISORY  WRITE 8 08:01:1 0 EOF\n2: FLOCK  ADVISORY  WRITE 7 {own} 0 EOF\n"
    )
    assert runs._is_locked(str(named))
