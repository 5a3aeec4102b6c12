"""A window gives each place to whoever is first in line, and never one too many."""

import asyncio
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cfsso.testing import VirtualTimeLoop
from cfsso.transports._others import NEVER
from cfsso.transports._ranks import Rank
from cfsso.transports._window import Place, Window

SECONDS = 8.0
QUOTA = 4
NEW = Rank.NEW

pytestmark = pytest.mark.virtual_time


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


async def settle() -> None:
    """Let every task go on as far as it can without time."""
    for _ in range(5):
        await asyncio.sleep(0)


def enter(window: Window, rank: Rank = NEW, latest: float = NEVER) -> asyncio.Task[Place]:
    """Wait for a place in a task of its own."""
    return asyncio.ensure_future(window.enter(rank, latest))


def take(window: Window) -> Place:
    """Return a place that must be free."""
    place = window.try_enter(now())
    assert place is not None
    return place


def free(window: Window) -> int:
    """Return how many places may be taken now, by taking and giving back all of them."""
    places = []
    while (place := window.try_enter(now())) is not None:
        places.append(place)
    for place in places:
        window.give_back(place)
    return len(places)


async def test_a_place_is_free_again_when_its_holder_said() -> None:
    """A place that was left is taken until the time that was named, and not longer."""
    window = Window(1)
    window.leave(take(window), 10.0, answered=True)
    waiting = enter(window)
    await asyncio.sleep(9.999)

    assert not waiting.done()
    assert window.try_enter(now()) is None
    await asyncio.wait([waiting])
    assert 10.0 == now()
    window.give_back(await waiting)
    assert window.is_idle(now())


async def test_places_are_free_in_the_order_of_their_times() -> None:
    """Whichever was left first, the one that is free first serves first."""
    window = Window(2)
    places = [take(window), take(window)]
    window.leave(places[0], 20.0, answered=True)
    window.leave(places[1], 10.0, answered=True)

    times = []
    for task in [enter(window), enter(window)]:
        await task
        times.append(now())
    assert [10.0, 20.0] == times


async def test_ranks_and_their_order() -> None:
    """The urgent go first, then what was begun, then the rest; among equals who came first."""
    window = Window(1)
    place = take(window)
    served: list[str] = []

    async def serve(name: str, rank: Rank) -> None:
        window_place = await window.enter(rank)
        served.append(name)
        window.give_back(window_place)

    ranks = [("n1", NEW), ("b1", Rank.BEGUN), ("u1", Rank.URGENT), ("n2", NEW), ("u2", Rank.URGENT)]
    tasks = [asyncio.ensure_future(serve(*row)) for row in ranks]
    await settle()
    assert 5 == window.waiting
    window.give_back(place)
    await asyncio.wait(tasks)

    assert ["u1", "u2", "b1", "n1", "n2"] == served


async def test_nobody_overtakes_those_who_wait() -> None:
    """As long as somebody waits, a place at once is for nobody."""
    window = Window(1)
    place = take(window)
    waiting = enter(window)
    await settle()
    window.give_back(place)

    # The place has its new holder already, who only has to be told.
    assert window.try_enter(now()) is None
    window.give_back(await waiting)
    assert 1 == free(window)


@pytest.mark.parametrize("when", ["before", "just before", "just after"])
async def test_a_cancelled_wait_leaves_nothing(when: str) -> None:
    """Whoever gives up is out of the line, even as the place is given to him."""
    window = Window(1)
    place = take(window)
    first, second = enter(window), enter(window)
    await settle()
    if when == "just after":
        window.give_back(place)
    first.cancel()
    if when == "just before":
        window.give_back(place)
    await asyncio.wait([first])
    if when == "before":
        window.give_back(place)

    assert first.cancelled()
    window.give_back(await second)
    assert (0, 0, None) == (window.under_way, window.waiting, window._timer)


async def test_a_cancelled_wait_leaves_no_timer() -> None:
    """When nobody waits any more, nothing wakes the window."""
    window = Window(1)
    window.leave(take(window), 10.0, answered=True)
    waiting = enter(window)
    await settle()
    assert window._timer is not None
    waiting.cancel()
    await asyncio.wait([waiting])

    assert window._timer is None


async def test_a_timer_that_is_early_is_set_again() -> None:
    """A loop may call a bit too soon, by the resolution of its clock; that gives no place."""
    window = Window(1)
    window.leave(take(window), 10.0, answered=True)
    waiting = enter(window)
    await asyncio.sleep(9.5)
    assert window._timer is not None
    window._timer.cancel()
    window._wake()
    await settle()

    assert not waiting.done()
    await waiting
    assert 10.0 == now()


