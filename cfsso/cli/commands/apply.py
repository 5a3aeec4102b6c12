"""``apply``: a file of changes, or a plan of them."""

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
    yes_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cfsso.cli.session import Session
    from cfsso.fleet import Change, Plan

_CANARY = 1


@click.command(
    "apply",
    cls=Command,
    short_help="Bring a file of connectors to their wishes.",
    epilog=examples(
        "cfsso apply rollout.csv",
        "cfsso --emulate cloud.json apply rollout.csv --yes",
        "cfsso apply rollout.plan --journal rollout.cfsso --max-failures 3",
        "cfsso apply rollout.csv --yes --json > outcomes.jsonl",
    ),
)
@click.argument("file", metavar="FILE")
@click.option(
    "--journal",
    metavar="FILE",
    help="The journal to write, which must not exist. Unless given it is a new file in"
    " ~/.local/state/cfsso.",
)
@concurrency_option
@click.option(
    "--canary",
    metavar="N",
    type=click.IntRange(min=0),
    default=_CANARY,
    show_default=True,
    help="How many connectors go first, alone; the run stops if one does not get its values.",
)
@click.option(
    "--max-failures",
    metavar="N",
    type=click.IntRange(min=0),
    help="How many targets may fail before the run stops; there are never more writes under way"
    " than are left, plus one. Any number unless given.",
)
@yes_option
@global_options
@pass_settings
def apply(
    settings: Settings,
    /,
    file: str,
    journal: str | None,
    concurrency: int,
    canary: int,
    max_failures: int | None,
    *,
    yes: bool,
) -> int:
    """
    Bring each connector of FILE to the values it asks for, and read all of them back.

    FILE is CSV with the header account_id,sso_connector_id,enabled,use_fedramp_language
    (true, false, or empty to leave alone), or JSON Lines with these keys, or a plan that
    `cfsso plan --out` has saved; - is stdin. A row that can't be used stops everything
    before a request is sent.

    It plans and asks first, and needs --yes where it can't. Ctrl-C sends no further write,
    settles those under way and says how to go on; a second one leaves at once.
    """
    import os

    import cfsso
    from cfsso.cli import asking, inputs, journals, known_journals, named_files, planned
    from cfsso.cli.running import Keeping, Running
    from cfsso.cli.screen import say
    from cfsso.cli.session import Session

    session = Session(settings)
    given = inputs.read_changes(file)
    session.check()
    if journal is not None and os.path.lexists(journal):
        way = settings.command("resume", named_files.argument(journal))
        raise cfsso.InvalidRequestError(
            f"{journal} exists: give another --journal, or go on with it: `{way}`"
        )
    if not yes:
        asking.need_terminal("apply")
    plan = (
        given
        if isinstance(given, cfsso.fleet.Plan)
        else _planned(settings, session, given, concurrency)
    )
    if yes:
        say(planned.summary(plan))
    elif not _agreed(settings, file, plan):
        say("not confirmed: nothing was sent")
        return exit_codes.NOT_GREEN
    if journal is not None:
        keeping = Keeping.ALWAYS
        known_journals.remember(journal)
    else:
        keeping = Keeping.IF_WRITTEN if settings.emulate is None else Keeping.NEVER
    with journals.kept(journal, rehearsal=settings.emulate is not None) as path:
        running = Running(
            settings,
            session,
            path,
            total=len(plan.rows),
            merged=plan.merged,
            keeping=keeping,
            changes=[row.change for row in plan.rows],
        )
        return running.run(
            lambda connectors, stop: cfsso.fleet.apply(
                connectors,
                plan,
                journal=path,
                concurrency=concurrency,
                canary=canary,
                max_failures=max_failures,
                max_wait=settings.max_wait,
                stop=stop,
            )
        )


def _planned(
    settings: Settings, session: "Session", changes: "Sequence[Change]", concurrency: int
) -> "Plan":
    import cfsso
    from cfsso.cli import planned

    async def work(connectors: cfsso.AsyncSSOConnectors) -> "Plan":
        """Read the accounts."""
        total = len({change.account_id for change in changes})
        with planned.watched(connectors, total, json=settings.json) as shown:
            return await cfsso.fleet.plan(
                shown, changes, concurrency=concurrency, max_wait=settings.max_wait
            )

    return session.run(work)


def _agreed(settings: Settings, file: str, plan: "Plan") -> bool:
    """Show the plan, and ask if there is anything to do."""
    from cfsso.cli import asking, planned
    from cfsso.cli.screen import say

    if settings.json:
        say(planned.summary(plan))
    else:
        planned.show(plan)
    may_write = plan.has_changes or plan.undecided
    return not may_write or asking.ask(_question(file, plan))


def _question(file: str, plan: "Plan") -> str:
    from cfsso.cli import named_files
    from cfsso.cli.summary import counted

    wishes = [row.change.enabled for row in plan.writes]
    enables, disables = wishes.count(True), wishes.count(False)
    others = len(wishes) - enables - disables
    parts = [f"{enables:,} to enable", f"{disables:,} to disable"]
    if others:
        parts.append(f"{others:,} to change in wording only")
    if plan.undecided:
        parts.append(f"{len(plan.undecided):,} to read again first")
    return (
        f"Apply {named_files.shown(file)}: {counted(len(wishes), 'connector')} in"
        f" {counted(len(plan.changed_accounts), 'account')}, {', '.join(parts)}?"
    )
