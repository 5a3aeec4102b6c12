"""How near a run came to the rate limit: what each token sent in any five minutes."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Final

import attrs

import cfsso

LIMIT: Final = cfsso.RateLimit()
"""What Cloudflare allows each credential."""


@attrs.frozen(kw_only=True)
class Window:
    """
    The requests of one token in the preceding window of the rate limit.

    Attributes:
        credential: The token's fingerprint. Empty: it is not known.
        sent: How many requests there were in all.
        points: The seconds in which the number changed, in order, each with the new one.
        peak: The largest number.
        peak_at: When it was reached first.
    """

    credential: str
    sent: int
    points: tuple[tuple[dt.datetime, int], ...]
    peak: int
    peak_at: dt.datetime


def of_activity(activity: Iterable[tuple[dt.datetime, str, int]]) -> list[Window]:
    """
    Return what each token sent, the one that came nearest to the limit first.

    Args:
        activity: Seconds, fingerprints and numbers, as a journal gives them.
    """
    seconds: dict[str, Counter[dt.datetime]] = {}
    for second, credential, sent in activity:
        seconds.setdefault(credential, Counter())[second] += sent
    windows = [_window(credential, sent) for credential, sent in seconds.items()]
    return sorted(windows, key=lambda window: (-window.peak, window.credential))


def _window(credential: str, sent: Counter[dt.datetime]) -> Window:
    # What is as old as the window is long does not count any more.
    lasting = dt.timedelta(seconds=LIMIT.seconds)
    steps = Counter(sent)
    for second, count in sent.items():
        steps[second + lasting] -= count
    points: list[tuple[dt.datetime, int]] = []
    present = 0
    for second in sorted(steps):
        present += steps[second]
        points.append((second, present))
    peak_at, peak = max(points, key=lambda point: point[1])
    return Window(
        credential=credential,
        sent=sent.total(),
        points=tuple(points),
        peak=peak,
        peak_at=peak_at,
    )
