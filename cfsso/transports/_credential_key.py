"""What the limit of a request is counted by."""

from collections.abc import Awaitable, Callable, Hashable
from inspect import isawaitable
from typing import TypeAlias

from cfsso.errors import InvalidRequestError, WriteState
from cfsso.transports.base import Request

CredentialOf: TypeAlias = Callable[[str], Hashable | Awaitable[Hashable]]
"""From account id to what its limit is counted by."""


async def key_of(credential: CredentialOf, request: Request) -> Hashable:
    """
    Return what *credential* says of the account of *request*.

    Raises:
        InvalidRequestError: It failed, or said what can't be a key; nothing was sent.
    """
    try:
        key = credential(request.account_id)
        # Ours are tuples, and it takes long to ask what is awaitable.
        if type(key) is not tuple and isawaitable(key):
            key = await key
        hash(key)
    except InvalidRequestError as error:
        error.request = request
        error.write = request.write_state(WriteState.NOT_SENT)
        raise
    except Exception as error:
        raise InvalidRequestError(
            f"{request}: credential failed: {type(error).__name__}",
            write=request.write_state(WriteState.NOT_SENT),
            request=request,
        ) from error
    return key
