"""The servers that are compared: how each is started, and whether it answers correctly."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnxruntime

from benchmarks import change, named_table, payloads
from benchmarks.comparisons import GRANIAN, NGINX, Comparison
from benchmarks.environments import python_of
from benchmarks.servers import HERE, Server, free_port, ours, peer
from benchmarks.targets import BARE, BASELINE, BEFORE, LIGHTGBM, MLFLOW, MOSEC, MSGPACK, NAMED, NOT_COMPILED, OURS, TWO

# Like the peers and bare uvicorn, ours logs no requests unless its name says so.
_QUIET: Final = ("--log-level", "warning")
_OURS: Final = {
    OURS: ("int8", *_QUIET),
    NOT_COMPILED: ("int8", *_QUIET),
    "ours fp32": ("fp32", *_QUIET),
    "ours int8, request log": ("int8",),
    "ours int8, fast path off": ("int8", *_QUIET, "--fast-path", "false"),
    TWO: ("int8", *_QUIET, "--workers", "2"),
}
# Each peer's script and path.
_PEERS: Final = {
    BARE: ("bare_uvicorn.py", "/"),
    GRANIAN: ("granian_bare.py", "/"),
    MOSEC: ("mosec_json.py", "/inference"),
    MSGPACK: ("mosec_msgpack.py", "/inference"),
    "LitServe": ("litserve_json.py", "/predict"),
    "BentoML": ("bentoml_json.py", "/predict"),
    "MLServer": ("mlserver_json.py", "/v2/models/network/infer"),
    "Ray Serve": ("ray_serve.py", "/predict"),
    "FastAPI + torch": ("fastapi_torch.py", "/predict"),
}
_CONSTANT: Final = (BARE, GRANIAN, NGINX)
_ON_TABLE: Final = (NAMED, LIGHTGBM)
# Peers that serve a model of their own: their script, their path, and the model's name in the folder of the run.
_OWN_MODEL: Final = {
    MLFLOW: ("mlflow_pyfunc.py", "/invocations", "mlflow"),
    LIGHTGBM: ("table_lightgbm.py", "/predict", "lightgbm"),
}
_NGINX: Final = HERE / "peers/nginx_constant.py"
CHECKED_ROWS: Final = 32


@dataclass(frozen=True)
class Subjects:
    """Everything that the servers of some comparisons need.

    ``left_out`` says why a server cannot be compared here, by its name; ``before`` is the checked out tree of the
    earlier commit.
    """

    model: Path
    folder: Path
    before: Path | None
    left_out: dict[str, str]

    def server(self, name: str) -> tuple[Server, Path | None]:
        """The server of that name, and the folder to start it in."""
        if name in _OURS:
            precision, *more = _OURS[name]
            module = "benchmarks.not_compiled" if name == NOT_COMPILED else "service"
            return ours(name, self.model.parents[1], "--precision", precision, *more, module=module), None
        if name == BEFORE:
            return ours(name, self.model.parents[1], "--precision", *_OURS[OURS]), self.before
        if name == NAMED:
            return ours(name, self.folder / "models", *_QUIET), None
        if name == NGINX:
            port = free_port()
            return Server(name, (sys.executable, str(_NGINX), str(port), str(nginx())), port, "/"), None
        if name in _OWN_MODEL:
            script, path, model = _OWN_MODEL[name]
            return peer(name, script, self.folder / model, path), None
        script, path = _PEERS[name]
        return peer(name, script, self.model / "model.onnx", path), None

    def check(self, name: str, kind: str, response: bytes) -> None:
        """Raise `AssertionError` if the classes in a response to `CHECKED_ROWS` rows are not those of the graph.

        Of the models of the table only the number of classes is checked: they are two different ones.
        """
        if name in _CONSTANT:
            return
        found = payloads.classes(kind, response)
        if name in _ON_TABLE:
            assert len(found) == CHECKED_ROWS, f"{name} responds with {len(found)} classes, expected {CHECKED_ROWS}"
            return
        expected = predicted(self.model / ("model.int8.onnx" if "int8" in name else "model.onnx"))
        assert found == expected, f"{name} responds to {kind} with classes {found}, expected {expected}"


@functools.cache
def predicted(graph: Path) -> list[int]:
    """The classes that a graph predicts for the rows of the check."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: list[int] = session.run(["prediction"], {"inputs": payloads.rows(CHECKED_ROWS)})[0].tolist()
    return found


def nginx() -> Path | None:
    """nginx's program, if there is one."""
    found = shutil.which("nginx", path=f"{Path(sys.prefix) / 'bin'}:/usr/sbin") or shutil.which("nginx")
    return Path(found) if found else None


@contextmanager
def prepared(comparisons: Sequence[Comparison], model: Path, folder: Path) -> Iterator[Subjects]:
    """Install the peers, check out the earlier commit and train the models of the table, as far as needed."""
    names = {side.server for each in comparisons for side in (each.first, each.second)}
    left_out: dict[str, str] = {}
    for name in names & _PEERS.keys():
        python_of(HERE / "peers" / _PEERS[name][0])
    if NGINX in names and nginx() is None:
        left_out[NGINX] = "it is not installed"
    table = folder / "table.csv"
    if names & {*_ON_TABLE}:
        named_table.write(table)
    if NAMED in names:
        options = ("--target", named_table.TARGET, "--models", folder / "models", "--name", "table", "--epochs", "5")
        _run(sys.executable, "-m", "training", table, *options)
    if LIGHTGBM in names:
        _run_peer(LIGHTGBM, folder, "fit", table, named_table.TARGET)
    if MLFLOW in names:
        _run_peer(MLFLOW, folder, "save", model / "model.onnx")
    if BEFORE not in names:
        yield Subjects(model, folder, None, left_out)
    elif not _has(BASELINE):
        yield Subjects(model, folder, None, left_out | {BEFORE: f"this repository has no commit {BASELINE}"})
    else:
        with change.checked_out(BASELINE) as before:
            yield Subjects(model, folder, before, left_out)


def _has(commit: str) -> bool:
    command = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    return not subprocess.run(command, cwd=HERE, stderr=subprocess.DEVNULL, check=False).returncode


def _run_peer(name: str, folder: Path, *given: str | Path) -> None:
    """Make the model of a peer by its script."""
    script = HERE / "peers" / _OWN_MODEL[name][0]
    _run(python_of(script), script, *given, folder / _OWN_MODEL[name][2])


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, f"{command} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}"
