"""
The values that cross the public interface: frozen, and without I/O.

Field names are the API's own, and each value has its form in JSON; see
https://developers.cloudflare.com/api/resources/iam/subresources/sso/.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from cfsso._json import Value, answered


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = enum.auto()

    def __repr__(self) -> str:
        return "<UNSET>"

    __str__ = __repr__
    # An Enum's own takes four times as long.
    __hash__ = object.__hash__

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
"""An omitted value: it stands for neither ``None`` nor ``False`` and is never sent."""

MaybeBool: TypeAlias = bool | Literal[Unset.UNSET]


class VerificationStatus(enum.StrEnum):
    """
    How far Cloudflare is with finding the TXT record of an e-mail domain.

    A status of the future is `UNKNOWN`; `Verification.raw_status` keeps its text.
    """

    AWAITING = "awaiting"
    PENDING = "pending"
    FAILED = "failed"
    VERIFIED = "verified"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Verification(Value):
    """
    What is known of a domain's verification.

    Attributes:
        code:
            The whole text of the TXT record to set, prefix included. ``None``:
            the answer did not say.
        status: ``None``: the answer did not say.
        raw_status: The status as the API wrote it. ``None``: it did not.
        extra:
            Members of the answer that this version does not know, by name; none that is
            nested more than 64 deep.
    """

    code: str | None = None
    status: VerificationStatus | None = None
    raw_status: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    def _members(self) -> dict[str, Any]:
        return answered({"code": self.code, "status": _raw(self)}, self.extra)


_NOTHING: Final = Verification()


@attrs.frozen(kw_only=True)
class SSOConnector(Value):
    """
    One SSO connector: an e-mail domain whose users sign in through the IdP.

    The API promises no field, so ``None`` means that the answer did not have it,
    which is not the same as ``False``.

    Attributes:
        id: 32 characters. Empty: the answer did not have it.
        email_domain: The domain whose users the connector binds.
        enabled: Whether SSO is enforced for the domain, in all accounts.
        use_fedramp_language: Whether sign-in shows the FedRAMP wording.
        verification: Empty if the answer did not have it.
        created_on: An aware time.
        updated_on: An aware time.
        extra:
            Members of the answer that this version does not know, by name; none that is
            nested more than 64 deep.
    """

    id: str = ""
    email_domain: str | None = None
    enabled: bool | None = None
    use_fedramp_language: bool | None = None
    verification: Verification = attrs.field(factory=Verification)
    created_on: dt.datetime | None = None
    updated_on: dt.datetime | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    @classmethod
    def from_json(cls, text: str) -> "SSOConnector":
        """
        Return the connector that *text* is, as `to_json` and the API write it.

        Raises:
            InvalidRequestError: It is none; the message names the JSON path.
        """
        # Here, since what reads JSON knows this class.
        from cfsso._nodes import read_value

        return read_value(text, "a connector", lambda top: top.connector())

    def _members(self) -> dict[str, Any]:
        known = {
            "id": self.id or None,
            "email_domain": self.email_domain,
            "enabled": self.enabled,
            "use_fedramp_language": self.use_fedramp_language,
            "verification": None if self.verification == _NOTHING else self.verification,
            "created_on": self.created_on,
            "updated_on": self.updated_on,
        }
        return answered(known, self.extra)


class TokenStatus(enum.StrEnum):
    """
    Whether a token can be used.

    A status of the future is `UNKNOWN`; `TokenInfo.raw_status` keeps its text.
    """

    ACTIVE = "active"
    DISABLED = "disabled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class TokenInfo(Value):
    """
    What Cloudflare says of a token; the token itself is not in it.

    Attributes:
        id: The token's public id. Empty: the answer did not have it.
        status: ``None``: the answer did not say.
        raw_status: The status as the API wrote it. ``None``: it did not.
        expires_on: An aware time. ``None``: the token has no end.
        not_before: An aware time. ``None``: the token has no beginning.
        extra:
            Members of the answer that this version does not know, by name; none that is
            nested more than 64 deep.
    """

    id: str = ""
    status: TokenStatus | None = None
    raw_status: str | None = None
    expires_on: dt.datetime | None = None
    not_before: dt.datetime | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    def _members(self) -> dict[str, Any]:
        known = {
            "id": self.id or None,
            "status": _raw(self),
            "expires_on": self.expires_on,
            "not_before": self.not_before,
        }
        return answered(known, self.extra)


def _raw(found: Verification | TokenInfo) -> str | None:
    """Return a status as the API wrote it; of a value made by hand, as it would."""
    return found.raw_status if found.raw_status is not None else found.status


@attrs.frozen(kw_only=True)
class Source(Value):
    """Which part of a request a message is about, as a JSON pointer (RFC 6901)."""

    pointer: str | None = None


@attrs.frozen(kw_only=True)
class ResponseInfo(Value):
    """
    One item of an answer's ``errors`` or ``messages``.

    Attributes:
        code: ``None``: the item had no number.
        message: Empty if the item had no text. Written by the server: escape it
            before you show it.
        documentation_url: ``None``: not given. It is text; nothing fetches it.
        source: ``None``: not given.
        error_chain: What led to this item, in the order of the answer.
        extra:
            Members of the item that this version does not know, by name; none that is
            nested more than 64 deep.
    """

    code: int | None = None
    message: str = ""
    documentation_url: str | None = None
    source: Source | None = None
    error_chain: tuple["ResponseInfo", ...] = ()
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    def _members(self) -> dict[str, Any]:
        known = {
            "code": self.code,
            "message": self.message or None,
            "documentation_url": self.documentation_url,
            "source": self.source,
            "error_chain": self.error_chain or None,
        }
        return answered(known, self.extra)


# What attrs made does not know this module's names: an evaluation finds the class itself.
ResponseInfo.__init__.__annotations__["error_chain"] = tuple[ResponseInfo, ...]
