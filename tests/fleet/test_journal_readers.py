"""Whoever reads a journal never holds up whoever writes it, and what is read is whole."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journals import begun, connector, ending, intent, reopened, target

from cfsso.fleet import _snapshot, read_journal
from cfsso.fleet._targets import RunKind

_HELPERS = str(Path(__file__).parents[1] / "helpers")

_READ = """
import asyncio, sys
from cfsso.fleet import read_journal

async def main():
    while True:
        async with await read_journal(sys.argv[1]):
            print("read", flush=True)

asyncio.run(main())
"""


@contextlib.contextmanager
def reading(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Let another process read *path* again and again."""
    command = [sys.executable, "-c", _READ, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:  # noqa: S603 - our own
        try:
            assert reader.stdout is not None
            assert b"read\n" == reader.stdout.readline()
            yield reader
        finally:
            reader.kill()
            reader.send_signal(signal.SIGCONT)


@pytest.mark.timeout(120)
async def test_a_reader_that_is_suspended(tmp_path: Path) -> None:
    """Wherever a reader is stopped, as by Ctrl-Z, the run writes on without a wait."""
    path = tmp_path / "j"
    journal = await begun(path, *map(target, range(3000)))
    chance = random.Random(7)  # noqa: S311 - moments of a test
    longest = 0.0
    with reading(path) as reader:
        for number in range(20):
            reader.send_signal(signal.SIGCONT)
            until = time.monotonic() + chance.random() / 5
            while time.monotonic() < until:
                await journal.intend(number, intent(number))
            reader.send_signal(signal.SIGSTOP)
            for _ in range(3):
                begin = time.monotonic()
                await journal.intend(number, intent(number))
                longest = max(longest, time.monotonic() - begin)
    await journal.aclose()

    assert longest < 5.0
    assert 3000 == len(await reopened(path))


async def test_a_copy_has_no_lock(tmp_path: Path) -> None:
    """While a reader is open, another program may take the file for itself alone."""
    await (await begun(tmp_path / "j", target(0))).aclose()
    async with await read_journal(tmp_path / "j") as reader:
        with contextlib.closing(sqlite3.connect(tmp_path / "j", timeout=0)) as other:
            other.execute("BEGIN EXCLUSIVE")
        assert 1 == len([one async for one in reader.targets()])


class TestWriters:
    """Whatever a writer does meanwhile, a reader gets a state that there was."""

    async def test_in_the_same_process(self, tmp_path: Path) -> None:
        """Readers come and go while a run commits, and take no lock from it."""
        path = tmp_path / "j"
        journal = await begun(path, *map(target, range(60)))

        async def write() -> None:
            """Commit one by one."""
            for number in range(60):
                await journal.intend(number, intent(number))
                await journal.end({number: ending(number)})

        writing = asyncio.create_task(write())
        seen = [0]
        while not writing.done():
            found = [one.ending is not None for one in await reopened(path)]
            assert sorted(found, reverse=True) == found
            seen.append(sum(found))
        await journal.aclose()

        assert sorted(seen) == seen
        assert 60 == len([one for one in await reopened(path) if one.ending])

    async def test_in_the_middle_of_a_transaction(self, tmp_path: Path) -> None:
        """What is written and not committed is taken back in the copy, and in the copy alone."""
        path = tmp_path / "j"
        journal = await begun(path, target(0))
        seen: list[Any] = []

        async def targets() -> Any:
            """Write more than SQLite keeps in memory, and read meanwhile."""
            for position in range(4000):
                yield target(position, expected=connector(0))
            assert path.with_name("j-journal").stat().st_size
            before = path.read_bytes()
            seen.extend(await reopened(path))
            assert before == path.read_bytes()

        await journal.begin(targets(), kind=RunKind.REVERT)
        await journal.aclose()

        assert [target(0)] == seen
        assert 4000 == len(await reopened(path))

    async def test_a_transaction_that_ends_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A copy that a commit came into is made again."""
        path = tmp_path / "j"
        journal = await begun(path, target(0))
        copied, copies = _snapshot._copied, 0

        def slowly(source: int, rollback: int | None) -> Any:
            """Let two commits come while a copy is made, one of which is open at its begin."""
            nonlocal copies
            copies += 1
            copy = copied(source, rollback)
            if copies < 3:
                with contextlib.closing(sqlite3.connect(path)) as other:
                    other.execute("PRAGMA user_version=2")
                    other.execute("UPDATE owner SET one=?", [copies + 1])
                    other.execute("UPDATE owner SET one=1")
                    other.commit()
            return copy

        monkeypatch.setattr(_snapshot, "_copied", slowly)
        assert [target(0)] == await reopened(path)
        assert 3 == copies
        await journal.aclose()


def test_a_transaction_that_has_ended_is_not_copied(tmp_path: Path) -> None:
    """What was to be rolled back belongs to no transaction any more once its file is gone."""
    path = tmp_path / "j-journal"
    path.touch()
    with path.open("rb") as rollback:
        _snapshot._need_the_same_transaction(rollback.fileno())
        path.unlink()
        with pytest.raises(_snapshot._Moved):
            _snapshot._need_the_same_transaction(rollback.fileno())
