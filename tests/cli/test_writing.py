"""The commands that change one connector."""

import json
from collections.abc import Callable
from typing import Any

import pytest

import cfsso
from cfsso.transports._call import current

UNKNOWN = cfsso.WriteState.UNKNOWN
# What is older than that was surely there before, whatever clock dated it.
WEEK = 7 * 86_400


def methods(cloud: Any) -> list[str]:
    """Return the methods of what the emulator was sent."""
    return [request.method for request in cloud.emulator.requests]


@pytest.fixture(autouse=True)
def _straight(hooked: Any) -> None:
    """Let the command's requests reach the cloud of the test."""
    hooked(lambda _: None)


def test_enable_is_read_before_and_after(run: Any, cloud: Any) -> None:
    """`enable` looks, writes, reads back, and prints the connector as it now is."""
    connector = cloud.add()

    ran = run("enable", cloud.account, connector, "--yes")

    assert (0, "") == (ran.code, ran.err)
    assert ran.out.startswith("result        changed\n")
    assert "SSO           enabled\n" in ran.out
    assert ["GET", "PATCH", "GET"] == methods(cloud)


def test_what_is_enabled_already_is_not_written(run: Any, cloud: Any) -> None:
    """`enable` of an enabled connector sends no write and says unchanged."""
    connector = cloud.add(enabled=True)

    ran = run("enable", cloud.account, connector, "--yes", "--json")

    assert 0 == ran.code
    assert ["unchanged"] == [record["status"] for record in ran.records]
    assert ["GET"] == methods(cloud)


def test_disable_writes_first_and_never_asks(run: Any, cloud: Any) -> None:
    """Nothing comes before the write of `disable`: neither a question nor a read."""
    connector = cloud.add(enabled=True)

    ran = run("disable", cloud.account, connector)

    assert 0 == ran.code
    assert ["PATCH", "GET"] == methods(cloud)
    assert cloud.emulator.connector(cloud.account, connector).enabled is False


def test_update_sends_what_was_given_and_no_more(run: Any, cloud: Any) -> None:
    """An option that was left out is not in the request."""
    connector = cloud.add(enabled=True)

    ran = run("update", cloud.account, connector, "--fedramp-language", "--json")

    assert 0 == ran.code
    assert {"use_fedramp_language": True} == json.loads(cloud.emulator.requests[1].body)
    assert [(True, True, "changed")] == [
        (record["enabled"], record["use_fedramp_language"], record["status"])
        for record in ran.records
    ]


def test_update_with_both_values(run: Any, cloud: Any) -> None:
    """Both values go into one request; disabling is not preceded by a read."""
    connector = cloud.add(enabled=True)

    assert 0 == run("update", cloud.account, connector, "--disabled", "--no-fedramp-language").code

    assert ["PATCH", "GET"] == methods(cloud)
    assert {"enabled": False, "use_fedramp_language": False} == json.loads(
        cloud.emulator.requests[0].body
    )


def test_an_unverified_connector_is_refused_by_the_api(run: Any, cloud: Any) -> None:
    """The API's own words and a remedy make one line; exit 1."""
    connector = cloud.add("pending")

    ran = run("enable", cloud.account, connector, "--yes")

    assert (1, "") == (ran.code, ran.out)
    assert 1 == ran.err.count("\n")
    assert "must be verified" in ran.err
    assert f"nothing was changed; `cfsso get {cloud.account} {connector}` shows" in ran.err


@pytest.mark.parametrize("command", ["enable", "delete"])
def test_without_a_terminal_a_yes_is_needed(command: str, run: Any, cloud: Any) -> None:
    """Where nobody can be asked nothing is sent without `--yes`; exit 2."""
    connector = cloud.add()

    ran = run(command, cloud.account, connector)

    line = f"{command} needs --yes without a terminal; nothing was sent: see cfsso {command} --help"
    assert (2, "", f"cfsso: {line}\n") == (ran.code, ran.out, ran.err)
    assert [] == methods(cloud)


