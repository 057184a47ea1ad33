"""Work on items in several threads, with the results in the order of the items, and few of them waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ordered(work: Callable[[T], U], items: Iterator[T], threads: int) -> Generator[U]:
    """``work`` of each item, in order. One more thread takes the ``items``, a few ahead of the results.

    What ``items`` or ``work`` raises is raised here, in its turn. Closing the generator ends all threads.
    """
    room = threading.Semaphore(2 * threads + 1)
    pending: queue.SimpleQueue[Future[U] | None] = queue.SimpleQueue()
    ended = threading.Event()

    def feed() -> None:
        try:
            while room.acquire() and not ended.is_set():
                pending.put(pool.submit(work, next(items)))
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
            failed: Future[U] = Future()
            failed.set_exception(error)
            pending.put(failed)
        pending.put(None)

    with ThreadPoolExecutor(threads, "score") as pool:
        reader = threading.Thread(target=feed, name="read")
        reader.start()
        try:
            while (result := pending.get()) is not None:
                yield result.result()
                del result  # or it would keep the rows while the next ones are waited for
                room.release()
        finally:
            ended.set()
            room.release()
            reader.join()
            pool.shutdown(cancel_futures=True)
