"""What stands before the API answers: Cloudflare's edge, proxies and captive portals."""

import json
from collections.abc import Mapping
from typing import Any

import cfsso

_DOCS = "https://developers.cloudflare.com/support/troubleshooting/http-status-codes"

BLOCKED: dict[str, Any] = {
    "type": f"{_DOCS}/cloudflare-1xxx-errors/error-1020/",
    "title": "Error 1020: Access denied",
    "status": 403,
    "detail": "The owner of this website has configured a rule that denies access.",
    "instance": "9f03c1d2ab47e6f5",
    "error_code": 1020,
    "error_name": "access_denied",
    "error_category": "access_denied",
    "ray_id": "9f03c1d2ab47e6f5",
    "cloudflare_error": True,
    "retryable": False,
    "retry_after": None,
    "owner_action_required": True,
}
LIMITED: dict[str, Any] = {
    "type": f"{_DOCS}/cloudflare-1xxx-errors/error-1015/",
    "title": "Error 1015: You are being rate limited",
    "status": 429,
    "detail": "You are being rate-limited by the website owner's configuration.",
    "error_code": 1015,
    "error_name": "rate_limited",
    "ray_id": "9f03c1d2ab47e6f6",
    "cloudflare_error": True,
    "retryable": True,
    "retry_after": 30,
}
BLOCK_PAGE = b"""<!DOCTYPE html><html><head>
<title>Access denied | api.cloudflare.com used Cloudflare to restrict access</title>
<style>h1 { color: red }</style></head><body><div id="cf-wrapper">
<h1><span>Error</span> <span>1020</span></h1><h2>Access denied</h2>
<p>Ray ID: 9f03c1d2ab47e6f5 &bull; 2026-11-28</p></div></body></html>"""
GATEWAY_PAGE = b"""<!DOCTYPE html><html><head><title>api.cloudflare.com | 502: Bad gateway</title>
</head><body><div id="cf-error-details"><h1><span>Bad gateway</span>
<span>Error code 502</span></h1></div></body></html>"""
CHALLENGE_PAGE = b"""<!DOCTYPE html><html><head><title>Just a moment...</title>
<script>window._cf_chl_opt = {}</script></head><body></body></html>"""
PORTAL_PAGE = b"<html><head><title>Hotel Nordwind &amp; Sons: log in</title></head></html>"


def edge(status: int, code: int | None = None, **members: Any) -> cfsso.Response:
    """Return an answer of Cloudflare's edge, as RFC 9457 has it, changed by *members*."""
    code = status if code is None else code
    known = {
        "type": f"{_DOCS}/error-{code}/",
        "title": f"Error {code}: It failed",
        "status": status,
        "detail": "What it says of that.",
        "error_code": code,
        "ray_id": "9f03c1d2ab47e6f5",
        "cloudflare_error": True,
    }
    return answer(status, {**known, **members})


def answer(status: int, body: Any, **headers: str) -> cfsso.Response:
    """Return an answer without the headers of the API; *body* is bytes as they are, or JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cfsso.Response(status, named, content)


class Answers:
    """A transport that gives each request the answer that its method has."""

    def __init__(self, by_method: Mapping[str, cfsso.Response]) -> None:
        self._by_method = by_method
        self.requests: list[cfsso.Request] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Keep *request* and answer it."""
        self.requests.append(request)
        return self._by_method[request.method]

    async def aclose(self) -> None:
        """Have nothing to close."""
