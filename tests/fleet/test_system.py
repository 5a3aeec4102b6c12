"""Journals where there is neither `fcntl` nor what else only POSIX systems have."""

import errno
import os
import sys
from pathlib import Path

import pytest
from journals import begun, intent, reopened, target
from without_posix import stand_in

import cfsso
from cfsso.fleet import _schema, _system
from cfsso.fleet._journal import Journal

pytestmark = [
    pytest.mark.virtual_time,
    pytest.mark.skipif(sys.platform != "linux", reason="the stand-in needs OFD locks"),
]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what Windows lacks, and put a stand-in for its locks in place."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", stand_in())
    for name in ("pread", "O_DIRECTORY"):
        monkeypatch.delattr(os, name)


async def test_a_journal_is_written_and_read(tmp_path: Path) -> None:
    """A journal holds what was put there, also while it is still being written."""
    path = tmp_path / "run.cfsso"
    journal = await begun(path, target(0), target(1))
    await journal.intend(0, intent(0))
    reader = await Journal.open(path, readonly=True)
    assert 2 == reader.run.total
    await reader.aclose()
    await journal.aclose()

    assert [target(0, intent=intent(0, 1)), target(1)] == await reopened(path)


async def test_one_at_a_time(tmp_path: Path) -> None:
    """Nobody else of this process gets a journal that somebody writes; then it is free."""
    path = tmp_path / "run.cfsso"
    journal = await begun(path, target(0))
    with pytest.raises(cfsso.InvalidRequestError, match="is in use by "):
        await Journal.open(path)
    await journal.aclose()

    await (await Journal.open(path)).aclose()


async def test_another_process(tmp_path: Path) -> None:
    """What another process has locked is refused; what it lets go is free."""
    path = tmp_path / "run.cfsso"
    await (await begun(path, target(0))).aclose()
    descriptor = os.open(path, os.O_RDWR)
    _system.lock(descriptor)
    with pytest.raises(cfsso.InvalidRequestError, match="is in use by "):
        await Journal.open(path)
    _system.close(descriptor)

    await (await Journal.open(path)).aclose()


async def test_what_somebody_has_removed(tmp_path: Path) -> None:
    """That a journal in which nothing began is gone already is no error."""
    path = tmp_path / "run.cfsso"
    journal = await Journal.create(path)
    path.unlink()
    await journal.aclose()

    assert [] == _names(tmp_path)


def _is_open(path: str) -> bool:
    """Whether this process has a file open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return path in [str(link.readlink()) for link in links]


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


async def test_what_was_not_begun_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal in which nothing began is removed, though Windows keeps what is open."""
    journal = await Journal.create(tmp_path / "run.cfsso")
    unlink = os.unlink

    def unlink_closed(path: str) -> None:
        """Remove a file that nobody has open."""
        if _is_open(path):
            raise PermissionError(errno.EACCES, "in use", path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", unlink_closed)
    await journal.aclose()

    assert [] == _names(tmp_path)


@pytest.mark.parametrize(
    ("path", "system", "expected"),
    [
        ("C:\\a b\\run#1.cfsso", "nt", "file:///C:/a%20b/run%231.cfsso?mode=rw"),
        ("/a b/c:\\run.cfsso", "posix", "file:/a%20b/c%3A%5Crun.cfsso?mode=rw"),
    ],
)
def test_the_uri_of_a_file(path: str, system: str, expected: str) -> None:
    """SQLite finds a file by its drive on Windows; elsewhere a backslash is a letter."""
    assert expected == _schema.uri(path, "rw", system)
