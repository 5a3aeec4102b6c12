"""``plan``: what ``apply`` would do."""

from typing import TYPE_CHECKING

import click

from cfsso.cli import exit_codes
from cfsso.cli.options import (
    Command,
    Settings,
    concurrency_option,
    examples,
    global_options,
    pass_settings,
)

if TYPE_CHECKING:
    import cfsso
    from cfsso.fleet import Plan


@click.command(
    "plan",
    cls=Command,
    short_help="Show what apply would do; nothing is written.",
    epilog=examples(
        "cfsso plan rollout.csv",
        "cfsso plan rollout.csv --out rollout.plan",
        "cfsso --emulate cloud.json plan rollout.csv --detailed-exitcode",
    ),
)
@click.argument("file", metavar="FILE")
@click.option("--out", metavar="FILE", help="Save the plan, for apply; - is stdout.")
@click.option(
    "--account",
    "accounts",
    metavar="ACCOUNT",
    multiple=True,
    help="Look at this account too, for domains that are enabled there. May be repeated.",
)
@click.option(
    "--accounts-file",
    metavar="FILE",
    help="Look at these accounts too: an id a line; # begins a comment.",
)
@concurrency_option
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 3 if there is something to change and nothing is blocked.",
)
@global_options
@pass_settings
def plan(
    settings: Settings,
    /,
    file: str,
    out: str | None,
    accounts: tuple[str, ...],
    accounts_file: str | None,
    concurrency: int,
    *,
    detailed_exitcode: bool,
) -> int:
    """
    Read the accounts of FILE and show what apply would do; nothing is written.

    FILE is what apply takes: CSV with the header
    account_id,sso_connector_id,enabled,use_fedramp_language, or JSON Lines with these keys;
    - is stdin. The exit code is 1 if something is blocked.
    """
    import cfsso
    from cfsso.cli import inputs, named_files, planned
    from cfsso.cli.screen import say
    from cfsso.cli.session import Session
    from cfsso.fleet import _files
    from cfsso.fleet.plans import KIND

    if out == named_files.STANDARD and settings.json:
        raise click.UsageError("--json and --out - exclude each other: both write to stdout")
    session = Session(settings)
    changes = inputs.read_changes(file)
    if isinstance(changes, cfsso.fleet.Plan):
        name = named_files.shown(file)
        raise cfsso.InvalidRequestError(f"{name}: a plan already: give the changes it is to be of")
    further = [*accounts, *([] if accounts_file is None else inputs.read_accounts(accounts_file))]
    total = len({change.account_id for change in changes} | set(further))

    async def work(connectors: "cfsso.AsyncSSOConnectors") -> "Plan":
        """Make the plan."""
        with planned.watched(connectors, total, json=settings.json) as shown:
            return await cfsso.fleet.plan(
                shown,
                changes,
                accounts=further,
                concurrency=concurrency,
                max_wait=settings.max_wait,
            )

    session.check()
    if out is not None and out != named_files.STANDARD:
        read = named_files.inputs(settings, file=file, accounts_file=accounts_file)
        _files.check_place(out, KIND, read)
    made = session.run(work)
    if out == named_files.STANDARD:
        _print(made)
        return _code(made, detailed=detailed_exitcode)
    try:
        if out is not None:
            made.save(out)
    finally:
        _show(settings, made)
    if out is not None:
        say(f"saved: `{settings.command('apply', named_files.argument(out))}` does it")
    return _code(made, detailed=detailed_exitcode)


def _print(made: "Plan") -> None:
    from cfsso.cli import planned
    from cfsso.cli.screen import say

    click.echo(made.to_json(), nl=False)
    for line in (planned.summary(made), *planned.unread(made)):
        say(line)


def _show(settings: Settings, made: "Plan") -> None:
    from cfsso.cli import planned
    from cfsso.cli.screen import say

    if settings.json:
        planned.emit(made)
    else:
        planned.show(made)
    for line in planned.unread(made):
        say(line)


def _code(made: "Plan", *, detailed: bool) -> int:
    from cfsso.fleet import PlanAction

    if made.unread or any(row.action is PlanAction.BLOCKED for row in made.rows):
        return exit_codes.NOT_GREEN
    return exit_codes.CHANGES if detailed and made.has_changes else exit_codes.GREEN
