"""How many file descriptors this process may yet open: each connection is one."""

import errno
import os
from typing import Final

# For a journal, DNS, files of certificates, and what comes up later.
_MARGIN: Final = 32
_SHARE: Final = 4
# Where nobody lists them.
_GUESS: Final = 32
_LISTS: Final = ("/proc/self/fd", "/dev/fd")
_FULL: Final = (errno.EMFILE, errno.ENFILE)


def left() -> float:
    """Return how many connections may be open at once besides what is open now; inf: any number."""
    try:
        import resource
    except ImportError:
        return float("inf")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    return limit - _in_use() - min(_MARGIN, limit // _SHARE)


def _in_use() -> int:
    for path in _LISTS:
        try:
            return len(os.listdir(path))  # noqa: PTH208 - names are enough
        except OSError:
            continue
    return _GUESS


def is_full(error: OSError) -> bool:
    """Whether *error* says that the process, or the system, has no descriptor left."""
    return error.errno in _FULL


def are_exhausted() -> bool:
    """Whether not a single file can be opened now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return is_full(error)
    return False
