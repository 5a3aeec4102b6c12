"""``resume`` and ``revert``: what a journal knows."""

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

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
    epilog=examples("cfsso resume rollout.cfsso", "cfsso resume last --failed"),
)
@click.argument("journal", metavar="JOURNAL")
@click.option(
    "--failed", is_flag=True, help="Try again, too, what the API refused and so has failed."
)
@global_options
@pass_settings
def resume(settings: Settings, /, journal: str, *, failed: bool) -> int:
    """
    Go on with the latest run of JOURNAL, as it began.

    JOURNAL is a file, or `last` for that of the latest run. What was under way is settled
    by reading first; what is known is shown and not repeated. Of a finished run it shows
    the outcomes and sends nothing. It does not ask.
    """
    import cfsso
    from cfsso.cli import known_journals, runs
    from cfsso.cli.running import Running
    from cfsso.cli.session import Session

    session = Session(settings)
    path = runs.resolved(journal)
    known = _read(session, path)
    _check(settings, session, known, path, "resume", *(["--failed"] * failed))
    known_journals.remember(path)
    run = known.run
    options: dict[str, Any] = {"failed": True} if failed else {}
    is_over = known.is_over and not (failed and known.counts["failed"])
    return Running(
        settings,
        session,
        path,
        total=run.total,
        merged=run.merged,
        kind=run.kind,
        ended=run.ended if is_over else None,
    ).run(
        lambda connectors, stop: cfsso.fleet.resume(
            connectors, path, max_wait=settings.max_wait, stop=stop, **options
        )
    )


@click.command(
    "revert",
    cls=Command,
    short_help="Take back what a run has written.",
    epilog=examples("cfsso revert rollout.cfsso", "cfsso revert last --yes"),
)
@click.argument("journal", metavar="JOURNAL")
@concurrency_option
@yes_option
@global_options
@pass_settings
def revert(settings: Settings, /, journal: str, concurrency: int, *, yes: bool) -> int:
    """
    Restore what the latest run of JOURNAL has changed, the last change first.

    JOURNAL is a file, or `last` for that of the latest run. Only fields that the run
    changed are restored, and only where they still hold what it wrote; the rest is listed
    as a conflict. It is a run of its own in the same journal: the same command, or
    resume, goes on with it. It asks first, and needs --yes where it can't.
    """
    import cfsso
    from cfsso.cli import asking, known_journals, runs
    from cfsso.cli.running import Running
    from cfsso.cli.screen import say
    from cfsso.cli.session import Session
    from cfsso.fleet import RunKind

    session = Session(settings)
    if not yes:
        asking.need_terminal("revert")
    path = runs.resolved(journal)
    known = _read(session, path)
    _check(settings, session, known, path, "revert", *(["--yes"] * yes))
    known_journals.remember(path)
    if not yes and known.written and not asking.ask(_question(path, known)):
        say("not confirmed: nothing was sent")
        return exit_codes.NOT_GREEN
    is_shown = known.run.kind is RunKind.REVERT and known.is_over
    return Running(
        settings,
        session,
        path,
        total=len(known.written),
        kind=RunKind.REVERT,
        ended=known.run.ended if is_shown else None,
    ).run(
        lambda connectors, stop: cfsso.fleet.revert(
            connectors,
            path,
            concurrency=concurrency,
            max_wait=settings.max_wait,
            stop=stop,
        )
    )


class _Known(NamedTuple):
    """
    What a journal says of its latest run.

    Attributes:
        run: The run.
        server: Which server it reached. Empty: it is not known.
        written: Those of its targets that it has written or may have.
        counts: How many of its targets ended how.
    """

    run: "Run"
    server: str
    written: "list[Recorded]"
    counts: Counter[str]

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and nothing is left to do."""
        from cfsso.cli import runs

        return self.run.ended is not None and not runs.is_open(self.counts)


def _read(session: "Session", journal: str) -> _Known:
    import cfsso

    async def read() -> _Known:
        """Read it."""
        written: list[cfsso.fleet.Recorded] = []
        counts: Counter[str] = Counter()
        async with await cfsso.fleet.read_journal(journal) as reader:
            run = reader.latest
            async for recorded in reader.targets():
                counts[recorded.outcome.status.value] += 1
                if recorded.intended:
                    written.append(recorded)
            return _Known(run, run.server, written, counts)

    return session.run_freely(read)


def _check(
    settings: Settings, session: "Session", known: _Known, path: str, command: str, *options: str
) -> None:
    """Refuse what would fail later, before anybody is asked."""
    from cfsso.cli import servers
    from cfsso.cli.named_files import argument

    session.check()
    servers.check(settings, session, known.server, path, command, argument(path), *options)


def _question(journal: str, known: _Known) -> str:
    from cfsso.cli.summary import counted

    accounts = len({recorded.outcome.change.account_id for recorded in known.written})
    begun = f"{known.run.begun:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"Revert {journal}: what the {known.run.kind} of {begun} wrote to"
        f" {counted(len(known.written), 'connector')} in {counted(accounts, 'account')}?"
    )
