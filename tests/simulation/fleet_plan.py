"""What a seed of a fleet means: the shape of its world, drawn at once."""

from random import Random
from typing import Final

import attrs
from fleet_outages import Outage

import cfsso

ACTS: Final = (*["fleet"] * 7, "glass", "glass", "transfer")
# How likely a world has nothing of what goes wrong but kills, or but kills and outages.
_CALM: Final = 0.1
# A limit of which a reserve of ten would leave nothing.
_SMALL: Final = 20


@attrs.frozen(kw_only=True)
class FleetPlan:
    """
    One world.

    Attributes:
        seed: What it was drawn from.
        act: What is done there: runs of a ``fleet``, break-``glass`` or a ``transfer``.
        accounts: How many there are.
        credentials: How many tokens serve them.
        known: Whether it is known which accounts have the same token.
        limit: What one credential may send.
        latency: Seconds that a way takes at most.
        slowness: Seconds that a job of the disk takes at most.
        lag: Seconds by which reads may be old.
        storm: Seconds for which faults last from the beginning.
        rate: The share of requests that they befall.
        lies: Whether answers to writes may lie.
        foreign: How many writes of somebody else there are in the storm.
        reactive: How likely somebody else writes just after us.
        refused: Whether a token is refused from some moment on.
        renewed: Whether the operator gets a new one for it, and does not wait until it is good.
        outages: When nobody reaches the server.
        neighbour: What a second process does on the operator's tokens: ``reads`` as much as it
            may, a ``fleet`` of its own, or nothing.
        urgent: How often it disables something that is urgent.
        stray: How likely somebody tries to go on with a journal at another server.
        blocked: Whether somebody else uses up the limit of a token.
        planned: Whether there is a plan, or only changes.
        concurrency: As given to a run, like the next two.
        canary: See above.
        max_failures: See above.
        kills: How many processes may be killed.
        reverts: Whether the run is taken back.
    """

    seed: int
    act: str
    accounts: int
    credentials: int
    known: bool
    limit: cfsso.RateLimit
    latency: float
    slowness: float
    lag: float
    storm: float
    rate: float
    lies: bool
    foreign: int
    reactive: float
    refused: bool
    renewed: bool
    outages: tuple[Outage, ...]
    neighbour: str
    urgent: int
    stray: float
    blocked: bool
    planned: bool
    concurrency: int
    canary: int
    max_failures: int | None
    kills: int
    reverts: bool

    @property
    def is_quiet(self) -> bool:
        """Whether nothing goes wrong there but the operator's own programs."""
        around = self.outages or self.refused or self.neighbour or self.blocked or self.urgent
        return self.is_harmless and not around

    @property
    def is_harmless(self) -> bool:
        """Whether what goes wrong there says nothing of any target, so that none is lost by it."""
        return not (self.rate or self.foreign or self.reactive or self.lag)

    @classmethod
    def of(
        cls, seed: int, random: Random, *, former: bool = False, rescue: bool = False
    ) -> "FleetPlan":
        """
        Draw a world.

        Args:
            seed: What it is known by.
            random: What the first fields are drawn from; the others have their own.
            former: Whether there is nothing of what was not there when seeds were written down.
            rescue: Whether the glass is broken in any case, others write, and it is taken back.
        """
        plan = cls._of(seed, random)
        if rescue:
            plan = attrs.evolve(plan, act="glass", reverts=True, foreign=plan.foreign or 2)
        if former:
            return plan
        more = Random(f"more of {seed}")  # noqa: S311 - a seed is the point
        chance, pick = more.random, more.choice
        fate = 1.0 if rescue else chance()
        if fate < 2 * _CALM:
            plan = attrs.evolve(plan, rate=0.0, lies=False, foreign=0, reactive=0.0, lag=0.0)
            plan = attrs.evolve(plan, refused=False, blocked=False)
            if fate < _CALM:
                return attrs.evolve(plan, stray=pick((0.0, 0.3)))
            outages = Outage.some(more, soon=True)
            return attrs.evolve(plan, outages=outages, canary=0, max_failures=None)
        reserve = pick((0, 1, 2)) if plan.limit.requests < _SMALL else pick((0, 3, 10))
        return attrs.evolve(
            plan,
            refused=plan.refused or chance() < 0.1,
            renewed=chance() < 0.6,
            outages=Outage.some(more) if chance() < 0.3 else (),
            neighbour=pick(("", "", "", "reads", "fleet")),
            urgent=pick((0, 0, 1, 3)),
            stray=pick((0.0, 0.0, 0.3)),
            limit=attrs.evolve(plan.limit, reserve=reserve),
        )

    @classmethod
    def _of(cls, seed: int, random: Random) -> "FleetPlan":
        chance, pick = random.random, random.choice
        calm = chance() < 0.2
        peaceful = calm or chance() < 0.3
        accounts = random.randint(2, 9)
        tight = chance() < 0.2
        return cls(
            seed=seed,
            act=pick(ACTS),
            accounts=accounts,
            credentials=random.randint(1, min(3, accounts)),
            known=chance() < 0.75,
            limit=cfsso.RateLimit(random.randint(4, 12), 10)
            if tight
            else cfsso.RateLimit(random.randint(40, 90), 30),
            latency=pick((0.02, 0.1, 0.5)),
            slowness=pick((0.0, 0.005, 0.05)),
            lag=pick((0.0, 0.0, 0.0, 2.0, 5.0)),
            storm=pick((2.0, 10.0, 40.0)),
            rate=0.0 if calm else pick((0.05, 0.2, 0.4)),
            lies=not calm and chance() < 0.3,
            foreign=0 if peaceful else pick((0, 2, 8)),
            reactive=0.0 if peaceful else pick((0.0, 0.05, 0.15)),
            refused=chance() < 0.3,
            blocked=chance() < 0.15,
            renewed=False,
            outages=(),
            neighbour="",
            urgent=0,
            stray=0.0,
            planned=chance() < 0.6,
            concurrency=pick((1, 2, 4, 16)),
            canary=pick((0, 0, 1, 2)),
            max_failures=pick((None, None, 0, 1, 3)),
            kills=pick((0, 1, 1, 2, 3)),
            reverts=chance() < 0.5,
        )
