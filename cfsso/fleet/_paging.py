"""The open targets of a run, read while those before are worked on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Container
from typing import Final

from cfsso.fleet._journal import Journal
from cfsso.fleet._targets import Target

# More of one account are taken in parts.
_LARGEST: Final = 5000
_PAGE: Final = 1000
_FIRST_PAGE: Final = 100


async def pages_of(journal: Journal) -> AsyncGenerator[list[Target]]:
    """Yield what is open, each page read while the one before is worked on."""
    # The first one is small, so that something begins at once.
    page = await journal.pages(limit=_FIRST_PAGE)
    while page:
        following = asyncio.ensure_future(journal.pages(after=page[-1].place, limit=_PAGE))
        try:
            yield page
            page = await following
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def groups_of(
    page: list[Target], pages: AsyncIterator[list[Target]], told: Container[int]
) -> AsyncGenerator[list[Target]]:
    """
    Yield the targets of each rank and account.

    Args:
        page: The first page.
        pages: Those after it. What they raise passes through, after what was read before.
        told: The positions to leave out.
    """
    group: list[Target] = []
    problem: Exception | None = None
    while page:
        for target in page:
            if target.position in told:
                continue
            if group and (target.place[:2] != group[0].place[:2] or len(group) == _LARGEST):
                yield group
                group = []
            group.append(target)
        try:
            page = await anext(pages, [])
        except Exception as error:  # noqa: BLE001 - raised below
            page, problem = [], error
    if group:
        yield group
    if problem is not None:
        raise problem
