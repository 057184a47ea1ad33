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


def _provenance(results: Mapping[str, Results]) -> str:
    plan = results[PLAN]
    return about(plan) + "\n- assumptions, each an option: " + "; ".join(plan["assumptions"])


def _reality(results: Mapping[str, Results]) -> str:
    reality = results[REALITY]
    return "\n\n".join([about(reality), points(reality["curve"]), points(reality["step"]), points(reality["bounds"])])


SECTIONS: Final[dict[str, Callable[[Mapping[str, Results]], str]]] = {
    "costs": _plan("costs", "at target"),
    "money": _plan("money", "gpus"),
    "steps": _plan("steps", "rates"),
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
    for name, part in results.items():
        shown = part if isinstance(part, list) else [part]
        print(f"\n{name}:\n\n" + (points(shown) if isinstance(shown[0], dict) else "\n".join(map(str, shown))))
