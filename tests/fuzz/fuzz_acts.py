"""All operations of the client and all acts of a fleet, on odd answers."""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs
from fuzz_checks import Checks
from fuzz_odd import TOKEN, Odd
from hasty_loop import run_hastily
from raw_sockets import raw_server

import cfsso
from cfsso import fleet
from cfsso.emulator.http import PREFIX
from cfsso.testing import run_in_virtual_time

# So many odd answers an act may get; then the server comes to its senses, so that it ends.
_MOST: Final = 30
# How often an operation is done on one server.
_OFTEN: Final = 8
_DOMAINS: Final = ("one.example", "two.example", "three.example")


class Odds:
    """
    An emulated Cloudflare of three accounts, whose answers are odd.

    Args:
        random: Decides what it has and what is odd.
        tells: Whether answers may repeat the token.

    Attributes:
        cloud: The emulator.
        accounts: The ids.
        connectors: By account, the ids of its connectors.
        odd: What makes answers odd.
    """

    def __init__(self, random: Random, *, tells: bool = False) -> None:
        self.random = random
        self.cloud = cfsso.CloudflareEmulator(seed=random.getrandbits(32), rate_limit=None)
        self.accounts = [self.cloud.add_account() for _ in range(3)]
        self.connectors: dict[str, list[str]] = {}
        for number, account in enumerate(self.accounts):
            made = [
                self.cloud.add_connector(
                    account,
                    email_domain=domain,
                    status=random.choice(["verified", "verified", "pending", "awaiting", "failed"]),
                ).id
                for domain in _DOMAINS
            ]
            self.connectors[account] = [str(key) for key in made]
            if number == 0:
                for key in self.connectors[account]:
                    self._enable(account, key)
        self.cloud.advance(3600)
        self.odd = Odd(random, rate=random.choice([0.1, 0.4, 0.8, 1.0]), tells=tells)
        self._most = _MOST

    def _enable(self, account: str, key: str) -> None:
        path = f"/accounts/{account}/sso_connectors/{key}"
        self.cloud.handle(cfsso.Request("PATCH", path, b'{"enabled":true}'))

    def changed(self, response: cfsso.Response) -> cfsso.Response:
        """Return *response*, odd unless there was enough of it."""
        return response if self.odd.count >= self._most else self.odd(response)

    def go_on(self) -> None:
        """Be odd again."""
        self._most = self.odd.count + _MOST

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Answer *request*, as a transport does."""
        await asyncio.sleep(0.01)
        return self.changed(self.cloud.handle(request))

    async def aclose(self) -> None:
        """Hold nothing."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on a connection, until it ends."""
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path = head[0].split(" ")[:2]
            fields = (line.partition(":") for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in fields}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = cfsso.Request(method, path.removeprefix(PREFIX), body or None)
            writer.write(_on_the_wire(self.changed(self.cloud.handle(request, headers))))
            await writer.drain()


