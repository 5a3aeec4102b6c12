"""What a test needs of the machine: it is skipped without it, or fails where it must be there."""

import os
from typing import NoReturn

import pytest

_VARIABLE = "CFSSO_TESTS_NEED"


def lacking(program: str) -> NoReturn:
    """
    Skip the test, since the machine lacks *program*.

    Where ``CFSSO_TESTS_NEED`` names it, among others with blanks between, the test fails:
    a test that is skipped in CI is one that nobody runs.
    """
    if program in os.environ.get(_VARIABLE, "").split():
        pytest.fail(f"{_VARIABLE} names {program}, and this machine has none")
    pytest.skip(f"no {program} on this machine")
