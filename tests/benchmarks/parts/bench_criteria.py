"""What is asked of the figures."""

from collections.abc import Callable
from typing import Final

import attrs
from bench_rows import Key, Rows

_PATCH: Final = ("patch", "32 in flight, plain")
_CLOSED: Final = ("stall", "always 256 in flight")
_IMPORT: Final = ("import", "fresh interpreter")
_SIZE: Final = ("size", "without extras")


@attrs.frozen
class Verdict:
    """
    What became of a criterion.

    Attributes:
        name: What was asked.
        value: The figure; ``None``: it could not be measured.
        bound: What it may be at most, or must be at least.
        at_least: Which of the two.
    """

    name: str
    value: float | None
    bound: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the figure is as asked."""
        if self.value is None:
            return False
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@attrs.frozen
class _Ratio:
    """One median against another."""

    name: str
    of: tuple[str, str]
    ours: str
    theirs: str
    figure: str
    bound: float

    def judge(self, rows: Rows) -> Verdict | None:
        """Return the verdict; ``None``: it was not to be measured."""
        keys = [(*self.of, self.ours), (*self.of, self.theirs)]
        if not all(key in rows for key in keys):
            return None
        ours, theirs = (_median(rows, key, self.figure) for key in keys)
        ratio = None if ours is None or not theirs else ours / theirs
        return Verdict(self.name, ratio, self.bound)


def _median(rows: Rows, key: Key, figure: str) -> float | None:
    # Half of the rounds are no measurement.
    return None if rows[key].error else rows[key].median(figure)


_RATIOS: Final = (
    _Ratio("CPU a PATCH: of aiohttp as taught", _PATCH, "cfsso", "taught", "cpu_us", 1.00),
    _Ratio("CPU a PATCH: of the leanest aiohttp", _PATCH, "cfsso", "lean", "cpu_us", 1.15),
    _Ratio("CPU a PATCH: of the official SDK", _PATCH, "cfsso", "official", "cpu_us", 1 / 12),
    _Ratio(
        "CPU a PATCH: of its aiohttp backend", _PATCH, "cfsso", "official-aiohttp", "cpu_us", 1 / 6
    ),
    _Ratio(
        "import cfsso: of import cloudflare",
        _IMPORT,
        "import cfsso",
        "import cloudflare",
        "cpu_ms",
        1 / 8,
    ),
    _Ratio(
        "the same with a toggle in memory",
        _IMPORT,
        "cfsso, a toggle in memory",
        "import cloudflare",
        "cpu_ms",
        1 / 4,
    ),
    _Ratio("installed size: of the official SDK", _SIZE, "cfsso", "official SDK", "mib", 1 / 4),
    _Ratio("stall p99.9: of aiohttp as taught", _CLOSED, "cfsso", "taught", "p99.9", 1.1),
)


def _rates(rows: Rows) -> list[float | None]:
    return [_median(rows, key, "rate") for key in rows if key[0] == "memory"]


def _slowest(rows: Rows) -> Verdict | None:
    rates = _rates(rows)
    known = [rate for rate in rates if rate is not None]
    value = min(known) if known and len(known) == len(rates) else None
    name = "in memory: toggles a second, the slowest size"
    return Verdict(name, value, 20_000, at_least=True) if rates else None


def _flat(rows: Rows) -> Verdict | None:
    rates = _rates(rows)
    known = [rate for rate in rates if rate]
    value = max(known) / min(known) if known and len(known) == len(rates) else None
    return Verdict("in memory: the fastest size of the slowest", value, 1.2) if rates else None


def judge(rows: Rows) -> list[Verdict]:
    """Return what became of the criteria that were to be measured."""
    judges: list[Callable[[Rows], Verdict | None]] = [
        *(ratio.judge for ratio in _RATIOS),
        _slowest,
        _flat,
    ]
    return [verdict for judge in judges if (verdict := judge(rows)) is not None]
