"""Export a network as one ONNX graph, from raw rows to probabilities and prediction."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.errors import ParityError
from training.model.ensemble import MeanSideBySide
from training.model.folded import fold
from training.model.network import Network
from training.model.preprocess import Preprocess
from training.release.quiet import quiet

OPSET: Final = 20
CLASSIFIER_OUTPUTS: Final = ("probabilities", "prediction")
REGRESSOR_OUTPUTS: Final = ("prediction",)

# From the network's outputs to the graph's, by scikit-learn's names of output activations.
OUTPUT_ACTIVATIONS: Final[dict[str, Callable[[Tensor], tuple[Tensor, ...]]]] = {
    "softmax": lambda outputs: (torch.softmax(outputs, dim=1), outputs.argmax(dim=1)),
    "logistic": lambda outputs: (torch.sigmoid(outputs), (outputs > 0).long()),
    "identity": lambda outputs: (outputs,),
    "exp": lambda outputs: (outputs.exp(),),
}


class _Graph(nn.Module):
    """Encoding, the folded layers, the output activation."""

    def __init__(self, preprocess: Preprocess, layers: nn.Sequential, activation: str) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.layers = layers
        self.activation = activation

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = self.layers(self.preprocess.encode(inputs))
        if isinstance(self.layers[-1], MeanSideBySide):
            return outputs, outputs.argmax(dim=1)
        return OUTPUT_ACTIVATIONS[self.activation](outputs)


def export(network: Network, features: int, *, classifies: bool, activation: str | None = None) -> bytes:
    """Return the network as a self-contained ONNX file of opset `OPSET`.

    ``inputs`` float32 (rows, features) → ``probabilities`` float32 (rows, classes) and ``prediction`` int64 (rows,), or
    for regression ``prediction`` float32 (rows, targets). Inputs are float64 if the network preprocesses them in
    float64, and predictions likewise. ``activation`` is a key of `OUTPUT_ACTIVATIONS`, by default "softmax" for
    classes and "identity" for numbers; with "logistic" both outputs are (rows, labels).
    Raises `ParityError` if the exporter wrote another opset.
    """
    activation = activation or ("softmax" if classifies else "identity")
    network = copy.deepcopy(network).cpu()
    graph = _Graph(network.preprocess, fold(network), activation).eval()
    # Two rows: with one, the exporter would fix the number of rows.
    with quiet():
        program = torch.onnx.export(
            graph,
            (torch.zeros(2, features, dtype=network.preprocess.input_dtype),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["inputs"],
            output_names=list(CLASSIFIER_OUTPUTS if classifies else REGRESSOR_OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            external_data=False,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - dynamo=True returns one
    model = program.model_proto
    written = {each.domain: each.version for each in model.opset_import}
    if written.get("") != OPSET:
        raise ParityError(f"torch {torch.__version__} exported opset {written}, expected {OPSET}; nothing is published")
    _remove_traces(model.graph)
    content: bytes = model.SerializeToString()
    return content


def outputs_of(outputs: NDArray[Any], activation: str) -> list[NDArray[Any]]:
    """The graph's outputs, computed by torch, from the network's ``outputs`` (rows, outputs)."""
    return [each.numpy() for each in OUTPUT_ACTIVATIONS[activation](torch.from_numpy(outputs))]


def _remove_traces(graph: onnx.GraphProto) -> None:
    """Remove the exporter's metadata: its stack traces name folders of this machine."""
    for each in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.doc_string = ""