async def test_a_probe_goes_first_and_alone() -> None:
    """After closing one goes, and all others wait for what it brings."""
    window = Window(5)
    window.close(10.0)
    tasks = [enter(window) for _ in range(3)]
    await asyncio.sleep(20)

    assert [True, False, False] == [task.done() for task in tasks]
    probe = await tasks[0]
    assert probe.probe
    window.leave(probe, now(), answered=True)
    await settle()
    assert [False, False] == [(await task).probe for task in tasks[1:]]


@pytest.mark.parametrize("how", ["unanswered", "given back", "cancelled"])
async def test_a_probe_that_brings_nothing(how: str) -> None:
    """A probe without an answer is followed by another one."""
    window = Window(5)
    window.close(10.0)
    tasks = [enter(window) for _ in range(3)]
    await asyncio.sleep(9)
    if how == "cancelled":
        # At the very moment at which it gets its place.
        asyncio.get_running_loop().call_at(10.0, tasks[0].cancel)
    await asyncio.sleep(2)
    if how == "unanswered":
        window.leave(await tasks[0], now(), answered=False)
    elif how == "given back":
        window.give_back(await tasks[0])
    await settle()

    assert [True, False] == [task.done() for task in tasks[1:]]
    assert (await tasks[1]).probe
    window.give_back(await tasks[1])
    assert (await tasks[2]).probe


async def test_closing_again_while_a_probe_is_out() -> None:
    """A refusal that comes late closes for longer, and asks for another probe."""
    window = Window(5)
    window.close(10.0)
    await asyncio.sleep(10)
    probe = take(window)
    window.close(30.0)
    window.leave(probe, now(), answered=True)

    assert not window.is_good(probe)
    assert 20.0 == window.closed_for(now())
    assert (await enter(window)).probe
    assert 30.0 == now()


async def test_that_one_goes_first_is_remembered() -> None:
    """A window that nobody waited for is kept for an hour after it opens, for its probe."""
    window = Window(5)
    window.close(10.0)
    idle = []
    for at in (9.0, 11.0, 3609.0, 3611.0):
        await asyncio.sleep(at - now())
        idle.append(window.is_idle(now()))

    assert [False, False, False, True] == idle
    assert take(window).probe


async def test_closing_never_opens_sooner() -> None:
    """Of two closings the longer one counts."""
    window = Window(5)
    window.close(30.0)
    window.close(10.0)

    assert 30.0 == window.closed_for(now())
    await enter(window)
    assert 30.0 == now()


async def test_closing_calls_places_back() -> None:
    """A place that was given before a closing is good for nothing but to be given back."""
    window = Window(5)
    before = take(window)
    assert window.is_good(before)
    window.close(0.0)

    assert not window.is_good(before)
    assert window.is_good(take(window))


async def test_whoever_cannot_wait_is_told_at_once() -> None:
    """A closing ends the waits that would end in vain, and no others."""
    window = Window(1)
    place = take(window)
    tasks = [enter(window, latest=at) for at in (50.0, NEVER, 100.0)]
    await settle()
    tasks.append(enter(window, latest=1.0))
    tasks[-1].cancel()
    window.close(70.0)
    await settle()

    assert [True, False, False, True] == [task.done() for task in tasks]
    assert isinstance(tasks[0].exception(), TimeoutError)
    assert tasks[3].cancelled()
    window.give_back(place)
    window.give_back(await tasks[1])
    window.give_back(await tasks[2])
    assert 70.0 == now()


async def test_closing_for_good_ends_all_waits() -> None:
    """What is closed for good has nobody waiting, and no timer."""
    window = Window(1)
    window.leave(take(window), 10.0, answered=True)
    tasks = [enter(window), enter(window, Rank.URGENT)]
    await settle()
    window.close(1e9, for_good=True)
    await settle()

    assert all(isinstance(task.exception(), TimeoutError) for task in tasks)
    assert (0, None) == (window.waiting, window._timer)


async def test_opening_takes_back_all_closing() -> None:
    """Who waits for a window that opens goes at once."""
    window = Window(5)
    window.close(10.0)
    tasks = [enter(window) for _ in range(2)]
    await settle()
    window.open()
    await settle()

    assert [False, False] == [(await task).probe for task in tasks]
    assert 0.0 == now()


