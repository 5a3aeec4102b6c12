"""The TXT records that the emulator finds."""

from collections.abc import Iterator, MutableMapping
from typing import Any

from cfsso._checks import domain_form
from cfsso.emulator import checks


class TXTRecords(MutableMapping[str, list[str]]):
    """
    TXT texts by domain, whatever the spelling of the domain.

    A list that is put in stays the caller's own; a string stands for one text.
    """

    __slots__ = ("_texts",)

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}

    def __repr__(self) -> str:
        return repr(self._texts)

    def __getitem__(self, domain: str) -> list[str]:
        return self._texts[_key(domain)]

    def __setitem__(self, domain: str, texts: Any) -> None:
        value = [texts] if isinstance(texts, str) else checks.texts(texts, "dns texts")
        self._texts[_key(domain)] = value

    def __delitem__(self, domain: str) -> None:
        del self._texts[_key(domain)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _key(domain: Any) -> str:
    return domain_form(checks.text(domain, "a dns domain"))
