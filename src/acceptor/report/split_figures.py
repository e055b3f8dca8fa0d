"""Figures of the verdicts on a split: confusion, ROC, precision and recall, calibration, margins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from acceptor.report.curves import Curve, calibration, margins, precision_recall, roc
from acceptor.report.figures import BLUE, DASHES, INK, MUTED, ORANGE, PAPER, SERIES, SMALL, drawing, new_figure
from acceptor.report.folder import JudgedSplit
from acceptor.text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing()
def confusion_figure(split: JudgedSplit) -> Figure:
    """Counts by gold label and verdict; a cell is the darker, the more of its gold label fell there."""
    from matplotlib.patches import Rectangle

    counts = np.array(split.scores["confusion"])
    labels = [short(label) for label in split.labels]
    side = len(labels)
    size = SMALL if side <= 3 else (max(SMALL[0], 0.62 * side + 1.4), max(SMALL[1], 0.5 * side + 1.2))
    figure, axes = new_figure(f"Confusion, {split.name}", size)
    for row, column in np.ndindex(side, side):
        share = counts[row, column] / max(1, counts[row].sum())
        colour = BLUE if row == column else ORANGE
        cell = Rectangle((column, row), 1, 1, facecolor=colour, alpha=0.04 + 0.36 * share, edgecolor=PAPER, linewidth=2)
        axes.add_patch(cell)
        middle = (column + 0.5, row + 0.5)
        axes.text(*middle, f"{counts[row, column]:,}", ha="center", va="bottom", size=15 if side <= 3 else 9, color=INK)
        axes.text(*middle, f"{share:.0%}", ha="center", va="top", size=8, color=INK)
    axes.set(xlim=(0, side), ylim=(side, 0), xlabel="verdict", ylabel="gold label")
    axes.set_xticks(np.arange(side) + 0.5, labels, rotation=0 if side <= 3 else 40, ha="center" if side <= 3 else "right")
    axes.set_yticks(np.arange(side) + 0.5, labels, rotation=90 if side <= 3 else 0, va="center")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


@drawing()
def roc_figure(splits: Sequence[JudgedSplit]) -> Figure:
    """True against false positive rate; the diagonal is guessing."""
    figure, axes = new_figure("ROC")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, dashes=(2, 2))
    _curves(axes, _ranked(splits, roc), "AUC")
    axes.set_xlabel(_of(splits, "false positive rate", "other labels judged so"))
    axes.set_ylabel(_of(splits, "true positive rate", "judged so"))
    axes.legend(loc="lower right")
    return figure


@drawing()
def precision_figure(splits: Sequence[JudgedSplit]) -> Figure:
    """Precision against recall."""
    figure, axes = new_figure("Precision and recall")
    _curves(axes, _ranked(splits, precision_recall), "AP")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.legend(loc="lower left")
    return figure


@drawing()
def reliability_figure(splits: Sequence[JudgedSplit]) -> Figure:
    """Share of right verdicts against their confidence, in ten bins of equal mass."""
    figure, axes = new_figure("Reliability")
    lowest = 1 / len(splits[0].labels)
    axes.plot([lowest, 1], [lowest, 1], color=MUTED, linewidth=0.8, dashes=(2, 2))
    least = lowest
    for index, split in enumerate(splits):
        chosen = split.probabilities[np.arange(len(split.gold)), split.predicted]
        found = calibration(chosen, split.predicted == split.gold)
        low, high = np.array(found.intervals).T
        errors = np.maximum(0, [found.right - low, high - found.right])
        axes.errorbar(
            found.confidence, found.right, yerr=errors, color=SERIES[index], linestyle=DASHES[index], linewidth=1.3,
            marker="os"[index % 2], markersize=4, elinewidth=0.7, label=f"{split.name}, ECE {found.error:.3f}",
        )  # fmt: skip
        least = min(least, float(low.min()))
    axes.set(xlim=(lowest - 0.02, 1.02), ylim=(max(0, least - 0.05), 1.03))
    axes.set_xlabel("confidence (mean probability of the verdict)")
    axes.set_ylabel("share of right verdicts")
    axes.legend(loc="lower right")
    return figure


@drawing()
def margin_figure(split: JudgedSplit) -> Figure:
    """Sentences by margin: for two labels by gold label, for more by right and wrong."""
    values = margins(split.logits)
    if len(split.labels) == 2:
        parts = [(f"gold: {short(label)}", split.gold == index) for index, label in enumerate(split.labels)]
        words = f"margin: logit of “{short(split.labels[1])}” − logit of “{short(split.labels[0])}”"
    else:
        right = split.predicted == split.gold
        parts = [("judged wrong", ~right), ("judged right", right)]
        words = "margin: best logit − second best"
    figure, axes = new_figure(f"Margins, {split.name}")
    low, high = float(values.min()), float(values.max())
    pad = 0.02 * (high - low) or 0.5
    edges = np.linspace(low - pad, high + pad, 31)
    for colour, (label, rows) in zip((ORANGE, BLUE), parts, strict=True):
        axes.hist(values[rows], edges, color=colour, alpha=0.3)
        axes.hist(values[rows], edges, color=colour, histtype="step", linewidth=1.2, label=label)
    if low < 0 < high:
        axes.axvline(0, color=INK, linewidth=0.8)
    axes.set(xlabel=words, ylabel="sentences")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.22)
    axes.legend(loc="upper left", ncols=2)
    return figure


def short(label: str, most: int = 18) -> str:
    """A label in at most ``most`` characters."""
    label = plain(label)
    return label if len(label) <= most else label[: most - 1] + "…"


def _ranked(splits: Sequence[JudgedSplit], curve: Any) -> list[tuple[str, Curve]]:
    """A curve a split where there are two labels; else a curve a label, of the first split."""
    if len(splits[0].labels) == 2:
        return [(split.name, curve(split.gold, split.probabilities[:, 1])) for split in splits]
    first = splits[0]
    return [
        (short(label), curve((first.gold == index).astype(np.int64), first.probabilities[:, index]))
        for index, label in enumerate(first.labels[: len(SERIES)])
    ]


def _curves(axes: Any, curves: list[tuple[str, Curve]], area: str) -> None:
    for index, (name, curve) in enumerate(curves):
        said = "not defined" if math.isnan(curve.area) else f"{area} {curve.area:.3f}"
        axes.plot(curve.x, curve.y, color=SERIES[index], linestyle=DASHES[index], linewidth=1.5, label=f"{name}, {said}")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def _of(splits: Sequence[JudgedSplit], binary: str, several: str) -> str:
    return binary if len(splits[0].labels) == 2 else several
