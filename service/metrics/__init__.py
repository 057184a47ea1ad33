"""The server's metrics: one file for each kind, `exposition` for all together."""

from service.metrics.exposition import CONTENT_TYPE, Metrics, alone, mark_absent, worker

__all__ = ["CONTENT_TYPE", "Metrics", "alone", "mark_absent", "worker"]
