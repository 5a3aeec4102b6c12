"""A layer beneath the real SQLite whose n-th operation fails, for tests of what a disk may do."""

import _sqlite3
import contextlib
import ctypes
import enum
from collections.abc import Iterator
from typing import Any

_CALL = ctypes.CFUNCTYPE
_Pointer = ctypes.c_void_p
_Int = ctypes.c_int
_Long = ctypes.c_longlong

_Open = _CALL(_Int, _Pointer, _Pointer, _Pointer, _Int, _Pointer)
_Delete = _CALL(_Int, _Pointer, ctypes.c_char_p, _Int)
_Write = _CALL(_Int, _Pointer, _Pointer, _Int, _Long)
_Truncate = _CALL(_Int, _Pointer, _Long)
_Sync = _CALL(_Int, _Pointer, _Int)

_FULL = 13
_IOERR_WRITE = 10 | 3 << 8
_IOERR_SYNC = 10 | 4 << 8
_IOERR_TRUNCATE = 10 | 6 << 8
_IOERR_DELETE = 10 | 10 << 8


class Fault(enum.Enum):
    """What happens: to which operation, and the code that SQLite sees."""

    FULL = "no space left"
    WRITE = "a write, or a truncation, fails"
    SHORT = "half of a write arrives, then no space is left"
    SYNC = "a sync fails"
    DELETE = "a rollback journal can't be removed"


class _Methods(ctypes.Structure):
    """SQLite's sqlite3_io_methods."""

    _fields_ = (
        ("version", _Int),
        ("close", _Pointer),
        ("read", _Pointer),
        ("write", _Write),
        ("truncate", _Truncate),
        ("sync", _Sync),
        ("others", _Pointer * 13),
    )


class _File(ctypes.Structure):
    """SQLite's sqlite3_file."""

    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    """SQLite's sqlite3_vfs."""

    _fields_ = (
        ("version", _Int),
        ("file_size", _Int),
        ("longest_name", _Int),
        ("next", _Pointer),
        ("name", ctypes.c_char_p),
        ("data", _Pointer),
        ("open", _Open),
        ("delete", _Delete),
        ("others", _Pointer * 14),
    )


def library() -> Any:
    """Return the SQLite that Python uses; ``None``: it can't be reached."""
    # Linked into the interpreter, the module has no file.
    found = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    try:
        found.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    except AttributeError:
        return None
    return found


class FailingVfs:
    """
    Counts what SQLite does to files, and lets some of it fail.

    Attributes:
        failed: How many operations failed.
        deletions: For each file that was removed, whether its folder was to be synced.
    """

    def __init__(self, found: Any) -> None:
        self._origin = found.sqlite3_vfs_find(None)
        self.struct = _Vfs.from_buffer_copy(self._origin.contents)
        self.struct.name = b"failing"
        self.struct.next = None
        self.struct.open = _Open(self._open)
        self.struct.delete = _Delete(self._delete)
        # By the address of the original; SQLite keeps pointers to them.
        self._methods: dict[int, _Methods] = {}
        self.deletions: list[bool] = []
        self.heal()

    def arm(self, fault: Fault, number: int, *, for_ever: bool = False) -> None:
        """Let the *number*-th operation of that kind fail, or all from that one on."""
        self._fault, self._left, self._for_ever = fault, number, for_ever
        self.failed = 0

    def heal(self) -> None:
        """Let everything succeed."""
        self.arm(Fault.FULL, 0)

    def _fails(self, *faults: Fault) -> bool:
        if self._fault not in faults or not self._left:
            return False
        if self._left > 1:
            self._left -= 1
            return False
        self._left = int(self._for_ever)
        self.failed += 1
        return True

    def _open(self, _vfs: int, name: int, file: int, flags: int, out: int) -> int:
        code = int(
            self._origin.contents.open(
                ctypes.addressof(self._origin.contents), name, file, flags, out
            )
        )
        opened = _File.from_address(file)
        if code == 0:
            opened.methods = ctypes.pointer(self._shim(opened.methods.contents))
        return code

    def _shim(self, origin: _Methods) -> _Methods:
        key = ctypes.addressof(origin)
        if key in self._methods:
            return self._methods[key]

        def write(file: int, data: int, size: int, offset: int) -> int:
            if self._fails(Fault.SHORT):
                origin.write(file, data, size // 2, offset)
                return _FULL
            if self._fails(Fault.FULL, Fault.WRITE):
                return _FULL if self._fault is Fault.FULL else _IOERR_WRITE
            return int(origin.write(file, data, size, offset))

        def sync(file: int, flags: int) -> int:
            return _IOERR_SYNC if self._fails(Fault.SYNC) else int(origin.sync(file, flags))

        def truncate(file: int, size: int) -> int:
            return _IOERR_TRUNCATE if self._fails(Fault.WRITE) else int(origin.truncate(file, size))

        shim = _Methods.from_buffer_copy(origin)
        shim.write = _Write(write)
        shim.truncate = _Truncate(truncate)
        shim.sync = _Sync(sync)
        self._methods[key] = shim
        return shim

    def _delete(self, _vfs: int, name: bytes, sync: int) -> int:
        self.deletions.append(bool(sync))
        if not self._fails(Fault.DELETE):
            return int(
                self._origin.contents.delete(ctypes.addressof(self._origin.contents), name, sync)
            )
        return _IOERR_DELETE


@contextlib.contextmanager
def failing_vfs() -> Iterator[FailingVfs | None]:
    """Put a `FailingVfs` beneath what is opened meanwhile; ``None``: that can't be done here."""
    found = library()
    if found is None:
        yield None
        return
    vfs = FailingVfs(found)
    found.sqlite3_vfs_register(ctypes.byref(vfs.struct), 1)
    try:
        yield vfs
    finally:
        found.sqlite3_vfs_unregister(ctypes.byref(vfs.struct))
