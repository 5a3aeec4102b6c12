"""What the suite may send: nothing that enables, and no write to what is not its own."""

import json
import re
from typing import Any, Final

import cfsso

OWN: Final = re.compile(r"(?:[^.\s]+\.)*cfsso-live-[0-9a-f]{12}(?:\.example\.com|\.edu)?")
"""The domains of the suite: what was left behind is known by them."""

_CONNECTORS: Final = re.compile(r"/accounts/(\w+)/sso_connectors(?:/(\w+))?(?:/\w+)?")


class ForbiddenError(cfsso.InvalidRequestError):
    """The suite was about to send what it must not, and did not: a mistake in its own code."""


def is_own(email_domain: Any) -> bool:
    """Whether the domain is one that only this suite would make up."""
    if not isinstance(email_domain, str):
        return False
    return bool(OWN.fullmatch(email_domain.casefold().removesuffix(".")))


class Guard:
    """
    A `cfsso.Transport` right above the one that sends: what it does not let pass never leaves.

    Writes go to connectors of the account whose domain is the suite's and which were disabled
    when last seen, or to ids that nobody has. No body names ``enabled`` with another value
    than false.
    """

    def __init__(self, inner: cfsso.Transport, account_id: str) -> None:
        self._inner = inner
        self._account_id = account_id
        self._own: set[str] = set()
        self._nobody: set[str] = set()

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """
        Send *request*.

        Raises:
            ForbiddenError: It must not be sent, and was not.
        """
        if request.is_write:
            self._check(request)
        response = await self._inner.send(request)
        self._learn(response)
        return response

    async def aclose(self) -> None:
        """Close the inner one."""
        await self._inner.aclose()

    def add_nobody(self, sso_connector_id: str) -> None:
        """Let writes to a random id pass: there is no such connector."""
        self._nobody.add(sso_connector_id)

    def _check(self, request: cfsso.Request) -> None:
        _refuse_enabling(request)
        match = _CONNECTORS.fullmatch(request.path)
        if match is None or match[1] != self._account_id:
            raise ForbiddenError(f"{request.method} of something else than the account's SSO")
        if match[2] is None:
            if request.method != "POST" or not is_own(_members(request).get("email_domain")):
                raise ForbiddenError(f"{request.method} of a domain that is not the suite's")
        elif match[2] not in self._own | self._nobody:
            raise ForbiddenError(f"{request.method} of a connector that is not the suite's")

    def _learn(self, response: cfsso.Response) -> None:
        try:
            result = json.loads(response.body)["result"]
        except (KeyError, TypeError, ValueError, RecursionError):
            return
        for shown in result if isinstance(result, list) else [result]:
            if isinstance(shown, dict) and isinstance(shown.get("id"), str):
                if is_own(shown.get("email_domain")) and shown.get("enabled") is False:
                    self._own.add(shown["id"])
                elif "enabled" in shown:
                    self._own.discard(shown["id"])


def _members(request: cfsso.Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _refuse_enabling(request: cfsso.Request) -> None:
    """Refuse a body that names `enabled`, however deep or often, with anything but false."""
    seen: list[Any] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen.extend(value for name, value in pairs if name.strip().casefold() == "enabled")
        return dict(pairs)

    text = (request.body or b"").decode(errors="replace")
    try:
        json.loads(text, object_pairs_hook=look)
    except (ValueError, RecursionError):
        # Who knows how a server reads it.
        if "enabled" in text.casefold() or "\\" in text:
            seen.append(text)
    if any(value is not False for value in seen):
        raise ForbiddenError("a body that could enable a connector")
