"""
What systems do each in their own way: locks of files, and how files are opened and read.

Without `fcntl`, as on Windows, the locks are those of `msvcrt`. They have been tried with a
stand-in for that module on Linux, and not on Windows itself.
"""

import contextlib
import importlib
import os
from typing import Any, Final

from cfsso.errors import InvalidRequestError

# What has become a pipe meanwhile must not wait for somebody who writes to it; nor is any byte
# of a file the end of a line.
SAFELY: Final = (
    getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
"""How any file is opened."""

NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | SAFELY
"""How a file is opened that must not be there yet."""

# No journal is as large. A byte that is locked on Windows can't be read by others.
_LOCKED: Final = 1 << 40


def need_locks() -> None:
    """
    See that there are locks.

    Raises:
        InvalidRequestError: There are none.
    """
    if _module("fcntl") is None and _module("msvcrt") is None:
        raise InvalidRequestError(
            "a journal needs file locks, and this Python has neither fcntl nor msvcrt: go on"
            " without one"
        )


def lock(descriptor: int) -> None:
    """
    Lock a file for as long as *descriptor* is open, and this process lives.

    Raises:
        BlockingIOError: Somebody else has locked it.
        OSError: It can't be locked.
    """
    fcntl = _module("fcntl")
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    try:
        _lock_byte(descriptor, "LK_NBLCK")
    except PermissionError as error:
        raise BlockingIOError(*error.args) from None


def close(descriptor: int) -> None:
    """Close a file that was locked, or was to be."""
    if _module("fcntl") is None:
        # Windows takes its time to free what was not unlocked.
        with contextlib.suppress(OSError):
            _lock_byte(descriptor, "LK_UNLCK")
    os.close(descriptor)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Return what stands at a place of a file, at most *size* bytes of it."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def sync_folder(path: str) -> None:
    """Make it durable that there is a new file *path*, where folders can be opened at all."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)  # noqa: PTH120 - pathlib would cost import time
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lock_byte(descriptor: int, how: str) -> None:
    msvcrt = _module("msvcrt")
    os.lseek(descriptor, _LOCKED, os.SEEK_SET)
    msvcrt.locking(descriptor, getattr(msvcrt, how), 1)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
