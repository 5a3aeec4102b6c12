"""Who may write a journal: one process at a time, even after another was killed."""

import contextlib
import os
import stat
import threading
from collections.abc import Generator
from typing import Final

from cfsso.fleet import _system

# Held while a descriptor of a journal is opened, closed or lent: closing one drops the locks
# that SQLite has on the file in this process.
_guard = threading.RLock()
_held: dict[tuple[int, int], int] = {}


class InUseError(Exception):
    """Somebody holds the lock."""


class NoFileError(Exception):
    """It is something else than a file, such as a folder; the text says what."""


class Lock:
    """The lock of a file; whoever holds it has the file open until `release`."""

    def __init__(self, descriptor: int, key: tuple[int, int]) -> None:
        self._descriptor = descriptor
        self._key = key

    @classmethod
    def create(cls, path: str) -> "Lock":
        """
        Make the file *path*, which only its owner may read and write, and lock it.

        Raises:
            InvalidRequestError: This system has no locks that fit.
            OSError: It can't be made; `FileExistsError` if it exists.
        """
        _system.need_locks()
        descriptor = os.open(path, _system.NEW, 0o600)
        status = os.fstat(descriptor)
        lock = cls(descriptor, (status.st_dev, status.st_ino))
        try:
            with _guard:
                lock._take()
            _system.sync_folder(path)
        except BaseException:
            lock.remove(path)
            raise
        return lock

    @classmethod
    def open(cls, path: str) -> "Lock":
        """
        Lock the file *path*.

        Raises:
            InvalidRequestError: This system has no locks that fit.
            InUseError: Somebody else holds it.
            NoFileError: It is something else.
            OSError: It can't be opened or locked.
        """
        _system.need_locks()
        key = _key(path)
        with _guard:
            if key in _held:
                raise InUseError
            lock = cls(os.open(path, os.O_RDWR | _system.SAFELY), key)
            try:
                lock._take()
            except BaseException:
                lock.release()
                raise
        return lock

    def _take(self) -> None:
        try:
            _system.lock(self._descriptor)
        except BlockingIOError:
            raise InUseError from None
        _held[self._key] = self._descriptor

    def release(self) -> None:
        """Give the lock back; SQLite must have closed the file before."""
        with _guard:
            _held.pop(self._key, None)
            _system.close(self._descriptor)

    def remove(self, path: str) -> None:
        """Remove the file, which was made here, and give the lock back."""
        try:
            os.unlink(path)  # noqa: PTH108 - pathlib would cost import time
        except PermissionError:
            # Windows removes nothing that is open.
            self.release()
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - as above
            return
        except OSError:
            pass
        self.release()


@contextlib.contextmanager
def lent(path: str) -> Generator[int, None, None]:
    """
    Give a descriptor of the file *path* for reading; nothing is locked, and no lock is lost.

    Raises:
        NoFileError: It is something else.
        OSError: There is none, or it can't be opened.
    """
    with _guard:
        held = _held.get(_key(path))
        if held is not None:
            yield held
            return
        descriptor = os.open(path, os.O_RDONLY | _system.SAFELY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _key(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - pathlib would cost import time
    if not stat.S_ISREG(status.st_mode):
        raise NoFileError(_KINDS.get(stat.S_IFMT(status.st_mode), "a device"))
    return status.st_dev, status.st_ino


_KINDS: Final = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
