"""Which files journals are, and who may have one."""

import asyncio
import contextlib
import errno
import fcntl
import os
import platform
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from journals import begun, ending, feed, intent, reopened, target

import cfsso
from cfsso.fleet import _opening
from cfsso.fleet._journal import Journal
from cfsso.fleet._store import Store
from cfsso.fleet._targets import RunKind, Target

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a file that does not exist."""
    return tmp_path / "run.cfsso"


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _content(path: Path) -> bytes:
    return path.read_bytes()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _make(path: Path, content: str | bytes) -> None:
    """Make a file of this content, a folder, a pipe or a link to nowhere."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.parent / "elsewhere")


class TestFiles:
    """Which files are made, opened, removed and refused."""

    async def test_a_new_file(self, path: Path) -> None:
        """Only its user may read a journal; the program's umask does not matter."""
        before = os.umask(0)
        try:
            journal = await begun(path, target(0))
        finally:
            os.umask(before)

        assert str(path) == journal.path
        assert 0o600 == _mode(path)
        await journal.aclose()
        assert ["run.cfsso"] == _names(path.parent)

    @pytest.mark.parametrize("name", ["a b?c#d%41.cfsso", "caf\u00e9", "\udcff.cfsso"])
    async def test_odd_names(self, tmp_path: Path, name: str) -> None:
        """Any name that a file can have will do."""
        journal = await begun(tmp_path / name, target(0))
        await journal.aclose()

        assert [name] == _names(tmp_path)
        assert [target(0)] == await reopened(tmp_path / name)

    async def test_a_relative_name(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative name is taken from the folder in which the journal was made."""
        monkeypatch.chdir(path.parent)
        journal = await begun(Path(path.name), target(0))
        monkeypatch.chdir("/")
        await journal.intend(0, intent(0))
        await journal.aclose()

        assert "run.cfsso" == journal.path
        assert ["run.cfsso"] == _names(path.parent)

    async def test_an_existing_file(self, path: Path) -> None:
        """A file that exists is refused, and stays as it is; the refusal says how to go on."""
        _make(path, b"precious")

        with pytest.raises(cfsso.InvalidRequestError) as caught:
            await Journal.create(path)

        assert (f"{path} exists: resume it if it is a journal, or give another name") == str(
            caught.value
        )
        assert b"precious" == _content(path)

    async def test_a_link_to_nowhere(self, path: Path) -> None:
        """No journal is made where a link leads."""
        _make(path, "link")

        with pytest.raises(cfsso.InvalidRequestError, match="exists"):
            await Journal.create(path)
        assert ["run.cfsso"] == _names(path.parent)

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("", "'' is no name of a file"),
            ("a\0b", r"'a\\x00b' is no name of a file"),
            (7, "a journal must be a str or a path, not int"),
            ("nowhere/run.cfsso", "nowhere/run.cfsso: No such file or directory"),
            ("\ud800", r"'\\ud800' is no name of a file"),
        ],
    )
    @pytest.mark.parametrize("make", [Journal.create, Journal.open])
    async def test_no_name(
        self,
        make: Callable[[Any], Coroutine[Any, Any, Journal]],
        name: Any,
        problem: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """What is no name of a file that can be is refused in one line."""
        monkeypatch.chdir(tmp_path)

        with pytest.raises(cfsso.InvalidRequestError, match=problem):
            await make(name)

    async def test_nothing_began(self, path: Path) -> None:
        """A journal in which no run began is removed, so that its name is free again."""
        journal = await Journal.create(path)
        await journal.aclose()

        assert [] == _names(path.parent)

    async def test_a_temporary_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A temporary journal does the same, and no file is seen of it."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
        journal = await begun(None, *map(target, range(3000)))
        await journal.intend(0, intent(0))
        await journal.end({0: ending(0)})

        assert "" == journal.path
        assert {"changed": 1, None: 2999} == await journal.counts()
        assert [] == _names(tmp_path)
        await journal.aclose()

    async def test_closed(self, path: Path) -> None:
        """Closing waits for what is under way, and may be repeated; afterwards all is refused."""
        journal = await begun(path, *map(target, range(3)))
        writing = [asyncio.create_task(journal.intend(n, intent(n))) for n in range(2)]
        # Until a commit is under way, so that the third one has to wait for the next.
        for _ in range(3):
            await asyncio.sleep(0)
        writing.append(asyncio.create_task(journal.intend(2, intent(2))))
        await asyncio.sleep(0)
        await asyncio.gather(journal.aclose(), journal.aclose())
        await journal.aclose()

        assert [None] * 3 == await asyncio.gather(*writing)
        for use in (journal.finish, journal.pages, journal.in_flight):
            with pytest.raises(cfsso.InvalidRequestError, match=r"run\.cfsso is closed"):
                await use()
        assert 3 == len(await reopened(path))

    async def test_missing(self, path: Path) -> None:
        """A file that is not there is not made by opening it."""
        for readonly in (False, True):
            with pytest.raises(cfsso.InvalidRequestError, match="No such file or directory"):
                await Journal.open(path, readonly=readonly)
        assert [] == _names(path.parent)

    @pytest.mark.parametrize("readonly", [False, True])
    @pytest.mark.parametrize("content", ["folder", "pipe", b"", b"a,b\n" * 300])
    async def test_no_journal(self, path: Path, content: str | bytes, *, readonly: bool) -> None:
        """A file of another kind is called so, and stays as it is."""
        _make(path, content)

        with pytest.raises(cfsso.InvalidRequestError, match=r"run\.cfsso is no journal of cfsso"):
            await Journal.open(path, readonly=readonly)
        assert isinstance(content, str) or content == _content(path)

    async def test_another_database(self, path: Path) -> None:
        """A database of another program is no journal."""
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE runs (number)")

        with pytest.raises(cfsso.InvalidRequestError, match="is no journal of cfsso"):
            await Journal.open(path)

    async def test_a_newer_format(self, path: Path) -> None:
        """A journal of a later version is left to it."""
        await (await begun(path, target(0))).aclose()
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version=3")

        with pytest.raises(
            cfsso.InvalidRequestError, match="format 3, and this cfsso reads 2: upg"
        ):
            await Journal.open(path)

    async def test_reading_only(self, path: Path) -> None:
        """A reader has what stood there when it opened the journal, and can't write."""
        journal = await begun(path, target(0), target(1))
        await journal.end({0: ending(0)})
        reader = await Journal.open(path, readonly=True)
        await journal.end({1: ending(1)})

        assert [target(0, ending=ending(0))] == await reader.endings()
        for write in (reader.finish(), reader.begin(feed([]), kind=RunKind.APPLY)):
            with pytest.raises(cfsso.InvalidRequestError, match="was opened for reading only"):
                await write
        reader.count("a")
        await reader.aclose()
        await journal.aclose()


class TestOwners:
    """One process at a time may write."""

    async def test_two_in_one_process(self, path: Path) -> None:
        """A journal that is held is refused with its owner named; afterwards it is free."""
        journal = await begun(path, target(0))

        with pytest.raises(cfsso.InvalidRequestError) as caught:
            await Journal.open(path)

        assert str(caught.value).startswith(
            f"{path} is in use by process {os.getpid()} on {platform.node()} since 20"
        )
        assert str(caught.value).endswith(" UTC: wait for it to end")
        await journal.intend(0, intent(0))
        await journal.aclose()
        journal = await Journal.open(path)
        assert [target(0, intent=intent(0, 1))] == await journal.in_flight()
        await journal.aclose()

    async def test_what_a_refusal_leaves(self, path: Path) -> None:
        """Being refused takes no lock of SQLite from the owner in the same process."""
        found: list[str] = []

        async def targets() -> AsyncIterator[Target]:
            yield target(0)
            with pytest.raises(cfsso.InvalidRequestError, match="is in use by process"):
                await Journal.open(path)
            found.append(_try_to_write(path))

        journal = await begun(path, target(0))
        await journal.begin(targets(), kind=RunKind.REVERT)
        await journal.aclose()

        assert ["database is locked"] == found
        assert "" == _try_to_write(path)

    async def test_an_owner_that_is_killed(self, path: Path) -> None:
        """A process that holds it is named; once it is killed, nobody has to lend a hand."""
        await (await begun(path, target(0))).aclose()
        with _holding(path) as owner:
            before = _content(path)
            with pytest.raises(cfsso.InvalidRequestError, match=f"in use by process {owner.pid} "):
                await Journal.open(path)
            assert before == _content(path)
            reader = await Journal.open(path, readonly=True)
            await reader.aclose()
            owner.send_signal(signal.SIGKILL)
            owner.wait()
            journal = await Journal.open(path)
        assert [target(0, intent=intent(0, 1))] == await journal.in_flight()
        await journal.aclose()

    async def test_an_owner_without_a_name(self, path: Path) -> None:
        """What holds the lock and has not said who it is, is another process."""
        await (await begun(path, target(0))).aclose()
        with path.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b"no SQLite any more")
            file.flush()
            with pytest.raises(cfsso.InvalidRequestError, match="is in use by another process: "):
                await Journal.open(path)

    @pytest.mark.parametrize("make", [Journal.create, Journal.open])
    async def test_no_locks(
        self,
        make: Callable[[Any], Coroutine[Any, Any, Journal]],
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Where there are no locks, there is no journal but a temporary one."""
        monkeypatch.setitem(sys.modules, "fcntl", None)
        monkeypatch.setitem(sys.modules, "msvcrt", None)

        with pytest.raises(cfsso.InvalidRequestError, match="a journal needs file locks, and this"):
            await make(path)
        assert [] == _names(path.parent)
        await (await begun(None, target(0))).aclose()

    async def test_locks_that_fail(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file system without locks is refused, and no new file stays."""
        other = path.with_name("other")
        await (await begun(path, target(0))).aclose()

        def flock(_descriptor: int, _operation: int) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", flock)

        with pytest.raises(cfsso.InvalidRequestError, match=r"run\.cfsso: No locks available"):
            await Journal.open(path)
        with pytest.raises(cfsso.InvalidRequestError, match="other: No locks available: give a "):
            await Journal.create(other)
        assert ["run.cfsso"] == _names(path.parent)

    async def test_cancelled_while_opening(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever is cancelled while a journal is opened does not keep it."""
        at_work, go_on, opened = threading.Event(), threading.Event(), threading.Event()
        to_write = _opening.to_write

        def slowly(name: str, server: str, resuming: bool) -> Store:  # noqa: FBT001 - as there
            at_work.set()
            go_on.wait()
            store = to_write(name, server, resuming)
            opened.set()
            return store

        await (await begun(path, target(0))).aclose()
        monkeypatch.setattr(_opening, "to_write", slowly)
        opening = asyncio.create_task(Journal.open(path))
        await asyncio.sleep(0)
        at_work.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        go_on.set()
        opened.wait()

        # The thread that was at work gives it back by itself, and soon.
        journal = None
        while journal is None:
            with contextlib.suppress(cfsso.InvalidRequestError):
                journal = await Journal.open(path)
        await journal.aclose()


_WRITE = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN IMMEDIATE")
except sqlite3.Error as error:
    print(error, end="")
"""


def _try_to_write(path: Path) -> str:
    """Return what keeps another process from writing the file."""
    command = [sys.executable, "-c", _WRITE, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own


_HOLD = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from cfsso.fleet import _opening
from cfsso.fleet._journal import Journal
from cfsso.fleet._store import Store
from journals import intent

async def main():
    journal = await Journal.open(sys.argv[1])
    await journal.intend(0, intent(0))
    print("held", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


@contextlib.contextmanager
def _holding(path: Path) -> Any:
    """Let another process hold *path*, with an intent for its first target."""
    helpers = Path(__file__).parents[1] / "helpers"
    command = [sys.executable, "-c", _HOLD, str(path), str(helpers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:  # noqa: S603 - our own
        try:
            assert owner.stdout is not None
            assert b"held\n" == owner.stdout.readline()
            yield owner
        finally:
            owner.kill()
