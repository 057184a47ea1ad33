"""``mlp-models import``: publishes an ONNX file of another framework as the next version of a model.

`mlp-models` finds this module by the entry point ``import`` of the group ``mlp_serving.commands``, because the service
imports neither training nor onnx. It gives ``prove``, which loads a version as the server does.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from onnx import TensorProto

from service import artifact, artifact_writer
from service.manifest import MAX_LABEL, Manifest
from training.errors import DataError, NotPromoted
from training.release import interface, previous
from training.release.importing import graph, rows, version
from training.release.importing.version import Imported, Request
from training.release.interface import Interface

SUMMARY: Final = "publish an ONNX file of scikit-learn, Keras, PyTorch or XGBoost"
DESCRIPTION: Final = (
    "Turn a small ONNX network of another framework into a served version. Its inputs and outputs are renamed, and "
    "argmax and softmax added where they are missing. Its answers are not compared with those of its framework."
)
EXAMPLES: Final = """  mlp-models import clf.onnx --name irises --example rows.csv
  mlp-models import net.onnx --name digits --labels 0,1,2,3,4,5,6,7,8,9 --logits --range 0 16
  mlp-models import price.onnx --name flats --targets price --features area,rooms,year
"""
_MAX_BYTES: Final = artifact.MAX_MODEL_BYTES
_INTEGER: Final = re.compile("0|-?[1-9][0-9]{0,15}")  # `MAX_LABEL` has 16 digits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to ``parser``, which already has ``--models``."""
    parser.add_argument("graph", metavar="FILE", type=Path, help="the ONNX file")
    parser.add_argument("--name", required=True, help="name of the model")
    lists: Mapping[str, Any] = {"metavar": "A,B,…|FILE", "default": ""}
    parser.add_argument("--labels", **lists, help="the classes in the order of the outputs, or a file with one a line")
    parser.add_argument("--targets", **lists, help="names of the predicted numbers, for a regression")
    parser.add_argument("--features", **lists, help="names of the inputs (default: as in the graph, or x0, x1, …)")
    parser.add_argument("--logits", action="store_true", help="the outputs are logits: add a softmax, or a sigmoid")
    parser.add_argument("--example", metavar="FILE", type=Path, help="rows to try it on: .json, .npy or .csv")
    parser.add_argument(
        "--range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        default=None,
        help="range of the random rows to try it on without --example (default: 0 1, or 0 255 for uint8)",
    )
    parser.add_argument(
        "--breaking", action="store_true", help="publish even if clients of the newest version have to change"
    )


def run(
    options: argparse.Namespace, models: Path, prove: Callable[[Path], object], write: Callable[[str], object]
) -> int:
    """Publish the file, and ``write`` what was published; return the exit status.

    ``prove`` raises if the server would refuse the version in a folder. Raises `TrainingError` and `ArtifactError`.
    """
    artifact.check_name(options.name)
    imported = _imported(options)
    _check_interface(imported.manifest, models, breaking=options.breaking)

    def make(number: int) -> tuple[Manifest, Mapping[str, bytes]]:
        manifest = replace(imported.manifest, version=number)
        return manifest, {**imported.files, **version.card(manifest)}

    with tempfile.TemporaryDirectory() as folder:
        prove(artifact_writer.publish(Path(folder), options.name, make))
    published = artifact_writer.publish(models, options.name, make)
    manifest = imported.manifest
    what = f"{len(manifest.classes)} classes" if manifest.classes else f"{', '.join(manifest.targets)}"
    write(
        f"published {published}: {len(manifest.features)} features → {what}; its answers are not verified, see its card"
    )
    return 0


def _imported(options: argparse.Namespace) -> Imported:
    content = _content(options.graph)
    foreign = graph.read(content)
    features = _listed(options.features)
    tried = None if options.example is None else rows.read(options.example)
    width = tried.shape[1] if tried is not None else len(features) or None
    if tried is None:
        pixels = foreign.input_type == TensorProto.UINT8
        low, high = options.range or ((0, 255) if pixels else (0, 1))
        if not low < high or not np.isfinite([low, high]).all():
            raise DataError(f"--range is {low:g} {high:g}, expected a smaller and a larger number")
        whole = foreign.input_type not in {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}
        tried = rows.random(version.features_of(foreign, width), low, high, whole=whole)
    elif options.range is not None:
        raise DataError("--range is for random rows, and --example gives rows; leave one of them out")
    return version.build(
        foreign,
        Request(
            name=options.name,
            file=options.graph.name.encode(errors="backslashreplace").decode(),
            content=content,
            command=shlex.join(["mlp-models", *sys.argv[1:]]).encode(errors="backslashreplace").decode(),
            rows=tried,
            features=features,
            labels=_labels(_listed(options.labels)),
            targets=_listed(options.targets),
            logits=options.logits,
        ),
    )


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not path.is_file() or size > _MAX_BYTES:
            raise DataError(f"{path} is no file of at most {_MAX_BYTES:,} bytes; give an ONNX file")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; give an ONNX file") from error


def _listed(text: str) -> tuple[str, ...]:
    """The items of ``a,b,c``, or the lines of a file of that name."""
    path = Path(text)
    if text and "," not in text and path.is_file():
        return tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    return tuple(each.strip() for each in text.split(",")) if text else ()


def _labels(texts: tuple[str, ...]) -> tuple[graph.Label, ...]:
    """Integers if all are, as Python writes them; otherwise strings."""
    if all(map(_INTEGER.fullmatch, texts)):
        numbers = tuple(map(int, texts))
        if all(abs(each) <= MAX_LABEL for each in numbers):
            return numbers
    return texts


def _check_interface(manifest: Manifest, models: Path, *, breaking: bool) -> None:
    older, _ = previous.newest(models, manifest.name)
    if older is None or breaking:
        return
    found = interface.changes(Interface.of(older.manifest), Interface.of(manifest)).breaking
    if found:
        fault = f"{manifest.name} would break clients of version {older.manifest.version}"
        raise NotPromoted(fault, found, "publish it under another --name, or with --breaking")
