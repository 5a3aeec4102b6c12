"""``apply``: a file of changes."""

from typing import TYPE_CHECKING

import click

from cfsso.cli import exit_codes
from cfsso.cli.options import (
    Command,
    Settings,
    examples,
    global_options,
    pass_settings,
    yes_option,
)

if TYPE_CHECKING:
    import cfsso
    from cfsso.fleet import Changes

_CONCURRENCY = 32


@click.command(
    "apply",
    cls=Command,
    short_help="Bring a file of connectors to their wishes.",
    epilog=examples(
        "cfsso apply rollout.csv",
        "cfsso --emulate cloud.json apply rollout.csv --yes",
        "cfsso apply rollout.csv --yes --json > outcomes.jsonl",
    ),
)
@click.argument("file", metavar="FILE")
@click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(min=1),
    default=_CONCURRENCY,
    show_default=True,
    help="How many requests may be under way at once.",
)
@yes_option
@global_options
@pass_settings
def apply(settings: Settings, /, file: str, concurrency: int, *, yes: bool) -> int:
    """
    Bring each connector of FILE to the values it asks for, and read all of them back.

    FILE is CSV with the header account_id,sso_connector_id,enabled,use_fedramp_language
    (true, false, or empty to leave alone), or JSON Lines with these keys if its name
    ends in .jsonl. A row that can't be used stops everything before a request is sent.

    It asks first, and needs --yes where it can't. Ctrl-C sends no further write,
    waits for those under way and shows what was done; a second one leaves at once.
    """
    import cfsso
    from cfsso.cli import asking
    from cfsso.cli.applying import Applying
    from cfsso.cli.screen import say
    from cfsso.cli.session import Session

    session = Session(settings)
    try:
        changes = cfsso.fleet.read_changes(file)
    except cfsso.InvalidRequestError as error:
        for line in _problems(file, error):
            say(line)
        return exit_codes.USAGE
    session.check()
    if not yes:
        asking.need_terminal("apply")
        if not asking.ask(_question(file, changes)):
            say("not confirmed: nothing was sent")
            return exit_codes.NOT_GREEN
    return Applying(settings, session, changes, concurrency).run()


def _problems(file: str, error: "cfsso.InvalidRequestError") -> list[str]:
    rows: list[str] = getattr(error, "__notes__", [])
    if len(rows) < 2:  # noqa: PLR2004 - the error itself tells of one
        return [str(error)]
    return [
        *(f"{file}: {row}" for row in rows),
        f"{file}: {len(rows)} rows can't be used; nothing was sent",
    ]


def _question(file: str, changes: "Changes") -> str:
    from cfsso.cli.summary import counted

    enables = sum(change.enabled is True for change in changes)
    disables = sum(change.enabled is False for change in changes)
    others = len(changes) - enables - disables
    parts = [f"{enables:,} to enable", f"{disables:,} to disable"]
    if others:
        parts.append(f"{others:,} to change in wording only")
    accounts = len({change.account_id for change in changes})
    return (
        f"Apply {file}: {counted(len(changes), 'connector')} in {counted(accounts, 'account')},"
        f" {', '.join(parts)}?"
    )
