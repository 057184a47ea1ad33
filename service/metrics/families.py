"""Families of metrics as a scrape writes them: series with their labels as text, and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

# Texts of series that are kept between scrapes.
_KEPT_TEXTS: Final = 20_000
# A number as both formats write it.
number: Final[Callable[[float], str]] = floatToGoString


class Family(NamedTuple):
    """All series of one metric.

    ``series`` are names with labels, such as ``mlp_connections`` or ``mlp_batch_rows_sum{model="small"}``, in the order
    in which they are written, and ``values`` their values. The ``name`` of a counter is without ``_total``.
    """

    name: str
    kind: str
    meaning: str
    series: Sequence[str]
    values: Sequence[float]


def series_text(name: str, labels: Mapping[str, str]) -> str:
    """A series as both of Prometheus's formats write it: labels in the order of their names, values escaped."""
    if not labels:
        return name
    inside = ",".join([f'{label}="{escaped(value)}"' for label, value in sorted(labels.items())])
    return f"{name}{{{inside}}}"


def escaped(text: str) -> str:
    """``text`` with backslashes, line feeds and quotes as they are written between quotes."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def of_registry(registry: CollectorRegistry) -> Iterator[Family]:
    """The families of a registry of this process."""
    return map(of_metric, registry.collect())


def of_metric(metric: Metric) -> Family:
    """A family of the client library."""
    series = [_text(sample.name, tuple(sample.labels.items())) for sample in metric.samples]
    return Family(metric.name, metric.type, metric.documentation, series, [sample.value for sample in metric.samples])


@lru_cache(_KEPT_TEXTS)
def _text(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    return series_text(name, dict(labels))
