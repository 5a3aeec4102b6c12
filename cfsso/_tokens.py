"""Whether a token works: its account is asked, and then its user."""

from collections.abc import Awaitable, Callable
from typing import Final

from cfsso import _wire
from cfsso._exchange import exchange
from cfsso.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from cfsso.models import TokenInfo
from cfsso.transports._call import Call
from cfsso.transports.base import Request, Transport

# How an account refuses to verify a token that is a user's.
_NOT_ITS_TOKEN: Final = (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
)

CredentialOf = Callable[[str], Awaitable[str | None]]


async def verify(
    transport: Transport, call: Call, request: Request, credential: CredentialOf
) -> TokenInfo:
    """
    Return what Cloudflare says of the token of the call's account.

    Args:
        transport: The way there.
        call: The call that it belongs to.
        request: What asks the account.
        credential: Tells the tokens of accounts apart; the empty account is the user.

    Raises:
        CfssoError: It can't be known; what the account said counts.
    """
    try:
        return _wire.read_token(await exchange(transport, call, request))
    except _NOT_ITS_TOKEN as error:
        # A request without an account would present whatever token belongs to none.
        if error.edge or not await _is_one_for_all(credential, call.account_id):
            raise
        refusal = error
    try:
        return _wire.read_token(await exchange(transport, call, _wire.build_verify_user_token()))
    except APIStatusError:
        raise refusal from None


async def _is_one_for_all(credential: CredentialOf, account_id: str) -> bool:
    try:
        own = await credential(account_id)
        return own is not None and own == await credential("")
    except InvalidRequestError:
        return False
