"""Which tokens there are, and which one a client presents."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cfsso.emulator import answers
from cfsso.errors import InvalidRequestError

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_BEARER: Final = re.compile(rf"(?i:bearer) +({_TOKEN.pattern})")


@functools.lru_cache(maxsize=1024)
def fingerprint(token: str) -> str:
    """Return twelve hex digits that tell tokens apart and give none away."""
    # Not above, since it loads OpenSSL.
    from hashlib import sha256

    return sha256(token.encode()).hexdigest()[:12]


def presented(headers: Mapping[str, str]) -> str:
    """
    Return the token that *headers* carry.

    Raises:
        RefusedError: There is none, it is malformed, or it is another kind of
            credential.
    """
    named = {name.lower(): value for name, value in headers.items()}
    authorization = named.get("authorization")
    if authorization is not None:
        match = _BEARER.fullmatch(authorization)
        if match is None:
            raise answers.malformed_credential()
        return match[1]
    if "x-auth-key" in named or "x-auth-email" in named:
        raise answers.wrong_kind_of_credential()
    raise answers.no_credential()


class Tokens:
    """The issued tokens; while there are none, every token serves every account."""

    __slots__ = ("_accounts",)

    def __init__(self) -> None:
        self._accounts: dict[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"Tokens({len(self._accounts)})"

    def add(self, token: Any, account_ids: Iterable[str]) -> None:
        """
        Issue *token* for the accounts, in place of what it had before.

        Raises:
            InvalidRequestError: It could not stand in a header.
        """
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            msg = "a token must be printable ASCII without spaces"
            raise InvalidRequestError(msg)
        self._accounts[token] = tuple(account_ids)

    def accounts(self, token: str) -> tuple[str, ...] | None:
        """
        Return what *token* serves; ``None`` stands for all accounts.

        Raises:
            RefusedError: It was never issued.
        """
        if not self._accounts:
            return None
        served = self._accounts.get(token)
        if served is None:
            raise answers.unknown_token()
        return served

    def state(self) -> dict[str, list[str]]:
        """Return account ids by token, for the state file: these are secrets."""
        return {token: list(ids) for token, ids in self._accounts.items()}
