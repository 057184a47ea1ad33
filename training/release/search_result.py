"""What a search of settings found: its trials, the best one, and which parameters mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial: its ``settings`` by parameter, and its validation loss.

    That of a pruned trial is the last that was reported, None if there was none.
    """

    number: int
    state: Literal["complete", "pruned"]
    settings: Mapping[str, Any]
    validation_loss: float | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The trials of a study in order.

    ``best`` and ``default`` are the trial with the lowest validation loss, and that of the recipe's settings.
    ``importances`` are the parameters' shares of 1, empty if there were too few trials. ``choices`` are the values of
    parameters that have a few, ``logarithmic`` the parameters of which ratios matter.
    """

    study: str
    storage: str
    trials: Sequence[Trial]
    best: Trial
    default: Trial | None
    importances: Mapping[str, float]
    choices: Mapping[str, Sequence[Any]]
    logarithmic: frozenset[str]

    @property
    def pruned(self) -> int:
        """The number of trials that were ended early."""
        return sum(trial.state == "pruned" for trial in self.trials)
