"""Lines for people on stderr; results have stdout for themselves."""

import contextlib
import os
import sys
from typing import TextIO

import click

from cfsso._text import printable

_LINE = 2000
# A command is of no use cut off.
_COMMAND = 100_000


def say(message: str) -> None:
    """Print one line to stderr; what stands in *message* can't break or colour it."""
    # Whoever closed stderr does not want to know, and a run must go on.
    with contextlib.suppress(OSError):
        click.echo(f"cfsso: {printable(message, _LINE)}", err=True)


def hint(text: str) -> None:
    """Print what to do next to stderr, with its commands whole."""
    with contextlib.suppress(OSError):
        click.echo(f"cfsso: hint: {printable(text, _COMMAND)}", err=True)


def is_live(stream: TextIO) -> bool:
    """Whether *stream* is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def tolerate_any_text() -> None:
    """Make stdout escape what its encoding lacks, as stderr does."""
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # tried


def forget_stdout() -> None:
    """Send to nowhere what is still buffered for a reader that has gone."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        finally:
            os.close(nowhere)