@pytest.mark.parametrize(
    ("typed", "code"), [("y\n", 0), (" YES \n", 0), ("n\n", 1), ("\n", 1), ("", 1), ("yep\n", 1)]
)
@pytest.mark.usefixtures("at_terminal")
def test_only_a_yes_is_a_yes(typed: str, code: int, run: Any, cloud: Any) -> None:
    """The question names the domain; anything but a yes sends no write."""
    connector = cloud.add(email_domain="acme.example")

    ran = run("delete", cloud.account, connector, answer=typed)

    assert code == ran.code
    assert f"Delete the connector for acme.example ({connector})?" in ran.err
    assert ("DELETE" in methods(cloud)) is (code == 0)
    assert ("cfsso: not confirmed: nothing was sent\n" in ran.err) is (code == 1)


@pytest.mark.usefixtures("at_terminal")
def test_enable_asks_for_the_domain(run: Any, cloud: Any) -> None:
    """A no leaves the connector as it is; a yes enables it."""
    connector = cloud.add(email_domain="acme.example")

    refused = run("enable", cloud.account, connector, answer="n\n")
    agreed = run("enable", cloud.account, connector, answer="y\n")

    assert (1, 0) == (refused.code, agreed.code)
    assert f"Enforce SSO for acme.example ({connector})?" in refused.err
    assert 1 == methods(cloud).count("PATCH")


@pytest.mark.usefixtures("at_terminal")
def test_what_can_t_be_looked_at_is_not_asked_about(run: Any, cloud: Any) -> None:
    """If the look before the question fails, that is the result."""
    ran = run("delete", cloud.account, "b" * 32, "--json", answer="y\n")

    assert 1 == ran.code
    assert ["failed"] == [record["status"] for record in ran.records]
    assert "Delete" not in ran.err


def test_delete_sees_that_it_is_gone(run: Any, cloud: Any) -> None:
    """`delete` ends with a list that has the connector no more."""
    other, connector = cloud.add(), cloud.add()

    ran = run("delete", cloud.account, connector, "--yes")

    assert 0 == ran.code
    assert (
        f"result        changed\naccount       {cloud.account}\nconnector     {connector}\n"
        == ran.out
    )
    assert ["DELETE", "GET"] == methods(cloud)
    assert [other] == [item.id for item in cloud.emulator.connectors(cloud.account)]


