"""Figures of one or several runs: metric and loss by epoch, dot plots of scores, strip plots of seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from acceptor.report.figures import BLUE, DASHES, INK, MUTED, ORANGE, SERIES, SMALL, drawing, new_figure
from acceptor.report.folder import RunFolder, number
from acceptor.report.split_figures import LABEL
from acceptor.runs.history import EpochLine
from acceptor.text import cut

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES = {
    "mcc": ("MCC", "correlation of verdicts and gold labels; 0 is guessing, 1 is perfect"),
    "accuracy": ("accuracy", "share of right verdicts"),
    "balanced_accuracy": ("balanced accuracy", "mean recall over all labels"),
    "f1": ("F1", "harmonic mean of precision and recall; of three or more labels, their mean"),
    "roc_auc": ("ROC-AUC", "probability that a sentence with a label scores above one without it"),
    "average_precision": ("average precision", "mean precision over all thresholds"),
    "brier": ("Brier score", "mean squared error of the probabilities; lower is better"),
    "log_loss": ("log loss", "in nats; lower is better"),
    "ece": ("calibration error (ECE)", "mean gap between confidence and accuracy; lower is better"),
}
"""The title of each score, and what it is."""


class Dot(NamedTuple):
    """A score with its interval: a row of a dot plot."""

    name: str
    value: float
    low: float
    high: float
    n: int | None = None


@drawing()
def metric_figure(runs: Sequence[RunFolder], *, title: str = "", alike: bool = False) -> Figure:
    """The main metric on the validation split after every epoch; with intervals if there is one run.

    Args:
        runs: The runs, at least one.
        title: The figure's title.
        alike: Draw all runs in one colour, without names.
    """
    metric = runs[0].metric
    name = MEASURES[metric][0]
    figure, axes = new_figure(title or f"{name} by epoch")
    every: list[float] = []
    for index, run in enumerate(runs):
        epochs = run.lines(EpochLine)
        at = np.array([line.epoch for line in epochs])
        values = np.array([number(line.score(metric)) for line in epochs])
        every += values.tolist()
        style = _line(index, run, len(SERIES) + 1 if alike else len(runs))
        axes.plot(at, values, marker="o", markersize=4, **style)
        if len(runs) == 1:
            _intervals(axes, at, epochs, metric)
        missing = at[np.isnan(values)]
        label = "not defined" if len(runs) == 1 and len(missing) else None
        at_foot: Any = {"transform": axes.get_xaxis_transform(), "color": style["color"], "label": label}
        axes.plot(missing, np.full(len(missing), 0.04), "x", **at_foot)  # drawn at the foot of the axes
    last = max((line.epoch for run in runs for line in run.lines(EpochLine)), default=1)
    axes.set(xlim=(0.5, last + 0.5), ylabel=name)
    if np.isnan(every).all():
        axes.set_ylim(0, 0.8)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]) if metric == "mcc" else None)
    _by_epoch(axes, len(SERIES) + 1 if alike else len(runs))
    return figure


@drawing()
def losses_figure(runs: Sequence[RunFolder]) -> Figure:
    """Validation loss of several runs after every epoch."""
    figure, axes = new_figure("Validation loss by epoch")
    for index, run in enumerate(runs):
        epochs = run.lines(EpochLine)
        losses = [line.validation_loss for line in epochs]
        axes.plot([line.epoch for line in epochs], losses, marker="o", markersize=4, **_line(index, run, len(runs)))
    axes.set_ylabel("cross-entropy loss (nats)")
    _by_epoch(axes, len(runs))
    return figure


@drawing()
def best_figure(best: Mapping[str, Sequence[float]], title: str, label: str) -> Figure:
    """The expected maximum score of k runs, by split, for k = 1 to N."""
    figure, axes = new_figure(title)
    for index, (split, values) in enumerate(best.items()):
        style: Any = {"color": SERIES[index], "linestyle": DASHES[index]}
        axes.plot(np.arange(1, len(values) + 1), values, marker="o", markersize=4, label=split, **style)
    axes.set(xlabel="number of trainings, of which the best is kept", ylabel=label)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    _headroom(axes)
    axes.legend(loc="upper left", ncols=2)
    return figure


@drawing()
def dots_figure(dots: Sequence[Dot], title: str, whole: float) -> Figure:
    """A dot plot: the MCC of parts of a split with their intervals, one per row.

    Args:
        dots: The scores from top to bottom; NaN if a score or its interval is not defined.
        title: The figure's title.
        whole: The MCC of the whole split, to compare with; NaN if it is not defined.
    """
    figure, axes = new_figure(title, (SMALL[0] * 1.5, 0.8 + 0.2 * max(3, len(dots))))
    if not math.isnan(whole):
        axes.axvline(whole, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    for row, dot in enumerate(dots):
        if math.isnan(dot.value):
            at = axes.get_yaxis_transform()  # x in axes coordinates: at the left, whatever the scale
            axes.text(0.01, row, "not defined", color=MUTED, size=8, va="center", transform=at)
            continue
        axes.plot([dot.low, dot.high], [row, row], color=BLUE, linewidth=1.3, alpha=0.6)
        axes.plot([dot.value], [row], "o", color=BLUE, markersize=5)
    names = [cut(dot.name, 28) + (f"  ({dot.n:,})" if dot.n is not None else "") for dot in dots]
    axes.set_yticks(range(len(dots)), names)
    axes.set(ylim=(len(dots) - 0.4, -0.6), xlabel="MCC, 95 % interval (sentences)")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return figure


@drawing()
def strip_figure(strips: Sequence[tuple[str, Sequence[float]]], title: str, label: str) -> Figure:
    """A strip plot: each seed's score as a dot, one row per split, with the mean; undefined scores are drawn apart.

    Args:
        strips: Name and scores of every row; NaN if a run collapsed.
        title: The figure's title.
        label: The label of the axis.
    """
    figure, axes = new_figure(title, SMALL)
    every = [value for _, values in strips for value in values if not math.isnan(value)]
    low, high = (min(every), max(every)) if every else (0.0, 1.0)
    apart = low - 0.18 * (high - low or 0.2)
    lost = False
    for row, (_, values) in enumerate(strips):
        scores = np.array(values, dtype=np.float64)
        # Fixed jitter: equal scores do not hide each other, and the same runs give the same figure.
        heights = row + 0.28 * (np.arange(len(scores)) * 0.618034 % 1 - 0.5)
        good = ~np.isnan(scores)
        axes.plot(scores[good], heights[good], "o", color=SERIES[row % 2], alpha=0.75, markersize=6, markeredgewidth=0)
        axes.plot(np.full((~good).sum(), apart), heights[~good], "x", color=INK, markersize=6)
        lost = lost or not good.all()
        if good.any():
            axes.plot([scores[good].mean()] * 2, [row - 0.33, row + 0.33], color=INK, linewidth=1.4)
    if lost:
        axes.axvline(apart + 0.08 * (high - low or 0.2), color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
        axes.text(apart, len(strips) - 0.45, "not\ndefined", ha="center", va="bottom", size=8, color=MUTED)
    axes.set_yticks(range(len(strips)), [cut(name, LABEL) for name, _ in strips])
    axes.set(ylim=(len(strips) - 0.4, -0.6), xlabel=label)
    axes.xaxis.get_major_locator().set_params(nbins=5)
    if not every:
        axes.set_xticks([])  # of a scale without scores
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return figure


def _line(index: int, run: RunFolder, of: int) -> dict[str, object]:
    """Colour, dashes and label of one of ``of`` lines; if there are more than colours, all look the same."""
    if of == 1:
        return {"color": ORANGE, "label": "validation"}
    if of > len(SERIES):
        return {"color": BLUE, "alpha": 0.5, "linewidth": 1}
    return {"color": SERIES[index], "linestyle": DASHES[index], "label": cut(run.name, 22)}


def _by_epoch(axes: Any, lines: int) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    if lines <= len(SERIES):
        _headroom(axes, (lines + 1) // 2)
        axes.legend(loc="upper left", ncols=2)


def _intervals(axes: Any, at: Any, epochs: Sequence[EpochLine], metric: str) -> None:
    for epoch, line in zip(at, epochs, strict=True):
        interval = getattr(line, f"{metric}_interval", None)
        if interval:
            axes.plot([epoch, epoch], interval, color=ORANGE, linewidth=1, alpha=0.6)


def _headroom(axes: Any, rows: int = 1) -> None:
    """Makes room above the curves for a legend of ``rows`` rows."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + (0.08 + 0.12 * rows) * (high - low))
