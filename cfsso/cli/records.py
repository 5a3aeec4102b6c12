"""JSON Lines: one object a target, in ASCII, each with ids and a status."""

import json
from collections.abc import Mapping
from typing import Any

import click

import cfsso
from cfsso.cli.results import Result
from cfsso.cli.streams import OutputError
from cfsso.fleet import Outcome, _plain


def emit(record: Mapping[str, Any]) -> None:
    """
    Print one object on a line of its own, at once.

    Raises:
        OutputError: stdout can't take it.
    """
    try:
        click.echo(json.dumps(record))
    except OSError as error:
        number, reason = error.errno, error.strerror
    else:
        return
    raise OutputError(number, reason)


def of_result(result: Result) -> dict[str, Any]:
    """Return the record of a single command, with all that is known of the connector."""
    return {
        **({} if result.connector is None else of_connector(result.connector)),
        "account_id": result.target.account_id,
        "sso_connector_id": result.target.sso_connector_id,
        "status": result.status.value,
        **({} if result.error is None else {"error": str(result.error)}),
        **({"note": result.note} if result.note else {}),
    }


def of_listed(account_id: str, connector: cfsso.SSOConnector) -> dict[str, Any]:
    """Return the record of a connector that was only looked at."""
    return {
        **of_connector(connector),
        "account_id": account_id,
        "sso_connector_id": connector.id,
        "status": "unchanged",
    }


def of_outcome(outcome: Outcome) -> dict[str, Any]:
    """
    Return the record of a target of a run.

    ``enabled`` and ``use_fedramp_language`` are the wish, null where there is none.
    """
    change = outcome.change
    seen = outcome.after or outcome.before
    return {
        "account_id": change.account_id,
        # An outcome about a whole account has none.
        "sso_connector_id": change.sso_connector_id or None,
        "status": outcome.status.value,
        "email_domain": None if seen is None else seen.email_domain,
        "enabled": change.wished.get("enabled"),
        "use_fedramp_language": change.wished.get("use_fedramp_language"),
        "before": None if outcome.before is None else of_connector(outcome.before),
        "after": None if outcome.after is None else of_connector(outcome.after),
        "error": None if outcome.error is None else str(outcome.error),
        "note": outcome.note or None,
        "attempts": outcome.attempts,
    }


def of_connector(connector: cfsso.SSOConnector) -> dict[str, Any]:
    """Return a connector under the API's own names, without what the answer did not have."""
    known = {
        "id": connector.id,
        "email_domain": connector.email_domain,
        "enabled": connector.enabled,
        "use_fedramp_language": connector.use_fedramp_language,
        "verification": _of_verification(connector.verification) or None,
        "created_on": _plain.of_time(connector.created_on),
        "updated_on": _plain.of_time(connector.updated_on),
    }
    return {**connector.extra, **_present(known)}


def _of_verification(verification: cfsso.Verification) -> dict[str, Any]:
    known = {"code": verification.code, "status": verification.raw_status}
    return {**verification.extra, **_present(known)}


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
