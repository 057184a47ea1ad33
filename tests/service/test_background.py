"""The switch interval is short while any thread runs in the background, and what it was after the last one."""

from __future__ import annotations

import sys

import pytest

from service.background import quick_switches


def test_the_last_thread_that_ends_restores_the_interval() -> None:
    before_s = sys.getswitchinterval()
    first, second = quick_switches(), quick_switches()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(1e-4)
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before_s


def test_it_is_restored_after_an_error() -> None:
    before_s = sys.getswitchinterval()
    with pytest.raises(ValueError, match="x"), quick_switches():
        raise ValueError("x")
    assert sys.getswitchinterval() == before_s
