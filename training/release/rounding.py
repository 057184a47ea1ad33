"""Round the weights of an int8 graph so that each makes up for the errors of those before it (GPTQ).

Rounded on their own, the errors of weights add up where their inputs go together, as those of neighbouring pixels do.
https://arxiv.org/abs/2210.17323 (Frantar et al., GPTQ)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from training.release import onnx_runtime

# 7 bits. x86 without VNNI adds pairs of products, 0 to 255 times a weight, in 16 bits: 2 · 255 · 64 is the most it can.
LIMIT: Final = 64
# Errors are made up for within so many adjacent inputs, so that large images need little memory.
_GROUP: Final = 256
# Of the mean square of the inputs. It keeps the products of inputs invertible.
_DAMPING: Final = 0.01


def round_weights(graph: bytes, int8_graph: bytes, nodes: Sequence[str], rows: NDArray[Any]) -> bytes:
    """Return ``int8_graph`` with the weights of the matrix products ``nodes`` rounded again, to ±`LIMIT` steps.

    ``graph`` is the fp32 graph that it was made from; the inputs of the products are those for raw ``rows`` (rows,
    features). The scales are kept.
    """
    model = onnx.load_model_from_string(graph)
    products = [each for each in model.graph.node if each.name in nodes]
    weights = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    inputs = _values(model, [each.input[0] for each in products], rows)

    int8_model = onnx.load_model_from_string(int8_graph)
    int8_products = {each.name: each for each in int8_model.graph.node}
    producers = {output: each for each in int8_model.graph.node for output in each.output}
    tensors = {each.name: each for each in int8_model.graph.initializer}
    for product in products:
        dequantize = producers[int8_products[product.name].input[1]]
        quantized, scale = (tensors[name] for name in dequantize.input[:2])
        exact = weights[product.input[1]].astype(np.float64)
        by_unit = next(each.i for each in dequantize.attribute if each.name == "axis") == 0
        steps = (exact.T if by_unit else exact) / numpy_helper.to_array(scale)  # (inputs, units)
        found = rounded(steps, inputs[product.input[0]])
        quantized.CopyFrom(numpy_helper.from_array(found.T.copy() if by_unit else found, quantized.name))
    content: bytes = int8_model.SerializeToString()
    return content


def rounded(steps: NDArray[np.float64], inputs: NDArray[Any]) -> NDArray[np.int8]:
    """Weights in ``steps`` of their scales (inputs, units), rounded so that products with ``inputs`` change little.

    ``inputs`` are (rows, inputs). Inputs that are independent of each other give the nearest integers.
    """
    found = np.empty(steps.shape, np.int8)
    for first in range(0, len(steps), _GROUP):
        group = slice(first, first + _GROUP)
        found[group] = _rounded_group(steps[group], inputs[:, group].astype(np.float64))
    return found


def _rounded_group(steps: NDArray[np.float64], inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    products = inputs.T @ inputs
    damping = _DAMPING * products.trace() / len(products) or 1.0
    shares = np.linalg.cholesky(np.linalg.inv(products + damping * np.eye(len(products)))).T
    steps = steps.copy()
    for index, share in enumerate(shares):
        exact = steps[index].copy()
        steps[index] = np.clip(np.rint(exact), -LIMIT, LIMIT)
        error = exact - steps[index]
        steps[index + 1 :] -= np.outer(share[index + 1 :] / share[index], error)
    return steps


def _values(model: onnx.ModelProto, names: Sequence[str], rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The values called ``names`` in the graph, for raw ``rows``."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    unique = [*dict.fromkeys(names)]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in unique)
    return dict(zip(unique, onnx_runtime.run(probe.SerializeToString(), rows), strict=True))
