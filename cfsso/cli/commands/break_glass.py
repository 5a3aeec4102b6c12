"""``break-glass``: everybody gets back in."""

from typing import Any

import click

from cfsso.cli import exit_codes
from cfsso.cli.options import (
    Command,
    Settings,
    check_ids,
    examples,
    global_options,
    pass_settings,
    yes_option,
)


@click.command(
    "break-glass",
    cls=Command,
    short_help="Disable SSO in many accounts, whatever happens.",
    epilog=examples(
        "cfsso break-glass 023e105f4ecef8ad9ca31a8372d0c353 --domain example.com",
        "cfsso break-glass --accounts-file accounts.txt --token-file tokens.json --yes",
        "cfsso break-glass --accounts-file accounts.txt --drill",
    ),
)
@click.argument("accounts", metavar="[ACCOUNT]...", nargs=-1, callback=check_ids)
@click.option(
    "--accounts-file",
    metavar="FILE",
    help="More accounts: an id a line, or CSV whose first column they are; # begins a comment.",
)
@click.option("--domain", metavar="DOMAIN", help="Only connectors of this e-mail domain.")
@click.option(
    "--drill",
    is_flag=True,
    help="Write nothing: show which tokens work, until when, and what would be disabled.",
)
@click.option(
    "--journal",
    metavar="FILE",
    help="Where to record what is disabled, for `cfsso revert`. A new file in"
    " ~/.local/state/cfsso unless given.",
)
@yes_option
@global_options
@pass_settings
def break_glass(settings: Settings, /, **options: Any) -> int:
    """
    Disable every enabled connector of these accounts, so that people can sign in again.

    It needs no plan, goes on past every failure, waits out rate limits whatever
    --max-wait says, reads everything back, and ends with who is still locked out.
    It goes on if the terminal goes away.

    It asks for the domain, or for the word "all", and needs --yes where it can't; a
    drill never asks. Ctrl-C sends no further write and settles those under way; a
    second one leaves at once.
    """
    from cfsso.cli import hangups

    with hangups.outlived():
        return _rescue(settings, **options)


def _rescue(
    settings: Settings,
    /,
    accounts: tuple[str, ...],
    accounts_file: str | None,
    domain: str | None,
    *,
    drill: bool,
    journal: str | None,
    yes: bool,
) -> int:
    import contextlib

    import cfsso
    from cfsso import _checks
    from cfsso.cli import asking, inputs, journals
    from cfsso.cli.rescuing import Order, Rescuing
    from cfsso.cli.screen import say
    from cfsso.cli.session import Session

    session = Session(settings)
    problem = None if domain is None else _checks.domain_problem(domain)
    if problem:
        raise cfsso.InvalidRequestError(f"--domain {problem}")
    listed = [] if accounts_file is None else inputs.read_accounts(accounts_file)
    ids = [*dict.fromkeys([*accounts, *listed])]
    if not ids:
        raise click.UsageError("no accounts: give their ids or --accounts-file FILE")
    session.check()
    if not (yes or drill):
        asking.need_terminal("break-glass")
        if not asking.ask_for(domain or "all", _question(len(ids), domain)):
            say("not confirmed: nothing was sent")
            return exit_codes.NOT_GREEN
    again = ["break-glass", *accounts]
    for option, value in (("--accounts-file", accounts_file), ("--domain", domain)):
        again += [] if value is None else [option, value]
    again += ["--drill"] * drill + ["--yes"] * yes
    kept = journals.kept_of_rescue(journal, rehearsal=settings.emulate is not None)
    with contextlib.nullcontext() if drill else kept as path:
        order = Order(
            accounts=ids,
            domain=domain,
            drill=drill,
            journal=path,
            named=journal is not None,
            lasting=journal is not None or settings.emulate is None,
            again=again,
        )
        return Rescuing(settings, session, order).run()


def _question(count: int, domain: str | None) -> str:
    from cfsso.cli.summary import counted

    what = f"connector of {domain}" if domain else "connector"
    return (
        f"Disable every {what} in {counted(count, 'account')}?"
        " People can then sign in with e-mail and password."
    )
