"""Limits against a token bucket that is filled step by step, over several processes, and as keys come and go."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.keys.buckets import Buckets
from service.keys.key_file import MAX_KEYS
from tests.service.keys.made import make


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@given(st.sampled_from([0.5, 1.0, 4.0, 32.0]), st.lists(st.integers(0, 64), max_size=60))
def test_requests_are_limited_as_by_a_bucket_of_tokens(rate_per_s: float, pauses: list[int]) -> None:
    clock = Clock()
    bucket, _ = Buckets(clock).of([make(requests_per_s=rate_per_s).key])["web"]
    assert bucket is not None
    capacity = max(rate_per_s, 1.0)
    tokens = capacity
    for sixteenths in pauses:  # exact as floats
        clock.now_s += sixteenths / 16
        tokens = min(tokens + sixteenths / 16 * rate_per_s, capacity)
        wait_s = bucket.take()
        assert wait_s == pytest.approx(max(1 - tokens, 0) / rate_per_s)
        tokens -= wait_s == 0.0


@given(st.lists(st.tuples(st.integers(0, 64), st.integers(1, 200)), max_size=60))
def test_rows_pass_while_there_is_no_debt(requests: list[tuple[int, int]]) -> None:
    clock, rate_per_s = Clock(), 32.0
    _, bucket = Buckets(clock).of([make(rows_per_s=rate_per_s).key])["web"]
    assert bucket is not None
    tokens = rate_per_s
    for sixteenths, rows in requests:
        clock.now_s += sixteenths / 16
        tokens = min(tokens + sixteenths / 16 * rate_per_s, rate_per_s)
        wait_s = bucket.take(rows)
        assert wait_s == pytest.approx(max(-tokens, 0) / rate_per_s)
        tokens -= rows if wait_s == 0.0 else 0


def test_forked_processes_share_the_buckets() -> None:
    made = make(requests_per_s=10)
    buckets = Buckets(lambda: 5.0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # it reads the keys by itself, as a worker does
        bucket, _ = buckets.of([make("other", requests_per_s=1).key, made.key])["web"]
        passed = sum(bucket is not None and bucket.take() == 0.0 for _ in range(7))
        os.write(writing, bytes([passed]))
        os._exit(0)
    assert os.read(reading, 1) == b"\x07"
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    bucket, _ = buckets.of([made.key])["web"]
    assert bucket is not None
    assert [bucket.take() == 0.0 for _ in range(5)] == [True] * 3 + [False] * 2


def test_all_keys_have_buckets_of_their_own() -> None:
    keys = [make(f"k{index}", requests_per_s=1, rows_per_s=1).key for index in range(MAX_KEYS)]
    found = Buckets(lambda: 5.0).of(keys)
    assert [bucket.take() for pair in found.values() for bucket in pair if bucket] == [0.0] * 2 * MAX_KEYS


def test_a_key_keeps_its_bucket_while_others_come_and_go_and_gets_a_fresh_one_with_new_limits() -> None:
    buckets, key = Buckets(lambda: 5.0), make(requests_per_s=1).key
    first, _ = buckets.of([key])["web"]
    assert first is not None
    assert first.take() == 0.0
    again, _ = buckets.of([make("other", requests_per_s=1).key, key])["web"]
    assert again is not None
    assert again.take() > 0.0
    changed, _ = buckets.of([key._replace(requests_per_s=2)])["web"]
    assert changed is not None
    assert changed.take() == 0.0
    assert "free" not in buckets.of([make("free").key])
