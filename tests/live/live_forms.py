"""What all answers together show, whatever was asked."""

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from live_account import Account, Answer
from live_rules import Findings, asks

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_LIMIT = re.compile(r'"default";r=\d+;t=\d+')
_POLICY = re.compile(r'"default";q=\d+;w=\d+')


def _all(account: Account) -> list[Answer]:
    return [answer for _, _, answer in account.log.passed]


def _connectors(account: Account) -> Iterator[dict[str, Any]]:
    """Yield the connectors that answers showed."""
    for answer in _all(account):
        shown = answer.result if isinstance(answer.result, list) else [answer.result]
        yield from (one for one in shown if isinstance(one, dict) and "email_domain" in one)


def _share(findings: Findings, name: str, good: list[bool]) -> None:
    findings.tell(name, holds=all(good) and bool(good), seen=f"{sum(good)} of {len(good)}")


@asks("envelope", "member-order", "answer-headers", "date-header")
async def answers(account: Account, findings: Findings) -> None:
    """Look at the envelopes and the headers."""
    bodies = [answer.json for answer in _all(account)]
    _share(findings, "envelope", [_is_envelope(body) for body in bodies])
    ordered = [list(b).index("result") for b in bodies if isinstance(b, dict) and "result" in b]
    first = [
        at == 0
        for at, body in zip(ordered, _with_result(bodies), strict=True)
        if body["success"] is True
    ]
    last = [
        at == len(body) - 1
        for at, body in zip(ordered, _with_result(bodies), strict=True)
        if body["success"] is not True
    ]
    begun = [list(one)[:3] == ["id", "enabled", "email_domain"] for one in _connectors(account)]
    _share(findings, "member-order", [*first, *last, *begun])
    headers = [answer.response.headers for _, _, answer in account.log.passed]
    json = [h.get("content-type", "").partition(";")[0] == "application/json" for h in headers]
    stored = ["no-store" in h.get("cache-control", "") for h in headers]
    rays = ["cf-ray" in h for h in headers]
    _share(findings, "answer-headers", [*json, *stored, *rays])
    _share(findings, "date-header", [_is_date(h.get("date", "")) for h in headers])


def _with_result(bodies: list[Any]) -> list[dict[str, Any]]:
    return [body for body in bodies if isinstance(body, dict) and "result" in body]


def _is_envelope(body: Any) -> bool:
    if not isinstance(body, dict) or not {"success", "errors", "messages"} <= body.keys():
        return False
    return body["success"] is True or (body.get("result", 0) is None and bool(body["errors"]))


def _is_date(text: str) -> bool:
    try:
        return parsedate_to_datetime(text) is not None
    except ValueError:
        return False


@asks("id-length", "time-form", "limit-headers")
async def values(account: Account, findings: Findings) -> None:
    """Look at ids, times, and what is left of the limit."""
    shown = list(_connectors(account))
    _share(findings, "id-length", [len(one["id"]) == 32 for one in shown])
    times = [one[name] for one in shown for name in ("created_on", "updated_on")]
    findings.tell("time-form", holds=all(map(_TIME.fullmatch, times)), seen=times[-1])
    headers = [answer.response.headers for by, _, answer in account.log.passed if by == "token"]
    pairs = [(h.get("ratelimit", ""), h.get("ratelimit-policy", "")) for h in headers]
    good = [bool(_LIMIT.fullmatch(r) and _POLICY.fullmatch(q)) for r, q in pairs]
    _share(findings, "limit-headers", good)
