"""What a PromQL expression asks for: its metrics, and the labels and values that it matches or groups by."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

from service import metrics

_SELECTOR = re.compile(r"\b(up|(?:mlp|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_RECORD = re.compile(r"\b\w+:\w+:\w+")
_GROUPING = re.compile(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)")
# The names that a metric of each type has in an exposition end so.
_ENDINGS = {Counter: "_total", Gauge: "", Histogram: ("_bucket", "_sum", "_count"), Summary: ("_sum", "_count")}
# What Prometheus itself gives to every series of a target, here and in the pod monitor.
TARGET_LABELS = {"job", "namespace", "instance"}


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each metric that is asked for, with the labels and values that it is matched by."""
    for name, matchers in _SELECTOR.findall(_RECORD.sub("", expression)):
        yield name, _MATCHER.findall(matchers)


def records(expression: str) -> set[str]:
    """The recorded series that are asked for."""
    return set(_RECORD.findall(expression))


def groupings(expression: str) -> set[str]:
    """The labels that are kept or left out when series are added up or joined."""
    return {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")}


def known() -> dict[str, set[str]]:
    """Every series that the service has, by its name, with its labels."""
    registry = CollectorRegistry()
    metrics.Metrics(registry)
    names = {"up": set[str]()}
    for name, collector in registry._names_to_collectors.items():
        assert isinstance(collector, MetricWrapperBase)
        if name.endswith(_ENDINGS[type(collector)]):
            names[name] = set(collector._labelnames) | ({"le"} if name.endswith("_bucket") else set())
    of_process = re.findall(rb"^(process_\w+) ", metrics.alone().exposition(), re.MULTILINE)
    return names | {name.decode(): set() for name in of_process}
