"""What a seed of a fleet means: the shape of its world, drawn at once."""

from random import Random
from typing import Final

import attrs

import cfsso

ACTS: Final = (*["fleet"] * 7, "glass", "glass", "transfer")


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
        return not (self.rate or self.foreign or self.reactive or self.lag or self.refused)

    @classmethod
    def of(cls, seed: int, random: Random) -> "FleetPlan":
        """Draw a world."""
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
            planned=chance() < 0.6,
            concurrency=pick((1, 2, 4, 16)),
            canary=pick((0, 0, 1, 2)),
            max_failures=pick((None, None, 0, 1, 3)),
            kills=pick((0, 1, 1, 2, 3)),
            reverts=chance() < 0.5,
        )
