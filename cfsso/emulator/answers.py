"""What answers are made of: the envelopes, and every refusal with its code."""

import json
from collections.abc import Mapping
from typing import Any, Final

from cfsso._text import printable

_REFERENCE: Final = "https://developers.cloudflare.com/api/resources"

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


def success(**members: Any) -> bytes:
    """Return a success envelope after *members*; without ``result`` if not given."""
    return _encode({**members, "success": True, "errors": [], "messages": []}).encode()


def success_with(result: str) -> bytes:
    """Return a success envelope with a *result* that is JSON already."""
    return f'{{"result":{result},"success":true,"errors":[],"messages":[]}}'.encode()


class RefusedError(Exception):
    """
    An answer other than 200.

    Attributes:
        status: The HTTP status.
        errors: The envelope's ``errors``.
        headers: Headers that only this answer has, names in lower case.
    """

    def __init__(
        self, status: int, *errors: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.errors = errors
        self.headers: Mapping[str, str] = headers or {}

    @property
    def body(self) -> bytes:
        """The failure envelope."""
        envelope: dict[str, Any] = {
            "success": False,
            "errors": self.errors,
            "messages": [],
            "result": None,
        }
        return _encode(envelope).encode()


def unroutable(path: str) -> RefusedError:
    """No such path, or an account that does not exist."""
    shown = printable(path)
    text = f"Could not route to /client/v4{shown}, perhaps your object identifier is invalid?"
    return RefusedError(404, _item(7003, text), _item(7000, "No route for that URI"))


def wrong_method(allowed: list[str]) -> RefusedError:
    """The path exists, but not for this method."""
    text = "Method not allowed for this authentication scheme"
    return RefusedError(405, _item(10405, text), headers={"allow": ", ".join(allowed)})


def no_credential() -> RefusedError:
    """No header that could be a credential."""
    text = "Missing X-Auth-Key, X-Auth-Email or Authorization headers"
    return RefusedError(400, _item(9106, text))


def malformed_credential() -> RefusedError:
    """An ``Authorization`` that is not ``Bearer`` and a token."""
    chain = [_item(6111, "Invalid format for Authorization header")]
    return RefusedError(400, {**_item(6003, "Invalid request headers"), "error_chain": chain})


def wrong_kind_of_credential() -> RefusedError:
    """An API key where only tokens serve."""
    return RefusedError(400, _item(10001, "Unable to authenticate request"))


def unknown_token() -> RefusedError:
    """A token that nobody issued."""
    return RefusedError(401, _item(10000, "Authentication error"))


def invalid_token() -> RefusedError:
    """A token that nobody issued, or of the other kind, where tokens are verified."""
    return RefusedError(401, _item(1000, "Invalid API Token"))


def forbidden(page: str) -> RefusedError:
    """A token that may not do this here; *page* is the operation's in the API reference."""
    item = _item(10000, "Forbidden")
    return RefusedError(403, {**item, "documentation_url": f"{_REFERENCE}/{page}"})


def too_many() -> RefusedError:
    """More requests than the limit."""
    text = "Please wait and consider throttling your request speed"
    return RefusedError(429, _item(971, text))


def too_large() -> RefusedError:
    """A body beyond what is read."""
    return RefusedError(413, _item(20013, "Request body is too large"))


def bad_body(text: str, pointer: str | None = None) -> RefusedError:
    """A body that is not what the operation takes; *pointer* names the member."""
    return RefusedError(400, _item(20000, text, pointer))


def domain_refused() -> RefusedError:
    """A domain that nobody may bind to an identity provider."""
    text = "This email domain can't be used for SSO"
    return RefusedError(400, _item(20001, text, "/email_domain"))


def not_verified() -> RefusedError:
    """Enabling before the domain is verified."""
    text = "The email domain must be verified before the connector can be enabled"
    return RefusedError(400, _item(20002, text, "/enabled"))


def no_connector() -> RefusedError:
    """The account has no such connector."""
    return RefusedError(404, _item(20004, "SSO connector not found"))


def duplicate() -> RefusedError:
    """The account has a connector for the domain already."""
    text = "The account already has an SSO connector for this email domain"
    return RefusedError(409, _item(20005, text, "/email_domain"))


def held_elsewhere() -> RefusedError:
    """Another connector enforces SSO for the domain."""
    text = "The email domain is enabled by another SSO connector; disable that one first"
    return RefusedError(409, _item(20006, text, "/enabled"))


def still_enabled() -> RefusedError:
    """Deleting what is in force."""
    return RefusedError(409, _item(20007, "Disable the SSO connector before deleting it"))


def broken() -> RefusedError:
    """The emulator itself failed."""
    return RefusedError(500, _item(20500, "Internal server error"))


def _item(code: int, message: str, pointer: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"code": code, "message": message}
    if pointer is not None:
        item["source"] = {"pointer": pointer}
    return item
