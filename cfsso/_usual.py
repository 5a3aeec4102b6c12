"""The connector as nearly all answers have it, by hand: generated code takes four times as long."""

import datetime as dt
from operator import itemgetter
from typing import Any, Final

from cfsso.models import SSOConnector, Verification, VerificationStatus

_MEMBERS: Final = (
    "id",
    "email_domain",
    "enabled",
    "use_fedramp_language",
    "verification",
    "created_on",
    "updated_on",
)
_KINDS: Final = (str, str, bool, bool, dict, str, str)
_members_of = itemgetter(*_MEMBERS)
# What a frozen class's __init__ uses too, but finds anew each time.
_id, _email_domain, _enabled, _fedramp, _verification, _created_on, _updated_on, _extra = (
    getattr(SSOConnector, name).__set__ for name in (*_MEMBERS, "extra")
)
_code, _status, _raw_status, _more = (
    getattr(Verification, name).__set__ for name in ("code", "status", "raw_status", "extra")
)
_STATUSES: Final = {status.value: status for status in VerificationStatus}


def connector(value: Any) -> SSOConnector | None:
    """Return the connector if *value* has the documented members, no others, and none is odd."""
    if type(value) is not dict or len(value) != len(_MEMBERS):
        return None
    try:
        members = _members_of(value)
        if tuple(map(type, members)) != _KINDS:
            return None
        name, domain, enabled, fedramp, proof, created, updated = members
        code, status = proof["code"], proof["status"]
        created, updated = dt.datetime.fromisoformat(created), dt.datetime.fromisoformat(updated)
    except (KeyError, ValueError):
        return None
    if not (len(proof) == 2 and type(code) is type(status) is str):  # noqa: PLR2004 # these two
        return None
    if created.tzinfo is None or updated.tzinfo is None:
        return None
    known = _STATUSES.get(status, VerificationStatus.UNKNOWN)
    verification = object.__new__(Verification)
    _code(verification, code)
    _status(verification, known)
    _raw_status(verification, status)
    _more(verification, {})
    found = object.__new__(SSOConnector)
    _id(found, name)
    _email_domain(found, domain)
    _enabled(found, enabled)
    _fedramp(found, fedramp)
    _verification(found, verification)
    _created_on(found, created)
    _updated_on(found, updated)
    _extra(found, {})
    return found
