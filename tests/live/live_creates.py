"""What is asked of creating: which domains are taken, and which are the same."""

from typing import Any

from live_account import Account, Answer
from live_rules import Findings, asks


async def _create(account: Account, email_domain: str, **more: Any) -> Answer:
    """Ask for a connector of a domain, and delete it at once if that was granted."""
    body = {"email_domain": email_domain, "begin_verification": False, **more}
    answer = await account.ask("POST", "", body)
    if isinstance(answer.result, dict) and "id" in answer.result:
        await account.ask("DELETE", f"/{answer.result['id']}")
    return answer


@asks("create-duplicate", "domain-spellings")
async def duplicates(account: Account, findings: Findings) -> None:
    """Ask for a second connector of a domain, in several spellings."""
    domain = account.connector["email_domain"]
    findings.expect("create-duplicate", await _create(account, domain), 409, 20005)
    for spelling in (domain.upper(), f"{domain}."):
        findings.expect("domain-spellings", await _create(account, spelling), 409, 20005)


@asks("domain-spellings")
async def letters(account: Account, findings: Findings) -> None:
    """Ask for domains that are the same as A-labels, and for some that only look so."""
    domain = account.new_domain()
    body = {"email_domain": f"bücher.{domain}", "begin_verification": False}
    first = await account.ask("POST", "", body)
    second = await _create(account, f"xn--bcher-kva.{domain}")
    findings.expect("domain-spellings", second, 409, 20005)
    await account.ask("DELETE", f"/{first.result['id']}")

    body["email_domain"] = f"straße.{domain}"
    first = await account.ask("POST", "", body)
    second = await _create(account, f"strasse.{domain}")
    findings.expect("domain-spellings", second, 200)
    await account.ask("DELETE", f"/{first.result['id']}")


@asks("domain-form")
async def forms(account: Account, findings: Findings) -> None:
    """Ask for what is no domain of the usual form."""
    domain = account.new_domain()
    label, _, _ = domain.partition(".")
    # One character more than a name may have.
    long = ".".join(["a" * 60] * 3 + ["a" * (253 - 3 * 61 - len(domain))] + [domain])
    for odd in (label, long, f"a_b.{domain}", f"-a.{domain}"):
        findings.expect("domain-form", await _create(account, odd), 400, 20000)
    findings.expect("domain-form", await _create(account, f"bücher.{domain}"), 200)


@asks("refused-edu")
async def academic(account: Account, findings: Findings) -> None:
    """Ask for a domain under .edu, which can't be had."""
    label, _, _ = account.new_domain().partition(".")
    findings.expect("refused-edu", await _create(account, f"{label}.edu"), 400, 20001)
