"""What is kept of the API's answers: their form, without what tells one account from another."""

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from live_guard import is_own

import cfsso

# Rays, ids, verification codes, digests, tokens: whatever is long and has no words in it.
_LONG: Final = re.compile(r"[0-9A-Za-z]{20,}|[0-9a-fA-F]{16,}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RANDOM: Final = re.compile(r"(?i)(cfsso-live-)[0-9a-f]{12}")
_EMAIL: Final = re.compile(r"[^\s\"'<>@]{1,64}@[^\s\"'<>@]+")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{3,}")

# What is known to tell nothing of whose it is.
_HEADERS: Final = frozenset(
    {"allow", "api-version", "cache-control", "cf-mitigated", "content-length", "content-type"}
    | {"date", "ratelimit", "ratelimit-policy", "retry-after", "server", "vary"}
)
_MOST: Final = 4000


class Masks:
    """
    Puts a name in the place of each secret and id, the same one for the same value.

    Args:
        token: The API token.
        account_id: The account.
    """

    def __init__(self, token: str, account_id: str) -> None:
        self._names: dict[str, str] = {token: "<token>", account_id: "<account>"}
        self._fixed = re.compile("|".join(re.escape(value) for value in (token, account_id)))

    def text(self, text: str) -> str:
        """Return *text* without them."""
        text = self._fixed.sub(lambda match: self._names[match[0]], text)
        text = _EMAIL.sub("<e-mail>", text)
        text = _RANDOM.sub(r"\1<random>", text)
        text = _UUID.sub(self._name, text)
        text = _LONG.sub(self._name, text)
        return _ADDRESS.sub(_no_address, text)

    def value(self, value: Any) -> Any:
        """Return a value as JSON has it without them, and without what others have there."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value if not _is_foreign(item)]
        if isinstance(value, dict):
            return {self.text(name): self.value(member) for name, member in value.items()}
        return value

    def body(self, body: bytes | None) -> Any:
        """Return a body, as JSON if it is some."""
        if body is None:
            return None
        text = body.decode(errors="replace")
        try:
            return self.value(json.loads(text))
        except (ValueError, RecursionError):
            return self.text(text)[:_MOST]

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers; of most of them only that they were there."""
        return {
            name: self.text(value) if name in _HEADERS else "<masked>"
            for name, value in sorted(headers.items())
        }

    def exchange(
        self, rule: str, request: cfsso.Request, response: cfsso.Response
    ) -> dict[str, Any]:
        """Return what was asked and what came back."""
        large = request.body is not None and len(request.body) > _MOST
        return {
            "rule": rule,
            "request": {
                "method": request.method,
                "path": self.text(request.path),
                "body": "<a large one>" if large else self.body(request.body),
            },
            "response": {
                "status": response.status,
                "headers": self.headers(response.headers),
                "body": self.body(response.body),
            },
        }

    def _name(self, match: re.Match[str]) -> str:
        if match[0] not in self._names:
            self._names[match[0]] = f"<{len(match[0])} characters, {len(self._names) - 1}>"
        return self._names[match[0]]


def _is_foreign(item: Any) -> bool:
    return isinstance(item, dict) and "email_domain" in item and not is_own(item["email_domain"])


def _no_address(match: re.Match[str]) -> str:
    try:
        ipaddress.ip_address(match[0].rstrip(".:"))
    except ValueError:
        return match[0]
    return "<address>"
