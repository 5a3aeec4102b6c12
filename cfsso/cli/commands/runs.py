"""``runs``: which journals there are, and how their runs ended."""

from typing import TYPE_CHECKING, Any

import click

from cfsso.cli import exit_codes
from cfsso.cli.options import Command, Settings, examples, global_options, pass_settings

if TYPE_CHECKING:
    from cfsso.cli.runs import Entry


@click.command(
    "runs",
    cls=Command,
    short_help="List the journals of runs, the latest first.",
    epilog=examples("cfsso runs", "cfsso runs --json", "cfsso report last"),
)
@global_options
@pass_settings
def runs(settings: Settings, /) -> int:
    """
    List the journals of this user, the latest run first.

    Those are the ones in ~/.local/state/cfsso, and those that were named with --journal
    and are still there. It needs no token, sends nothing, and neither locks nor writes a
    journal. JOURNAL can be `last` for the first one with a run.
    """
    from cfsso.cli import records
    from cfsso.cli import runs as known
    from cfsso.cli.screen import say

    found = known.entries()
    if settings.json:
        for entry in found:
            records.emit(_record(entry))
    elif found:
        _show(found)
    else:
        say("no journals")
    return exit_codes.GREEN


def _record(entry: "Entry") -> dict[str, Any]:
    from cfsso.fleet import _plain

    run = entry.run
    return {
        "journal": entry.path,
        "state": entry.state,
        "run": None if run is None else run.kind.value,
        "begun": None if run is None else _plain.of_time(run.begun),
        "ended": None if run is None else _plain.of_time(run.ended),
        "server": entry.server or None,
        "counts": dict(entry.counts),
        "problem": entry.problem or None,
    }


def _show(found: "list[Entry]") -> None:
    from cfsso._text import shown_time
    from cfsso.cli import render, reports

    console = render.screen()
    for number, entry in enumerate(found):
        if number:
            console.print()
        render.show_lines(
            {
                "journal": entry.path,
                "run": "-" if entry.run is None else reports.kind_of(entry.run),
                "begun": "-" if entry.run is None else shown_time(entry.run.begun),
                "server": entry.server or "-",
                "outcomes": reports.tally(entry.counts) if entry.run else "-",
                "state": f"{entry.state}: {entry.problem}" if entry.problem else entry.state,
            }
        )
