"""Scrapes run one after the other in a thread, and each has what was counted before it was asked for."""

from __future__ import annotations

import asyncio
import gzip
import sys
import threading
from collections.abc import Callable

import pytest

from service.errors import DeadlineExceeded
from service.metrics.scrapes import Scrapes, Wanted
from service.metrics.text_formats import Format
from tests.service.forked import PATIENCE_S

TEXT = Wanted(Format.TEXT, gzipped=False)


class Collected:
    """Gives the number of requests that were answered before a scrape began, once it ``may_end``."""

    def __init__(self) -> None:
        self.answered = 0
        self.scrapes = 0
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.threads: set[int] = set()
        self.at_once = self.most_at_once = 0

    def __call__(self) -> Callable[[Format], bytes]:
        self.scrapes += 1
        answered = self.answered

        def render(form: Format) -> bytes:
            self.threads.add(threading.get_ident())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.began.set()
            assert self.may_end.wait(PATIENCE_S)
            self.at_once -= 1
            return f"{form.name} {answered}".encode()

        return render


async def begun(collected: Collected) -> None:
    await asyncio.to_thread(collected.began.wait, PATIENCE_S)


@pytest.mark.anyio
async def test_the_loop_runs_on_meanwhile_and_who_comes_later_gets_a_later_scrape() -> None:
    """1. A scrape runs. 2. A request is answered. 3. Three clients ask: the next scrape is for all of them."""
    collected = Collected()
    scrapes = Scrapes(collected)
    first = asyncio.ensure_future(scrapes(TEXT))
    await begun(collected)
    collected.answered += 1
    later = [asyncio.ensure_future(scrapes(TEXT)) for _ in range(3)]
    await asyncio.sleep(0)
    collected.may_end.set()
    assert await first == b"TEXT 0"
    assert await asyncio.gather(*later) == [b"TEXT 1"] * 3
    assert (collected.scrapes, collected.most_at_once) == (2, 1)
    assert threading.get_ident() not in collected.threads


@pytest.mark.anyio
async def test_each_format_is_its_own_scrape_and_gzip_has_the_same_content() -> None:
    collected = Collected()
    collected.may_end.set()
    scrapes = Scrapes(collected)
    wanted = [Wanted(form, gzipped=gzipped) for form in Format for gzipped in (False, True)]
    plain, zipped, plain_too, zipped_too = await asyncio.gather(*map(scrapes, wanted))
    assert plain == gzip.decompress(zipped) == b"TEXT 0"
    assert plain_too == gzip.decompress(zipped_too) == b"OPENMETRICS 0"
    assert collected.most_at_once == 1


@pytest.mark.anyio
async def test_a_scrape_that_takes_too_long_is_an_error_and_does_not_block_later_ones_for_ever() -> None:
    collected = Collected()
    scrapes = Scrapes(collected, timeout_s=0.01)
    for _ in range(2):
        with pytest.raises(DeadlineExceeded) as refused:
            await scrapes(TEXT)
        assert str(refused.value) == ("the metrics took more than 0.01 s to collect; look for a slow disk below TMPDIR")
    collected.may_end.set()
    patient = Scrapes(collected)
    assert await patient(TEXT) == b"TEXT 0"


@pytest.mark.anyio
async def test_a_client_that_leaves_does_not_end_the_scrape_of_others() -> None:
    collected = Collected()
    scrapes = Scrapes(collected)
    leaves, stays = (asyncio.ensure_future(scrapes(TEXT)) for _ in range(2))
    await begun(collected)
    leaves.cancel()
    collected.may_end.set()
    assert await stays == b"TEXT 0"
    assert leaves.cancelled()
    assert collected.scrapes == 1


@pytest.mark.anyio
async def test_a_failure_reaches_who_asked_and_the_next_scrape_works() -> None:
    def fails(_form: Format) -> bytes:
        raise OSError("no disk")

    renders = [fails, lambda _form: b"fine"]
    scrapes = Scrapes(lambda: renders.pop(0))
    with pytest.raises(OSError, match="no disk"):
        await scrapes(TEXT)
    assert await scrapes(TEXT) == b"fine"


@pytest.mark.anyio
async def test_requests_get_the_interpreter_soon() -> None:
    before_s, seen_s = sys.getswitchinterval(), []

    def render(_form: Format) -> bytes:
        seen_s.append(sys.getswitchinterval())
        return b""

    await Scrapes(lambda: render)(TEXT)
    assert seen_s == [pytest.approx(1e-4)]
    assert sys.getswitchinterval() == before_s
