"""
A plugin for pytest in which the official SDK's own tests meet ``cfsso emulator``.

They are skipped upstream, since the server that they are written for serves no tokens. Here
the marks are taken away, and the tests have a client with a token in place of a key and an
e-mail address, and an emulator as the state file says. Their files stay as they are.
"""

import contextlib
from collections.abc import Iterator

import pytest
from commanded import ID, TOKEN, emulator, state, verified


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take away every mark that skips."""
    for item in items:
        for node in item.listchain():
            node.own_markers = [m for m in node.own_markers if m.name not in {"skip", "skipif"}]


def _cloudflare() -> contextlib.AbstractContextManager[str]:
    return emulator(state(verified(ID, "sso.example.org")), "--no-rate-limit")


@pytest.fixture(scope="session")
def lasting_cloudflare() -> Iterator[str]:
    """Yield the base URL of an emulator for all tests that leave it fit for the next one."""
    with _cloudflare() as base_url:
        yield base_url


@pytest.fixture(autouse=True)
def served(request: pytest.FixtureRequest, lasting_cloudflare: str) -> Iterator[None]:
    """Let the client of the test, of which the session has one, ask an emulator with a token."""
    (name,) = {"client", "async_client"}.intersection(request.fixturenames)
    client = request.getfixturevalue(name)
    client.api_token, client.api_key, client.api_email = TOKEN, None, None
    with contextlib.ExitStack() as stack:
        # What was created or deleted once can't be again.
        fresh = {"create", "delete"}.intersection(request.function.__name__.split("_"))
        client.base_url = stack.enter_context(_cloudflare()) if fresh else lasting_cloudflare
        yield
