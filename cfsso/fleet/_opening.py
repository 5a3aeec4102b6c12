"""How the file of a journal is made and opened, and what to say if it can't be."""

import contextlib
import os
import shlex
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING

from cfsso.errors import InvalidRequestError
from cfsso.fleet import _lock, _rows, _schema
from cfsso.fleet._lock import Lock
from cfsso.fleet._rows import Damage
from cfsso.fleet._schema import NoJournal
from cfsso.fleet._store import Store

if TYPE_CHECKING:
    import sqlite3


def name_of(path: str | os.PathLike[str]) -> str:
    """
    Return *path* as text.

    Raises:
        InvalidRequestError: It is no path.
    """
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise InvalidRequestError(
            f"a journal must be a str or a path, not {type(path).__name__}"
        ) from None
    try:
        encoded = os.fsencode(name)
    except UnicodeError:
        encoded = b""
    if not encoded or b"\0" in encoded:
        raise InvalidRequestError(f"{name!r} is no name of a file")
    return name


def temporary() -> Store:
    """Return a store that ends with its process, and may use the disk meanwhile."""
    connection = _schema.connect("", durable=False)
    _schema.lay_out(connection)
    return Store(connection)


def create(name: str) -> Store:
    """
    Return a store in the new file *name*.

    Raises:
        InvalidRequestError: It exists, or can't be made; then there is none.
    """
    path = os.path.abspath(name)  # noqa: PTH100 - pathlib would cost import time
    try:
        lock = Lock.create(path)
    except FileExistsError:
        raise InvalidRequestError(
            f"{name} exists: go on with it (cfsso resume {shlex.quote(name)}), or give another name"
        ) from None
    except OSError as error:
        raise InvalidRequestError(f"{name}: {_words(error)}; nothing was sent") from None
    try:
        return _connected(path, lock, _schema.lay_out, made=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no journal
        lock.remove(path)
        raise InvalidRequestError(f"{name}: {_words(error)}; nothing was sent") from None


def existing(name: str, *, readonly: bool) -> Store:
    """
    Return the store in the file *name*, checked.

    Raises:
        InvalidRequestError: It is missing, no journal, damaged, of another version, or
            held by somebody else.
    """
    path = os.path.abspath(name)  # noqa: PTH100 - as above
    try:
        lock = None if readonly else Lock.open(path)
        _lock.look(path)
    except _lock.InUseError:
        raise InvalidRequestError(
            f"{name} is in use by {_owner(path)}: wait for it to end"
        ) from None
    except _lock.NoFileError:
        raise InvalidRequestError(f"{name} is no journal of cfsso") from None
    except OSError as error:
        raise InvalidRequestError(f"{name}: {_words(error)}") from None
    try:
        return _connected(path, lock, _schema.check)
    except Exception as error:  # noqa: BLE001 - whatever it is, it can't be read
        if lock is not None:
            lock.release()
        raise InvalidRequestError(f"{_unreadable(name, error)}; nothing was sent") from None


def _connected(
    path: str,
    lock: Lock | None,
    first: Callable[["sqlite3.Connection"], None],
    *,
    made: bool = False,
) -> Store:
    connection = _schema.connect(_uri(path), durable=True)
    try:
        first(connection)
        store = Store(connection, lock, made=path if made else "")
        if lock is not None:
            store.own()
    except BaseException:
        connection.close()
        raise
    return store


def _owner(path: str) -> str:
    """Say who holds the lock of *path*; it may not have said so yet, or be at work on the file."""
    try:
        connection = _schema.connect(_uri(path), durable=True, patience=1.0)
        with contextlib.closing(connection):
            _, pid, host, since, _ = next(_schema.rows(connection, _rows.OWNER))
    except Exception:  # noqa: BLE001 - whatever it is, it is in use
        return "another process"
    return f"process {pid} on {host} since {since[:19].replace('T', ' ')} UTC"


def unreadable(name: str, error: Exception) -> str:
    """Say why a journal can't be read any more."""
    return f"{_unreadable(name or _TEMPORARY, error)}; no more is sent"


def unwritable(name: str, error: Exception) -> str:
    """Say why a journal can't be written any more, and how to go on."""
    import sqlite3

    way = "free space" if _code(error) == sqlite3.SQLITE_FULL else "put it right"
    then = f"{way}, then: cfsso resume {shlex.quote(name)}" if name else f"{way}, then apply again"
    return (
        f"{name or _TEMPORARY}: can't be written: {_words(error)}; nothing is sent whose intent is"
        f" not in the journal: {then}"
    )


_TEMPORARY = "the temporary journal"


def _unreadable(name: str, error: Exception) -> str:
    import sqlite3

    if isinstance(error, NoJournal):
        return f"{name} {error}"
    if _code(error) == sqlite3.SQLITE_NOTADB:
        return f"{name} is no journal of cfsso"
    around = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN}
    around |= {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
    if isinstance(error, (OSError, Damage)) or _code(error) in around:
        return f"{name}: {_words(error)}"
    # Such as text of SQLite that quotes what is no text any more.
    return f"{name}: damaged: {error}"


def _code(error: Exception) -> int:
    """Return SQLite's primary result code; 0: the error has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _words(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _uri(path: str) -> str:
    return f"file:{urllib.parse.quote(os.fsencode(path))}?mode=rw"
