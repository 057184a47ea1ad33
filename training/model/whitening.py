"""ZCA whitening: scale up directions of low variance and scale down directions of high variance.

Neighbouring pixels are highly correlated. A network learns fast along the few directions in which images differ most,
and slowly along the many that separate similar classes (http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf, 4.3).
Full whitening would amplify directions of noise as well (https://arxiv.org/abs/2008.07545): hence the floor.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Whiten(nn.Module):
    """Multiply rows by a fixed symmetric ``matrix`` (width, width); folded into the next layer at export."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)

    def forward(self, rows: Tensor) -> Tensor:
        """Whitened rows (rows, width)."""
        return rows @ self.matrix


def fitted(rows: Tensor, floor: float) -> Whiten:
    """Whiten by (C + floor λ I)^-1/2, C the covariance of ``rows`` float32 (rows, width), λ its largest eigenvalue.

    Scaled so that the total variance of all features stays the same. Known as ZCA:
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
