"""Where the journals of runs are kept."""

import contextlib
import datetime as dt
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import cfsso


@contextlib.contextmanager
def kept(given: str | None, *, rehearsal: bool) -> Generator[str, None, None]:
    """
    Give the path of the journal of a new run.

    Args:
        given: What the user said. ``None``: a new file in the user's folder for state, by
            the XDG Base Directory Specification.
        rehearsal: Whether nothing real happens, so that a journal that nobody has asked
            for does not outlive the run.

    Raises:
        InvalidRequestError: There is no such folder, and none can be made.
    """
    if given is None and rehearsal:
        with tempfile.TemporaryDirectory(prefix="cfsso-") as folder:
            yield os.path.join(folder, "run.cfsso")  # noqa: PTH118
        return
    yield _new() if given is None else given


def _new() -> str:
    home = os.environ.get("XDG_STATE_HOME") or ""
    try:
        # The specification has relative ones ignored.
        state = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
        folder = state / "cfsso"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
        handle, path = tempfile.mkstemp(prefix=f"{stamp}-", suffix=".cfsso", dir=folder)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise cfsso.InvalidRequestError(
            f"no place for the journal: {reason}: give --journal FILE; nothing was sent"
        ) from None
    # The run makes it itself, and refuses one that is there.
    os.close(handle)
    Path(path).unlink()
    return path
