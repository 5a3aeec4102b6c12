"""What was seen of connectors, so that no older state of one is believed."""

import datetime as dt
from collections.abc import Iterable

from cfsso.models import SSOConnector


def is_later(one: dt.datetime, other: dt.datetime) -> bool:
    """
    Whether *one* is after *other*, as far as both are precise.

    One answer may show a time in whole seconds that another one shows with fractions.
    """
    if not one.microsecond or not other.microsecond:
        return one.replace(microsecond=0) > other.replace(microsecond=0)
    return one > other


class _Shown:
    """The values that were shown with one time, or with none, in the order of the reads."""

    def __init__(self) -> None:
        self.latest: set[tuple[str, bool]] = set()
        self.replaced: list[set[tuple[str, bool]]] = []

    def has_replaced(self, values: set[tuple[str, bool]]) -> bool:
        """Whether *values* were shown, and then others."""
        is_back = _differ(values, self.latest)
        return is_back and any(not _differ(values, others) for others in self.replaced)

    def add(self, values: set[tuple[str, bool]]) -> None:
        """Take *values* for the latest."""
        if _differ(values, self.latest):
            self.replaced.append(self.latest)
            self.latest = values
        self.latest |= values


class Seen:
    """
    The newest states of connectors that were seen.

    Their times tell which one is newer. Of those with the same time, or with none, it is the
    one that was read later.

    Args:
        before: A connector as it was known before. ``None``: none was.
    """

    def __init__(self, before: SSOConnector | None = None) -> None:
        self._newest: dict[str, dt.datetime] = {}
        # What was shown with the newest time, and what without any.
        self._dated: dict[str, _Shown] = {}
        self._undated: dict[str, _Shown] = {}
        self._gone: set[str] = set()
        # Those of which two states were seen that can't be told apart.
        self._unclear: set[str] = set()
        if before is not None and before.updated_on is not None:
            self._newest[before.id] = before.updated_on

    def miss(self, sso_connector_id: str) -> None:
        """Remember that a connector is not there; ids never come back."""
        self._gone.add(sso_connector_id)

    def forget_after(self, moment: dt.datetime) -> None:
        """Forget times after *moment*, which tell nothing: they are of the future."""
        for key in [key for key, time in self._newest.items() if time > moment]:
            del self._newest[key]

    def outdates(self, found: SSOConnector, fields: Iterable[str] = ()) -> bool:
        """
        Whether *found* was disproved: it is an older state than one that was seen.

        Args:
            found: What was read.
            fields: Those that matter.
        """
        if found.id in self._gone:
            return True
        time, newest = found.updated_on, self._newest.get(found.id)
        if time is not None and newest is not None and newest != time:
            if is_later(newest, time):
                return True
            if is_later(time, newest):
                return False
        shown = (self._undated if time is None else self._dated).get(found.id)
        return shown is not None and shown.has_replaced(_values(found, fields))

    def note(self, found: SSOConnector) -> None:
        """Remember when *found* was written last."""
        time, newest = found.updated_on, self._newest.get(found.id)
        if time is None:
            return
        if newest is None or is_later(time, newest):
            self._dated.pop(found.id, None)
            self._unclear.discard(found.id)
        # Of two that differ in how precise they are the finer one tells more.
        self._newest[found.id] = time if newest is None else max(time, newest)

    def contradicts(self, found: SSOConnector, fields: Iterable[str]) -> bool:
        """
        Remember *found*; return whether it can't be told if another state that was seen is newer.

        That is so if both have other values, and one of them has no time, or only whole seconds
        in which both may lie.

        Args:
            found: What was not disproved.
            fields: Those that matter.
        """
        key, values, time = found.id, _values(found, fields), found.updated_on
        newest = self._newest.get(key)
        self.note(found)
        dated = self._dated.setdefault(key, _Shown())
        undated = self._undated.setdefault(key, _Shown())
        if time is None:
            undated.add(values)
        elif newest is None or time == newest or is_later(time, newest):
            dated.add(values)
        elif _differ(values, dated.latest):
            self._unclear.add(key)
        if _differ(dated.latest, undated.latest):
            self._unclear.add(key)
        return key in self._unclear

    def wavers(self, sso_connector_id: str) -> bool:
        """Whether several values were shown with the newest time, or with none."""
        both = self._dated.get(sso_connector_id), self._undated.get(sso_connector_id)
        return any(shown is not None and shown.replaced for shown in both)

    def outdates_any(self, listed: Iterable[SSOConnector]) -> bool:
        """Whether a list is from before what was seen; what it shows is remembered if not."""
        listed = [*listed]
        if any(map(self.outdates, listed)):
            return True
        for connector in listed:
            self.note(connector)
        return False


def _values(found: SSOConnector, fields: Iterable[str]) -> set[tuple[str, bool]]:
    return {(name, value) for name in fields if (value := getattr(found, name)) is not None}


def _differ(some: set[tuple[str, bool]], others: set[tuple[str, bool]]) -> bool:
    return any((name, not value) in others for name, value in some)
