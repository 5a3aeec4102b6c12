"""`cfsso list` and `cfsso get`."""

from collections.abc import Callable
from typing import Any

import pytest

import cfsso


def test_list_shows_a_row_a_connector(run: Any, cloud: Any) -> None:
    """Where nothing limits the width a row has account, ids, domain, states and a time in UTC."""
    first = cloud.add(enabled=True)
    second = cloud.add("failed")

    ran = run("list", cloud.account, "--emulate", cloud.state)

    rows = [line.split() for line in ran.out.splitlines()]
    assert (0, "") == (ran.code, ran.err)
    assert ["ACCOUNT", "CONNECTOR", "DOMAIN", "SSO", "VERIFICATION", "UPDATED"] == rows[0]
    assert [cloud.account, first, "company-0.example", "enabled", "verified"] == rows[1][:5]
    assert [cloud.account, second, "company-1.example", "disabled", "failed"] == rows[2][:5]
    assert "UTC" == rows[1][7]
    assert not any(line.endswith(" ") for line in ran.out.splitlines())


def test_list_says_which_account_is_empty(run: Any, cloud: Any) -> None:
    """An account without connectors is a line on stderr, and no failure."""
    ran = run("list", cloud.account, "--emulate", cloud.state)

    assert (0, "", f"cfsso: account {cloud.account} has no connectors\n") == (
        ran.code,
        ran.out,
        ran.err,
    )


def test_list_goes_on_after_an_account_that_fails(run: Any, cloud: Any) -> None:
    """The other accounts are shown, the failing one is named, and the exit is 1."""
    connector = cloud.add()

    ran = run("list", "f" * 32, cloud.account, cloud.account, "--emulate", cloud.state)

    assert 1 == ran.code
    assert 1 == ran.out.count(connector)
    assert 1 == ran.err.count("\n")
    assert f"404 from GET /accounts/{'f' * 32}/sso_connectors" in ran.err
    assert f"check the ids; `cfsso list {'f' * 32} --emulate {cloud.state}` shows" in ran.err


def test_list_as_json_has_a_record_for_an_account_that_fails(run: Any, cloud: Any) -> None:
    """Each account gives its connectors, or one record with the error."""
    connector = cloud.add()

    ran = run("--json", "list", "f" * 32, cloud.account, "--emulate", cloud.state)

    failed, shown = ran.records
    assert 1 == ran.code
    assert ("f" * 32, None, "failed") == tuple(
        failed[name] for name in ("account_id", "sso_connector_id", "status")
    )
    assert failed["error"].startswith("404 from GET")
    assert ("unchanged", connector) == (shown["status"], shown["id"])


def test_get_shows_the_record_to_set_while_the_domain_is_not_verified(run: Any, cloud: Any) -> None:
    """The name and the value of the TXT record stand in the block of an unverified connector."""
    connector = cloud.add("awaiting")
    code = cloud.emulator.connector(cloud.account, connector).verification.code

    ran = run("get", cloud.account, connector, "--emulate", cloud.state)

    lines = [line.split(maxsplit=1) for line in ran.out.splitlines()]
    assert 0 == ran.code
    assert ["account", cloud.account] == lines[0]
    assert ["connector", connector] == lines[1]
    assert ["TXT", "name      company-0.example"] in lines
    assert ["TXT", f"value     {code}"] in lines


def test_get_shows_no_record_of_a_verified_domain(run: Any, cloud: Any) -> None:
    """What is verified needs no record any more."""
    connector = cloud.add()

    assert "TXT" not in run("get", cloud.account, connector, "--emulate", cloud.state).out


def test_get_of_what_an_answer_left_out(
    run: Any, cloud: Any, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """A field that the API left out is a dash on the screen and absent in a record."""
    connector = "b" * 32
    hooked(lambda _: answer(200, success=True, result={"id": connector, "new": [1]}))

    ran = run("get", cloud.account, connector)
    listed = run("get", cloud.account, connector, "--json")

    assert 0 == ran.code
    assert 6 == sum(line.endswith(" -") for line in ran.out.splitlines())
    assert [
        {
            "id": connector,
            "new": [1],
            "account_id": cloud.account,
            "sso_connector_id": connector,
            "status": "unchanged",
        }
    ] == listed.records


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (401, {}, "check CLOUDFLARE_API_TOKEN or --token-file"),
        (403, {}, "give the token the permission SSO Connector Write"),
        (404, {}, "check the ids; `cfsso list"),
        (409, {}, "nothing was changed; `cfsso get"),
        (429, {"retry-after": "7"}, "wait 7 s and run it again"),
        (500, {}, "try again later; see https://www.cloudflarestatus.com"),
        (200, {}, "check --base-url and HTTPS_PROXY"),
    ],
)
def test_each_error_says_what_to_do_next(
    status: int,
    headers: dict[str, str],
    said: str,
    run: Any,
    cloud: Any,
    hooked: Any,
    answer: Callable[..., cfsso.Response],
) -> None:
    """An error of the API is one line with the remedy, exit 1, and a record with --json."""
    hooked(lambda _: answer(status, headers, success=False, errors=[{"code": 1, "message": "No"}]))

    ran = run("get", cloud.account, "b" * 32)
    recorded = run("get", cloud.account, "b" * 32, "--json")

    assert (1, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
    assert said in ran.err
    assert ["failed"] == [record["status"] for record in recorded.records]


def test_without_an_answer_the_network_is_to_be_checked(run: Any, cloud: Any, hooked: Any) -> None:
    """If no server can be reached the advice names what leads there; exit 1."""
    hooked(lambda _: cfsso.APIConnectionError("can't connect"))

    ran = run("get", cloud.account, "b" * 32)

    line = "cfsso: can't connect: check the network, --base-url and HTTPS_PROXY\n"
    assert (1, "", line) == (ran.code, ran.out, ran.err)


def test_an_error_of_another_kind_is_tried_again_later(run: Any, cloud: Any, hooked: Any) -> None:
    """An error that nothing is known of still ends with advice."""
    hooked(lambda _: cfsso.CfssoError("odd"))

    assert "cfsso: odd: try again later\n" == run("get", cloud.account, "b" * 32).err


def test_text_of_a_server_is_only_text(
    run: Any, cloud: Any, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """Neither escape sequences nor markup in a name reach the terminal as such."""
    name = "\x1b]0;gone\x07[red]x[/red]\u202e\n.example"
    shown = {"id": "b" * 32, "email_domain": name, "verification": {"status": "\x1b[1mnew"}}
    hooked(
        lambda request: answer(
            200, success=True, result=shown if request.path.endswith("b") else [shown]
        )
    )
    escaped = r"\x1b]0;gone\x07[red]x[/red]\u202e\n.example"

    one = run("get", cloud.account, "b" * 32).out
    many = run("list", cloud.account).out

    for text in (one, many):
        assert escaped in text
        assert r"\x1b[1mnew" in text
        assert "\x1b" not in text


def test_a_bug_is_not_hidden(run: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody could foresee keeps its traceback."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("cfsso.connectors.AsyncSSOConnectors.get", broken)

    with pytest.raises(ZeroDivisionError, match="a bug"):
        run("--emulate", cloud.state, "get", cloud.account, "b" * 32)
