"""What a seed means: the shape of one world, drawn at once."""

from random import Random
from typing import Final

import attrs

import cfsso

KINDS: Final = ("healing", "healing", "healing", "healing", "healing", "healing", "harsh", "calm")


@attrs.frozen(kw_only=True)
class Plan:
    """
    One world.

    Attributes:
        seed: What it was drawn from.
        kind:
            ``healing``: faults end in time for doubts to be settled. ``harsh``: they go
            on, and refuse reads for good too. ``calm``: there are none.
        limit: What one credential may send.
        credentials: How many there are; each serves one or two accounts.
        accounts: How many of them each serves.
        connectors: How many verified connectors each account has.
        address: What all of them together may send in a second.
        stacks: How many clients share what is counted.
        latency: How long a request takes at most to the server.
        slow: Whether it takes as long for the answer.
        dated: Whether answers have a Date.
        watched: Whether events are checked.
        rounds: How often everybody begins anew.
        callers: How many of them there are in a round.
        toggles: How many updates each of them makes in a row, at most.
        storm: How long faults last from the beginning of a round.
        rate: The share of requests that they befall.
        outage: Whether everything fails in one way for a part of the storm.
        foreign: How many writes of somebody else there are in a round.
        bursts: Whether somebody else uses up the limit of a credential.
        late: Whether writes may arrive after they were sent again.
        mortal: The share of callers that are cancelled.
        hasty: The share of callers with a short deadline.
    """

    seed: int
    kind: str
    limit: cfsso.RateLimit
    credentials: int
    accounts: int
    connectors: int
    address: int
    stacks: int
    latency: float
    slow: bool
    dated: bool
    watched: bool
    rounds: int
    callers: int
    toggles: int
    storm: float
    rate: float
    outage: bool
    foreign: int
    bursts: bool
    late: bool
    mortal: float
    hasty: float

    @classmethod
    def of(cls, seed: int, random: Random) -> "Plan":
        """Draw a world."""
        chance = random.random
        kind = random.choice(KINDS)
        tight = chance() < 0.25
        return cls(
            seed=seed,
            kind=kind,
            limit=cfsso.RateLimit(
                random.randint(3, 12) if tight else random.randint(20, 60),
                random.choice((5, 10, 30)) if tight else random.choice((10, 30, 60)),
            ),
            credentials=random.choice((1, 2, 2)),
            accounts=2,
            connectors=random.randint(2, 4),
            address=random.choice((200, 200, 200, 5, 20)),
            stacks=random.randint(1, 2),
            latency=random.choice((0.0, 0.05, 0.1)),
            slow=chance() < 0.25,
            dated=kind == "healing" or chance() < 0.8,
            watched=chance() < 0.15,
            rounds=5,
            callers=16,
            toggles=2,
            storm=random.choice((3.0, 8.0, 15.0)),
            rate=0.0 if kind == "calm" else random.uniform(0.38, 0.55),
            outage=kind != "calm" and chance() < 0.15,
            foreign=random.choice((0, 0, 4, 12)),
            bursts=chance() < 0.15,
            late=chance() < 0.15,
            mortal=random.choice((0.0, 0.1, 0.2)),
            hasty=random.choice((0.0, 0.1, 0.2)),
        )
