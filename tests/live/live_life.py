"""What is asked of one connector, from its creation to its end."""

import re

from live_account import Account
from live_rules import Findings, asks

import cfsso

_CODE = re.compile(r"cloudflare_dashboard_sso=[0-9a-f]{32}")
_WORDING = "use_fedramp_language"


@asks("six-operations", "create-awaiting", "create-state", "fedramp-default")
async def begin(account: Account, findings: Findings) -> None:
    """Let our client make a connector, look at it, and change its wording."""
    ours, id_ = account.connectors, account.id
    domain = account.new_domain()
    made = await ours.create(account_id=id_, email_domain=domain, begin_verification=False)
    assert made.id
    shown = await account.ask("GET", f"/{made.id}")
    account.connector = shown.result
    assert made == await ours.get(made.id, account_id=id_)
    listed = await ours.list(account_id=id_)
    await ours.update(made.id, account_id=id_, use_fedramp_language=True)
    findings.tell("six-operations", holds=made.id in {one.id for one in listed}, seen="all served")
    status = made.verification.raw_status
    findings.tell("create-awaiting", holds=status == "awaiting", seen=status)
    times = "equal" if made.created_on == made.updated_on else "not equal"
    seen = f"enabled {made.enabled}, times {times}"
    findings.tell("create-state", holds=seen == "enabled False, times equal", seen=seen)
    wording = made.use_fedramp_language
    findings.tell("fedramp-default", holds=wording is False, seen=wording)


@asks("patch-answer", "fedramp-any-time", "updated-on")
async def change(account: Account, findings: Findings) -> None:
    """Change the wording, and see what moves."""
    before = (await account.ask("GET", account.path)).result
    wanted = not before[_WORDING]
    answer = await account.ask("PATCH", account.path, {_WORDING: wanted})
    is_one = isinstance(answer.result, dict) and answer.result.get("id") == before["id"]
    findings.tell("patch-answer", holds=is_one, seen=type(answer.result).__name__)
    after = (await account.ask("GET", account.path)).result
    findings.tell("fedramp-any-time", holds=after[_WORDING] is wanted, seen=answer)
    moved = "moved" if after["updated_on"] > before["updated_on"] else "stayed"
    findings.tell("updated-on", holds=moved == "moved", seen=f"a new wording: {moved}")
    again = (await account.ask("GET", account.path)).result
    moved = "moved" if again["updated_on"] != after["updated_on"] else "stayed"
    findings.tell("updated-on", holds=moved == "stayed", seen=f"a GET: {moved}")


async def _unchanged(account: Account, body: object) -> tuple[bool, str]:
    """Send a PATCH; return whether the connector is as before, and what came back."""
    before = (await account.ask("GET", account.path)).result
    answer = await account.ask("PATCH", account.path, body)
    after = (await account.ask("GET", account.path)).result
    return before == after, str(answer)


@asks("patch-nothing", "updated-on")
async def change_nothing(account: Account, findings: Findings) -> None:
    """Ask for no change in three ways."""
    present = {_WORDING: (await account.ask("GET", account.path)).result[_WORDING]}
    ways: dict[str, object] = {"no body": None, "{}": {}, "present values": present}
    for words, body in ways.items():
        same, said = await _unchanged(account, body)
        findings.tell("patch-nothing", holds=same and said == "200", seen=f"{words}: {said}")
        moved = "nothing moved" if same else "it changed"
        findings.tell("updated-on", holds=same, seen=f"{words}: {moved}")


@asks("patch-null", "bad-body", "unknown-members", "body-limit")
async def odd_bodies(account: Account, findings: Findings) -> None:
    """Send what is no change of a connector."""
    path = account.path
    answer = await account.ask("PATCH", path, {_WORDING: None})
    findings.tell("patch-null", holds=answer.status == 400, seen=answer)
    odd: tuple[object, ...] = (b"[", [], "text")
    for body in odd:
        findings.expect("bad-body", await account.ask("PATCH", path, body), 400, 20000)
    answer = await account.ask("PATCH", path, {_WORDING: "yes"})
    findings.expect("bad-body", answer, 400, 20000)
    pointers = [error.get("source", {}).get("pointer") for error in answer.errors]
    findings.tell("bad-body", holds=pointers == [f"/{_WORDING}"], seen=f"pointer {pointers}")
    wording = (await account.ask("GET", path)).result[_WORDING]
    same, said = await _unchanged(account, {_WORDING: wording, "cfsso_live": True})
    findings.tell("unknown-members", holds=same and said == "200", seen=said)
    large = {_WORDING: wording, "cfsso_live": "a" * (1024 * 1024)}
    findings.expect("body-limit", await account.ask("PATCH", path, large), 413, 20013)


@asks("disable-always")
async def disable(account: Account, findings: Findings) -> None:
    """Disable what is disabled."""
    same, said = await _unchanged(account, {"enabled": False})
    findings.tell("disable-always", holds=same and said == "200", seen=f"{said}, not verified")


@asks("other-answers", "begin-pending", "updated-on", "code-form", "code-lasts", "states")
async def verify(account: Account, findings: Findings) -> None:
    """Let the search for the TXT record begin, twice."""
    before = (await account.ask("GET", account.path)).result
    await account.connectors.begin_verification(before["id"], account_id=account.id)
    after = (await account.ask("GET", account.path)).result
    moved = "moved" if after["updated_on"] > before["updated_on"] else "stayed"
    findings.tell("updated-on", holds=moved == "moved", seen=f"begin verification: {moved}")
    begun = await account.ask("POST", f"{account.path}/begin_verification")
    plain = isinstance(begun.json, dict) and "result" not in begun.json
    findings.tell("other-answers", holds=plain, seen=f"begin verification: {begun}")
    shown = (await account.ask("GET", account.path)).result["verification"]
    said = f"{begun}, then {shown['status']}; how long it searches is not seen"
    pending = ("200", "pending") == (str(begun), shown["status"])
    findings.tell("begin-pending", holds=pending, seen=said)
    code = shown["code"]
    findings.tell("code-form", holds=bool(_CODE.fullmatch(code)), seen=code)
    lasts = code == before["verification"]["code"] == account.connector["verification"]["code"]
    seen = "the same" if lasts else "another one"
    findings.tell("code-lasts", holds=lasts, seen=f"{seen} after two begin verification")
    states = {account.connector["verification"]["status"], shown["status"]}
    known = {"awaiting", "pending", "failed", "verified"}
    findings.tell("states", holds=states <= known, seen=", ".join(sorted(states)))


@asks("create-fields", "create-pending")
async def create_with_all(account: Account, findings: Findings) -> None:
    """Create with the defaults, but for the wording."""
    body = {"email_domain": account.new_domain(), _WORDING: True}
    answer = await account.ask("POST", "", body)
    status = answer.result["verification"]["status"]
    as_asked = answer.result[_WORDING] is True and status != "awaiting"
    findings.tell("create-fields", holds=as_asked, seen=answer)
    findings.tell("create-pending", holds=status == "pending", seen=status)
    await account.ask("DELETE", f"/{answer.result['id']}")


@asks("other-answers", "delete-twice")
async def end(account: Account, findings: Findings) -> None:
    """Delete, twice."""
    first = await account.ask("DELETE", account.path)
    holds = first.result == {"id": account.connector["id"]}
    findings.tell("other-answers", holds=holds, seen=f"delete: {first}")
    findings.expect("delete-twice", await account.ask("DELETE", account.path), 404, 20004)
    try:
        await account.connectors.get(account.connector["id"], account_id=account.id)
    except cfsso.NotFoundError:
        return
    findings.tell("delete-twice", holds=False, seen="it is still there")
