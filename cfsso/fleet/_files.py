"""Files that are read and replaced whole."""

import os
from typing import Final

from cfsso._text import printable
from cfsso.errors import InvalidRequestError

_BOM: Final = b"\xef\xbb\xbf"


def shown(path: str | os.PathLike[str]) -> str:
    """Return the name of a file as one line."""
    return printable(os.fspath(path), 4096)


def read(path: str | os.PathLike[str]) -> bytes:
    """
    Return what a file holds, without a byte-order mark.

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


def replace(path: str | os.PathLike[str], text: str) -> None:
    """
    Write a file in one step, readable by its owner only.

    Raises:
        InvalidRequestError: It can't be written; what was there is untouched.
    """
    try:
        _replace(os.path.realpath(path), text)
    except OSError as error:
        problem = error.strerror
    except ValueError:
        problem = "no name of a file"
    else:
        return
    raise InvalidRequestError(f"{shown(path)}: {problem}")


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
