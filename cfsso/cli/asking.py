"""Nothing that can lock people out happens without a yes."""

import os
import sys

import click

from cfsso._text import printable
from cfsso.cli.options import Settings

_LINE = 2000
# Seconds after which it is seen whether a signal came.
_GLANCE = 0.2


def need_terminal(command: str) -> None:
    """
    Refuse to go on where nobody can be asked.

    Raises:
        click.UsageError: stdin or stderr is no terminal, or stdin was a file of the command.
    """
    context = click.get_current_context(silent=True)
    settings = context and context.find_object(Settings)
    if settings and settings.stdin:
        raise click.UsageError(
            f"{command} needs --yes where {settings.stdin} is - (stdin); nothing was sent"
        )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"{command} needs --yes without a terminal; nothing was sent")


def ask_for(word: str, question: str) -> bool:
    """Ask on the terminal for *word* itself, in letters of either case; no other is a yes."""
    click.echo(f"{printable(question, _LINE)} Type {word} to go on: ", nl=False, err=True)
    answer = _line()
    if not answer:
        click.echo(err=True)
    return answer.strip().lower() == word.lower()


def ask(question: str) -> bool:
    """
    Ask on the terminal; only ``y`` and ``yes`` are a yes, the end of input is a no.

    Not by click, which writes part of its prompt to stdout.
    """
    click.echo(f"{printable(question, _LINE)} [y/N] ", nl=False, err=True)
    answer = _line()
    if not answer:
        click.echo(err=True)
    return answer.strip().lower() in {"y", "yes"}


def _line() -> str:
    """Return the next line of stdin; empty: it has ended."""
    if os.name == "posix" and sys.stdin.isatty():
        import select

        # A signal in the moment before a read does not end it; this is over soon.
        while not select.select([sys.stdin], [], [], _GLANCE)[0]:
            pass
    return sys.stdin.readline()
