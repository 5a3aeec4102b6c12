"""
A Python without what only POSIX systems have, and with a stand-in for `msvcrt`.

Run it like ``python -m cfsso``. Windows itself differs in more: what is open there can't be
removed, and nobody else reads a byte that is locked.
"""

import errno
import fcntl
import os
import select
import signal
import struct
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

# What of the standard library has to have seen a whole system when it was loaded.
import asyncio  # isort: skip
import subprocess  # isort: skip
import tempfile  # isort: skip

MISSING: Final = ("fcntl", "resource", "termios", "pwd", "grp", "tty", "pty")
_ATTRIBUTES: Final = {
    os: (
        *("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY"),
        *("pread", "geteuid", "getuid", "fchmod", "major", "minor", "sync"),
    ),
    select: ("poll",),
    signal: ("SIGHUP",),
}
_LOADED: Final = (asyncio, subprocess, tempfile)
# A byte of a file, locked by whoever has that file open; struct flock of Linux.
_OF_ONE_BYTE: Final = "hhxxxxqqi4x"
_LK_UNLCK, _LK_NBLCK = 0, 2


class Missing:
    """Finds that some modules are not there."""

    @staticmethod
    def find_spec(name: str, _path: Sequence[str] | None, _target: Any = None) -> ModuleSpec | None:
        """Refuse what is missing; leave the rest to others."""
        if name in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def locking(descriptor: int, mode: int, nbytes: int) -> None:
    """Lock or unlock bytes from the present position of the file on, as Windows does."""
    begin = os.lseek(descriptor, 0, os.SEEK_CUR)
    kind = fcntl.F_UNLCK if mode == _LK_UNLCK else fcntl.F_WRLCK
    wanted = struct.pack(_OF_ONE_BYTE, kind, os.SEEK_SET, begin, nbytes, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def stand_in() -> ModuleType:
    """Return what stands for `msvcrt`."""
    module = ModuleType("msvcrt")
    vars(module).update(LK_UNLCK=_LK_UNLCK, LK_NBLCK=_LK_NBLCK, locking=locking)
    return module


def leave_posix() -> None:
    """Take away what only POSIX systems have, for the rest of this process."""
    for name in MISSING:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Missing)
    sys.modules["msvcrt"] = stand_in()
    for room, names in _ATTRIBUTES.items():
        for name in names:
            delattr(room, name)


if __name__ == "__main__":
    leave_posix()
    from cfsso.cli import main

    main()