async def test_heeding_lets_so_many_pass() -> None:
    """What the server has left is shared by those who go, until that no longer holds."""
    window = Window(10)
    place = take(window)
    window.heed(3, 20.0, now())
    window.leave(place, SECONDS, answered=True)

    places = [take(window) for _ in range(3)]
    assert window.try_enter(now()) is None
    window.give_back(places.pop())
    places.append(take(window))
    assert window.try_enter(now()) is None
    probe = await enter(window)
    assert 20.0 == now()
    assert probe.probe
    assert window.try_enter(now()) is None
    window.leave(probe, now(), answered=True)
    assert 7 == free(window)


async def test_heeding_counts_those_under_way() -> None:
    """Who is under way may not be counted yet; who has not sent yet is called back."""
    window = Window(10)
    places = [take(window) for _ in range(5)]
    window.heed(2, 20.0, now())

    assert window.try_enter(now()) is None
    assert [False] * 5 == [window.is_good(place) for place in places]
    for place in places[1:]:
        window.give_back(place)
    assert 2 == free(window)


async def test_heeding_only_slows_down() -> None:
    """More than our own window allows changes nothing, and takes back an older word."""
    window = Window(3)
    place = take(window)
    window.heed(0, 20.0, now())
    assert 0 == free(window)
    window.heed(10**9, 20.0, now())
    assert window.is_good(take(window))
    window.leave(place, SECONDS, answered=True)

    assert 1 == free(window)


async def test_what_remains_holds_for_a_while_only() -> None:
    """Places that were left unused do not make the next one a probe."""
    window = Window(10)
    place = take(window)
    window.heed(3, 5.0, now())
    window.leave(place, 1.0, answered=True)
    await asyncio.sleep(6)

    assert 10 == free(window)
    assert not take(window).probe


async def test_another_size() -> None:
    """More places serve who waits; fewer are in force as places come back."""
    window = Window(1)
    places = [take(window)]
    waiting = enter(window)
    await settle()
    window.resize(2)
    places.append(await waiting)
    window.resize(1)
    for place in places:
        window.leave(place, 5.0 * len(places), answered=True)
    assert [10.0, 10.0] == window._free_at
    assert 10.0 == window.estimate(NEW, SECONDS, now())
    await asyncio.sleep(10)

    assert 1 == free(window)


@pytest.mark.parametrize("quota", [1, 2, 7])
async def test_an_estimate_comes_true(quota: int) -> None:
    """If all others leave at once, a newcomer waits exactly as long as was said."""
    window = Window(quota)
    for n in range(quota):
        window.leave(take(window), 1.0 + n / 10, answered=True)
    said, came = [], []

    async def pass_through() -> None:
        said.append(window.estimate(NEW, SECONDS, now()))
        place = await window.enter(NEW)
        came.append(now())
        window.leave(place, now() + SECONDS, answered=True)

    await asyncio.gather(*(pass_through() for _ in range(20)))
    assert came == pytest.approx(said)


async def test_what_an_estimate_counts() -> None:
    """An estimate knows closings, a server's word and who is under way, and never lies high."""
    window = Window(2)
    assert 0.0 == window.estimate(NEW, SECONDS, now())
    places = [take(window), take(window)]
    assert SECONDS == window.estimate(NEW, SECONDS, now())
    window.give_back(places.pop())
    window.heed(0, 30.0, now())
    assert 30.0 == window.estimate(NEW, SECONDS, now())
    window.close(40.0)
    assert 40.0 == window.estimate(Rank.URGENT, SECONDS, now())


async def test_the_reserve_is_for_the_urgent() -> None:
    """Of six places with two in reserve others get four, and the urgent all that are left."""
    window = Window(6, reserve=2, seconds=SECONDS)
    places = [take(window) for _ in range(4)]

    assert window.try_enter(now()) is None
    urgent = [window.try_enter(now(), urgent=True) for _ in range(3)]
    assert [True, True, False] == [place is not None for place in urgent]
    # A place that is left is nobody's but theirs as long as the others have four.
    waiting = enter(window, NEW), enter(window, Rank.BEGUN), enter(window, Rank.URGENT)
    await settle()
    window.give_back(places.pop())
    await settle()
    assert [False, False, True] == [task.done() for task in waiting]


