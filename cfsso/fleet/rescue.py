"""Break the glass: get everybody back in, in every account, whatever happens in the others."""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any, TypeAlias

from cfsso import _checks
from cfsso._log import log
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import InvalidRequestError
from cfsso.events import Event, EventKind, OnEvent
from cfsso.fleet._admission import Admission
from cfsso.fleet._locked import whole
from cfsso.fleet._rescue_account import RescueAccount, as_ours
from cfsso.fleet._rescue_journal import RescueJournal
from cfsso.fleet._search import Search
from cfsso.fleet.outcomes import Outcome, OutcomeStatus

Record: TypeAlias = str | os.PathLike[str] | RescueJournal


async def break_glass(
    connectors: AsyncSSOConnectors,
    account_ids: Iterable[str],
    *,
    domain: str | None = None,
    drill: bool = False,
    concurrency: int = 200,
    stop: asyncio.Event | None = None,
    journal: Record | None = None,
) -> AsyncGenerator[Outcome]:
    """
    Disable all enabled connectors of accounts; yield outcomes as each account ends.

    Each account is listed, written to at once, and listed again: only the second list
    confirms a write. No plan, no verification and no guard stand in the way, and
    no failure ends the run. Rate limits are waited out, however long that takes.

    Each connector has an outcome: ``changed`` if it was disabled now, ``unchanged`` if
    it was off already, otherwise what went wrong. An outcome without connector id is
    about its account as a whole: that it can't be read, was not reached, or has no
    connector. If no account that could be read has one of *domain*, those outcomes are
    ``blocked``, and their notes name the domain that is nearest; until one is found
    they are held back.

    An event ``end`` of the operation ``break_glass`` tells that an account is done.

    Closing the iterator (`contextlib.aclosing`) cancels what is under way; leaving
    a loop over it with ``break`` alone does not close it.

    Args:
        connectors: Where the accounts are, with a token for each of them.
        account_ids: Which accounts; what repeats another one is left out.
        domain: Only connectors of this e-mail domain. ``None``: all.
        drill:
            Write nothing: say what would be disabled (``unchanged``), and in an outcome
            without connector id for each account whether its token works and until when.
            It can't show whether the token may write.
        concurrency:
            How many accounts may be under way at once, at least 1; those that wait for
            a rate limit or to try again do not count, nor do those that have had no
            answer for a second.
        stop:
            Once it is set no further write is begun; those that are, even if they
            wait for a rate limit yet, are finished and read back, and the rest ends as
            ``not_attempted``.
        journal:
            A new file to record each write in, before and after, which `revert` can take
            back. It is kept as well as can be: nothing that is wrong with it delays or
            stops a write, and if it can't be kept, one warning is logged. A drill
            keeps none.

    Raises:
        InvalidRequestError: An argument can't be used; nothing was sent.
    """
    ids = _checked_ids(account_ids)
    _check_options(domain, drill, concurrency)
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    search = Search(domain, len(ids), outcomes.put_nowait)
    record = None if drill else _started(journal, connectors.server, domain)
    connectors = connectors.with_options(max_wait=None)
    places = asyncio.Semaphore(concurrency)
    stop = stop or asyncio.Event()

    async def work(account_id: str) -> None:
        """Bring one account to its outcomes."""
        await places.acquire()
        place = Admission(places, connectors.on_event)
        watched = connectors.with_options(on_event=place)
        account = RescueAccount(watched, account_id, domain, stop, search, record)
        try:
            found = await (account.drill() if drill else account.rescue())
        except BaseException as error:  # noqa: BLE001 - it must not stop the others
            found = [whole(account_id, OutcomeStatus.UNKNOWN, error=as_ours(error))]
        finally:
            place.leave()
        for outcome in found:
            outcomes.put_nowait(outcome)
        _tell(connectors.on_event, account_id)

    async def work_all() -> None:
        """Run them all, and say when there is nothing more to come."""
        try:
            async with asyncio.TaskGroup() as workers:
                for account_id in ids:
                    workers.create_task(work(account_id))
            search.close()
        finally:
            outcomes.put_nowait(None)

    running = asyncio.create_task(work_all())
    try:
        while (outcome := await outcomes.get()) is not None:
            yield outcome
        await running
    finally:
        running.cancel()
        # Its own error, if any, is less than the reason for leaving early.
        await asyncio.gather(running, return_exceptions=True)
        if record is not None:
            await record.aclose()


def _checked_ids(account_ids: Iterable[str]) -> Sequence[str]:
    if isinstance(account_ids, str) or not isinstance(account_ids, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
        problem = type(account_ids).__name__
        raise InvalidRequestError(f"account_ids must be a list of ids, not {problem}")
    ids = [_checks.identifier("account_id", account_id, None) for account_id in account_ids]
    return [*dict.fromkeys(ids)]


def _check_options(domain: Any, drill: Any, concurrency: Any) -> None:
    problem = None if domain is None else _checks.domain_problem(domain)
    if problem:
        raise InvalidRequestError(f"domain {problem}")
    if type(drill) is not bool:
        raise InvalidRequestError(f"drill must be True or False, not {type(drill).__name__}")
    _checks.whole("concurrency", concurrency, 1)


def _started(journal: Record | None, server: str, domain: str | None) -> RescueJournal | None:
    if journal is None or isinstance(journal, RescueJournal):
        return journal
    return RescueJournal.start(journal, server=server, options={"domain": domain})


def _tell(on_event: OnEvent | None, account_id: str) -> None:
    """Let whoever watches know that an account is done."""
    if on_event is None:
        return
    try:
        on_event(Event(kind=EventKind.END, operation="break_glass", account_id=account_id))
    except Exception:  # noqa: BLE001 - a watcher must not change what is watched
        log().exception("on_event failed")
