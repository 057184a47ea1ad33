"""A server does not start with a damaged model: one error message, exit status 1, no traceback.

Each start is forked from a process that has done the imports.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from service import artifact
from tests.service.published import TABLE, publish, rewrite
from tests.service.quantized import EVIDENCE, publish_int8
from tests.service.running import environment
from tests.service.trapped import replace as put

MEMORY_KIB = 500 * 2**10

# Starts a server with each list of arguments it reads. Prints its exit status, its output and its peak memory.
LAUNCHER = """
import json, os, sys, tempfile
from service.__main__ import main

for line in sys.stdin:
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 2)
            status = main(json.loads(line))
            sys.stderr.flush()
            os._exit(status)
        _, status, used = os.wait4(child, 0)
        output.seek(0)
        print(json.dumps([os.waitstatus_to_exitcode(status), output.read().decode(), used.ru_maxrss]), flush=True)
"""

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., str]]:
    """A function that starts a server, which must fail, and returns its output."""
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )

    def started(models: Path, *arguments: str) -> str:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        print(json.dumps(["--models", str(models), "--port", "0", *arguments]), file=launcher.stdin, flush=True)
        status, output, peak_kib = json.loads(launcher.stdout.readline())
        lines = [line for line in output.splitlines() if not line.startswith("{")]
        assert status == 1, output
        assert len(lines) == 1, output
        assert lines[0].startswith("mlp-serve: ")
        assert lines[0].isprintable()
        assert peak_kib < MEMORY_KIB
        return lines[0].removeprefix("mlp-serve: ")

    with launcher:
        yield started
        launcher.kill()


def manifest(**change: Any) -> Damage:
    return lambda folder: rewrite(folder, lambda document: document.update(change))


def manifest_text(old: str, new: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / artifact.MANIFEST
        path.write_text(path.read_text().replace(old, new))

    return damage


def content(name: str, damaged: bytes) -> Damage:
    """Replace the content, with a valid hash."""
    return lambda folder: put(folder, name, damaged)


def arrays(**change: Any) -> Damage:
    def damage(folder: Path) -> None:
        with np.load(folder / artifact.GOLDEN) as golden:
            found = dict(golden) | change
        file = io.BytesIO()
        np.savez(file, **found)
        put(folder, artifact.GOLDEN, file.getvalue())

    return damage


def bomb(folder: Path) -> None:
    """Many zeros in few bytes, and a header that announces more."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("inputs.npy", "w") as of,
    ):
        np.lib.format.write_array_header_1_0(of, {"descr": "<f4", "fortran_order": False, "shape": (2**25, 4)})  # type: ignore[arg-type]
        for _ in range(64):
            of.write(bytes(2**20))
    put(folder, artifact.GOLDEN, file.getvalue())


def external(folder: Path) -> None:
    model = onnx.load_from_string((folder / artifact.MODEL).read_bytes())
    tensor = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(folder / "weights.bin"))
    put(folder, artifact.MODEL, model.SerializeToString())


def foreign(folder: Path) -> None:
    model = onnx.load_from_string((folder / artifact.MODEL).read_bytes())
    model.graph.node[0].domain = "own"
    put(folder, artifact.MODEL, model.SerializeToString())


