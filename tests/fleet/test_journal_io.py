"""Whatever a disk does: what was acknowledged is in the journal, or JournalError is raised."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from failing_vfs import FailingVfs, Fault, failing_vfs
from journals import ending, everything, feed, intent, target

import cfsso
from cfsso.fleet._journal import Journal
from cfsso.fleet._targets import RunKind, Target

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def vfs() -> Iterator[FailingVfs]:
    """Return what lets SQLite's operations fail."""
    with failing_vfs() as found:
        if found is None:
            pytest.skip("the symbols of this Python's SQLite can't be found")
        yield found


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder in memory, if this system has one."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - memory, no file
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@attrs.define
class _Run:
    """
    A run of six targets, on a disk that may fail.

    Attributes:
        path: Where its journal is.
        known: What was acknowledged: "begun", "intent 3", "ending 3", ...
        failed: Whether a write failed; each one after it has to fail as well.
    """

    path: Path
    known: set[str] = attrs.field(factory=set)
    failed: bool = False

    async def go(self) -> None:
        """Create, begin, intend, end and finish, whatever comes."""
        try:
            journal = await Journal.create(self.path)
        except cfsso.InvalidRequestError:
            self.failed = True
            return
        journal.count("token")
        await self._try("begun", journal.begin(feed(map(target, range(6))), kind=RunKind.APPLY))
        if "begun" in self.known:
            await self._records(journal)
        await journal.aclose()
        await journal.aclose()

    async def _records(self, journal: Journal) -> None:
        await asyncio.gather(
            *(self._try(f"intent {n}", journal.intend(n, intent(n))) for n in range(4))
        )
        await self._try("taken back 3", journal.forget(3))
        endings = {n: ending(n, "unknown" if n else "changed") for n in (0, 1)}
        await asyncio.gather(
            self._try("ending 0", journal.end(endings)),
            self._try("intent 4", journal.intend(4, intent(4))),
        )
        await self._try("ending 1", journal.end({1: ending(1)}))
        await self._try("finished", journal.finish())

    async def _try(self, name: str, write: Awaitable[Any]) -> None:
        failed = self.failed
        try:
            await write
        except cfsso.JournalError as error:
            self.failed = True
            text = str(error)
            assert text.startswith(f"{self.path}: can't be written: "), text
            assert text.endswith(("then resume it", "then start again")), text
        else:
            assert not failed, f"{name} was acknowledged after a failure"
            self.known.add(name)

    async def check(self) -> None:
        """Compare the file with what was acknowledged; what was in doubt may be there too."""
        if "begun" not in self.known:
            # Nothing was sent, so its name is free again.
            journal = await Journal.create(self.path)
            await journal.aclose()
            return
        journal = await Journal.open(self.path)
        found = _facts(await everything(journal), journal)
        await journal.aclose()
        # A later record stands for an earlier one.
        stale = {"intent 3"} if "taken back 3" in found else set[str]()
        assert self.known - stale <= found, self.known - found
        assert self.failed or self.known == found | stale


def _facts(targets: list[Target], journal: Journal) -> set[str]:
    facts = {"begun"} | ({"finished"} if journal.run.ended else set[str]())
    for one in targets:
        n = one.position
        assert one.intent is None or one.intent == intent(n, one.intent.number)
        facts |= {f"intent {n}"} if one.intent else set[str]()
        if one.ending is not None:
            facts |= {"ending 0"} if n == 0 else {f"ending {n}"} if not one.is_open else set[str]()
    if "intent 2" in facts and "intent 3" not in facts:
        facts.add("taken back 3")
    return facts


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("fault", Fault)
async def test_every_operation_fails(
    folder: Path, vfs: FailingVfs, fault: Fault, *, for_ever: bool
) -> None:
    """Whichever operation fails, nothing that was acknowledged is lost."""
    number, failed = 0, 1
    while failed:
        number += 3 if for_ever else 1
        run = _Run(folder / f"{number}.cfsso")
        vfs.arm(fault, number, for_ever=for_ever)
        await run.go()
        failed = vfs.failed
        vfs.heal()
        assert failed or not run.failed
        await run.check()

    # There was something to fail: more than one operation a commit.
    assert (8 if fault is Fault.DELETE else 16) < number


async def test_power(folder: Path, vfs: FailingVfs) -> None:
    """No loss of power brings a rollback journal back, which would undo what was committed."""
    await _Run(folder / "run.cfsso").go()

    assert 8 <= len(vfs.deletions)
    assert all(vfs.deletions)


