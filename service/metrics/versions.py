"""Metrics of the versions of each model: which one serves, which are refused, how often another one took over."""

from __future__ import annotations

from collections.abc import Mapping

from service.metrics.instruments import Instruments


class VersionMetrics:
    """What this process knows of the models folder."""

    def __init__(self, make: Instruments) -> None:
        self._serving = make.gauge(
            "mlp_model_info",
            "1 for the version of each model that serves.",
            *("model", "version", "provider", "precision"),
            over_workers="livemax",
        )
        self._states = make.gauge(
            "mlp_model_versions",
            "Versions on disk, by state: serving, available, refused or loading.",
            *("model", "state"),
            over_workers="livemax",
        )
        self._newest_refused = make.gauge(
            "mlp_model_newest_refused",
            "1 while the version that should serve is refused, and another one serves, else 0.",
            "model",
            over_workers="livemax",
        )
        self._swaps = make.counter("mlp_model_swaps_total", "Swaps of the serving version.", "model")
        self._failures = make.counter("mlp_model_load_failures_total", "Versions refused at load.", "model")
        self._looked = make.gauge(
            "mlp_models_checked_timestamp_seconds",
            "Unix time of the last complete read of the models folder; 0 without reloads.",
            over_workers="livemin",
        )

    def serving(self, model: str, version: int, provider: str, precision: str, *, on: bool) -> None:
        """Set whether a version serves, and where it runs."""
        self._serving.labels(model, str(version), provider, precision).set(on)

    def swapped(self, model: str) -> None:
        """Count that another version took over."""
        self._swaps.labels(model).inc()

    def refused(self, model: str) -> None:
        """Count a version that failed its checks."""
        self._failures.labels(model).inc()

    def states(self, model: str, counts: Mapping[str, int]) -> None:
        """Set how many versions are in each state."""
        for state, count in counts.items():
            self._states.labels(model, state).set(count)
        self._failures.labels(model)
        self._swaps.labels(model)

    def newest_refused(self, model: str, *, is_so: bool) -> None:
        """Set whether the version that should serve is refused."""
        self._newest_refused.labels(model).set(is_so)

    def removed(self, model: str) -> None:
        """Say that a model is gone."""
        self.states(model, dict.fromkeys(("serving", "available", "refused", "loading"), 0))
        self.newest_refused(model, is_so=False)

    def looked(self) -> None:
        """Note that the models folder was read."""
        self._looked.set_to_current_time()
