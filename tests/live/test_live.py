"""The live suite, put to the emulator's command as to a real account."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from commanded import ID, TOKEN, emulator, state, verified
from live_rules import WHY_NOT, rules
from run_live import QUESTIONS

import cfsso
from cfsso.emulator.http import serving

RUN = Path(__file__).with_name("run_live.py")
# What the account has of its own: nothing of it may be touched, or shown.
OTHERS = [
    {**verified("a" * 32, "secret-company.example"), "enabled": True},
    verified("b" * 32, "other.example.com"),
    {"id": "c" * 32, "email_domain": "cfsso-live-0123456789ab.example.org"},
]


def environment(base_url: str) -> dict[str, str]:
    """Return what the suite is told by variables."""
    live = {"TOKEN": TOKEN, "ACCOUNT": ID, "BASE_URL": base_url}
    return {**os.environ, **{f"CFSSO_LIVE_{name}": value for name, value in live.items()}}


def command(out: Path) -> list[str]:
    """Return the command that runs the suite."""
    return [sys.executable, "-P", str(RUN), "--strict", "--out", str(out)]


def asked(base_url: str, out: Path) -> "subprocess.CompletedProcess[str]":
    """Run the suite to its end."""
    return subprocess.run(  # noqa: S603 - it is ours
        command(out), env=environment(base_url), capture_output=True, text=True, check=False
    )


def begun(base_url: str, out: Path) -> "subprocess.Popen[str]":
    """Begin to run the suite."""
    return subprocess.Popen(  # noqa: S603 - it is ours
        command(out),
        env=environment(base_url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def domains(base_url: str) -> set[str | None]:
    """Return the domains of all connectors that there are."""

    async def listed() -> set[str | None]:
        async with cfsso.connect(api_token=TOKEN, base_url=base_url) as connectors:
            return {one.email_domain for one in await connectors.list(account_id=ID)}

    return asyncio.run(listed())


@pytest.fixture
def base_url() -> Iterator[str]:
    """Give an emulator that answers slowly enough to be cut off."""
    with emulator(state(*OTHERS), "--latency", "0.005") as url:
        yield url


def test_all_rules_hold(base_url: str, tmp_path: Path) -> None:
    """Against the emulator no rule differs, and nothing is left or touched."""
    before = domains(base_url)
    ended = asked(base_url, tmp_path)
    states = re.findall(r"^\| `[\w-]+` \| \*\w+\* \| ([^|]+) \|", ended.stdout, re.MULTILINE)

    assert 0 == ended.returncode, ended.stderr
    assert {"holds", "could not be asked"} == set(states)
    assert len(rules()) - len(WHY_NOT) == states.count("holds")
    assert before == domains(base_url)
    assert ended.stdout == (tmp_path / "rules.md").read_text("utf-8")


def test_what_is_kept_tells_nothing_of_whose_it_is(base_url: str, tmp_path: Path) -> None:
    """No token, id, code or ray, and no other domain of the account, stands in any file."""
    asked(base_url, tmp_path)
    kept = [path.read_text("utf-8") for path in tmp_path.iterdir()]
    text = "".join(kept)

    assert len(kept) > 60
    assert not re.search(r"[0-9a-f]{16}|[0-9A-Za-z]{32}", text)
    assert not [word for word in (TOKEN, ID, "secret-company", "other.example") if word in text]
    assert {"<account>", "<random>", "<masked>"} <= set(re.findall(r"<[\w-]+>", text))
    json.loads(next(tmp_path.glob("*.json")).read_text("utf-8"))


# How many lines it has said, and whether there must be something left by then.
@pytest.mark.parametrize(
    ("moment", "leaves"), [(1, False), (2, True), (8, True), (14, True), (17, True), (21, False)]
)
def test_killed_and_run_again(base_url: str, tmp_path: Path, moment: int, *, leaves: bool) -> None:
    """After SIGKILL at any moment the next run removes what was left, and nothing else."""
    before = domains(base_url)
    with begun(base_url, tmp_path) as process:
        assert process.stderr
        for _ in range(moment):
            process.stderr.readline()
        process.kill()
    left = domains(base_url) - before
    ended = asked(base_url, tmp_path)

    assert left or not leaves
    assert ("removing what an earlier run left" in ended.stderr) == bool(left)
    assert 0 == ended.returncode
    assert before == domains(base_url)


def test_stopped(base_url: str, tmp_path: Path) -> None:
    """SIGTERM ends it with 1, and it cleans up first."""
    before = domains(base_url)
    with begun(base_url, tmp_path) as process:
        assert process.stderr
        for _ in range(4):
            process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()

    assert 1 == process.returncode
    assert said.endswith("cleaning up\nstopped\n")
    assert before == domains(base_url)


def test_an_enabled_one_is_not_removed(tmp_path: Path) -> None:
    """What looks like a leftover but is enabled stays as it is, and the end is a failure."""
    taken = {**verified("d" * 32, "cfsso-live-0123456789ab.example.com"), "enabled": True}
    with emulator(state(taken)) as url:
        ended = asked(url, tmp_path)
        after = domains(url)

    assert 1 == ended.returncode
    assert "left behind: 1" in ended.stderr
    assert {"cfsso-live-0123456789ab.example.com"} == after


def test_a_server_that_takes_any_token(tmp_path: Path) -> None:
    """Where every token serves, nothing is said of unknown ones."""
    with emulator({"accounts": {ID: {"connectors": []}}}) as url:
        ended = asked(url, tmp_path)

    assert 0 == ended.returncode
    assert ended.stdout.count("every token serves every account there") == 4


def test_a_token_that_may_not_write(tmp_path: Path) -> None:
    """Without a connector the run is no success, and says what was missing."""
    content = state(*OTHERS)
    content["tokens"] = {TOKEN: {"accounts": [ID], "permission": "read"}}
    with emulator(content) as url:
        ended = asked(url, tmp_path)

    assert 1 == ended.returncode
    assert "no connector could be made" in ended.stderr
    assert "| `read-only-token` |" in ended.stdout


class Otherwise(cfsso.CloudflareEmulator):
    """A Cloudflare that differs in three rules."""

    def handle(
        self, request: cfsso.Request, headers: Mapping[str, str] | None = None
    ) -> cfsso.Response:
        """Answer as other servers might."""
        response = super().handle(request, headers)
        if request.method == "DELETE" and response.status == 404:
            return cfsso.Response(200, response.headers, b'{"success":true,"result":null}')
        if request.method == "PATCH" and request.body == b"{}":
            return cfsso.Response(400, response.headers, b"<html>nothing to do</html>")
        return response


async def test_what_differs_is_told(tmp_path: Path) -> None:
    """A rule that the server does not have is told with what came back, and nothing enables."""
    cloud = Otherwise()
    cloud.add_token(TOKEN, [cloud.add_account(ID)])
    async with serving(cloud) as url:
        process = await asyncio.create_subprocess_exec(
            *command(tmp_path), env=environment(url), stdout=subprocess.PIPE
        )
        said, _ = await process.communicate()
    found = said.decode().splitlines()
    bodies = [entry.body or b"" for entry in cloud.requests]

    assert 1 == process.returncode
    differing = [line.split("`")[1] for line in found if "**differs**" in line]
    assert ["envelope", "member-order", "patch-nothing", "delete-twice"] == differing
    assert "no body: 200; {}: 400; present values: 200" in said.decode()
    assert not cloud.connectors(ID)
    assert not [body for body in bodies if b"enabled" in body and b"true" in body]


class Odd(cfsso.CloudflareEmulator):
    """A Cloudflare that answers every question alike, and refuses every write so."""

    body = b""

    def handle(
        self, request: cfsso.Request, headers: Mapping[str, str] | None = None
    ) -> cfsso.Response:
        """Answer whatever it is."""
        response = super().handle(request, headers)
        return cfsso.Response(400 if request.is_write else 200, response.headers, self.body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"success": true, "result": null, "errors": null}',
        b'{"success": true, "result": "text"}',
        b'{"success": true, "result": [[], 1, {"id": 1}], "errors": [1, {}]}',
        b'{"success": true, "result": {"id": "%s", "verification": null}}' % (b"d" * 32),
    ],
)
async def test_odd_answers(tmp_path: Path, body: bytes) -> None:
    """Whatever a server answers, the suite says so and comes to its end."""
    cloud = Odd(rate_limit=None)
    cloud.body = body
    cloud.add_account(ID)
    async with serving(cloud) as url:
        process = await asyncio.create_subprocess_exec(
            *command(tmp_path), env=environment(url), stderr=subprocess.PIPE
        )
        _, said = await process.communicate()

    assert 1 == process.returncode
    assert b"no connector could be made" in said or b"did not come to its end" in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("missing", ["TOKEN", "ACCOUNT"])
def test_off_unless_asked_for(missing: str) -> None:
    """Without the variables nothing is sent, and that is no failure."""
    variables = environment("http://127.0.0.1:1/client/v4")
    del variables[f"CFSSO_LIVE_{missing}"]
    ended = subprocess.run(  # noqa: S603 - it is ours
        [sys.executable, "-P", str(RUN)], env=variables, capture_output=True, text=True, check=False
    )

    assert (0, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith("off: ")


@pytest.mark.parametrize(
    ("account", "base_url"),
    [(ID, "https://api.example.com/client/v4"), ("nordwind", "http://127.0.0.1:1/client/v4")],
)
def test_what_can_not_be_asked(tmp_path: Path, account: str, base_url: str) -> None:
    """Another host than this machine, and what is no account, are refused."""
    variables = {**environment(base_url), "CFSSO_LIVE_ACCOUNT": account}
    ended = subprocess.run(  # noqa: S603 - it is ours
        command(tmp_path), env=variables, capture_output=True, text=True, check=False
    )

    assert 2 == ended.returncode
    assert "Traceback" not in ended.stderr


def test_each_rule_is_asked_about_or_it_is_said_why_not() -> None:
    """No rule of the page is forgotten, and none that is not there any more is named."""
    on_page = {rule.name for rule in rules()}
    told: set[Any] = {name for question in QUESTIONS for name in question.names}

    assert on_page == told | WHY_NOT.keys()
    assert not told & WHY_NOT.keys()
