"""torch → one ONNX graph that takes raw rows, with softmax and argmax in it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final

import onnx
import torch
from torch import Tensor, nn

from training.errors import ParityError
from training.model.network import Network, fold
from training.model.preprocess import Preprocess
from training.release.quiet import quiet

OPSET: Final = 20
CLASSIFIES: Final = ("probabilities", "prediction")
REGRESSES: Final = ("prediction",)


# What clients ask of the outputs, by the name that scikit-learn has for what is applied to them.
ANSWERS: Final[dict[str, Callable[[Tensor], tuple[Tensor, ...]]]] = {
    "softmax": lambda outputs: (torch.softmax(outputs, dim=1), outputs.argmax(dim=1)),
    "logistic": lambda outputs: (torch.sigmoid(outputs), (outputs > 0).long()),
    "identity": lambda outputs: (outputs,),
    "exp": lambda outputs: (outputs.exp(),),
}


class _Graph(nn.Module):
    """Encode, the folded layers, and what clients ask of the outputs."""

    def __init__(self, preprocess: Preprocess, layers: nn.Sequential, activation: str) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.layers = layers
        self.activation = activation

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return ANSWERS[self.activation](self.layers(self.preprocess.encode(inputs)))


def export(network: Network, features: int, *, classifies: bool, activation: str | None = None) -> bytes:
    """The network as a self-contained ONNX file of opset `OPSET`.

    ``inputs`` float32 (rows, features) → ``probabilities`` float32 (rows, classes) and ``prediction`` int64 (rows,), or
    for regression ``prediction`` float32 (rows, targets); inputs are float64 where the network prepares rows from it,
    predictions where it restores them in it. The ``activation`` of the outputs is the softmax or the
    identity if not said otherwise; after "logistic" both answers are (rows, labels), after "exp" numbers are positive.
    Raises `ParityError` where the exporter wrote another opset.
    """
    activation = activation or ("softmax" if classifies else "identity")
    network = copy.deepcopy(network).cpu()
    graph = _Graph(network.preprocess, fold(network), activation).eval()
    # Two rows: of one, the exporter would conclude that there is always one.
    with quiet():
        program = torch.onnx.export(
            graph,
            (torch.zeros(2, features, dtype=network.preprocess.input_dtype),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["inputs"],
            output_names=list(CLASSIFIES if classifies else REGRESSES),
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            external_data=False,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - it is of the exporter asked for
    model = program.model_proto
    written = {each.domain: each.version for each in model.opset_import}
    if written.get("") != OPSET:
        raise ParityError(f"torch {torch.__version__} exported opset {written}, expected {OPSET}; nothing is published")
    _forget_where_it_was_made(model.graph)
    content: bytes = model.SerializeToString()
    return content


def _forget_where_it_was_made(graph: onnx.GraphProto) -> None:
    """Take out the exporter's notes: the traces in them name the folders of the machine that trained."""
    for each in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.doc_string = ""