async def test_the_urgent_pass_those_who_wait_for_what_is_in_reserve() -> None:
    """Whoever waits because only the reserve is left holds up nobody who may take it."""
    window = Window(3, reserve=1, seconds=SECONDS)
    window.leave(take(window), 10.0, answered=True)
    take(window)
    waiting = enter(window)
    await settle()
    urgent = await enter(window, Rank.URGENT)
    window.give_back(urgent)
    await settle()

    assert not waiting.done()
    await waiting
    assert 10.0 == now()


@pytest.mark.parametrize(("left", "passed"), [(3, 0), (5, 0), (6, 1), (7, 4), (10, 4)])
async def test_what_others_hold_leaves_the_reserve(left: int, passed: int) -> None:
    """If a server says how much is left, others may take what is above the reserve."""
    window = Window(10, reserve=3, seconds=SECONDS)
    place = take(window)
    places = [take(window) for _ in range(2)]
    window.heed(left, 5.0, now())
    for other in [place, *places]:
        window.leave(other, 100.0, answered=True)

    # Two of those that were under way are not counted yet, for all that is known.
    found = 0
    while (another := window.try_enter(now())) is not None:
        found += 1
        window.leave(another, 100.0, answered=True)
    assert passed == found
    assert window.try_enter(now(), urgent=True) is not None


async def test_what_others_hold_comes_free() -> None:
    """One when the server said that something changes, and then a reserve in each window."""
    window = Window(10, reserve=3, seconds=SECONDS)
    place = take(window)
    window.heed(1, 5.0, now())
    window.leave(place, now(), answered=True)
    # They hold eight: for one more to pass, two have to go, and then one each time.
    assert 7.0 == window.estimate(NEW, SECONDS, now())
    assert 0.0 == window.estimate(Rank.URGENT, SECONDS, now())
    came = []
    for _ in range(3):
        place = await enter(window)
        came.append(now())
        window.leave(place, 100.0, answered=True)
    assert [7.0, 9.0, 11.0] == came


async def test_others_have_some_under_way() -> None:
    """The nearer others are to the reserve, the fewer go side by side; the urgent do anyway."""
    window = Window(100, reserve=4, seconds=SECONDS)
    place = take(window)
    window.heed(4 + 4 * 16, 5.0, now())
    window.leave(place, now(), answered=True)
    places = [take(window) for _ in range(4)]

    assert window.try_enter(now()) is None
    waiting = enter(window)
    await settle()
    assert not waiting.done()
    assert window.try_enter(now(), urgent=True) is None
    window.give_back(await enter(window, Rank.URGENT))
    window.give_back(places.pop())
    await settle()
    assert waiting.done()


async def test_a_closing_is_the_last_word_on_others() -> None:
    """After a refusal others are not held against anybody: its time was for them as well."""
    window = Window(10, reserve=3, seconds=SECONDS)
    place = take(window)
    window.heed(1, 5.0, now())
    window.close(10.0)
    window.heed(0, 10.0, now())
    window.leave(place, now(), answered=True)

    assert (await enter(window)).probe
    assert 10.0 == now()


@pytest.mark.parametrize(("rank", "passes"), [(NEW, True), (Rank.URGENT, False)])
async def test_the_urgent_wait_for_no_other_probe(rank: Rank, passes: bool) -> None:  # noqa: FBT001
    """A probe that hangs holds up the urgent only if it is urgent, too: one goes first of them."""
    window = Window(9)
    window.close(10.0)
    first = await enter(window, rank)
    assert first.probe
    waiting = [enter(window, Rank.URGENT) for _ in range(2)]
    await settle()

    assert [passes, False] == [task.done() for task in waiting]
    if passes:
        second = await waiting[0]
        assert second.probe
        # The first one has hung for long; what counts is the latest.
        window.leave(first, now(), answered=False)
        await settle()
        assert not waiting[1].done()
        window.leave(second, now(), answered=True)
    else:
        window.leave(first, now(), answered=True)
    await settle()
    assert waiting[1].done()


async def test_a_probe_that_was_passed_clears_the_way() -> None:
    """Its answer is as good as that of the other, unless there was a refusal in between."""
    window = Window(9)
    window.close(10.0)
    probes = [await enter(window), await enter(window, Rank.URGENT)]
    window.leave(probes[0], now(), answered=True)
    assert 8 == free(window)
    window.leave(probes[1], now(), answered=False)
    assert 9 == free(window)

    window.close(20.0)
    probes = [await enter(window)]
    window.close(30.0)
    probes.append(await enter(window, Rank.URGENT))
    window.leave(probes[0], now(), answered=True)
    assert 0 == free(window)


