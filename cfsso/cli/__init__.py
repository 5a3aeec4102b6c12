"""
The command ``cfsso``; it needs the extra ``cli``.

Modules here load click at most. What speaks HTTP or draws tables is imported where a
command needs it, so that ``--help`` costs nothing else.
"""

import importlib
import sys
from collections.abc import Sequence

from cfsso.cli import descriptors, exit_codes, hangups, streams


def main(argv: Sequence[str] | None = None) -> None:
    """
    Run the command line and exit.

    Args:
        argv: The arguments without the program's name. ``None``: those of the process.
    """
    streams.prepare()
    descriptors.raise_soft_limit()
    # From the very first moment, since the terminal may go at any.
    if "break-glass" in (sys.argv[1:] if argv is None else argv):
        hangups.ignore()
    try:
        for name in ("click", "rich"):
            importlib.import_module(name)
    except ImportError:
        sys.stderr.write("cfsso: the command line is an extra: pip install 'cfsso[cli]'\n")
        sys.exit(exit_codes.USAGE)
    from cfsso.cli.app import app

    app.main(argv, prog_name="cfsso")
