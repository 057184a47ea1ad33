"""Writes families of metrics in Prometheus's text format, or as OpenMetrics with exemplars.

https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE

from service.metrics.exemplars import Exemplar
from service.metrics.families import Family, escaped, number

_UNITS: Final = ("seconds", "bytes", "ratio")
# Summaries of values that may be negative. OpenMetrics has no such sums, so they are series of no known type there.
_SIGNED: Final = ("mlp_prediction_value",)


class Format(Enum):
    """The format of a scrape; its value is the content type."""

    TEXT = CONTENT_TYPE_LATEST
    OPENMETRICS = OPENMETRICS_TYPE


def render(families: Iterable[Family], form: Format, exemplars: Mapping[str, Exemplar]) -> bytes:
    """The families as text. ``exemplars`` are those of histograms' buckets, by series; OpenMetrics alone has them."""
    if form is Format.TEXT:
        return "".join(_text(families)).encode()
    return "".join([*_openmetrics(families, exemplars), "# EOF\n"]).encode()


def _text(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        name = family.name + ("_total" if family.kind == "counter" else "")
        meaning = family.meaning.replace("\\", r"\\").replace("\n", r"\n")
        yield f"# HELP {name} {meaning}\n# TYPE {name} {family.kind}\n"
        yield from _samples(family)


def _openmetrics(families: Iterable[Family], exemplars: Mapping[str, Exemplar]) -> Iterator[str]:
    for family in families:
        for each in _split(family) if family.name in _SIGNED else [family]:
            unit = each.name.rpartition("_")[2]
            yield f"# HELP {each.name} {escaped(each.meaning)}\n# TYPE {each.name} {each.kind}\n"
            if unit in _UNITS:
                yield f"# UNIT {each.name} {unit}\n"
            yield from _with_exemplars(each, exemplars) if each.kind == "histogram" else _samples(each)


def _samples(family: Family) -> Iterator[str]:
    return (f"{series} {number(value)}\n" for series, value in zip(family.series, family.values, strict=True))


def _with_exemplars(family: Family, exemplars: Mapping[str, Exemplar]) -> Iterator[str]:
    for series, line in zip(family.series, _samples(family), strict=True):
        found = exemplars.get(series)
        yield line if found is None else f"{line[:-1]} # {_exemplar(found)}\n"


def _exemplar(found: Exemplar) -> str:
    return f'{{trace_id="{escaped(found.trace_id)}"}} {number(found.value)} {found.at_s:.3f}'


def _split(family: Family) -> Iterator[Family]:
    """The counts and the sums of a summary as two families."""
    for name in (f"{family.name}_count", f"{family.name}_sum"):
        chosen = [index for index, series in enumerate(family.series) if series.partition("{")[0] == name]
        series, values = [family.series[index] for index in chosen], [family.values[index] for index in chosen]
        yield Family(name, "unknown", family.meaning, series, values)
