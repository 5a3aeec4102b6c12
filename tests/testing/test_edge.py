"""What the edge and proxies answer in place of the API, as faults."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import cfsso
from cfsso.testing import (
    FAULTS,
    Fault,
    FaultyTransport,
    edge_error,
    refuse_by_proxy,
    run_in_virtual_time,
)

# What Cloudflare published for its errors from 1000 on, and says of those below.
WAITS = {1005: 120, 1015: 30, 1033: 120}
ASK_FOR_WAITS = {500, 502, 504, 520, 521, 522, 523, 524}
JSON = {
    name: fault
    for name, fault in FAULTS.items()
    if name.startswith("edge_") and "html" not in name and "text" not in name
}
MEMBERS = {
    *("type", "title", "status", "detail", "error_code", "error_name", "ray_id"),
    *("cloudflare_error", "retryable", "retry_after"),
}


def answer(fault: Fault) -> cfsso.Response:
    """Return what arrives in place of the answer to a GET."""
    cloud = cfsso.CloudflareEmulator()
    transport = FaultyTransport(cfsso.InMemoryTransport(cloud))
    transport.on(fault)
    request = cfsso.Request("GET", f"/accounts/{cloud.add_account()}/sso_connectors")
    return run_in_virtual_time(transport.send(request))


@pytest.mark.parametrize("name", JSON)
def test_an_edge_s_error_is_problem_details(name: str) -> None:
    """It has the members that Cloudflare publishes, and they agree with the rest of the answer."""
    response = answer(FAULTS[name])
    details = json.loads(response.body)
    code = int(name.split("_")[1])
    wait = details["retry_after"]

    assert MEMBERS <= details.keys()
    assert (code, True) == (details["error_code"], details["cloudflare_error"])
    assert response.status == details["status"]
    assert code >= 1000 or code == response.status
    assert details["title"].startswith(f"Error {code}: ")
    assert details["type"].endswith(f"-errors/error-{code}/")
    assert details["ray_id"] == response.headers["cf-ray"].partition("-")[0]
    assert "application/json" == response.headers["content-type"]
    assert (wait is not None) is details["retryable"]
    assert code < 1000 or WAITS.get(code) == wait
    assert code not in ASK_FOR_WAITS or wait
    if name != "edge_1015_retry_after_in_body":
        assert response.headers.get("retry-after") == (wait and str(wait))


def test_the_errors_that_must_be_there_are() -> None:
    """The list is that of the errors an API behind Cloudflare's edge may be hidden by."""
    codes = {int(name.split("_")[1]) for name in JSON}

    assert {1000, 1001, 1003, *range(1006, 1011), 1012, 1015, 1020, 1033, 1101} <= codes
    assert {500, 502, 503, 504, *range(520, 527), 530} <= codes
    assert {"proxy_403", "proxy_407", "proxy_502"} <= FAULTS.keys()


def test_the_page_names_faults_that_there_are() -> None:
    """Each name in docs/testing.md is one of a fault, whatever its end."""
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    names = re.findall(r"`((?:edge|proxy)_[0-9][a-z0-9_]*)…?`", page)

    assert len(names) > 12
    assert [] == [n for n in names if not any(f == n or f.startswith(n) for f in FAULTS)]


def test_a_wait_may_stand_in_the_body_alone() -> None:
    """Whoever reads headers only misses it."""
    response = answer(FAULTS["edge_1015_retry_after_in_body"])

    assert "retry-after" not in response.headers
    assert (429, 30) == (response.status, json.loads(response.body)["retry_after"])


