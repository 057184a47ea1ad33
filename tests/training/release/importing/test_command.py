"""Foreign graphs become served versions: the original graph, run by ONNX Runtime, is the oracle."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import helper
from prometheus_client import CollectorRegistry

from service import artifact
from service.errors import ModelRefused
from service.http.codecs.json_codec import check_example
from service.inference.loader import Bounds, Loader, Placement
from service.inference.model import Model
from service.metrics import Metrics
from tests.training.release.importing import foreign
from training.errors import DataError, GraphError, NotPromoted
from training.release.importing import command

RANDOM = np.random.default_rng(5)


def load(version_dir: Path) -> Model:
    """Load a version as the server does."""
    loader = Loader(
        version_dir.parent.parent,
        Placement("cpu", "auto"),
        Metrics(CollectorRegistry()).models,
        Bounds(request_rows=100, queue_rows=100, queue_s=1.0),
        clock=lambda: 0.0,
        check_example=check_example,
    )
    return loader.load(version_dir.parent.name, int(version_dir.name))


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_arguments(parser)
    return parser.parse_args([*arguments, "--name", "mine"])


class Importing:
    """Imports graphs into one models folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.written: list[str] = []

    def run(self, content: bytes, *arguments: str, prove: Callable[[Path], object] = load) -> Path:
        (self.folder / "graph.onnx").write_bytes(content)
        given = options(str(self.folder / "graph.onnx"), *arguments)
        assert command.run(given, self.models, prove, self.written.append) == 0
        return max((self.models / "mine").glob("[0-9]*"))

    def faults(self, content: bytes, *arguments: str) -> tuple[str, ...]:
        with pytest.raises(GraphError) as raised:
            self.run(content, *arguments)
        assert not self.models.exists()
        return raised.value.faults


@pytest.fixture
def importing(tmp_path: Path) -> Importing:
    return Importing(tmp_path)


