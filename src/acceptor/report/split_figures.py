"""Figures of the verdicts on a split: confusion, ROC, precision and recall, calibration, margins."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from acceptor.evaluation.curves import Curve, calibration, logit_differences, precision_recall, roc
from acceptor.evaluation.metrics import mistakes
from acceptor.report.figures import (
    BLUE,
    DASHES,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    SERIES,
    SMALL,
    drawing,
    legend_above,
    new_figure,
)
from acceptor.report.folder import JudgedSplit
from acceptor.text import cut

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MATRIX = 20  # most labels for which a matrix is readable
MISTAKES = 15  # number of mistakes that are shown if there are more labels
LABEL = 18  # most characters of a label at an axis
ALONG = 30  # most characters of all labels that are written along the two sides of a matrix


@drawing()
def confusion_figure(split: JudgedSplit) -> Figure:
    """The confusion matrix: counts in the cells, shaded by their share of the gold label."""
    from matplotlib.patches import Rectangle

    counts = np.array(split.scores.confusion)
    labels = [cut(label, LABEL) for label in split.labels]
    side = len(labels)
    width, height = (max(least, min(9, per * side + 1.3)) for least, per in zip(SMALL, (0.62, 0.5), strict=True))
    figure, axes = new_figure(f"Confusion, {split.name}", SMALL if side <= 3 else (width, height))
    for row, column in np.ndindex(side, side):
        share = counts[row, column] / max(1, counts[row].sum())
        colour = BLUE if row == column else ORANGE
        cell = Rectangle((column, row), 1, 1, facecolor=colour, alpha=0.04 + 0.36 * share, edgecolor=PAPER, linewidth=2)
        axes.add_patch(cell)
        if side <= 12:  # smaller cells have no room for numbers
            middle = (column + 0.5, row + 0.5)
            big = 13 if side <= 3 else 8
            axes.text(*middle, f"{counts[row, column]:,}", ha="center", va="bottom", size=big, color=INK)
            axes.text(*middle, f"{share:.0%}", ha="center", va="top", size=8, color=INK)
    axes.set(xlim=(0, side), ylim=(side, 0), xlabel="verdict", ylabel="gold label")
    fit = side <= 3 and sum(map(_width, labels)) <= ALONG
    axes.set_xticks(np.arange(side) + 0.5, labels, rotation=0 if fit else 40, ha="center" if fit else "right")
    axes.set_yticks(np.arange(side) + 0.5, labels, rotation=90 if fit else 0, va="center")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _width(label: str) -> int:
    """In Latin characters, as which a Chinese one counts for two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in label)


@drawing()
def mistakes_figure(split: JudgedSplit) -> Figure:
    """The most frequent mistakes as bars, for too many labels for a matrix."""
    found = mistakes(split.scores.confusion)[:MISTAKES]
    figure, axes = new_figure(
        f"The most frequent mistakes, {split.name}", (SMALL[0] * 1.5, 0.9 + 0.22 * max(3, len(found)))
    )
    axes.barh(range(len(found)), [count for *_, count in found], color=ORANGE, alpha=0.45, height=0.7)
    names = [f"{cut(split.labels[gold], LABEL)} → {cut(split.labels[verdict], LABEL)}" for gold, verdict, _ in found]
    axes.set_yticks(range(len(found)), names)
    axes.set(ylim=(max(3, len(found)) - 0.4, -0.6), xlabel="sentences: gold label → verdict")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return figure


@drawing()
def roc_figure(splits: Sequence[JudgedSplit]) -> Figure:
    """ROC curves; the diagonal is guessing."""
    figure, axes = new_figure("ROC")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, dashes=(2, 2))
    _curves(axes, _ranked(splits, roc), "AUC")
    axes.set_xlabel(_of(splits, "false positive rate", "other labels judged so"))
    axes.set_ylabel(_of(splits, "true positive rate", "judged so"))
    axes.legend(loc="lower right")
    return figure


@drawing()
def precision_figure(splits: Sequence[JudgedSplit]) -> Figure:
    """Precision-recall curves."""
    figure, axes = new_figure("Precision and recall")
    _curves(axes, _ranked(splits, precision_recall), "AP")
    if len(splits[0].labels) == 2:
        axes.axhline((splits[0].gold == 1).mean(), color=MUTED, linewidth=0.8, dashes=(2, 2))
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.legend(loc="lower left")
    return figure


