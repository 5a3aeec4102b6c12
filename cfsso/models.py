"""
The values that cross the public interface: frozen, without I/O and JSON.

Field names are the API's own; see
https://developers.cloudflare.com/api/resources/iam/subresources/sso/.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs


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
class Verification:
    """
    What is known of a domain's verification.

    Attributes:
        code:
            The whole text of the TXT record to set, prefix included. ``None``:
            the answer did not say.
        status: ``None``: the answer did not say.
        raw_status: The status as the API wrote it. ``None``: it did not.
        extra: Members of the answer that this version does not know, by name.
    """

    code: str | None = None
    status: VerificationStatus | None = None
    raw_status: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True)
class SSOConnector:
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
        extra: Members of the answer that this version does not know, by name.
    """

    id: str = ""
    email_domain: str | None = None
    enabled: bool | None = None
    use_fedramp_language: bool | None = None
    verification: Verification = attrs.field(factory=Verification)
    created_on: dt.datetime | None = None
    updated_on: dt.datetime | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)


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
class TokenInfo:
    """
    What Cloudflare says of a token; the token itself is not in it.

    Attributes:
        id: The token's public id. Empty: the answer did not have it.
        status: ``None``: the answer did not say.
        raw_status: The status as the API wrote it. ``None``: it did not.
        expires_on: An aware time. ``None``: the token has no end.
        not_before: An aware time. ``None``: the token has no beginning.
        extra: Members of the answer that this version does not know, by name.
    """

    id: str = ""
    status: TokenStatus | None = None
    raw_status: str | None = None
    expires_on: dt.datetime | None = None
    not_before: dt.datetime | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True)
class Source:
    """Which part of a request a message is about, as a JSON pointer (RFC 6901)."""

    pointer: str | None = None


@attrs.frozen(kw_only=True)
class ResponseInfo:
    """
    One item of an answer's ``errors`` or ``messages``.

    Attributes:
        code: ``None``: the item had no number.
        message: Empty if the item had no text. Written by the server: escape it
            before you show it.
        documentation_url: ``None``: not given. It is text; nothing fetches it.
        source: ``None``: not given.
        error_chain: What led to this item, in the order of the answer.
        extra: Members of the item that this version does not know, by name.
    """

    code: int | None = None
    message: str = ""
    documentation_url: str | None = None
    source: Source | None = None
    error_chain: tuple["ResponseInfo", ...] = ()
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
