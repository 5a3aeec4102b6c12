"""Which tokens there are, and which one a client presents."""

import datetime as dt
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from cfsso._text import rfc3339
from cfsso.emulator import answers, checks
from cfsso.emulator.clock import Clock
from cfsso.errors import InvalidRequestError

_STATUSES: Final = ("active", "disabled", "expired")
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
class Grant:
    """
    What a token may do.

    Attributes:
        account_ids: Where.
        permission: ``read`` or ``write``. ``None``: write, which the state file leaves out.
        expires_on: From when on nothing. ``None``: it has no end.
        status: As long as it has not ended.
        served: The same as `account_ids`: a token may serve thousands.
    """

    account_ids: tuple[str, ...]
    permission: str | None
    expires_on: dt.datetime | None
    status: str
    served: frozenset[str]

    def allows(self, account_id: str, *, write: bool) -> bool:
        """Whether it reaches an account, for reading or for a write."""
        return account_id in self.served and not (write and self.permission == "read")

    def status_by(self, clock: Clock) -> str:
        """Return the status, whose end may have come."""
        over = self.expires_on is not None and self.expires_on <= clock.wall()
        return "expired" if over else self.status

    def shown(self) -> list[str] | dict[str, Any]:
        """Return it as the state file has it."""
        ids = list(self.account_ids)
        return ids if self.permission is None else {"accounts": ids, "permission": self.permission}


class Tokens:
    """The issued tokens; while there are none, every token serves every account."""

    __slots__ = ("_clock", "_issued")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued: dict[str, Grant] = {}

    def __repr__(self) -> str:
        return f"Tokens({len(self._issued)})"

    def add(
        self,
        token: Any,
        account_ids: Iterable[str],
        *,
        permission: str | None = None,
        expires_on: dt.datetime | None = None,
        status: str = "active",
    ) -> None:
        """
        Issue *token* for the accounts, in place of what it had before; see `Grant`.

        Raises:
            InvalidRequestError: It could not stand in a header, or a value is wrong.
        """
        ids = checks.identifiers(account_ids, "account_ids")
        if expires_on is not None:
            checks.aware(expires_on, "expires_on")
        status = checks.one_of(_STATUSES, status, "status")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            msg = "a token must be printable ASCII without spaces"
            raise InvalidRequestError(msg)
        self._issued[token] = Grant(ids, permission, expires_on, status, frozenset(ids))

    def grant(self, token: str) -> Grant | None:
        """
        Return what *token* may do; ``None`` stands for everything.

        Raises:
            RefusedError: It was never issued, or is disabled or expired.
        """
        if not self._issued:
            return None
        issued = self._issued.get(token)
        if issued is None or issued.status_by(self._clock) != "active":
            raise answers.unknown_token()
        return issued

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
            raise answers.forbidden("accounts/subresources/tokens/methods/verify")
        shown["status"] = issued.status_by(self._clock)
        if issued.expires_on is not None:
            shown["expires_on"] = rfc3339(issued.expires_on.replace(microsecond=0))
        return shown

    def accounts(self) -> dict[str, tuple[str, ...]]:
        """Return account ids by the fingerprint of the token."""
        return {fingerprint(token): grant.account_ids for token, grant in self._issued.items()}

    def state(self) -> dict[str, list[str] | dict[str, Any]]:
        """Return what each token may do, for the state file: these are secrets."""
        return {token: grant.shown() for token, grant in self._issued.items()}
