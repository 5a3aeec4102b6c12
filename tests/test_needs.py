"""Tests that need a program of the machine are skipped or fail, as the environment says."""

import pytest
from needs import lacking


def test_what_is_not_demanded_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable, or with other programs in it, the test is skipped."""
    for value in ("", "redis-server nginx"):
        monkeypatch.setenv("CFSSO_TESTS_NEED", value)
        with pytest.raises(pytest.skip.Exception, match="no chromium on this machine"):
            lacking("chromium")


def test_what_is_demanded_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the program in the variable the test fails instead."""
    monkeypatch.setenv("CFSSO_TESTS_NEED", "nginx chromium")
    with pytest.raises(pytest.fail.Exception, match="this machine has none"):
        lacking("chromium")
