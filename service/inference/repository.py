"""The models that are served: found by name and version, swapped for another version, closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.errors import NotFound, StartError
from service.inference.model import Model


class Repository:
    """The models by name. ``default`` names the one that answers requests without a model name.

    If there is one model, it is the default. Raises `StartError` if there is no model called ``default``.
    """

    def __init__(self, models: Iterable[Model], default: str | None) -> None:
        self._models = {model.manifest.name: model for model in models}
        self._replaced: list[Model] = []
        if default is None and len(self._models) == 1:
            (default,) = self._models
        if default is not None and default not in self._models:
            raise StartError(f"--model (MLP_MODEL) is {default!r}, and there are: {', '.join(self._models) or 'none'}")
        self._default = None if default is None else self._models[default]

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def find(self, name: str | None, version: str | None) -> Model:
        """The model of that name and version, or the default. Raises `NotFound`, which names those there are."""
        if name is None:
            if self._default is None:
                raise NotFound(
                    f"there are several models: {', '.join(self._models)}; send to /models/<name>/predict, "
                    "or start the server with --model"
                )
            return self._default
        model = self._models.get(name)
        if model is None:
            raise NotFound(f"there is no model {name!r:.200}; there are: {', '.join(self._models)}")
        if version is not None and version != str(model.manifest.version):
            raise NotFound(
                f"model {name!r} has no version {version!r:.40} here; it is served in version {model.manifest.version}"
            )
        return model

    async def swap(self, model: Model) -> None:
        """Send new requests to ``model`` instead of the present version, then drain and close that one.

        Requests in flight end on the version they began with.
        """
        replaced = self._models.get(model.manifest.name)
        self._models = {**self._models, model.manifest.name: model}
        if replaced is None:
            return
        if replaced is self._default:
            self._default = model
        self._replaced.append(replaced)
        try:
            await replaced.drain()
        finally:
            if replaced in self._replaced:  # else `close` came first
                self._replaced.remove(replaced)
                replaced.close()

    def close(self) -> None:
        """Close all models, including those that are being drained."""
        replaced, self._replaced = self._replaced, []
        for model in (*self._models.values(), *replaced):
            model.close()
