"""Verdicts: as objects, and as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.judging.decision import Decision


@dataclass(frozen=True, repr=False)
class Verdict:
    """The result for one sentence (or pair).

    Attributes:
        label: The name of the label: the most probable one, or the one that the threshold gives.
        probability: Its probability, in [0, 1].
        probabilities: All labels' probabilities, in label-id order; they sum to 1.
        logits: The raw scores, in label-id order.
        unknown: A part of the text is not in the judge's vocabulary.
        truncated: The text is longer than the judge's longest input; the verdict is on its beginning.
    """

    label: str
    probability: float
    probabilities: tuple[float, ...]
    logits: tuple[float, ...]
    unknown: bool = False
    truncated: bool = False

    def __repr__(self) -> str:
        return f"Verdict({self.label!r}, {self.probability:.2f})"

    def to_dict(self) -> dict[str, object]:
        """All fields, for JSON."""
        return {
            "label": self.label,
            "probability": self.probability,
            "probabilities": list(self.probabilities),
            "logits": list(self.logits),
            "unknown": self.unknown,
            "truncated": self.truncated,
        }


def verdict_columns(logits: npt.NDArray[np.float32], labels: tuple[str, ...], decision: Decision) -> pl.DataFrame:
    """Logits of shape (N, labels) as columns: verdict, its probability, each label's probability and logit."""
    probabilities, verdicts = decision.probabilities(logits), decision.label_ids(logits)
    columns: dict[str, pl.Series | npt.NDArray[Any]] = {
        "verdict": pl.Series([labels[index] for index in verdicts], dtype=pl.String),  # also without rows
        "probability": probabilities[np.arange(len(logits)), verdicts],
    }
    for index, label in enumerate(labels):
        columns[f"p({label})"] = probabilities[:, index]
    for index, label in enumerate(labels):
        columns[f"logit({label})"] = logits[:, index]
    return pl.DataFrame(columns)


def judged_columns(logits: npt.NDArray[np.float32], labels: tuple[str, ...], decision: Decision) -> pl.DataFrame:
    """`verdict_columns` with the margin as the third: the columns of every output."""
    columns = verdict_columns(logits, labels, decision)
    return columns.insert_column(2, pl.Series("margin", decision.margins(logits)))
