"""What people name on the command line: files, pipes, and ``-`` for the standard streams."""

import sys
from collections.abc import Mapping
from typing import Final

import click

import cfsso
from cfsso.cli.options import Settings
from cfsso.fleet import _files

STANDARD: Final = "-"
"""Stands for stdin or stdout in place of a file."""


LAST: Final = "last"
"""Stands for the journal of the latest run."""


def read(path: str, option: str) -> bytes:
    """
    Return what a file holds, without a byte-order mark; it is read once.

    Args:
        path: Where it is; ``-`` is stdin, which one file of a command may be.
        option: What people call it.

    Raises:
        InvalidRequestError: It can't be read.
        click.UsageError: stdin is another file of the command already.
    """
    if path != STANDARD:
        return _files.read(path)
    settings = click.get_current_context().ensure_object(Settings)
    if settings.stdin and settings.stdin != option:
        raise click.UsageError(f"only one of {settings.stdin} and {option} can be - (stdin)")
    settings.stdin = option
    try:
        return sys.stdin.buffer.read().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        problem = error.strerror
    raise cfsso.InvalidRequestError(f"{option} on stdin: {problem}")


def shown(path: str) -> str:
    """Return the name of a file for people, as one line."""
    return "stdin" if path == STANDARD else _files.shown(path)


def inputs(settings: Settings, **others: str | None) -> Mapping[str, str]:
    """
    Return the files that a command reads and must not replace, by what they are.

    Args:
        settings: The global options.
        others: What it reads besides; ``None``: nothing.
    """
    named = {
        "the token file": settings.token_file,
        "the state file": settings.emulate,
        **{f"the {name.replace('_', ' ')}": path for name, path in others.items()},
    }
    return {name: path for name, path in named.items() if path and path != STANDARD}


def argument(path: str) -> str:
    """Return a path such that a command takes it for one, and for no option or word of its own."""
    return f"./{path}" if path.startswith("-") or path == LAST else path
