"""The command with its commands, and the one place where errors end."""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from cfsso._version import __version__
from cfsso.cli import banner, exit_codes, streams
from cfsso.cli.commands.apply import apply
from cfsso.cli.commands.break_glass import break_glass
from cfsso.cli.commands.emulator import emulator
from cfsso.cli.commands.journals import resume, revert
from cfsso.cli.commands.plan import plan
from cfsso.cli.commands.reading import get, list_
from cfsso.cli.commands.report import report
from cfsso.cli.commands.runs import runs
from cfsso.cli.commands.transfer import transfer
from cfsso.cli.commands.writing import create, delete, disable, enable, update, verify
from cfsso.cli.endings import CommandEnded
from cfsso.cli.options import examples, global_options, write_options
from cfsso.cli.screen import forget_stdout, say, tolerate_any_text


class App(click.Group):
    """A group in which whatever can be foreseen ends as one line and a code."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **extra: Any) -> Any:
        """Run and exit; see `click.Command.main` for the arguments."""
        tolerate_any_text()
        where = banner.of(sys.argv[1:] if args is None else args)
        banner.show(where.first)
        try:
            code = self._ended(args, *others, **{**extra, "standalone_mode": False})
            if streams.results_are_lost():
                say("stdout is closed: the results are lost")
                code = exit_codes.of_lost_results(code)
        finally:
            banner.show(where.last)
        sys.exit(code)

    def _ended(self, *args: Any, **extra: Any) -> int:
        """Run, and return the exit code."""
        try:
            code = super().main(*args, **extra)
            # Help and the version end here without a word.
            sys.stdout.flush()
        except click.ClickException as error:
            return _refuse(error)
        except click.Abort:
            say("interrupted")
            return exit_codes.of_signal(signal.SIGINT)
        except OSError as error:
            return _give_up(error)
        return code or exit_codes.GREEN

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and return the exit code."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except CommandEnded as ended:
            return ended.code
        except KeyboardInterrupt:
            say("interrupted")
            return exit_codes.of_signal(signal.SIGINT)
        except OSError as error:
            return _give_up(error)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            code = _explained(error)
            if code is None:
                raise
        return code

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the commands in the order in which one meets them."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(
    "cfsso",
    cls=App,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "cfsso list 023e105f4ecef8ad9ca31a8372d0c353",
        "cfsso --emulate cloud.json apply rollout.csv --yes",
    )
    + "\n\nThe API token is read from CLOUDFLARE_API_TOKEN, or with --token-file.",
    no_args_is_help=False,
)
@click.version_option(__version__, prog_name="cfsso", message="%(prog)s %(version)s")
@global_options
def app() -> None:
    """Switch Cloudflare dashboard SSO on and off, for one account or ten thousand."""


for _command in (
    list_,
    get,
    create,
    update,
    enable,
    disable,
    delete,
    verify,
    plan,
    apply,
    break_glass,
    resume,
    revert,
    report,
    runs,
    transfer,
    emulator,
):
    app.add_command(_command)


def _refuse(error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    path = "cfsso" if context is None else context.command_path
    say(f"{error.format_message().rstrip('.')}: see {path} --help")
    return exit_codes.USAGE


def _give_up(error: OSError) -> int:
    """Say what the system refused: the results, or what it names itself."""
    said = error.strerror or str(error)
    if isinstance(error, streams.OutputError):
        forget_stdout()
        if error.errno != errno.EPIPE:
            say(f"can't write the results: {said}")
    else:
        say(f"{os.fsdecode(error.filename)}: {said}" if error.filename else said)
    return exit_codes.NOT_GREEN


def _explained(error: Exception) -> int | None:
    """Say what *error* is and return the exit code; ``None`` if it is none of ours."""
    from cfsso import CfssoError, InvalidRequestError

    if not isinstance(error, CfssoError):
        return None
    say(str(error))
    return exit_codes.USAGE if isinstance(error, InvalidRequestError) else exit_codes.NOT_GREEN
