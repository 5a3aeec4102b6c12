"""``transfer``: a domain from one account to another."""

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
    from cfsso.fleet import Change, Outcome

_ACCOUNTS = "--from 023e105f4ecef8ad9ca31a8372d0c353 --to 5d1f0a93c7e24b68a0b3d9e7f1c24680"


@click.command(
    "transfer",
    cls=Command,
    short_help="Move the SSO of a domain to another account.",
    epilog=examples(
        f"cfsso transfer example.com {_ACCOUNTS}", f"cfsso transfer example.com {_ACCOUNTS} --yes"
    ),
)
@click.argument("domain", metavar="DOMAIN")
@click.option("source", "--from", metavar="ACCOUNT", required=True, help="Where it is enabled.")
@click.option("target", "--to", metavar="ACCOUNT", required=True, help="Where it is to be enabled.")
@yes_option
@global_options
@pass_settings
def transfer(settings: Settings, /, domain: str, source: str, target: str, *, yes: bool) -> int:
    """
    Disable SSO for DOMAIN in one account, and then enable it in another.

    Nothing is written unless the second account has a verified connector of the domain.
    Each step is read back before the next one; between the two the domain's users sign in
    without SSO, for some seconds. If it can't be enabled there it is enabled again where
    it was. Run it again to go on with a transfer that was interrupted.

    It asks first, and needs --yes where it can't.
    """
    import cfsso
    from cfsso.cli import asking
    from cfsso.cli.screen import say
    from cfsso.cli.session import Session
    from cfsso.fleet.transfers import check

    session = Session(settings)
    check(domain, source, target)
    session.check()
    if not yes:
        asking.need_terminal("transfer")
        if not asking.ask(_question(domain, source, target)):
            say("not confirmed: nothing was sent")
            return exit_codes.NOT_GREEN

    async def work(connectors: cfsso.AsyncSSOConnectors) -> "tuple[Outcome, Outcome]":
        """Move it."""
        return await cfsso.fleet.transfer(
            connectors,
            domain,
            source=source,
            target=target,
            max_wait=settings.max_wait,
            on_confirmed=lambda change: say(_progress(change, source)),
        )

    command = settings.command("list", source, target)
    look = f"`{command}` shows how it stands; run it again to go on"
    return _show(settings, session.run(work, advice=look))


def _question(domain: str, source: str, target: str) -> str:
    return (
        f"Transfer {domain}: disable SSO in account {source}, then enable it in account {target}?"
        " Between the two its users sign in without SSO, for some seconds"
    )


def _progress(change: "Change", source: str) -> str:
    if not change.enabled:
        done = "disabled"
    else:
        done = "enabled again" if change.account_id == source else "enabled"
    return f"{done} in account {change.account_id}, confirmed"


def _show(settings: Settings, outcomes: "tuple[Outcome, Outcome]") -> int:
    from cfsso.cli import records, render
    from cfsso.cli.summary import reason

    if settings.json:
        for outcome in outcomes:
            records.emit(records.of_outcome(outcome))
    else:
        rows = [
            (
                outcome.change.account_id,
                [
                    render.cell(outcome.change.sso_connector_id or "-"),
                    render.cell(_state(outcome)),
                    render.word(outcome.status.value),
                    render.cell(reason(outcome)),
                ],
            )
            for outcome in outcomes
        ]
        headers = ["CONNECTOR", "SSO", "STATUS", "REASON"]
        render.show_by_account(render.screen(), headers, rows, flexible="REASON")
    return exit_codes.of_statuses(outcome.status for outcome in outcomes)


def _state(outcome: "Outcome") -> str:
    """Return how it was read last: what was not read since is not known."""
    seen = outcome.after if outcome.attempts else outcome.after or outcome.before
    enabled = None if seen is None else seen.enabled
    return {True: "enabled", False: "disabled", None: "-"}[enabled]
