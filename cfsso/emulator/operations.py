"""The six operations: from a body to a body."""

import json
import re
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, cast

from cfsso._checks import domain_form
from cfsso.emulator import answers
from cfsso.emulator.accounts import Accounts
from cfsso.emulator.records import IDENTIFIER, Connector

Maker: TypeAlias = Callable[[str], Connector]
"""Makes an awaiting connector for a domain."""


class Operation(Protocol):
    """What `Operations` has, by the name that it has in the API reference."""

    @property
    def __name__(self) -> str: ...

    def __call__(self, account_id: str, connector_id: str, body: bytes | None, /) -> bytes:
        """Return the answer's body."""
        ...


_PATH: Final = re.compile(
    rf"/accounts/({IDENTIFIER.pattern})/sso_connectors"
    rf"(?:/({IDENTIFIER.pattern})(/begin_verification)?)?"
)

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+{_LABEL}", re.IGNORECASE | re.ASCII)

# Cloudflare refuses public mail providers and some whole TLDs, without a list.
_PUBLIC_MAIL: Final = frozenset(
    {"aol.com", "gmail.com", "gmx.com", "googlemail.com", "hotmail.com", "icloud.com"}
    | {"live.com", "outlook.com", "proton.me", "protonmail.com", "yahoo.com"}
)
_REFUSED_TLDS: Final = (".edu",)


class Operations:
    """
    The operations on `Accounts`.

    Each takes the account's id, the connector's id ("" for a collection) and the
    request's body, returns the answer's body, and raises `RefusedError`.
    """

    __slots__ = ("_accounts", "_make", "_routes")

    def __init__(self, accounts: Accounts, make: Maker) -> None:
        self._accounts = accounts
        self._make = make
        # By the number of the last group of `_PATH` that is there.
        self._routes: dict[int | None, dict[str, Operation]] = {
            1: {"GET": self.list, "POST": self.create},
            2: {"GET": self.get, "PATCH": self.update, "DELETE": self.delete},
            3: {"POST": self.begin_verification},
        }

    def route(self, path: str, method: str) -> tuple[Operation, str, str]:
        """
        Return what *method* does on *path*, and the two ids in it.

        Raises:
            RefusedError: The path or the method does not exist.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            raise answers.unroutable(path)
        methods = self._routes[match.lastindex]
        operation = methods.get(method)
        if operation is None:
            raise answers.wrong_method(list(methods))
        return operation, match[1], match[2] or ""

    def list(self, account_id: str, _connector_id: str, _body: bytes | None) -> bytes:
        """Show all connectors of the account, in the order of creation."""
        result = [connector.shown() for connector in self._accounts.all(account_id)]
        count = len(result)
        info = {"count": count, "page": 1, "per_page": max(20, count), "total_count": count}
        return answers.success(result=result, result_info=info)

    def create(self, account_id: str, _connector_id: str, body: bytes | None) -> bytes:
        """Add a connector, verification begun unless the body says otherwise."""
        fields = _object(body)
        domain = fields.get("email_domain")
        if not isinstance(domain, str):
            text = "email_domain is required and must be a string"
            raise answers.bad_body(text, "/email_domain")
        begin = _flag(fields, "begin_verification", default=True)
        fedramp = _flag(fields, "use_fedramp_language", default=False)
        key = domain_form(domain)
        if not _DOMAIN.fullmatch(key) or not _is_written_in_letters(domain):
            raise answers.bad_body("email_domain is not a domain name", "/email_domain")
        if key in _PUBLIC_MAIL or key.endswith(_REFUSED_TLDS):
            raise answers.domain_refused()
        if any(other.key == key for other in self._accounts.by_id[account_id].values()):
            raise answers.duplicate()
        connector = self._make(domain)
        connector.use_fedramp_language = fedramp
        connector.status = "pending" if begin else "awaiting"
        self._accounts.adopt(account_id, connector)
        return answers.success_with(connector.encoded())

    def get(self, account_id: str, connector_id: str, _body: bytes | None) -> bytes:
        """Show one connector."""
        return answers.success_with(self._accounts.find(account_id, connector_id).encoded())

    def update(self, account_id: str, connector_id: str, body: bytes | None) -> bytes:
        """Change what the body names; without a body, or with an empty one, nothing."""
        connector = self._accounts.find(account_id, connector_id)
        fields = _object(body) if body else {}
        enabled = _flag(fields, "enabled", default=connector.enabled)
        fedramp = _flag(fields, "use_fedramp_language", default=connector.use_fedramp_language)
        self._accounts.set_state(connector, enabled=enabled, fedramp=fedramp)
        return answers.success_with(connector.encoded())

    def delete(self, account_id: str, connector_id: str, _body: bytes | None) -> bytes:
        """Delete a connector that is not enabled."""
        connector = self._accounts.find(account_id, connector_id)
        self._accounts.remove(account_id, connector)
        return answers.success(result={"id": connector.id})

    def begin_verification(self, account_id: str, connector_id: str, _body: bytes | None) -> bytes:
        """Start to look for the TXT record; the answer says nothing of the outcome."""
        self._accounts.begin(self._accounts.find(account_id, connector_id))
        return answers.success()


def _is_written_in_letters(domain: str) -> bool:
    """Whether all that is not ASCII in it is letters, marks and digits (RFC 5892)."""
    if domain.isascii():
        return True
    # Not above, since it is slow to load.
    from unicodedata import category

    return all(char.isascii() or category(char)[0] in "LMN" for char in domain)


def _object(body: bytes | None) -> dict[str, Any]:
    try:
        value = _decode((body or b"").decode())
    except (ValueError, RecursionError):
        raise answers.bad_body("The request body is not valid JSON") from None
    if not isinstance(value, dict):
        text = "The request body must be a JSON object"
        raise answers.bad_body(text, "")
    return cast("dict[str, Any]", value)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_decode: Final = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _flag(fields: dict[str, Any], name: str, *, default: bool) -> bool:
    value = fields.get(name, default)
    if type(value) is not bool:
        text = f"{name} must be a boolean"
        raise answers.bad_body(text, f"/{name}")
    return value
