"""The README is short, its tables are those of the results, and its figures are held against them, too."""

from __future__ import annotations

import json
import re
import statistics
from typing import Any

from benchmarks import front_page
from benchmarks.report import RESULTS
from tests.documents.pages import README, ROOT, read, table
from tests.service.test_damaged import DAMAGES

TEXT = README.read_text()
MAX_LINES = 170


def results(tool: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{tool}.json").read_text())
    return found


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) <= MAX_LINES


def test_its_tables_equal_the_results() -> None:
    assert front_page.with_sections(TEXT) == TEXT, "run python -m benchmarks.front_page"


def test_a_line_has_the_medians_of_its_server() -> None:
    (ours,) = (line for line in table(TEXT, "How fast it is") if line.startswith("| **this server** | JSON |"))
    case = {"server": "ours int8", "body": "json", "rows": 1, "connections": 64}
    found, *_ = (line["runs"] for line in results("bench")["lines"] if case.items() <= line.items())
    middle = statistics.median(run["requests_s"] for run in found)
    assert ours.split(" | ")[2] == f"{middle:,.0f}"


def test_each_make_target_exists() -> None:
    commands = set(re.findall(r"^make ([a-z-]+)", TEXT, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    assert len(commands) > 4
    assert [name for name in commands if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_the_figures_of_the_promises_are_measured() -> None:
    promises = "\n".join(table(read("production"), "Promises"))
    stops, deaths = results("shutdown")["cases"], results("deaths")["cases"]
    trials = {each["server"]: each["trials"] for each in stops}
    lost = sum(each["lost"] for each in stops)
    assert f"[{lost} lost in {sum(trials.values())} stops under load]" in promises
    longest = " and ".join(f"{each['longest']:.1f} s" for each in deaths)
    assert f"[{longest} at the longest of {sum(each['deaths'] for each in deaths)}]" in promises
    assert f"{len(DAMAGES)} kinds of damage refused" in promises
