"""The distinct examples of a comparison: weights of the samples drawn of them, and the scores of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from acceptor.evaluation.intervals import parts
from acceptor.evaluation.judged import Judged
from acceptor.evaluation.metrics import METRICS, Values

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Patterns:
    """Examples with the same gold and the same verdicts of both systems are one pattern, with a weight.

    Attributes:
        gold: Label ids, shape (P,).
        cells: Of each run of both systems: the cell of the confusion matrix each pattern falls into, as indicators of
            shape (P, labels²).
        counts: How many examples each represents, shape (P,).
        by_source: The same for each source, shape (S, P); None without sources.
        labels: Number of labels.
    """

    gold: Ids
    cells: tuple[list[csr_array], list[csr_array]]
    counts: Ids
    by_source: csr_array | None
    labels: int

    def parts(self, draws: int) -> Iterator[int]:
        """The draws in parts, each small enough to hold their weights and their confusion matrices in memory."""
        return parts(draws, max(len(self.counts), self.labels**2))

    def scores(self, metric: str, weights: Iterable[Values]) -> tuple[Values, Values]:
        """The scores of both systems' runs, shape (seeds, B) each, from parts of the weights of shape (·, P)."""
        shape = (-1, self.labels, self.labels)
        found: tuple[list[Values], list[Values]] = ([], [])
        for part in weights:
            for runs, scores in zip(self.cells, found, strict=True):
                scores.append(np.stack([METRICS[metric]((part @ cells).reshape(shape)) for cells in runs]))
        return np.concatenate(found[0], axis=1), np.concatenate(found[1], axis=1)

    def stratified(self, draws: int, rng: np.random.Generator) -> Iterator[Values]:
        """Weights of samples that have as many examples of each label as the split, in parts of shape (·, P)."""
        of_labels = [np.flatnonzero(self.gold == label) for label in np.unique(self.gold)]
        for rows in self.parts(draws):
            weights = np.empty((rows, len(self.counts)))
            for of_label in of_labels:
                counts = self.counts[of_label]
                weights[:, of_label] = rng.multinomial(counts.sum(), counts / counts.sum(), size=rows)
            yield weights

    def without_sources(self, by_source: csr_array) -> Iterator[Values]:
        """Weights of all examples but those of one source, for each source, in parts of shape (·, P)."""
        start = 0
        for rows in self.parts(by_source.shape[0]):
            yield self.counts - by_source[start : start + rows].toarray()
            start += rows


def patterns_of(base: Judged, other: Judged, sources: Ids | None) -> Patterns:
    """The patterns of two systems that judged the same examples; ``sources`` are numbers from 0, shape (N,)."""
    rows = np.vstack([base.gold, base.predicted, other.predicted])
    (gold, *runs), inverse, counts = np.unique(rows, axis=1, return_inverse=True, return_counts=True)
    labels, seeds = len(base.labels), len(base.predicted)
    cells = [_cells(gold, run, labels) for run in runs]
    by_source = None
    if sources is not None:
        by_source = csr_array((np.ones(len(sources)), (sources, inverse.ravel())))
    return Patterns(gold, (cells[:seeds], cells[seeds:]), counts, by_source, labels)


def _cells(gold: Ids, verdicts: Ids, labels: int) -> csr_array:
    patterns = np.arange(len(gold))
    return csr_array((np.ones(len(gold)), (patterns, gold * labels + verdicts)), shape=(len(gold), labels**2))
