"""The versions of a model as plain data: which are loaded, which one serves, and why others are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from service.inference.model import Model


class State(StrEnum):
    """What a version does.

    An ``available`` one is good as far as is known: it is loaded and answers on its own path, or lies on disk and is
    not needed.
    """

    SERVING = "serving"
    AVAILABLE = "available"
    REFUSED = "refused"
    LOADING = "loading"


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """The state of one version, or of a folder whose name is no version. ``loaded`` says that requests can reach it."""

    version: int | str
    state: State
    loaded: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ModelVersions:
    """The versions of one model. ``serving`` is None if none can be served; it is also in ``loaded``.

    ``statuses`` has one entry for each version, newest first, then those of ignored folders.
    """

    serving: Model | None = None
    loaded: Mapping[int, Model] = field(default_factory=dict)
    statuses: tuple[VersionStatus, ...] = ()

    @classmethod
    def of(cls, serving: Model, *others: Model) -> ModelVersions:
        """Loaded versions of one model, the first of which serves."""
        loaded = {model.manifest.version: model for model in (serving, *others)}
        statuses = tuple(
            VersionStatus(version, State.SERVING if model is serving else State.AVAILABLE, loaded=True)
            for version, model in sorted(loaded.items(), reverse=True)
        )
        return cls(serving, loaded, statuses)

    def with_loading(self, version: int | None) -> tuple[VersionStatus, ...]:
        """The statuses while ``version`` is being loaded; one that runs meanwhile keeps its state."""
        if version is None or version in self.loaded:
            return self.statuses
        loading = VersionStatus(version, State.LOADING, loaded=False)
        others = [each for each in self.statuses if each.version != version]
        numbers = [each for each in others if isinstance(each.version, int)]
        folders = [each for each in others if not isinstance(each.version, int)]
        return (*sorted((loading, *numbers), key=lambda each: each.version, reverse=True), *folders)


def in_utf8(text: str) -> str:
    """``text`` with escapes for what UTF-8 cannot encode, such as bytes of a file's name."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
