"""``list`` and ``get``: what is there."""

from typing import TYPE_CHECKING

import click

from cfsso.cli import exit_codes
from cfsso.cli.options import (
    Command,
    Settings,
    account_argument,
    accounts_argument,
    connector_argument,
    examples,
    global_options,
    pass_settings,
)

if TYPE_CHECKING:
    import cfsso

    Listed = tuple[cfsso.SSOConnector, ...] | cfsso.CfssoError

_CONCURRENCY = 8


@click.command(
    "list",
    cls=Command,
    short_help="Show the connectors of accounts.",
    epilog=examples(
        "cfsso list 023e105f4ecef8ad9ca31a8372d0c353",
        "cfsso list $(cat accounts.txt) --json | jq 'select(.enabled)'",
    ),
)
@accounts_argument
@global_options
@pass_settings
def list_(settings: Settings, /, accounts: tuple[str, ...]) -> int:
    """
    Show the connectors of one account or more.

    An account that can't be listed is named on stderr, and the others are shown.
    """
    from cfsso.cli.session import Session

    async def work(connectors: "cfsso.AsyncSSOConnectors") -> "list[Listed]":
        """List each account."""
        return await _list_all(connectors, accounts)

    accounts = tuple(dict.fromkeys(accounts))
    answers = Session(settings).run(work)
    return _show_listed(settings, dict(zip(accounts, answers, strict=True)))


@click.command(
    "get",
    cls=Command,
    short_help="Show one connector.",
    epilog=examples(
        "cfsso get 023e105f4ecef8ad9ca31a8372d0c353 f174e90afafe4643bbbc4a0ed4fc8415",
    ),
)
@account_argument
@connector_argument
@global_options
@pass_settings
def get(settings: Settings, /, account: str, connector: str) -> int:
    """Show one connector, with the TXT record to set while it is not verified."""
    from cfsso.cli import records, render
    from cfsso.cli.reporting import reported_failure
    from cfsso.cli.results import Target
    from cfsso.cli.session import Session

    async def work(connectors: "cfsso.AsyncSSOConnectors") -> "cfsso.SSOConnector":
        """Get the connector."""
        return await connectors.get(connector, account_id=account)

    with reported_failure(settings, Target(account, connector, command=settings.command)):
        found = Session(settings).run(work)
        if settings.json:
            records.emit(records.of_listed(account, found))
        else:
            render.show_connector(account, found)
    return exit_codes.GREEN


async def _list_all(
    connectors: "cfsso.AsyncSSOConnectors", accounts: tuple[str, ...]
) -> "list[Listed]":
    import asyncio

    import cfsso

    places = asyncio.Semaphore(_CONCURRENCY)

    async def listed(account_id: str) -> "Listed":
        async with places:
            try:
                return await connectors.list(account_id=account_id)
            except cfsso.CfssoError as error:
                return error

    return list(await asyncio.gather(*map(listed, accounts)))


def _show_listed(settings: Settings, answers: "dict[str, Listed]") -> int:
    import cfsso
    from cfsso.cli import records, render
    from cfsso.cli.reporting import report
    from cfsso.cli.results import Target
    from cfsso.cli.writes import failed

    code = exit_codes.GREEN
    found: list[tuple[str, tuple[cfsso.SSOConnector, ...]]] = []
    for account_id, answer in answers.items():
        if isinstance(answer, cfsso.CfssoError):
            code = report(settings, failed(Target(account_id, command=settings.command), answer))
            continue
        found.append((account_id, answer))
        if settings.json:
            for connector in answer:
                records.emit(records.of_listed(account_id, connector))
    if found and not settings.json:
        render.show_connectors(found)
    return code
