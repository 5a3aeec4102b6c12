"""The logger, loaded when there is something to say, so that importing stays cheap."""

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


@functools.cache
def log() -> "logging.Logger":
    """Return the logger ``cfsso``, which is silent until the application says otherwise."""
    import logging

    logger = logging.getLogger("cfsso")
    logger.addHandler(logging.NullHandler())
    return logger
