"""The sampler: TPE, whose random numbers depend on the seed and the number of the trial alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class TrialSeeded(BaseSampler):
    """Optuna's TPE (https://arxiv.org/abs/2304.11127), seeded anew for each trial.

    A search that goes on is as one that was never interrupted, and processes that share a study do not repeat each
    other's random settings.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sampler = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seed the sampler for ``trial``."""
        words = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._sampler = TPESampler(seed=int(words[0]))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As TPE."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As TPE."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As TPE."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)
