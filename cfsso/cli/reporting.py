"""How a single command says what became of it."""

import contextlib
from collections.abc import Generator

import cfsso
from cfsso.cli import advice, exit_codes, records, render
from cfsso.cli.endings import CommandEnded
from cfsso.cli.options import Settings
from cfsso.cli.results import Result, Target
from cfsso.cli.screen import say
from cfsso.cli.writes import failed


@contextlib.contextmanager
def reported_failure(settings: Settings, target: Target) -> Generator[None, None, None]:
    """
    Show an error of the API as the result of a command about *target*.

    Raises:
        InvalidRequestError: It passes, since nothing became of anything.
        CommandEnded: In place of any other error of the library.
    """
    try:
        yield
    except cfsso.CfssoError as error:
        result = failed(target, error)
    else:
        return
    raise CommandEnded(report(settings, result))


def report(settings: Settings, result: Result) -> int:
    """Show a result, on stdout what is known and on stderr what went wrong; return the code."""
    if settings.json:
        records.emit(records.of_result(result))
    elif result.connector is not None or result.status.is_green:
        render.show_result(result)
    if not result.status.is_green:
        say(_complaint(result))
    return exit_codes.of_statuses([result.status])


def _complaint(result: Result) -> str:
    if result.error is None:
        return f"{result.note}: run `{result.target.look}`"
    if not result.note:
        return advice.line(result.error, result.target)
    return f"{result.note}: {result.error}: run `{result.target.look}` before you repeat it"
