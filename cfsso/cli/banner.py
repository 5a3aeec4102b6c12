"""Lines on stderr that say when it is not Cloudflare that a command reaches."""

import contextlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from cfsso._text import printable

_LINE: Final = 4096


class Banner(NamedTuple):
    """
    What stands around all other lines of a command.

    Attributes:
        first: The first line. Empty: there is none.
        last: The last line. Empty: there is none.
    """

    first: str = ""
    last: str = ""


def of(arguments: Sequence[str]) -> Banner:
    """
    Return the lines for a command, by its bare arguments.

    Not by the parsed ones: whoever mistypes an option learns as well where the command
    would have gone.
    """
    file, url = _value(arguments, "--emulate"), _value(arguments, "--base-url")
    if file is not None:
        return Banner(
            f"EMULATED: nothing is sent to Cloudflare; this is {file}",
            "EMULATED: nothing was sent to Cloudflare",
        )
    if url is not None and _is_loopback(url):
        return Banner(f"using {url}: a server on this machine, not Cloudflare")
    return Banner()


def show(line: str) -> None:
    """Print a line to stderr, unless it is empty."""
    if line:
        # A stderr that takes nothing is no reason to stop.
        with contextlib.suppress(OSError):
            click.echo(printable(line, _LINE), err=True)


def _value(arguments: Sequence[str], option: str) -> str | None:
    """Return the value that counts of a global option. ``None``: it is not given."""
    found = None
    for number, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == option and number + 1 < len(arguments):
            found = arguments[number + 1]
        elif argument.startswith(f"{option}="):
            found = argument.removeprefix(f"{option}=")
    return found


def _is_loopback(url: str) -> bool:
    import ipaddress
    from urllib.parse import urlsplit

    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
