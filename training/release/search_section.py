"""The card's section on the search that chose the options, with its pictures; and its summary for the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from training.release.search_result import SearchResult

HISTORY: Final = "search-history.png"
IMPORTANCES: Final = "search-importances.png"
SLICES: Final = "search-slices.png"


def section(result: SearchResult) -> str:
    """The section's text."""
    best, default = result.best, result.default
    compared = ""
    if default is not None and default.validation_loss is not None:
        compared = f", with the default settings {default.validation_loss:.4g}"
    importances = f"\n\n![importance of each parameter]({IMPORTANCES})" if result.importances else ""
    return (
        f"## Search\n\nThe options were chosen in {len(result.trials)} trials, {result.pruned} of them ended early, by "
        f"their loss on the validation rows. Trial {best.number} was the best with {best.validation_loss:.4g}"
        f"{compared}: {in_words(best.settings)}. A loss that was selected among many is lower than on other rows; the "
        "test rows were not used.\n\n"
        f"![validation loss by trial]({HISTORY}){importances}\n\n"
        f"![validation loss by the value of each parameter]({SLICES})"
    )


def pictures(result: SearchResult) -> dict[str, bytes]:
    """The pictures by file name."""
    from training.release import search_plots  # noqa: PLC0415 - matplotlib takes half a second

    files = {HISTORY: search_plots.history(result), SLICES: search_plots.slices(result)}
    return files | ({IMPORTANCES: search_plots.importances(result)} if result.importances else {})


def summary(result: SearchResult) -> dict[str, Any]:
    """The manifest's record."""
    return {
        "study": result.study,
        "storage": result.storage,
        "trials": len(result.trials),
        "pruned": result.pruned,
        "best_trial": result.best.number,
        "validation_loss": result.best.validation_loss,
        "default_validation_loss": None if result.default is None else result.default.validation_loss,
        "settings": dict(result.best.settings),
        "importances": dict(result.importances),
    }


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as text, such as ``lr 0.003, members 4``."""
    return ", ".join(
        f"{name} {f'{value:.3g}' if isinstance(value, float) else value}" for name, value in settings.items()
    )
