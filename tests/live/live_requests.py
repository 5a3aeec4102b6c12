"""What is asked of requests: ids, paths, queries, methods, and who asks."""

import secrets
from typing import Final

from live_account import Account
from live_rules import Findings, asks

_UNKNOWN: Final = ("unknown-token", "token-state-unknown", "forbidden", "forbidden-answer")


@asks("id-characters", "unknown-connector", "unroutable")
async def ids(account: Account, findings: Findings) -> None:
    """Ask for what is not there."""
    unknown = await account.ask("GET", f"/{account.new_id()}")
    findings.expect("unknown-connector", unknown, 404, 20004)
    upper = account.path.upper()
    if upper != account.path:
        findings.expect("id-characters", await account.ask("GET", upper), 404, 20004)
    findings.expect("unroutable", await account.ask("GET", "/nordwind"), 404, 7003, 7000)
    nowhere = await account.ask("GET", f"{account.path}/nowhere")
    findings.expect("unroutable", nowhere, 404, 7003, 7000)


@asks("list-pages", "list-info", "query-ignored")
async def pages(account: Account, findings: Findings) -> None:
    """Ask for a page that must not be there."""
    whole = await account.ask("GET", "")
    paged = await account.ask("GET", "?page=2&per_page=1")
    shown = [one["id"] for one in whole.result]
    info = whole.json["result_info"]
    named = {"count", "page", "per_page", "total_count"} <= info.keys()
    findings.tell("list-info", holds=named, seen=", ".join(info))
    created = [one["created_on"] for one in whole.result]
    one_page = len(shown) == info["total_count"] and info["page"] == 1
    holds = one_page and created == sorted(created) and info["per_page"] >= 20
    seen = f"page {info['page']}, per_page {info['per_page']}"
    seen += ", by creation" if created == sorted(created) else ", in another order"
    findings.tell("list-pages", holds=holds and "result" in paged.json, seen=seen)
    same = shown == [one["id"] for one in paged.result]
    findings.tell("query-ignored", holds=same, seen=f"a list: {paged}")
    one = await account.ask("GET", f"{account.path}?page=2&fields=id")
    plain = await account.ask("GET", account.path)
    findings.tell("query-ignored", holds=one.result == plain.result, seen=f"a connector: {one}")


@asks("wrong-method")
async def methods(account: Account, findings: Findings) -> None:
    """Use methods that the paths do not have."""
    for method, path in (("PUT", account.path), ("GET", f"{account.path}/begin_verification")):
        answer = await account.ask(method, path)
        findings.expect("wrong-method", answer, 405, 10405)
        allow = answer.response.headers.get("allow")
        findings.tell("wrong-method", holds=bool(allow), seen=f"Allow: {allow}")


@asks("no-credential", "limit-uncounted", *_UNKNOWN)
async def credentials(account: Account, findings: Findings) -> None:
    """Ask with another token, with none, and for another account."""
    nobody = await account.ask("GET", "", by="nobody")
    findings.expect("no-credential", nobody, 400, 9106)
    limit = [name for name in nobody.response.headers if name.startswith("ratelimit")]
    findings.tell("limit-uncounted", holds=not limit, seen=f"headers: {limit}")
    stranger = await account.ask("GET", "", by="stranger")
    if stranger.status == 200:
        findings.give_up(_UNKNOWN, "every token serves every account there")
        return
    findings.expect("unknown-token", stranger, 401, 10000)
    for path in (f"//accounts/{account.id}/tokens/verify", "//user/tokens/verify"):
        answer = await account.ask("GET", path, by="stranger")
        findings.expect("token-state-unknown", answer, 401, 1000)
    answer = await account.ask("GET", f"//accounts/{secrets.token_hex(16)}/sso_connectors")
    findings.expect("forbidden", answer, 403, 10000)
    error = answer.errors[0] if answer.errors else {}
    holds = error.get("message") == "Forbidden" and "documentation_url" in error
    seen = f"{answer}, documentation_url {error.get('documentation_url')}"
    findings.tell("forbidden-answer", holds=holds, seen=seen)


@asks("token-state", "token-prefixes")
async def token(account: Account, findings: Findings) -> None:
    """Ask for the state of the token, at the account and at the user."""
    of_account = await account.ask("GET", f"//accounts/{account.id}/tokens/verify")
    of_user = await account.ask("GET", "//user/tokens/verify")
    told = [one.result for one in (of_account, of_user) if one.status == 200]
    holds = bool(told) and all({"id", "status"} <= one.keys() for one in told)
    seen = "; ".join(", ".join(one) for one in told) or of_account
    findings.tell("token-state", holds=holds, seen=seen)
    prefix = account.token[:5]
    expected = {"cfat_": [True, False], "cfut_": [False, True]}.get(prefix, [True, True])
    served = [of_account.status == 200, of_user.status == 200]
    kind = prefix if prefix in {"cfat_", "cfut_"} else "another prefix"
    seen = f"{kind}: account {of_account}, user {of_user}"
    findings.tell("token-prefixes", holds=expected == served, seen=seen)


@asks("check-order")
async def order(account: Account, findings: Findings) -> None:
    """Make two mistakes at once, and see which one is told."""
    elsewhere = f"//accounts/{secrets.token_hex(16)}/sso_connectors"
    both = await account.ask("GET", f"{elsewhere}/a/b/c", by="nobody")
    findings.expect("check-order", both, 400, 9106)
    both = await account.ask("GET", f"{elsewhere}{account.path}/begin_verification")
    findings.expect("check-order", both, 405, 10405)
    both = await account.ask("PATCH", f"/{account.new_id()}", b"[")
    findings.expect("check-order", both, 404, 20004)
    body = {"email_domain": account.connector["email_domain"], "begin_verification": "no"}
    findings.expect("check-order", await account.ask("POST", "", body), 400, 20000)
