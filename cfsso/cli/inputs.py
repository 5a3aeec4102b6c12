"""Files that commands read: changes, and lists of accounts."""

from collections.abc import Sequence

import cfsso
from cfsso import _checks
from cfsso.cli import exit_codes, named_files
from cfsso.cli.endings import CommandEnded
from cfsso.cli.screen import say
from cfsso.fleet import Changes, Plan
from cfsso.fleet.changes import to_changes
from cfsso.fleet.plans import is_plan, read_plan


def read_changes(file: str) -> Changes | Plan:
    """
    Return the changes of a file, or the plan that was saved there.

    Raises:
        CommandEnded: It can't be used, and every reason was said.
        InvalidRequestError: It can't be read, or is no plan that can be used.
    """
    content, name = named_files.read(file, "FILE"), named_files.shown(file)
    if is_plan(content):
        return read_plan(content, name)
    try:
        return to_changes(content, name)
    except cfsso.InvalidRequestError as error:
        problems: list[str] = getattr(error, "__notes__", [])
        _refuse(name, str(error), problems)
    raise CommandEnded(exit_codes.USAGE)


def read_accounts(file: str) -> Sequence[str]:
    """
    Return the account ids of a file: one a line, each once, in its order.

    Empty lines and what follows a ``#`` are left out, as is all but the first column of
    CSV, which may have a header.

    Raises:
        CommandEnded: It can't be used, and every reason was said.
        InvalidRequestError: It can't be read.
    """
    name = named_files.shown(file)
    try:
        text = named_files.read(file, "--accounts-file").decode()
    except UnicodeDecodeError as error:
        problem = f"{name}: not UTF-8 at byte {error.start}: save it as UTF-8"
        raise cfsso.InvalidRequestError(problem) from None
    found: dict[str, None] = {}
    problems: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        row = line.partition("#")[0].strip()
        account_id = row.partition(",")[0].strip().strip('"')
        if not row or (account_id == "account_id" and not found):
            continue
        try:
            found[_checks.identifier("account_id", account_id, None)] = None
        except cfsso.InvalidRequestError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        _refuse(name, f"{name}: {problems[0]}; nothing was sent", problems)
        raise CommandEnded(exit_codes.USAGE)
    if not found:
        raise cfsso.InvalidRequestError(f"{name}: no accounts")
    return [*found]


def _refuse(file: str, only: str, problems: Sequence[str]) -> None:
    if len(problems) < 2:  # noqa: PLR2004 - the line itself tells of one
        say(only)
        return
    for problem in problems:
        say(f"{file}: {problem}")
    say(f"{file}: {len(problems)} rows can't be used; nothing was sent")
