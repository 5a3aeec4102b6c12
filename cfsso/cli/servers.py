"""Which server a journal belongs to, and how to reach it."""

import cfsso
from cfsso.cli import exit_codes
from cfsso.cli.endings import CommandEnded
from cfsso.cli.options import Settings
from cfsso.cli.screen import hint, say
from cfsso.cli.session import Session
from cfsso.transports._urls import BASE_URL, checked_base_url

_EMULATED = "emulated:"


def check(settings: Settings, session: Session, server: str, journal: str, *words: str) -> None:
    """
    Refuse a journal whose runs reached another server than this command would.

    Args:
        settings: The global options.
        session: The way to the server.
        server: Which one the journal belongs to. Empty: it is not known.
        journal: Its path.
        words: The command and its own arguments.

    Raises:
        CommandEnded: It is another one, which was said.
    """
    here = session.server
    if not server or not here or server == here:
        return
    say(f"{journal} belongs to {shown(server)}, not to {shown(here)}; nothing was sent")
    if server.startswith(_EMULATED):
        hint("give --emulate with the state file that the run began with")
    elif _is_url(server):
        base_url = None if server == BASE_URL else server
        hint(f"if that is where it is to go: `{settings.at(base_url).command(*words)}`")
    raise CommandEnded(exit_codes.USAGE)


def shown(server: str) -> str:
    """Return how people call a server."""
    if server.startswith(_EMULATED):
        return f"an emulated Cloudflare ({server.removeprefix(_EMULATED)})"
    return f"Cloudflare ({server})" if server == BASE_URL else server


def _is_url(server: str) -> bool:
    try:
        return checked_base_url(server) == server
    except cfsso.InvalidRequestError:
        return False
