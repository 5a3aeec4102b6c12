"""``emulator``: a Cloudflare of one's own behind a port."""

from typing import TYPE_CHECKING, Any

import click

from cfsso.cli import exit_codes
from cfsso.cli.options import Command, examples

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


@click.command(
    "emulator",
    cls=Command,
    short_help="Serve an emulated Cloudflare on this machine.",
    epilog=examples(
        "cfsso emulator --port 8080",
        "cfsso emulator --state cloud.json --poll 0.1",
        "cfsso --base-url http://127.0.0.1:8080/client/v4 list ACCOUNT",
    ),
)
@click.option(
    "--state",
    metavar="FILE",
    help="Begin with the accounts of a state file, and write it back on a clean stop.",
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port on 127.0.0.1. A free one unless given.",
)
@click.option(
    "--poll",
    metavar="SECONDS",
    type=float,
    default=1.0,
    show_default=True,
    help="How often it looks for the TXT record of a pending connector.",
)
@click.option(
    "--latency",
    metavar="SECONDS",
    type=float,
    default=0.0,
    show_default=True,
    help="How long each answer takes.",
)
@click.option("--no-rate-limit", is_flag=True, help="Never answer 429.")
def emulator(
    *, state: str | None, port: int, poll: float, latency: float, no_rate_limit: bool
) -> int:
    """
    Serve an emulated Cloudflare on 127.0.0.1 until Ctrl-C or SIGTERM.

    The first line on stdout is "listening on URL". Without a state file there is one
    account, whose id is the second line; any well-formed token serves. A clean stop
    exits 0.
    """
    import asyncio
    import os

    import cfsso
    from cfsso.cli.screen import say
    from cfsso.emulator.http import serving

    # Nobody can see what it would log.
    options: dict[str, Any] = {"poll": poll, "latency": latency, "log": 0}
    if no_rate_limit:
        options["rate_limit"] = None
    if state is not None and os.path.exists(state):  # noqa: PTH110 - pathlib would cost import time
        if not os.path.isfile(state):  # noqa: PTH113 - as above
            # It is replaced at the end.
            raise cfsso.InvalidRequestError(f"{state}: not a file: give another name")
        cloud, account = cfsso.CloudflareEmulator.load(state, **options), None
    else:
        cloud = cfsso.CloudflareEmulator(**options)
        account = cloud.add_account()
        if state is not None:
            say(f"{state} is new: it will be written on a clean stop")
    problem = asyncio.run(_serve(serving(cloud, port), account))
    if problem:
        say(f"can't listen on port {port}: {problem}: choose another --port")
        return exit_codes.NOT_GREEN
    if state is not None:
        try:
            cloud.save(state)
        except OSError as error:
            say(f"can't write {state}: {error.strerror}: the state is lost")
            return exit_codes.NOT_GREEN
    return exit_codes.GREEN


async def _serve(server: "AbstractAsyncContextManager[str]", account: str | None) -> str:
    """Serve until a signal comes; return why that could not begin, or an empty text."""
    import asyncio
    import contextlib

    from cfsso.cli.signals import Signals

    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(server)
        except OSError as error:
            return error.strerror or str(error)
        stack.enter_context(Signals(stop.set))
        click.echo(f"listening on {url}")
        if account is not None:
            click.echo(account)
        # A second signal may come before this one has been seen; it changes nothing.
        with contextlib.suppress(asyncio.CancelledError):
            await stop.wait()
    return ""
