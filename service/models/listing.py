"""mlp-models list: a table of models and versions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from service import artifact
from service.manifest import REGRESSION, ArtifactError, Manifest
from service.models import references, serving, table
from service.models.command import Command, CommandError, Context

_HEAD: Final = ("model", "version", "state", "created", "size", "task", "features", "scores")
_RIGHT: Final = ("version", "size")
_MAIN_SCORES: Final = {"classification": ("accuracy", "log_loss"), "regression": ("r2", "mae")}


@dataclass(frozen=True, slots=True)
class _Version:
    """A version and its state: serving, available, refused (with a reason) or withdrawn."""

    model: str
    version: int
    state: str
    reason: str | None
    folder: Path
    manifest: Manifest | None

    @property
    def size_bytes(self) -> int:
        with suppress(OSError):
            return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())
        return 0

    def row(self) -> list[str]:
        """Its cells, in the order of `_HEAD`."""
        head = [self.model, str(self.version), self.state]
        size = table.size_text(self.size_bytes)
        if self.manifest is None:
            return [*head, "", size, "", "", ""]
        return [*head, self.manifest.created[:16].replace("T", " "), size, *_described(self.manifest)]

    def document(self) -> dict[str, Any]:
        """The same for JSON."""
        known: dict[str, Any] = {}
        if (manifest := self.manifest) is not None:
            known = {
                "created": manifest.created,
                "task": manifest.task,
                "labels": list(manifest.classes),
                "targets": list(manifest.targets),
                "features": len(manifest.features),
                "input_shape": list(manifest.input_shape),
                "scores": {precision: dict(scores) for precision, scores in manifest.scores.items()},
            }
        return {
            "model": self.model,
            "version": self.version,
            "state": self.state,
            "reason": self.reason,
            "folder": str(self.folder),
            "size_bytes": self.size_bytes,
            **known,
        }


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="only this model (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: argparse.Namespace, context: Context) -> int:
    if options.name is None:
        names = artifact.model_names(context.models)
    else:
        names = [references.model_folder(options.name, context.models).name]
    if not names:
        raise CommandError(f"models folder {str(context.models)!r} is empty; publish a model with: make train")
    found: list[_Version] = []
    faults: list[str] = []
    for name in names:
        try:
            found += _versions(context.models / name, context)
        except ArtifactError as error:
            faults.append(str(error))
    if options.json:
        document = {"versions": [each.document() for each in found], "errors": faults}
        context.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return 0
    for line in _text(found, faults):
        context.write(line)
    return 0


def _versions(model_dir: Path, context: Context) -> Iterator[_Version]:
    """The versions of a model, the newest first, then the withdrawn ones."""
    versions = artifact.versions(model_dir)
    found = serving.find(model_dir, versions, context)
    for version in reversed(versions):
        state = "serving" if version == found.version else "available"
        yield _described_version(model_dir / str(version), version, state, found.refused.get(version))
    for version in reversed(artifact.withdrawn_versions(model_dir)):
        yield _described_version(artifact.withdrawn_dir(model_dir, version), version, "withdrawn", None)


def _described_version(folder: Path, version: int, state: str, reason: str | None) -> _Version:
    try:
        manifest = artifact.read_manifest(folder)
    except ArtifactError as error:
        manifest, reason = None, reason or str(error)
    state = "refused" if reason and state != "withdrawn" else state
    return _Version(folder.parent.name, version, state, reason, folder, manifest)


def _text(found: Sequence[_Version], faults: Sequence[str]) -> Iterator[str]:
    yield from table.lines(_HEAD, [each.row() for each in found], _RIGHT)
    for each in found:
        if each.reason:
            yield f"{each.model}@{each.version} is refused: {table.printable(each.reason)}"
    yield from map(table.printable, faults)


def _described(manifest: Manifest) -> list[str]:
    """Cells for the task, the features and the scores."""
    if manifest.task == REGRESSION:
        task = f"regression of {', '.join(manifest.targets)}"
    else:
        task = f"classification, {len(manifest.classes)} labels"
    shape = f" ({' x '.join(map(str, manifest.input_shape))})" if len(manifest.input_shape) > 1 else ""
    return [task, f"{len(manifest.features)}{shape}", _scores(manifest)]


def _scores(manifest: Manifest) -> str:
    parts = []
    for precision, scores in manifest.scores.items():
        listed = ", ".join(f"{name} {scores[name]:.4g}" for name in _MAIN_SCORES[manifest.task] if name in scores)
        if listed:
            parts.append(f"{precision}: {listed}")
    return "; ".join(parts)


COMMAND: Final = Command(
    name="list",
    summary="list models and versions, with scores and which version a server would serve",
    description="List models and versions. The newest version that passes a server's checks is marked as serving; "
    "newer ones are refused, with the reason below the table, and older ones are available.",
    examples="""  mlp-models list
  mlp-models list fashion-mnist
  mlp-models list --json --models /srv/models""",
    add_arguments=_add_arguments,
    run=_run,
)
