"""Figures of a run, in one look, as SVG and PNG files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acceptor.evaluation.evaluate import Scores
from acceptor.text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2328", "#6e7781", "#d8dee4"
TRAIN, VALIDATION = "#9db8d9", "#c2410c"
STYLE: Any = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "svg.fonttype": "none",
    "svg.hashsalt": "acceptor",  # the same figure gives the same bytes
}


def loss_figure(losses: Sequence[float], epochs: Sequence[tuple[int, float]], title: str) -> Figure:
    """Training loss of every step with its moving mean, and validation loss after every epoch.

    Args:
        losses: Mean loss of each step's batch, in nats.
        epochs: (step, validation loss) at the end of every epoch.
        title: One line above.
    """
    figure, axes = _figure()
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color=TRAIN, linewidth=0.7, alpha=0.8, label="train, each batch")
    width = max(1, len(losses) // 25)
    if width > 1:
        mean = np.convolve(losses, np.ones(width) / width, mode="valid")
        axes.plot(steps[width - 1 :], mean, color="#2f5d94", linewidth=1.6, label=f"train, mean of {width}")
    if epochs:
        at, values = zip(*epochs, strict=True)
        axes.plot(
            at,
            values,
            "o-",
            color=VALIDATION,
            markersize=5,
            linewidth=1.2,
            clip_on=False,
            zorder=3,
            label="validation, each epoch",
        )
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("cross-entropy loss (nats)")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, max(2, len(losses)))
    axes.set_title(plain(title), loc="left", fontsize=11, parse_math=False)
    axes.legend(loc="lower left", frameon=False)
    return figure


def per_batch_figure(batches: Sequence[Scores], whole: Scores, size: int, title: str) -> Figure:
    """MCC of each run of ``size`` examples as bars, and of the whole set with its interval as a line."""
    figure, axes = _figure()
    values = [0.0 if math.isnan(batch.mcc) else batch.mcc for batch in batches]
    axes.bar(np.arange(1, len(batches) + 1), values, color=TRAIN, width=0.8, label=f"batches of {size}")
    undefined = [index + 1 for index, batch in enumerate(batches) if math.isnan(batch.mcc)]
    if undefined:
        axes.plot(undefined, [0] * len(undefined), "x", color=MUTED, label="not defined")
    if whole.mcc_interval:
        axes.axhspan(*whole.mcc_interval, color=VALIDATION, alpha=0.15, linewidth=0)
        label = f"whole set: {whole.mcc:.3f} {whole.mcc_interval}"
        axes.axhline(whole.mcc, color=VALIDATION, linewidth=1.4, label=label)
    axes.set_xlabel(f"batch of {size} examples")
    axes.set_ylabel("MCC")
    axes.set_ylim(min(0, *values) - 0.05, 1.3)
    axes.set_yticks(np.arange(math.floor(min(0, *values) * 4) / 4, 1.01, 0.25))
    axes.set_title(plain(title), loc="left", fontsize=11, parse_math=False)
    axes.legend(loc="upper right", ncols=3, frameon=False)
    return figure


def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """Writes ``NAME.svg`` and ``NAME.png`` into ``folder``."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=160, metadata={"Software": None})


def _figure() -> tuple[Figure, Any]:
    # Figures are built without pyplot: it keeps global state and may open windows.
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
    return figure, axes