@drawing()
def reliability_figure(splits: Sequence[JudgedSplit]) -> Figure:
    """Reliability diagram: accuracy against confidence, in ten bins of equal size."""
    figure, axes = new_figure("Reliability")
    lowest = 1 / len(splits[0].labels)
    axes.plot([lowest, 1], [lowest, 1], color=MUTED, linewidth=0.8, dashes=(2, 2))
    least = lowest
    for index, split in enumerate(splits):
        found = calibration(split.confidence, split.predicted == split.gold)
        low, high = np.array(found.intervals).T
        errors = np.maximum(0, [found.right - low, high - found.right])
        axes.errorbar(
            found.confidence, found.right, yerr=errors, color=SERIES[index], linestyle=DASHES[index], linewidth=1.3,
            marker="os"[index % 2], markersize=4, elinewidth=0.7, label=f"{split.name}, ECE {found.error:.3f}",
        )  # fmt: skip
        least = min(least, float(low.min()))
        lowest = min(lowest, *found.confidence)  # can be below 1 / labels if there is a threshold
    axes.set(xlim=(lowest - 0.02, 1.02), ylim=(max(0, least - 0.05), 1.03 + 0.09 * len(splits)))  # room for the legend
    axes.set_yticks([tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= 1])
    axes.set_xlabel("confidence (probability of the verdict)")
    axes.set_ylabel("share of right verdicts")
    axes.legend(loc="upper left")
    return figure


@drawing()
def margin_figure(splits: Sequence[JudgedSplit]) -> Figure:
    """Histograms of margins, one panel per split: by gold label for two labels, by right and wrong for more."""
    labels = splits[0].labels
    binary = len(labels) == 2
    figure, axes = new_figure("Margins", rows=len(splits))
    every = np.concatenate([logit_differences(split.logits) for split in splits])
    pad = 0.02 * float(np.ptp(every)) or 0.5
    edges = np.linspace(every.min() - pad, every.max() + pad, 31)
    for split, panel in zip(splits, np.atleast_1d(axes), strict=True):
        values, right = logit_differences(split.logits), split.predicted == split.gold
        parts = (split.gold == 0, split.gold == 1) if binary else (~right, right)
        names = [f"gold {cut(label, 12)}" for label in labels] if binary else ["wrong", "right"]
        for colour, rows, name in zip((ORANGE, BLUE), parts, names, strict=True):
            panel.hist(values[rows], edges, color=colour, alpha=0.3)
            panel.hist(values[rows], edges, color=colour, histtype="step", linewidth=1.1, label=name)
        if binary:
            panel.axvline(split.decision.temperature * split.decision.shift, color=INK, linewidth=0.8)
            panel.set_xlim(edges[0], edges[-1])
        panel.set_ylabel(split.name if len(splits) > 1 else "sentences")
    words = f"logit of “{cut(labels[1], 14)}” − “{cut(labels[0], 14)}”" if binary else "best logit − second best"
    panel.set_xlabel(words)
    legend_above(np.atleast_1d(axes)[0])
    return figure


def _ranked(splits: Sequence[JudgedSplit], curve: Any) -> list[tuple[str, Curve]]:
    """One curve per split if there are two labels; else one per label, for the first split."""
    if len(splits[0].labels) == 2:
        return [(split.name, curve(split.gold, split.probabilities[:, 1])) for split in splits]
    first = splits[0]
    return [
        (cut(label, LABEL), curve((first.gold == index).astype(np.int64), first.probabilities[:, index]))
        for index, label in enumerate(first.labels[: len(SERIES)])
    ]


def _curves(axes: Any, curves: list[tuple[str, Curve]], area: str) -> None:
    for index, (name, curve) in enumerate(curves):
        shown = "not defined" if math.isnan(curve.area) else f"{area} {curve.area:.3f}"
        axes.plot(
            curve.x, curve.y, color=SERIES[index], linestyle=DASHES[index], linewidth=1.5, label=f"{name}, {shown}"
        )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def _of(splits: Sequence[JudgedSplit], binary: str, several: str) -> str:
    return binary if len(splits[0].labels) == 2 else several
