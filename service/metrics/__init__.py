"""The server's metrics: one file for each kind, `exposition` for all together."""

from service.metrics.exposition import Metrics, alone, mark_absent, worker

__all__ = ["Metrics", "alone", "mark_absent", "worker"]