async def test_who_waits_because_of_others_goes_when_they_are_gone() -> None:
    """One request goes at a time while others have places; a wait for them ends by itself."""
    window = Window(4, reserve=1, seconds=8.0)
    first = await enter(window)
    window.heed(1, now() + 1.0, now())
    second = asyncio.ensure_future(window.enter(Rank.BEGUN))
    await asyncio.sleep(0.5)
    assert not second.done()

    await asyncio.sleep(8.0)
    assert second.done()
    window.leave(first, now(), answered=True)
    window.leave(second.result(), now(), answered=True)


class Machine(RuleBasedStateMachine):
    """A window whose every grant is checked against what was asked for before."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.window = Window(QUOTA, reserve=1, seconds=SECONDS)
        # Who waits, in the order of coming.
        self.line: list[Caller] = []
        self.held: list[Place] = []
        self.until: list[float] = []
        self.closed_until = 0.0
        self.probing = False
        # Those that have to come back before others go; each went past the one before.
        self.probes: list[Place] = []
        self.left, self.left_until = NEVER, NEVER
        # When the places of others are free.
        self.others: list[float] = []

    def now(self) -> float:
        return self.runner.get_loop().time()

    async def _enter(self, caller: "Caller") -> None:
        place = await self.window.enter(caller.rank, caller.latest)
        self.grant(place, urgent=caller.rank is Rank.URGENT)
        better = [c for c in self.line if c.rank < caller.rank and not c.gone]
        assert [] == better
        assert caller is next(c for c in self.line if c.rank == caller.rank and not c.gone)
        self.line.remove(caller)

    def expire(self) -> float:
        """Let pass what is over by now."""
        now = self.now()
        self.until = [at for at in self.until if at > now]
        self.others = [at for at in self.others if at > now]
        if self.left_until <= now:
            self.probing = self.probing or self.left <= 0
            self.left = self.left_until = NEVER
        return now

    def grant(self, place: Place, *, urgent: bool) -> None:
        """See that nothing forbids this place."""
        now = self.expire()
        taken = len(self.held) + len(self.until)
        assert taken < QUOTA
        assert urgent or taken + len(self.others) < QUOTA - 1
        assert urgent or not self.others or not self.held
        assert now >= self.closed_until
        assert self.left > 0
        assert not self.probes or (urgent and not self.probes[-1].urgent)
        assert place.probe is (self.probing or bool(self.probes))
        assert place.urgent is (urgent and place.probe)
        self.probing = False
        if place.probe:
            self.probes.append(place)
        self.left -= 1
        self.held.append(place)

    def run(self, *acts: Any) -> None:
        """Do all of it within one step of the loop, then let everybody go on."""

        async def main() -> None:
            for act in acts:
                act()
            await settle()
            self.line = [caller for caller in self.line if not caller.gone]
            for caller in self.line:
                assert caller.task is not None
                assert not caller.task.done(), caller.error()

        self.runner.run(main())

    def come_back(self, place: Place, *, answered: bool) -> None:
        """Let a probe, if it is one, decide over the others."""
        if place not in self.probes:
            return
        self.probes.remove(place)
        if answered and self.window.is_good(place):
            self.probes = []
        self.probing = self.probing or not (self.probes or answered)

    def _leave(self, index: int, seconds: float, *, answered: bool) -> None:
        place = self.held.pop(index % len(self.held))
        self.come_back(place, answered=answered)
        self.until.append(self.now() + seconds)
        self.window.leave(place, self.now() + seconds, answered=answered)

    def _give_back(self, index: int) -> None:
        place = self.held.pop(index % len(self.held))
        self.come_back(place, answered=False)
        self.left += 1
        self.window.give_back(place)

    def _cancel(self, index: int) -> None:
        caller = self.line[index % len(self.line)]
        caller.gone = True
        assert caller.task is not None
        # Its place may be on the way to it, and goes on to the next.
        caller.task.cancel()

    @rule(rank=st.sampled_from(Rank), patience=st.sampled_from([2.0, 20.0, NEVER]))
    def enter(self, rank: Rank, patience: float) -> None:
        """Somebody comes."""
        caller = Caller(rank, self.now() + patience)

        def come() -> None:
            caller.task = asyncio.ensure_future(self._enter(caller))
            self.line.append(caller)

        self.run(come)

    @rule(urgent=st.booleans())
    def try_enter(self, urgent: bool) -> None:  # noqa: FBT001
        """Somebody comes who does not wait."""
        waiting = bool(self.line)
        place = self.window.try_enter(self.now(), urgent=urgent)
        if not waiting and place is None:
            # It has looked what is over; what is given back later changes that no more.
            self.expire()
        if place is not None:
            assert not waiting
            self.grant(place, urgent=urgent)

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, 9), answered=st.booleans(), more=st.sampled_from([0.0, 5.0]))
    def leave(self, index: int, answered: bool, more: float) -> None:  # noqa: FBT001
        """Somebody leaves."""
        self.run(lambda: self._leave(index, SECONDS + more, answered=answered))

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, 9))
    def give_back(self, index: int) -> None:
        """Somebody did not need his place."""
        self.run(lambda: self._give_back(index))

    @precondition(lambda self: self.line)
    @rule(index=st.integers(0, 9))
    def cancel(self, index: int) -> None:
        """Somebody goes away."""
        self.run(lambda: self._cancel(index))

    @precondition(lambda self: self.line and self.held)
    @rule(index=st.integers(0, 9), held=st.integers(0, 9), late=st.booleans())
    def cancel_at_the_last_moment(self, index: int, held: int, late: bool) -> None:  # noqa: FBT001
        """Somebody goes away just as a place is given back, maybe to him."""
        acts = [lambda: self._cancel(index), lambda: self._give_back(held)]
        self.run(*(reversed(acts) if late else acts))

    @rule(seconds=st.sampled_from([0.0, 3.0, 30.0]), for_good=st.booleans())
    def close(self, seconds: float, for_good: bool) -> None:  # noqa: FBT001
        """The server refuses; who can't wait as long is told."""
        until = self.now() + seconds
        longer = until > self.closed_until
        told = [c for c in self.line if longer and (for_good or c.latest < until)]
        self.closed_until = max(self.closed_until, until)
        self.probing = True
        self.others = []
        for caller in told:
            caller.gone = True
        self.run(lambda: self.window.close(until, for_good=for_good))
        assert [TimeoutError] * len(told) == [type(caller.error()) for caller in told]

    @rule()
    def open(self) -> None:
        """All is well again."""
        self.expire()
        # This has it notice the same.
        self.window.is_idle(self.now())
        self.closed_until, self.probing, self.probes = 0.0, False, []
        self.run(self.window.open)

    @precondition(lambda self: self.held)
    @rule(
        left=st.sampled_from([0, 1, 2, 3, 4, 10**9]), seconds=st.sampled_from([1.0, 9.0, 999_999])
    )
    def heed(self, left: int, seconds: float) -> None:
        """The server says how many are left."""
        now = self.expire()
        slower = left < QUOTA - len(self.held) - len(self.until)
        self.left = left - len(self.held) + 1 if slower else NEVER
        self.left_until = now + seconds if slower else NEVER
        others = QUOTA - left - len(self.until) - 1 if slower and self.closed_until <= now else 0
        self.others = [now + seconds + n * SECONDS / 2 for n in range(others)]
        self.run(lambda: self.window.heed(left, now + seconds, now))

    @rule(seconds=st.sampled_from([0.5, 4.0, 20.0]))
    def pass_time(self, seconds: float) -> None:
        """Time goes by."""
        self.runner.run(asyncio.sleep(seconds))
        self.run()

    @invariant()
    def nothing_leaks(self) -> None:
        """Exactly those hold a place or wait who should, and a timer is for those who wait."""
        assert len(self.held) == self.window.under_way
        assert len(self.line) == self.window.waiting
        assert self.line or self.window._timer is None

    def teardown(self) -> None:
        """Everybody who still waits gets a place if the others leave."""
        while self.line:
            before = len(self.line)
            for _ in range(len(self.held)):
                self.run(lambda: self._leave(0, SECONDS, answered=True))
            self.pass_time(1e6)
            assert len(self.line) < before
        while self.held:
            self._leave(0, SECONDS, answered=True)
        self.nothing_leaks()
        self.pass_time(1e6)
        assert self.window.is_idle(self.now())
        self.runner.close()


@attrs.define(eq=False)
class Caller:
    """Somebody who waits."""

    rank: Rank
    latest: float
    task: "asyncio.Task[None] | None" = None
    gone: bool = False

    def error(self) -> BaseException | None:
        """Return how the wait ended."""
        assert self.task is not None
        return self.task.exception()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
