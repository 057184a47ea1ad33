"""The generated sections of docs/capacity.md, from the stored results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.provenance import ROOT
from benchmarks.report import RESULTS, Results, about, replaced, table

DOCUMENT: Final = ROOT / "docs/capacity.md"
PLAN: Final = "capacity"
REALITY: Final = "capacity_reality"


def points(found: list[dict[str, Any]]) -> str:
    """A table with a line for each point; numbers are right-aligned."""
    heads = [f">{head}" if _is_figure(cell) else head for head, cell in found[0].items()]
    return table(heads, [[_shown(cell) for cell in point.values()] for point in found])


def _is_figure(cell: Any) -> bool:
    return not isinstance(cell, str) or cell[:1].isdigit() or cell[:1] == "+"


def _shown(cell: Any) -> str:
    return cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else f"{cell:,.10g}"


def _plan(*names: str) -> Callable[[Mapping[str, Results]], str]:
    return lambda results: "\n\n".join(points(results[PLAN][name]) for name in names)


def _money(results: Mapping[str, Results]) -> str:
    """Pods and money by rate, with what a step to that rate does; then GPUs."""
    plan = results[PLAN]
    rates = [
        point | {"refused after a step": step["refused"], "until, s": step["refused until, s"]}
        for point, step in zip(plan["money"], plan["rates"], strict=True)
    ]
    return f"{points(rates)}\n\n{points(plan['gpus'])}"


def _line(results: Results, *more: str) -> str:
    """The provenance in one line."""
    return "; ".join([*(f"{name}: {value}" for name, value in results["provenance"].items()), *more])


def _provenance(results: Mapping[str, Results]) -> str:
    plan = results[PLAN]
    return _line(plan, "assumptions, each an option: " + "; ".join(plan["assumptions"]))


def _reality(results: Mapping[str, Results]) -> str:
    reality = results[REALITY]
    return "\n\n".join([_line(reality), *(points(reality[name]) for name in ("curve", "step", "bounds"))])


SECTIONS: Final[dict[str, Callable[[Mapping[str, Results]], str]]] = {
    "costs": _plan("costs", "at target"),
    "money": _money,
    "steps": _plan("steps"),
    "targets": _plan("targets", "days"),
    "limits": _plan("needs", "most"),
    "reality": _reality,
    "provenance": _provenance,
}


def stored(folder: Path = RESULTS) -> dict[str, Results]:
    """The results that the document shows."""
    return {tool: json.loads((folder / f"{tool}.json").read_text()) for tool in (PLAN, REALITY)}


def filled(text: str, results: Mapping[str, Results]) -> str:
    """``text`` with all its generated sections replaced."""
    for name, section in SECTIONS.items():
        text = replaced(text, name, section(results))
    return text


def save(file: Path, results: Results) -> None:
    """Write results to a file, print them, and if both are among `RESULTS` rewrite the document."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if file.parent == RESULTS and all((RESULTS / f"{tool}.json").exists() for tool in (PLAN, REALITY)):
        DOCUMENT.write_text(filled(DOCUMENT.read_text(), stored()))
    print(about(results))
    for name, part in results.items():
        if isinstance(part, list):
            print(f"\n{name}:\n\n" + ("\n".join(part) if isinstance(part[0], str) else points(part)))
