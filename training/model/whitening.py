"""Whitening: what the rows vary little in is made larger, what they vary much in smaller, so that both are learned.

Neighbouring pixels tell almost the same: along the few directions in which images differ most a network learns fast,
and slowly along the many that tell a shirt from a coat (http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf, 4.3).
Made all alike, the directions of mere noise would be learned as well (https://arxiv.org/abs/2008.07545): hence the
floor.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Whiten(nn.Module):
    """Rows times a symmetric ``matrix`` (width, width) that is not trained; folded into the next layer at export."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)

    def forward(self, rows: Tensor) -> Tensor:
        """``rows`` (rows, width), whitened."""
        return rows @ self.matrix


def fitted(rows: Tensor, floor: float) -> Whiten:
    """From training rows float32 (rows, width): (C + floor λ I)^-1/2, with C their covariance and λ its largest value.

    Scaled so that the variances of all features together stay the same. Known as ZCA:
    https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf (Krizhevsky, appendix A)
    """
    covariance = torch.cov(rows.T, correction=0).reshape(rows.shape[1], -1)
    variances, directions = torch.linalg.eigh(covariance.cpu().double())
    variances.clamp_(min=0)
    if not variances[-1]:
        return Whiten(torch.eye(len(variances), device=rows.device))
    factors = (variances + floor * variances[-1]).rsqrt()
    factors *= (variances.sum() / (factors.square() * variances).sum()).sqrt()
    return Whiten(((directions * factors) @ directions.T).to(rows))
