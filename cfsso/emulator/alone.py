"""One thread at a time in an emulator, which clients in several threads may share."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar


class _Locked(Protocol):
    @property
    def _lock(self) -> AbstractContextManager[Any]: ...


_Self = TypeVar("_Self", bound=_Locked)
_P = ParamSpec("_P")
_T = TypeVar("_T")


def alone(method: Callable[Concatenate[_Self, _P], _T]) -> Callable[Concatenate[_Self, _P], _T]:
    """Return *method*, which is called only while its object's lock is held."""

    @functools.wraps(method)
    def locked(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with self._lock:  # pyright: ignore[reportPrivateUsage] # this is how it is held
            return method(self, *args, **kwargs)

    return locked
