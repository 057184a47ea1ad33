"""Real ONNX Runtime sessions: which graphs are accepted, and that a row's answer does not depend on its batch."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service import artifact
from service.errors import ModelRefused
from service.inference import session
from service.inference.session import Outputs
from service.manifest import REGRESSION
from tests.service.errors import error_message
from tests.service.published import Network
from tests.service.quantized import quantized
from tests.service.trapped import BAD, GOOD, publish_trapped, slow

ROOT = Path(__file__).parents[3]
BATCHES = [*range(1, 65), 65, 96, 127, 128, 129, 200, 255, 256]
FASHION = (784, 512, 512, 10)


def mlp(*widths: int) -> bytes:
    """A network of these widths with random weights, as an exporter writes it: a Gemm and a Relu a layer."""
    random = np.random.default_rng(1)
    nodes, tensors, before = [], [], "inputs"
    for index, (rows, columns) in enumerate(itertools.pairwise(widths)):
        weight = random.normal(0, 1 / np.sqrt(rows), (columns, rows)).astype(np.float32)
        tensors += [numpy_helper.from_array(weight, f"w{index}")]
        tensors += [numpy_helper.from_array(random.normal(0, 1, columns).astype(np.float32), f"b{index}")]
        nodes += [helper.make_node("Gemm", [before, f"w{index}", f"b{index}"], [f"h{index}"], transB=1)]
        before = f"h{index}"
        if index < len(widths) - 2:
            nodes += [helper.make_node("Relu", [before], [f"r{index}"])]
            before = f"r{index}"
    nodes += [helper.make_node("Softmax", [before], ["probabilities"], axis=-1)]
    nodes += [helper.make_node("ArgMax", [before], ["prediction"], axis=-1, keepdims=0)]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["rows", widths[0]])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", widths[-1]]),
            helper.make_tensor_value_info("prediction", TensorProto.INT64, ["rows"]),
        ],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def rows_of(features: int, count: int = 256) -> NDArray[np.float32]:
    return np.random.default_rng(2).normal(0, 1, (count, features)).astype(np.float32)


def graphs() -> dict[str, tuple[bytes, int, int]]:
    """Classifiers by name, with their features and classes: from the tests, and all published in this repository."""
    small, large = Network.random(4, 3, seed=0).graph(), mlp(*FASHION)
    found = {
        "small": (small, 4, 3),
        "small, int8": (quantized(small, rows_of(4)), 4, 3),
        "large": (large, 784, 10),
        "large, int8": (quantized(large, rows_of(784)), 784, 10),
    }
    for version_dir in sorted((ROOT / "models").glob("*/[0-9]*")):
        read = artifact.read(version_dir)
        if read.manifest.task == REGRESSION:
            continue
        sizes = len(read.manifest.features), len(read.manifest.classes)
        name = f"{read.manifest.name} {read.manifest.version}"
        found[name] = (read.model, *sizes)
        if read.model_int8 is not None:
            found[f"{name}, int8"] = (read.model_int8, *sizes)
    return found


GRAPHS = graphs()


def same(found: Outputs, expected: Outputs) -> bool:
    assert found.probabilities is not None
    assert expected.probabilities is not None
    return found.probabilities.tobytes() == expected.probabilities.tobytes() and np.array_equal(
        found.prediction, expected.prediction
    )


@pytest.mark.parametrize("name", GRAPHS)
def test_a_row_has_the_same_bits_alone_and_in_every_batch(name: str) -> None:
    graph, features, classes = GRAPHS[name]
    live = session.build(graph, "cpu", features=features, classes=classes)
    rows = rows_of(features)
    alone = Outputs.joined([live.run(rows[index : index + 1]) for index in range(len(rows))])
    for size in BATCHES:
        for first in {0, len(rows) - size, (len(rows) - size) // 2}:
            assert same(live.run(rows[first : first + size]), alone.rows(first, first + size)), (size, first)
    shuffled = np.random.default_rng(3).permutation(len(rows))
    mixed = live.run(rows[shuffled])
    assert alone.probabilities is not None
    assert same(mixed, Outputs(alone.probabilities[shuffled], alone.prediction[shuffled]))


def test_a_session_has_the_answers_of_the_network_and_starts_no_threads() -> None:
    network = Network.random(4, 3, seed=0)
    before = threading.active_count(), len(list(Path("/proc/self/task").iterdir()))
    live = session.build(network.graph(), "cpu", features=4, classes=3)
    outputs = live.run(rows_of(4))
    assert (threading.active_count(), len(list(Path("/proc/self/task").iterdir()))) == before
    assert live.provider == "cpu"
    assert outputs.probabilities is not None
    expected = network.answer(rows_of(4))
    assert np.abs(outputs.probabilities - expected).max() < 1e-6
    assert outputs.prediction.tolist() == expected.argmax(axis=1).tolist()


def test_bytes_that_are_not_a_graph_are_refused() -> None:
    with pytest.raises(ModelRefused, match=r"^the graph does not load: "):
        session.build(b"no graph", "cpu", features=4, classes=3)


def test_an_operator_that_does_not_exist_is_refused() -> None:
    model = onnx.load_from_string(Network.random(4, 3, seed=0).graph())
    model.graph.node[1].op_type = "Rely"
    with pytest.raises(ModelRefused, match=r"^the graph does not load: .*Rely"):
        session.build(model.SerializeToString(), "cpu", features=4, classes=3)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"features": 5, "classes": 3},
            "the graph takes [('inputs', 'tensor(float)', [4])], expected one float32 input 'inputs' (rows, 5); "
            "publish the model again",
        ),
        (
            {"features": 4, "classes": 2},
            "the graph gives {'probabilities': ('tensor(float)', [3]), 'prediction': ('tensor(int64)', [])}, "
            "expected {'probabilities': ('tensor(float)', [2]), 'prediction': ('tensor(int64)', [])}; "
            "publish the model again",
        ),
        (
            {"features": 4, "classes": 0, "targets": 2},
            "the graph gives {'probabilities': ('tensor(float)', [3]), 'prediction': ('tensor(int64)', [])}, "
            "expected {'prediction': ('tensor(float)', [2])}; publish the model again",
        ),
    ],
)
def test_a_graph_that_does_not_match_the_manifest_is_refused(sizes: dict[str, int], message: str) -> None:
    graph = Network.random(4, 3, seed=0).graph()
    assert error_message(ModelRefused, session.build, graph, "cpu", **sizes) == message


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512bw\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni avx512_bitalg\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx_vnni\nbugs\t\t: spectre_v1\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx2\nbugs\t\t: avx_vnni\n", True),
        ("", True),
        (None, True),
    ],
)
def test_int8_saturates_only_without_vnni(tmp_path: Path, cpuinfo: str | None, expected: bool) -> None:
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    assert session.saturates(path) is expected


def test_int8_answers_have_exact_products() -> None:
    graph = quantized(mlp(*FASHION), rows_of(784))
    rows = 3 * rows_of(784)  # beyond the scales: every value is at the end of its range
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    exact = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    answered = session.build(graph, "cpu", features=784, classes=10).run(rows)
    np.testing.assert_array_equal(answered.probabilities, exact.run(["probabilities"], {"inputs": rows})[0])


def test_a_run_can_be_ended_from_another_thread_and_the_next_one_runs(tmp_path: Path) -> None:
    network = publish_trapped(tmp_path)
    graph = (tmp_path / "small" / "1" / artifact.MODEL).read_bytes()
    run = session.StoppableRun(session.build(graph, "cpu", features=4, classes=3))
    inputs = np.array([GOOD], np.float32)
    assert run(inputs).probabilities == pytest.approx(network.answer(inputs), abs=1e-5)
    ended = threading.Event()

    def run_for_ever() -> None:
        with pytest.raises(Exception, match="terminate flag"):
            run(np.array([slow(1e15)], np.float32))
        ended.set()

    threading.Thread(target=run_for_ever, daemon=True).start()
    assert not ended.wait(0.05)
    run.stop()
    assert ended.wait(60)
    assert run(inputs).probabilities == pytest.approx(network.answer(inputs), abs=1e-5)


def test_runs_that_take_longer_than_their_limit_are_ended(tmp_path: Path) -> None:
    network = publish_trapped(tmp_path)
    graph = (tmp_path / "small" / "1" / artifact.MODEL).read_bytes()
    built = session.build(graph, "cpu", features=4, classes=3)
    inputs = np.array([GOOD], np.float32)
    with session.LimitedSession(built, 60) as limited:
        assert limited.run(inputs).probabilities == pytest.approx(network.answer(inputs), abs=1e-5)
        with pytest.raises(Exception, match="Gather"):  # an error of its own stays what it is
            limited.run(np.array([BAD], np.float32))
    with session.LimitedSession(built, 0.05) as limited:
        for row in (slow(1e15), GOOD):  # the first has no end, and leaves no time for the second
            with pytest.raises(TimeoutError, match=r"^its checks took 0\.05 s and had not ended$"):
                limited.run(np.array([row], np.float32))
