"""What the emulator's tests share."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cfsso.emulator import CloudflareEmulator
from cfsso.transports.base import Request


@pytest.fixture
def cloud() -> CloudflareEmulator:
    """Give an emulator with fixed ids and the default limit."""
    return CloudflareEmulator(seed=1)


@pytest.fixture
def account(cloud: CloudflareEmulator) -> str:
    """Give the id of an account."""
    return cloud.add_account()


@pytest.fixture
def call(cloud: CloudflareEmulator) -> Callable[..., tuple[int, Any]]:
    """Give a function that sends a request and returns the status and the envelope."""

    def send(
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        response = cloud.handle(Request(method, path, content), headers)
        return response.status, json.loads(response.body)

    return send


@pytest.fixture
def connectors(account: str) -> str:
    """Give the path of the account's collection."""
    return f"/accounts/{account}/sso_connectors"
