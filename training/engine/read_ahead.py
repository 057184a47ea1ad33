"""Run a generator in a thread, some items ahead of who takes them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from queue import SimpleQueue
from typing import TypeVar

_Item = TypeVar("_Item")


class _End:
    """The last item: the generator ended, by an error or without one."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def read_ahead(items: Generator[_Item, None, None], depth: int) -> Generator[_Item, None, None]:
    """Yield the ``items``, up to ``depth`` of which wait, made ahead in a thread. Raises what they raise.

    Closing the generator ends the thread and closes ``items``.
    """
    made: SimpleQueue[_Item | _End] = SimpleQueue()
    room, stopping = threading.Semaphore(depth), threading.Event()

    def work() -> None:
        error: BaseException | None = None
        try:
            with closing(items):
                while room.acquire() and not stopping.is_set():
                    made.put(next(items))
        except StopIteration:
            pass
        except BaseException as raised:  # noqa: BLE001 - raised where the items are taken
            error = raised
        made.put(_End(error))

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopping.set()
        room.release()
        thread.join()
