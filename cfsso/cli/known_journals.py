"""Which journals there are: those in the user's folder for state, and those that were named."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cfsso.cli.named_files import LAST

_NAMED: Final = "named"
_MOST: Final = 8192


def folder() -> Path:
    """
    Return where journals without a name are kept, by the XDG Base Directory Specification.

    Raises:
        RuntimeError: The user has no home.
    """
    home = os.environ.get("XDG_STATE_HOME") or ""
    # The specification has relative ones ignored.
    state = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return state / "cfsso"


def remember(path: str) -> None:
    """Let `paths` find a journal of any place; that it can't be noted down is no failure."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        name = os.fsencode(os.path.abspath(path))  # noqa: PTH100 - as it is typed, links and all
        notes = folder() / _NAMED
        if Path(path).resolve().parent == folder().resolve():
            return
        notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = notes / hashlib.sha256(name).hexdigest()[:32]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(note, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(name)


def paths() -> list[str]:
    """Return the journals that there are, each once; which one is none is not looked at."""
    found: dict[tuple[int, int], str] = {}
    with contextlib.suppress(RuntimeError):
        for path in (*_in(folder(), ".cfsso"), *_named()):
            with contextlib.suppress(OSError, ValueError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    found.setdefault((status.st_dev, status.st_ino), str(path))
    return [*found.values()]


def is_last(journal: str) -> bool:
    """Whether a word on the command line stands for the journal of the latest run."""
    return journal == LAST


def _in(place: Path, suffix: str) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(path for path in place.iterdir() if path.name.endswith(suffix))


def _named() -> Iterator[Path]:
    for note in _in(folder() / _NAMED, ""):
        with contextlib.suppress(OSError, ValueError), note.open("rb") as file:
            yield Path(os.fsdecode(file.read(_MOST)))
