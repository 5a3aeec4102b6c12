"""Places for what is under way: what lets people in finds one whatever hangs."""

import asyncio

import pytest

from cfsso.transports._places import LEAST, Need, Places

WRITE, READ, NORMAL = Need

pytestmark = pytest.mark.virtual_time


def fill(places: Places, need: Need) -> int:
    """Take as many as there are at once; return how many."""
    taken = 0
    while places.try_take(need):
        taken += 1
    return taken


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("most", "normal", "reads", "writes"),
    [(1000, 200, 550, 250), (100, 50, 25, 25), (8, 4, 2, 2), (LEAST, 2, 1, 1)],
)
async def test_each_has_places_that_others_leave(
    most: int, normal: int, reads: int, writes: int
) -> None:
    """What is normal leaves room to urgent reads, and these to urgent writes, to the last one."""
    places = Places(most)

    assert [normal, reads, writes] == [fill(places, need) for need in (NORMAL, READ, WRITE)]
    assert most == places.under_way == normal + reads + writes


async def test_who_waits_goes_by_need_and_then_in_order() -> None:
    """A place that comes free is for an urgent write, then for an urgent read, then by order."""
    places = Places(8)
    taken = sum(fill(places, need) for need in reversed(Need))
    served: list[str] = []

    async def serve(name: str, need: Need) -> None:
        await places.take(need)
        served.append(name)

    rows = [("n1", NORMAL), ("r1", READ), ("w1", WRITE), ("n2", NORMAL), ("w2", WRITE)]
    tasks = [asyncio.ensure_future(serve(*row)) for row in rows]
    await settle()
    for _ in range(taken + 1):
        places.leave()
        await settle()

    assert ["w1", "w2", "r1", "n1", "n2"] == served
    await asyncio.gather(*tasks)
    assert 4 == places.under_way


async def test_nobody_overtakes_those_who_wait() -> None:
    """As long as somebody waits who is as urgent, a place at once is for nobody."""
    places = Places(8)
    assert 4 == fill(places, NORMAL)
    waiting = asyncio.ensure_future(places.take(NORMAL))
    await settle()
    places.leave()
    # It has its new holder already, who only has to be told.
    assert not places.try_take(NORMAL)
    assert places.try_take(READ)
    await waiting


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancelled_wait_leaves_nothing(when: str) -> None:
    """Whoever gives up is out of the line, even as the place is given to him."""
    places = Places(8)
    fill(places, NORMAL)
    first, second = (asyncio.ensure_future(places.take(NORMAL)) for _ in range(2))
    await settle()
    if when == "after":
        places.leave()
    first.cancel()
    await asyncio.wait([first])
    if when == "before":
        places.leave()
    await second

    assert first.cancelled()
    assert 4 == places.under_way


async def test_whoever_gives_up_just_before_is_passed_by() -> None:
    """A place that comes free is not for who has given up, though he does not know it yet."""
    places = Places(8)
    fill(places, NORMAL)
    tasks = [asyncio.ensure_future(places.take(NORMAL)) for _ in range(2)]
    await settle()
    tasks[0].cancel()
    places.leave()
    await asyncio.wait(tasks)

    assert [True, False] == [task.cancelled() for task in tasks]
    assert 4 == places.under_way


async def test_there_are_fewer_when_there_is_no_descriptor() -> None:
    """What did not find one takes its place along, which comes back when a second has passed."""
    places = Places(100)
    for need in reversed(Need):
        fill(places, need)
    places.shrink()
    places.leave()
    assert (99, 99) == (places.bound, places.under_way)
    assert not places.try_take(WRITE)
    places.leave()
    assert places.try_take(WRITE)
    await asyncio.sleep(1)
    places.leave()
    assert 100 == places.bound
    places.leave()
    await asyncio.sleep(5)
    places.leave()
    assert 100 == places.bound


async def test_some_are_always_left() -> None:
    """However often there is no descriptor, a few places stay."""
    places = Places(100)
    for _ in range(3):
        assert places.try_take(WRITE)
        places.shrink()
        places.leave()
    assert LEAST == places.bound
