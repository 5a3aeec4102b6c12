"""What the live suite never sends, and what it never keeps."""

import json
from typing import Any

import pytest
from live_guard import ForbiddenError, Guard, is_own
from live_masking import Masks

import cfsso

ACCOUNT = "a" * 32
TOKEN = "cfat_0123456789abcdefghijklmnopqrstuvwxyz"
OWN = "cfsso-live-0123456789ab.example.com"


class Counting:
    """A transport around another one that counts the writes."""

    def __init__(self, inner: cfsso.Transport) -> None:
        self._inner = inner
        self.writes = 0

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Pass on *request*."""
        self.writes += request.is_write
        return await self._inner.send(request)

    async def aclose(self) -> None:
        """Close the inner one."""
        await self._inner.aclose()


class World:
    """A Cloudflare with a connector of the suite, one that is enabled, and one of others."""

    def __init__(self) -> None:
        cloud = cfsso.CloudflareEmulator()
        cloud.add_account(ACCOUNT)
        add = cloud.add_connector
        self.own = add(ACCOUNT, email_domain=OWN, status="verified").id
        taken = OWN.replace("0", "f")
        self.enabled = add(ACCOUNT, email_domain=taken, status="verified", enabled=True).id
        self.other = add(ACCOUNT, email_domain="other.example.com").id
        self.wire = Counting(cfsso.InMemoryTransport(cloud))
        self.guard = Guard(self.wire, ACCOUNT)

    async def send(self, method: str, key: str, body: bytes | None = None) -> cfsso.Response:
        """Send a request of the account through the guard, which has seen what there is."""
        path = f"/accounts/{ACCOUNT}/sso_connectors"
        await self.guard.send(cfsso.Request("GET", path))
        return await self.guard.send(cfsso.Request(method, f"{path}/{key}" if key else path, body))


@pytest.mark.parametrize(
    "body",
    [
        b'{"enabled": true}',
        b'{"enabled": 1}',
        b'{"enabled": "true"}',
        b'{"enabled": null}',
        b'{"Enabled": true}',
        b'{" enabled ": true}',
        b'{"en\\u0061bled": true}',
        b'{"enabled": true, "enabled": false}',
        b'{"a": [{"enabled": true}]}',
        b'[{"enabled": true}]',
        b'{"enabled": true',
        b'{"en\\u0061bled": true',
        b"\xff{'enabled': True}",
    ],
)
async def test_nothing_that_enables_is_sent(body: bytes) -> None:
    """Whatever could be read as enabling, in any spelling, does not reach the wire."""
    world = World()

    with pytest.raises(ForbiddenError):
        await world.send("PATCH", world.own, body)

    assert 0 == world.wire.writes


@pytest.mark.parametrize("body", [None, b"{}", b"[", b'{"enabled": false}', b'{"a": true}'])
async def test_what_does_not_enable_is_sent(body: bytes | None) -> None:
    """A connector of the suite's own may be changed otherwise, and by odd bodies."""
    world = World()

    await world.send("PATCH", world.own, body)

    assert 1 == world.wire.writes


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "PUT"])
@pytest.mark.parametrize("whose", ["enabled", "other", "nobody", ""])
async def test_what_is_not_its_own_is_not_written(method: str, whose: str) -> None:
    """Others' connectors, an enabled one, unknown ones and the whole account are left alone."""
    world = World()
    key = "d" * 32 if whose == "nobody" else getattr(world, whose, "")

    with pytest.raises(ForbiddenError):
        await world.send(method, key)

    assert 0 == world.wire.writes


@pytest.mark.parametrize("path", [f"/accounts/{'b' * 32}/sso_connectors", "/user/tokens"])
async def test_nothing_else_is_written(path: str) -> None:
    """Another account, and other parts of the API, are not written to."""
    world = World()

    with pytest.raises(ForbiddenError):
        await world.guard.send(
            cfsso.Request("POST", path, b'{"email_domain": "%s"}' % OWN.encode())
        )

    assert 0 == world.wire.writes


@pytest.mark.parametrize(
    "body", [None, b"{}", b"[]", b"[", b'{"email_domain": "a.example.com"}', b'{"email_domain": 1}']
)
async def test_no_domain_but_its_own_is_created(body: bytes | None) -> None:
    """A connector of another domain is not asked for."""
    world = World()

    with pytest.raises(ForbiddenError):
        await world.send("POST", "", body)

    assert 0 == world.wire.writes


@pytest.mark.parametrize(
    ("domain", "own"),
    [
        (OWN, True),
        (f"{OWN.upper()}.", True),
        (f"a.b.{OWN}", True),
        ("cfsso-live-0123456789ab", True),
        ("cfsso-live-0123456789ab.edu", True),
        ("cfsso-live-0123456789ab.example.org", False),
        ("cfsso-live-0123456789abc.example.com", False),
        ("cfsso-live-.example.com", False),
        (f"{OWN}.org", False),
        ("example.com", False),
        (None, False),
    ],
)
def test_leftovers_are_known_by_their_domain(domain: Any, *, own: bool) -> None:
    """Only domains that nobody else would have are the suite's."""
    assert own is is_own(domain)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"Bearer {TOKEN}", "Bearer <token>"),
        (f"/accounts/{ACCOUNT}/x", "/accounts/<account>/x"),
        ("a7460a80369074b9-AMS", "<16 characters, 1>-AMS"),
        (
            f"{'c' * 32} {'d' * 32} {'c' * 32}",
            "<32 characters, 1> <32 characters, 2> <32 characters, 1>",
        ),
        ("from location: 198.51.100.23", "from location: <address>"),
        ("from 2001:db8::7.", "from <address>"),
        ("someone@example.com did", "<e-mail> did"),
        ("2026-03-04T11:00:09.123456Z", "2026-03-04T11:00:09.123456Z"),
        ("use_fedramp_language", "use_fedramp_language"),
        ("01234567-89ab-cdef-0123-456789abcdef", "<36 characters, 1>"),
        (f"a.{OWN}", "a.cfsso-live-<random>.example.com"),
    ],
)
def test_what_tells_whose_it_is_is_masked(text: str, masked: str) -> None:
    """Secrets, ids and addresses have names in their place, the same one for the same value."""
    assert masked == Masks(TOKEN, ACCOUNT).text(text)


def test_an_exchange_is_kept_without_what_others_have() -> None:
    """Of a list only the suite's own connectors are kept, and of headers those that are known."""
    body = {
        "result": [{"email_domain": OWN}, {"email_domain": "secret.example"}, {"email_domain": 1}]
    }
    response = cfsso.Response(
        200, {"date": "today", "x-account": "secret"}, json.dumps(body).encode()
    )
    request = cfsso.Request("PATCH", "/accounts", b"a" * 5000)

    kept = Masks(TOKEN, ACCOUNT).exchange("rule", request, response)

    own = {"email_domain": "cfsso-live-<random>.example.com"}
    assert {"result": [own]} == kept["response"]["body"]
    assert {"date": "today", "x-account": "<masked>"} == kept["response"]["headers"]
    assert "<a large one>" == kept["request"]["body"]
