"""The tables of settings and metrics, and the headings of errors, are those of the code."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from service.heartbeats import Heartbeats
from service.http import problems
from service.metrics import Metrics
from service.metrics.workers import WorkersNow
from service.settings import PREFIX, Settings
from tests.documents.pages import read, table


def test_each_setting_is_in_the_table() -> None:
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{str(field.default).lower()}`"
        meaning = str(field.description).replace("<", "&lt;")
        rows.append(f"| `--{name.replace('_', '-')}` | `{PREFIX}{name.upper()}` | {default} | {meaning} |")
    assert table(read("settings"), "All settings") == rows


def test_each_metric_is_in_the_table() -> None:
    assert table(read("metrics")) == metrics_rows()


def metrics_rows() -> list[str]:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    rows = []
    for metric in registry._collector_to_names:
        assert isinstance(metric, MetricWrapperBase)
        name = metric._name + ("_total" if metric._type == "counter" else "")
        labels = ", ".join(metric._labelnames)
        rows.append(f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |")
    computed = (*metrics.drift.describe(), *WorkersNow(Heartbeats(1)).collect())  # at each scrape
    return rows + [
        f"| `{family.name}` | {family.type} | {', '.join(family._labelnames)} | {family.documentation} |"
        for family in computed
    ]


def test_each_problem_has_a_heading() -> None:
    headings = re.findall(r"^## (\d.+)\n\n(.+\.)", read("errors"), re.MULTILINE)
    expected = [f"{status} `{name}`" for status, name, _ in problems.PROBLEMS.values()]
    assert [heading for heading, _ in headings] == expected
    for (_, text), (_, _, title) in zip(headings, problems.PROBLEMS.values(), strict=True):
        assert text.startswith(f"{title}.")
