"""How a command reaches Cloudflare, or an emulated one."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import cfsso
from cfsso.cli import exit_codes, named_files
from cfsso.cli.endings import CommandEnded
from cfsso.cli.options import Settings
from cfsso.cli.proxies import proxy_for
from cfsso.cli.screen import say
from cfsso.cli.signals import Signals
from cfsso.cli.tokens import read_tokens
from cfsso.cli.waits import Waits
from cfsso.transports.credentials import Credentials

if TYPE_CHECKING:
    import logging

_Result = TypeVar("_Result")

Work = Callable[[cfsso.AsyncSSOConnectors], Awaitable[_Result]]


class Session:
    """
    The way to Cloudflare for as long as a command lasts.

    Args:
        settings: The global options.

    Raises:
        InvalidRequestError: The state file can't be used.
        click.UsageError: Options contradict each other.
    """

    def __init__(self, settings: Settings) -> None:
        settings.check()
        self._settings = settings
        self._warned: set[str] = set()
        self._tokens: Credentials | None = None
        # A rehearsal waits for nothing, so the limit is off.
        self._cloud = (
            None
            if settings.emulate is None
            else cfsso.CloudflareEmulator.load(settings.emulate, rate_limit=None)
        )

    @property
    def server(self) -> str:
        """
        Which server the connectors reach. Empty: it is not known.

        Raises:
            InvalidRequestError: As in `connectors`.
        """
        return self.connectors().server

    def check(self) -> None:
        """
        See, before anybody is asked, that the connectors can be had.

        Raises:
            InvalidRequestError: As in `connectors`.
        """
        # Nothing of it is open before its first request.
        self.connectors()

    def run(self, work: Work[_Result], *, advice: str = "", doubt: str = "") -> _Result:
        """
        Do *work* on an event loop of its own; the first signal cancels it.

        Args:
            work: Gets the connectors, open.
            advice: What to say to the person who interrupts it.
            doubt: The same, if a write may have left by then; else nothing was changed.

        Raises:
            CfssoError: What *work* raised, or why it could not begin.
            CommandEnded: A signal came, and was reported.
        """

        async def guarded() -> _Result:
            """Do the work with signals caught."""
            waits = Waits()
            with Signals() as signals:
                try:
                    async with self.connectors() as connectors:
                        return await work(connectors.with_options(on_event=waits))
                except asyncio.CancelledError:
                    if signals.received is None:
                        raise
                    received = signals.received
            said = (doubt if waits.may_have_written else "nothing was changed") if doubt else advice
            say(f"interrupted: {said}" if said else "interrupted")
            raise CommandEnded(exit_codes.of_signal(received))

        if self._cloud is None:
            # Here, since a token file may be a pipe: nothing ends a wait for that on an event loop.
            self._saying_warnings(self._credentials)
        return self.run_freely(guarded)

    def run_freely(self, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """Run *work* with the library's warnings shown; it looks after signals itself."""
        import logging

        async def main() -> _Result:
            """Be the coroutine that asyncio asks for."""
            return await work()

        handler = _handler()
        logger = logging.getLogger("cfsso")
        logger.addHandler(handler)
        try:
            return asyncio.run(main())
        finally:
            logger.removeHandler(handler)

    def connectors(self) -> cfsso.AsyncSSOConnectors:
        """
        Return the connectors, to be used with ``async with``.

        Raises:
            InvalidRequestError: There is no token, or another setting can't be used.
        """
        if self._cloud is not None:
            return cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(self._cloud))
        return self._saying_warnings(self._connect)

    def _saying_warnings(self, make: Callable[[], _Result]) -> _Result:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = make()
        for warning in caught:
            self._warn(str(warning.message))
        return made

    def _connect(self) -> cfsso.AsyncSSOConnectors:
        settings = self._settings
        try:
            return cfsso.connect(
                api_token=self._credentials(),
                base_url=settings.base_url,
                proxy=proxy_for(settings.base_url),
                max_wait=settings.max_wait,
            )
        except cfsso.InvalidRequestError as error:
            problem = str(error).replace("pass api_token", "give --token-file FILE")
        raise cfsso.InvalidRequestError(problem)

    def _credentials(self) -> Any:
        """Return what the token file holds, which is read once. ``None``: there is none."""
        path = self._settings.token_file
        if path is not None and self._tokens is None:
            self._tokens = Credentials(
                read_tokens(path, self._warn), f"the token in {named_files.shown(path)}"
            )
        return self._tokens

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            say(f"warning: {message}")


def _handler() -> "logging.Handler":
    import logging

    class Lines(logging.Handler):
        """Shows what the library logs as one line."""

        def emit(self, record: logging.LogRecord) -> None:
            say(f"warning: {record.getMessage()}")

    return Lines(logging.WARNING)
