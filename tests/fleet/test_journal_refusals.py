"""What can't be used as a journal is told in one sentence of ours: what it is, and what to do."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import socket
import sqlite3
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from journals import begun, feed, intent, reopened, target

import cfsso
from cfsso.fleet import _snapshot
from cfsso.fleet._journal import Journal
from cfsso.fleet._rescue_journal import RescueJournal
from cfsso.fleet._targets import RunKind, Target

pytestmark = pytest.mark.virtual_time

NOBODY = 65534
ELSEWHERE = (
    "copy it, and a file {path}-journal if there is one, into a folder that you can write to"
)
OTHERS = "run this as the user that it belongs to, or let that user copy it for you"
KIND = "give the name of its file; nothing was sent"


@pytest.fixture
def path() -> Iterator[Path]:
    """Return the name of a file in a folder that any user may enter."""
    # What is loaded late could not be once the user is another one.
    assert sqlite3.sqlite_version
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder / "run.cfsso"
        folder.chmod(0o777)


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """Be a user to whom modes of files mean something."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def set_mode(path: Path, mode: int) -> None:
    """Say who may do what with a file or a folder."""
    path.chmod(mode)


def remove(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def touch(path: Path) -> None:
    """Make an empty file."""
    path.touch()


async def used(path: Path, *, readonly: bool) -> None:
    """Open a journal, and read its targets."""
    journal = await Journal.open(path, readonly=readonly)
    try:
        await journal.pages()
    finally:
        await journal.aclose()


async def refusal(path: Path, *, readonly: bool) -> str:
    """Open a journal and use it; return what is said against it."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        await used(path, readonly=readonly)
    text = str(caught.value)
    assert not any(word in text for word in ("database", "SQL", "unable to open")), text
    return text


def bind(path: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def loop(path: Path) -> None:
    """Make links that lead in a circle."""
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def nothing(path: Path) -> None:
    """Make nothing."""
    assert not path.exists()


@pytest.mark.parametrize("readonly", [False, True])
class TestKinds:
    """What is no file, or no file that can be read; nothing waits for a pipe."""

    @pytest.mark.timeout(30)
    @pytest.mark.parametrize(
        ("make", "problem"),
        [
            (Path.mkdir, f" is no journal of cfsso, but a folder: {KIND}"),
            (os.mkfifo, f" is no journal of cfsso, but a pipe: {KIND}"),
            (bind, f" is no journal of cfsso, but a socket: {KIND}"),
            (nothing, ": No such file or directory: check its name; nothing was sent"),
            (
                loop,
                (
                    ": Too many levels of symbolic links: its links lead in a circle, so give the"
                    " name of the file itself; nothing was sent"
                ),
            ),
        ],
    )
    async def test_made(
        self, path: Path, make: Callable[[Path], object], problem: str, *, readonly: bool
    ) -> None:
        """Each kind is called by its name."""
        make(path)

        assert f"{path}{problem}" == await refusal(path, readonly=readonly)

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("/dev/null", f" is no journal of cfsso, but a device: {KIND}"),
            ("/etc/passwd/j", ": Not a directory: check its name; nothing was sent"),
            (f"/{'x' * 300}", ": File name too long: check its name; nothing was sent"),
        ],
    )
    async def test_there_anyway(self, name: str, problem: str, *, readonly: bool) -> None:
        """So is what needs not be made."""
        assert f"{name}{problem}" == await refusal(Path(name), readonly=readonly)

    async def test_a_disk_that_fails(self, *, readonly: bool) -> None:
        """A disk that can't be read is called so."""
        name = Path("/proc/self/mem")
        if not os.access(name, os.R_OK):
            pytest.skip("this system has no file that can't be read")

        text = await refusal(name, readonly=readonly)

        assert text.startswith(f"{name}: ")
        assert "see that its disk works" in text or "see that the disk works" in text

    async def test_what_others_may_not_read(self, path: Path, *, readonly: bool) -> None:
        """A file of another user says what to do."""
        await (await begun(path, target(0))).aclose()
        set_mode(path, 0)

        with somebody():
            text = await refusal(path, readonly=readonly)

        assert f"{path}: Permission denied: {OTHERS}; nothing was sent" == text


class TestReadonlyPlaces:
    """What can be read can be reported, wherever it is; who can't write it is told why."""

    async def test_a_file_that_is_readonly(self, path: Path) -> None:
        """A file that may only be read is reported, and goes on nowhere."""
        await (await begun(path, target(0))).aclose()
        set_mode(path, 0o444)

        with somebody():
            assert [target(0)] == await reopened(path)
            text = await refusal(path, readonly=False)
        assert f"{path}: Permission denied: {OTHERS}; nothing was sent" == text

    async def test_a_folder_that_is_readonly(self, path: Path) -> None:
        """Where SQLite can't have its file beside the journal, nobody goes on."""
        await (await begun(path, target(0))).aclose()
        set_mode(path, 0o666)
        set_mode(path.parent, 0o555)
        before = _content(path)

        with somebody():
            assert [target(0)] == await reopened(path)
            text = await refusal(path, readonly=False)

        assert (
            f"{path}: can't be written: it, or its folder, is read-only for you:"
            f" {ELSEWHERE.format(path=path)}; nothing was sent"
        ) == text
        assert before == _content(path)

    async def test_what_was_begun_there(self, path: Path) -> None:
        """What a killed writer left is taken back in a copy, and nothing of it is touched."""
        await _kill_while_it_begins(path)
        set_mode(path, 0o666)
        set_mode(path.with_name("run.cfsso-journal"), 0o444)
        set_mode(path.parent, 0o555)
        before = _content(path)

        with somebody():
            assert [target(0)] == await reopened(path)
            text = await refusal(path, readonly=False)

        assert "it, or its folder, is read-only for you" in text
        assert before == _content(path)

    async def test_what_others_may_not_read_beside_it(self, path: Path) -> None:
        """What is beside the journal is a part of it."""
        await _kill_while_it_begins(path)
        set_mode(path, 0o666)
        set_mode(path.with_name("run.cfsso-journal"), 0)

        with somebody():
            assert "Permission denied" in await refusal(path, readonly=True)
            assert "Permission denied" in await refusal(path, readonly=False)

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("nowhere/j", "No such file or directory: make its folder, or give another name"),
            ("run.cfsso/j", "Not a directory: give a name in a folder"),
            ("x" * 300, "File name too long: give a shorter name"),
        ],
    )
    async def test_where_none_can_be_made(self, path: Path, name: str, problem: str) -> None:
        """A name that can't be is refused, and a rescue says the same and goes on."""
        touch(path)
        place = path.with_name(name) if "/" not in name else path.parent / name

        with pytest.raises(cfsso.InvalidRequestError) as caught:
            await Journal.create(place)
        assert f"{place}: {problem}" == str(caught.value)
        rescue = RescueJournal.start(place, server="", options={})
        await rescue.aclose()
        assert f"{place}: {problem}" == rescue.problem

    async def test_a_folder_that_is_not_ours(self, path: Path) -> None:
        """Where nothing can be made, another folder is asked for."""
        set_mode(path.parent, 0o555)

        with somebody(), pytest.raises(cfsso.InvalidRequestError) as caught:
            await Journal.create(path)

        assert f"{path}: Permission denied: give a name in another folder" == str(caught.value)


