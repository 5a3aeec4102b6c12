"""`verify --wait`: the record to set, the search, and how it ends."""

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from screens import Screen

import cfsso

UNKNOWN = cfsso.WriteState.UNKNOWN
DOMAIN = "company-0.example"
WAIT = "--wait"


@pytest.fixture(autouse=True)
def _straight(hooked: Any) -> None:
    """Let the command's requests reach the cloud of the test."""
    hooked(lambda _: None)


def methods(cloud: Any) -> list[str]:
    """Return the methods of what the emulator was sent."""
    return [request.method for request in cloud.emulator.requests]


def code_of(cloud: Any, connector: str) -> str:
    """Return the text of the connector's TXT record."""
    return str(cloud.emulator.connector(cloud.account, connector).verification.code)


@pytest.mark.usefixtures("virtual_time")
def test_it_stays_until_the_record_is_found(run: Any, cloud: Any) -> None:
    """The record is named on stderr, the search begun, and the result alone is on stdout."""
    connector = cloud.add("failed")
    code = code_of(cloud, connector)
    cloud.emulator.dns[DOMAIN] = [code]

    ran = run("verify", cloud.account, connector, WAIT)

    assert 0 == ran.code
    assert [
        f"cfsso: set the TXT record {DOMAIN} to {code}",
        "cfsso: verification failed after 0:00:00, next look in 5 s",
    ] == ran.err.splitlines()
    assert ran.out.startswith("result        changed\n")
    assert "verification  verified\n" in ran.out
    assert ["GET", "GET", "POST", "GET"] == methods(cloud)


def test_what_is_verified_already_needs_no_search(run: Any, cloud: Any) -> None:
    """A verified connector is unchanged, and nothing is written."""
    ran = run("verify", cloud.account, cloud.add("verified"), WAIT, "--json")

    assert (0, "") == (ran.code, ran.err)
    assert ["unchanged"] == [record["status"] for record in ran.records]
    assert ["GET"] == methods(cloud)


@pytest.mark.usefixtures("virtual_time")
def test_a_search_under_way_is_not_begun_again(run: Any, cloud: Any) -> None:
    """While Cloudflare searches the command only watches."""
    connector = cloud.add("pending")
    cloud.emulator.dns[DOMAIN] = [code_of(cloud, connector)]

    assert 0 == run("verify", cloud.account, connector, WAIT).code

    assert "POST" not in methods(cloud)


@pytest.mark.usefixtures("virtual_time")
def test_a_record_that_is_not_found_in_two_days(run: Any, cloud: Any) -> None:
    """If Cloudflare gives up the exit is 1, and the record is named again."""
    connector = cloud.add("awaiting")

    ran = run("verify", cloud.account, connector, WAIT)

    record = f"{DOMAIN} to {code_of(cloud, connector)}"
    assert 1 == ran.code
    assert ran.out.startswith("result        failed\n")
    assert (
        f"cfsso: Cloudflare did not find the TXT record: set {record}, and verify again:"
        f" run `cfsso get {cloud.account} {connector}`"
    ) == ran.err.splitlines()[-1]


@pytest.mark.usefixtures("virtual_time")
def test_the_deadline_names_the_record_again(run: Any, cloud: Any) -> None:
    """At the deadline the exit is 1, and stdout has the connector as last seen."""
    connector = cloud.add("awaiting")

    ran = run("verify", cloud.account, connector, WAIT, "--deadline", "60", "--json")

    record = f"{DOMAIN} to {code_of(cloud, connector)}"
    late = f"connector {connector} was not verified within 60 s; last seen: pending"
    assert 1 == ran.code
    assert [("failed", late, f"set the TXT record {record}", "pending")] == [
        (one["status"], one["error"], one["note"], one["verification"]["status"])
        for one in ran.records
    ]
    assert (
        f"cfsso: set the TXT record {record}: {late}: run `cfsso get {cloud.account} {connector}`"
        " before you repeat it"
    ) == ran.err.splitlines()[-1]


@pytest.mark.usefixtures("virtual_time")
def test_a_search_in_doubt_at_the_deadline(run: Any, cloud: Any, hooked: Any) -> None:
    """If it never was known whether the search has begun the exit is 4."""
    connector = cloud.add("awaiting")
    hooked(lambda r: cfsso.APIConnectionError("cut", write=UNKNOWN) if r.is_write else None)

    assert 4 == run("verify", cloud.account, connector, WAIT, "--deadline", "60").code


@pytest.mark.usefixtures("virtual_time")
def test_without_a_terminal_there_is_a_line_a_minute(run: Any, cloud: Any) -> None:
    """A line comes with each minute and each change, not with each look."""
    connector = cloud.add("awaiting")

    ran = run("verify", cloud.account, connector, WAIT, "--deadline", "400")

    lines = [line for line in ran.err.splitlines() if "next look" in line]
    assert [
        "cfsso: verification awaiting after 0:00:00, next look in 5 s",
        "cfsso: verification pending after 0:00:05, next look in 8 s",
        "cfsso: verification pending after 0:01:05, next look in 38 s",
    ] == lines[:3]
    assert len(methods(cloud)) > len(lines) + 5


@pytest.mark.usefixtures("virtual_time")
def test_a_failed_look_is_said(run: Any, cloud: Any, hooked: Any) -> None:
    """What keeps a look from showing anything is named, and the next look follows."""
    connector = cloud.add("pending")
    cloud.emulator.dns[DOMAIN] = [code_of(cloud, connector)]
    replies = [None, cfsso.APIConnectionError("cut \x1b[2J")]
    hooked(lambda _: replies.pop(0) if replies else None)

    ran = run("verify", cloud.account, connector, WAIT)

    assert 0 == ran.code
    assert (
        "cfsso: verification pending after 0:00:00, next look in 5 s;"
        " the last one failed: cut \\x1b[2J\n"
    ) in ran.err


