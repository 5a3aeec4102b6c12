"""
Ask a real account which of the emulator's rules hold; see docs/emulator.md.

Off unless CFSSO_LIVE_TOKEN and CFSSO_LIVE_ACCOUNT are set. It makes connectors of random
subdomains of example.com, enables none, and deletes them. It exits with 0 when it came to its
end, whatever it found (with 1 if a rule differs and --strict is given), with 1 if it did not or
if something is left behind, and with 2 if it can't begin.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))

import live_creates as creates
import live_forms as forms
import live_life as life
import live_requests as requests
from live_account import Account, reach
from live_masking import Masks
from live_report import table, totals
from live_rules import DIFFERS, Findings, Question, put_all, rules

import cfsso

QUESTIONS: Final[tuple[Question, ...]] = (
    life.begin,
    life.change,
    life.change_nothing,
    life.odd_bodies,
    life.disable,
    requests.ids,
    requests.pages,
    requests.methods,
    requests.credentials,
    requests.token,
    requests.order,
    creates.duplicates,
    creates.letters,
    creates.forms,
    creates.academic,
    life.verify,
    life.create_with_all,
    life.end,
    forms.answers,
    forms.values,
)
"""In the order in which they are put."""

_ID: Final = re.compile(r"[0-9A-Za-z]{32}")


def say(text: str) -> None:
    """Tell on stderr how far it is."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


async def ask(account: Account, findings: Findings) -> int:
    """Remove what an earlier run left, put all questions, clean up; return what is left."""
    account.log.rule = "clean-up"
    if found := len(await account.leftovers()):
        say(f"removing what an earlier run left: {found}")
        await account.clean_up()
    try:
        await put_all(QUESTIONS, account, findings, say)
    finally:
        account.log.rule = "clean-up"
        say("cleaning up")
        left = await account.clean_up()
    return left


async def run(
    options: argparse.Namespace, token: str, account_id: str, base_url: str | None
) -> int:
    """Ask, write what was found, and return the exit code."""
    this = asyncio.current_task()
    assert this is not None
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    findings, all_rules = Findings(), rules()
    async with reach(token, account_id, base_url, options.out) as account:
        left = await ask(account, findings)
        is_whole = bool(account.connector)
    found = table(all_rules, findings, account.log.masks.text)
    (options.out / "rules.md").write_text(f"{found}\n", "utf-8")
    print(found)  # noqa: T201
    say(f"{totals(all_rules, findings)}; {len(account.log.passed)} answers in {options.out}")
    if left:
        say(f"left behind: {left} connectors of cfsso-live-….example.com: see cfsso list")
    if not is_whole:
        say("no connector could be made, so that most could not be asked")
    differs = any(findings.of(rule.name)[0] == DIFFERS for rule in all_rules)
    return int(bool(left) or not is_whole or (options.strict and differs))


def _problem(account_id: str, base_url: str | None) -> str:
    """Return why the variables can't be used, or an empty text."""
    if not _ID.fullmatch(account_id):
        return "CFSSO_LIVE_ACCOUNT must be 32 letters and digits"
    if base_url is not None:
        host = urlsplit(base_url).hostname or ""
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host).is_loopback:
                return ""
        return "CFSSO_LIVE_BASE_URL is for the suite's own tests: an address of this machine only"
    return ""


def main() -> int:
    """Do as the command line and the variables say; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="a folder for what came back; else a new one")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a rule differs")
    options = parser.parse_args()
    # Not left where a child or a traceback might show it.
    token = os.environ.pop("CFSSO_LIVE_TOKEN", "")
    account_id = os.environ.get("CFSSO_LIVE_ACCOUNT", "")
    base_url = os.environ.get("CFSSO_LIVE_BASE_URL")
    if not token or not account_id:
        say("off: CFSSO_LIVE_TOKEN and CFSSO_LIVE_ACCOUNT are not set; see docs/emulator.md")
        return 0
    if problem := _problem(account_id, base_url):
        say(problem)
        return 2
    options.out = options.out or Path(tempfile.mkdtemp(prefix="cfsso-live-"))
    options.out.mkdir(parents=True, exist_ok=True)
    for kept in options.out.glob("[0-9][0-9][0-9]-*.json"):
        # Of an earlier run.
        kept.unlink()
    try:
        return asyncio.run(run(options, token, account_id, base_url))
    except (cfsso.CfssoError, LookupError) as error:
        why = Masks(token, account_id).text(str(error))
        say(f"it did not come to its end: {why}: run it again, which cleans up")
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("stopped")
    return 1


if __name__ == "__main__":
    sys.exit(main())
