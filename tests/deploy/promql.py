"""The metrics of a PromQL expression, and the labels and values that it matches or groups by."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from service.heartbeats import Heartbeats
from service.metrics.workers import WorkersNow

_SELECTOR = re.compile(r"\b(up|(?:mlp|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_RECORD = re.compile(r"\b\w+:\w+:\w+")
_GROUPING = re.compile(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)")
# The suffixes of a metric's names in an exposition, by type.
_SUFFIXES = {Counter: "_total", Gauge: "", Histogram: ("_bucket", "_sum", "_count"), Summary: ("_sum", "_count")}
# The labels that Prometheus adds to every series, here and with the pod monitor.
TARGET_LABELS = {"job", "namespace", "instance"}


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each metric in the expression, with the labels and values that it is matched by."""
    for name, matchers in _SELECTOR.findall(_RECORD.sub("", expression)):
        yield name, _MATCHER.findall(matchers)


def records(expression: str) -> set[str]:
    """The recorded series in the expression."""
    return set(_RECORD.findall(expression))


def groupings(expression: str) -> set[str]:
    """The labels of aggregations and joins."""
    return {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")}


def known() -> dict[str, set[str]]:
    """The labels of every series of the service, by name."""
    registry = CollectorRegistry()
    drift = metrics.Metrics(registry).drift.describe()
    now = WorkersNow(Heartbeats(1)).collect()
    names = {"up": set[str]()} | {family.name: set(family._labelnames) for family in (*drift, *now)}
    for name, collector in registry._names_to_collectors.items():
        assert isinstance(collector, MetricWrapperBase)
        if name.endswith(_SUFFIXES[type(collector)]):
            names[name] = set(collector._labelnames) | ({"le"} if name.endswith("_bucket") else set())
    of_process = re.findall(rb"^(process_\w+) ", metrics.alone().exposition(), re.MULTILINE)
    return names | {name: set() for name in map(bytes.decode, of_process)}
