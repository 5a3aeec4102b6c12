"""How the file of a journal is made and opened."""

import contextlib
import os
from collections.abc import Callable, Generator
from functools import partial

from cfsso.errors import InvalidRequestError
from cfsso.fleet import _complaints, _lock, _rows, _schema, _snapshot
from cfsso.fleet._lock import Lock
from cfsso.fleet._store import Store
from cfsso.fleet._targets import RunKind


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
    _schema.lay_out(connection, "")
    return Store(connection)


def create(name: str, server: str) -> Store:
    """
    Return a store in the new file *name*, owned, for runs that reach *server*.

    Raises:
        InvalidRequestError: It exists, or can't be made; then there is none.
    """
    path = os.path.abspath(name)  # noqa: PTH100 - pathlib would cost import time
    try:
        lock = Lock.create(path)
    except FileExistsError:
        raise InvalidRequestError(
            f"{name} exists: resume it if it is a journal, or give another name"
        ) from None
    except OSError as error:
        raise InvalidRequestError(_complaints.unmade(name, error)) from None
    try:
        connection = _schema.connect(_schema.uri(path, "rw"), durable=True)
        try:
            _schema.lay_out(connection, server)
            store = Store(connection, lock, made=path)
            store.own(server)
        except BaseException:
            connection.close()
            raise
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no journal
        lock.remove(path)
        raise InvalidRequestError(_complaints.unmade(name, error)) from None
    return store


def to_read(name: str) -> Store:
    """
    Return a checked store that is a private copy of the file *name*, which stays as it is.

    Raises:
        InvalidRequestError: It is missing, no journal, damaged or of a later version.
    """
    with _refusing(name):
        return Store(_snapshot.opened(_path(name), _schema.check))


def to_write(name: str, server: str, resuming: bool) -> Store:  # noqa: FBT001 - see _journal
    """
    Return the store in the file *name*, checked and locked; the file stays as it is until `own`.

    Raises:
        InvalidRequestError: It is missing, no journal, damaged, of a later version, held
            by somebody else, its runs reach another server than *server*, or it is to be
            resumed, and is of a rescue.
    """
    path = _path(name)
    try:
        with _refusing(name):
            lock = Lock.open(path)
    except _lock.InUseError:
        raise InvalidRequestError(
            f"{name} is in use by {_owner(path)}: wait for it to end"
        ) from None
    try:
        with _refusing(name):
            return _checked(name, lock, partial(_check_use, name, server, resuming))
    except BaseException:
        lock.release()
        raise


def _checked(name: str, lock: Lock, check_use: Callable[[Store], None]) -> Store:
    path = _path(name)
    if _snapshot.is_hot(path):
        # To open it takes back what a killed writer began. What is refused stays as it is.
        copy = Store(_snapshot.opened(path, _schema.check))
        with contextlib.closing(copy.connection):
            check_use(copy)
    connection = _schema.connect(_schema.uri(path, "rw"), durable=True)
    try:
        _schema.check(connection)
        store = Store(connection, lock)
        check_use(store)
    except BaseException:
        connection.close()
        raise
    return store


def _check_use(name: str, server: str, resuming: bool, store: Store) -> None:  # noqa: FBT001 - as above
    if resuming and store.runs and store.runs[-1].kind is RunKind.BREAK_GLASS:
        raise InvalidRequestError(
            f"{name} is the journal of a rescue: break the glass again, or revert it"
        )
    if store.server and server and store.server != server:
        raise InvalidRequestError(
            f"{name} belongs to {_shown(store.server)}, not to {_shown(server)}; nothing was sent"
        )


def _shown(server: str) -> str:
    kind, _, digest = server.partition(":")
    return f"the emulated Cloudflare {digest}" if kind == "emulated" else server


def own(name: str, store: Store, server: str) -> None:
    """
    Write into a journal who goes on with it, and the server unless it is known.

    Raises:
        InvalidRequestError: It can't be written.
    """
    try:
        store.own(server)
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody may go on
        raise InvalidRequestError(_complaints.unowned(name, error)) from None


@contextlib.contextmanager
def _refusing(name: str) -> Generator[None, None, None]:
    try:
        yield
    except (InvalidRequestError, _lock.InUseError):
        raise
    except _lock.NoFileError as kind:
        raise InvalidRequestError(_complaints.no_file(name, str(kind))) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, it can't be read
        text = _complaints.unreadable(name, error, then="nothing was sent")
        raise InvalidRequestError(text) from None


def _owner(path: str) -> str:
    """Say who holds the lock of *path*; it may not have said so yet."""
    try:
        with contextlib.closing(_snapshot.opened(path, lambda _connection: None)) as connection:
            _, pid, host, since, _ = next(_schema.rows(connection, _rows.OWNER))
    except Exception:  # noqa: BLE001 - whatever it is, it is in use
        return "another process"
    return f"process {pid} on {host} since {since[:19].replace('T', ' ')} UTC"


def _path(name: str) -> str:
    return os.path.abspath(name)  # noqa: PTH100 - as above
