"""Results as text for people. Every cell is shown as text: no markup, no control characters."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from acceptor.text import plain, plain_lines

if TYPE_CHECKING:
    import polars as pl

    from acceptor.data.audit import Audit
    from acceptor.evaluation.compare import Comparison
    from acceptor.evaluation.evaluate import Report, Scores
    from acceptor.run import Run

WIDTH_OF_FILES = 200  # columns where stdout is no terminal: nothing is cut for want of room


def show(*parts: Any) -> None:
    """Prints tables and lines on stdout."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    for part in parts:
        console.print(Text(plain_lines(part)) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, wide: str | None = None) -> Table:
    """A table; numbers stand right. The column called ``wide`` may wrap, no other does."""
    rows = [list(row) for row in rows]
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for index, name in enumerate(header):
        number = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        grid.add_column(
            Text(plain(name)),
            justify="right" if number else "left",
            no_wrap=name != wide,
            overflow="fold" if name == wide else "ellipsis",
        )
    for row in rows:
        grid.add_row(*(Text(f"{cell:.3f}" if isinstance(cell, float) else plain(cell)) for cell in row))
    return grid


def bench_text(result: dict[str, Any]) -> Iterator[Any]:
    """Speeds and ratios of medians; a ratio says how many times faster Acceptor is."""
    machine = result["machine"]
    yield (
        f"{machine['device_name']}, {machine['threads']} threads, {machine['precision']}: "
        f"products {machine['matmul_tflops']:.2f} TFLOP/s, memory {machine['memory_gb_per_s']:.0f} GB/s"
    )
    for encoder, training in result["train"].items():
        yield f"\ntraining {encoder}, a step of 32 sentences"
        ours = training["ways"]["acceptor"]["ms_per_step"]
        steps = [
            (
                way,
                f"{one['ms_per_step']:.1f} ms",
                f"{one['ms_per_step'] / ours:.2f} ×",
                f"{one['cola_s']:.1f} s",
                f"{one['cold_s']:.0f} s",
            )
            for way, one in training["ways"].items()
        ]
        yield table(("way", "a step", "of Acceptor's", "964 steps", "cold start"), steps)
        yield f"{training['vs_limit']:.0%} of the speed that the two rates would allow"
    for encoder, judging in result["judge"].items():
        yield f"\njudging a file with {encoder}, reading, tokenising and writing included"
        rows = [
            (
                way,
                f"{one['sentences_per_s']:,}",
                f"{one['vs_pipeline32']:.2f} ×",
                "" if one["vs_ort_int8"] is None else f"{one['vs_ort_int8']:.2f} ×",
                f"{one['flips']}",
            )
            for way, one in judging.items()
        ]
        yield table(("way", "sentences/s", "of the pipeline's", "of ort_int8's", "labels flipped"), rows)


def run_text(run: Run) -> Iterator[Any]:
    """A finished training: epochs, scores, where it lies, what to do next."""
    epochs = [event for event in run.history if event["event"] == "epoch"]
    header = ("epoch", "train loss", "validation loss", "accuracy", "MCC")
    yield table(
        header,
        [
            (
                event["epoch"],
                event["train_loss"],
                event["validation_loss"],
                event["accuracy"],
                event["mcc"] if event["mcc"] is not None else "not defined",
            )
            for event in epochs
        ],
    )
    yield ""
    yield from (repr(report) for report in run.reports.values())
    seconds = run.record["seconds"]["train"]
    sentences = len(epochs) * run.record["data"]["train"]["rows"]
    yield f"\ntrained in {seconds:.0f} s, {sentences / seconds:.0f} sentences/s, validation included"
    yield f"written to {run.folder}; its report: {run.folder / 'report.html'}"
    yield f'next: acceptor judge {run.folder} "The book was wrote."'


def report_text(report: Report) -> Iterator[Any]:
    """Scores of one split, with what the majority's label alone would score, and its confusion matrix."""
    yield repr(report)
    labels = report.split.labels
    yield ""
    yield table(
        ("score", "value", "95 % interval", "always the majority"),
        [
            (name, number(one.value), str(one.interval or "not defined"), number(one.majority))
            for name, one in report.measures.items()
        ],
    )
    yield ""
    rows = [(f"gold {label}", *counts) for label, counts in zip(labels, report.scores.confusion, strict=True)]
    yield table(("", *(f"judged {label}" for label in labels)), rows)


