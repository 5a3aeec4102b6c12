"""SIGHUP: what a process gets when its terminal goes away, such as when ssh drops."""

import contextlib
import signal
from collections.abc import Generator
from typing import Any, Final

# Not everywhere.
HANGUP: Final[int | None] = getattr(signal, "SIGHUP", None)


def ignore() -> Any:
    """Let the process outlive its terminal; return what was done about it before."""
    # Only the main thread may, and there is none of it on Windows.
    with contextlib.suppress(ValueError):
        if HANGUP is not None:
            return signal.signal(HANGUP, signal.SIG_IGN)
    return None


def is_ignored() -> bool:
    """Whether the process outlives its terminal: by `ignore`, or since nohup started it."""
    return HANGUP is None or signal.getsignal(HANGUP) is signal.SIG_IGN


@contextlib.contextmanager
def outlived() -> Generator[None, None, None]:
    """Let the process outlive its terminal for as long as the context lasts."""
    before = ignore()
    try:
        yield
    finally:
        if before is not None and HANGUP is not None:
            signal.signal(HANGUP, before)
