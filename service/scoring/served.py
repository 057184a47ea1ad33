"""The model of a run: a version by number or folder, or the one that a server would serve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from service import artifact
from service.errors import ModelRefused
from service.inference.model import Model
from service.inference.selection import Selection
from service.models import references
from service.models.command import CommandError
from service.models.prover import Prover


def load(text: str, models: Path, prover: Prover, selection: Selection, warn: Callable[[str], object]) -> Model:
    """The model that ``text`` means: ``name``, ``name@version`` or a folder; of refused newer versions ``warn`` tells.

    Raises `CommandError`, `ArtifactError`, `ModelRefused` and `ProviderUnavailable`.
    """
    reference = references.version_of(text, models)
    if text != reference.name:
        return prover.load(reference.folder)
    model_dir = reference.models / text
    versions = [int(each) for each in artifact.list_versions(model_dir).names]
    for version in selection.order(text, [each for each in versions if selection.may_serve(text, each)]):
        try:
            return prover.load(model_dir / str(version))
        except ModelRefused as error:
            warn(f"{text}@{version} would not be served: {error}")
    raise CommandError(f"no version of model {text!r} would be served; see: mlp-models check {text}")


def folder(text: str, models: Path, model: Model) -> Path:
    """Where the files of ``model`` are, which ``text`` means."""
    reference = references.version_of(text, models)
    newest = reference.models / text / str(model.manifest.version)
    return (newest if text == reference.name else reference.folder).absolute()
