"""Chooses requests, and writes their rows and answers from a thread: a bounded queue, drops that are counted."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.inference.model import Model
from service.inference.row_faults import RowFaults
from service.inference.session import Outputs
from service.payloads.files import PayloadFiles
from service.payloads.lines import MOST_VALUES, Payload, lines
from service.requests import RequestRecord

_log = logging.getLogger(__name__)

_MAX_QUEUED_BYTES: Final = 64 * 1024**2
_LOOK_S: Final = 60.0
# How long payloads are gathered, so that the thread seldom takes turns with the event loop's.
_GATHER_S: Final = 0.1
_HASHES: Final = 2**32


class PayloadLog:
    """Logs the payloads of a ``share`` of the requests, from 0 to 1; ``dropped`` is called with how many are lost.

    A hash of the trace's id decides, or of the request's id if it continues no trace: all servers that log the payloads
    of a trace choose alike, and a request that is repeated under its id is chosen again.
    """

    def __init__(
        self,
        files: PayloadFiles,
        share: float,
        dropped: Callable[[int], None],
        max_queued_bytes: int = _MAX_QUEUED_BYTES,
    ) -> None:
        self._files = files
        self._bound = round(share * _HASHES)
        self._dropped = dropped
        self._max_queued_bytes = max_queued_bytes
        self._changed = threading.Condition()
        self._waiting: list[Payload] = []
        self._queued_bytes = 0
        self._closing = threading.Event()
        self._failing = False
        self._thread: threading.Thread | None = None

    def chooses(self, record: RequestRecord) -> bool:
        """Whether the payload of a request is logged."""
        return zlib.crc32((record.trace_id or record.request_id).encode()) < self._bound

    def begin(self, record: RequestRecord, model: Model, rows: NDArray[Any], faults: RowFaults | None) -> Payload:
        """Keep the rows (rows, features) of a request, or the first of them, without those in ``faults``."""
        numbers = np.arange(len(rows)) if faults is None else np.flatnonzero(~faults.mask(len(rows)))
        numbers = numbers[: max(MOST_VALUES // rows.shape[1], 1)]
        return Payload(
            datetime.now(UTC),
            record.request_id,
            record.trace_id,
            model.manifest,
            model.schema,
            rows[numbers].astype(rows.dtype.newbyteorder("="), copy=False),  # a copy: it may be a view of the body
            numbers,
            len(rows),
        )

    def put(self, payload: Payload, outputs: Outputs) -> None:
        """Queue a payload with the outputs of all rows of its request, or drop it."""
        probabilities, prediction = outputs
        numbers = payload.numbers
        payload.outputs = Outputs(None if probabilities is None else probabilities[numbers], prediction[numbers])
        with self._changed:
            fits = self._queued_bytes + payload.size_bytes <= self._max_queued_bytes
            if fits and not self._closing.is_set():
                self._queued_bytes += payload.size_bytes
                self._waiting.append(payload)
                self._changed.notify()
                if self._thread is None:
                    self._start()
                return
        self._dropped(1)

    def close(self, within_s: float) -> None:
        """Write what is queued, within so many seconds; what is not written by then is lost."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(within_s)
            if self._thread.is_alive():
                _log.warning("%d payload(s) were not written in time and are lost", len(self._waiting) + 1)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="payload-log", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the limit of threads is reached; the next put tries again
            return
        self._thread = thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing.is_set(), _LOOK_S)
            closing = self._closing.wait(_GATHER_S)
            with self._changed:
                payloads, self._waiting = self._waiting, []
                self._queued_bytes = 0
            for payload in payloads:
                self._write(payload)
            self._tend(closing=closing and not self._waiting)
            if closing and not self._waiting:
                return

    def _write(self, payload: Payload) -> None:
        try:
            self._files.write(b"".join(lines(payload)))
        except Exception as error:  # noqa: BLE001 - the thread goes on
            if not self._failing:
                known = isinstance(error, OSError)
                _log.error("payloads cannot be logged, and are dropped: %s", error, exc_info=None if known else error)
            self._failing = True
            self._dropped(1)
        else:
            self._failing = False

    def _tend(self, *, closing: bool) -> None:
        try:
            if closing:
                self._files.rotate()
            else:
                self._files.rotate_if_old()
        except OSError as error:
            _log.error("a file of payloads cannot be completed: %s", error)
