import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from cfsso import InvalidRequestError
from cfsso.emulator import CloudflareEmulator
from cfsso.transports.base import Request

ACCOUNT, CONNECTOR = "a" * 32, "c" * 32
STATE = {
    "accounts": {
        ACCOUNT: {"connectors": [{"id": CONNECTOR, "email_domain": "a.example"}]},
        "b" * 32: {"connectors": []},
    }
}
METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"])
SEGMENTS = st.sampled_from(
    ["accounts", ACCOUNT, "sso_connectors", CONNECTOR, "begin_verification", "x"]
) | st.text("abcXYZ019._~-", min_size=1)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=7).map(lambda parts: "/" + "/".join(parts)) | (
    st.sampled_from(["", f"/{CONNECTOR}", f"/{CONNECTOR}/begin_verification"]).map(
        lambda end: f"/accounts/{ACCOUNT}/sso_connectors{end}"
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = st.dictionaries(
    st.sampled_from(["email_domain", "begin_verification", "enabled", "use_fedramp_language"]),
    JSON | st.sampled_from(["b.example", "gmail.com"]),
)
BODIES = st.none() | st.binary() | (FIELDS | JSON).map(lambda value: json.dumps(value).encode())
HEADERS = st.none() | st.dictionaries(
    st.sampled_from(["Authorization", "X-Auth-Key", "Host"]) | st.text(),
    st.text() | st.text().map("Bearer {}".format),
)


@given(METHODS, PATHS, BODIES, HEADERS)
@settings(max_examples=400)
def test_nothing_that_a_client_sends_raises(
    method: str, path: str, body: bytes | None, headers: dict[str, str] | None
) -> None:
    """Every request gets an envelope whose success agrees with its status."""
    cloud = CloudflareEmulator.from_state(STATE)
    try:
        request = Request(method, path, body)
    except InvalidRequestError:
        return  # dot segments

    response = cloud.handle(request, headers)
    envelope = json.loads(response.body)

    assert (response.status == 200) is envelope["success"]
    assert (response.status == 200) is (envelope["errors"] == [])
    assert [] == envelope["messages"]
    assert response.status == cloud.requests[-1].status
    assert response.status in {200, 400, 404, 405, 409}


class Domains(RuleBasedStateMachine):
    """Three accounts that compete for two domains."""

    connectors = Bundle("connectors")

    def __init__(self) -> None:
        super().__init__()
        self.cloud = CloudflareEmulator(rate_limit=None, seed=1)
        self.accounts = [self.cloud.add_account() for _ in range(3)]

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        response = self.cloud.handle(Request(method, path, content))
        return json.loads(response.body).get("result") if response.status == 200 else None

    @rule(
        target=connectors,
        account=st.integers(0, 2),
        domain=st.sampled_from(["a.example", "A.example", "b.example"]),
    )
    def create(self, account: int, domain: str) -> str:
        collection = f"/accounts/{self.accounts[account]}/sso_connectors"
        made = self.send("POST", collection, {"email_domain": domain}) or {"id": CONNECTOR}
        return f"{collection}/{made['id']}"

    @rule(path=connectors)
    def publish(self, path: str) -> None:
        shown = self.send("GET", path)
        if shown:
            texts = self.cloud.dns.setdefault(shown["email_domain"].lower(), [])
            texts.append(shown["verification"]["code"])

    @rule(path=connectors, enabled=st.booleans())
    def update(self, path: str, *, enabled: bool) -> None:
        shown = self.send("PATCH", path, {"enabled": enabled})
        assert shown is None or shown["enabled"] is enabled

    @rule(path=connectors)
    def begin(self, path: str) -> None:
        self.send("POST", f"{path}/begin_verification")

    @rule(path=consumes(connectors))
    def delete(self, path: str) -> None:
        if self.send("DELETE", path):
            assert self.send("GET", path) is None

    @rule(seconds=st.sampled_from([0.5, 1.0, 24 * 60 * 60.0, 48 * 60 * 60.0]))
    def wait(self, seconds: float) -> None:
        self.cloud.advance(seconds)

    @rule()
    def reload(self) -> None:
        self.cloud = CloudflareEmulator.from_state(self.cloud.to_state(), rate_limit=None, seed=1)

    @invariant()
    def one_account_holds_a_domain(self) -> None:
        shown = [one for account in self.accounts for one in self.cloud.connectors(account)]
        held = [str(one.email_domain).lower() for one in shown if one.enabled]
        assert len(set(held)) == len(held)

    @invariant()
    def what_is_enabled_is_verified(self) -> None:
        shown = [one for account in self.accounts for one in self.cloud.connectors(account)]
        assert {"verified"} >= {one.verification.raw_status for one in shown if one.enabled}


TestDomains = Domains.TestCase
TestDomains.settings = settings(max_examples=60, stateful_step_count=40)
TestDomains.__doc__ = "Whatever accounts do, at most one has a domain enabled."
