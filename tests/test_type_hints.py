"""Annotations mean something at run time, too: dependency injection and documentation read them."""

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from interpreters import in_fresh_interpreter

import cfsso


def annotated(value: Any) -> Iterator[Callable[..., Any]]:
    """Give a function itself; of a class itself, its methods and what is behind its properties."""
    if inspect.isclass(value) or inspect.isfunction(value):
        yield value
    if not inspect.isclass(value):
        return
    for name in dir(value):
        member = inspect.getattr_static(value, name)
        if isinstance(member, (classmethod, staticmethod)):
            member = member.__func__
        if isinstance(member, property):
            member = member.fget
        if inspect.isfunction(member):
            yield member


PUBLIC = [
    pytest.param(getattr(room, name), id=f"{room.__name__}.{name}")
    for room in (cfsso, cfsso.fleet, cfsso.testing)
    for name in room.__all__
    if inspect.isclass(getattr(room, name)) or inspect.isfunction(getattr(room, name))
]


@pytest.mark.parametrize("value", PUBLIC)
def test_the_type_hints_of_a_public_name_evaluate(value: Any) -> None:
    """Every annotation of a public class or function, and of its members, is found."""
    for each in annotated(value):
        hints = typing.get_type_hints(each)

        assert not [name for name, hint in hints.items() if isinstance(hint, str)]


@pytest.mark.parametrize("value", PUBLIC)
def test_the_signature_of_a_public_name_evaluates(value: Any) -> None:
    """So do those of a signature."""
    for each in annotated(value):
        if inspect.isfunction(each):
            inspect.signature(each, eval_str=True)


def test_the_session_of_connect() -> None:
    """Whoever asks what a session is gets the class of aiohttp, and nobody else loads that."""
    code = """
import cfsso, sys, typing
cfsso.connect
print("aiohttp" in sys.modules)
found = typing.get_type_hints(cfsso.connect)["session"]
import aiohttp
print(found == aiohttp.ClientSession | None)
"""
    assert "False\nTrue\n" == in_fresh_interpreter(code)
