"""The commands that change one connector."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from cfsso.cli import exit_codes
from cfsso.cli.options import (
    Command,
    Seconds,
    Settings,
    account_argument,
    connector_argument,
    examples,
    global_options,
    pass_settings,
    yes_option,
)

if TYPE_CHECKING:
    import cfsso
    from cfsso.cli.results import Result, Target
    from cfsso.cli.session import Session

_PAIR = "023e105f4ecef8ad9ca31a8372d0c353 f174e90afafe4643bbbc4a0ed4fc8415"

_fedramp = click.option(
    "use_fedramp_language",
    "--fedramp-language/--no-fedramp-language",
    default=None,
    help="Whether sign-in shows the FedRAMP wording. Left alone unless given.",
)


@click.command(
    "create",
    cls=Command,
    short_help="Add a connector for an e-mail domain.",
    epilog=examples("cfsso create 023e105f4ecef8ad9ca31a8372d0c353 example.com"),
)
@account_argument
@click.argument("domain", metavar="DOMAIN")
@click.option(
    "--begin-verification/--no-begin-verification",
    default=None,
    help="Whether Cloudflare looks for the TXT record at once. It does unless told not to.",
)
@_fedramp
@global_options
@pass_settings
def create(settings: Settings, /, account: str, domain: str, **flags: bool | None) -> int:
    """
    Add a connector for an e-mail domain, disabled.

    It prints the TXT record that proves the domain to be yours.
    """
    from cfsso.cli import writes
    from cfsso.cli.results import Target
    from cfsso.cli.session import Session

    target = Target(account, command=settings.command)
    return _write(
        settings,
        Session(settings),
        target,
        lambda connectors: writes.create(connectors, target, domain, _given(flags)),
    )


@click.command(
    "update",
    cls=Command,
    short_help="Set the values of a connector.",
    epilog=examples(
        f"cfsso update {_PAIR} --disabled",
        f"cfsso update {_PAIR} --enabled --no-fedramp-language",
    ),
)
@account_argument
@connector_argument
@click.option(
    "--enabled/--disabled", default=None, help="Whether SSO is enforced. Left alone unless given."
)
@_fedramp
@global_options
@pass_settings
def update(settings: Settings, /, account: str, connector: str, **flags: bool | None) -> int:
    """
    Set what is given and leave the rest alone, without asking.

    A connector that has these values already is not written.
    """
    wished = _given(flags)
    if not wished:
        raise click.UsageError(
            "nothing to change: give --enabled, --disabled, --fedramp-language"
            " or --no-fedramp-language"
        )
    return _update(settings, account, connector, wished)


@click.command(
    "enable",
    cls=Command,
    short_help="Enforce SSO for a connector's domain.",
    epilog=examples(f"cfsso enable {_PAIR}", f"cfsso enable {_PAIR} --yes"),
)
@account_argument
@connector_argument
@yes_option
@global_options
@pass_settings
def enable(settings: Settings, /, account: str, connector: str, *, yes: bool) -> int:
    """
    Enforce SSO: all users of the domain, in all accounts, must sign in through the IdP.

    The domain has to be verified. It asks first, and needs --yes where it can't.
    """
    from cfsso.cli.results import Target

    question = (
        "Enforce SSO for {domain} ({connector})? All its users, in all accounts, must then"
        " sign in through the identity provider"
    )
    target = Target(account, connector, command=settings.command)
    session = _agreed(settings, target, question, "enable", yes=yes)
    if session is None:
        return exit_codes.NOT_GREEN
    return _update(settings, account, connector, {"enabled": True}, session)


@click.command(
    "disable",
    cls=Command,
    short_help="Stop enforcing SSO; never asks.",
    epilog=examples(f"cfsso disable {_PAIR}"),
)
@account_argument
@connector_argument
@global_options
@pass_settings
def disable(settings: Settings, /, account: str, connector: str) -> int:
    """
    Stop enforcing SSO, so that users can sign in with a password again.

    It never asks and looks at nothing first: it is the way out of a lock-out.
    """
    return _update(settings, account, connector, {"enabled": False})


@click.command(
    "delete",
    cls=Command,
    short_help="Delete a connector.",
    epilog=examples(f"cfsso delete {_PAIR}", f"cfsso delete {_PAIR} --yes"),
)
@account_argument
@connector_argument
@yes_option
@global_options
@pass_settings
def delete(settings: Settings, /, account: str, connector: str, *, yes: bool) -> int:
    """
    Delete a connector, which has to be disabled, and see that it is gone.

    It asks first, and needs --yes where it can't.
    """
    from cfsso.cli import writes
    from cfsso.cli.results import Target

    target = Target(account, connector, command=settings.command)
    question = "Delete the connector for {domain} ({connector})? A new one has to be verified again"
    session = _agreed(settings, target, question, "delete", yes=yes)
    if session is None:
        return exit_codes.NOT_GREEN
    return _write(settings, session, target, lambda connectors: writes.delete(connectors, target))


@click.command(
    "verify",
    cls=Command,
    short_help="Make Cloudflare look for the TXT record.",
    epilog=examples(f"cfsso verify {_PAIR}", f"cfsso verify {_PAIR} --wait --deadline 3600"),
)
@account_argument
@connector_argument
@click.option("--wait", is_flag=True, help="Stay until the record is found, or Cloudflare gave up.")
@click.option(
    "--deadline",
    metavar="SECONDS",
    type=Seconds(),
    help="How long to wait at most; 49 hours unless given, since Cloudflare looks for 48.",
)
@click.option(
    "--interval",
    metavar="SECONDS",
    type=Seconds(),
    help="How long to wait before the second look; 5 unless given. The pauses grow to 5 minutes.",
)
@global_options
@pass_settings
def verify(
    settings: Settings, /, account: str, connector: str, *, wait: bool, **seconds: float | None
) -> int:
    """
    Make Cloudflare look for the TXT record of the domain, again if need be.

    It prints the record to set and how far the search is; Cloudflare looks for two
    days, and `cfsso get` shows when it has found it. With --wait it stays until then,
    begins a search only if there is none, and exits 1 if the record is not found.
    """
    from cfsso.cli import writes
    from cfsso.cli.results import Target
    from cfsso.cli.session import Session

    target = Target(account, connector, command=settings.command)
    bounds = {name: value for name, value in seconds.items() if value is not None}
    if bounds and not wait:
        raise click.UsageError(f"--{min(bounds)} needs --wait")
    if bounds.get("interval") == 0:
        raise click.UsageError("--interval must be more than 0")
    if wait:
        return _verify_and_wait(settings, target, bounds)
    return _write(
        settings,
        Session(settings),
        target,
        lambda connectors: writes.verify(connectors, target),
    )


def _verify_and_wait(settings: Settings, target: "Target", bounds: dict[str, float]) -> int:
    from cfsso.cli.reporting import report
    from cfsso.cli.session import Session
    from cfsso.cli.verifying import verify_and_wait

    goes_on = f"a search that has begun goes on at Cloudflare: `{target.look}` shows how far it is"
    result = Session(settings).run(
        lambda connectors: verify_and_wait(connectors, target, **bounds), advice=goes_on
    )
    return report(settings, result)


def _given(flags: dict[str, bool | None]) -> dict[str, bool]:
    return {name: value for name, value in flags.items() if value is not None}


def _update(
    settings: Settings,
    account: str,
    connector: str,
    wished: dict[str, bool],
    session: "Session | None" = None,
) -> int:
    from cfsso.cli import writes
    from cfsso.cli.results import Target
    from cfsso.cli.session import Session

    target = Target(account, connector, command=settings.command)
    return _write(
        settings,
        session or Session(settings),
        target,
        lambda connectors: writes.update(connectors, target, wished),
    )


def _write(
    settings: Settings,
    session: "Session",
    target: "Target",
    work: "Callable[[cfsso.AsyncSSOConnectors], Awaitable[Result]]",
) -> int:
    from cfsso.cli.reporting import report

    doubt = f"it may have happened: run `{target.look}` before you repeat it"
    return report(settings, session.run(work, doubt=doubt))


def _agreed(
    settings: Settings, target: "Target", question: str, command: str, *, yes: bool
) -> "Session | None":
    """Return a session if *question* was answered with yes, or need not be asked."""
    from cfsso.cli import asking
    from cfsso.cli.reporting import reported_failure
    from cfsso.cli.screen import say
    from cfsso.cli.session import Session

    if not yes:
        asking.need_terminal(command)
    session = Session(settings)
    if yes:
        return session
    key = target.sso_connector_id or ""
    with reported_failure(settings, target):
        found = session.run(lambda c: c.get(key, account_id=target.account_id))
    domain = found.email_domain or "an unknown domain"
    if asking.ask(question.format(domain=domain, connector=key)):
        return session
    say("not confirmed: nothing was sent")
    return None
