"""Reports what changes in the models folder, to the log and the metrics: each change once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from service.artifact import Listing
from service.inference.model import Model
from service.inference.versions import ModelVersions, State, in_utf8
from service.metrics.retention import Retention
from service.metrics.versions import VersionMetrics

_log = logging.getLogger(__name__)


class Change(NamedTuple):
    """What is new about a model. ``after`` is None if it was removed."""

    name: str
    before: ModelVersions
    after: ModelVersions | None


class Reports:
    """Writes the log of the models folder, and its ``metrics``; ``retention`` limits what stays of old versions."""

    def __init__(self, metrics: VersionMetrics, retention: Retention) -> None:
        self._metrics = metrics
        self._retention = retention
        self._problems: dict[str, str] = {}

    def problem(self, about: str, problem: str | None) -> None:
        """Log a problem once, and once that it is over: None."""
        known = self._problems.get(about)
        if problem is None:
            if known is not None:
                del self._problems[about]
                _log.info("this is over: %s", known)
        elif problem != known:
            self._problems[about] = problem
            _log.error("%s", problem)

    def ignored(self, where: str, listing: Listing) -> None:
        """Report the folders in the folder ``where`` that are ignored."""
        for folder, reason in listing.ignored.items():
            self.problem(f"{where}/{folder}", f"ignored: {in_utf8(reason)}")
        for about in [*self._problems]:
            parent, slash, folder = about.partition("/")
            if slash and parent == where and folder not in listing.ignored:
                self.problem(about, None)

    def refusal(self, name: str) -> None:
        """Count a version of this model that failed its checks."""
        self._metrics.refused(name)

    def loading(self, name: str, *, on: bool) -> None:
        """Count a version of this model that is being loaded."""
        self._metrics.states(name, {State.LOADING.value: int(on)})

    def change(self, change: Change, *, newest_refused: bool) -> None:
        """Report a change. ``newest_refused`` is whether the version that should serve after it is refused."""
        name, before, after = change
        if before.serving is not None and (after is None or after.serving is not before.serving):
            self._serving(before.serving, on=False)
        if after is None:
            self._metrics.removed(name)
            self._problems = {about: text for about, text in self._problems.items() if about.split("/")[0] != name}
            _log.warning("model %s is removed, as its folder is gone or empty", name)
            return
        _log_refusals(name, before, after)
        if after.serving is not before.serving and after.serving is not None:
            self._serving(after.serving, on=True)
            instead = ""
            if before.serving is not None:
                self._metrics.swapped(name)
                instead = f" in place of version {before.serving.manifest.version}"
            _log.info("model %s: version %d serves%s", name, after.serving.manifest.version, instead)
        counts = Counter(each.state for each in after.statuses)
        self._metrics.states(name, {state.value: counts[state] for state in State if state is not State.LOADING})
        self._metrics.newest_refused(name, is_so=newest_refused)
        self._retention.versions(name, after.loaded)

    def models(self, names: Collection[str]) -> None:
        """Note which models there are after some were removed."""
        self._retention.models(names)

    def _serving(self, model: Model, *, on: bool) -> None:
        manifest = model.manifest
        self._metrics.serving(manifest.name, manifest.version, model.provider, model.precision, on=on)


def _log_refusals(name: str, before: ModelVersions, after: ModelVersions) -> None:
    serves = "no version serves"
    if after.serving is not None:
        keeps = after.serving is before.serving
        serves = f"version {after.serving.manifest.version} {'keeps serving' if keeps else 'serves'}"
    known = {each.version: each.reason for each in before.statuses}
    for status in after.statuses:
        if status.reason is None or status.reason == known.get(status.version):
            continue
        if status.loaded:
            _log.error("model %s: version %s serves from memory: %s", name, status.version, status.reason)
        elif status.state is State.REFUSED and isinstance(status.version, int):
            _log.warning("model %s: version %d is refused: %s; %s", name, status.version, status.reason, serves)
