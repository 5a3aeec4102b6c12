"""The token file."""

import os
from collections.abc import Callable
from typing import Final

from cfsso import InvalidRequestError

_MOST: Final = 64 * 1024
_READABLE_BY_OTHERS: Final = 0o044


def read_token(path: str, warn: Callable[[str], object]) -> str:
    """
    Return what stands in a token file, which may end in one line break.

    Args:
        path: Where it is.
        warn: Is told if others can read the file.

    Raises:
        InvalidRequestError: The file can't be read.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib would cost import time
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MOST)
    except OSError as error:
        problem = f"--token-file {path}: {error.strerror}"
    else:
        if os.name == "posix" and mode & _READABLE_BY_OTHERS:
            warn(f"others can read {path}: chmod 600 it")
        # Latin-1 takes any byte; that a token has none of the odd ones is checked later.
        return text.decode("latin-1").removesuffix("\n").removesuffix("\r")
    raise InvalidRequestError(problem)