def test_delete_that_a_list_denies_is_a_conflict(
    run: Any, cloud: Any, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """A confirmed delete of something that is still there is no success."""
    connector = cloud.add()
    hooked(
        lambda request: (
            answer(200, success=True, result=None) if request.method == "DELETE" else None
        )
    )

    ran = run("delete", cloud.account, connector, "--yes", "--json")

    assert 1 == ran.code
    assert ["conflict"] == [record["status"] for record in ran.records]
    assert (
        "cfsso: it was deleted, but a list still shows it:"
        f" run `cfsso get {cloud.account} {connector}`\n"
    ) == ran.err


def test_delete_that_can_t_be_seen_is_unknown(run: Any, cloud: Any, hooked: Any) -> None:
    """If the list fails after the delete the exit is 4."""
    connector = cloud.add()
    hooked(lambda r: cfsso.APIConnectionError("cut") if r.method == "GET" else None)

    ran = run("delete", cloud.account, connector, "--yes")

    assert 4 == ran.code
    assert (
        "cfsso: it was accepted, but could not be read back: cut:"
        f" run `cfsso get {cloud.account} {connector}` before you repeat it\n"
    ) == ran.err


def test_delete_of_what_is_enabled_is_refused(run: Any, cloud: Any) -> None:
    """The API's refusal is one line, and the connector stays."""
    connector = cloud.add(enabled=True)

    ran = run("delete", cloud.account, connector, "--yes")

    assert 1 == ran.code
    assert "Disable the SSO connector before deleting it" in ran.err


def test_create_prints_the_record_to_set(run: Any, cloud: Any) -> None:
    """`create` reads the new connector back and shows the TXT record."""
    ran = run("create", cloud.account, "Example.com")

    (made,) = cloud.emulator.connectors(cloud.account)
    assert (0, "") == (ran.code, ran.err)
    assert f"connector     {made.id}\n" in ran.out
    assert f"TXT value     {made.verification.code}\n" in ran.out
    assert ["POST", "GET"] == methods(cloud)
    assert {"email_domain": "Example.com"} == json.loads(cloud.emulator.requests[0].body)


def test_create_with_options(run: Any, cloud: Any) -> None:
    """What was given is sent and read back."""
    ran = run(
        *("create", cloud.account, "example.com", "--json"),
        *("--no-begin-verification", "--fedramp-language"),
    )

    (record,) = ran.records
    assert ("changed", "awaiting", True) == (
        record["status"],
        record["verification"]["status"],
        record["use_fedramp_language"],
    )
    assert record["id"] == record["sso_connector_id"]


def test_create_of_no_domain_sends_nothing(run: Any, cloud: Any) -> None:
    """A domain that can't be one is refused here; exit 2."""
    ran = run("create", cloud.account, "localhost")

    assert (2, "") == (ran.code, ran.out)
    assert "must be a domain name such as example.com" in ran.err
    assert [] == methods(cloud)


@pytest.mark.usefixtures("virtual_time")
def test_create_that_may_have_happened(run: Any, cloud: Any, hooked: Any) -> None:
    """Since there is no id yet, the advice is to list the account; exit 4."""
    hooked(lambda r: cfsso.APITimeoutError("cut", write=UNKNOWN) if r.is_write else None)

    ran = run("create", cloud.account, "example.com", "--json")

    said = "may or may not have happened: cut"
    assert 4 == ran.code
    assert [
        {
            "account_id": cloud.account,
            "sso_connector_id": None,
            "status": "unknown",
            "error": f"{said}; a list does not show it",
        }
    ] == ran.records
    assert (
        f"cfsso: {said}; a list does not show it:"
        f" run `cfsso list {cloud.account}` before you repeat it"
    ) == ran.err.splitlines()[-1]
    assert ["GET"] * 5 == methods(cloud)


@pytest.mark.usefixtures("virtual_time")
def test_create_of_what_was_there_before_is_a_conflict(run: Any, cloud: Any, hooked: Any) -> None:
    """A connector found in place of the one that was to be made is named and shown; exit 1."""
    connector = cloud.add(email_domain="example.com")
    cloud.emulator.advance(WEEK)
    hooked(lambda r: cfsso.APITimeoutError("cut", write=UNKNOWN) if r.is_write else None)

    ran = run("create", cloud.account, "example.com")

    assert 1 == ran.code
    assert f"result        conflict\naccount       {cloud.account}\n" in ran.out
    assert f"connector     {connector}\n" in ran.out
    assert ran.err.endswith(
        f"; a list shows one that was there before: run `cfsso get {cloud.account} {connector}`"
        " before you repeat it\n"
    )


def test_verify_shows_the_record_and_how_far_the_search_is(run: Any, cloud: Any) -> None:
    """`verify` starts the search and prints what to set meanwhile."""
    connector = cloud.add("failed")
    code = cloud.emulator.connector(cloud.account, connector).verification.code

    ran = run("verify", cloud.account, connector)

    assert 0 == ran.code
    assert "verification  pending\nTXT name      company-0.example\n" in ran.out
    assert f"TXT value     {code}\n" in ran.out
    assert ["POST", "GET"] == methods(cloud)


def test_verify_that_may_have_begun(run: Any, cloud: Any, hooked: Any) -> None:
    """What is never settled is unknown, with the advice to look; exit 4."""
    connector = cloud.add("awaiting")
    hooked(lambda r: cfsso.APITimeoutError("cut", write=UNKNOWN) if r.is_write else None)

    ran = run("verify", cloud.account, connector)

    assert (4, "") == (ran.code, ran.out)
    assert (
        f"cfsso: cut: it may have happened: run `cfsso get {cloud.account} {connector}`"
        " before you repeat it\n"
    ) == ran.err


def test_verify_that_did_not_begin_is_a_conflict(
    run: Any, cloud: Any, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """If a read shows no search the exit is 1, whatever the answer said."""
    connector = cloud.add("awaiting")
    hooked(lambda r: answer(200, success=True) if r.method == "POST" else None)

    ran = run("verify", cloud.account, connector)

    assert 1 == ran.code
    assert ran.out.startswith("result        conflict\n")
    assert "cfsso: a read after the write shows verification awaiting: run" in ran.err


def test_a_write_that_a_read_denies_is_a_conflict(
    run: Any, cloud: Any, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """An answer that lied is found out; exit 1."""
    connector = cloud.add(enabled=True)
    hooked(
        lambda r: (
            answer(200, success=True, result={"id": connector, "enabled": False})
            if r.method == "PATCH"
            else None
        )
    )

    ran = run("disable", cloud.account, connector, "--json")

    assert 1 == ran.code
    assert [("conflict", "a read after the write shows enabled=True")] == [
        (record["status"], record["note"]) for record in ran.records
    ]


def test_a_write_that_can_t_be_read_back_is_unknown(run: Any, cloud: Any, hooked: Any) -> None:
    """If the read after the write fails, nothing is known for sure; exit 4."""
    connector = cloud.add(enabled=True)
    hooked(lambda r: cfsso.APIConnectionError("cut") if r.method == "GET" else None)

    ran = run("disable", cloud.account, connector, "--json")

    assert 4 == ran.code
    assert [("unknown", "cut")] == [(r["status"], r["error"]) for r in ran.records]
    assert "before you repeat it\n" in ran.err


def test_a_write_that_another_one_crossed_is_a_conflict(run: Any, cloud: Any, hooked: Any) -> None:
    """If the answer is lost and a read shows what somebody else wrote, that is shown; exit 1."""
    connector = cloud.add()

    def cross(request: cfsso.Request) -> BaseException | None:
        if not request.is_write:
            return None
        cloud.emulator.advance(1)
        other = cfsso.Request("PATCH", request.path, b'{"use_fedramp_language":true}')
        cloud.emulator.handle(other, None)
        return cfsso.APITimeoutError("cut", write=UNKNOWN)

    hooked(cross)

    ran = run("enable", cloud.account, connector, "--yes", "--json")

    assert 1 == ran.code
    assert [("conflict", False, True)] == [
        (record["status"], record["enabled"], record["use_fedramp_language"])
        for record in ran.records
    ]
    assert "cfsso: may or may not have happened: cut; somebody else wrote: " in ran.err
    assert ran.err.endswith(f"run `cfsso get {cloud.account} {connector}` before you repeat it\n")


def test_a_look_that_fails_before_a_write(run: Any, cloud: Any) -> None:
    """What can't be read is not enabled; exit 1."""
    ran = run("enable", cloud.account, "b" * 32, "--yes")

    assert 1 == ran.code
    assert ["GET"] == methods(cloud)


@pytest.mark.parametrize("command", [("disable",), ("update", "--disabled")], ids=" ".join)
def test_a_disable_is_urgent_to_its_end(
    command: tuple[str, ...], run: Any, cloud: Any, hooked: Any
) -> None:
    """Neither its write nor the read after it stands in line behind anything else."""
    seen: list[tuple[str, bool]] = []

    def look(request: cfsso.Request) -> None:
        seen.append((request.method, current().urgent))

    hooked(look)
    name, *options = command

    assert 0 == run(name, cloud.account, cloud.add(enabled=True), *options).code
    assert [("PATCH", True), ("GET", True)] == seen
