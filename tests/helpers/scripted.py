"""Answers made by hand, a transport that gives them, and the six operations as a table."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import cfsso

ACCOUNT = "5d1f0a93c7e24b68a0b3d9e7f1c24680"
CONNECTOR = "a47be0c2193d4f5886e1b7d0c95f3a12"
OTHER = "c0ffee5e11d24a7f9b3c8d1e0f2a4b6c"
DOMAIN = "mail.nordwind.example"
COLLECTION = f"/accounts/{ACCOUNT}/sso_connectors"
ITEM = f"{COLLECTION}/{CONNECTOR}"
RAY = "8a1b2c3d4e5f6789-FRA"


def shown(**members: Any) -> dict[str, Any]:
    """Return a connector as the API shows it, changed by *members*."""
    return {
        "id": CONNECTOR,
        "email_domain": DOMAIN,
        "enabled": True,
        "use_fedramp_language": False,
        "verification": {"code": "cloudflare_dashboard_sso=0b7d3c1e", "status": "verified"},
        "created_on": "2026-03-02T08:15:42.0000Z",
        "updated_on": "2026-03-04T11:00:09.1234Z",
        **members,
    }


def respond(
    envelope: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> cfsso.Response:
    """Return an answer whose body is *envelope*: bytes as they are, else as JSON."""
    body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
    return cfsso.Response(status, {"cf-ray": RAY, **(headers or {})}, body)


def success(*result: Any, **members: Any) -> cfsso.Response:
    """Return a 200 that reports success, with the *result* if there is one."""
    with_result = {"result": result[0]} if result else {}
    return respond({"success": True, "errors": [], "messages": [], **with_result, **members})


def failure(status: int, *errors: Any, **headers: str) -> cfsso.Response:
    """Return a failure envelope; underscores in names of *headers* become hyphens."""
    envelope = {"success": False, "errors": errors, "messages": [], "result": None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return respond(envelope, status, named)


class Scripted:
    """A transport that gives one reply after the other, and the last one for ever."""

    def __init__(self, *replies: cfsso.Response | Exception) -> None:
        self._replies = list(replies)
        self.requests: list[cfsso.Request] = []
        self.closed = 0

    def __repr__(self) -> str:
        return "Scripted()"

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Keep *request* and give the next reply."""
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def aclose(self) -> None:
        """Count how often it was closed."""
        self.closed += 1

    @property
    def seen(self) -> list[str]:
        """The requests that were sent, as text."""
        return [str(request) for request in self.requests]


Operation = Callable[[cfsso.AsyncSSOConnectors, str, str], Awaitable[Any]]

OPERATIONS: dict[str, Operation] = {
    "list": lambda c, _connector, account: c.list(account_id=account),
    "get": lambda c, connector, account: c.get(connector, account_id=account),
    "create": lambda c, _connector, account: c.create(account_id=account, email_domain=DOMAIN),
    "update": lambda c, connector, account: c.update(connector, account_id=account, enabled=True),
    "delete": lambda c, connector, account: c.delete(connector, account_id=account),
    "begin_verification": lambda c, connector, account: c.begin_verification(
        connector, account_id=account
    ),
}
READS = {"list", "get"}
