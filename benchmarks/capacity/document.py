"""The generated sections of docs/capacity.md, from the stored results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.markdown import about, table
from benchmarks.provenance import ROOT
from benchmarks.report import RESULTS, Results, replaced

DOCUMENT: Final = ROOT / "docs/capacity.md"
STORED: Final = RESULTS / "capacity.json"


def points(found: list[dict[str, Any]]) -> str:
    """A table with a line for each point; figures are right-aligned."""
    heads = [f">{head}" if _is_figure(cell) else head for head, cell in found[0].items()]
    return table(heads, [[_shown(cell) for cell in point.values()] for point in found])


def _is_figure(cell: Any) -> bool:
    return not isinstance(cell, str) or cell[:1].isdigit() or cell[:1] == "+"


def _shown(cell: Any) -> str:
    return cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else f"{cell:,.10g}"


def _tables(*names: str) -> Callable[[Results], str]:
    return lambda results: "\n\n".join(points(results[name]) for name in names)


def _money(results: Results) -> str:
    """Pods and money by rate, with what a step to that rate does; then GPUs."""
    rates = [
        point | {"refused after a step": step["refused"], "until, s": step["refused until, s"]}
        for point, step in zip(results["money"], results["rates"], strict=True)
    ]
    return f"{points(rates)}\n\n{points(results['gpus'])}"


def _provenance(results: Results) -> str:
    assumed = "assumptions, each an option: " + "; ".join(results["assumptions"])
    return "; ".join([*(f"{name}: {value}" for name, value in results["provenance"].items()), assumed])


SECTIONS: Final[dict[str, Callable[[Results], str]]] = {
    "costs": _tables("costs", "at target"),
    "money": _money,
    "steps": _tables("steps"),
    "targets": _tables("targets", "days"),
    "limits": _tables("needs", "most"),
    "provenance": _provenance,
}


def filled(text: str, results: Results) -> str:
    """``text`` with all its generated sections replaced."""
    for name, section in SECTIONS.items():
        text = replaced(text, name, section(results))
    return text


def save(file: Path, results: Results) -> None:
    """Write results to ``file``, print them, and rewrite the document if it is the stored one."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if file == STORED:
        DOCUMENT.write_text(filled(DOCUMENT.read_text(), results))
    print(about(results))
    for name, part in results.items():
        if isinstance(part, list):
            print(f"\n{name}:\n\n" + ("\n".join(part) if isinstance(part[0], str) else points(part)))
