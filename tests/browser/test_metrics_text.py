"""The live view's reader of metrics and its units, in the browser. Oracles: prometheus_client's parser and numpy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.browser.chromium import Watched
from tests.service.running import Running

NOTHING = "\N{EN DASH}"
AWKWARD = ('say "hi"', "back\\slash", "two\nlines", "a,b={c} 1", "größe 5 %", "", "n\\n", 'ends with \\"')


@pytest.fixture(scope="module")
def module(browser: Browser, server: Running) -> Iterator[Page]:
    """A page that can import the modules of the live view."""
    watched = Watched(browser, server.address)
    page = watched.page()
    page.goto("/status")
    yield page
    watched.close()
    assert watched.problems == []


def parsed(module: Page, text: str) -> dict[str, Any]:
    found = module.evaluate(
        """async (text) => {
            const { parse } = await import("./page/metrics_text.js");
            const entries = [...parse(text)].flatMap(([name, samples]) =>
                samples.map(({ labels, value }) => [name, Object.entries(labels).sort(), String(value)]));
            return JSON.stringify(entries);
        }""",
        text,
    )
    return {
        json.dumps([name, labels]): float(value.replace("Infinity", "inf")) for name, labels, value in json.loads(found)
    }


def expected(text: str) -> dict[str, Any]:
    return {
        json.dumps([sample.name, sorted(map(list, sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_is_read_as_prometheus_client_reads_it(module: Page, server: Running) -> None:
    with server.client() as client:
        text = client.get("/metrics").text
    assert len(expected(text)) > 100
    assert parsed(module, text) == expected(text)


def test_awkward_labels_and_numbers(module: Page) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("odd", "With labels.", ("text", "other"), registry=registry)
    numbers = (0, -1.5, 1e300, 5e-324, float("inf"), float("-inf"), 2**53, 1e-9)
    for text, value in zip(AWKWARD, numbers, strict=True):
        gauge.labels(text, "x").set(value)
    text = generate_latest(registry).decode()
    assert parsed(module, text) == expected(text)


@pytest.mark.parametrize(
    "line", ["", "# HELP a 1", "a", "a{b} 1", 'a{b="c" 1', 'a{b="c"} one', "a b 1", 'a{b="c"d="e"} 1', "1a 1"]
)
def test_what_is_no_sample_is_left_out(module: Page, line: str) -> None:
    assert parsed(module, f"{line}\nkept 1\n") == {'["kept", []]': 1}


def interval(module: Page, before: str, after: str, expression: str) -> Any:
    """What ``expression`` of the ``interval`` between two scrapes, 2 s apart, gives."""
    return module.evaluate(
        f"""async ([before, after]) => {{
            const {{ Interval, Scrape, quantile }} = await import("./page/metrics_text.js");
            const interval = new Interval(new Scrape(before, 10), new Scrape(after, 12));
            const found = {expression};
            return found instanceof Map ? Object.fromEntries(found) : found;
        }}""",
        [before, after],
    )


def test_counters_are_compared_series_by_series(module: Page) -> None:
    before = 'c_total{a="1",b="x"} 10\nc_total{a="1",b="y"} 5\nc_total{a="2",b="x"} 100\n'
    after = 'c_total{a="1",b="x"} 14\nc_total{a="1",b="y"} 5\nc_total{a="2",b="x"} 3\nc_total{a="3",b="z"} 7\n'
    # The third began again at 0, and the last is new.
    assert interval(module, before, after, 'interval.increases("c_total", undefined, "a")') == {"1": 4, "2": 3, "3": 7}
    assert interval(module, before, after, 'interval.rate("c_total")') == 7
    assert interval(module, before, after, 'interval.increase("c_total", ({b}) => b === "x")') == 7
    assert interval(module, before, after, 'interval.increase("absent_total")') == 0
    assert interval(module, before, after, 'interval.mean("absent")') is None


def test_quantiles_are_those_of_the_values_within_their_bucket(module: Page) -> None:
    bounds = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
    registry = CollectorRegistry()
    histogram = Histogram("time", "Some times.", buckets=bounds, registry=registry)
    counter = Counter("unrelated", "Something else.", registry=registry)
    before = generate_latest(registry).decode()
    values = np.random.default_rng(0).lognormal(-5, 1, 2000)
    for value in values:
        histogram.observe(value)
    counter.inc()
    after = generate_latest(registry).decode()
    for share in (0.01, 0.5, 0.9, 0.99):
        found = interval(module, before, after, f'quantile(interval.buckets("time"), {share})')
        true = np.quantile(values, share)
        bucket = np.searchsorted(bounds, true)
        assert (0, *bounds)[bucket] <= found <= (*bounds, bounds[-1])[bucket]
    assert interval(module, before, after, 'interval.mean("time")') == pytest.approx(values.mean())


def test_a_quantile_beyond_the_last_bound_is_this_bound(module: Page) -> None:
    before = 't_bucket{le="1.0"} 0\nt_bucket{le="+Inf"} 0\n'
    after = 't_bucket{le="1.0"} 2\nt_bucket{le="+Inf"} 10\n'
    assert interval(module, before, after, 'quantile(interval.buckets("t"), 0.9)') == 1
    assert interval(module, after, after, 'quantile(interval.buckets("t"), 0.9)') is None


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("number(12345.6)", "12,346"),
        ("number(0.12345)", "0.123"),
        ("number(undefined)", NOTHING),
        ("count(1234567)", "1,234,567"),
        ("percent(0)", "0 %"),
        ("percent(0.0004)", "< 0.1 %"),
        ("percent(0.125)", "12.5 %"),
        ("percent(1)", "100 %"),
        ("percent(NaN)", NOTHING),
        ("duration(0)", "0 s"),
        ("duration(0.0001234)", "123 µs"),
        ("duration(0.01234)", "12.3 ms"),
        ("duration(12.34)", "12.3 s"),
        ("bytes(104857600)", "100 MiB"),
        ("bytes(3 * 2 ** 30)", "3 GiB"),
        ("age(59)", "59 s"),
        ("age(150)", "2 min"),
        ("age(7300)", "2 h 1 min"),
        ("age(200000)", "2 d 7 h"),
    ],
)
def test_units(module: Page, expression: str, text: str) -> None:
    assert module.evaluate(f'async () => (await import("./page/units.js")).{expression}') == text
