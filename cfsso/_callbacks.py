"""What callers hand in to be called: plain functions, since nothing awaits what they return."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from cfsso._log import log
from cfsso.errors import InvalidRequestError


class Plain:
    """
    A callback, which is called with what comes.

    One that returns a coroutine all the same has done nothing: the log says so, once.

    Args:
        name: What callers know it by.
        function: What they handed in.
    """

    __slots__ = ("_function", "_name", "_told")

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        self._name = name
        self._function = function
        self._told = False

    def __repr__(self) -> str:
        return repr(self._function)

    def __eq__(self, other: object) -> bool:
        return self._function == (other._function if isinstance(other, Plain) else other)

    def __hash__(self) -> int:
        return hash(self._function)

    def __call__(self, *args: Any) -> None:
        """Call it."""
        returned = self._function(*args)
        if returned is not None and _is_undone(returned):
            self._let_go(returned)

    def _let_go(self, returned: Any) -> None:
        if inspect.iscoroutine(returned) or inspect.isgenerator(returned):
            # It is never awaited, and Python would say so each time.
            returned.close()
        if not self._told:
            self._told = True
            log().error(_text(self._name, self._function))


def plain(name: str, function: Any) -> Any:
    """
    Return *function*, to be called; ``None`` and what was returned here before stay as they are.

    Raises:
        InvalidRequestError: It is async, or can't be called.
    """
    if function is None or isinstance(function, Plain):
        return function
    refuse_async(name, function)
    return Plain(name, function)


def refuse_async(name: str, function: Any) -> None:
    """
    See that *function* does its work when it is called.

    Raises:
        InvalidRequestError: It is async, or can't be called.
    """
    if not callable(function):
        raise InvalidRequestError(f"{name} must be a function, not {type(function).__name__}")
    called = function
    while isinstance(called, functools.partial):
        called = called.func
    if _is_async(called) or _is_async(type(called).__call__):
        raise InvalidRequestError(_text(name, called))


def _is_async(function: Any) -> bool:
    # A generator's function does as little when it is called.
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.isgeneratorfunction(function)
    )


def _is_undone(returned: Any) -> bool:
    """Whether nothing happens unless somebody awaits *returned*, or goes through it."""
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        return True
    # What is a future goes on by itself.
    return inspect.isawaitable(returned) and not hasattr(returned, "add_done_callback")


def _text(name: str, function: Any) -> str:
    shown = getattr(function, "__qualname__", None) or type(function).__qualname__
    return (
        f"{name} must not be async, since nothing awaits it: {shown:.60}; give a plain function,"
        " which may put what it gets into a queue or start a task"
    )
