"""The models that are loaded: found by name and version, swapped for other versions, closed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Final

from service.errors import NotFound, StartError
from service.inference.batcher import Waiting
from service.inference.model import Model
from service.inference.versions import ModelVersions, VersionStatus

_log = logging.getLogger(__name__)

_LISTED: Final = 20


class Repository:
    """The models by name. ``default`` names the one that answers requests without a model name.

    If there is one model, it is the default. Raises `StartError` if there is no model called ``default``.
    """

    def __init__(self, models: Mapping[str, ModelVersions], default: str | None) -> None:
        self._retired: list[Model] = []
        self._loading: tuple[str, int] | None = None
        self._set(dict(models))
        self._is_implied = default is None
        if default is None and len(self._serving) == 1:
            (default,) = self._serving
        if default is not None and default not in self._serving:
            raise StartError(f"--model (MLP_MODEL) is {default!r}, and there are: {', '.join(self._serving) or 'none'}")
        self.default_name = default
        if default is None and self._serving:
            _log.info(
                "there are several models and no --model (MLP_MODEL): POST /predict is answered with 404, and each "
                "model at /models/<name>/predict: %s",
                self._names(),
            )

    def __iter__(self) -> Iterator[Model]:
        """The serving version of each model."""
        return iter(self._serving.values())

    def find(self, name: str | None, version: str | None) -> Model:
        """The serving version of a model, or the one of that number; without a name, of the default model.

        Raises `NotFound`, which names what there is.
        """
        if name is None:
            name = self.default_name
            if name is None:
                raise NotFound(
                    f"there are several models: {self._names()}; send to /models/<name>/predict, "
                    "or start the server with --model"
                )
        model = self._serving.get(name) if version is None else self._by_version.get((name, version))
        if model is None:
            raise self._not_found(name, version)
        return model

    def names(self) -> list[str]:
        """The names of all models, also of those without a version that can be served."""
        return [*self._models]

    def waiting(self) -> dict[tuple[str, str], Waiting]:
        """What waits in the queues of each model, by its name and the lane: the rows, and the longest wait."""
        found: dict[tuple[str, str], Waiting] = {}
        for model in self._open():
            for lane, waiting in model.batcher.waiting().items():
                before = found.get((model.manifest.name, lane), Waiting(0, 0.0))
                seconds = max(before.seconds, waiting.seconds)
                found[model.manifest.name, lane] = Waiting(before.rows + waiting.rows, seconds)
        return found

    def statuses(self, name: str) -> tuple[VersionStatus, ...]:
        """The state of every version of a model, newest first. Raises `NotFound`."""
        loading = self._loading
        versions = self._models.get(name)
        if versions is None:
            raise self._not_found(name, None)
        return versions.with_loading(loading[1] if loading is not None and loading[0] == name else None)

    def loading(self, version: tuple[str, int] | None) -> None:
        """Note which version is being loaded. May be called in any thread."""
        self._loading = version

    def idle(self) -> bool:
        """Whether no model has a request to answer."""
        return all(model.batcher.idle() for model in self._open())

    def longest_call_s(self) -> float:
        """How long the longest running call of a network has lasted so far; 0 if none is running."""
        return max((model.batcher.call_age_s() for model in self._open()), default=0.0)

    async def swap(self, name: str, versions: ModelVersions | None) -> None:
        """Replace what is known of a model, or remove it; then drain and close the versions that are left out.

        Requests find either the old or the new versions, and end on the version they began with.
        """
        before = self._models.get(name, ModelVersions()).loaded.values()
        kept = () if versions is None else versions.loaded.values()
        models = {**self._models, name: versions or ModelVersions()}
        if versions is None:
            del models[name]
        self._set(models)
        if self._is_implied and self.default_name is not None and len(self._serving) > 1:
            self._is_implied = False
            _log.warning(
                "there are several models now: %s; POST /predict stays with %s, the only one at the start, and is "
                "answered with 404 after a restart without --model (MLP_MODEL)",
                *(self._names(), self.default_name),
            )
        retired = [model for model in before if model not in kept]
        self._retired += retired
        for model in retired:
            try:
                await model.drain()
            finally:
                if model in self._retired:  # else `close` came first
                    self._retired.remove(model)
                    model.close()

    def close(self) -> None:
        """Close all models, including those that are being drained."""
        retired, self._retired = self._retired, []
        for model in (*self._by_version.values(), *retired):
            model.close()

    def _open(self) -> Iterator[Model]:
        """All models that may have requests: the loaded ones, and those that are being drained."""
        return iter((*self._by_version.values(), *self._retired))

    def _set(self, models: Mapping[str, ModelVersions]) -> None:
        self._models = models
        self._serving = {name: each.serving for name, each in models.items() if each.serving is not None}
        self._by_version = {
            (name, str(number)): model for name, each in models.items() for number, model in each.loaded.items()
        }

    def _names(self) -> str:
        names = list(self._serving)
        return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")

    def _not_found(self, name: str, version: str | None) -> NotFound:
        versions = self._models.get(name)
        if versions is None:
            return NotFound(f"there is no model {name!r:.200}; there are: {self._names()}")
        if version is None:
            return NotFound(f"no version of model {name!r} can be served; GET /models says why")
        loaded = ", ".join(map(str, sorted(versions.loaded, reverse=True))) or "none"
        if any(str(each.version) == version for each in versions.statuses):
            return NotFound(
                f"version {version} of model {name!r} is not loaded; loaded are: {loaded}; GET /models/{name} says why"
            )
        return NotFound(f"model {name!r} has no version {version!r:.40} here; loaded are: {loaded}")
