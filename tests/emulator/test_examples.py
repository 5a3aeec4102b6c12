"""The example files are what the documentation says of them."""

import asyncio
import collections
import csv
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from cfsso.emulator import CloudflareEmulator
from cfsso.transports.base import Request
from cfsso.transports.memory import InMemoryTransport

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CLOUD = EXAMPLES / "cloud.json"


@pytest.fixture
def rows() -> list[dict[str, str]]:
    """Give the rows of the rollout."""
    with (EXAMPLES / "rollout.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def body_of(row: dict[str, str]) -> dict[str, bool]:
    fields = ("enabled", "use_fedramp_language")
    return {name: row[name] == "true" for name in fields if row[name]}


def test_the_cloud_has_everything_in_it() -> None:
    """40 accounts, 200 connectors in all states, one domain in two accounts, saved as loaded."""
    cloud = CloudflareEmulator.load(CLOUD)
    state = json.loads(CLOUD.read_text())
    connectors = [one for account in cloud.accounts for one in cloud.connectors(account)]
    domains = collections.Counter(one.email_domain for one in connectors)
    ids = [*cloud.accounts, *(str(one.id) for one in connectors)]
    (shared,) = (domain for domain, count in domains.items() if count > 1)

    assert state == cloud.to_state()
    assert (40, 200) == (len(cloud.accounts), len(connectors))
    assert {"awaiting", "pending", "failed", "verified"} == {
        one.verification.raw_status for one in connectors
    }
    assert [True, False] == [one.enabled for one in connectors if one.email_domain == shared]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert all(str(domain).endswith(".example") for domain in domains)


def test_the_rollout_has_all_kinds_of_rows(rows: list[dict[str, str]]) -> None:
    """It enables, disables, leaves empty, repeats one row, and never contradicts itself."""
    keys = collections.Counter((row["account_id"], row["sso_connector_id"]) for row in rows)
    whole = collections.Counter(tuple(row.values()) for row in rows)

    assert ["account_id", "sso_connector_id", "enabled", "use_fedramp_language"] == list(rows[0])
    assert {"", "true", "false"} == {row["enabled"] for row in rows}
    assert {"", "true", "false"} == {row["use_fedramp_language"] for row in rows}
    assert [2] == [count for count in keys.values() if count > 1]
    assert len(keys) == len(whole)


@pytest.mark.parametrize("seed", range(5))
async def test_the_rollout_succeeds_in_any_order(rows: list[dict[str, str]], seed: int) -> None:
    """Every row is allowed whenever its turn comes, and some change nothing."""
    cloud = CloudflareEmulator.load(CLOUD)
    before: dict[str, Any] = cloud.to_state()
    transport = InMemoryTransport(cloud)
    random.Random(seed).shuffle(rows)  # noqa: S311  (any order will do)

    async def apply(row: dict[str, str]) -> int:
        path = f"/accounts/{row['account_id']}/sso_connectors/{row['sso_connector_id']}"
        body = json.dumps(body_of(row)).encode()
        return (await transport.send(Request("PATCH", path, body))).status

    assert {200} == set(await asyncio.gather(*map(apply, rows)))
    moved = {
        one["id"]
        for account, content in cloud.to_state()["accounts"].items()
        for one, old in zip(
            content["connectors"], before["accounts"][account]["connectors"], strict=True
        )
        if one["updated_on"] != old["updated_on"]
    }
    assert 0 < len(moved) < len({row["sso_connector_id"] for row in rows})
