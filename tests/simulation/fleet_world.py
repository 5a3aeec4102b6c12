"""One fleet from its beginning to its end."""

import asyncio
import random as global_random
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from fleet_keys import Keys
from fleet_limits import Windows
from fleet_links import FAULTY, LIES, LaggingCloud, Roads
from fleet_neighbours import Neighbours
from fleet_operator import Operator
from fleet_oracle import Oracle
from fleet_others import Others
from fleet_outages import Weather
from fleet_plan import FleetPlan
from fleet_process import FleetLoop, simulated
from fleet_report import FleetReport
from fleet_truth import Track, Truth

from cfsso.fleet import Change

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only as a folder for a folder of our own
_TOKEN: Final = "token-{}"
# By then the last write has arrived, wherever it was.
_QUIET: Final = 60.0


class FleetWorld:
    """
    The emulator, the operator, and all others.

    Attributes:
        plan: What it is made by.
        random: What its former parts are drawn from; what came later has its own.
        tokens: Who has which, by account of the operator.
        keys: What tokens are presented as.
        weather: When the server is away.
        tracks: All connectors of the operator.
        moves: Pairs of connectors of one domain, of which the first one is enabled.
    """

    def __init__(
        self, plan: FleetPlan, random: Random, folder: Path, *, keeps_trace: bool = False
    ) -> None:
        self.plan, self.random, self.folder = plan, random, folder
        self.more = Random(f"later parts of {plan.seed}")  # noqa: S311 - a seed is the point
        self.truth = Truth()
        self.oracle = Oracle(
            self.truth, slowness=plan.slowness, lag=plan.lag, keeps_trace=keeps_trace
        )
        self.oracle.windows = Windows(plan.limit)
        self.weather = Weather(plan.outages)
        self.cloud = LaggingCloud(
            self.oracle, random, plan.lag, rate_limit=plan.limit, seed=plan.seed
        )
        self.tokens: dict[str, str] = {}
        self.moves: list[tuple[Track, Track]] = []
        self._routes: dict[str, str] = {}
        self._settle_down()
        self.neighbours = Neighbours(self, self.more)
        self.neighbours.settle_down()
        served: dict[str, list[str]] = {}
        for account, token in self._routes.items():
            served.setdefault(token, []).append(account)
        self.keys = Keys(self.cloud, served)
        self.cloud.add_token("token-foreign", list(self.tokens))
        self.others = Others(self)
        self.oracle.noticed = self.others.notice
        faults = LIES if plan.lies else FAULTY
        self.roads = Roads(
            self.cloud,
            self.oracle,
            self._routes,
            self.keys,
            self.weather,
            random,
            plan.latency,
            faults,
        )
        self.operator = Operator(self)

    @property
    def accounts(self) -> list[str]:
        """The ids of all accounts."""
        return list(self.tokens)

    @property
    def tracks(self) -> list[Track]:
        """All connectors of the operator."""
        return [track for track in self.truth.tracks.values() if track.account in self.tokens]

    def _settle_down(self) -> None:
        plan, random = self.plan, self.random
        for number in range(plan.accounts):
            token = _TOKEN.format(number % plan.credentials)
            account = self.add_account(token)
            self.tokens[account] = token
            for place in range(random.randint(1, 3)):
                self.add(account, f"d{place}.a{number}.example", random.random() < 0.4)
        for number in range(random.randint(0, 2) if plan.act == "fleet" else 1):
            source, target = random.sample(self.accounts, 2)
            domain = f"m{number}.example"
            pair = self.add(source, domain, enabled=True), self.add(target, domain, enabled=False)
            self.moves.append(pair)

    def add_account(self, token: str) -> str:
        """Add an account that a token serves."""
        account = self.cloud.add_account()
        self._routes[account] = token
        return account

    def add(self, account: str, domain: str, enabled: bool) -> Track:  # noqa: FBT001
        """Add a connector."""
        state = "verified"
        if not enabled and not domain.startswith("m") and self.random.random() < 0.2:
            state = self.random.choice(("awaiting", "pending", "failed"))
        self.cloud.add_connector(account, email_domain=domain, enabled=enabled, status=state)
        track = Track(account, self.cloud.to_state()["accounts"][account]["connectors"][-1])
        self.truth.tracks[track.id] = track
        return track

    def wishes(self) -> list[Change]:
        """Draw changes; a domain moves only by a plan."""
        random, changes = self.random, list[Change]()
        for track in self.tracks:
            if random.random() < 0.7 and not any(track in pair for pair in self.moves):
                changes.append(self._wish(track))
        for source, target in self.moves if self.plan.planned else ():
            changes.append(Change(source.account, source.id, enabled=False))
            changes.append(Change(target.account, target.id, enabled=True))
        if random.random() < 0.2:
            changes.append(Change(random.choice(self.accounts), "f" * 32, enabled=True))
        random.shuffle(changes)
        return changes or [self._wish(self.tracks[0])]

    def _wish(self, track: Track) -> Change:
        chance, shown = self.random.random(), track.now.shown
        assert shown is not None
        enabled, wording = not shown["enabled"], not shown["use_fedramp_language"]
        if chance < 0.1:
            return Change(track.account, track.id, enabled=not enabled)
        if chance < 0.25:
            return Change(track.account, track.id, use_fedramp_language=wording)
        if chance < 0.35:
            return Change(track.account, track.id, enabled=enabled, use_fedramp_language=wording)
        return Change(track.account, track.id, enabled=enabled)

    async def live(self) -> None:
        """Let the operator work in a storm, then heal, let all end, and see that it is well."""
        plan, loop = self.plan, asyncio.get_running_loop()
        await asyncio.sleep(1.0)
        self.roads.faulty.rate = plan.rate
        loop.call_later(plan.storm, self.heal)
        around = [loop.create_task(self.others.live()), loop.create_task(self.neighbours.live())]
        if plan.blocked:
            around.append(loop.create_task(self.others.use_up()))
        refusal = loop.call_later(10 ** self.random.uniform(-1.5, 0.6), self._refuse)
        if not plan.refused:
            refusal.cancel()
        await self.operator.work()
        await asyncio.gather(*around)
        refusal.cancel()
        self.heal()
        await asyncio.sleep(self.weather.left)
        self.others.writing = False
        self.keys.restore()
        self.cloud.lag = 0.0
        await asyncio.sleep(_QUIET)
        await self.operator.finish()
        await self.neighbours.finish()
        await asyncio.sleep(_QUIET)
        self.oracle.stays()
        self._is_as_known()

    def heal(self) -> None:
        """End all faults."""
        self.roads.faulty.heal()

    def same(self, account: str) -> str:
        """Return what the operator knows an account's token by."""
        return self.tokens[account] if self.plan.known else account

    def _refuse(self) -> None:
        """From now on a token is refused."""
        self.oracle.counts["tokens refused"] += 1
        self.keys.revoke(self.random.choice(sorted(set(self.tokens.values()))))

    def _is_as_known(self) -> None:
        for account in self._routes:
            there = {
                c.id: (c.enabled, c.use_fedramp_language) for c in self.cloud.connectors(account)
            }
            known = {
                t.id: (t.now.shown["enabled"], t.now.shown["use_fedramp_language"])
                for t in self.truth.of_account(account)
                if t.now.shown is not None
            }
            if there != known:
                self.oracle.breaks(None, f"the model knows {account} otherwise than the emulator")


def simulate_fleet(seed: int, *, keeps_trace: bool = False, **kind: bool) -> FleetReport:
    """Let the fleet of *seed* run and return what became of it; *kind* as for `FleetPlan.of`."""
    random = Random(seed)  # noqa: S311 - a seed is the point
    global_random.seed(seed)
    plan = FleetPlan.of(seed, random, **kind)
    where = _MEMORY if _MEMORY.is_dir() else None

    async def live() -> FleetWorld:
        with simulated(asyncio.get_running_loop()):
            world = FleetWorld(plan, random, Path(folder), keeps_trace=keeps_trace)
            try:
                await world.live()
            finally:
                for program in [*world.operator.programs, *world.neighbours.programs]:
                    program.process.close()
            return world

    with (
        tempfile.TemporaryDirectory(dir=where) as folder,
        asyncio.Runner(loop_factory=FleetLoop) as runner,
    ):
        return FleetReport.of(runner.run(live()))
