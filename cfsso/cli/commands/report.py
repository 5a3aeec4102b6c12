"""``report``: what a journal says, on the screen or as a page."""

import click

from cfsso.cli import exit_codes
from cfsso.cli.options import Command, Settings, examples, global_options, pass_settings


@click.command(
    "report",
    cls=Command,
    short_help="Show what a run did, or write it as a page.",
    epilog=examples(
        "cfsso report rollout.cfsso",
        "cfsso report rollout.cfsso --html rollout.html",
        "cfsso report rollout.cfsso --run 1 --json",
        "cfsso report last",
    ),
)
@click.argument("journal", metavar="JOURNAL")
@click.option(
    "--html",
    metavar="FILE",
    help="Write a page for a change ticket, which needs nothing else; - is stdout.",
)
@click.option(
    "--run",
    "number",
    metavar="N",
    type=click.IntRange(min=1),
    help="Show this run instead of the latest; the first is 1.",
)
@global_options
@pass_settings
def report(settings: Settings, /, journal: str, html: str | None, number: int | None) -> int:
    """
    Show what the latest run of JOURNAL was told, and what came of it.

    JOURNAL is a file, or `last` for that of the latest run.
    It needs no token, sends nothing and writes nothing to the journal, also while a run
    is under way. The exit code is 0 if the journal could be read, whatever it says.
    """
    import asyncio

    from cfsso.cli import html_report, named_files, reports, runs
    from cfsso.cli.screen import say
    from cfsso.fleet import _files

    if html == named_files.STANDARD and settings.json:
        raise click.UsageError("--json and --html - exclude each other: both write to stdout")
    path = runs.resolved(journal)
    if html is not None and html != named_files.STANDARD:
        _files.check_place(html, html_report.KIND, named_files.inputs(settings, journal=path))
    made = asyncio.run(reports.read(path, number))
    if html == named_files.STANDARD:
        html_report.write(made)
        return exit_codes.GREEN
    if html is not None:
        html_report.save(made, html)
    if settings.json:
        reports.emit(made)
    else:
        reports.show(made)
    if html is not None:
        say(f"written: {html}")
    return exit_codes.GREEN
