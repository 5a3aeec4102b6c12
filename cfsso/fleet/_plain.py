"""Values as plain data and back: what journals, plans and reports are made of."""

import datetime as dt
from typing import Any

from cfsso import _converter
from cfsso._text import rfc3339
from cfsso.models import SSOConnector


def to_connector(value: Any, path: str) -> SSOConnector:
    """
    Return the connector whose `to_dict` *value* is.

    Raises:
        ConversionError: It is none; the JSON path, which begins with *path*, says why.
    """
    return _converter.connector(value, path)


def of_time(moment: dt.datetime | None) -> str | None:
    """Return a time as RFC 3339 has it."""
    return None if moment is None else rfc3339(moment)


def now() -> dt.datetime:
    """Return the time on the wall, for people who read it; in whole milliseconds."""
    moment = dt.datetime.now(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
