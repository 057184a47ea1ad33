"""Which version a command's argument means: ``name``, ``name@version``, or a folder."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service import artifact
from service.artifact import VERSION
from service.manifest import WITHDRAWN_PREFIX
from service.models.command import CommandError

_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Reference:
    """A version in the models folder ``models``, which need not exist."""

    models: Path
    name: str
    version: int
    withdrawn: bool = False

    @property
    def folder(self) -> Path:
        """Where its files are."""
        model_dir = self.models / self.name
        return artifact.withdrawn_dir(model_dir, self.version) if self.withdrawn else model_dir / str(self.version)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def version_of(text: str, models: Path) -> Reference:
    """The version that ``text`` means; a model stands for its newest version.

    Raises `CommandError` or `ArtifactError` if there is no such version.
    """
    if _is_path(text, models):
        return _in_folder(text)
    name, at, version = text.partition("@")
    model_dir = model_folder(name, models)
    return _numbered(model_dir, version) if at else _newest(model_dir)


def split_name(text: str) -> tuple[str, int | None]:
    """The name and the version, if one is given, of ``name`` or ``name@version``. Raises `CommandError`."""
    name, at, version = text.partition("@")
    return name, _number(version) if at else None


def model_folder(name: str, models: Path) -> Path:
    """The folder of a model that exists. Raises `CommandError`, with the nearest name, or `ArtifactError`."""
    folder = models / artifact.check_name(name)
    if not folder.is_dir():
        found = artifact.model_names(models)
        raise CommandError(f"there is no model {name!r} in {str(models)!r}; {suggestion(name, found)}")
    return folder


def suggestion(name: str, known: Sequence[str]) -> str:
    """The way out after an unknown name: the nearest one, or a list."""
    nearest = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.5)
    if nearest:
        return f"did you mean {nearest[0]}?"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"there are: {', '.join(known[:_LISTED]) or 'none'}{more}"


def _is_path(text: str, models: Path) -> bool:
    """Whether ``text`` is a folder. A plain word is one if there is such a folder and no such model."""
    if os.sep in text or text in {os.curdir, os.pardir}:
        return True
    return Path(text).is_dir() and not (models / text.partition("@")[0]).is_dir()


def _in_folder(text: str) -> Reference:
    folder = Path(os.path.abspath(text))  # noqa: PTH100 - `resolve` would follow a version that is a link
    if not folder.is_dir():
        raise CommandError(f"there is no folder {text!r}; give one, or a name such as mine or mine@3")
    number = folder.name.removeprefix(WITHDRAWN_PREFIX)
    if VERSION.fullmatch(number):
        name = artifact.check_name(folder.parent.name)
        return Reference(folder.parent.parent, name, int(number), withdrawn=number != folder.name)
    if any(VERSION.fullmatch(path.name.removeprefix(WITHDRAWN_PREFIX)) for path in folder.iterdir()):
        artifact.check_name(folder.name)
        return _newest(folder)
    raise CommandError(
        f"{text!r} is no version: its folder is named {folder.name!r}, expected a positive integer, as in "
        "models/mine/3; give such a folder, or a name such as mine@3"
    )


def _newest(model_dir: Path) -> Reference:
    versions = artifact.versions(model_dir)
    if not versions:
        withdrawn = artifact.withdrawn_versions(model_dir)
        undo = f"restore one of {_listed(withdrawn)}" if withdrawn else "publish one with: make train"
        raise CommandError(f"model {model_dir.name!r} has no version; {undo}")
    return Reference(model_dir.parent, model_dir.name, versions[-1])


def _numbered(model_dir: Path, text: str) -> Reference:
    number = _number(text)
    if (model_dir / text).is_dir():
        return Reference(model_dir.parent, model_dir.name, number)
    if artifact.withdrawn_dir(model_dir, number).is_dir():
        return Reference(model_dir.parent, model_dir.name, number, withdrawn=True)
    found = f"there are: {_listed(artifact.versions(model_dir)) or 'none'}"
    withdrawn = artifact.withdrawn_versions(model_dir)
    hidden = f", and withdrawn: {_listed(withdrawn)}" if withdrawn else ""
    raise CommandError(f"model {model_dir.name!r} has no version {number}; {found}{hidden}")


def _number(text: str) -> int:
    if not VERSION.fullmatch(text):
        raise CommandError(f"version {text!r:.40} is no positive integer; write for example mine@3")
    return int(text)


def _listed(versions: Sequence[int]) -> str:
    more = f" and {len(versions) - _LISTED} older" if len(versions) > _LISTED else ""
    return ", ".join(map(str, versions[-_LISTED:])) + more
