"""``verify --wait``: the record to set, how the search goes, and how it ended."""

import asyncio
import datetime as dt
import math
import sys
from contextlib import nullcontext
from typing import Final

from rich.live import Live
from rich.text import Text

import cfsso
from cfsso._text import printable
from cfsso.cli.render import screen
from cfsso.cli.results import Result, Target
from cfsso.cli.screen import is_live, say
from cfsso.cli.writes import failed
from cfsso.fleet import OutcomeStatus

# How often somebody without a terminal learns that it goes on.
_SECONDS: Final = 60.0
_LINE: Final = 400


async def verify_and_wait(
    connectors: cfsso.AsyncSSOConnectors, target: Target, **bounds: float
) -> Result:
    """
    Say which TXT record to set, begin the search unless it is under way, and see it end.

    Args:
        connectors: Where the connector is.
        target: Which one it is.
        bounds: What `wait_until_verified` takes for ``deadline`` and ``interval``.
    """
    key, account_id = target.sso_connector_id or "", target.account_id
    try:
        found = await connectors.get(key, account_id=account_id)
    except cfsso.CfssoError as error:
        return failed(target, error)
    if found.verification.status is cfsso.VerificationStatus.VERIFIED:
        return Result(target=target, status=OutcomeStatus.UNCHANGED, connector=found)
    say(f"set the TXT record {_record(found)}")
    watch = _Watch(found)
    try:
        with watch.shown():
            ended = await connectors.wait_until_verified(
                key,
                account_id=account_id,
                restart=True,
                on_look=watch,
                **bounds,
            )
    except cfsso.APITimeoutError as error:
        status, note = OutcomeStatus.of_error(error), f"set the TXT record {_record(watch.found)}"
        return Result(target=target, status=status, connector=watch.found, error=error, note=note)
    except cfsso.CfssoError as error:
        return failed(target, error)
    if ended.verification.status is cfsso.VerificationStatus.VERIFIED:
        return Result(target=target, status=OutcomeStatus.CHANGED, connector=ended)
    note = f"Cloudflare did not find the TXT record: set {_record(ended)}, and verify again"
    return Result(target=target, status=OutcomeStatus.FAILED, connector=ended, note=note)


class _Watch:
    """
    Is told of each look, and shows how it stands: a line that moves, or one from time to time.

    Attributes:
        found: The connector as last seen.
    """

    def __init__(self, found: cfsso.SSOConnector) -> None:
        self.found = found
        self._time = asyncio.get_running_loop().time
        self._begun = self._next = self._time()
        self._told = -_SECONDS
        self._said = ""
        self._error: cfsso.CfssoError | None = None
        self._live = is_live(sys.stderr)

    def shown(self) -> "Live | nullcontext[None]":
        """Show it on a terminal for as long as the context lasts."""
        if not self._live:
            return nullcontext()
        return Live(
            get_renderable=lambda: Text(self._line(), no_wrap=True, overflow="ellipsis"),
            console=screen(sys.stderr),
            transient=True,
            redirect_stdout=False,
        )

    def __call__(self, found: cfsso.SSOConnector | cfsso.CfssoError, seconds: float) -> None:
        """Take notice of one look."""
        now = self._time()
        self._error = found if isinstance(found, cfsso.CfssoError) else None
        if isinstance(found, cfsso.SSOConnector):
            self.found = found
        self._next = now + seconds
        said = f"{self._status()}{self._error}"
        if not self._live and (now >= self._told + _SECONDS or said != self._said):
            self._told, self._said = now, said
            say(self._line())

    def _status(self) -> str:
        return self.found.verification.raw_status or "not known"

    def _line(self) -> str:
        now = self._time()
        elapsed = dt.timedelta(seconds=math.floor(now - self._begun))
        left = math.ceil(max(0.0, self._next - now))
        line = f"verification {self._status()} after {elapsed}, next look in {left:,} s"
        if self._error is not None:
            line = f"{line}; the last one failed: {self._error}"
        return printable(line, _LINE)


def _record(connector: cfsso.SSOConnector) -> str:
    """Return name and value of the record, as far as they are known."""
    name, code = connector.email_domain, connector.verification.code
    return f"{name or '(name not known)'} to {code or '(value not known)'}"
