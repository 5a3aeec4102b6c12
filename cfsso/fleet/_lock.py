"""Who may write a journal: one process at a time, even after another was killed."""

import contextlib
import os
import stat
import threading

from cfsso.errors import InvalidRequestError

_guard = threading.Lock()
_held: set[tuple[int, int]] = set()


class InUseError(Exception):
    """Somebody holds the lock."""


class NoFileError(Exception):
    """It is something else than a file, such as a folder."""


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
        _need_flock()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        status = os.fstat(descriptor)
        lock = cls(descriptor, (status.st_dev, status.st_ino))
        try:
            lock._take()
            _sync_folder(path)
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
        _need_flock()
        key = _key(path)
        with _guard:
            # Closing a second descriptor would drop SQLite's own locks of this process.
            if key in _held:
                raise InUseError
            lock = cls(os.open(path, os.O_RDWR | os.O_CLOEXEC), key)
            try:
                lock._take()
            except BaseException:
                lock.release()
                raise
        return lock

    def _take(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError from None
        _held.add(self._key)

    def release(self) -> None:
        """Give the lock back; SQLite must have closed the file before."""
        _held.discard(self._key)
        os.close(self._descriptor)

    def remove(self, path: str) -> None:
        """Remove the file, which was made here, and give the lock back."""
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - pathlib would cost import time
        self.release()


def look(path: str) -> None:
    """
    See that *path* is a file; nothing is locked.

    Raises:
        NoFileError: It is something else.
        OSError: There is none.
    """
    _key(path)


def _key(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - pathlib would cost import time
    if not stat.S_ISREG(status.st_mode):
        raise NoFileError
    return status.st_dev, status.st_ino


def _need_flock() -> None:
    try:
        import fcntl  # noqa: F401  # pyright: ignore[reportUnusedImport] # whether there is one
    except ImportError:
        raise InvalidRequestError(
            "a journal needs the file locks of POSIX, which this system lacks: go on without one"
        ) from None


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)  # noqa: PTH120 - as above
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
