"""Totals of the predictions of each model version since the start of this process, for the V2 protocol's statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from service.requests import RequestRecord

_OF: Final = attrgetter("model", "version", "status")
_FIGURES: Final = attrgetter("rows", "duration_s", "queue_s", "decode_s", "inference_s", "encode_s")


@dataclass(slots=True)
class Totals:
    """Requests of one version: how many succeeded and failed, and the seconds of all together.

    Apart from ``failed`` and ``failed_s``, all are of the successful ones. ``last_s`` is the Unix time of the last one.
    """

    succeeded: int = 0
    failed: int = 0
    failed_s: float = 0.0
    rows: int = 0
    duration_s: float = 0.0
    queue_s: float = 0.0
    decode_s: float = 0.0
    inference_s: float = 0.0
    encode_s: float = 0.0
    last_s: float = 0.0


class InferenceStatistics:
    """A sink of finished requests. ``clock`` gives the Unix time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._totals: dict[tuple[str, int], Totals] = {}

    def __call__(self, records: Sequence[RequestRecord]) -> None:
        """Count finished requests; those that did not reach a model are left out."""
        kinds = list(map(_OF, records))
        distinct = set(kinds)
        for kind in distinct:
            model, version, status = kind
            if model:
                chosen = records
                if len(distinct) > 1:
                    chosen = [record for record, each in zip(records, kinds, strict=True) if each == kind]
                totals = self._totals.setdefault((model, version), Totals())
                self._add(totals, chosen, succeeded=status == 200)

    def of(self, model: str, version: int) -> Totals:
        """The totals of a version; all are 0 before its first request."""
        return self._totals.get((model, version), Totals())

    def _add(self, totals: Totals, records: Sequence[RequestRecord], *, succeeded: bool) -> None:
        rows, durations, queue, decode, inference, encode = zip(*map(_FIGURES, records), strict=True)
        if not succeeded:
            totals.failed += len(records)
            totals.failed_s += sum(durations)
            return
        totals.succeeded += len(records)
        totals.rows += sum(rows)
        totals.duration_s += sum(durations)
        totals.queue_s += sum(queue)
        totals.decode_s += sum(decode)
        totals.inference_s += sum(inference)
        totals.encode_s += sum(encode)
        totals.last_s = self._clock()