async def test_a_full_disk(folder: Path, vfs: FailingVfs) -> None:
    """Whoever waits for the commit that failed hears of it, and so does everybody later."""
    path = folder / "run.cfsso"
    journal = await Journal.create(path)
    await journal.begin(feed(map(target, range(9))), kind=RunKind.APPLY)
    await journal.intend(8, intent(8))
    vfs.arm(Fault.FULL, 3)

    first = [asyncio.create_task(journal.intend(n, intent(n))) for n in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = [asyncio.create_task(journal.intend(n, intent(n))) for n in range(4, 8)]
    results = await asyncio.gather(*first, *second, return_exceptions=True)

    expected = (
        f"{path}: can't be written: the disk is full; nothing is sent whose intent is not in the"
        " journal: free space, then resume it"
    )
    assert [expected] * 8 == [str(result) for result in results]
    assert 8 == len(set(map(id, results)))
    for write in (journal.finish(), journal.begin(feed([]), kind=RunKind.REVERT)):
        with pytest.raises(cfsso.JournalError, match="disk is full"):
            await write
    assert 1 == vfs.failed
    assert [target(8, intent=intent(8, 1))] == await journal.in_flight()
    journal.count("token")
    await journal.aclose()
    assert [target(8, intent=intent(8, 1))] == await _in_flight(path)


async def test_what_sqlite_does_not_take(folder: Path) -> None:
    """A commit that fails for another reason leaves nothing that only looks written."""
    journal = await Journal.create(folder / "run.cfsso")
    await journal.begin(feed(map(target, range(2))), kind=RunKind.APPLY)
    odd = attrs.evolve(intent(1), body="\ud800")

    results = await asyncio.gather(
        journal.intend(0, intent(0)), journal.intend(1, odd), return_exceptions=True
    )

    assert [cfsso.JournalError] * 2 == [type(result) for result in results]
    assert [] == await journal.in_flight()
    await journal.aclose()


async def _in_flight(path: Path) -> list[Target]:
    journal = await Journal.open(path)
    found = await journal.in_flight()
    await journal.aclose()
    return found


async def test_a_temporary_one(vfs: FailingVfs) -> None:
    """A temporary journal says that there is nothing to resume."""
    journal = await Journal.create(None)
    vfs.arm(Fault.WRITE, 1)

    with pytest.raises(cfsso.JournalError) as caught:
        await journal.begin(feed(map(target, range(20_000))), kind=RunKind.APPLY)

    assert (
        "the temporary journal: can't be written: its disk fails; nothing is sent whose intent is"
        " not in the journal: see that the disk works, then start again"
    ) == str(caught.value)
    await journal.aclose()


async def test_the_last_counts(folder: Path, vfs: FailingVfs) -> None:
    """Closing never fails, even if what is left can't be written."""
    journal = await Journal.create(folder / "run.cfsso")
    await journal.begin(feed([target(0)]), kind=RunKind.APPLY)
    journal.count("token")
    vfs.arm(Fault.FULL, 1, for_ever=True)
    await journal.aclose()

    assert 1 <= vfs.failed
    vfs.heal()
    journal = await Journal.open(folder / "run.cfsso")
    assert [] == await journal.activity()
    await journal.aclose()


async def test_opening(folder: Path, vfs: FailingVfs) -> None:
    """Nobody goes on with a journal that can't be owned in writing; afterwards it can be."""
    path = folder / "run.cfsso"
    journal = await Journal.create(path)
    await journal.begin(feed([target(0)]), kind=RunKind.APPLY)
    await journal.aclose()
    vfs.arm(Fault.SYNC, 1, for_ever=True)
    journal = await Journal.open(path)

    for use in (journal.pages, journal.finish):
        with pytest.raises(cfsso.InvalidRequestError) as caught:
            await use()
        assert (
            f"{path}: can't be written: its disk fails: see that the disk works; nothing was"
            in (str(caught.value))
        )
    await journal.aclose()
    vfs.heal()
    assert [] == await _in_flight(path)


_LIMITED = """
import asyncio, resource, signal, sys
sys.path.insert(0, sys.argv[2])
import cfsso
from cfsso.fleet._journal import Journal
from cfsso.fleet._targets import RunKind
from journals import feed, intent, target

async def main():
    journal = await Journal.create(sys.argv[1])
    await journal.begin(feed(map(target, range(100))), kind=RunKind.APPLY)
    size = 120_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    for n in range(100):
        try:
            await journal.intend(n, intent(n))
        except cfsso.JournalError as error:
            print(n, error)
            break
    await journal.aclose()

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
"""


async def test_a_real_limit(tmp_path: Path) -> None:
    """A process that may write no more has in its journal what was acknowledged, no less."""
    path = tmp_path / "run.cfsso"
    helpers = str(Path(__file__).parents[1] / "helpers")
    command = [sys.executable, "-c", _LIMITED, str(path), helpers]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603, ASYNC221 - ours
    number, _, text = done.stdout.partition(" ")

    assert "" == done.stderr
    assert f"{path}: can't be written: " in text
    found = [one.position for one in await _in_flight(path)]
    assert 1 < int(number) < 100
    assert [*range(int(number))] == found[: int(number)]
    assert int(number) + 1 >= len(found)