class TestMeanwhile:
    """What happens to a file that was opened."""

    async def test_one_that_vanishes(self, path: Path) -> None:
        """A journal that is removed while a run writes it ends the run with the reason."""
        journal = await begun(path, target(0))
        remove(path)

        with pytest.raises(cfsso.JournalError) as caught:
            await journal.intend(0, intent(0))
        await journal.aclose()

        assert (
            f"{path}: can't be written: it was moved or removed meanwhile; nothing is sent whose"
            " intent is not in the journal: put it back under its name, then resume it"
        ) == str(caught.value)

    async def test_one_that_others_lock(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program that keeps the file for itself is to be closed."""
        await (await begun(path, target(0))).aclose()
        monkeypatch.setattr(_snapshot, "_PATIENCE", 0.0)
        monkeypatch.setattr(_snapshot, "_state", lambda _source: object())
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN EXCLUSIVE")
            text = await refusal(path, readonly=True)

        assert (
            f"{path}: another program has locked it: close that program; nothing was sent" == text
        )

    async def test_a_run_that_did_not_begin(self, path: Path) -> None:
        """Where the run is not in the journal yet, it is not to be resumed but started again."""
        journal = await begun(path, target(0))
        remove(path)

        with pytest.raises(cfsso.JournalError, match=r"put it back under its name, then start aga"):
            await journal.begin(feed(map(target, range(4000))), kind=RunKind.REVERT)
        await journal.aclose()


class TestCopies:
    """Where a reader puts its copy."""

    async def test_a_large_file(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is copied to a temporary file, of which nothing stays, even while it is read."""
        monkeypatch.setattr(_snapshot, "_LARGEST_IN_MEMORY", 0)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        await (await begun(path, target(0), target(1))).aclose()
        journal = await Journal.open(path, readonly=True)

        assert [] == _names(tmp_path)
        assert [target(0), target(1)] == await journal.pages()
        await journal.aclose()

    async def test_no_quiet_moment(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where somebody commits all the time, the file is locked for the copy."""
        monkeypatch.setattr(_snapshot, "_LARGEST_IN_MEMORY", 0)
        monkeypatch.setattr(_snapshot, "_state", lambda _source: object())
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        await (await begun(path, target(0))).aclose()

        assert [target(0)] == await reopened(path)
        assert [] == _names(tmp_path)

    async def test_no_folder(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a folder for temporary files a small journal can be read all the same."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        await (await begun(path, target(0))).aclose()
        assert [target(0)] == await reopened(path)
        monkeypatch.setattr(_snapshot, "_LARGEST_IN_MEMORY", 0)

        assert (
            f"{path}: no folder for a copy of it: No such file or directory: free space, or set"
            " TMPDIR to another folder; nothing was sent"
        ) == await refusal(path, readonly=True)

    async def test_no_room(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk is told with its folder, and nothing of the copy stays."""
        monkeypatch.setattr(_snapshot, "_LARGEST_IN_MEMORY", 0)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        await (await begun(path, target(0))).aclose()
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            text = await refusal(path, readonly=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)

        assert f"{path}: no room for a copy of it in {tmp_path}: File too large: free " in text
        assert [] == _names(tmp_path)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _content(path: Path) -> list[Any]:
    return [
        (one.name, one.read_bytes(), stat.S_IMODE(one.stat().st_mode), one.stat().st_mtime_ns)
        for one in sorted(path.parent.iterdir())
    ]


async def _kill_while_it_begins(path: Path) -> None:
    """Leave a journal of one target as of a process that was killed in a transaction."""
    copy = path.with_name("copy")

    async def targets() -> AsyncIterator[Target]:
        # More than SQLite keeps in memory, so that the file is written to before the commit.
        for position in range(20_000):
            yield target(position)
        for name in ("", "-journal"):
            shutil.copyfile(f"{path}{name}", f"{copy}{name}")
        raise EOFError

    journal = await begun(path, target(0))
    with contextlib.suppress(EOFError):
        await journal.begin(targets(), kind=RunKind.REVERT)
    await journal.aclose()
    for name in ("", "-journal"):
        await asyncio.to_thread(os.replace, f"{copy}{name}", f"{path}{name}")
