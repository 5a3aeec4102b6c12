"""What to say of a file that can't be used as a journal: what it is, and what to do."""

import errno
from typing import Final

from cfsso.fleet._rows import Damage
from cfsso.fleet._schema import NoJournal
from cfsso.fleet._snapshot import NoRoom

_TEMPORARY: Final = "the temporary journal"
_COPY: Final = "copy it, and a file {}-journal if there is one, into a folder that you can write to"


def no_file(name: str, kind: str) -> str:
    """Say that *name* is something else than a file."""
    return f"{name} is no journal of cfsso, but {kind}: give the name of its file; nothing was sent"


def unmade(name: str, error: Exception) -> str:
    """Say why a new journal can't be made."""
    ways = {
        errno.ENOENT: "make its folder, or give another name",
        errno.ENOTDIR: "give a name in a folder",
        errno.ENAMETOOLONG: "give a shorter name",
        errno.ENOSPC: "free space, or give a name on another disk",
    }
    what, way = _reason(name, error, ways, "give a name in another folder")
    return f"{name}: {what}: {way}"


def unreadable(name: str, error: Exception, *, then: str) -> str:
    """
    Say why a journal can't be read.

    Args:
        name: Its name. Empty: it is a temporary one.
        error: What was raised.
        then: What follows of it, such as ``nothing was sent``.
    """
    name = name or _TEMPORARY
    if isinstance(error, NoJournal):
        return f"{name} {error}; {then}"
    if isinstance(error, Damage):
        return f"{name}: {error}; {then}"
    if isinstance(error, NoRoom):
        return f"{name}: {error}: free space, or set TMPDIR to another folder; {then}"
    if _code(error) == _NO_DATABASE:
        return f"{name} is no journal of cfsso; {then}"
    if isinstance(error, OSError) or _code(error) in _AROUND:
        what, way = _reason(name, error, _READING, "put that right, and try again")
        return f"{name}: {what}: {way}; {then}"
    # Such as text of SQLite that quotes what is no text any more.
    return f"{name}: damaged: {error}; {then}"


def unowned(name: str, error: Exception) -> str:
    """Say why nobody can go on with a journal, although it can be read."""
    what, way = _reason(name, error, {}, _COPY.format(name))
    return f"{name}: can't be written: {what}: {way}; nothing was sent"


def unwritable(name: str, error: Exception, *, begun: bool) -> str:
    """
    Say why a journal can't be written any more, and how to go on.

    Args:
        name: Its name. Empty: it is a temporary one.
        error: What was raised.
        begun: Whether its run is in it.
    """
    what, way = _reason(name, error, {}, "put that right")
    then = "resume it" if name and begun else "start again"
    return (
        f"{name or _TEMPORARY}: can't be written: {what}; nothing is sent whose intent is not in"
        f" the journal: {way}, then {then}"
    )


def unkept(name: str, error: Exception) -> str:
    """Say why the journal of a rescue is not kept any more."""
    what, way = _reason(name, error, {}, "put that right")
    return f"{name}: can't be written: {what}: {way}"


def _reason(name: str, error: Exception, ways: dict[int, str], way: str) -> tuple[str, str]:
    """Return what is wrong and what to do about it, which is *way* unless it is known better."""
    if isinstance(error, OSError):
        known = _EVERYWHERE | ways
        return error.strerror or str(error), known.get(error.errno or 0, way).format(name)
    what, better = _of_sqlite(error)
    return what, better or way


def _of_sqlite(error: Exception) -> tuple[str, str]:
    if getattr(error, "sqlite_errorcode", 0) == _MOVED:
        return "it was moved or removed meanwhile", "put it back under its name"
    return _AROUND.get(_code(error), (str(error), ""))


def _code(error: Exception) -> int:
    """Return SQLite's primary result code; 0: the error has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


# SQLite's result codes, https://sqlite.org/rescode.html: its module is slow to load.
_NO_DATABASE: Final = 26
_MOVED: Final = 8 | 4 << 8
_DENIED: Final = ("it, or its folder, is read-only for you", "")
_BUSY: Final = ("another program has locked it", "close that program")
_AROUND: Final = {
    3: _DENIED,  # PERM
    5: _BUSY,  # BUSY
    6: _BUSY,  # LOCKED
    8: _DENIED,  # READONLY
    10: ("its disk fails", "see that the disk works"),  # IOERR
    13: ("the disk is full", "free space"),  # FULL
    14: _DENIED,  # CANTOPEN
}

_EVERYWHERE: Final = {
    errno.EIO: "see that its disk works",
    errno.ELOOP: "its links lead in a circle, so give the name of the file itself",
    errno.EMFILE: "let this program have more open files (ulimit -n)",
    errno.ENOLCK: "give a name on a disk of this machine",
}

_READING: Final = {
    errno.ENOENT: "check its name",
    errno.ENOTDIR: "check its name",
    errno.ENAMETOOLONG: "check its name",
    errno.EACCES: "run this as the user that it belongs to, or let that user copy it for you",
    errno.EPERM: "run this as the user that it belongs to, or let that user copy it for you",
    errno.EROFS: _COPY,
}
