"""The exported graph has torch's outputs, for one row and for a thousand, and is a single file."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from tests.training import small
from tests.training.model.test_folded import MIXED, NUMBERS, random_network, rows_of
from training.data.dataset import Column
from training.model.network import Network
from training.recipe import train
from training.release import onnx_export, onnx_runtime, quantize

ROWS = 1000
YEARS = (*NUMBERS, Column("year"))
PIXELS = tuple(Column(f"pixel{index}") for index in range(144))
CODES = (Column("town", "categorical", missing=True, categories=tuple("abcdefgh")),)


@dataclass(frozen=True)
class Exported:
    """A network, its graph, and raw rows for both."""

    network: Network
    graph: bytes
    inputs: NDArray[Any]
    classifies: bool

    def run(self, rows: slice | list[int]) -> list[NDArray[Any]]:
        return onnx_runtime.run(self.graph, self.inputs[rows])


PLACES = (*MIXED, Column("town", "categorical", missing=True, categories=tuple("abcdefghijklmn"), other=True), *CODES)

CASES: dict[str, tuple[Sequence[Column], dict[str, Any]]] = {
    "relu, large": (NUMBERS, {"activation": "relu", "hidden": (512, 512), "outputs": 10}),
    "tanh, two classes": (NUMBERS, {"activation": "tanh", "outputs": 2, "hidden": (1,)}),
    "gelu, mixed": (MIXED, {"activation": "gelu", "hidden": (7, 5, 3), "batch_norm": True}),
    "silu, categories alone": (CODES, {"activation": "silu", "outputs": 1000}),
    "logistic, a year": (YEARS, {"activation": "logistic", "batch_norm": True}),
    "relu, bins and embeddings": (PLACES, {"bins": 8}),
    "bins of a year": (YEARS, {"bins": 5, "activation": "silu"}),
    "ensemble": (NUMBERS, {"members": 8, "hidden": (64, 64), "outputs": 2}),
    "ensemble, bins and embeddings": (PLACES, {"members": 3, "activation": "gelu", "outputs": 26, "bins": 4}),
    "ensemble, regression": (MIXED, {"members": 5, "hidden": (7,), "outputs": 1, "classifies": False, "bins": 4}),
    "identity, regression of three": (MIXED, {"activation": "identity", "batch_norm": True}),
}


@cache
def exported_as(name: str) -> Exported:
    columns, options = CASES[name]
    inputs = rows_of(columns, ROWS)
    if columns is YEARS:
        inputs[:, -1] = 2000 + np.arange(ROWS) % 25
    network = random_network(columns, inputs, **options)
    classifies = "regression" not in name
    return Exported(network, onnx_export.export(network, len(columns), classifies=classifies), inputs, classifies)


@pytest.fixture(params=CASES)
def exported(request: pytest.FixtureRequest) -> Exported:
    return exported_as(request.param)


def test_its_outputs_are_those_of_torch(exported: Exported) -> None:
    activation = "softmax" if exported.classifies else "identity"
    expected = onnx_export.outputs_of(train.outputs_of(exported.network, exported.inputs), activation)
    found = exported.run(slice(None))
    assert [(each.dtype, each.shape) for each in found] == [(each.dtype, each.shape) for each in expected]
    assert np.abs(found[0] - expected[0]).max() < 1e-5
    if exported.classifies:
        assert np.array_equal(found[1], expected[1])


def test_torchs_outputs_are_softmax_and_argmax() -> None:
    outputs = small.noise(50, 3)
    probabilities, prediction = onnx_export.outputs_of(outputs, "softmax")
    assert np.abs(probabilities - softmax(outputs.astype(np.float64), axis=1)).max() < 1e-6
    assert (probabilities.dtype, prediction.dtype) == (np.float32, np.int64)
    assert np.array_equal(prediction, outputs.argmax(axis=1))


@pytest.mark.parametrize("rows", [2, 3, 4, 5, 7, 8, 16, 31, 32, 64, 1000])
def test_a_row_has_the_same_bits_alone_and_in_a_batch(exported: Exported, rows: int) -> None:
    together = exported.run(slice(rows))
    for row in range(0, rows, max(rows // 8, 1)):
        for alone, batched in zip(exported.run([row]), together, strict=True):
            assert np.array_equal(alone[0], batched[row])


def test_it_is_one_file_with_opset_20(exported: Exported) -> None:
    model = onnx.load_model_from_string(exported.graph)
    onnx.checker.check_model(model, full_check=True)
    assert {each.domain: each.version for each in model.opset_import} == {"": 20}
    tensors = [*model.graph.initializer]
    assert not any(tensor.external_data or tensor.data_location for tensor in tensors)
    assert not model.functions


def test_inputs_and_outputs_follow_the_contract(exported: Exported) -> None:
    graph = onnx.load_model_from_string(exported.graph).graph
    features, outputs = exported.inputs.shape[1], len(exported.network.output_scale)
    numbers, indices = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    expected = [("inputs", numbers, ["rows", features])]
    if exported.classifies:
        expected += [("probabilities", numbers, ["rows", outputs]), ("prediction", indices, ["rows"])]
    else:
        expected += [("prediction", numbers, ["rows", outputs])]
    found = [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim],
        )
        for value in [*graph.input, *graph.output]
    ]
    assert found == expected


def test_only_a_feature_far_from_zero_adds_a_node() -> None:
    def nodes(name: str) -> list[str]:
        return [node.op_type for node in onnx.load_model_from_string(exported_as(name).graph).graph.node]

    assert nodes("relu, large") == ["Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax", "ArgMax"]
    assert nodes("logistic, a year") == ["Sub", "Gemm", "Sigmoid", "Gemm", "Sigmoid", "Gemm", "Softmax", "ArgMax"]


def test_an_unseen_category_is_other_and_a_missing_value_is_flagged() -> None:
    """Against rows preprocessed by hand."""
    exported = exported_as("gelu, mixed")
    network, numbers = exported.network, exported.inputs[:, [0, 1, 3]].astype(np.float64)
    age, member, height = np.nanmean(numbers, axis=0)
    deviations = np.nanstd(numbers, axis=0)
    nan = np.nan
    for raw, filled, rest in [
        ([30, 1, 0, 1.8], [30, 1, 1.8], [0, 0, 1, 0, 0]),
        ([nan, 0, 2, 1.8], [age, 0, 1.8], [1, 0, 0, 0, 1]),
        ([30, nan, 1, 1.8], [30, member, 1.8], [0, 1, 0, 1, 0]),
    ]:
        prepared = np.concatenate([(filled - np.array([age, member, height])) / deviations, rest])
        with torch.no_grad():
            values = network.body[1:](torch.tensor(prepared[None], dtype=torch.float32))
            logits = values * network.output_scale + network.output_offset
        probabilities, _ = onnx_runtime.run(exported.graph, np.array([raw], np.float32))
        assert np.abs(probabilities - torch.softmax(logits, dim=1).numpy()).max() < 1e-6


def test_it_has_no_local_paths(exported: Exported) -> None:
    root = str(Path(__file__).parents[3]).encode()
    environment = str(Path(torch.__file__).parents[2]).encode()
    products = list(quantize.products_of(exported.graph, images=True))
    for graph in (
        exported.graph,
        onnx_runtime.quantize(exported.graph, exported.inputs, products, clip_outliers=False),
    ):
        assert root not in graph
        assert environment not in graph
        assert b".py" not in graph


def test_exporting_again_gives_the_same_bytes_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    exported = exported_as("gelu, mixed")
    before = copy.deepcopy(exported.network.state_dict())
    assert onnx_export.export(exported.network, len(MIXED), classifies=True) == exported.graph
    assert all(torch.equal(value, before[name]) for name, value in exported.network.state_dict().items())
    assert capfd.readouterr() == ("", "")