def scores_table(what: str, scores: dict[str, Scores]) -> Table:
    """One line of scores for each part of a split."""
    rows = [
        (
            name,
            score.n,
            f"{score.mcc:.3f} {score.mcc_interval}" if score.mcc_interval else "not defined",
            score.accuracy,
            score.majority,
        )
        for name, score in scores.items()
    ]
    return table((what, "n", "MCC, 95 % interval", "accuracy", "majority"), rows)


def comparison_text(comparisons: Sequence[Comparison]) -> Iterator[Any]:
    """Each system's score beside the base line's, and whether the difference could be chance."""
    first = comparisons[0]
    seeds = f", mean of {first.seeds[0]} seeds" if first.seeds[0] > 1 else ""
    yield f"{first.metric} on the same {first.n:,} sentences; base line {first.base}: {number(first.scores[0])}{seeds}"
    yield ""
    header = ("system", "seeds", "score", "difference, 95 % interval", "p", "p, Holm", "smallest to be found")
    yield table(
        header,
        [
            (
                one.name,
                one.seeds[1],
                number(one.scores[1]),
                f"{one.difference:+.3f} {one.interval}" if one.interval else "not defined",
                number(one.p),
                number(one.p_holm),
                number(one.smallest),
            )
            for one in comparisons
        ],
    )
    yield ""
    for one in comparisons:
        if one.of_sources:
            yield f"{one.name}: {one.of_sources} if other sources could have been drawn"
        if one.p_mcnemar is not None:
            yield f"{one.name}: McNemar's test of the accuracies, p {number(one.p_mcnemar)}"
        if one.selected:
            yield f"{one.name}: this split chose a checkpoint or threshold, so the scores are too good"
    yield (
        "p: how often so large a difference comes from chance alone. Smallest: what four of five such sets of "
        "sentences would have shown at p < .05."
    )


def number(value: float) -> str:
    """Three decimals, or that there is no number."""
    return "not defined" if math.isnan(value) else f"{value:.3f}" if value >= 0.0005 or value < 0 else "< 0.001"


def verdict_table(frame: pl.DataFrame, labels: Sequence[str]) -> Table:
    """Sentence, logits, softmax, prediction and, where it is known, the true label.

    Args:
        frame: From `acceptor.judge.annotate`.
        labels: The judge's labels.
    """
    truth = "label" if "label" in frame.columns else None
    texts = [name for name in ("sentence", "second") if name in frame.columns]
    header = [*texts, "logits", "softmax", "prediction", *(["true label"] if truth else [])]
    rows = []
    for row in frame.iter_rows(named=True):
        logits = "  ".join(f"{row[f'logit({label})']:+.2f}" for label in labels)
        softmax = "  ".join(f"{row[f'p({label})']:.3f}" for label in labels)
        true_label = [row[truth]] if truth else []
        rows.append([*(row[name] for name in texts), logits, softmax, row["verdict"], *true_label])
    return table(header, rows, wide="sentence")


def audit_text(audit: Audit) -> Iterator[Any]:
    """Shape, columns, balance, lengths and the sampled rows of one split."""
    yield f"{audit.name}: {audit.origin}"
    yield f"  shape      ({audit.rows}, {len(audit.columns)})"
    yield f"  columns    {audit.schema}"
    total = max(1, sum(audit.balance.values()))
    parts = [f"{label} {count} ({count / total:.1%})" for label, count in audit.balance.items()]
    yield f"  balance    {' · '.join(parts) or 'no labels'}"
    for what, quantiles in (("words", audit.words), ("characters", audit.characters)):
        yield f"  {what:<11}" + " · ".join(f"{name} {value:g}" for name, value in quantiles.items())
    yield f"  sha256     {audit.sha256}"
    yield ""
    yield frame_table(audit.sample)


def frame_table(frame: pl.DataFrame) -> Table:
    """A small frame as it is."""
    return table(frame.columns, frame.rows(), wide="sentence")


def encoder_text(about: dict[str, Any], meanings: dict[str, str]) -> Iterator[Any]:
    """An encoder's configuration with meanings, its size and its tokenizer."""
    yield f"{about['name']}: {about['classifier']} in {about['folder']}"
    yield f"weights sha256 {about['sha256']}" + (f", revision {about['revision']}" if about["revision"] else "")
    yield ""
    rows = [(key, str(value), meanings[key]) for key, value in about["config"].items()]
    counts = about["parameters"]
    parts = ("embeddings", "layers", "head")
    yield Group(
        table(("configuration", "", "meaning"), rows),
        Text(""),
        table(("parameters", "count"), [(part, f"{counts[part]:>13,}") for part in (*parts, "total")]),
        Text(""),
        table(("tokenizer", ""), list(about["tokenizer"].items())),
    )
