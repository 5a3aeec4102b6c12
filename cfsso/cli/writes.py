"""The single writes: done once, and green only if a read shows them."""

from collections.abc import Awaitable, Callable, Mapping

import attrs

import cfsso
from cfsso.cli.results import Result, Target
from cfsso.fleet import OutcomeStatus

_NOT_READ_BACK = "it was accepted, but could not be read back"


async def update(
    connectors: cfsso.AsyncSSOConnectors, target: Target, wished: Mapping[str, bool]
) -> Result:
    """
    Bring a connector to the wished values; send nothing if it shows them already.

    What only disables is sent without a look first: nothing may stand in its way.
    """
    key = target.sso_connector_id or ""
    before = None
    if wished.get("enabled") is False:
        # The read after it as well, since people wait for its word.
        connectors = connectors._with_urgency(True)  # noqa: FBT003, SLF001  # pyright: ignore[reportPrivateUsage] # for us
    else:
        try:
            before = await connectors.get(key, account_id=target.account_id)
        except cfsso.CfssoError as error:
            return failed(target, error)
        if not _differs(before, wished):
            return Result(target=target, status=OutcomeStatus.UNCHANGED, connector=before)
    return await _written(
        target,
        lambda: connectors.update(
            key,
            account_id=target.account_id,
            enabled=wished.get("enabled", cfsso.UNSET),
            use_fedramp_language=wished.get("use_fedramp_language", cfsso.UNSET),
            before=before,
        ),
        lambda: connectors.get(key, account_id=target.account_id),
        lambda connector: _differs(connector, wished),
    )


async def create(
    connectors: cfsso.AsyncSSOConnectors, target: Target, domain: str, options: Mapping[str, bool]
) -> Result:
    """Create a connector and read it back."""
    try:
        made = await connectors.create(account_id=target.account_id, email_domain=domain, **options)
    except cfsso.CfssoError as error:
        return failed(target, error)
    key = made.id or ""
    wished = {name: value for name, value in options.items() if name != "begin_verification"}

    async def done() -> None:
        """Nothing is left to do but to read."""

    return await _written(
        attrs.evolve(target, sso_connector_id=key),
        done,
        lambda: connectors.get(key, account_id=target.account_id),
        lambda connector: _differs(connector, wished | {"email_domain": made.email_domain}),
    )


async def verify(connectors: cfsso.AsyncSSOConnectors, target: Target) -> Result:
    """Make Cloudflare look for the TXT record, and read how far it is."""
    key = target.sso_connector_id or ""
    return await _written(
        target,
        lambda: connectors.begin_verification(key, account_id=target.account_id),
        lambda: connectors.get(key, account_id=target.account_id),
        _is_idle,
    )


async def delete(connectors: cfsso.AsyncSSOConnectors, target: Target) -> Result:
    """Delete a connector and see that the account's list has it no more."""
    key = target.sso_connector_id or ""
    try:
        await connectors.delete(key, account_id=target.account_id)
    except cfsso.CfssoError as error:
        return failed(target, error)
    try:
        found = await connectors.list(account_id=target.account_id)
    except cfsso.CfssoError as error:
        return _unread(target, error)
    for connector in found:
        if connector.id == key:
            note = "it was deleted, but a list still shows it"
            return Result(
                target=target, status=OutcomeStatus.CONFLICT, connector=connector, note=note
            )
    return Result(target=target, status=OutcomeStatus.CHANGED)


def failed(target: Target, error: cfsso.CfssoError) -> Result:
    """
    Return the result of what *error* ended.

    Raises:
        InvalidRequestError: It is one: the command was wrong, and nothing was sent.
    """
    if isinstance(error, cfsso.InvalidRequestError):
        raise error
    found = error.found if isinstance(error, cfsso.UnconfirmedWriteError) else None
    if found is not None and target.sso_connector_id is None:
        target = attrs.evolve(target, sso_connector_id=found.id or None)
    return Result(target=target, status=OutcomeStatus.of_error(error), connector=found, error=error)


async def _written(
    target: Target,
    write: Callable[[], Awaitable[object]],
    read: Callable[[], Awaitable[cfsso.SSOConnector]],
    problem: Callable[[cfsso.SSOConnector], str],
) -> Result:
    try:
        await write()
    except cfsso.CfssoError as error:
        return failed(target, error)
    try:
        connector = await read()
    except cfsso.CfssoError as error:
        return _unread(target, error)
    note = problem(connector)
    status = OutcomeStatus.CONFLICT if note else OutcomeStatus.CHANGED
    return Result(target=target, status=status, connector=connector, note=note)


def _unread(target: Target, error: cfsso.CfssoError) -> Result:
    return Result(target=target, status=OutcomeStatus.UNKNOWN, error=error, note=_NOT_READ_BACK)


def _differs(connector: cfsso.SSOConnector, wished: Mapping[str, object]) -> str:
    """Say which wished values *connector* does not show; empty if it shows all."""
    found = {name: getattr(connector, name) for name in wished}
    others = [f"{name}={value}" for name, value in found.items() if value != wished[name]]
    return f"a read after the write shows {', '.join(others)}" if others else ""


def _is_idle(connector: cfsso.SSOConnector) -> str:
    """Say that Cloudflare does not look for the record, if that is so."""
    status = connector.verification.status
    if status in {cfsso.VerificationStatus.AWAITING, cfsso.VerificationStatus.FAILED}:
        return f"a read after the write shows verification {status}"
    return ""
