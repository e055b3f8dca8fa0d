"""`Decision`: turns logits into probabilities and verdicts, by a temperature and a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Decision:
    """The two numbers of a judge that are fitted on validation. By default the most probable label is the verdict.

    Attributes:
        temperature: Logits are divided by it, > 0, before the softmax (Guo et al. 2017, section 4.2).
        threshold: For two labels: the probability in (0, 1) from which on label id 1 is the verdict; None for the most
            probable label.
    """

    temperature: float = 1.0
    threshold: float | None = None

    def probabilities(self, logits: Logits) -> npt.NDArray[np.float64]:
        """float64, the shape of the logits; they sum to 1 along the last axis."""
        return softmax(logits, self.temperature)

    def label_ids(self, logits: Logits) -> npt.NDArray[np.int64]:
        """The verdicts: int64, shape (N,), from logits of shape (N, labels)."""
        if self.threshold is None:
            return np.asarray(logits.argmax(axis=1))
        return (self._above(logits) >= 0).astype(np.int64)

    def margins(self, logits: Logits) -> npt.NDArray[np.float32]:
        """The distance of each verdict from the next label, in logits: float32 ≥ 0, shape (N,)."""
        if self.threshold is None:
            best = np.sort(logits, axis=1)
            return np.asarray(best[:, -1] - best[:, -2])
        return np.abs(self._above(logits))

    def _above(self, logits: Logits) -> npt.NDArray[np.float32]:
        """By how much label id 1 is above the threshold, in logits, because probabilities near 0 and 1 are rounded."""
        assert self.threshold is not None  # noqa: S101 - both callers have looked
        return logits[:, 1] - logits[:, 0] - np.float32(self.temperature * self.shift)

    @property
    def shift(self) -> float:
        """The log-odds of the threshold. With so much less, label id 1 is the most probable where it is the verdict."""
        return 0.0 if self.threshold is None else math.log(self.threshold / (1 - self.threshold))

    def baked(self, logits: Logits) -> Logits:
        """The logits of a judge with this decision in its head's weights: their argmax is the verdict."""
        baked = logits.astype(np.float64) / self.temperature
        baked[:, 1] -= self.shift
        return baked.astype(np.float32)

    def to_dict(self) -> dict[str, object]:
        """Both numbers."""
        return {"temperature": self.temperature, "threshold": self.threshold}


MOST_PROBABLE = Decision()
"""The decision of a judge for which nothing was fitted."""


def softmax(logits: npt.NDArray[Any], temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """Probabilities along the last axis, shape kept. Subtracting the row's maximum keeps exp from overflowing."""
    shifted = (logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)) / temperature
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
