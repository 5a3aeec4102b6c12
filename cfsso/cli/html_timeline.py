"""The requests of one token over time against the rate limit, as a drawing in SVG."""

import datetime as dt
import math
from collections.abc import Iterator
from typing import Final

from cfsso._text import shown_time
from cfsso.cli.html_text import scrolling, text
from cfsso.cli.windows import LIMIT, Window

_WIDTH: Final = 720
_HEIGHT: Final = 210
_LEFT: Final = 48
_RIGHT: Final = _WIDTH - 34
_TOP: Final = 22
_BOTTOM: Final = _HEIGHT - 28
_MINUTE: Final = 60
_DAY: Final = 86400
# Between the times below the drawing, in seconds; longer ones are whole days.
_STEPS: Final = (
    *(10, 15, 30, _MINUTE, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200, _DAY),
)
_TIMES: Final = 6


def timeline(window: Window, number: int) -> str:
    """Return a figure with its words; *number* tells its ids from those of others."""
    said = (
        f"{window.sent:,} requests; at most {window.peak:,} of {LIMIT.requests:,} in"
        f" {LIMIT.seconds:.0f} seconds, at {shown_time(window.peak_at)}."
    )
    name = f"Token {text(window.credential)}" if window.credential else "Token not known"
    drawing = _Drawing(window)
    curve = drawing.path()
    over = f"Requests of the preceding {LIMIT.seconds:.0f} seconds over time, {name}"
    ids = f"title-{number} desc-{number}"
    parts = [
        f"<figure><figcaption><strong>{name}</strong> {said}</figcaption>",
        scrolling(f"Requests over time, {name}"),
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{ids}">',
        f'<title id="title-{number}">{over}</title><desc id="desc-{number}">{said}</desc>',
        *drawing.axes(),
        f'<path class="area" d="{curve}V{_BOTTOM}H{_LEFT}Z"/>',
        f'<path class="curve" d="{curve}"/>',
        *drawing.limit(),
        "</svg></div></figure>",
    ]
    return "\n".join(parts)


class _Drawing:
    """Where things stand; seconds go to the right, requests upwards."""

    def __init__(self, window: Window) -> None:
        self._points = [(moment.timestamp(), count) for moment, count in window.points]
        self._begin = self._points[0][0]
        # After the last request the number only falls.
        last = self._points[-1][0] - LIMIT.seconds
        self._span = max(_MINUTE, last + 1 - self._begin)
        self._top = 1.05 * max(LIMIT.requests, window.peak)

    def path(self) -> str:
        """Return the curve; where many points share a place it shows the largest."""
        steps = [f"M{_LEFT} {_BOTTOM}"]
        present = 0
        for x, most, last in self._places():
            steps.append(f"H{x}V{self._y(max(most, present))}")
            if last != max(most, present):
                steps.append(f"V{self._y(last)}")
            present = last
        return "".join([*steps, f"H{_RIGHT}"])

    def _places(self) -> Iterator[tuple[int, int, int]]:
        """Yield each place with the largest and the last number there."""
        places: dict[int, tuple[int, int]] = {}
        for second, count in self._points:
            if second <= self._begin + self._span:
                x = self._x(second)
                most, _ = places.get(x, (0, 0))
                places[x] = max(most, count), count
        for x, (most, last) in places.items():
            yield x, most, last

    def axes(self) -> Iterator[str]:
        """Yield lines and labels for numbers and times."""
        for share in (0, 1, 2):
            count = LIMIT.requests * share // 3
            yield self._level(count, "grid", f"{count:,}")
        step = self._step()
        second = math.ceil(self._begin / step) * step
        while second <= self._begin + self._span:
            x, said = self._x(second), self._clock(second, step)
            yield f'<path class="grid" d="M{x} {_BOTTOM}v5"/>'
            yield f'<text class="time" x="{x}" y="{_BOTTOM + 19}">{said}</text>'
            second += step

    def limit(self) -> Iterator[str]:
        """Yield the line that must not be crossed, with its name."""
        yield self._level(LIMIT.requests, "limit", f"{LIMIT.requests:,}")
        y = self._y(LIMIT.requests) - 5
        yield f'<text class="name" x="{_RIGHT}" y="{y}">limit: {LIMIT.requests:,}</text>'

    def _level(self, count: int, kind: str, label: str) -> str:
        y = self._y(count)
        return (
            f'<path class="{kind}" d="M{_LEFT} {y}H{_RIGHT}"/>'
            f'<text class="count" x="{_LEFT - 6}" y="{y + 4}">{label}</text>'
        )

    def _step(self) -> int:
        for step in _STEPS:
            if self._span / step <= _TIMES:
                return step
        return math.ceil(self._span / _TIMES / _DAY) * _DAY

    def _clock(self, second: float, step: int) -> str:
        moment = dt.datetime.fromtimestamp(second, dt.UTC)
        if step >= _DAY:
            return f"{moment:%Y-%m-%d}"
        if self._span > _DAY:
            return f"{moment:%m-%d %H:%M}"
        return f"{moment:%H:%M:%S}" if step < _MINUTE else f"{moment:%H:%M}"

    def _x(self, second: float) -> int:
        return round(_LEFT + (second - self._begin) / self._span * (_RIGHT - _LEFT))

    def _y(self, count: int) -> int:
        return round(_BOTTOM - count / self._top * (_BOTTOM - _TOP))
