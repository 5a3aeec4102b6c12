"""
A private copy of a journal's file, so that whoever reads it never holds up whoever writes it.

A reader that has a lock of SQLite and is suspended, as by Ctrl-Z, would end the run that writes.
So the file is copied without any, in a moment in which nobody writes to it, or together with the
rollback journal that takes back what somebody has begun to write. The checks of a journal prove
that such a copy is whole.
"""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final

import attrs

from cfsso.fleet import _lock, _schema, _system
from cfsso.fleet._rows import Damage

if TYPE_CHECKING:
    import sqlite3

# Seconds after each try that came in the way of a commit.
_PAUSES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
# Seconds to wait for somebody who commits, if no try has found a quiet moment.
_PATIENCE: Final = 5.0
_CHUNK: Final = 1 << 20
# What is larger is copied to a temporary file. A smaller one can be read with a full disk, too.
_LARGEST_IN_MEMORY: Final = 32 << 20
# Where SQLite counts the transactions that changed a file.
_COUNTER: Final = slice(24, 28)


class NoRoom(Exception):  # noqa: N818 - an error only once it is known of which journal
    """There is no room for a copy; the text says where and why."""


class _Moved(Exception):  # noqa: N818 - it is tried again
    """Somebody wrote meanwhile."""


def opened(path: str, check: Callable[["sqlite3.Connection"], None]) -> "sqlite3.Connection":
    """
    Return a connection to a private copy of the journal *path* that passes *check*.

    The file, and what is beside it, stays as it is. Only if somebody commits all the time
    is it locked, for as long as the copy takes.

    Raises:
        NoFileError: It is something else than a file.
        NoRoom: It can't be copied.
        OSError: It can't be read.
        Damage: As *check* does, like anything else that it raises.
    """
    import sqlite3

    for pause in _PAUSES:
        try:
            copy = _quiet_copy(path)
        except _Moved:
            time.sleep(pause)
            continue
        try:
            return _checked(copy, check)
        except (Damage, sqlite3.DatabaseError) as error:
            problem = error
            break
    else:
        problem = None
    # It may be the copy that is damaged, by a write that could not be seen.
    try:
        copy = _locked_copy(path)
    except sqlite3.DatabaseError as error:
        raise problem or error from None
    return _checked(copy, check)


def is_hot(path: str) -> bool:
    """Whether a rollback journal lies beside *path*: a writer was killed, or is at work."""
    try:
        return os.stat(_beside(path)).st_size > 0  # noqa: PTH116 - pathlib would cost import time
    except OSError:
        return False


@attrs.frozen
class _Copy:
    """
    A copy.

    Attributes:
        content: In memory. ``None``: it is in a file.
        folder: Where that file is. Empty: there is none.
    """

    content: bytes | None
    folder: str = ""

    @property
    def path(self) -> str:
        """The name of that file."""
        return os.path.join(self.folder, "copy")  # noqa: PTH118 - as above

    def connect(self) -> "sqlite3.Connection":
        """Return a connection, after which nothing of it is left but what the connection holds."""
        if self.content is not None:
            connection = _schema.connect(":memory:", durable=False)
            if self.content:
                with _closed_on_error(connection):
                    connection.deserialize(self.content)
            return connection
        try:
            connection = _schema.connect(self.path, durable=False)
            # Until then SQLite has not opened it, or taken back what was begun.
            with _closed_on_error(connection):
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        finally:
            self.remove()

    def remove(self) -> None:
        """Remove its files, if there are any."""
        if not self.folder:
            return
        with contextlib.suppress(OSError):
            for name in (self.path, _beside(self.path)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)  # noqa: PTH108 - as above
            os.rmdir(self.folder)  # noqa: PTH106 - as above


def _checked(copy: _Copy, check: Callable[["sqlite3.Connection"], None]) -> "sqlite3.Connection":
    connection = copy.connect()
    with _closed_on_error(connection):
        check(connection)
    return connection


@contextlib.contextmanager
def _closed_on_error(connection: "sqlite3.Connection") -> Generator[None, None, None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _quiet_copy(path: str) -> _Copy:
    """
    Copy a file that nobody changes meanwhile, or whose changes can all be taken back.

    Raises:
        _Moved: Somebody did, and they can't.
    """
    with _lock.lent(path) as source, _rollback_journal(path) as rollback:
        before = _state(source)
        copy = _copied(source, rollback)
        moved = rollback is None and (is_hot(path) or _state(source) != before)
    if moved:
        copy.remove()
        raise _Moved
    return copy


@contextlib.contextmanager
def _rollback_journal(path: str) -> Generator[int | None, None, None]:
    """Give a descriptor of what lies beside *path*. ``None``: nothing has been changed yet."""
    try:
        descriptor = os.open(_beside(path), os.O_RDONLY | _system.SAFELY)
    except FileNotFoundError:
        yield None
        return
    try:
        status = os.fstat(descriptor)
        yield descriptor if stat.S_ISREG(status.st_mode) and status.st_size else None
    finally:
        os.close(descriptor)


def _locked_copy(path: str) -> _Copy:
    """Copy a file while SQLite lets nobody write to it."""
    reader = _schema.connect(_schema.uri(path, "ro"), durable=False, patience=_PATIENCE)
    with contextlib.closing(reader), _lock.lent(path) as source:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return _copied(source, None)


def _copied(source: int, rollback: int | None) -> _Copy:
    size = os.fstat(source).st_size
    if rollback is None and size <= _LARGEST_IN_MEMORY:
        return _Copy(content=b"".join(_chunks(source)))
    import tempfile

    try:
        copy = _Copy(content=None, folder=tempfile.mkdtemp(prefix="cfsso-"))
    except OSError as error:
        raise NoRoom(f"no folder for a copy of it: {error.strerror}") from None
    try:
        _write(copy.path, source)
        if rollback is not None:
            _need_the_same_transaction(rollback)
            _write(_beside(copy.path), rollback)
    except BaseException:
        copy.remove()
        raise
    return copy


def _need_the_same_transaction(rollback: int) -> None:
    if not os.fstat(rollback).st_nlink:
        # It has ended, and another one may have begun since.
        raise _Moved


def _write(path: str, source: int) -> None:
    with _needing_room(path):
        file = open(path, "xb", buffering=0)  # noqa: PTH123, SIM115 - as above; what is read may fail, too
    with file:
        for chunk in _chunks(source):
            with _needing_room(path):
                written = 0
                while written < len(chunk):
                    written += file.write(chunk[written:])


@contextlib.contextmanager
def _needing_room(path: str) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        folder = os.path.dirname(os.path.dirname(path))  # noqa: PTH120 - as above
        raise NoRoom(f"no room for a copy of it in {folder}: {error.strerror}") from None


def _chunks(source: int) -> Generator[bytes, None, None]:
    offset = 0
    while chunk := _system.read_at(source, _CHUNK, offset):
        offset += len(chunk)
        yield chunk


def _state(source: int) -> tuple[object, ...]:
    status = os.fstat(source)
    return status.st_size, status.st_mtime_ns, _system.read_at(source, 100, 0)[_COUNTER]


def _beside(path: str) -> str:
    return f"{path}-journal"
