"""
Rescues in worlds that chance has made, changed by others meanwhile, and reverted.

CFSSO_WORLDS is the number of worlds, 300 unless given; CFSSO_WORLD is the first seed:
``CFSSO_WORLDS=2000 python -m pytest tests/fleet/test_rescue_reverted.py``.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import attrs
import pytest
from worlds import Reply, Through

import cfsso
from cfsso.fleet import Change, Outcome, revert
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._rescue_journal import RescueJournal
from cfsso.testing import run_in_virtual_time

WORLDS = int(os.environ.get("CFSSO_WORLDS", "300"))
FIRST = int(os.environ.get("CFSSO_WORLD", "0"))
# In one test, so that several processes may share the work.
PART = 50

Key = tuple[str, str]
REFUSED = cfsso.Response(403, {}, b'{"success":false,"errors":[{"code":1,"message":"no"}]}')


@attrs.define
class World:
    """
    A cloud, a rescue in it, and what others do after that.

    Attributes:
        random: What all is drawn from.
        cloud: The truth.
        rescued: What a write of the rescue has really disabled.
        doubtful: Of what the rescue does not know whether it has.
        renamed: What is of another domain since.
        foreign: What others did, for whoever looks at a failure.
    """

    random: Random
    cloud: cfsso.CloudflareEmulator
    rescued: set[Key] = attrs.field(factory=set)
    doubtful: set[Key] = attrs.field(factory=set)
    renamed: set[Key] = attrs.field(factory=set)
    foreign: list[str] = attrs.field(factory=list)

    @classmethod
    def of(cls, seed: int) -> "World":
        """Make the world of a seed."""
        random = Random(seed)  # noqa: S311 - a world of a test
        cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=seed)
        taken = set[str]()
        for _ in range(random.randint(1, 4)):
            account = cloud.add_account()
            for _ in range(random.randint(0, 5)):
                domain = f"d{random.randint(0, 9)}.example"
                enabled = domain not in taken and random.random() < 0.7
                taken |= {domain} if enabled else set()
                status = "verified" if enabled or random.random() < 0.8 else "failed"
                cloud.add_connector(account, email_domain=domain, enabled=enabled, status=status)
        return cls(random, cloud)

    def connectors(self) -> Iterator[tuple[Key, cfsso.SSOConnector]]:
        """Yield what there is, as it really is."""
        for account in self.cloud.accounts:
            for one in self.cloud.connectors(account):
                yield (account, one.id), one

    def enabled(self) -> set[Key]:
        """Return what really is enabled."""
        return {key for key, one in self.connectors() if one.enabled}

    def write(self, method: str, key: Key, body: bytes | None = None) -> int:
        """Be somebody else; return what the API says to it."""
        self.cloud.advance(1)
        path = f"/accounts/{key[0]}/sso_connectors" + (f"/{key[1]}" if key[1] else "")
        return self.cloud.handle(cfsso.Request(method, path, body)).status

    async def rescue(self, path: Path) -> None:
        """Disable what is enabled, as break-glass does; some of it fails, and it may be cut off."""
        domain = f"d{self.random.randint(0, 9)}.example" if self.random.random() < 0.3 else None
        journal = RescueJournal.start(path, server="", options={"domain": domain})
        cut_off = self.random.randint(0, 30)
        for number, (key, found) in enumerate([*self.connectors()]):
            if domain not in {None, found.email_domain}:
                continue
            if not found.enabled:
                journal.end(self._outcome(key, Status.UNCHANGED, found))
                continue
            journal.intend(key[0], found)
            outcome = await self._disable(key, found)
            if number >= cut_off:
                self.doubtful.add(key)
                break
            journal.end(outcome)
        await journal.aclose(timeout=60)
        assert "" == journal.problem

    async def _disable(self, key: Key, found: cfsso.SSOConnector) -> Outcome:
        fate = self.random.choice(["", "", "", "", "refused", "lost", "late", "not sent"])
        connectors = cfsso.AsyncSSOConnectors(Through(self.cloud, self._rule(fate)))
        try:
            await connectors.update(key[1], account_id=key[0], enabled=False, before=found)
        except cfsso.CfssoError as error:
            status = Status.of_run_error(error)
            if status is Status.UNKNOWN:
                self.doubtful.add(key)
            return self._outcome(key, status, found, error)
        finally:
            if not self.cloud.connector(*key).enabled:
                self.rescued.add(key)
        return self._outcome(key, Status.CHANGED, found)

    def _rule(self, fate: str) -> "Rule":
        return Rule(self.cloud, fate)

    def _outcome(
        self,
        key: Key,
        status: Status,
        before: cfsso.SSOConnector,
        error: cfsso.CfssoError | None = None,
    ) -> Outcome:
        change = Change(*key, enabled=False)
        return Outcome(change=change, status=status, before=before, error=error)

    def meddle(self) -> None:
        """Be others: enable, disable, delete, create again, change the wording, move a domain."""
        for key, found in [*self.connectors()]:
            for _ in range(self.random.choice([0, 0, 0, 1, 1, 2])):
                deed = self.random.choice(["on", "off", "delete", "again", "wording", "domain"])
                if key in self.doubtful and deed in {"on", "off"}:
                    # Whose it would be then nobody can know.
                    continue
                self.foreign.append(f"{deed} {key[1]}")
                self._do(deed, key, found.email_domain or "")

    def _do(self, deed: str, key: Key, domain: str) -> None:
        if deed in {"on", "off"}:
            self.write("PATCH", key, b'{"enabled":%s}' % (b"true" if deed == "on" else b"false"))
        elif deed == "wording":
            self.write("PATCH", key, b'{"use_fedramp_language":true}')
        elif deed == "domain":
            self._rename(key)
        else:
            self.write("DELETE", key)
            if deed == "again":
                account = self.random.choice(self.cloud.accounts)
                self.cloud.add_connector(account, email_domain=domain, status="verified")

    def _rename(self, key: Key) -> None:
        """Let a connector be of another domain, which is more than the API can do."""
        found = self.cloud._accounts.by_id[key[0]].get(key[1])
        if found is not None and not found.enabled:
            found.email_domain = found.key = f"other-{found.email_domain}"
            self.renamed.add(key)
            self.rescued.discard(key)
            self.doubtful.discard(key)


@attrs.define
class Rule:
    """Lets a write have its fate; reads go through, unless it is lost for good."""

    cloud: cfsso.CloudflareEmulator
    fate: str
    written: bool = False

    def __call__(self, request: cfsso.Request) -> Reply | None:
        """Return what comes instead of the cloud's answer."""
        if not request.is_write:
            cut = self.written and self.fate in {"lost", "late"}
            return cfsso.APIConnectionError("cut") if cut else None
        self.written = True
        if self.fate == "refused":
            return REFUSED
        if self.fate == "late":
            self.cloud.handle(request)
        states = {
            "lost": cfsso.WriteState.UNKNOWN,
            "late": cfsso.WriteState.UNKNOWN,
            "not sent": cfsso.WriteState.NOT_SENT,
        }
        write = states.get(self.fate)
        return None if write is None else cfsso.APIConnectionError("cut", write=write)