@pytest.mark.parametrize("replies", [1, 2])
def test_a_refused_look_ends_it(
    replies: int, run: Any, cloud: Any, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """A look that is not allowed is a failure with its own advice, the first one or a later one."""
    connector = cloud.add("pending")
    waiting = [*[None] * (replies - 1), answer(403, success=False)]
    hooked(lambda _: waiting.pop(0) if waiting else None)

    ran = run("verify", cloud.account, connector, WAIT)

    assert (1, "") == (ran.code, ran.out)
    assert "give the token the permission SSO Connector Write" in ran.err


@pytest.mark.usefixtures("virtual_time")
def test_what_an_answer_does_not_say(
    run: Any, cloud: Any, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """An answer without domain, code and status is told as such."""
    connector = cloud.add("pending")
    waiting = [answer(200, success=True, result={"id": connector})] * 3
    hooked(lambda _: waiting.pop() if waiting else None)
    cloud.emulator.dns[DOMAIN] = [code_of(cloud, connector)]

    ran = run("verify", cloud.account, connector, WAIT)

    assert 0 == ran.code
    assert "set the TXT record (name not known) to (value not known)\n" in ran.err
    assert "cfsso: verification not known after 0:00:00" in ran.err


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--deadline", "60"], "--deadline needs --wait"),
        (["--interval", "1", "--deadline", "60"], "--deadline needs --wait"),
        ([WAIT, "--interval", "0"], "--interval must be more than 0"),
    ],
)
def test_bounds_that_make_no_sense(args: list[str], problem: str, run: Any, cloud: Any) -> None:
    """Bounds without a wait, and no pause at all, are refused; nothing is sent."""
    ran = run("verify", cloud.account, cloud.add("pending"), *args)

    assert (2, f"cfsso: {problem}: see cfsso verify --help\n") == (ran.code, ran.err)
    assert [] == methods(cloud)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_says_how_to_look(
    number: signal.Signals, code: int, run: Any, cloud: Any, hooked: Any
) -> None:
    """Whoever leaves learns that the search goes on, and how to see it."""
    connector = cloud.add("pending")
    looks = [None, None]
    hooked(lambda _: looks.pop() if len(looks) > 1 else signal.raise_signal(number))

    ran = run("verify", cloud.account, connector, WAIT)

    assert (code, "") == (ran.code, ran.out)
    assert ran.err.endswith(
        "cfsso: interrupted: a search that has begun goes on at Cloudflare:"
        f" `cfsso get {cloud.account} {connector}` shows how far it is\n"
    )


@pytest.mark.usefixtures("virtual_time")
def test_where_a_line_can_move_there_are_no_others(
    run: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the line that moves takes the place of the plain ones."""
    monkeypatch.setattr("cfsso.cli.verifying.is_live", lambda _stream: True)
    connector = cloud.add("awaiting")
    cloud.emulator.dns[DOMAIN] = [code_of(cloud, connector)]

    ran = run("verify", cloud.account, connector, WAIT)

    assert 0 == ran.code
    assert "cfsso: verification" not in ran.err


def test_what_a_person_sees(cloud: Any, serve: Any, spawn: Any) -> None:
    """A line shows status, time and next look; once the record is set it ends with the result."""
    connector = cloud.add("awaiting")
    code = code_of(cloud, connector)
    emulator = cfsso.CloudflareEmulator.load(cloud.state, poll=0.0)
    url = serve(emulator)
    args = ("verify", cloud.account, connector, WAIT, "--interval", "0.2")

    with Screen.start(spawn, "--base-url", url, *args, columns=120) as screen:
        screen.wait_for(f"cfsso: set the TXT record {DOMAIN} to {code}")
        screen.wait_for("verification pending after 0:00:0")
        screen.wait_for(", next look in 1 s")
        emulator.dns[DOMAIN] = [code]
        assert 0 == screen.end()

    assert "verified" in screen.text.split("next look")[-1]
    # Drawn in place, not line by line.
    assert "cfsso: verification" not in screen.text


def test_ctrl_c_at_a_terminal(cloud: Any, serve: Any, spawn: Any) -> None:
    """Ctrl-C ends the line and says that the search goes on; exit 130."""
    connector = cloud.add("awaiting")
    url = serve(cloud.emulator)

    with Screen.start(spawn, "--base-url", url, "verify", cloud.account, connector, WAIT) as screen:
        screen.wait_for("next look in 5 s")
        screen.type("\x03")
        assert 130 == screen.end()

    assert "goes on at Cloudflare" in screen.text
    assert "Traceback" not in screen.text
    assert "pending" == cloud.emulator.connector(cloud.account, connector).verification.raw_status


def test_an_emulator_whose_state_file_has_the_record(cloud: Any, spawn: Any) -> None:
    """With the record in the state file the search ends at the emulator's next poll."""
    connector = cloud.add("failed")
    state = json.loads(cloud.path.read_text("utf-8"))
    state["dns"] = {DOMAIN: [code_of(cloud, connector)]}
    cloud.path.write_text(json.dumps(state), "utf-8")
    server = spawn("emulator", "--state", cloud.state, "--poll", "0.05")
    url = server.stdout.readline().split()[-1]
    args = ("--base-url", url, "--json", "verify", cloud.account, connector, WAIT)

    out, err = spawn(*args, "--interval", "0.2", env={"CLOUDFLARE_API_TOKEN": "any"}).communicate(
        timeout=30
    )

    assert [("changed", "verified")] == [
        (one["status"], one["verification"]["status"]) for one in map(json.loads, out.splitlines())
    ]
    assert "verification failed after 0:00:00, next look in 1 s" in err
