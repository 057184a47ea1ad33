"""Metrics of shadow versions: how they would have answered the same rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from service.metrics.instruments import Instruments, add_to_summary
from service.metrics.requests import SECONDS

Reason = Literal["raised", "not-finite", "hung"]
REASONS: Final[tuple[Reason, ...]] = ("raised", "not-finite", "hung")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run of a shadow version, on rows that version ``serving`` answered.

    ``rows`` are those that both answered; ``agreed`` have the same label. ``changes`` are sums over these rows: of the
    absolute change of the served label's probability, or of each target's value.
    """

    serving: int
    rows: int
    agreed: int
    changes: Sequence[float]
    run_s: float


@dataclass(slots=True)
class ShadowCounts:
    """What one shadow version did since the last scrape; its thread appends to the queues.

    ``targets`` are the names of a regression's targets, and empty for a classification.
    """

    model: str
    version: int
    targets: Sequence[str]
    skipped_rows: int = 0
    comparisons: deque[Comparison] = field(default_factory=deque)
    failures: deque[tuple[Reason, int]] = field(default_factory=deque)


class ShadowMetrics:
    """What the shadow versions of this process do."""

    def __init__(self, make: Instruments) -> None:
        self._all: list[ShadowCounts] = []
        pair = ("model", "version", "serving")
        self._rows = make.counter(
            "mlp_shadow_rows_total", "Rows on which a shadow version was compared with the serving one.", *pair
        )
        self._agreed = make.counter(
            "mlp_shadow_agreed_rows_total", "Rows to which a shadow version gave the same label.", *pair
        )
        self._probability = make.summary(
            "mlp_shadow_probability_change", "Absolute change of the served label's probability.", *pair
        )
        self._value = make.summary(
            "mlp_shadow_value_change", "Absolute change of a regression's value, in its unit.", *pair, "target"
        )
        self._run = make.histogram(
            "mlp_shadow_run_duration_seconds", "Time of one run of a shadow version.", SECONDS, "model", "version"
        )
        self._skipped = make.counter(
            "mlp_shadow_skipped_rows_total",
            "Served rows on which a shadow version did not run, because there was no spare capacity.",
            "model",
            "version",
        )
        self._failed = make.counter(
            "mlp_shadow_failed_rows_total", "Rows on which a shadow version failed.", "model", "version", "reason"
        )

    def watch(self, model: str, version: int, targets: Sequence[str]) -> ShadowCounts:
        """Report a shadow version; what is counted in the result shows at the next scrape."""
        counts = ShadowCounts(model, version, targets)
        self._all.append(counts)
        self._skipped.labels(model, str(version))
        for reason in REASONS:
            self._failed.labels(model, str(version), reason)
        return counts

    def flush(self) -> None:
        """Count what the shadow versions did since the last time."""
        for counts in self._all:
            model, version = counts.model, str(counts.version)
            if counts.skipped_rows:
                self._skipped.labels(model, version).inc(counts.skipped_rows)
                counts.skipped_rows = 0
            while counts.failures:
                reason, rows = counts.failures.popleft()
                self._failed.labels(model, version, reason).inc(rows)
            while counts.comparisons:
                self._count(counts, counts.comparisons.popleft())

    def _count(self, counts: ShadowCounts, ran: Comparison) -> None:
        model, version, serving = counts.model, str(counts.version), str(ran.serving)
        self._run.labels(model, version).observe(ran.run_s)
        if not ran.rows:
            return
        self._rows.labels(model, version, serving).inc(ran.rows)
        if not counts.targets:
            self._agreed.labels(model, version, serving).inc(ran.agreed)
            add_to_summary(self._probability.labels(model, version, serving), ran.rows, ran.changes[0])
        for target, change in zip(counts.targets, ran.changes, strict=False):
            add_to_summary(self._value.labels(model, version, serving, target), ran.rows, change)
