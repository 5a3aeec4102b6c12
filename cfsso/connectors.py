"""The six operations, and the question behind each write: did it happen?"""

from typing import overload

from cfsso import _judging, _wire
from cfsso._confirmed import (
    BothConfirmed,
    Created,
    CreatedWithLanguage,
    EnabledConfirmed,
    LanguageConfirmed,
)
from cfsso._exchange import exchange, read_all, read_one
from cfsso._judging import Finding, Span
from cfsso._reads import Reads
from cfsso._seen import Seen
from cfsso._settling import surely
from cfsso._verifying import DEADLINE, INTERVAL, OnLook, Waiting
from cfsso.errors import NotFoundError
from cfsso.models import UNSET, MaybeBool, SSOConnector, Unset


class AsyncSSOConnectors(Reads):
    """
    The SSO connectors of Cloudflare accounts.

    Every operation raises `InvalidRequestError` before anything is sent if an
    argument can't be used, `APIStatusError` for an error status,
    `APIResponseValidationError` for an answer that can't be read and
    `APIConnectionError` if there is none. A result is never ``None``: what
    can't be shown to have happened is an error whose ``write`` says so.

    A write in doubt is settled by reading, for up to half a minute. One that surely
    was not applied is sent once more, except a create. What can't be settled is an
    `UnconfirmedWriteError`.

    Args:
        transport: How to reach Cloudflare. Leaving ``async with`` closes it.
        deadline:
            Seconds that one call may take, with its retries and the reads that settle
            a doubt; then it raises `APITimeoutError`, or `UnconfirmedWriteError` if a
            write is in doubt. ``None``: no bound.
        max_wait:
            Seconds that one call may wait for rate limits before it raises
            `RateLimitError`. ``None``: no bound, and such waits do not count toward the
            deadline.
        on_event: Is called with what happens during each call; see `Event`. It is not async.
        fingerprint: What `credential` asks. ``None``: it is not known who has which token.
        rate_limit: What *transport* lets one credential send; for whoever reckons with it.

    Attributes:
        on_event: See above.
        rate_limit: See above. ``None``: there is no limit, or none is known.

    Raises:
        InvalidRequestError:
            *deadline* or *max_wait* is no such number, or *on_event* is async.
    """

    async def list(self, *, account_id: str) -> tuple[SSOConnector, ...]:
        """
        Return all connectors of an account, in the order of the answer.

        The API describes no pages. If an answer says that it left some out, that is
        logged as a warning. One of more than 64 MiB, about 190,000 connectors, is
        refused, as is one with a connector of more than 1 MiB.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/list/
        """
        request = _wire.build_list(account_id)
        call = self._call("list", account_id)
        _, connectors, _ = await call.run(read_all(self._transport, call, request))
        return connectors

    async def get(self, sso_connector_id: str, *, account_id: str) -> SSOConnector:
        """
        Return one connector.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/get/
        """
        request = _wire.build_get(sso_connector_id, account_id)
        call = self._call("get", account_id, sso_connector_id)
        _, connector = await call.run(read_one(self._transport, call, request, sso_connector_id))
        return connector

    @overload
    async def create(
        self,
        *,
        account_id: str,
        email_domain: str,
        begin_verification: MaybeBool = UNSET,
        use_fedramp_language: bool,
    ) -> CreatedWithLanguage: ...
    @overload
    async def create(
        self,
        *,
        account_id: str,
        email_domain: str,
        begin_verification: MaybeBool = UNSET,
        use_fedramp_language: MaybeBool = UNSET,
    ) -> Created: ...
    async def create(
        self,
        *,
        account_id: str,
        email_domain: str,
        begin_verification: MaybeBool = UNSET,
        use_fedramp_language: MaybeBool = UNSET,
    ) -> SSOConnector:
        """
        Create a connector and return it.

        The result shows its id, its domain and *use_fedramp_language*, if that was given; type
        checkers know that these are not ``None``.

        It is never sent twice. If the answer does not show it, or there is none, the
        account is listed until two lists in a row show it: one of that domain that is no
        older than the request.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/create/

        Args:
            account_id: 32 letters and digits.
            email_domain: A domain name, in Unicode or as A-labels, of at most 253 bytes.
            begin_verification:
                Whether Cloudflare starts to look for the TXT record at once. The
                API takes an omitted value for true.
            use_fedramp_language: Whether sign-in shows the FedRAMP wording.

        Raises:
            UnconfirmedWriteError: Neither the answer nor lists show it.
        """
        wished = _wire.wish(UNSET, use_fedramp_language)
        request = _wire.build_create(
            account_id, email_domain, begin_verification, use_fedramp_language
        )
        listing = _wire.build_list(account_id)
        call = self._call("create", account_id)
        seen = Seen()

        async def send() -> SSOConnector:
            """Create it."""
            answer = await exchange(self._transport, call, request)
            return _wire.read_created(answer, email_domain, wished, seen)

        async def look(sent: float) -> Finding:
            """See whether it is there."""
            answer, connectors, left_out = await read_all(self._transport, call, listing)
            span = Span.until(answer, call.time() - sent)
            return _judging.judge_create(connectors, left_out, email_domain, wished, span, seen)

        return await call.run(surely(call, send, look, may_repeat=False))

    @overload
    async def update(
        self,
        sso_connector_id: str,
        *,
        account_id: str,
        enabled: bool,
        use_fedramp_language: bool,
        before: SSOConnector | None = None,
    ) -> BothConfirmed: ...
    @overload
    async def update(
        self,
        sso_connector_id: str,
        *,
        account_id: str,
        enabled: bool,
        use_fedramp_language: Unset = UNSET,
        before: SSOConnector | None = None,
    ) -> EnabledConfirmed: ...
    @overload
    async def update(
        self,
        sso_connector_id: str,
        *,
        account_id: str,
        enabled: Unset = UNSET,
        use_fedramp_language: bool,
        before: SSOConnector | None = None,
    ) -> LanguageConfirmed: ...
    @overload
    async def update(
        self,
        sso_connector_id: str,
        *,
        account_id: str,
        enabled: MaybeBool = UNSET,
        use_fedramp_language: MaybeBool = UNSET,
        before: SSOConnector | None = None,
    ) -> SSOConnector: ...
    async def update(
        self,
        sso_connector_id: str,
        *,
        account_id: str,
        enabled: MaybeBool = UNSET,
        use_fedramp_language: MaybeBool = UNSET,
        before: SSOConnector | None = None,
    ) -> SSOConnector:
        """
        Change what is given and return the connector, which shows those values.

        Type checkers know that the fields that were given are not ``None`` in it.

        If the answer does not show them, or there is none, the connector is read until
        it does; two reads in a row have to, if one may show an old state. If nobody wrote
        for half a minute, the same is sent once more.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/update/

        Args:
            sso_connector_id: 32 letters and digits.
            account_id: 32 letters and digits.
            enabled:
                Whether all users of the domain, in all accounts, must sign in
                through the identity provider.
            use_fedramp_language: Whether sign-in shows the FedRAMP wording.
            before:
                The connector as you last saw it, which tells a write of somebody else
                from one that has not arrived. ``None``: the server's clock has to do,
                which can't if the connector was written less than a minute before.

        Raises:
            UnconfirmedWriteError: Neither the answer nor reads show the values.
        """
        wished = _wire.wish(enabled, use_fedramp_language)
        request = _wire.build_update(sso_connector_id, account_id, enabled, use_fedramp_language)
        _judging.check_before(before, sso_connector_id)
        call = self._call("update", account_id, sso_connector_id, urgent=enabled is False)
        seen = Seen(before)

        async def send() -> SSOConnector:
            """Change it."""
            try:
                answer = await exchange(self._transport, call, request)
            except NotFoundError as error:
                _judging.gone(error, sso_connector_id, seen)
                raise
            shown = _wire.read_updated(answer, sso_connector_id, wished, seen)
            if call.settling and seen.outdates(shown):
                raise answer.unreadable("the answer is older than what was known before")
            return shown

        async def look(sent: float) -> Finding:
            """See how it is now."""
            reading = _wire.build_reading(request)
            try:
                answer, found = await read_one(self._transport, call, reading, sso_connector_id)
            except NotFoundError as error:
                return _judging.gone(error, sso_connector_id, seen)
            span = Span.until(answer, call.time() - sent)
            return _judging.judge_update(found, wished, before, span, seen)

        return await call.run(surely(call, send, look, may_repeat=True))

    async def delete(self, sso_connector_id: str, *, account_id: str) -> None:
        """
        Delete a connector.

        If the answer does not confirm it, or there is none, the account is listed until
        two lists in a row lack it. If it is still there after half a minute, the same is
        sent once more.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/delete/

        Raises:
            UnconfirmedWriteError: Neither the answer nor lists show that it is gone.
        """
        request = _wire.build_delete(sso_connector_id, account_id)
        listing = _wire.build_list(account_id)
        call = self._call("delete", account_id, sso_connector_id)
        seen = Seen()

        async def send() -> None:
            """Delete it."""
            _wire.check_deleted(await exchange(self._transport, call, request), sso_connector_id)

        async def look(sent: float) -> Finding:
            """See whether it is gone."""
            answer, connectors, left_out = await read_all(self._transport, call, listing)
            span = Span.until(answer, call.time() - sent)
            return _judging.judge_delete(connectors, left_out, sso_connector_id, span, seen)

        await call.run(surely(call, send, look, may_repeat=True))

    async def begin_verification(self, sso_connector_id: str, *, account_id: str) -> None:
        """
        Make Cloudflare look for the TXT record, again if need be.

        It is never sent twice, and its answer says nothing of the outcome: `get` does.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/subresources/begin_verification/
        """
        request = _wire.build_begin_verification(sso_connector_id, account_id)
        call = self._call("begin_verification", account_id, sso_connector_id)
        await call.run(exchange(self._transport, call, request))

    async def wait_until_verified(
        self,
        sso_connector_id: str,
        *,
        account_id: str,
        deadline: float | None = DEADLINE,
        interval: float = INTERVAL,
        restart: bool = False,
        on_look: OnLook | None = None,
    ) -> SSOConnector:
        """
        Wait until the domain is verified or Cloudflare gave up, and return the connector.

        So look at its verification: it may have failed. The connector is read at once,
        after *interval*, and then in pauses that grow to five minutes, the last time
        *interval* before the deadline at the latest. Each read is an ordinary call. One
        that fails for want of a connection, with 408, 425, 429 or 5xx, or with an answer
        that can't be read, is followed by the next one in its time.

        Args:
            sso_connector_id: 32 letters and digits.
            account_id: 32 letters and digits.
            deadline:
                Seconds from now, waits for rate limits counted in. An hour more than the
                two days for which Cloudflare looks unless given. ``None``: no bound.
            interval: Seconds between the first two looks, more than 0.
            restart:
                Whether to call `begin_verification` if the first look shows that nobody
                searches: ``awaiting`` or ``failed``. It is done once.
            on_look:
                Is called after each look but the last with what it showed, the connector
                or an error, and the seconds until the next one; what it raises is logged.

        Raises:
            APITimeoutError:
                It was neither at the deadline. The message has the status last seen, and
                the cause is the error of the last request, if that failed.
        """
        return await Waiting(
            sso_connector_id=sso_connector_id,
            look=lambda: self.get(sso_connector_id, account_id=account_id),
            begin=lambda: self.begin_verification(sso_connector_id, account_id=account_id),
            deadline=deadline,
            interval=interval,
            restart=restart,
            on_look=on_look,
        ).run()
