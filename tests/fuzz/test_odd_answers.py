"""Odd answers to all operations, acts and commands: only our errors, and no token or markup."""

import base64

import pytest
from fuzz_checks import Checks, has_token
from fuzz_odd import HAS, SAID, TOKEN, token_forms
from odd_answers import once

import cfsso


@pytest.mark.timeout(180)
@pytest.mark.parametrize("first", range(1, 201, 100))
def test_odd_answers(first: int) -> None:
    """On fixed seeds nothing foreign leaves, and no text has a token, markup or controls."""
    checks = Checks()
    for seed in range(first, first + 100):
        once(seed, checks)

    assert [] == checks.broken
    assert 200 <= checks.counts["odd answers"]
    assert 10 <= checks.counts["odd answers to commands"]


@pytest.mark.parametrize("form", sorted({*token_forms()}))
def test_the_fuzzer_knows_the_token(form: str) -> None:
    """It is found in each form in which a server may repeat it, whole or in part."""
    assert has_token(f"told: {form}.")
    assert has_token(f"told: {form[: len(form) * 2 // 3]}")
    assert not has_token("told: [masked].")


def test_the_fuzzer_knows_base64_at_any_place() -> None:
    """Whatever stands before and after it."""
    for before in range(6):
        text = base64.b64encode(b"x" * before + TOKEN.encode() + b"yz").decode()
        assert has_token(f'{{"a":"{text}"}}')


def test_the_fuzzer_sees_what_is_wrong() -> None:
    """Each kind of fault is told."""
    checks = Checks()
    checks.tells = True

    checks.error(cfsso.CfssoError(f"no {SAID}"))
    checks.error(cfsso.CfssoError("no", errors=[cfsso.ResponseInfo(message=TOKEN)]))
    checks.error(cfsso.CfssoError("unexpected: KeyError"))
    checks.said("Traceback (most recent call last):\n", "stderr", is_data=False)
    checks.said("\x1b[31mred", "stdout", is_data=False)
    checks.page(f"<p>{HAS}</p>")
    checks.foreign(KeyError("x"))

    assert 7 == len(checks.broken)
