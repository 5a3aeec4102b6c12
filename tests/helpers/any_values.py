"""Strategies: any connector, error and outcome that there may be."""

import datetime as dt
from typing import Any

import attrs
from hypothesis import strategies as st

import cfsso
from cfsso.fleet import Change, Outcome, OutcomeStatus

_KNOWN = {
    field.name
    for kind in (cfsso.SSOConnector, cfsso.Verification, cfsso.ResponseInfo)
    for field in attrs.fields(kind)
}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ids = st.text("0123456789abcdefABCDEF", min_size=32, max_size=32)
flags = st.one_of(st.none(), st.booleans())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
extras = st.dictionaries(texts.filter(lambda name: name not in _KNOWN), json_values, max_size=2)
# Those that UTC lacks, too.
_ends = st.sampled_from(
    [dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC)]
)
_zones = st.integers(-1439, 1439).map(lambda n: dt.timezone(dt.timedelta(minutes=n)))
times = st.none() | st.datetimes(timezones=st.just(dt.UTC)) | st.builds(
    lambda moment, zone: moment.replace(tzinfo=zone), _ends, _zones
)  # fmt: skip
_statuses = st.sampled_from([None, "verified", "pending", "withdrawn"])


@st.composite
def verifications(draw: st.DrawFn) -> cfsso.Verification:
    """Make a verification as an answer is read."""
    known: dict[str | None, cfsso.VerificationStatus] = {
        each.value: each for each in cfsso.VerificationStatus
    }
    raw = draw(_statuses)
    found = None if raw is None else known.get(raw, cfsso.VerificationStatus.UNKNOWN)
    return cfsso.Verification(
        code=draw(st.none() | texts), status=found, raw_status=raw, extra=draw(extras)
    )


@st.composite
def connectors(draw: st.DrawFn, sso_connector_id: str | None = None) -> cfsso.SSOConnector:
    """Make a connector as an answer might show it."""
    return cfsso.SSOConnector(
        id=draw(ids) if sso_connector_id is None else sso_connector_id,
        email_domain=draw(st.none() | texts),
        enabled=draw(flags),
        use_fedramp_language=draw(flags),
        verification=draw(verifications()),
        created_on=draw(times),
        updated_on=draw(times),
        extra=draw(extras),
    )


_infos = st.recursive(
    st.builds(cfsso.ResponseInfo, code=st.none() | st.integers(), message=texts, extra=extras),
    lambda inner: st.builds(
        cfsso.ResponseInfo,
        code=st.none() | st.integers(),
        message=texts,
        documentation_url=st.none() | texts,
        source=st.none() | st.builds(cfsso.Source, pointer=st.none() | texts),
        error_chain=st.lists(inner, max_size=2).map(tuple),
        extra=extras,
    ),
    max_leaves=3,
)
_requests = st.sampled_from(
    [
        cfsso.Request("GET", "/accounts"),
        cfsso.Request("PATCH", "/accounts/a/sso_connectors/b", b'{"enabled":true}'),
    ]
)
_kinds = st.sampled_from(
    [
        cfsso.CfssoError,
        cfsso.InvalidRequestError,
        cfsso.APIConnectionError,
        cfsso.APITimeoutError,
        cfsso.PermissionDeniedError,
        cfsso.RateLimitError,
        cfsso.APIResponseValidationError,
        cfsso.UnconfirmedWriteError,
    ]
)


@st.composite
def errors(draw: st.DrawFn) -> cfsso.CfssoError:
    """Make an error of any class with anything that it may hold but its answer."""
    kind = draw(_kinds)
    details: dict[str, Any] = {
        "write": draw(st.none() | st.sampled_from(cfsso.WriteState)),
        "status": draw(st.none() | st.integers(100, 599)),
        "errors": draw(st.lists(_infos, max_size=2)),
        "messages": draw(st.lists(_infos, max_size=1)),
        "ray_id": draw(st.none() | texts),
        "retry_after": draw(st.none() | st.floats(0, 1e9)),
        "request": draw(st.none() | _requests),
        "edge": draw(st.booleans()),
        "title": draw(texts),
        "detail": draw(texts),
    }
    if kind is cfsso.UnconfirmedWriteError:
        details["settlement"] = draw(st.sampled_from(cfsso.Settlement))
        details["found"] = draw(st.none() | connectors())
    error: cfsso.CfssoError = kind(draw(st.text() | st.just("\x00" * 999)), **details)
    error.retryable = draw(flags)
    if isinstance(error, cfsso.APIConnectionError):
        error.reason = draw(st.sampled_from(cfsso.ConnectionFailure))
    return error


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Make a change of a connector, or of what an account has."""
    wished = draw(
        st.dictionaries(
            st.sampled_from(["enabled", "use_fedramp_language"]), st.booleans(), min_size=1
        )
    )
    return Change(draw(ids), draw(ids | st.just("")), **wished)


outcomes = st.builds(
    Outcome,
    change=changes(),
    status=st.sampled_from(OutcomeStatus),
    before=st.none() | connectors(),
    after=st.none() | connectors(),
    error=st.none() | errors(),
    attempts=st.integers(0, 10**9),
    note=texts,
)
