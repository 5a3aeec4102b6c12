"""What is read besides connectors one by one: tokens, and accounts as a rescue needs them."""

from collections.abc import Callable, Collection
from functools import partial

from cfsso import _salvaging, _wire
from cfsso._client import Client
from cfsso._exchange import read_listing
from cfsso._tokens import verify
from cfsso.models import SSOConnector, TokenInfo


class Reads(Client):
    """A client that reads tokens, and odd accounts; see `AsyncSSOConnectors`."""

    async def verify_token(self, *, account_id: str) -> TokenInfo:
        """
        Return the state of the token that is used for an account.

        The account is asked first. What it refuses may be a user's token: that is asked
        about where one token is known to serve all accounts, since the request names
        none. It says nothing of permissions.

        https://developers.cloudflare.com/api/resources/accounts/subresources/tokens/methods/verify/

        Raises:
            APIStatusError: The token is not valid, or is a user's and one of several.
        """
        request = _wire.build_verify_token(account_id)
        call = self._call("verify_token", account_id)
        return await call.run(verify(self._transport, call, request, self.credential))

    async def _list_for_rescue(
        self,
        account_id: str,
        *,
        only: Collection[str] | None = None,
        keeps: Callable[[SSOConnector], bool] | None = None,
    ) -> _salvaging.Salvage:
        """
        List an account as `list` does, but let no odd connector hide the others.

        Args:
            account_id: 32 letters and digits.
            only: The ids of the connectors that are kept. ``None``: all are.
            keeps: Whether one of them is kept, by what can be read of it. ``None``: all are.
        """
        request = _wire.build_list(account_id)
        call = self._call("list", account_id)
        make = partial(_salvaging.Salvaging, only, keeps)
        work = read_listing(self._transport, call, request, make)
        _, reading, left_out = await call.run(work)
        return reading.salvage(left_out)
