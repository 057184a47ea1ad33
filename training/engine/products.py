"""Matrix products in float32, by the faster of torch's two libraries."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

# Below this many multiplications oneDNN's preparation takes longer than it saves.
_FEWEST: Final = 2**20
_CPU_INFO: Final = Path("/proc/cpuinfo")


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``rows`` (rows, inputs) times the transpose of ``weight`` (outputs, inputs), plus ``bias`` (outputs,).

    Torch multiplies float32 by MKL, which is slow on processors other than Intel's: on an AMD EPYC with AVX-512 oneDNN
    takes less than half the time. Which of the two multiplies depends on the processor and the shapes alone, never on a
    measurement, so that a run gives the same numbers each time.
    """
    if _by_onednn(rows, weight):
        product: Tensor = _ONEDNN(rows, _without_gaps(weight), bias, "none", [], "")
        return product
    return torch.mm(rows, weight.t()) if bias is None else torch.addmm(bias, rows, weight.t())


def outputs(body: nn.Sequential, rows: Tensor) -> Tensor:
    """What ``body`` returns for ``rows`` (rows, inputs), without gradients."""
    for layer in body:
        rows = linear(rows, layer.weight, layer.bias) if type(layer) is nn.Linear else layer(rows)
    return rows


def linear_into(out: Tensor, rows: Tensor, weight: Tensor) -> None:
    """Write what `linear` returns without a bias to ``out`` (rows, outputs)."""
    if _by_onednn(rows, weight):
        out.copy_(linear(rows, weight))
    else:
        torch.mm(rows, weight.t(), out=out)


def _by_onednn(rows: Tensor, weight: Tensor) -> bool:
    fits = _ONEDNN is not None and rows.dtype == torch.float32 and rows.device.type == "cpu"
    return fits and rows.shape[0] * rows.shape[1] * weight.shape[0] >= _FEWEST


def _without_gaps(weight: Tensor) -> Tensor:
    """``weight``, or a copy if it is some columns of a wider matrix: oneDNN takes 300 times as long for these."""
    return weight if weight.is_contiguous() or weight.t().is_contiguous() else weight.contiguous()


def _onednn() -> Any:
    """OneDNN's product if this is an x86 processor that is not Intel's and torch has one, else None."""
    if platform.machine() not in {"x86_64", "AMD64"} or not _has_onednn():
        return None
    try:
        intel = "GenuineIntel" in _CPU_INFO.read_text(encoding="utf-8")
    except OSError:  # not Linux
        return None
    found: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    return None if intel else found


def _has_onednn() -> bool:
    found: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return found


_ONEDNN: Final = _onednn()