def served(version_dir: Path, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Outputs of the published graph for all rows at once."""
    session = ort.InferenceSession(artifact.read(version_dir).model)
    outputs = session.run(None, {"inputs": rows})
    return dict(zip((each.name for each in session.get_outputs()), outputs, strict=True))


def original(content: bytes, feeds: dict[str, NDArray[Any]]) -> list[Any]:
    found: list[Any] = ort.InferenceSession(content).run(None, feeds)
    return found


@pytest.mark.parametrize("labels", [foreign.NAMES, (3, 5, 8)])
@pytest.mark.parametrize("zipmap", [True, False])
def test_a_classifier_of_scikit_learn(importing: Importing, zipmap: bool, labels: tuple[Any, ...]) -> None:
    content = foreign.scikit_learn(zipmap=zipmap, labels=labels)
    folder = importing.run(content)
    rows = RANDOM.normal(0, 2, (40, 4)).astype(np.float32)
    predicted, probabilities = original(content, {"X": rows})
    if zipmap:
        assert isinstance(probabilities[0], dict)
        probabilities = np.array([list(each.values()) for each in probabilities])
    outputs = served(folder, rows)
    assert np.abs(outputs["probabilities"] - probabilities).max() < 1e-6
    assert [labels[index] for index in outputs["prediction"]] == predicted.tolist()
    manifest = artifact.read_manifest(folder)
    assert manifest.classes == labels
    assert [each.name for each in manifest.features] == ["x0", "x1", "x2", "x3"]
    assert "ZipMap" not in str(onnx.load_model_from_string(artifact.read(folder).model).graph.node)


def test_several_inputs_become_one(importing: Importing) -> None:
    content = foreign.scikit_learn(zipmap=True, several=True)
    folder = importing.run(content)
    rows = RANDOM.normal(0, 2, (9, 4)).astype(np.float32)
    predicted, _ = original(content, {name: rows[:, [i]] for i, name in enumerate(("sl", "sw", "pl", "pw"))})
    manifest = artifact.read_manifest(folder)
    assert [each.name for each in manifest.features] == ["sl", "sw", "pl", "pw"]
    assert [manifest.classes[index] for index in served(folder, rows)["prediction"]] == predicted.tolist()


def test_float64_stays_float64(importing: Importing) -> None:
    content = foreign.scikit_learn(zipmap=False, double=True)
    folder = importing.run(content)
    rows = RANDOM.normal(0, 2, (9, 4))
    assert artifact.read_manifest(folder).input_dtype == "float64"
    assert np.abs(served(folder, rows)["probabilities"] - original(content, {"X": rows})[1]).max() < 1e-6


def test_trees(importing: Importing) -> None:
    folder = importing.run(foreign.trees())
    rows = np.array([[0.4, 0, 0], [0.6, 0, 0]], np.float32)
    assert artifact.read_manifest(folder).classes == (10, 20)
    outputs = served(folder, rows)
    assert outputs["prediction"].tolist() == [0, 1]
    assert np.array_equal(outputs["probabilities"], original(foreign.trees(), {"input": rows})[1])


@pytest.mark.parametrize("targets", [(), ("price",), ("price", "rent")])
def test_a_regression(importing: Importing, targets: tuple[str, ...]) -> None:
    content = foreign.regressor(max(len(targets), 1))
    folder = importing.run(content, *(("--targets", ",".join(targets)) if targets else ()))
    rows = RANDOM.normal(0, 2, (9, 4)).astype(np.float32)
    manifest = artifact.read_manifest(folder)
    assert (manifest.task, manifest.targets) == ("regression", targets or ("target",))
    assert np.abs(served(folder, rows)["prediction"] - original(content, {"cast_input": rows})[0]).max() < 1e-5


def test_a_softmax_of_keras_on_images(importing: Importing) -> None:
    content = foreign.keras()
    folder = importing.run(content, "--labels", "cat,dog,owl")
    rows = RANDOM.uniform(0, 1, (9, 16)).astype(np.float32)
    manifest = artifact.read_manifest(folder)
    assert (manifest.input_shape, manifest.classes, manifest.opset) == ((4, 4), ("cat", "dog", "owl"), 15)
    expected = original(content, {"input_1": rows.reshape(-1, 4, 4, 1)})[0]
    assert np.abs(served(folder, rows)["probabilities"] - expected).max() < 1e-6


def test_a_sigmoid_becomes_two_classes(importing: Importing) -> None:
    content = foreign.keras(sigmoid=True)
    folder = importing.run(content, "--labels", "no,yes")
    rows = RANDOM.uniform(-1, 1, (30, 16)).astype(np.float32)
    expected = original(content, {"input_1": rows.reshape(-1, 4, 4, 1)})[0][:, 0]
    outputs = served(folder, rows)
    assert np.abs(outputs["probabilities"] - np.stack([1 - expected, expected], axis=1)).max() < 1e-6
    assert set(outputs["prediction"].tolist()) == {0, 1}
    assert np.array_equal(outputs["prediction"] == 1, expected > 0.5)


def test_labels_that_only_look_like_integers_are_strings(importing: Importing) -> None:
    folder = importing.run(foreign.keras(sigmoid=True), "--labels=--1,-0")
    assert artifact.read_manifest(folder).classes == ("--1", "-0")


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("batch", [1, "b"])
def test_logits_of_torch(importing: Importing, columns: int, batch: int | str) -> None:
    """Also exported for a single row, which is torch's default."""
    content = foreign.torch_logits(columns=columns, batch=batch)
    folder = importing.run(content, "--logits", "--labels", "0,1,2" if columns == 3 else "0,1")
    rows = RANDOM.normal(0, 1, (9, 16)).astype(np.float32)
    logits = np.concatenate([original(content, {"x": row.reshape(1, 1, 4, 4)})[0] for row in rows])
    if columns == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    powers = np.exp(logits)
    outputs = served(folder, rows)
    assert np.abs(outputs["probabilities"] - powers / powers.sum(axis=1, keepdims=True)).max() < 1e-6
    assert artifact.read_manifest(folder).classes == tuple(range(max(columns, 2)))


def test_uint8_inputs_are_pixels(importing: Importing) -> None:
    folder = importing.run(foreign.torch_logits(kind=onnx.TensorProto.UINT8), "--logits", "--labels", "0,1,2")
    manifest = artifact.read_manifest(folder)
    assert manifest.input_dtype == "uint8"
    assert max(each.max for each in manifest.features) > 200
    example = np.array(json.loads(artifact.read(folder).example)["inputs"])
    assert example.shape == (1, 4, 4)
    assert (example == np.rint(example)).all()


def test_what_is_published_says_that_it_is_not_proved(importing: Importing) -> None:
    content = foreign.scikit_learn(zipmap=True)
    folder = importing.run(content)
    manifest = artifact.read_manifest(folder)
    assert (manifest.version, manifest.scores, manifest.parity, manifest.seed) == (1, {}, {}, None)
    assert manifest.data["from"] == (
        "imported from an ONNX file; its answers were not compared with those of its framework"
    )
    assert manifest.data["sha256"] == artifact.sha256(content)
    assert manifest.libraries["skl2onnx"] == "1.20"
    card = (folder / "README.md").read_text()
    assert card.startswith("# mine, version 1\n")
    assert "**not compared with those of its framework**" in card
    page = (folder / "card.html").read_text()
    assert "<h1>mine, version 1</h1>" in page
    assert "<strong>not compared with those of its framework</strong>" in page
    assert importing.written == [
        f"published {folder}: 4 features → 3 classes; its answers are not verified, see its card"
    ]


def test_rows_of_an_example_describe_the_features(importing: Importing) -> None:
    rows = RANDOM.normal(10, 2, (50, 4)).round(2)
    path = importing.folder / "rows.csv"
    path.write_text("a,b,c,d\n" + "\n".join(",".join(map(str, row)) for row in rows))
    names = importing.folder / "names.txt"
    names.write_text("length\nwidth\n\nheight\nweight\n")
    folder = importing.run(foreign.scikit_learn(zipmap=True), "--example", str(path), "--features", str(names))
    features = artifact.read_manifest(folder).features
    assert [each.name for each in features] == ["length", "width", "height", "weight"]
    assert [each.mean for each in features] == pytest.approx(rows.mean(axis=0).tolist(), rel=1e-6)
    assert json.loads(artifact.read(folder).example)["inputs"][0] == pytest.approx(rows[0].tolist())


def test_the_next_import_must_not_break_clients(importing: Importing) -> None:
    importing.run(foreign.scikit_learn(zipmap=True))
    with pytest.raises(NotPromoted, match=r"- it lacks the labels 'setosa', 'versicolor', 'virginica'\n") as raised:
        importing.run(foreign.scikit_learn(zipmap=True), "--labels", "a,b,c")
    assert raised.value.summary == (
        "not published: mine would break clients of version 1; publish it under another --name, or with --breaking"
    )
    assert importing.run(foreign.scikit_learn(zipmap=True)).name == "2"
    assert importing.run(foreign.scikit_learn(zipmap=True), "--labels", "a,b,c", "--breaking").name == "3"


def test_what_the_server_would_refuse_is_not_published(importing: Importing) -> None:
    def refuse(_version_dir: Path) -> None:
        raise ModelRefused("no")

    with pytest.raises(ModelRefused):
        importing.run(foreign.scikit_learn(zipmap=True), prove=refuse)
    assert not importing.models.exists()


def broken(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_model_from_string(foreign.scikit_learn(zipmap=False))
    change(model)
    content: bytes = model.SerializeToString()
    return content


def external(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def loop(model: onnx.ModelProto) -> None:
    empty = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", [], ["never"], body=empty))


def with_strings(model: onnx.ModelProto) -> None:
    model.graph.input.append(foreign.tensor("job", onnx.TensorProto.STRING, None, 1))


def without_labels(model: onnx.ModelProto) -> None:
    del model.graph.output[0]


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"no protobuf", ["it is no ONNX file ("]),
        (broken(external), ["it keeps weights in other files; save it as one file"]),
        (broken(loop), ["it has control flow (Loop), which may never end; export the network without it"]),
        (broken(with_strings), ["its input 'job' takes strings; encode them before the network"]),
        (broken(lambda model: model.graph.output.pop()), ["its outputs are 'label', expected one with probabilities"]),
        (broken(lambda model: model.graph.input.pop()), ["it has no input; export the network with one"]),
        (
            broken(lambda model: model.graph.node.append(helper.make_node("RandomNormal", [], ["r"], shape=[1]))),
            ["it draws random numbers (RandomNormal); export it for inference, not for training"],
        ),
        (
            broken(lambda model: model.graph.node.append(helper.make_node("Mine", [], ["r"], domain="my.own"))),
            ["it uses operators of 'my.own', which ONNX Runtime does not have; export without them"],
        ),
        (broken(lambda model: setattr(model.opset_import[1], "version", 8)), ["its opset is 8, expected 9 or newer"]),
        (
            broken(lambda model: (external(model), loop(model), with_strings(model))),
            ["it keeps weights in other files", "it has control flow (Loop)", "its input 'job' takes strings"],
        ),
        (foreign.torch_logits(batch=32), ["its input 'x' takes 32 rows at once; export it with a variable number"]),
        (
            broken(lambda model: setattr(model.graph.node[3], "op_type", "Sqrt3")),
            ["ONNX Runtime "],
        ),
    ],
)  # fmt: skip
def test_a_graph_that_cannot_be_served(importing: Importing, content: bytes, faults: list[str]) -> None:
    found = importing.faults(content)
    assert len(found) == len(faults)
    for each, begins in zip(found, faults, strict=True):
        assert each.startswith(begins)


