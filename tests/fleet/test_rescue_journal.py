"""The journal of a rescue: what it holds, and that it never delays anybody, whatever happens."""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from failing_vfs import Fault, failing_vfs
from journals import begun, connector, target

import cfsso
from cfsso.fleet import Change, Outcome, RunKind, _rescue_journal, read_journal, resume, revert
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._rescue_journal import RescueJournal
from cfsso.fleet._store import Store

pytestmark = pytest.mark.virtual_time

ACCOUNT = "a" * 32


def on(number: int) -> cfsso.SSOConnector:
    """Return a connector that keeps people out."""
    return connector(number, enabled=True)


def outcome(number: int, status: str = "changed", **fields: Any) -> Outcome:
    """Return what became of a connector."""
    known: dict[str, Any] = {"before": on(number), "after": connector(number), "attempts": 1}
    change = Change(ACCOUNT, f"{number:032x}", enabled=False)
    return Outcome(change=change, status=Status(status), **(known | fields))


def start(path: Path, **options: Any) -> RescueJournal:
    """Begin a journal."""
    return RescueJournal.start(path, server="", options={}, **options)


async def statuses(path: Path) -> list[str]:
    """Return how the targets of a journal ended, in their order."""
    async with await read_journal(path) as reader:
        return [str(one.outcome.status) async for one in reader.targets()]


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


def warnings(caplog: pytest.LogCaptureFixture, path: Path | None = None) -> list[str]:
    """Return what was said about the record; that of *path* alone, if others may be writing."""
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return said if path is None else [line for line in said if f"{path}: " in line]


async def test_a_whole_rescue(tmp_path: Path) -> None:
    """Its file is the journal of a finished run, with what was found before each write."""
    journal = RescueJournal.start(
        tmp_path / "j", server="https://a.example", options={"domain": None}
    )
    for number in range(3):
        journal.intend(ACCOUNT, on(number))
    whole = Outcome(change=Change("b" * 32, "", enabled=False), status=Status.FAILED)
    outcomes = [outcome(0), outcome(1, "unknown"), outcome(2), outcome(3, "unchanged"), whole]
    for one in outcomes:
        journal.end(one)
    await journal.aclose()
    await journal.aclose()

    assert "" == journal.problem
    assert str(tmp_path / "j") == journal.path
    async with await read_journal(tmp_path / "j") as reader:
        (run,) = reader.runs
        recorded = [one async for one in reader.targets()]
    assert outcomes == [one.outcome for one in recorded]
    assert [True] * 3 + [False] * 2 == [one.intended is not None for one in recorded]
    assert (RunKind.BREAK_GLASS, 5, 3, "https://a.example") == (
        run.kind,
        run.total,
        run.written,
        run.server,
    )
    assert run.ended is not None


async def test_what_was_not_sent(tmp_path: Path) -> None:
    """An intent of which nothing was sent is taken back, so that no revert takes it up."""
    journal = start(tmp_path / "j")
    journal.intend(ACCOUNT, on(0))
    journal.end(outcome(0, "not_attempted", after=None))
    journal.end(outcome(1, "not_attempted", after=None))
    await journal.aclose()

    async with await read_journal(tmp_path / "j") as reader:
        recorded = [one async for one in reader.targets()]
    assert [(Status.NOT_ATTEMPTED, None)] * 2 == [
        (one.outcome.status, one.intended) for one in recorded
    ]
    cloud = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cfsso.CloudflareEmulator()))
    assert [] == [one async for one in revert(cloud, tmp_path / "j")]


async def test_a_rescue_that_is_cut_off(tmp_path: Path) -> None:
    """What has an intent and no ending is unknown, and the run has not ended."""
    journal = start(tmp_path / "j")
    journal.intend(ACCOUNT, on(0))
    journal.intend(ACCOUNT, on(1))
    journal.end(outcome(1))
    await journal.aclose()

    async with await read_journal(tmp_path / "j") as reader:
        recorded = [one.outcome async for one in reader.targets()]
        assert reader.latest.ended is None
    assert [Status.UNKNOWN, Status.CHANGED] == [one.status for one in recorded]
    assert (
        "under way when the record ended: break the glass again, or revert it" == recorded[0].note
    )


