"""One heap for all threads, in a process of its own, by glibc's own statistics."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

THREADS = """
import ctypes, threading
from service import heap
{share}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
running = threading.Barrier(5)

def allocate():
    libc.malloc(1000)
    running.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
running.wait()
libc.malloc_stats()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="only glibc has several heaps")
def test_threads_share_the_heap() -> None:
    def heaps(share: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", THREADS.format(share=share)], capture_output=True, text=True, check=True
        )
        return sum(line.startswith("Arena ") for line in done.stderr.splitlines())

    assert heaps("") > 1
    assert heaps("heap.share()") == 1
