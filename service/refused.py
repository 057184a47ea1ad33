"""Versions that were trained and not published: kept in a hidden folder, and published later on request.

models/<name>/.refused/      a models folder of its own, which the server reads only if it is started with it
  <name>/<number>/           the version that was refused last
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from service import artifact, artifact_writer
from service.manifest import ArtifactError, Manifest

FOLDER: Final = ".refused"
# Where the files of a card name its model and version.
_TITLES: Final = {
    "README.md": ("# {}, version {}\n",),
    "card.html": ("<title>{}, version {}</title>", "<h1>{}, version {}</h1>"),
}


def keep(models_dir: Path, name: str, make: Callable[[int], tuple[Manifest, Mapping[str, bytes]]]) -> Path:
    """Write a version of model ``name`` that is not to be served, as `artifact_writer.publish`, and return its folder.

    One version is kept: those that were refused before are removed. Raises `ArtifactError`.
    """
    folder = models_dir / name / FOLDER
    kept = artifact_writer.publish(folder, name, make)
    with suppress(OSError):  # the new one is kept in any case
        for each in (folder / name).iterdir():
            if each.is_dir() and each.name != kept.name:
                shutil.rmtree(each)
    return kept


def publish(version_dir: Path, models_dir: Path | None = None) -> Path:
    """Publish the version in ``version_dir`` as the next version of its name, and return its new folder.

    ``version_dir`` may be a refused version, which moves into the models folder that it was refused for, or any other
    version, which is copied to ``models_dir``. Its files are verified. Raises `ArtifactError`.
    """
    version_dir = version_dir.absolute()
    target = models_dir or _home(version_dir)
    manifest, files = artifact.read_files(version_dir)

    def make(version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        return replace(manifest, version=version), _renumbered(files, manifest, version)

    published = artifact_writer.publish(target, manifest.name, make)
    if version_dir.parent.parent.name == FOLDER:
        shutil.rmtree(version_dir, ignore_errors=True)
    return published


def _home(version_dir: Path) -> Path:
    """The models folder that a version was refused for. Raises `ArtifactError` for a version that was not."""
    refused = version_dir.parent.parent
    if refused.name != FOLDER:
        raise ArtifactError(
            f"{version_dir} is not in a folder {FOLDER!r}, so the models folder is unknown; say with --models where to "
            "publish it"
        )
    return refused.parent.parent


def _renumbered(files: Mapping[str, bytes], manifest: Manifest, version: int) -> Mapping[str, bytes]:
    """The files, with the card's titles for another version."""
    found = dict(files)
    for file, titles in _TITLES.items():
        for title in titles if file in found else ():
            before, after = (title.format(manifest.name, each).encode() for each in (manifest.version, version))
            found[file] = found[file].replace(before, after, 1)
    return found
