"""Metrics of the workers as they are at a scrape, from their heartbeats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.heartbeats import SUPERVISOR, SUSPECT_S, Heartbeats
from service.lifecycle import State

_ANSWERING: Final = (State.READY, State.DRAINING)
# Workers with a series of their own.
_SHOWN: Final = 64


class WorkersNow(Collector):
    """How many workers respond, and whether all of them take traffic.

    Not from the workers' files: one that hangs, or was killed, has left there what was true before.
    """

    def __init__(self, heartbeats: Heartbeats) -> None:
        self._heartbeats = heartbeats

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        ages_s = {index: self._heartbeats.age_s(index) for index in (*self._heartbeats.workers, SUPERVISOR)}
        states = {index: self._heartbeats.state(index) for index in ages_s}
        answering = [index for index in self._heartbeats.workers if states[index] in _ANSWERING]
        responding = [index for index in answering if ages_s[index] <= SUSPECT_S]
        ready = all(states[index] is State.READY for index in self._heartbeats.workers)
        judged = answering if states[SUPERVISOR] is None else [*answering, SUPERVISOR]
        yield GaugeMetricFamily(
            "mlp_ready",
            "1 while the server and all its workers take traffic, else 0.",
            value=ready and len(responding) == len(answering),
        )
        yield GaugeMetricFamily("mlp_workers", "Processes that answer requests.", value=len(responding))
        yield GaugeMetricFamily(
            "mlp_heartbeat_age_seconds",
            "Highest heartbeat age among the workers that answer requests and their supervisor.",
            value=max([ages_s[index] for index in judged], default=0.0),
        )
        each = GaugeMetricFamily(
            "mlp_worker_heartbeat_age_seconds",
            f"Age of the last heartbeat of each running process: the first {_SHOWN} workers, and their supervisor.",
            labels=("worker",),
        )
        for index in (*self._heartbeats.workers[:_SHOWN], SUPERVISOR):
            if states[index] is not None:
                each.add_metric(["supervisor" if index == SUPERVISOR else str(index)], ages_s[index])
        yield each
