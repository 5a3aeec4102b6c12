"""The standard streams, whatever the parent process has left of them."""

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STREAMS: Final = ("stdin", "stdout", "stderr")


class OutputError(OSError):
    """The results could not be written to stdout."""


class _Lost:
    """Whether stdout was closed when the process began."""

    stdout = False


class _Descriptor(io.RawIOBase):
    """
    Writes to a descriptor, and waits where a parent has made it non-blocking.

    The flag is not changed: it belongs to everybody who has the same file open.

    Args:
        number: The descriptor.
        forgiving: Whether to drop what can't be written.
    """

    def __init__(self, number: int, *, forgiving: bool) -> None:
        super().__init__()
        self._number = number
        self._forgiving = forgiving

    def writable(self) -> bool:
        """Say so."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._number)

    def write(self, data: "ReadableBuffer", /) -> int:
        """
        Write some of *data* and return how much.

        Raises:
            OutputError: It can't be written.
        """
        try:
            return _written(self._number, data)
        except OSError as error:
            problem = OutputError(error.errno, error.strerror)
        if self._forgiving:
            return memoryview(data).nbytes
        raise problem


def prepare() -> None:
    """
    Make the standard streams usable: closed ones are as the null device.

    The descriptors 0 to 2 are open afterwards, so that no file that is opened later
    gets what is meant for a person.
    """
    _Lost.stdout = sys.stdout is None  # pyright: ignore[reportUnnecessaryComparison] # it may be
    for number in range(len(_STREAMS)):
        _fill(number)
    for number, name in enumerate(_STREAMS):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            _replace(name, _nowhere(number))
        elif name != "stdin" and stream is getattr(sys, f"__{name}__"):
            _replace(name, stream.fileno(), stream)


def results_are_lost() -> bool:
    """Whether stdout was closed when the process began, so that nobody gets the results."""
    return _Lost.stdout


def _written(number: int, data: "ReadableBuffer") -> int:
    while True:
        try:
            return os.write(number, data)
        except BlockingIOError:
            import select

            select.select([], [number], [])


def _fill(number: int) -> None:
    """Open the null device as *number* if nothing is open there."""
    try:
        os.fstat(number)
    except OSError:
        with contextlib.suppress(OSError):
            # The lowest free one, which is this.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - not ours


def _nowhere(number: int) -> int:
    """Return a descriptor of the null device, *number* itself if it is one."""
    with contextlib.suppress(OSError):
        null, found = os.stat(os.devnull), os.fstat(number)  # noqa: PTH116 - pathlib is slow to load
        if os.path.samestat(null, found):
            return number
        return os.open(os.devnull, os.O_RDWR)
    return -1


def _replace(name: str, number: int, old: TextIO | None = None) -> None:
    if name == "stdin":
        raw_in = io.BytesIO() if number < 0 else io.FileIO(number, closefd=False)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(raw_in), encoding="utf-8")
        return
    encoding = "utf-8" if old is None else old.encoding
    is_err = name == "stderr"
    raw = _Descriptor(number, forgiving=is_err or number < 0)
    stream = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=is_err or (number >= 0 and raw.isatty()),
    )
    setattr(sys, name, stream)