async def live(seed: int, path: Path) -> tuple[int, int]:
    """Let a world go its way; return how many of how many that were rescued are enabled again."""
    world = World.of(seed)
    await world.rescue(path)
    world.meddle()
    world.cloud.advance(3600)
    there = dict(world.connectors())
    before = world.enabled()
    still = {key for key in world.rescued if key in there and not there[key].enabled}

    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    outcomes = [outcome async for outcome in revert(connectors, path)]

    became = {(o.change.account_id, o.change.sso_connector_id): o.status for o in outcomes}
    story = f"seed {seed}: {world.foreign} {became}"
    # A domain that somebody else has enabled meanwhile can't be enabled twice.
    taken = {there[key].email_domain for key in before}
    expected = {key for key in still if there[key].email_domain not in taken}
    assert world.enabled() - before <= still, story
    assert before <= world.enabled(), story
    enabled = world.enabled() - before
    domains = [there[key].email_domain for key in expected]
    alone = {key for key in expected if domains.count(there[key].email_domain) == 1}
    assert alone <= enabled, story
    assert {there[key].email_domain for key in expected} == {
        there[key].email_domain for key in enabled
    }, story
    assert {key for key, status in became.items() if status is Status.CHANGED} == enabled, story
    assert world.rescued <= set(became) <= world.rescued | world.doubtful | world.renamed, story
    return len(enabled), len(world.rescued)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(FIRST, FIRST + WORLDS, PART))
def test_exactly_what_was_rescued(first: int) -> None:
    """What the rescue disabled and still is so is enabled again, and nothing else, ever."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - memory, no file

    async def live_all(folder: Path) -> list[tuple[int, int]]:
        """Let one world after the other go its way."""
        seeds = range(first, min(first + PART, FIRST + WORLDS))
        return [await live(seed, folder / f"{seed}") for seed in seeds]

    with tempfile.TemporaryDirectory(dir=memory) as folder:
        counts = run_in_virtual_time(live_all(Path(folder)))
    # Something was to be enabled, and something was not.
    again, rescued = map(sum, zip(*counts, strict=True))
    assert 0 < again < rescued