@pytest.mark.parametrize(
    ("name", "status", "title"),
    [
        ("edge_1020_html", 403, "<title>Access denied | api.cloudflare.com used Cloudflare to "),
        ("edge_1015_html", 429, "<title>Rate limited | api.cloudflare.com used Cloudflare to "),
        ("edge_502_html_applied", 502, "<title>api.cloudflare.com | 502: Bad gateway</title>"),
        ("edge_524_html_not_applied", 524, "<title>api.cloudflare.com | 524: A timeout occurred"),
        ("challenge", 403, "<title>Just a moment...</title>"),
    ],
)
def test_pages_have_the_titles_of_cloudflare_s(name: str, status: int, title: str) -> None:
    """They are told by their titles, codes and Ray IDs, as the real ones are."""
    response = answer(FAULTS[name])

    assert status == response.status
    assert response.headers["content-type"].startswith("text/html")
    assert title in response.body.decode()
    assert ("challenge" == name) is ("cf-mitigated" in response.headers)
    if name != "challenge":
        assert f"Error code {name.split('_')[1]}</span>" in response.body.decode()
        assert "Ray ID: 5a1e0fa117000000" in response.body.decode()


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("edge_1010_text", 403, b"error code: 1010"),
        ("edge_502_text_applied", 502, b"error code: 502"),
    ],
)
def test_to_who_takes_no_page_the_edge_says_a_number(name: str, status: int, text: bytes) -> None:
    """Scripts see one line of plain text."""
    response = answer(FAULTS[name])

    assert (status, text) == (response.status, response.body)
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("status", [403, 407, 429, 502])
def test_a_proxy_that_refuses_is_named_with_its_status(status: int) -> None:
    """Nothing was sent; a refusal that stays is not tried again, and another one is."""
    cloud = cfsso.CloudflareEmulator()
    account = cloud.add_account()
    seeded = cloud.add_connector(account, email_domain="a.example", status="verified")
    transport = FaultyTransport(cfsso.InMemoryTransport(cloud))
    transport.on(refuse_by_proxy(status), times=None)
    errors: list[cfsso.APIConnectionError] = []

    async def main() -> None:
        connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(transport))
        try:
            await connectors.update(seeded.id, account_id=account, enabled=True)
        except cfsso.APIConnectionError as error:
            errors.append(error)

    run_in_virtual_time(main())
    (error,) = errors

    assert (status, "not_sent", True) == (error.status, error.write, error.edge)
    assert "proxy" == error.reason
    assert str(status) in str(error)
    assert [] == cloud.requests
    assert (status in {429, 502}) is error.retryable is (transport.requests > 1)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fail_dns", "name"),
        ("refuse_connection", "connect"),
        ("time_out_connecting", "connect"),
        ("fail_tls", "certificate"),
        ("lose_request", "lost"),
        ("lose_answer", "lost"),
        ("delay_request", "lost"),
        ("time_out_applied", "timeout"),
        ("time_out_not_applied", "timeout"),
        ("proxy_407", "proxy"),
    ],
)
def test_what_keeps_an_answer_away_has_its_reason(name: str, reason: str) -> None:
    """The error says why there is no answer, as the transport over HTTP does."""
    cloud = cfsso.CloudflareEmulator()
    transport = FaultyTransport(cfsso.InMemoryTransport(cloud))
    transport.on(FAULTS[name])
    account = cloud.add_account()
    request = cfsso.Request("PATCH", f"/accounts/{account}/sso_connectors/{'0' * 32}", b"{}")

    async def main() -> None:
        with pytest.raises(cfsso.APIConnectionError) as caught:
            await transport.send(request)
        assert reason == caught.value.reason
        await transport.aclose()

    run_in_virtual_time(main())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"code": 1}, r"^code must be one of 500, 502, .*1102$"),
        ({"code": True}, "code must be one of"),
        ({"code": 1020.0}, "code must be one of"),
        ({"code": 1020, "form": "xml"}, "form must be one of json, html, text"),
        ({"code": 502, "applied": 1}, "applied must be true or false"),
        ({"code": 1015, "in_header": None}, "in_header must be true or false"),
        ({"code": 1020, "applied": True}, "applied must be false: after error 1020 nothing is"),
        ({"code": 525, "applied": True}, "applied must be false: after error 525 nothing is"),
    ],
)
def test_wrong_arguments_of_edge_errors(arguments: dict[str, Any], problem: str) -> None:
    """An error that there is not, or that can't be so, is refused at once."""
    with pytest.raises(cfsso.InvalidRequestError, match=problem):
        edge_error(**arguments)


@pytest.mark.parametrize("status", [200, 399, 600, "407", True])
def test_a_proxy_refuses_with_an_error_status(status: Any) -> None:
    """Anything else is no refusal."""
    with pytest.raises(cfsso.InvalidRequestError, match="status must be a whole number from 400"):
        refuse_by_proxy(status)
