"""The one answer of the real API that is public: to a create, on 2025-09-25."""

import asyncio
import json
from typing import Any

import pytest
from scripted import ACCOUNT, CONNECTOR, Scripted, respond, shown, success

import cfsso
from cfsso.transports.base import Request

# From authentik's guide "Integrate with Cloudflare", which has cut the id and the code.
RECORDED = """
{
    "result": {
        "id": "a47be0c2193d4f5886e1b7d0c95f3a12",
        "enabled": false,
        "email_domain": "acmecorp.company",
        "created_on": "2025-09-25T21:05:20.462622Z",
        "updated_on": "2025-09-25T21:05:20.462622Z",
        "verification": {
            "code": "cloudflare_dashboard_sso=11111111111111111111",
            "status": "pending"
        }
    },
    "success": true,
    "errors": [],
    "messages": []
}
"""


def form(value: Any) -> Any:
    """Return the members of *value* in their order, and of times the number of digits."""
    if isinstance(value, dict):
        return {name: form(inner) for name, inner in value.items()}
    text = str(value)
    return len(text) if text.endswith("Z") else type(value).__name__


@pytest.mark.parametrize("body", [{}, {"begin_verification": True}])
def test_a_create_is_answered_as_recorded(body: dict[str, Any]) -> None:
    """The members have the same order, and both times are equal, with six digits."""
    cloud = cfsso.CloudflareEmulator()
    content = json.dumps({"email_domain": "acmecorp.company", **body}).encode()
    request = Request("POST", f"/accounts/{cloud.add_account()}/sso_connectors", content)

    answer = json.loads(cloud.handle(request).body)
    # What was not there in 2025.
    answer["result"].pop("use_fedramp_language")

    assert json.dumps(form(json.loads(RECORDED))) == json.dumps(form(answer))
    assert answer["result"]["created_on"] == answer["result"]["updated_on"]


def test_the_client_reads_the_recorded_answer() -> None:
    """All of it arrives, six digits included; what it lacks is None."""
    connectors = cfsso.AsyncSSOConnectors(Scripted(respond(json.loads(RECORDED))))

    made = asyncio.run(connectors.create(account_id=ACCOUNT, email_domain="acmecorp.company"))

    assert (CONNECTOR, False, None) == (made.id, made.enabled, made.use_fedramp_language)
    assert made.created_on == made.updated_on
    assert made.created_on is not None
    assert "2025-09-25T21:05:20.462622+00:00" == made.created_on.isoformat()


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2025-09-25T21:05:20.4626Z", 462600),
        ("2025-09-25T21:05:20.462622Z", 462622),
        ("2025-09-25T21:05:20Z", 0),
    ],
)
def test_a_state_file_and_the_client_take_any_fraction(text: str, microsecond: int) -> None:
    """Files that were saved with four digits load, and show what they hold."""
    fields = shown(created_on=text, updated_on=text)
    cloud = cfsso.CloudflareEmulator.from_state({"accounts": {ACCOUNT: {"connectors": [fields]}}})
    emulated = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud))
    scripted = cfsso.AsyncSSOConnectors(Scripted(success(fields)))

    for connectors in (emulated, scripted):
        found = asyncio.run(connectors.get(CONNECTOR, account_id=ACCOUNT))
        assert found.created_on is not None
        assert found.updated_on is not None
        assert microsecond == found.created_on.microsecond == found.updated_on.microsecond
    assert text == cloud.to_state()["accounts"][ACCOUNT]["connectors"][0]["updated_on"]
