"""A running server takes new versions from its models folder, and serves on whatever is published there.

Each server is a process of its own, or has two workers.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from service import artifact
from tests.service.published import OPSET, TABLE, Network, publish, rewrite
from tests.service.running import PATIENCE_S, Running, command, environment, refused
from tests.service.test_damaged import DAMAGES, Damage, content, manifest
from tests.service.trapped import replace

OFTEN = ("--reload-interval-s", "0.05")
ROW = [0.5, -1.0, 2.0, 0.25]
BODY = json.dumps({"inputs": [ROW]}).encode()


def until(holds: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


class Client:
    """One keep-alive connection."""

    def __init__(self, server: Running) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        self._connection.request(method, path, body)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def get(server: Running, path: str) -> Any:
    """The answer of one worker, on a connection of its own."""
    with Client(server) as client:
        status, answer = client.call("GET", path)
    assert status == 200, answer
    return answer


def ask(server: Running, path: str, body: bytes = BODY) -> tuple[int, Any]:
    """Status and answer of a prediction, on a connection of its own."""
    with Client(server) as client:
        return client.call("POST", path, body)


def states(server: Running, name: str = "small") -> dict[Any, str]:
    """The state of each version of a model, in one worker."""
    listed = {each["name"]: each["versions"] for each in get(server, "/models")["models"]}
    return {each["version"]: each["state"] for each in listed.get(name, [])}


def serves(server: Running, version: int, name: str = "small") -> bool:
    """Whether ten connections in a row find that version: both workers have it."""
    return all(states(server, name).get(version) == "serving" for _ in range(10))


@dataclass
class Load:
    """The requests of `hammered`: how many were answered, and what went wrong."""

    answers: int = 0
    wrong: list[str] = field(default_factory=list)


@contextmanager
def hammered(server: Running, networks: dict[int, Network], *, clients: int = 8) -> Iterator[Load]:
    """Send requests all the time. It is wrong if one fails, or if its answer is of no known version."""
    load = Load()
    wrong = load.wrong
    stop = threading.Event()
    row = np.array([ROW], np.float32)

    def hammer() -> None:
        with Client(server) as client:
            while not stop.is_set() and not wrong:
                try:
                    status, answer = client.call("POST", "/predict", BODY)
                    load.answers += 1
                    expected = networks[answer["version"]].answer(row)
                    if status != 200 or not np.allclose(answer["probabilities"], expected, atol=1e-4):
                        wrong.append(f"{status} {answer}")
                except Exception as error:  # noqa: BLE001 - anything is wrong here
                    wrong.append(repr(error))

    threads = [threading.Thread(target=hammer) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(("workers", "fast_path"), [(1, "true"), (1, "false"), (2, "true")])
def test_versions_are_swapped_under_load_and_each_answer_is_of_one_version(
    tmp_path: Path, workers: int, fast_path: str
) -> None:
    networks = {1: publish(tmp_path, version=1, seed=1)}
    with Running(tmp_path, *OFTEN, "--fast-path", fast_path, workers=workers) as server:
        with hammered(server, networks) as load:
            for version in range(2, 8):
                hidden = tmp_path / ".new"
                networks[version] = publish(hidden, version=version, seed=version)
                (hidden / "small" / str(version)).rename(tmp_path / "small" / str(version))
                until(partial(serves, server, version))
            for version in (7, 6, 5):  # and back
                (tmp_path / "small" / str(version)).rename(tmp_path / "small" / f".withdrawn-{version}")
                until(partial(serves, server, version - 1))
        assert load.wrong == []
        server.terminate()
        assert server.exit_status() == 0


def test_older_versions_answer_under_their_number(tmp_path: Path) -> None:
    networks = {version: publish(tmp_path, version=version, seed=version) for version in (1, 2, 3)}
    with Running(tmp_path, *OFTEN, "--keep-versions", "2") as server:
        for version in (2, 3):
            status, answer = ask(server, f"/models/small/versions/{version}/predict")
            assert (status, answer["version"]) == (200, version)
            expected = networks[version].answer(np.array([ROW], np.float32))
            assert np.allclose(answer["probabilities"], expected, atol=1e-4)
        status, answer = ask(server, "/models/small/versions/1/predict")
        assert (status, answer["detail"]) == (
            404,
            "version 1 of model 'small' is not loaded; loaded are: 3, 2; GET /models/small says why",
        )
        status, answer = ask(server, "/models/small/versions/9/predict")
        assert (status, answer["detail"]) == (404, "model 'small' has no version '9' here; loaded are: 3, 2")
        assert get(server, "/models/small")["versions"] == [
            {"version": 3, "state": "serving", "loaded": True, "reason": None},
            {"version": 2, "state": "available", "loaded": True, "reason": None},
            {
                "version": 1,
                "state": "available",
                "loaded": False,
                "reason": "not loaded, as --keep-versions is 2",
            },
        ]


def test_models_come_and_go_with_their_documentation(tmp_path: Path) -> None:
    publish(tmp_path)
    with Running(tmp_path, *OFTEN, "--model", "small") as server:
        publish(tmp_path, "prices", targets=("price",))
        until(lambda: serves(server, 1, "prices"))
        document = get(server, "/openapi.json")
        examples = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]
        assert examples.keys() == {"small", "prices"}
        assert "Numbers" in document["components"]["schemas"]
        assert server.metrics()["mlp_model_info prices fp32 cpu 1"] == 1
        shutil.rmtree(tmp_path / "prices")
        until(lambda: states(server, "prices") == {})
        assert "Numbers" not in get(server, "/openapi.json")["components"]["schemas"]
        assert server.metrics()["mlp_model_info prices fp32 cpu 1"] == 0


# Spoiled versions


def weights_of_nan(folder: Path) -> None:
    model = onnx.load_from_string((folder / artifact.MODEL).read_bytes())
    last = next(each for each in model.graph.initializer if each.name == "last")
    last.CopyFrom(numpy_helper.from_array(np.full_like(numpy_helper.to_array(last), np.nan), "last"))
    replace(folder, artifact.MODEL, model.SerializeToString())


def newer_opset(folder: Path) -> None:
    model = onnx.load_from_string((folder / artifact.MODEL).read_bytes())
    model.opset_import[0].version = 1000
    replace(folder, artifact.MODEL, model.SerializeToString())


def truncated(name: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


def flipped(folder: Path) -> None:
    """One bit, as on a bad disk."""
    path = folder / artifact.MODEL
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def linked_to_itself(folder: Path) -> None:
    (folder / artifact.MODEL).unlink()
    (folder / artifact.MODEL).symlink_to(artifact.MODEL)


def half_copied(folder: Path) -> None:
    (folder / artifact.MANIFEST).unlink()
    (folder / artifact.GOLDEN).unlink()


def of_another_network(folder: Path) -> None:
    publish(folder.parents[1] / ".other", "table", features=TABLE, seed=99)
    other = folder.parents[1] / ".other"
    replace(folder, artifact.MODEL, (other / "table" / "1" / artifact.MODEL).read_bytes())
    shutil.rmtree(other)


SPOILED: dict[str, Damage] = {name: damage for name, (damage, _) in DAMAGES.items()} | {
    "an empty folder": lambda folder: [path.unlink() for path in folder.iterdir()],
    "half copied": half_copied,
    **{f"truncated {name}": truncated(name) for name in (artifact.MANIFEST, *artifact.REQUIRED)},
    "a flipped bit": flipped,
    "a link to itself": linked_to_itself,
    "weights of NaN": weights_of_nan,
    "another network": of_another_network,
    "a newer opset": newer_opset,
    "a newer format": manifest(format=99),
    "a format of text": manifest(format="1"),
    "another name": manifest(name="other"),
    "another version": manifest(version=1),
    "other features": manifest(input_shape=[4]),
    "an array for a manifest": lambda folder: (folder / artifact.MANIFEST).write_text("[]"),
    "no hashes": manifest(files={}),
    "an example of text": content(artifact.EXAMPLE, b"one row"),
}


def test_no_spoiled_version_is_served_also_after_a_restart_and_completing_one_makes_it_serve(tmp_path: Path) -> None:
    models = tmp_path / "models"
    row = {"age": 30, "height": 1.7, "member": True, "country": "Italy", "job": "cook"}
    body = json.dumps({"inputs": [row]}).encode()
    publish(models, "table", 1, features=TABLE, seed=1)
    publish(models, "table", 2, features=TABLE, seed=2)
    assert len(SPOILED) >= 20
    versions = dict(enumerate(SPOILED.items(), 3))
    with Running(models, *OFTEN) as server:
        for version, (name, damage) in versions.items():
            hidden = tmp_path / "new"
            publish(hidden, "table", version, features=TABLE, seed=version)
            damage(hidden / "table" / str(version))
            (hidden / "table" / str(version)).rename(models / "table" / str(version))
            until(lambda version=version: states(server, "table").get(version) in {"refused", "serving"})  # type: ignore[misc]
            status, answer = ask(server, "/predict", body)
            assert (status, answer["version"]) == (200, 2), name
        until(lambda: set(list(states(server, "table").values())[:-2]) == {"refused"})
        assert server.metrics()["mlp_model_newest_refused table"] == 1
        assert server.metrics()["mlp_model_versions table refused"] == len(SPOILED)
        server.terminate()
        assert server.exit_status() == 0
    with Running(models, *OFTEN) as server:
        found = get(server, "/models/table")
        assert found["version"] == 2
        reasons = {each["version"]: each["reason"] for each in found["versions"]}
        assert all(reasons[version] for version in versions)
        assert not any(str(tmp_path / "models") + "/table" in str(reason) for reason in reasons.values())
        half = models / "table" / str(next(version for version, (name, _) in versions.items() if name == "half copied"))
        publish(tmp_path / "new", "table", int(half.name), features=TABLE, seed=int(half.name))
        whole = tmp_path / "new" / "table" / half.name
        for name in (artifact.GOLDEN, artifact.MANIFEST):
            assert serves(server, 2, "table")
            shutil.copy(whole / name, half / name)
        until(lambda: serves(server, int(half.name), "table"))


def test_a_refusal_is_logged_once(tmp_path: Path) -> None:
    publish(tmp_path, version=1)
    with Running(tmp_path, *OFTEN) as server:
        publish(tmp_path / ".new", version=2)
        (tmp_path / ".new" / "small" / "2" / artifact.MODEL).write_bytes(b"")
        (tmp_path / ".new" / "small" / "2").rename(tmp_path / "small" / "2")
        line = json.loads(server.wait_for("is refused"))
        assert line["message"].startswith("model small: version 2 is refused: small/2/model.onnx (0 bytes) is not")
        assert line["message"].endswith("; version 1 keeps serving")
        publish(tmp_path, version=3)
        server.wait_for("version 3 serves in place of version 1")
        server.terminate()
        assert sum("is refused" in line for line in server.whole_log()) == 1


# Pins


def test_a_pin_holds_over_newer_versions(tmp_path: Path) -> None:
    for version in (1, 2):
        publish(tmp_path, version=version)
    with Running(tmp_path, *OFTEN, "--model", "small@1") as server:
        publish(tmp_path, version=3)
        until(lambda: states(server).get(3) == "available")
        assert serves(server, 1)
    with Running(tmp_path, "--reload-interval-s", "0", variables={"MLP_MODEL_VERSIONS": "small@2"}) as server:
        assert serves(server, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "small@"), "--model (MLP_MODEL) is 'small@': 'small@' is no version of a model, expected"),
        (("--model-versions", "small@1,small@1"), "model 'small' occurs twice; name one version"),
        (("--model-versions", "big@1"), "model 'big' is pinned, and there are: small; change the pin, or publish it"),
        (("--model", "small@5"), "model 'small' is pinned to version 5, and there are: 1, 2; change the pin"),
        (("--model", "small@2"), "model 'small' is pinned to version 2, which is refused: "),
    ],
)
def test_a_bad_pin_keeps_the_server_from_starting(tmp_path: Path, arguments: tuple[str, str], message: str) -> None:
    publish(tmp_path, version=1)
    publish(tmp_path, version=2)
    (tmp_path / "small" / "2" / artifact.MODEL).write_bytes(b"")
    assert message in refused("--models", str(tmp_path), *arguments)


# Ends


def test_reloads_can_be_switched_off(tmp_path: Path) -> None:
    publish(tmp_path, version=1)
    with Running(tmp_path, "--reload-interval-s", "0") as server:
        publish(tmp_path, version=2)
        assert states(server) == {1: "serving"}
        assert server.metrics()["mlp_models_checked_timestamp_seconds"] == 0


def test_a_killed_worker_is_replaced_though_a_new_model_is_broken(tmp_path: Path) -> None:
    """The default stays, too, though the replacement finds two models and no --model."""
    publish(tmp_path, version=1)
    with Running(tmp_path, *OFTEN, workers=2) as server:
        publish(tmp_path, "second")
        publish(tmp_path, "broken")
        (tmp_path / "broken" / "1" / artifact.MODEL).write_bytes(b"")
        (tmp_path / "small" / "2").mkdir()
        until(lambda: serves(server, 1, "second"))
        for worker in server.workers():
            subprocess.run(["kill", "-9", str(worker)], check=True)
        for _ in range(2):
            server.wait_for("ready on")
        for _ in range(10):
            status, answer = ask(server, "/predict")
            assert (status, answer["model"], answer["version"]) == (200, "small", 1)


def test_sigterm_during_a_load_ends_the_server_in_time(tmp_path: Path) -> None:
    """1. A version hangs while it is loaded. 2. SIGTERM. 3. The server ends with 0."""
    publish(tmp_path, version=1)
    patched = (
        "import sys, time\n"
        "from service.__main__ import main\n"
        "from service.inference import self_check\n"
        "measure, calls = self_check.measure, []\n"
        "def hang(*arguments):\n"
        "    calls.append(1)\n"
        "    if len(calls) > 1:\n"
        "        print('hangs', file=sys.stderr, flush=True)\n"
        "        time.sleep(1000)\n"
        "    return measure(*arguments)\n"
        "self_check.measure = hang\n"
        "sys.exit(main())\n"
    )
    arguments = command("--models", str(tmp_path), *OFTEN)[3:]
    process = subprocess.Popen(
        [sys.executable, "-c", patched, *arguments], env=environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "ready on" in line:
                publish(tmp_path / ".new", version=2)
                (tmp_path / ".new" / "small" / "2").rename(tmp_path / "small" / "2")
            if line.startswith("hangs"):
                break
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
    assert "a version is still being loaded; it is left out, as the server ends" in rest


def test_a_new_format_of_a_manifest_says_what_to_install(tmp_path: Path) -> None:
    publish(tmp_path, version=1)
    publish(tmp_path, version=2)
    rewrite(tmp_path / "small" / "2", lambda document: document.update(format=3, opset=OPSET + 1))
    with Running(tmp_path, *OFTEN) as server:
        (newest, _) = get(server, "/models/small")["versions"]
        assert newest["state"] == "refused"
        assert "'format' is 3, and this release reads up to 2; install a newer mlp-serving" in newest["reason"]
