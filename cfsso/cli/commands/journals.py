"""``resume`` and ``revert``: what a journal knows."""

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
    from cfsso.cli.session import Session
    from cfsso.fleet import Recorded, Run


@click.command(
    "resume",
    cls=Command,
    short_help="Go on with a run that was cut off.",
    epilog=examples("cfsso resume rollout.cfsso"),
)
@click.argument("journal", metavar="JOURNAL")
@global_options
@pass_settings
def resume(settings: Settings, /, journal: str) -> int:
    """
    Go on with the latest run of JOURNAL, as it began.

    What was under way is settled by reading first; what is known is shown and not
    repeated. Of a finished run it shows the outcomes and sends nothing. It does not ask.
    """
    import cfsso
    from cfsso.cli.running import Running
    from cfsso.cli.session import Session

    session = Session(settings)
    run, _ = _read(session, journal)
    session.check()
    running = Running(settings, session, journal, total=run.total, merged=run.merged)
    return running.run(
        lambda connectors, stop: cfsso.fleet.resume(
            connectors, journal, max_wait=settings.max_wait, stop=stop
        )
    )


@click.command(
    "revert",
    cls=Command,
    short_help="Take back what a run has written.",
    epilog=examples("cfsso revert rollout.cfsso", "cfsso revert rollout.cfsso --yes"),
)
@click.argument("journal", metavar="JOURNAL")
@concurrency_option
@yes_option
@global_options
@pass_settings
def revert(settings: Settings, /, journal: str, concurrency: int, *, yes: bool) -> int:
    """
    Restore what the latest run of JOURNAL has changed, the last change first.

    Only fields that the run changed, and only where they still hold what it wrote; the
    rest is listed as a conflict. It is a run of its own in the same journal: the same
    command, or resume, goes on with it. It asks first, and needs --yes where it can't.
    """
    import cfsso
    from cfsso.cli import asking
    from cfsso.cli.running import Running
    from cfsso.cli.screen import say
    from cfsso.cli.session import Session

    session = Session(settings)
    if not yes:
        asking.need_terminal("revert")
    run, written = _read(session, journal)
    session.check()
    if not yes and written and not asking.ask(_question(journal, run, written)):
        say("not confirmed: nothing was sent")
        return exit_codes.NOT_GREEN
    return Running(settings, session, journal, total=len(written)).run(
        lambda connectors, stop: cfsso.fleet.revert(
            connectors,
            journal,
            concurrency=concurrency,
            max_wait=settings.max_wait,
            stop=stop,
        )
    )


def _read(session: "Session", journal: str) -> "tuple[Run, list[Recorded]]":
    """Return the latest run, and those of its targets that it has written or may have."""
    import cfsso

    async def read() -> "tuple[Run, list[Recorded]]":
        """Read it."""
        async with await cfsso.fleet.read_journal(journal) as reader:
            return reader.latest, [
                recorded async for recorded in reader.targets() if recorded.intended
            ]

    return session.run_freely(read)


def _question(journal: str, run: "Run", written: "list[Recorded]") -> str:
    from cfsso.cli.summary import counted

    accounts = len({recorded.outcome.change.account_id for recorded in written})
    begun = f"{run.begun:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"Revert {journal}: what the {run.kind} of {begun} wrote to"
        f" {counted(len(written), 'connector')} in {counted(accounts, 'account')}?"
    )
