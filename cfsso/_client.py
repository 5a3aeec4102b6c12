"""What all operations stand on: a transport, the bounds of a call, who watches, and the end."""

import copy
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import TracebackType
from typing import Self, TypeAlias

from cfsso import _callbacks, _checks
from cfsso.events import OnEvent
from cfsso.models import UNSET, Unset
from cfsso.transports._call import Call
from cfsso.transports._deadlines import Deadlines
from cfsso.transports.base import RateLimit, Transport

Fingerprint: TypeAlias = Callable[[str], str | Awaitable[str]]
"""From account id to what tells its token from others, without telling the token."""


class Client:
    """
    A client without operations; see `AsyncSSOConnectors` for its arguments.

    Attributes:
        on_event: Is called with what happens during each call.
        rate_limit: What the transport lets one credential send. ``None``: not known, or no limit.
    """

    # Whether calls are urgent. None: those are that let people in.
    _urgent: bool | None = None
    # Whether all calls go on with something that was begun.
    _continued: bool = False

    def __init__(
        self,
        transport: Transport,
        *,
        deadline: float | None = None,
        max_wait: float | None = None,
        on_event: OnEvent | None = None,
        fingerprint: Fingerprint | None = None,
        rate_limit: RateLimit | None = None,
    ) -> None:
        self._transport = transport
        self._deadline = _checks.seconds("deadline", deadline)
        self._deadlines: Deadlines | None = None
        self._max_wait = _checks.seconds("max_wait", max_wait)
        self._fingerprint = fingerprint
        self.on_event: OnEvent | None = _callbacks.plain("on_event", on_event)
        # A transport with one credential may say it by itself.
        self.rate_limit = rate_limit or getattr(transport, "rate_limit", None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport!r})"

    def with_options(
        self,
        *,
        deadline: float | Unset | None = UNSET,
        max_wait: float | Unset | None = UNSET,
        on_event: OnEvent | Unset | None = UNSET,
    ) -> Self:
        """
        Return the same connectors on the same transport, with other options.

        What is not given stays as it is. Closing either closes both.

        Raises:
            InvalidRequestError: A value can't be used, such as an async *on_event*.
        """
        other = copy.copy(self)
        if not isinstance(deadline, Unset):
            other._deadline = _checks.seconds("deadline", deadline)  # noqa: SLF001 - it is one of us
            other._deadlines = None  # noqa: SLF001
        if not isinstance(max_wait, Unset):
            other._max_wait = _checks.seconds("max_wait", max_wait)  # noqa: SLF001
        if not isinstance(on_event, Unset):
            other.on_event = _callbacks.plain("on_event", on_event)
        return other

    def _with_urgency(self, urgent: bool | None) -> Self:  # noqa: FBT001 - it may be None
        """
        Return the same connectors with another urgency.

        Args:
            urgent:
                True: all calls are urgent: they go first, have connections of their own
                and may take the reserve of the rate limit. False: none is; those that
                update go on with something, as `_continuing` has it. None: those are
                that let people in.
        """
        other = copy.copy(self)
        other._urgent = urgent  # noqa: SLF001 - it is one of us
        return other

    def _continuing(self) -> Self:
        """Return the same connectors, whose calls go before others that are new."""
        other = copy.copy(self)
        other._continued = True  # noqa: SLF001
        return other

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the transport. May be called more than once."""
        await self._transport.aclose()

    @property
    def server(self) -> str:
        """
        The server that the transport reaches, a base URL or the name of an emulated Cloudflare.

        It is empty if the transport does not say, because it has no attribute ``server``.
        A transport around another one passes that attribute on.
        """
        return str(getattr(self._transport, "server", ""))

    async def credential(self, account_id: str) -> str | None:
        """
        Return what tells the token of an account from others: 8 hex digits.

        Two accounts with one token have one. ``None``: it is not known.

        Raises:
            InvalidRequestError: There is no token for the account.
        """
        if self._fingerprint is None:
            return None
        found = self._fingerprint(account_id)
        return await found if isawaitable(found) else found

    def _call(
        self,
        operation: str,
        account_id: str,
        sso_connector_id: str | None = None,
        *,
        urgent: bool = False,
    ) -> Call:
        import asyncio

        loop = asyncio.get_running_loop()
        # Once, since another thread may put those of its loop in its place.
        deadlines = self._deadlines
        if self._deadline is not None and (deadlines is None or deadlines.loop is not loop):
            deadlines = self._deadlines = Deadlines(loop, self._deadline)
        return Call(
            operation=operation,
            account_id=account_id,
            sso_connector_id=sso_connector_id,
            deadline=self._deadline,
            deadlines=deadlines,
            loop=loop,
            max_wait=self._max_wait,
            on_event=self.on_event,
            urgent=urgent if self._urgent is None else self._urgent,
            queued=self._continued or (self._urgent is False and operation == "update"),
        )
