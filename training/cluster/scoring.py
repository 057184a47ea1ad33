"""Work on the items of an input by the workers of a Ray cluster: one object a worker does it, the order is kept."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Generator, Iterable, Iterator
from threading import Event, Thread
from typing import Any, Final, NamedTuple

import pyarrow as pa
import ray
from ray import cloudpickle
from ray.data import DataContext, Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from training.cluster import connection
from training.cluster.choice import Cluster

_POLL_S: Final = 0.2
_WAITING: Final = 4  # results that wait here
_BLOCK_BYTES: Final = 1  # every item is a block of its own
_COLUMN: Final = "item"


class _Raised(NamedTuple):
    """In the place of a result: what was raised instead."""

    error: Exception


def ordered(
    cluster: Cluster,
    items: Callable[[], Iterator[Any]],
    make_work: Callable[[], Callable[[Any], Any]],
    on_wait: Callable[[], None] = lambda: None,
) -> Generator[Any, None, None]:
    """Yield the result of the work on each of ``items``, in their order.

    ``items`` is called in a process of the ``cluster``, and ``make_work`` once in each of its workers: what they need
    has to be there. ``on_wait`` is called while this waits, and may end it by raising. Raises what they raise, in its
    turn, and `ClusterError`. Closing the generator leaves the cluster.
    """
    with connection.connected(cluster):
        _configure(logs=cluster.logs)
        dataset = ray.data.read_datasource(_Items(items), override_num_blocks=1).map_batches(
            _Worker,
            fn_constructor_args=(make_work,),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=cluster.workers),
            num_cpus=1,
        )
        batches = dataset.iter_batches(batch_size=1, batch_format="pyarrow", prefetch_batches=_WAITING)
        for batch in _watched(batches, on_wait):
            result = _item_of(batch)
            if isinstance(result, _Raised):
                raise result.error
            yield result


def _configure(*, logs: bool) -> None:
    if not logs:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.target_max_block_size = _BLOCK_BYTES
    context.enable_progress_bars = False


class _Items(Datasource):  # type: ignore[misc] # Ray has no types here
    """Reads all items in one task, which yields them as they are taken."""

    def __init__(self, items: Callable[[], Iterator[Any]]) -> None:
        super().__init__()
        self._items = items

    def estimate_inmemory_data_size(self) -> None:
        """Not known."""

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:  # noqa: ARG002 - Ray's signature
        """The task."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None)
        items = self._items
        return [ReadTask(lambda: map(_block_of, _guarded(items)), unknown)]


class _Worker:
    """An actor that holds what does the work."""

    def __init__(self, make_work: Callable[[], Callable[[Any], Any]]) -> None:
        self._work: Callable[[Any], Any] | None = None
        try:
            self._work = make_work()
        except Exception as error:  # noqa: BLE001 - raised where the results are taken
            self._error = error

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A table of one result, for one of one item."""
        item = _item_of(batch)
        if isinstance(item, _Raised):
            return batch
        if self._work is None:
            return _block_of(_Raised(self._error))
        try:
            return _block_of(self._work(item))
        except Exception as error:  # noqa: BLE001 - raised where the results are taken
            return _block_of(_Raised(error))


def _guarded(items: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    try:
        yield from items()
    except Exception as error:  # noqa: BLE001 - raised where the results are taken
        yield _Raised(error)


def _block_of(item: Any) -> pa.Table:
    return pa.table({_COLUMN: pa.array([cloudpickle.dumps(item)], pa.large_binary())})


def _item_of(block: pa.Table) -> Any:
    return cloudpickle.loads(block[_COLUMN][0].as_py())


def _watched(batches: Iterable[Any], on_wait: Callable[[], None]) -> Generator[Any, None, None]:
    """Yield the ``batches``, which a thread takes, and call ``on_wait`` while there is none."""
    taken: queue.Queue[Any] = queue.Queue(_WAITING)
    ended = Event()

    def take() -> None:
        last: Any = None
        try:
            for batch in batches:
                if ended.is_set():
                    return
                taken.put(batch)
        except Exception as error:  # noqa: BLE001 - raised where the results are taken
            last = _Raised(error)
        taken.put(last)

    Thread(target=take, name="ray-data", daemon=True).start()
    try:
        while True:
            try:
                batch = taken.get(timeout=_POLL_S)
            except queue.Empty:
                on_wait()
                continue
            if batch is None:
                return
            if isinstance(batch, _Raised):
                raise batch.error
            yield batch
    finally:
        ended.set()
