"""Break-glass and transfers: what is done there, and what may be said of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fleet_endings import ends_by_right
from fleet_truth import Program, Track, said

import cfsso
from cfsso import fleet
from cfsso.fleet import Outcome

if TYPE_CHECKING:
    from fleet_operator import Operator
    from fleet_world import FleetWorld

_OPEN = {"enabled": False}
# How likely somebody first gets the domain wrong.
_MISTYPED = 0.5


class Rescue(NamedTuple):
    """
    A rescue that can be taken back.

    Attributes:
        program: The process that did it.
        journal: What it left.
    """

    program: Program
    journal: Path


class GlassVerdicts:
    """
    Opens accounts and moves domains, and judges what is said of that.

    Attributes:
        domain: The domain to open. ``None``: all.
        rescues: Those whose journals have not been taken back, in their order.
    """

    def __init__(self, world: "FleetWorld") -> None:
        self.world = world
        track = world.random.choice(world.tracks)
        self.domain = track.domain if world.random.random() < 0.3 else None
        self.rescues: list[Rescue] = []
        self._concurrency = world.random.choice((1, 3, 200))

    async def rescue(self, operator: "Operator", *, last: bool = False) -> None:
        """Break the glass, until it was not cut off."""
        oracle = self.world.oracle
        oracle.counts["break-glass"] += 1
        if self.domain is not None and self.world.more.random() < _MISTYPED:
            await self._mistype(operator, f"{self.domain}l")
        cut = True
        while cut:
            path = operator.new_path()

            async def work(
                program: Program, client: cfsso.AsyncSSOConnectors, path: Path = path
            ) -> None:
                """Open all accounts."""
                await self._break(program, client, self.domain, path)
                self._has_all(program)
                if last:
                    self._is_open(program)

            program = await operator.execute("glass", work, doomed=not last, journal=path)
            cut = program.cut
            left = operator.left
            if left is not None and left.exists():
                self.rescues.append(Rescue(program, left))

    async def _break(
        self, program: Program, client: cfsso.AsyncSSOConnectors, domain: str | None, path: Path
    ) -> None:
        outcomes = fleet.break_glass(
            client, self.world.accounts, domain=domain, concurrency=self._concurrency, journal=path
        )
        async for outcome in outcomes:
            program.process.passes("outcome")
            self._takes(program, outcome)

    async def _mistype(self, operator: "Operator", domain: str) -> None:
        """Break the glass for a domain that nobody has."""
        oracle = self.world.oracle
        path = operator.new_path()

        async def work(program: Program, client: cfsso.AsyncSSOConnectors) -> None:
            """Open nothing, and hear of it."""
            await self._break(program, client, domain, path)
            oracle.counts["mistyped domains"] += 1
            told = {outcome.change.account_id for _, outcome in program.outcomes}
            if program.writes or told != {*self.world.accounts}:
                oracle.breaks(program, f"F14 {domain} is nobody's: {program.outcomes}")
            for _, outcome in program.outcomes:
                if outcome.status.is_green:
                    oracle.breaks(program, f"F14 {outcome.status} for {domain}, which nobody has")

        await operator.execute("glass", work, doomed=False, journal=path)

    def _takes(self, program: Program, outcome: Outcome) -> None:
        oracle, change = self.world.oracle, outcome.change
        oracle.note("says", program, change.account_id, change.sso_connector_id, outcome.status)
        oracle.counts[f"ended {outcome.status}"] += 1
        oracle.counts["targets"] += 1
        program.outcomes.append((oracle.now(), outcome))
        ends_by_right(oracle, program, outcome)
        before = [o for _, o in program.outcomes[:-1] if o.change == change]
        if before:
            oracle.breaks(
                program, f"F3 {change} ends twice, as {said(before[0])} and {said(outcome)}"
            )
        if outcome.status == "changed" and not program.writes_of(change.sso_connector_id):
            oracle.breaks(program, f"F14 changed, and nothing was written: {said(outcome)}")
        if not outcome.status.is_green:
            return
        tracks = self._meant(change.account_id)
        if change.sso_connector_id:
            tracks = [self.world.truth.tracks[change.sso_connector_id]]
        for track in tracks:
            if not self._was(program, track, _OPEN) and track.now.shown is not None:
                oracle.breaks(program, f"F8 {outcome.status}, and it is not open: {track.versions}")

    def _meant(self, account: str) -> list[Track]:
        return [
            track
            for track in self.world.truth.of_account(account)
            if self.domain in {None, track.domain}
        ]

    @staticmethod
    def _was(program: Program, track: Track, wished: dict[str, bool]) -> bool:
        """Whether it was so when the last read that showed it was under way."""
        read = program.reads.get(track.id)
        late = read is None or any(
            sent.left > read.begun and sent.arrived is not None
            for sent in program.writes_of(track.id)
        )
        return (
            read is not None
            and not late
            and any(v.shows(wished) for v in track.between(read.shown_at, read.ended))
        )

    def _has_all(self, program: Program) -> None:
        oracle = self.world.oracle
        for sent in program.writes:
            if json.loads(sent.request.body or b"{}") != _OPEN:
                oracle.breaks(program, f"F8 it writes {sent.request.body!r}")
        told = {outcome.change.account_id for _, outcome in program.outcomes}
        if missing := set(self.world.accounts) - told:
            oracle.breaks(program, f"F8 no outcome for {missing}")
        bad = {
            (outcome.change.account_id, outcome.change.sso_connector_id)
            for _, outcome in program.outcomes
            if not outcome.status.is_green
        }
        named = {outcome.change.sso_connector_id for _, outcome in program.outcomes}
        for account in self.world.accounts:
            for track in self._meant(account):
                shown = track.now.shown
                if (account, "") not in bad and track.id not in named and shown is not None:
                    oracle.breaks(program, f"F14 no outcome for {track.path}")
                said = (account, track.id) in bad or (account, "") in bad
                if shown and shown["enabled"] and not said and not track.foreign(0, oracle.now()):
                    oracle.breaks(program, f"F8 not open, and not said: {track.path}")

    def _is_open(self, program: Program) -> None:
        """With nobody and nothing in the way all is open, if there is anything left to open."""
        meant = (track for account in self.world.accounts for track in self._meant(account))
        if self.domain is not None and all(track.now.shown is None for track in meant):
            return
        for _, outcome in program.outcomes:
            if not outcome.status.is_green:
                self.world.oracle.breaks(program, f"F8 in the end {said(outcome)}")

    async def move(self, operator: "Operator", *, last: bool = False) -> None:
        """Transfer a domain, until it was not cut off."""
        oracle = self.world.oracle
        oracle.counts["transfers"] += 1
        source, target = self.world.moves[0]

        async def work(program: Program, client: cfsso.AsyncSSOConnectors) -> None:
            """Transfer it."""
            program.options["transfer"] = source, target
            pair = await fleet.transfer(
                client, source.domain, source=source.account, target=target.account
            )
            if program.process.dead:
                return
            for outcome, track, wished in zip(pair, (source, target), (False, True), strict=True):
                self._ends(program, outcome, track, {"enabled": wished})
                foreign = track.foreign(0.0, oracle.now())
                if last and not foreign and not self._elsewhere() and not outcome.status.is_green:
                    oracle.breaks(program, f"F8 in the end {said(outcome)}")

        while (await operator.execute("transfer", work, doomed=not last)).cut:
            pass

    def _elsewhere(self) -> bool:
        """Whether somebody else has written either connector."""
        return any(track.foreign(0.0, self.world.oracle.now()) for track in self.world.moves[0])

    def _ends(
        self, program: Program, outcome: Outcome, track: Track, wished: dict[str, bool]
    ) -> None:
        oracle = self.world.oracle
        oracle.note("says", program, track.id, outcome.status, outcome.note)
        oracle.counts[f"ended {outcome.status}"] += 1
        oracle.counts["targets"] += 1
        # What was not there from the beginning is disabled.
        absent = outcome.before is None and not wished["enabled"]
        if outcome.status.is_green and not absent and not self._was(program, track, wished):
            oracle.breaks(program, f"F1 {outcome.status} of a transfer: {track.versions}")


def may_transfer(oracle: Any, program: Program, key: str, enabled: bool) -> None:  # noqa: FBT001
    """See that a transfer enables only what nobody has, and takes back only what it did."""
    source, target = program.options["transfer"]
    read = program.reads.get(source.id)
    if key == target.id:
        if not enabled:
            oracle.breaks(program, "F5 a transfer disables its target")
        if read is not None and read.shown is not None and read.shown["enabled"]:
            oracle.breaks(program, "F5 enabled before the other one is known to be disabled")
    elif key != source.id:
        oracle.breaks(program, f"F4 a transfer writes {key}")
    elif enabled:
        # What others wrote before a look showed it disabled can't be told from our own write.
        looks = [look for k, look in program.looks if k == key and look.shown]
        off = [look.ended for look in looks if look.shown and not look.shown["enabled"]]
        if read is None or not off or source.at(read.shown_at).time > off[0]:
            oracle.breaks(program, f"F2 taken back, though somebody else wrote: {source.versions}")