def sparse(name: str) -> Damage:
    def damage(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.truncate(5 * 2**29)

    return damage


def replaced(name: str, make: Callable[[Path], object]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return damage


def moved_out(name: str) -> Damage:
    def damage(folder: Path) -> None:
        elsewhere = folder.parents[2] / "elsewhere"
        (folder / name).rename(elsewhere)
        (folder / name).symlink_to(elsewhere)

    return damage


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as endpoint:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket must be short
        try:
            endpoint.bind(path.name)
        finally:
            os.chdir(here)


FILES = [artifact.MANIFEST, *artifact.REQUIRED]
DAMAGES: dict[str, tuple[Damage, str]] = {
    **{
        f"{name} is gone": (replaced(name, lambda _: None), "cannot be read: No such file or directory")
        for name in FILES
    },
    **{f"{name} is a folder": (replaced(name, Path.mkdir), "is a folder, expected a file") for name in FILES},
    **{f"{name} is a pipe": (replaced(name, os.mkfifo), "is a pipe, expected a file") for name in FILES},
    **{f"{name} is huge": (sparse(name), "has 2,684,") for name in FILES},
    **{f"{name} is elsewhere": (moved_out(name), "outside the models folder") for name in FILES},
    "a socket": (replaced(artifact.EXAMPLE, listening), "cannot be read: "),
    "a device": (
        replaced(artifact.MODEL, lambda path: path.symlink_to("/dev/zero")),
        "leads to /dev/zero, outside the",
    ),
    "not JSON": (lambda folder: (folder / artifact.MANIFEST).write_bytes(b"\xff"), "metadata.json is not JSON: "),
    "a label with a surrogate": (manifest_text('"ape"', '"\\ud800"'), "'classes' has the string '\\ud800', expected"),
    "a name with a surrogate": (manifest_text('"age"', '"\\udfff"'), "'features' has the string '\\udfff', expected"),
    "a date with a surrogate": (manifest(created="\udcff"), "'created' has the string '\\udcff', expected"),
    "a label with a line break": (
        manifest(classes=["a\nb", "c", "d"]),
        "'classes' is ['a\\nb', 'c', 'd'], expected no control characters",
    ),
    "a target with a control character": (
        manifest(targets=["\x1b[2J"]),
        "'targets' is ['\\x1b[2J'], expected no control characters",
    ),
    "labels of two types": (
        manifest(classes=[1, True, "1"]),
        "'classes' is [1, True, '1'], expected two or more distinct labels",
    ),
    "a score beyond float64": (manifest_text("0.5", "1e999"), "is not JSON: 1e999 exceeds float64"),
    "not a graph": (content(artifact.MODEL, b"no graph"), "the graph does not load: it is no ONNX file, as "),
    "an empty graph": (content(artifact.MODEL, b""), "the graph does not load: "),
    "an external tensor": (external, "the graph keeps numbers in other files, expected all of them inside"),
    "a custom operator": (foreign, "the graph does not load: "),
    "golden rows that are not an archive": (
        content(artifact.GOLDEN, b"PK\x03\x04"),
        "golden.npz is no archive of arrays (",
    ),
    "a bomb": (bomb, "golden.npz has 'inputs' of shape (33554432, 4), expected (1 to 4096 rows, 5)"),
    "golden rows of objects": (arrays(inputs=np.full((8, 5), {})), "golden.npz has 'inputs' of dtype object"),
    "infinite golden rows": (arrays(inputs=np.full((8, 5), np.inf)), "golden.npz has a row without a finite"),
    "no golden rows": (arrays(inputs=np.zeros((0, 5))), "golden.npz has 'inputs' of shape (0, 5)"),
    "golden answers that are NaN": (
        arrays(probabilities=np.full((8, 3), np.nan)),
        "golden.npz has 'probabilities' with",
    ),
    "golden answers of unknown classes": (
        arrays(prediction=np.full(8, 7)),
        "golden.npz holds predictions that are no index",
    ),
    "an example that is not JSON": (
        content(artifact.EXAMPLE, b'{"inputs": '),
        "example.json is no request that the model",
    ),
    "an empty example": (content(artifact.EXAMPLE, b""), "example.json is no request that the model takes ("),
    "an example with NaN": (
        content(artifact.EXAMPLE, b'{"x": NaN}'),
        "example.json is no request that the model takes (",
    ),
    "an example with a surrogate": (
        content(artifact.EXAMPLE, b'{"x": "\\ud800"}'),
        "example.json is no request that the model takes (",
    ),
    "an example without rows": (content(artifact.EXAMPLE, b"{}"), "example.json is no request that the model takes ("),
    "an example of another model": (
        content(artifact.EXAMPLE, b'{"inputs": [[1, 2]]}'),
        "example.json is no request that",
    ),
    "a deeply nested example": (
        content(artifact.EXAMPLE, b"[" * 10**6),
        "example.json is no request that the model takes (",
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("whole")
    publish(models, "table", features=TABLE)
    return models


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file(start: Callable[..., str], whole: Path, tmp_path: Path, name: str) -> None:
    damage, expected = DAMAGES[name]
    models = shutil.copytree(whole, tmp_path / "models")
    damage(models / "table" / "1")
    message = start(models)
    assert expected in message
    assert str(models / "table") in message
    assert ";" in message  # followed by the remedy


@pytest.fixture(scope="module")
def whole_int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("int8")
    publish_int8(models)
    return models


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (sparse(artifact.MODEL_INT8), "has 2,684,354,560 bytes, expected 1,073,741,824 at most"),
        (
            content(artifact.MODEL_INT8, b"no graph"),
            "its int8 graph fails the self-check on this processor: the graph",
        ),
        (
            arrays(int8_prediction=np.full(8, 2), int8_probabilities=np.full((8, 3), 0.3)),
            "; start with --precision auto,",
        ),
        (manifest(int8=asdict(replace(EVIDENCE, class_rows=(1, 2, 3)))), "expected consistent counts"),
    ],
)
def test_a_damaged_int8_graph(
    start: Callable[..., str], whole_int8: Path, tmp_path: Path, damage: Damage, expected: str
) -> None:
    models = shutil.copytree(whole_int8, tmp_path / "models")
    damage(models / "small" / "1")
    assert expected in start(models, "--precision", "int8", "--provider", "cpu")
