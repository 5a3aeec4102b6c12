"""The six operations, and the question behind each write: did it happen?"""

import functools
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cfsso import _wire
from cfsso._failures import said_by
from cfsso._text import printable
from cfsso.errors import APIConnectionError, CfssoError, UnconfirmedWriteError, WriteState
from cfsso.models import UNSET, MaybeBool, SSOConnector
from cfsso.transports.base import Request, Transport

if TYPE_CHECKING:
    import logging


class AsyncSSOConnectors:
    """
    The SSO connectors of Cloudflare accounts.

    Every operation raises `InvalidRequestError` before anything is sent if an
    argument can't be used, `APIStatusError` for an error status,
    `APIResponseValidationError` for an answer that can't be read and
    `APIConnectionError` if there is none. A result is never ``None``: what
    can't be shown to have happened is an error whose ``write`` says so.

    Args:
        transport: How to reach Cloudflare. Leaving ``async with`` closes it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"AsyncSSOConnectors({self._transport!r})"

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

    async def list(self, *, account_id: str) -> tuple[SSOConnector, ...]:
        """
        Return all connectors of an account, in the order of the answer.

        The API describes no pages. If an answer says that it left some out, that is
        logged as a warning. One of more than 1 MiB, about 3,000 connectors, is refused.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/list/
        """
        return (await self._list(account_id))[0]

    async def get(self, sso_connector_id: str, *, account_id: str) -> SSOConnector:
        """
        Return one connector.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/get/
        """
        answer = await self._send(_wire.build_get(sso_connector_id, account_id))
        return _wire.read_connector(answer, sso_connector_id)

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

        It is sent once. If an error's ``write`` is ``unknown``, `list` shows
        whether the connector is there.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/create/

        Args:
            account_id: 32 letters and digits.
            email_domain: A domain name, in Unicode or as A-labels, of at most 253 bytes.
            begin_verification:
                Whether Cloudflare starts to look for the TXT record at once. The
                API takes an omitted value for true.
            use_fedramp_language: Whether sign-in shows the FedRAMP wording.
        """
        wished = _wire.wish(UNSET, use_fedramp_language)
        answer = await self._send(
            _wire.build_create(account_id, email_domain, begin_verification, use_fedramp_language)
        )
        return _wire.read_created(answer, email_domain, wished)

    async def update(
        self,
        sso_connector_id: str,
        *,
        account_id: str,
        enabled: MaybeBool = UNSET,
        use_fedramp_language: MaybeBool = UNSET,
    ) -> SSOConnector:
        """
        Change what is given and return the connector, which shows those values.

        If the answer does not show them, or there is none, the connector is read.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/update/

        Args:
            sso_connector_id: 32 letters and digits.
            account_id: 32 letters and digits.
            enabled:
                Whether all users of the domain, in all accounts, must sign in
                through the identity provider.
            use_fedramp_language: Whether sign-in shows the FedRAMP wording.

        Raises:
            UnconfirmedWriteError: Neither the answer nor the read shows the values.
        """
        wished = _wire.wish(enabled, use_fedramp_language)
        request = _wire.build_update(sso_connector_id, account_id, enabled, use_fedramp_language)
        try:
            answer = await self._send(request)
            return _wire.read_updated(answer, sso_connector_id, wished)
        except CfssoError as error:
            if error.write is not WriteState.UNKNOWN:
                raise
            doubt = error
        return await self._settle_update(sso_connector_id, account_id, wished, doubt)

    async def delete(self, sso_connector_id: str, *, account_id: str) -> None:
        """
        Delete a connector.

        If the answer does not confirm it, or there is none, the account is listed.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods/delete/

        Raises:
            UnconfirmedWriteError: Neither the answer nor the list shows that it is gone.
        """
        request = _wire.build_delete(sso_connector_id, account_id)
        try:
            answer = await self._send(request)
            return _wire.check_deleted(answer, sso_connector_id)
        except CfssoError as error:
            if error.write is not WriteState.UNKNOWN:
                raise
            doubt = error
        return await self._settle_delete(sso_connector_id, account_id, doubt)

    async def begin_verification(self, sso_connector_id: str, *, account_id: str) -> None:
        """
        Make Cloudflare look for the TXT record, again if need be.

        It is sent once, and its answer says nothing of the outcome: `get` does.

        https://developers.cloudflare.com/api/resources/iam/subresources/sso/subresources/begin_verification/
        """
        await self._send(_wire.build_begin_verification(sso_connector_id, account_id))

    async def _list(self, account_id: str) -> tuple[tuple[SSOConnector, ...], int]:
        """Return the connectors, and how many more there are by the answer's own count."""
        answer = await self._send(_wire.build_list(account_id))
        connectors = _wire.read_list(answer)
        if left_out := _wire.missing(answer):
            _log().warning("%s left out %d connectors", answer.request, left_out)
        return connectors, left_out

    async def _send(self, request: Request) -> _wire.Answer:
        try:
            response = await self._transport.send(request)
        except CfssoError:
            raise
        except Exception as error:
            # A transport of somebody else's may raise anything, at any point.
            raise APIConnectionError(
                f"{request}: the transport failed: {type(error).__name__}",
                write=request.write_state(WriteState.UNKNOWN),
                request=request,
            ) from error
        answer = _wire.read(request, response)
        if answer.warnings:
            _log().warning("%s: %s", request, printable(said_by(answer.warnings), 1000))
        return answer

    async def _settle_update(
        self, sso_connector_id: str, account_id: str, wished: Mapping[str, bool], doubt: CfssoError
    ) -> SSOConnector:
        try:
            connector = await self.get(sso_connector_id, account_id=account_id)
        except CfssoError as error:
            raise _unconfirmed(doubt, f"reading failed too: {error}") from doubt
        if _wire.shows(connector, wished):
            return connector
        found = _wire.values_shown(connector, wished)
        raise _unconfirmed(doubt, f"a read shows {found}") from doubt

    async def _settle_delete(
        self, sso_connector_id: str, account_id: str, doubt: CfssoError
    ) -> None:
        try:
            connectors, left_out = await self._list(account_id)
        except CfssoError as error:
            raise _unconfirmed(doubt, f"listing failed too: {error}") from doubt
        if any(connector.id == sso_connector_id for connector in connectors):
            raise _unconfirmed(doubt, "a list still shows it") from doubt
        if left_out:
            raise _unconfirmed(doubt, f"a list left out {left_out} connectors") from doubt


def _unconfirmed(doubt: CfssoError, found: str) -> UnconfirmedWriteError:
    return UnconfirmedWriteError(
        f"may or may not have happened: {doubt}; {found}",
        write=WriteState.UNKNOWN,
        status=doubt.status,
        errors=doubt.errors,
        messages=doubt.messages,
        ray_id=doubt.ray_id,
        retry_after=doubt.retry_after,
        request=doubt.request,
    )


@functools.cache
def _log() -> "logging.Logger":
    # Loaded when there is something to say, so that importing this stays cheap.
    import logging

    logger = logging.getLogger("cfsso")
    logger.addHandler(logging.NullHandler())
    return logger
