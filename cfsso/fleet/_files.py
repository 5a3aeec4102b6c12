"""Files that are read whole, and replaced whole by what is of their own kind."""

import os
import stat
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from cfsso._text import printable
from cfsso.errors import InvalidRequestError

Path: TypeAlias = str | os.PathLike[str]

_BOM: Final = b"\xef\xbb\xbf"
_HEAD: Final = 65536
_NO_INPUTS: Final[Mapping[str, Path]] = {}


class Kind(NamedTuple):
    """
    A kind of files that are written here.

    Attributes:
        name: What it is called, with its article.
        is_begun_by: Whether a file that begins so is one.
    """

    name: str
    is_begun_by: Callable[[bytes], bool]


def shown(path: Path) -> str:
    """Return the name of a file as one line."""
    return printable(os.fspath(path), 4096)


def read(path: Path) -> bytes:
    """
    Return what a file holds, without a byte-order mark; it is opened once.

    Raises:
        InvalidRequestError: It can't be read.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib would cost import time
            return file.read().removeprefix(_BOM)
    except OSError as error:
        problem = error.strerror
    except ValueError:
        problem = "no name of a file"
    raise InvalidRequestError(f"{shown(path)}: {problem}")


def check_place(path: Path, kind: Kind, inputs: Mapping[str, Path] = _NO_INPUTS) -> None:
    """
    See that a file may be written: it is new, empty, or a former one of its kind.

    Args:
        path: Where it is to be. No symbolic link is followed.
        kind: What is to be written.
        inputs: What is read from elsewhere and must not be replaced: names for people, and paths.

    Raises:
        InvalidRequestError: It may not.
    """
    problem: str | None
    try:
        problem = _problem(os.fspath(path), kind, inputs)
    except OSError as error:
        problem = error.strerror
    except ValueError:
        problem = "no name of a file"
    if problem:
        raise InvalidRequestError(f"{shown(path)}: {problem}")


def replace(path: Path, text: str, kind: Kind) -> None:
    """
    Write a file in one step, readable by its owner only.

    Raises:
        InvalidRequestError: It can't be written, or as in `check_place`; what was there
            is untouched.
    """
    check_place(path, kind)
    try:
        _replace(os.path.abspath(path), text)  # noqa: PTH100 - pathlib would cost import time
    except OSError as error:
        problem = error.strerror
    else:
        return
    raise InvalidRequestError(f"{shown(path)}: {problem}")


def _problem(path: str, kind: Kind, inputs: Mapping[str, Path]) -> str:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        # So that it is not said after the work.
        os.stat(os.path.dirname(path) or os.curdir)  # noqa: PTH116, PTH120 - as above
        return ""
    for name, other in inputs.items():
        if _is_same(found, other):
            return f"this is {name} itself: give another name"
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link: give the name of a file"
    if not stat.S_ISREG(found.st_mode):
        return "not a file: give another name"
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        head = file.read(_HEAD)
    if head and not kind.is_begun_by(head):
        return f"there is something else than {kind.name}: give another name, or remove it"
    return ""


def _is_same(found: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(found, os.stat(path))  # noqa: PTH116 - as above
    except (OSError, ValueError):
        # That an input is missing is said by who reads it.
        return False


def _replace(path: str, text: str) -> None:
    # Not above, since it is slow to load.
    import tempfile

    # Of mode 0600.
    handle, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".cfsso-")  # noqa: PTH120
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise
