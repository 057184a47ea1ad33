"""Which version of a model may serve: the newest one, or a pinned one; and which are only watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from service.artifact import VERSION, check_name, list_models, list_versions
from service.errors import StartError
from service.manifest import ArtifactError

_EXPECTED: Final = "expected <name>@<version>, such as small@3"


@dataclass(frozen=True, slots=True)
class Selection:
    """``default`` answers requests without a model name. A model in ``pins`` is served in that version alone.

    A version in ``candidates`` is loaded and can be requested by its number, but is never selected to serve.
    """

    default: str | None = None
    pins: Mapping[str, int] = field(default_factory=dict)
    candidates: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: str | None, model_versions: str | None, candidates: Mapping[str, int] | None = None
    ) -> Selection:
        """The selection of ``--model``, ``--model-versions`` and ``candidates``.

        Raises `StartError` for bad syntax, for two pins of a model, and for a pin of a candidate.
        """
        pins = {} if model_versions is None else parse("--model-versions (MLP_MODEL_VERSIONS)", model_versions)
        default = model
        if model is not None and "@" in model:
            option = "--model (MLP_MODEL)"
            default, version = _pair(option, model, model)
            if default in pins:
                raise StartError(
                    f"{option} and --model-versions (MLP_MODEL_VERSIONS) both pin model {default!r}; name one version"
                )
            pins[default] = version
        for name, version in (candidates or {}).items():
            if pins.get(name) == version:
                raise StartError(f"version {version} of model {name!r} is pinned and a candidate; choose one of both")
        return cls(default, pins, candidates or {})

    def order(self, name: str, versions: Sequence[int]) -> list[int]:
        """``versions`` of model ``name`` in the order in which they are tried: a pinned one first, then the newest."""
        return sorted(versions, key=lambda version: (version == self.pins.get(name), version), reverse=True)

    def may_serve(self, name: str, version: int) -> bool:
        """Whether requests for the model may be answered by this version."""
        return self.pins.get(name, version) == version and not self.is_candidate(name, version)

    def is_candidate(self, name: str, version: int) -> bool:
        """Whether this version is loaded to be watched."""
        return self.candidates.get(name) == version


def only_model(models_dir: Path) -> str | None:
    """The model of a folder with versions of one model, else None."""
    try:
        names = [name for name in list_models(models_dir).names if list_versions(models_dir / name).names]
    except ArtifactError:
        return None
    return names[0] if len(names) == 1 else None


def parse(option: str, text: str) -> dict[str, int]:
    """Versions by model name in ``<name>@<version>,…``. Raises `StartError`, which names the ``option``."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, version = _pair(option, text, part.strip())
        if name in found:
            raise StartError(f"{option} is {text!r:.200}: model {name!r} occurs twice; name one version")
        found[name] = version
    return found


def _pair(option: str, text: str, part: str) -> tuple[str, int]:
    name, at, version = part.partition("@")
    try:
        check_name(name)
    except ArtifactError:
        at = ""
    if not at or not VERSION.fullmatch(version):
        raise StartError(f"{option} is {text!r:.200}: {part!r:.200} is no version of a model, {_EXPECTED}")
    return name, int(version)
