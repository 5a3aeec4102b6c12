"""The options that all commands share; they stand before or after the command."""

import copy
import math
import os
import shlex
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from cfsso._text import printable

_ID_LENGTH = 32
_CONCURRENCY = 32

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


class Settings:
    """
    What the global options say.

    Attributes:
        base_url: ``None``: Cloudflare's own.
        json: Whether results are JSON Lines.
        emulate: The state file of a Cloudflare in memory. ``None``: the real one.
        token_file: ``None``: the token stands in the environment.
        max_wait: Seconds that one call may wait for a rate limit. ``None``: no bound.
        stdin: Which file of the command was read from stdin. Empty: none.
    """

    def __init__(self) -> None:
        self.base_url: str | None = None
        self.json = False
        self.emulate: str | None = None
        self.token_file: str | None = None
        self.max_wait: float | None = None
        self.stdin = ""

    def command(self, *words: str) -> str:
        """Return a command that reaches the same server with the same token, for a POSIX shell."""
        given = {
            "--base-url": self.base_url,
            "--token-file": self.token_file,
            "--emulate": self.emulate,
        }
        options = (part for name, value in given.items() if value for part in (name, value))
        return " ".join(map(_quoted, ["cfsso", *words, *options]))

    def at(self, base_url: str | None) -> "Settings":
        """Return the same settings for a server; ``None``: Cloudflare itself."""
        other = copy.copy(self)
        other.base_url, other.emulate = base_url, None
        return other

    def check(self) -> None:
        """
        Refuse what contradicts itself.

        Raises:
            click.UsageError: Two places to send requests to.
        """
        if self.emulate is not None and self.base_url is not None:
            raise click.UsageError("--emulate and --base-url exclude each other")


def _quoted(word: str) -> str:
    """Quote a word for a POSIX shell, so that it can be shown on a line as it is."""
    if printable(word, len(word)) == word:
        return shlex.quote(word)
    octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(word))
    return f"\"$(printf '{octal}')\""


pass_settings = click.make_pass_decorator(Settings, ensure=True)


class GlobalOption(click.Option):
    """An option that says where requests go and how results look."""


class Command(click.Command):
    """A command whose help shows the global options apart from its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both sections."""
        write_options(self, ctx, formatter)


class Seconds(click.FloatRange):
    """A time from 0 on; neither infinite nor no number."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """
        Return the seconds.

        Raises:
            click.BadParameter: They are none.
        """
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a finite number of seconds", param, ctx)
        return seconds


def write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write the options of *command* in two sections, its own and the global ones."""
    own: list[tuple[str, str]] = []
    everywhere: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None and isinstance(parameter, click.Option):
            (everywhere if isinstance(parameter, GlobalOption) else own).append(record)
    for title, records in (("Options", own), ("Global options", everywhere)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def global_options(function: _Decorated) -> _Decorated:
    """Let a command take the global options after its name."""
    for option in reversed(_GLOBAL):
        option(function)
    return function


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    settings = ctx.ensure_object(Settings)
    name = parameter.name or ""
    # A default must not undo what stood before the command.
    if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
        setattr(settings, name, value)


def _global(*names: str, **attributes: Any) -> Callable[[_Decorated], _Decorated]:
    return click.option(*names, cls=GlobalOption, expose_value=False, callback=_keep, **attributes)


_GLOBAL = (
    _global(
        "--base-url",
        metavar="URL",
        help="Where the API is, instead of Cloudflare; plain http only on this machine.",
    ),
    _global("--json", is_flag=True, help="Print JSON Lines, one object a target."),
    _global(
        "--emulate",
        metavar="FILE",
        help="Use a Cloudflare in memory, seeded from a state file; nothing leaves the machine"
        " and the file stays as it is.",
    ),
    _global(
        "--token-file",
        metavar="FILE",
        help="Read the API token from a file instead of CLOUDFLARE_API_TOKEN; or one for each"
        " account, from a JSON object of account ids and tokens.",
    ),
    _global(
        "--max-wait",
        metavar="SECONDS",
        type=Seconds(),
        help="How long one call may wait for a rate limit before it fails. As long as it takes"
        " unless given.",
    ),
)


def check_ids(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """
    Return ids as they are.

    Raises:
        click.BadParameter: One is none.
    """
    # The library checks each too, but by then others of the command may have been used.
    texts: list[str] = [value] if isinstance(value, str) else list(value)
    for text in texts:
        if len(text) != _ID_LENGTH or not (text.isascii() and text.isalnum()):
            problem = f"must be 32 ASCII letters and digits, not {text!r:.60}"
            raise click.BadParameter(problem, ctx, parameter)
    return value


account_argument = click.argument("account", metavar="ACCOUNT", callback=check_ids)
accounts_argument = click.argument(
    "accounts", metavar="ACCOUNT...", nargs=-1, required=True, callback=check_ids
)
connector_argument = click.argument("connector", metavar="CONNECTOR", callback=check_ids)
concurrency_option = click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(min=1),
    default=_CONCURRENCY,
    show_default=True,
    help="How many requests may be under way at once.",
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Do it without asking.")


def examples(*lines: str) -> str:
    """Return an epilog that shows *lines* as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
