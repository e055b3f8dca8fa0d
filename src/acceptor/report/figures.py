"""Matplotlib style of all figures, saving as SVG and PNG, and the figures of losses and of scores per batch."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acceptor.evaluation.evaluate import Scores
from acceptor.report.fonts import use_fonts
from acceptor.storage.files import new_file, replace_text
from acceptor.text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The report replaces each colour by a CSS variable, which has another value in the dark theme (report/svg.py).
INK, MUTED, GRID, PAPER = "#1c2024", "#5b6570", "#e1e4e8", "#fefefe"
SERIES = ("#1d5fa8", "#b4510d", "#0a7560", "#8a4a9c", "#866200", "#a3294f")  # distinguishable with colour blindness
BLUE, ORANGE = SERIES[:2]
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (8, 2)), (0, (3, 1)))
WIDE, SMALL = (8.0, 4.0), (3.4, 2.7)  # inches
STYLE: Any = {
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a label starts no formula
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "figure.titlesize": 9.5,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.fontsize": 8,
    "legend.facecolor": PAPER,  # readable where it covers a curve, which stays visible
    "legend.framealpha": 0.8,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "legend.borderpad": 0.3,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.2,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "acceptor",  # the same figure gives the same bytes
}


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Applies `STYLE` to everything that is drawn in the block.

    Hides matplotlib's warnings about glyphs and weights that no font of this machine has: an SVG is shown with the
    viewer's fonts.
    """
    import matplotlib

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with warnings.catch_warnings(), matplotlib.rc_context(STYLE):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


@drawing()
def loss_figure(
    losses: Sequence[tuple[int, float]],
    epochs: Sequence[tuple[int, float]],
    title: str,
    *,
    size: tuple[float, float] = WIDE,
) -> Figure:
    """Training loss of every step with its moving mean, and validation loss after every epoch.

    Args:
        losses: (step, mean loss of its batch, in nats), without the steps that were skipped.
        epochs: (step, validation loss) at the end of every epoch.
        title: The figure's title.
        size: Width and height in inches.
    """
    figure, axes = new_figure(title, size)
    steps, values = np.array(losses).reshape(-1, 2).T
    axes.plot(steps, values, color=BLUE, linewidth=0.6, alpha=0.3, label="train, each batch")
    width = max(1, len(losses) // 25)
    if width > 1:
        mean = np.convolve(values, np.ones(width) / width, mode="valid")
        axes.plot(steps[width - 1 :], mean, color=BLUE, linewidth=1.6, label=f"train, mean of {width}")
    if epochs:
        axes.plot(
            *zip(*epochs, strict=True), "o-", color=ORANGE, markersize=5, linewidth=1.2, clip_on=False, zorder=3,
            label="validation",
        )  # fmt: skip
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("cross-entropy loss (nats)")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, max([2, *(step for step, _ in [*losses[-1:], *epochs[-1:]])]))
    legend_above(axes)
    return figure


@drawing()
def per_batch_figure(batches: Sequence[Scores], whole: Scores, size: int, title: str) -> Figure:
    """MCC of each batch of ``size`` examples as bars; MCC of the whole set, with its interval, as a line."""
    figure, axes = new_figure(title, WIDE)
    values = [0.0 if math.isnan(batch.mcc) else batch.mcc for batch in batches]
    axes.bar(np.arange(1, len(batches) + 1), values, color=BLUE, alpha=0.45, width=0.8, label=f"batches of {size}")
    undefined = [index + 1 for index, batch in enumerate(batches) if math.isnan(batch.mcc)]
    if undefined:
        axes.plot(undefined, [0] * len(undefined), "x", color=MUTED, label="not defined")
    if whole.mcc_interval:
        axes.axhspan(*whole.mcc_interval, color=ORANGE, alpha=0.15, linewidth=0)
        label = f"whole set: {whole.mcc:.3f} {whole.mcc_interval}"
        axes.axhline(whole.mcc, color=ORANGE, linewidth=1.4, label=label)
    axes.set_xlabel(f"batch of {size} examples")
    axes.set_ylabel("MCC")
    axes.set_ylim(min(0, *values) - 0.05, 1.3)
    axes.set_yticks(np.arange(math.floor(min(0, *values) * 4) / 4, 1.01, 0.25))
    axes.legend(loc="upper right", ncols=3)
    return figure


def new_figure(title: str, size: tuple[float, float] = SMALL, *, rows: int = 1) -> tuple[Figure, Any]:
    """An empty figure with a title and axes (an array of axes if ``rows`` > 1). Fill it inside `drawing`."""
    # Figures are built without pyplot: it keeps global state and may open windows.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, sharex=True)
    for one in np.atleast_1d(axes):
        one.set_axisbelow(True)
    figure.suptitle(plain(title), x=0.004, ha="left")
    return figure, axes


def legend_above(axes: Any) -> None:
    """A legend above the axes: inside it would cover curves or bars, wherever they are."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def save_figure(figure: Figure, folder: Path, name: str) -> str:
    """Writes ``NAME.svg`` and ``NAME.png`` into ``folder``; returns the text of the SVG."""
    text = as_svg(figure)
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / f"{name}.svg", text)
    with new_file(folder / f"{name}.png") as scratch:
        save_png(figure, scratch)
    return text


@drawing()
def save_png(figure: Figure, path: Path) -> None:
    """Writes the figure as a PNG file at 160 dpi."""
    use_fonts(figure)
    figure.savefig(path, format="png", dpi=160, metadata={"Software": None})


@drawing()
def as_svg(figure: Figure) -> str:
    """Returns the figure as SVG text."""
    use_fonts(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    figure.set_layout_engine("none")  # the layout is computed: saving the PNG need not repeat it
    return text.getvalue()
