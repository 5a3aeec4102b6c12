"""Bring every target to its requested values, and say truly what became of it."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

from cfsso import _checks
from cfsso.connectors import AsyncSSOConnectors
from cfsso.fleet._driver import Driver
from cfsso.fleet._gate import Gate
from cfsso.fleet._journal import Journal
from cfsso.fleet._means import Means
from cfsso.fleet._sources import Tokens, of_changes, of_plan
from cfsso.fleet._targets import Run, RunKind
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome
from cfsso.fleet.plans import Plan
from cfsso.models import UNSET, Unset

_CONCURRENCY: Final = 32
_OUTAGE: Final = 45.0
_CANARY: Final = 1


async def apply(
    connectors: AsyncSSOConnectors,
    changes: Plan | Iterable[Change] | AsyncIterable[Change],
    *,
    journal: str | os.PathLike[str] | None = None,
    concurrency: int = _CONCURRENCY,
    canary: int = _CANARY,
    max_failures: int | None = None,
    max_wait: float | None = None,
    outage: float = _OUTAGE,
    stop: asyncio.Event | None = None,
) -> AsyncGenerator[Outcome]:
    """
    Bring each target to its requested values; yield its outcome, in order of completion.

    Each account is listed once before its writes and once after them: only the
    second list makes a target ``changed``. What a list does not show is read by itself, and
    what was read more than 5 seconds before a write is read again. Of a plan, what has
    moved since is refused as a ``conflict``, and what needs another target comes after
    it. Changes without a plan are independent: a domain that moves needs a plan.

    Only an answer that refuses a write, or the read before it, ends a target as ``failed``.
    What was never sent, a refused token, a limit, a 5xx answer to a read and whatever stops
    the run leave it ``not_attempted``, with the reason, and `resume` does it.

    The run stops by itself if the canary does not succeed, after *max_failures*, after
    *outage* seconds without an answer, and when ten targets in a row, of more than one
    account, are refused alike.

    Memory does not grow with the number of changes, however many an iterable gives;
    they and their outcomes are in the journal, or in a temporary file without one.

    Closing the iterator (`contextlib.aclosing`) or cancelling begins no further write,
    and waits up to 30 seconds until those under way are settled; leaving a loop over it
    with ``break`` alone does not close it.

    Args:
        connectors: Where the targets are.
        changes: A `Plan`; or changes, each connector at most once.
        journal:
            The file to be made, with which `resume` and `revert` go on. Each write is
            in it before it is sent, with what was found before. ``None``: none is kept.
        concurrency: How many requests may be under way at once, at least 1.
        canary:
            How many connectors to write go first, alone, and are read back. If one of them
            does not succeed the run stops; if all do, each further one that succeeds lets
            one more go at once, so that waves double. 0: all go at once.
        max_failures:
            How many targets may end ``failed``, ``conflict`` or ``unknown``, or as
            ``not_attempted`` with an error of their own, before the run stops. There are
            never more writes under way than it leaves, plus one: with 0 they go one by one.
            A 401 does not count, it stops the targets of its token. ``None``: any number.
        max_wait:
            Seconds that each call may wait for rate limits, whatever *connectors* say.
            ``None``: no bound, since a run takes the time that the limits ask for.
        outage:
            Seconds for which a run holds that meets nothing but lost connections and 5xx:
            one request goes ahead in growing pauses, and as soon as anything else is
            answered all go on. After that time the run stops.
        stop:
            Once it is set no further write is begun; those that are have 30 seconds
            to be settled and read back, and the other targets end as ``not_attempted``.

    Raises:
        InvalidRequestError: Before anything is sent: a connector stands twice, something
            is no `Change`, a number is out of range, or *journal* exists.
        JournalError: After the last outcome: the journal could not be written, so nothing
            more was sent.
        ExceptionGroup: After the last outcome: something was a bug of this package; it
            ended its account only, as ``not_attempted`` or ``unknown``.
    """
    _checks.whole("concurrency", concurrency, 1)
    gate = Gate(canary, max_failures)
    _checks.seconds("outage", outage)
    options = {"concurrency": concurrency, "canary": canary, "max_failures": max_failures}
    kept = await Journal.create(journal, server=connectors.server)
    try:
        await _begin(kept, connectors, changes, options)
        means = Means.of(
            connectors.with_options(max_wait=max_wait),
            kept,
            gate,
            operation="apply",
            concurrency=concurrency,
            outage=outage,
        )
        driver = Driver(means, concurrency=concurrency, stop=stop or asyncio.Event())
        async with aclosing(outcomes_of(kept, driver)) as outcomes:
            async for outcome in outcomes:
                yield outcome
    finally:
        await kept.aclose()


async def resume(
    connectors: AsyncSSOConnectors,
    journal: str | os.PathLike[str],
    *,
    concurrency: int | Unset = UNSET,
    canary: int | Unset = UNSET,
    max_failures: int | Unset | None = UNSET,
    max_wait: float | None = None,
    outage: float = _OUTAGE,
    failed: bool = False,
    stop: asyncio.Event | None = None,
) -> AsyncGenerator[Outcome]:
    """
    Go on with the latest run of a journal, which may be a revert.

    Yields every target of the run: those whose outcome is final first, in the order of
    the changes, and nothing is sent for them. Then what was under way is settled by
    reading, and then what is open is done as `apply` does it: whatever is ``unknown`` or
    ``not_attempted``, for whichever reason. A finished run is one without an open target:
    of it there are the outcomes, and nothing is sent.

    Args:
        connectors: As for `apply`. The token may be another one than before.
        journal: The file.
        concurrency: As for `apply`, like the next ones. ``UNSET``: as the run began.
        canary: See above.
        max_failures: See above; what failed before does not count.
        max_wait: As for `apply`.
        outage: As for `apply`.
        failed: Whether to try again what was refused, too: the targets that are ``failed``.
        stop: As for `apply`.

    Raises:
        InvalidRequestError: Before anything is sent: the file is no journal, is of a
            rescue, is damaged (it says where) or is in use (it says by whom).
        JournalError: As for `apply`.
    """
    _checks.seconds("outage", outage)
    _checks.boolean("failed", failed)
    kept = await Journal.open(journal, server=connectors.server, resuming=True)
    try:
        given = {"concurrency": concurrency, "canary": canary, "max_failures": max_failures}
        options = _options(kept.run, given)
        means = Means.of(
            connectors.with_options(max_wait=max_wait),
            kept,
            Gate(options["canary"], options["max_failures"]),
            operation="resume",
            concurrency=options["concurrency"],
            outage=outage,
        )
        if failed:
            await kept.reopen_failed()
        driver = Driver(means, concurrency=options["concurrency"], stop=stop or asyncio.Event())
        async with aclosing(outcomes_of(kept, driver)) as outcomes:
            async for outcome in outcomes:
                yield outcome
    finally:
        await kept.aclose()


async def outcomes_of(journal: Journal, driver: Driver) -> AsyncGenerator[Outcome]:
    """Yield what is known of the latest run, then what becomes of the rest."""
    after = -1
    while page := await journal.endings(after_position=after):
        after = page[-1].position
        for target in page:
            if target.ending is not None and not target.is_open:
                yield target.outcome(target.ending)
    async with aclosing(driver.outcomes()) as outcomes:
        async for outcome in outcomes:
            yield outcome
    counts = await journal.counts()
    if all(status is not None and status.is_final for status in counts):
        await journal.finish()


def _options(run: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run that goes on: those it began with, unless others are given."""
    canary = 0 if run.kind is RunKind.REVERT else _CANARY
    options: dict[str, Any] = {"concurrency": _CONCURRENCY, "canary": canary, "max_failures": None}
    options |= {name: value for name, value in run.options.items() if name in options}
    options |= {name: value for name, value in given.items() if value is not UNSET}
    _checks.whole("concurrency", options["concurrency"], 1)
    return options


async def _begin(
    journal: Journal,
    connectors: AsyncSSOConnectors,
    changes: Plan | Iterable[Change] | AsyncIterable[Change],
    options: dict[str, Any],
) -> None:
    tokens = Tokens(connectors)
    await journal.begin(
        of_plan(changes, tokens) if isinstance(changes, Plan) else of_changes(changes, tokens),
        kind=RunKind.APPLY,
        merged=changes.merged if isinstance(changes, Plan) else 0,
        plan=changes.digest if isinstance(changes, Plan) else None,
        credentials=tokens.seen,
        options=options,
    )