async def test_no_resume(tmp_path: Path) -> None:
    """A rescue is not resumed; the refusal says what to do, and leaves the file as it is."""
    journal = start(tmp_path / "j")
    journal.intend(ACCOUNT, on(0))
    await journal.aclose()
    before = (tmp_path / "j").read_bytes()
    cloud = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cfsso.CloudflareEmulator()))

    with pytest.raises(cfsso.InvalidRequestError) as caught:
        _ = [one async for one in resume(cloud, tmp_path / "j")]

    assert (
        f"{tmp_path / 'j'} is the journal of a rescue: break the glass again, or revert it"
    ) == str(caught.value)
    assert before == (tmp_path / "j").read_bytes()


@pytest.mark.parametrize("keep", [False, True])
async def test_nothing_to_write(tmp_path: Path, *, keep: bool) -> None:
    """A record in which nothing was intended stays only if it was asked for by name."""
    journal = start(tmp_path / "j", keep=keep)
    journal.end(outcome(0, "unchanged"))
    await journal.aclose()
    written = start(tmp_path / "written", keep=keep)
    written.intend(ACCOUNT, on(0))
    await written.aclose()

    assert ["j"] * keep + ["written"] == names(tmp_path)


async def test_many(tmp_path: Path) -> None:
    """Thousands of records are taken at once, and share commits."""
    journal = start(tmp_path / "j")
    for number in range(3000):
        journal.intend(ACCOUNT, on(number))
        journal.end(outcome(number))
    await journal.aclose(timeout=60)

    assert ["changed"] * 3000 == await statuses(tmp_path / "j")
    assert 200 > int.from_bytes((tmp_path / "j").read_bytes()[24:28], "big")


