"""
Switch Cloudflare dashboard SSO on and off without locking anyone out.

`connect` gives an `AsyncSSOConnectors` over HTTP; `CloudflareEmulator` and
`InMemoryTransport` give one without a network. Names are loaded on first use, so
that importing this package costs next to nothing and aiohttp is loaded only by
what speaks HTTP.
"""

import importlib
from typing import TYPE_CHECKING, Any

from cfsso._version import __version__

if TYPE_CHECKING:
    from cfsso import fleet, testing
    from cfsso._connect import connect
    from cfsso.connectors import AsyncSSOConnectors
    from cfsso.emulator import CloudflareEmulator
    from cfsso.errors import (
        APIConnectionError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        CfssoError,
        ConflictError,
        ConnectionFailure,
        InternalServerError,
        InvalidRequestError,
        JournalError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        Settlement,
        UnconfirmedWriteError,
        UnprocessableEntityError,
        WriteState,
    )
    from cfsso.events import Event, EventKind
    from cfsso.models import (
        UNSET,
        ResponseInfo,
        Source,
        SSOConnector,
        TokenInfo,
        TokenStatus,
        Unset,
        Verification,
        VerificationStatus,
    )
    from cfsso.transports.aiohttp import AiohttpTransport
    from cfsso.transports.base import RateLimit, Request, Response, Transport
    from cfsso.transports.memory import InMemoryTransport
    from cfsso.transports.pacing import PacingTransport
    from cfsso.transports.retrying import RetryingTransport

__all__ = [
    "UNSET",
    "APIConnectionError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AiohttpTransport",
    "AsyncSSOConnectors",
    "AuthenticationError",
    "BadRequestError",
    "CfssoError",
    "CloudflareEmulator",
    "ConflictError",
    "ConnectionFailure",
    "Event",
    "EventKind",
    "InMemoryTransport",
    "InternalServerError",
    "InvalidRequestError",
    "JournalError",
    "NotFoundError",
    "PacingTransport",
    "PermissionDeniedError",
    "RateLimit",
    "RateLimitError",
    "Request",
    "Response",
    "ResponseInfo",
    "RetryingTransport",
    "SSOConnector",
    "Settlement",
    "Source",
    "TokenInfo",
    "TokenStatus",
    "Transport",
    "UnconfirmedWriteError",
    "UnprocessableEntityError",
    "Unset",
    "Verification",
    "VerificationStatus",
    "WriteState",
    "__version__",
    "connect",
    "fleet",
    "testing",
]

_ROOMS = {
    "cfsso._connect": ("connect",),
    "cfsso.connectors": ("AsyncSSOConnectors",),
    "cfsso.emulator": ("CloudflareEmulator",),
    "cfsso.events": ("Event", "EventKind"),
    "cfsso.models": (
        "UNSET",
        "ResponseInfo",
        "SSOConnector",
        "Source",
        "TokenInfo",
        "TokenStatus",
        "Unset",
        "Verification",
        "VerificationStatus",
    ),
    "cfsso.transports.aiohttp": ("AiohttpTransport",),
    "cfsso.transports.base": ("RateLimit", "Request", "Response", "Transport"),
    "cfsso.transports.memory": ("InMemoryTransport",),
    "cfsso.transports.pacing": ("PacingTransport",),
    "cfsso.transports.retrying": ("RetryingTransport",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in {"fleet", "testing"}:
        return importlib.import_module(f"cfsso.{name}")
    if name not in __all__:
        msg = f"module 'cfsso' has no attribute {name!r}"
        raise AttributeError(msg)
    # What is not listed above is one of the errors.
    value = getattr(importlib.import_module(_HOMES.get(name, "cfsso.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
