"""The command where there is neither `fcntl` nor anything else that only POSIX systems have."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[1] / "helpers" / "without_posix.py"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in needs OFD locks")


@pytest.fixture
def elsewhere(spawn: Any) -> Any:
    """Return what runs the command there to its end: code, objects on stdout, and stderr."""

    def elsewhere(*args: str) -> tuple[int, list[dict[str, Any]], str]:
        process = spawn(*args, "--json", start=("-P", str(PROGRAM)))
        out, err = process.communicate(timeout=50)
        assert "Traceback" not in err
        return process.returncode, [json.loads(line) for line in out.splitlines()], err

    return elsewhere


def statuses(records: list[dict[str, Any]]) -> set[str]:
    """Return how targets ended."""
    return {record["status"] for record in records}


def test_emulated(cloud: Any, elsewhere: Any, tmp_path: Path) -> None:
    """A rehearsal keeps a journal, which can be read; a second one of that name is refused."""
    rollout = cloud.rollout(*(f"{cloud.account},{cloud.add()},true," for _ in range(3)))
    journal = str(tmp_path / "run.cfsso")
    apply = ("apply", rollout, "--emulate", cloud.state, "--journal", journal, "--yes")

    code, records, err = elsewhere(*apply)
    assert (0, {"changed"}) == (code, statuses(records)), err
    code, records, err = elsewhere("report", journal)
    assert (0, {"changed"}) == (code, statuses(records)), err
    code, records, err = elsewhere(*apply)
    assert (2, []) == (code, records)
    assert f"{journal} exists" in err
    code, records, err = elsewhere("resume", journal, "--emulate", cloud.state)
    assert (0, {"changed"}) == (code, statuses(records)), err


def test_over_http(cloud: Any, serve: Any, elsewhere: Any, tmp_path: Path) -> None:
    """A rollout is applied, listed, resumed and taken back."""
    ids = [cloud.add() for _ in range(3)]
    rollout = cloud.rollout(*(f"{cloud.account},{each},true," for each in ids))
    at = ("--base-url", serve(cloud.emulator))
    journal = str(tmp_path / "run.cfsso")

    def enabled() -> list[bool | None]:
        return [connector.enabled for connector in cloud.emulator.connectors(cloud.account)]

    code, records, err = elsewhere("apply", rollout, *at, "--journal", journal, "--yes")
    assert (0, {"changed"}, [True] * 3) == (code, statuses(records), enabled()), err
    code, records, err = elsewhere("runs")
    assert (0, [journal]) == (code, [record["journal"] for record in records]), err
    code, records, err = elsewhere("resume", journal, *at)
    assert (0, {"changed"}) == (code, statuses(records)), err
    code, records, err = elsewhere("revert", journal, *at, "--yes")
    assert (0, {"changed"}, [False] * 3) == (code, statuses(records), enabled()), err


def test_a_run_that_was_killed(
    cloud: Any, serve: Any, spawn: Any, elsewhere: Any, tmp_path: Path
) -> None:
    """While a run lives nobody else writes its journal; when it is killed, it is gone on with."""
    accounts = [cloud.account, *(cloud.emulator.add_account() for _ in range(39))]
    rollout = cloud.rollout(*(f"{each},{cloud.add(account=each)},true," for each in accounts))
    at = ("--base-url", serve(cloud.emulator))
    journal = str(tmp_path / "run.cfsso")
    options = ("--journal", journal, "--yes", "--json", "--concurrency", "1")
    first = spawn("apply", rollout, *at, *options, start=("-P", str(PROGRAM)))
    assert "changed" == json.loads(first.stdout.readline())["status"]
    os.kill(first.pid, signal.SIGSTOP)

    code, records, err = elsewhere("resume", journal, *at)
    assert (2, []) == (code, records)
    assert f"{journal} is in use by process {first.pid}" in err
    before = sum(c.enabled is True for a in accounts for c in cloud.emulator.connectors(a))
    assert 40 > before
    first.kill()
    first.communicate()
    code, records, err = elsewhere("resume", journal, *at)

    assert (0, {"changed"}, 40) == (code, statuses(records), len(records)), err
    assert all(c.enabled is True for a in accounts for c in cloud.emulator.connectors(a))


def test_what_is_missing_is_missing(spawn: Any) -> None:
    """The tests above would fail if the program went on with what it must not find."""
    code = (
        "import without_posix; without_posix.leave_posix()\n"
        "for name in without_posix.MISSING:\n"
        "    try: __import__(name)\n"
        "    except ImportError: print(name)\n"
    )
    process = spawn(start=("-c", code), env={"PYTHONPATH": str(PROGRAM.parent)})
    out, err = process.communicate(timeout=50)

    assert ["fcntl", "resource", "termios", "pwd", "grp", "tty", "pty"] == out.split(), err
