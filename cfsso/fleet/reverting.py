"""Take back what a run has written."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

from cfsso import _checks
from cfsso.connectors import AsyncSSOConnectors
from cfsso.fleet._driver import Driver
from cfsso.fleet._gate import Gate
from cfsso.fleet._journal import Journal
from cfsso.fleet._means import Means
from cfsso.fleet._sources import Tokens, of_run
from cfsso.fleet._targets import RunKind
from cfsso.fleet.outcomes import Outcome
from cfsso.fleet.run import outcomes_of


async def revert(
    connectors: AsyncSSOConnectors,
    journal: str | os.PathLike[str],
    *,
    concurrency: int = 32,
    canary: int = 0,
    max_failures: int | None = None,
    max_wait: float | None = None,
    outage: float = 45.0,
    stop: asyncio.Event | None = None,
) -> AsyncGenerator[Outcome]:
    """
    Take back what the latest run of a journal has written, the last write first.

    Yields every connector that the run has written, or may have. Only the fields that it
    changed are restored, and only where they still hold what it wrote; what somebody else
    has changed since is a ``conflict``. What was under way when the run was cut off is
    settled first. If a write of it may still arrive that takes up to half a minute, which an
    `cfsso.Event` tells with the reason ``in flight``. The rest of an unfinished run is not
    attempted any more.

    It is a run of its own in the same journal: `resume` goes on with it, and so does this.
    If the latest run is a revert that has ended, its outcomes are yielded and nothing is
    sent.

    Args:
        connectors: As for `apply`, like the next ones.
        journal: The file.
        concurrency: See above.
        canary: See above.
        max_failures: See above.
        max_wait: See above.
        outage: See above.
        stop: See above.

    Raises:
        InvalidRequestError: As for `resume`, or a number is out of range.
        JournalError: As for `apply`.
    """
    _checks.whole("concurrency", concurrency, 1)
    gate = Gate(canary, max_failures)
    _checks.seconds("outage", outage)
    options = {"concurrency": concurrency, "canary": canary, "max_failures": max_failures}
    stop = stop or asyncio.Event()
    kept = await Journal.open(journal, server=connectors.server)
    try:
        means = Means.of(
            connectors.with_options(max_wait=max_wait),
            kept,
            gate,
            operation="revert",
            concurrency=concurrency,
            outage=outage,
        )
        driver = Driver(means, concurrency=concurrency, stop=stop)
        if kept.run.kind is not RunKind.REVERT:
            await driver.settle()
            tokens = Tokens(connectors)
            number = kept.run.number
            await kept.begin(
                of_run(kept, number, tokens),
                kind=RunKind.REVERT,
                reverts=number,
                credentials=tokens.seen,
                options=options,
            )
        async with aclosing(outcomes_of(kept, driver)) as outcomes:
            async for outcome in outcomes:
                yield outcome
    finally:
        await kept.aclose()
