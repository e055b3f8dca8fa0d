"""What a training fits: labels or a teacher's probabilities, with or without class weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from acceptor.config import ResolvedConfig

LabelIds = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]


class Targets:
    """The targets of N examples on a device.

    Args:
        values: Label ids, int64, shape (N,); or probabilities, float32, shape (N, labels).
        labels: The number of labels.
        config: The settings.
        device: Where to keep them.
    """

    def __init__(self, values: LabelIds | Probabilities, labels: int, config: ResolvedConfig, device: str) -> None:
        self.values = torch.from_numpy(values).to(device)
        self.class_weights = None
        if config.class_weights == "balanced":
            self.class_weights = torch.from_numpy(balanced_weights(values, labels)).to(device)

    def losses(self, logits: Tensor, rows: Any) -> Tensor:
        """The cross-entropy of each row in nats, each class's share of it times its weight: fp32, shape (B,).

        Args:
            logits: Shape (B, labels).
            rows: The numbers of the B examples.
        """
        return cross_entropy(logits.float(), self.values[rows], weight=self.class_weights, reduction="none")


def balanced_weights(values: LabelIds | Probabilities, labels: int) -> npt.NDArray[np.float32]:
    """N / (K · count) for each of the K labels that occur: all have the same total weight, and the mean weight is 1.

    float32, shape (labels,); 0 for labels that do not occur. It is scikit-learn's
    ``class_weight="balanced"`` (King & Zeng 2001). Of probabilities, a label's count is the sum over the rows.
    """
    hard = values.ndim == 1
    counts = np.bincount(values, minlength=labels) if hard else values.sum(axis=0, dtype=np.float64)
    total = len(values) / int((counts > 0).sum())
    return np.array([total / count if count else 0.0 for count in counts], dtype=np.float32)
