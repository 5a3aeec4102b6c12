"""Where the journals of runs are kept."""

import contextlib
import datetime as dt
import os
import secrets
import tempfile
from collections.abc import Generator
from pathlib import Path

import cfsso
from cfsso.cli import known_journals
from cfsso.cli.screen import say


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
        with _temporary() as folder:
            yield os.path.join(folder, "run.cfsso")  # noqa: PTH118
        return
    yield _new() if given is None else given


def _temporary() -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix="cfsso-")
    except OSError as error:
        raise _no_place(error) from None


@contextlib.contextmanager
def kept_of_rescue(given: str | None, *, rehearsal: bool) -> Generator[str | None, None, None]:
    """
    Give the path of the journal of a rescue; ``None`` if there is no place, which is said.

    Unlike `kept` it refuses nothing, and looks at no real disk, which may hang: whoever
    writes the file makes its folder.
    """
    if given is None and rehearsal:
        with contextlib.ExitStack() as stack:
            path = None
            with contextlib.suppress(OSError):
                made = tempfile.TemporaryDirectory(prefix="cfsso-", ignore_cleanup_errors=True)
                path = os.path.join(stack.enter_context(made), "run.cfsso")  # noqa: PTH118
            yield path
        return
    yield _planned() if given is None else given


def _planned() -> str | None:
    try:
        return str(known_journals.folder() / f"{_stamp()}-{secrets.token_hex(4)}.cfsso")
    except RuntimeError as error:
        say(f"warning: no place for the journal: {error}: what is done now is not recorded")
        return None


def _stamp() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")


def _new() -> str:
    try:
        folder = known_journals.folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(prefix=f"{_stamp()}-", suffix=".cfsso", dir=folder)
    except (OSError, RuntimeError) as error:
        raise _no_place(error) from None
    # The run makes it itself, and refuses one that is there.
    os.close(handle)
    Path(path).unlink()
    return path


def _no_place(error: Exception) -> cfsso.InvalidRequestError:
    reason = getattr(error, "strerror", None) or str(error)
    return cfsso.InvalidRequestError(
        f"no place for the journal: {reason}: give --journal FILE; nothing was sent"
    )
