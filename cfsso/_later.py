"""Modules that annotations name, and that nothing else needs."""

import importlib
from typing import Any


class Later:
    """
    A module that is imported when an annotation that names it is evaluated.

    Args:
        name: The module's.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)