@pytest.mark.parametrize(
    ("content", "arguments", "fault"),
    [
        (foreign.keras(), (), "it answers with 3 numbers a row; name their classes with --labels a,b,…, or"),
        (foreign.keras(), ("--labels", "a,b"), "--labels has 2, expected 3, one for each class"),
        (foreign.keras(), ("--labels", "a,b,c", "--logits"), "its answers are probabilities already; leave out"),
        (foreign.torch_logits(), ("--labels", "a,b,c"), "its answers are no probabilities, which lie from 0 to 1"),
        (foreign.regressor(2), ("--targets", "a,b,c"), "--targets has 3 names, expected 2"),
        (foreign.regressor(), ("--targets", "a", "--logits"), "--targets are for numbers, and --labels and"),
        (foreign.regressor(), ("--features", "a,b"), "--features has 2 names, expected 4"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_the_graph(
    importing: Importing, content: bytes, arguments: tuple[str, ...], fault: str
) -> None:
    (found,) = importing.faults(content, *arguments)
    assert found.startswith(fault)


def test_a_label_that_is_not_the_most_probable_one_is_a_fault(importing: Importing) -> None:
    """As of an SVC with probabilities."""

    def least(model: onnx.ModelProto) -> None:
        (argmax,) = (node for node in model.graph.node if node.op_type == "ArgMax")
        argmax.op_type = "ArgMin"

    (found,) = importing.faults(broken(least))
    assert found.startswith("its label is not the most probable one in 64 of 64 rows")


def test_a_graph_whose_rows_depend_on_each_other_is_a_fault(importing: Importing) -> None:
    def centred(model: onnx.ModelProto) -> None:
        model.graph.node.insert(0, helper.make_node("ReduceMean", ["X"], ["mean"], axes=[0]))
        model.graph.node.insert(1, helper.make_node("Sub", ["X", "mean"], ["centred"]))
        model.graph.node[2].input[0] = "centred"
        model.opset_import[1].version = 13

    (found,) = importing.faults(broken(centred))
    assert found.startswith("a row is answered otherwise in a batch than alone, by ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--range", "1", "1"), "--range is 1 1, expected a smaller and a larger number"),
        (("--example", "missing.csv"), "--example missing.csv cannot be read ("),
    ],
)
def test_an_invalid_option(importing: Importing, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError) as raised:
        importing.run(foreign.regressor(), *arguments)
    assert str(raised.value).startswith(message)


def test_a_range_beside_an_example_is_an_error(importing: Importing) -> None:
    path = importing.folder / "rows.json"
    path.write_text("[[1, 2, 3, 4]]")
    with pytest.raises(DataError, match="--range is for random rows, and --example gives rows"):
        importing.run(foreign.regressor(), "--range", "0", "1", "--example", str(path))


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_cannot_be_read(importing: Importing, kind: str) -> None:
    path = importing.folder / "graph"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(DataError, match="; give an ONNX file"):
        command.run(options(str(path)), importing.models, load, importing.written.append)
