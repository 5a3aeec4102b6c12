"""Which tokens there are, and which one a client presents."""

import datetime as dt
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from cfsso._text import rfc3339
from cfsso.emulator import answers
from cfsso.emulator.clock import Clock
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


@attrs.frozen
class _Issued:
    account_ids: tuple[str, ...]
    expires_on: dt.datetime | None
    status: str
    # The same again: a token may serve thousands.
    served: frozenset[str]

    def status_by(self, clock: Clock) -> str:
        over = self.expires_on is not None and self.expires_on <= clock.wall()
        return "expired" if over else self.status


class Tokens:
    """The issued tokens; while there are none, every token serves every account."""

    __slots__ = ("_clock", "_issued")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued: dict[str, _Issued] = {}

    def __repr__(self) -> str:
        return f"Tokens({len(self._issued)})"

    def add(
        self,
        token: Any,
        account_ids: Iterable[str],
        expires_on: dt.datetime | None = None,
        status: str = "active",
    ) -> None:
        """
        Issue *token* for the accounts, in place of what it had before.

        Raises:
            InvalidRequestError: It could not stand in a header.
        """
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            msg = "a token must be printable ASCII without spaces"
            raise InvalidRequestError(msg)
        ids = tuple(account_ids)
        self._issued[token] = _Issued(ids, expires_on, status, frozenset(ids))

    def accounts(self, token: str) -> frozenset[str] | None:
        """
        Return what *token* serves; ``None`` stands for all accounts.

        Raises:
            RefusedError: It was never issued, or is disabled or expired.
        """
        if not self._issued:
            return None
        issued = self._issued.get(token)
        if issued is None or issued.status_by(self._clock) != "active":
            raise answers.unknown_token()
        return issued.served

    def verify(self, token: str | None, account_id: str) -> dict[str, str]:
        """
        Return what is known of a token, as the API shows it.

        Args:
            token: ``None``: whoever asks is trusted without one.
            account_id: Who is asked. Empty: the user.

        Raises:
            RefusedError: It was never issued, or belongs to the other kind of owner.
        """
        others = "cfut_" if account_id else "cfat_"
        shown = {"id": "0" * 32, "status": "active"}
        if token is None:
            return shown
        issued = self._issued.get(token)
        unknown = issued is None and self._issued
        if unknown or token.startswith(others):
            raise answers.invalid_token()
        shown["id"] = fingerprint(token).rjust(32, "0")
        if issued is None:
            return shown
        if account_id and account_id not in issued.served:
            raise answers.forbidden()
        shown["status"] = issued.status_by(self._clock)
        if issued.expires_on is not None:
            shown["expires_on"] = rfc3339(issued.expires_on.replace(microsecond=0))
        return shown

    def state(self) -> dict[str, list[str]]:
        """Return account ids by token, for the state file: these are secrets."""
        return {token: list(issued.account_ids) for token, issued in self._issued.items()}