class TestTrouble:
    """What goes wrong is said once, and delays nobody."""

    @pytest.mark.parametrize("name", ["", "a\0b", 7])
    async def test_no_name(self, name: Any) -> None:
        """What is no name of a file is refused at once."""
        with pytest.raises(cfsso.InvalidRequestError):
            RescueJournal.start(name, server="", options={})

    async def test_a_file_that_exists(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is left alone, even if another process holds it, and the rescue goes on."""
        held = await begun(tmp_path / "j", target(0))
        before = (tmp_path / "j").read_bytes()
        journal = start(tmp_path / "j")
        journal.intend(ACCOUNT, on(0))
        await journal.aclose()
        journal.end(outcome(0))

        problem = f"{tmp_path / 'j'} exists: resume it if it is a journal, or give another name"
        assert problem == journal.problem
        assert [f"the record of this rescue is not complete: {problem}"] == warnings(caplog)
        assert before == (tmp_path / "j").read_bytes()
        await held.aclose()

    async def test_no_folder(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A file that can't be made is no reason not to go on."""
        journal = start(tmp_path / "nowhere" / "j")
        await journal.aclose()

        assert "No such file or directory: make its folder, or give another name" in journal.problem
        assert 1 == len(warnings(caplog))

    async def test_locks_that_fail(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nor is a file system without locks."""

        def flock(_descriptor: int, _operation: int) -> None:
            raise BlockingIOError

        monkeypatch.setattr(fcntl, "flock", flock)
        journal = start(tmp_path / "j")
        await journal.aclose()

        assert "" != journal.problem
        assert 1 == len(warnings(caplog))
        assert [] == names(tmp_path)

    @pytest.mark.parametrize("fault", Fault)
    async def test_every_operation_fails(
        self, tmp_path: Path, fault: Fault, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whichever operation of the disk fails, it is said once, and the file can be read."""
        number, failed = 0, 1
        with failing_vfs() as vfs:
            if vfs is None:
                pytest.skip("the symbols of this Python's SQLite can't be found")
            while failed:
                number += 2
                caplog.clear()
                path = tmp_path / f"{number}"
                vfs.arm(fault, number, for_ever=True)
                journal = start(path)
                journal.intend(ACCOUNT, on(0))
                await asyncio.sleep(0)
                journal.end(outcome(0))
                await journal.aclose(timeout=30)
                failed = vfs.failed
                vfs.heal()
                assert bool(journal.problem) == bool(warnings(caplog, path))
                assert 1 >= len(warnings(caplog, path))
                assert failed or not journal.problem
                if path.exists():
                    assert await statuses(path) in ([], ["unknown"], ["changed"])
        assert 4 < number

    async def test_a_disk_that_hangs(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing waits for it but the end, and that not for long; memory stays bounded."""
        monkeypatch.setattr(_rescue_journal, "_MOST", 100)
        with hanging() as (hangs, go_on):
            journal = start(tmp_path / "j")
            journal.intend(ACCOUNT, on(0))
            hangs.wait()
            for number in range(1, 150):
                journal.intend(ACCOUNT, on(number))
            problem = journal.problem
            await journal.aclose(timeout=0.05)

            assert f"{tmp_path / 'j'}: its disk does not answer" == problem == journal.problem
            assert [f"the record of this rescue is not complete: {problem}"] == warnings(caplog)
            go_on.set()
            await journal.aclose(timeout=30)
        found = await statuses(tmp_path / "j")
        assert {"unknown"} == set(found)
        # The first one may have been among those that wait.
        assert len(found) in {100, 101}

    async def test_a_disk_that_hangs_at_the_end(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The end waits as long as it is told, and says that the record may lack something."""
        with hanging() as (_, go_on):
            journal = start(tmp_path / "j")
            journal.intend(ACCOUNT, on(0))
            await journal.aclose(timeout=0.05)

            assert f"{tmp_path / 'j'}: its disk has not answered for 0.05 s" == journal.problem
            assert 1 == len(warnings(caplog))
            go_on.set()
            await journal.aclose(timeout=30)

    async def test_who_is_cancelled_at_the_end(self, tmp_path: Path) -> None:
        """Whoever is cancelled while waiting for the disk goes at once."""
        with hanging() as (_, go_on):
            journal = start(tmp_path / "j")
            closing = asyncio.create_task(journal.aclose(timeout=30))
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            go_on.set()


@contextlib.contextmanager
def hanging() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Let the disk hang as soon as something is committed, until it may go on."""
    hangs, go_on = threading.Event(), threading.Event()
    commit = Store.commit

    def slowly(store: Store, *args: Any) -> Any:
        hangs.set()
        go_on.wait()
        return commit(store, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "commit", slowly)
        try:
            yield hangs, go_on
        finally:
            go_on.set()


_STUCK = """
import asyncio, os, sys, threading
sys.path.insert(0, sys.argv[2])
from journals import connector
from cfsso.fleet._rescue_journal import RescueJournal
from cfsso.fleet._store import Store

if sys.argv[3] == "stuck":
    Store.seal = lambda *_: threading.Event().wait()

async def main():
    journal = RescueJournal.start(sys.argv[1], server="", options={})
    for number in range(20):
        journal.intend("a" * 32, connector(number, enabled=True))
    if sys.argv[3] == "stuck":
        await journal.aclose(timeout=0.1)
        print(journal.problem)
        return
    print("begun", flush=True)
    while True:
        number += 1
        journal.intend("a" * 32, connector(number, enabled=True))
        await asyncio.sleep(0.001)

asyncio.run(main())
"""


def _process(path: Path, kind: str) -> "subprocess.Popen[bytes]":
    helpers = Path(__file__).parents[1] / "helpers"
    command = [sys.executable, "-c", _STUCK, str(path), str(helpers), kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - our own


def test_a_process_that_ends_meanwhile(tmp_path: Path) -> None:
    """A disk that never answers does not keep the process from its end."""
    with _process(tmp_path / "j", "stuck") as process:
        said, _ = process.communicate(timeout=30)

    assert 0 == process.returncode
    assert f"{tmp_path / 'j'}: its disk has not answered for 0.1 s" == said.decode().strip()


async def test_a_process_that_is_killed(tmp_path: Path) -> None:
    """Whenever it is killed, what it leaves can be read, and holds intents in their order."""
    for moment in range(4):
        path = tmp_path / f"{moment}"
        with _process(path, "killed") as process:
            assert process.stdout is not None
            assert b"begun\n" == process.stdout.readline()
            while not _has_run(path):
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
        found = await statuses(path)

        assert ["unknown"] * len(found) == found
        async with await read_journal(path) as reader:
            ids = [one.outcome.change.sso_connector_id async for one in reader.targets()]
        assert [f"{number:032x}" for number in range(len(ids))] == ids


def _has_run(path: Path) -> bool:
    """Whether at least two commits were made."""
    with contextlib.suppress(FileNotFoundError):
        return int.from_bytes(path.read_bytes()[24:28], "big") >= 4
    return False
