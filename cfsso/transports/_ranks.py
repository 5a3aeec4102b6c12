"""Who goes first, of those who wait."""

import enum


class Rank(enum.IntEnum):
    """
    Who goes first; among equals, who came first.

    Attributes:
        URGENT: What lets people in. Only this may take what is in reserve.
        BEGUN: What goes on with a call that has had a place already.
        NEW: Everything else.
    """

    URGENT = 0
    BEGUN = 1
    NEW = 2