def _on_the_wire(response: cfsso.Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status} Odd"]
    for name, value in response.headers.items():
        plain = value.replace("\r", " ").replace("\n", " ")
        lines.append(f"{name}: {plain}")
    lines += [f"content-length: {len(response.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + response.body


@attrs.define
class Scene:
    """What an act has."""

    connectors: cfsso.AsyncSSOConnectors
    odds: Odds
    checks: Checks
    folder: Path

    @property
    def random(self) -> Random:
        """What decides."""
        return self.odds.random

    def one(self) -> tuple[str, str]:
        """Return an account and one of its connectors."""
        account = self.random.choice(self.odds.accounts)
        return account, self.random.choice(self.odds.connectors[account])

    def changes(self) -> list[fleet.Change]:
        """Return some changes."""
        found = [(account, key) for account, keys in self.odds.connectors.items() for key in keys]
        picked = self.random.sample(found, self.random.randint(1, 6))
        return [fleet.Change(*each, enabled=self.random.random() < 0.5) for each in picked]

    async def outcomes(self, outcomes: AsyncIterable[fleet.Outcome]) -> None:
        """Look at all outcomes."""
        try:
            async for outcome in outcomes:
                self.outcome(outcome)
        except cfsso.CfssoError as error:
            self.checks.error(error)

    def outcome(self, outcome: fleet.Outcome) -> None:
        """Look at an outcome."""
        self.checks.counts["outcomes"] += 1
        self.checks.text(outcome.note, "a note")
        self.checks.value(outcome)
        if outcome.error is not None:
            self.checks.error(outcome.error)


Act = Callable[[Scene], Awaitable[Any]]


async def _list(scene: Scene) -> Any:
    return await scene.connectors.list(account_id=scene.one()[0])


async def _get(scene: Scene) -> Any:
    account, key = scene.one()
    return await scene.connectors.get(key, account_id=account)


async def _create(scene: Scene) -> Any:
    options: dict[str, bool] = scene.random.choice([{}, {"use_fedramp_language": True}])
    return await scene.connectors.create(
        account_id=scene.one()[0], email_domain="new.example", **options
    )


async def _update(scene: Scene) -> Any:
    account, key = scene.one()
    before = None
    if scene.random.random() < 0.5:
        before = scene.odds.cloud.connector(account, key)
    enabled = scene.random.random() < 0.5
    return await scene.connectors.update(key, account_id=account, enabled=enabled, before=before)


async def _delete(scene: Scene) -> Any:
    account, key = scene.one()
    return await scene.connectors.delete(key, account_id=account)


async def _begin(scene: Scene) -> Any:
    account, key = scene.one()
    return await scene.connectors.begin_verification(key, account_id=account)


async def _verify_token(scene: Scene) -> Any:
    return await scene.connectors.verify_token(account_id=scene.one()[0])


async def _wait(scene: Scene) -> Any:
    account, key = scene.one()
    return await scene.connectors.wait_until_verified(
        key, account_id=account, deadline=600.0, restart=scene.random.random() < 0.5
    )


async def _plan(scene: Scene) -> Any:
    found = await fleet.plan(scene.connectors, scene.changes(), accounts=scene.odds.accounts)
    for each in found.rows:
        scene.checks.text(each.reason, "a plan's reason")
    path = scene.folder / "plan.json"
    found.save(path)
    if found != fleet.Plan.load(path):
        scene.checks.breaks("a plan that is another one after saving", path.read_text("utf-8"))
    scene.checks.no_token(path.read_text("utf-8"), "a plan's file")
    return found


async def _apply(scene: Scene) -> Any:
    """Apply, go on, take back and read the journal."""
    journal = scene.folder / "run.cfsso"
    canary = scene.random.choice([0, 1])
    outcomes = fleet.apply(scene.connectors, scene.changes(), journal=journal, canary=canary)
    await scene.outcomes(outcomes)
    await _resume(scene, journal)
    await scene.outcomes(fleet.revert(scene.connectors, journal))
    await _read_journal(scene, journal)


async def _resume(scene: Scene, journal: Path) -> None:
    failed = scene.random.random() < 0.5
    await scene.outcomes(fleet.resume(scene.connectors, journal, failed=failed))


async def _read_journal(scene: Scene, journal: Path) -> None:
    if not await asyncio.to_thread(journal.exists):
        return
    async with await fleet.read_journal(journal) as reader:
        for run in reader.runs:
            async for recorded in reader.targets(run.number):
                scene.checks.value(recorded)
    scene.checks.files(scene.folder)


async def _break_glass(scene: Scene) -> Any:
    journal = scene.folder / "rescue.cfsso"
    domain = scene.random.choice([None, "one.example", "none.example"])
    await scene.outcomes(
        fleet.break_glass(scene.connectors, scene.odds.accounts, domain=domain, journal=journal)
    )
    if await asyncio.to_thread(journal.exists):
        await scene.outcomes(fleet.revert(scene.connectors, journal))
        await _read_journal(scene, journal)


async def _drill(scene: Scene) -> Any:
    await scene.outcomes(fleet.break_glass(scene.connectors, scene.odds.accounts, drill=True))


async def _transfer(scene: Scene) -> Any:
    source, target = scene.random.sample(scene.odds.accounts, 2)
    outcomes = await fleet.transfer(
        scene.connectors, "one.example", source=source, target=target, max_wait=60.0
    )
    for outcome in outcomes:
        scene.outcome(outcome)


OPERATIONS: Final[dict[str, Act]] = {
    "list": _list,
    "get": _get,
    "create": _create,
    "update": _update,
    "delete": _delete,
    "begin_verification": _begin,
    "verify_token": _verify_token,
    "wait_until_verified": _wait,
}
ACTS: Final[dict[str, Act]] = {
    **OPERATIONS,
    "plan": _plan,
    "apply, resume, revert": _apply,
    "break_glass": _break_glass,
    "drill": _drill,
    "transfer": _transfer,
}


@contextlib.contextmanager
def watched_log(checks: Checks) -> Iterator[None]:
    """Look at all that is logged."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            checks.logged(record)

    handler, logger = Handler(), logging.getLogger("cfsso")
    logger.addHandler(handler)
    propagates, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


def act_once(seed: int, checks: Checks, *, over_http: bool) -> None:
    """Do one act that the seed decides, in memory or over a socket."""
    random = Random(seed)  # noqa: S311 - what happens, not a secret
    name = random.choice([*ACTS])
    checks.where, checks.tells = f"seed {seed}, {name}{' over HTTP' * over_http}", over_http
    run = run_hastily if over_http else run_in_virtual_time
    with tempfile.TemporaryDirectory() as folder, watched_log(checks):
        run(_act(name, random, checks, Path(folder), over_http=over_http))
    checks.counts[f"act: {name}"] += 1


async def _act(name: str, random: Random, checks: Checks, folder: Path, *, over_http: bool) -> None:
    odds = Odds(random, tells=over_http)
    if not over_http:
        await _on(odds, name, checks, folder, odds)
    else:
        async with raw_server(odds.serve) as url:
            inner = cfsso.AiohttpTransport(TOKEN, base_url=f"{url}{PREFIX}", timeout=10)
            await _on(inner, name, checks, folder, odds)
    checks.counts["odd answers"] += odds.odd.count


async def _on(
    transport: cfsso.Transport, name: str, checks: Checks, folder: Path, odds: Odds
) -> None:
    stack = cfsso.RetryingTransport(cfsso.PacingTransport(transport))
    scene = Scene(
        cfsso.AsyncSSOConnectors(stack, deadline=120.0, max_wait=60.0), odds, checks, folder
    )
    async with scene.connectors:
        for _ in range(_OFTEN if name in OPERATIONS else 1):
            odds.go_on()
            await _try(ACTS[name], scene)


async def _try(act: Act, scene: Scene) -> None:
    try:
        value = await act(scene)
    except cfsso.CfssoError as error:
        scene.checks.error(error)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        scene.checks.foreign(error)
    else:
        scene.checks.value(value)
