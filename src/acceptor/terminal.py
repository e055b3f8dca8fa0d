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
    from acceptor.data.findings import Finding
    from acceptor.evaluation.compare import Comparison
    from acceptor.evaluation.evaluate import Report, Scores
    from acceptor.evaluation.slices import Slice
    from acceptor.evaluation.spread import Spread
    from acceptor.folds import Folds
    from acceptor.run import Run
    from acceptor.seeds import Seeds

WIDTH_OF_FILES = 200  # columns where stdout is no terminal: nothing is cut for want of room

SOURCES_SHOWN = 25


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
    if collapse := run.record["restarted_after"]:
        yield f"begun again with safer settings: seed {collapse['seed']} collapsed in epoch {collapse['epoch']}"
    if run.record["collapsed"]:
        yield "collapsed: all verdicts are alike, and the loss is no better than the labels' shares give"
    seconds = run.record["seconds"]["train"]
    sentences = len(epochs) * run.record["data"]["train"]["rows"]
    yield f"\ntrained in {seconds:.0f} s, {sentences / seconds:.0f} sentences/s, validation included"
    yield f"written to {run.folder}; its report: {run.folder / 'report.html'}"
    yield f'next: acceptor judge {run.folder} "The book was wrote."'


def seeds_text(seeds: Seeds) -> Iterator[Any]:
    """Every training with its scores, then what they say together."""
    splits = list(seeds.record["summary"])
    header = ("seed", "order", "run", "ended", *(f"{split} MCC, 95 % interval" for split in splits))
    yield table(
        header,
        [
            (
                str(entry["seed"]),
                str(entry["order_seed"]),
                entry["folder"],
                _how_ended(entry),
                *_mcc_cells(entry, splits),
            )
            for entry in seeds.entries
        ],
    )
    yield ""
    for split in splits:
        for metric in dict.fromkeys((seeds.metric, "mcc", "accuracy")):
            yield f"{split} {_upper(metric)}: {_spread_words(seeds.spread(split, metric))}"
    yield (
        f"of {len(seeds.entries)} runs: collapsed {seeds.count('collapsed')} · failed {seeds.count('failed')} "
        f"· finished, but with one verdict for all of a split {seeds.record['one_verdict']}"
    )
    yield from _problems(seeds.entries)
    best = seeds.spread()
    if best and len(best.values) > 1:
        k = len(best.values)
        yield (
            f"\nThe score is the mean. The best of {k} seeds ({best.high:.3f}) is not: chance alone puts it "
            f"{best.best_of[-1] - best.mean:+.3f} above the mean (expected best of k: "
            + ", ".join(f"{index} {value:.3f}" for index, value in enumerate(best.best_of, 1))
            + ")."
        )
    yield f"written to {seeds.folder}"


def folds_text(folds: Folds) -> Iterator[Any]:
    """Every fold with its score, then all verdicts together."""
    rows = [
        (entry["fold"], entry["n"], _how_ended(entry), *_mcc_cells(entry, ["test"]), _majority(entry))
        for entry in folds.entries
    ]
    yield table(("held out", "n", "ended", "MCC, 95 % interval", "majority"), rows)
    yield ""
    yield repr(folds)
    yield f"of {len(rows)} runs: collapsed {folds.count('collapsed')} · failed {folds.count('failed')}"
    yield from _problems(folds.entries)
    yield f"written to {folds.folder}"


def _majority(entry: dict[str, Any]) -> str:
    counts = list(entry["balance"].values())
    return f"{max(counts) / sum(counts):.3f}"


def _problems(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        if "error" in entry:
            yield f"{entry['folder']} {entry['status']}: {entry['error']['problem']}"


def _spread_words(spread: Spread | None) -> str:
    if spread is None:
        return "not defined"
    interval = f", 95 % interval of the mean over seeds {spread.interval}" if spread.interval else ""
    return f"{spread} (n {len(spread.values)} runs{interval})"


def _upper(metric: str) -> str:
    return "MCC" if metric == "mcc" else metric


def _how_ended(entry: dict[str, Any]) -> str:
    origin = entry.get("restarted_from")
    return str(entry["status"]) + (f", restart of {origin}" if origin else "")


def _mcc_cells(entry: dict[str, Any], splits: Sequence[str]) -> list[str]:
    scores = [(entry["scores"] or {}).get(split) for split in splits]
    return [
        "" if one is None else "not defined" if one["mcc"] is None
        else f"{one['mcc']:.3f} [{one['mcc_interval'][0]:.3f}, {one['mcc_interval'][1]:.3f}]"
        for one in scores
    ]  # fmt: skip


def report_text(report: Report) -> Iterator[Any]:
    """Scores of one split, with what the majority's label alone would score, and its confusion matrix."""
    yield repr(report)
    if report.leaks is None:
        yield "sentences that stand in train: not known, the run keeps no fingerprints of them"
    elif report.leaks == 0:
        yield "no sentence stands in train"
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


def slices_table(what: str, parts: Sequence[Slice]) -> Table:
    """One line of scores with intervals for each slice; a small one says that it is too small."""
    header = (what, "n", "MCC, 95 % interval", "accuracy, 95 % interval", "recall, 95 % interval", "majority")
    rows = []
    for part in parts:
        mcc, accuracy, recall, majority = part.note or "", "", "", ""
        if part.scores:
            mcc = part.note or part.scores.mcc_words
            accuracy = f"{part.scores.accuracy:.3f} {part.scores.accuracy_interval}"
            majority = f"{part.scores.majority:.3f}"
        if part.recall is not None:
            recall = f"{part.recall:.3f} {part.recall_interval} of {part.label}"
        rows.append((part.value, part.n, mcc, accuracy, recall, majority))
    return table(header, rows)


def annotations_text(about: dict[str, Any]) -> Iterator[str]:
    """How annotations were joined to a split."""
    counts = " and ".join(f"{count} ({name})" for name, count in about["features"].items())
    yield f"\nannotations joined by row: {counts}"
    if about["other_texts"]:
        yield f"  another text there, kept by row: {'; '.join(about['other_texts'])}"
    if about["other_labels"]:
        yield f"  another label there, the corpus' counts: {'; '.join(about['other_labels'])}"


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
    if audit.sources:
        shown = list(audit.sources.items())[:SOURCES_SHOWN]
        rows = [
            (source, sum(counts.values()), *counts.values(), max(counts.values()) / sum(counts.values()))
            for source, counts in shown
        ]
        yield table(("source", "n", *audit.balance, "majority"), rows)
        if len(shown) < len(audit.sources):
            yield f"and {len(audit.sources) - len(shown)} smaller ones: --json has all"
        yield ""
    yield frame_table(audit.sample)


def findings_text(findings: Sequence[Finding]) -> Iterator[Any]:
    """What was found, as a table; then each with its examples; and what was looked for in vain."""
    found = [finding for finding in findings if finding.count]
    absent = dict.fromkeys(finding.kind for finding in findings if not finding.count)
    for kind in dict.fromkeys(finding.kind for finding in found):
        absent.pop(kind, None)
    if found:
        yield table(("finding", "in", "count", "of"), [(one.kind, one.split, one.count, one.of) for one in found])
    if absent:
        yield f"{'looked for, not found' if found else 'nothing found of'}: {', '.join(absent)}"
    for one in found:
        yield f"\n{one.split}: {one.count} {one.kind}"
        yield f"  {one.what}"
        yield f"  to do: {one.advice}"
        rows = [_example(row, "" if row is group[0] else "as") for group in one.examples for row in group]
        yield table(("", "where", "label", "text"), rows, wide="text")
        if one.count > len(one.examples):
            yield f"  and {one.count - len(one.examples)} more"


def _example(row: dict[str, Any], word: str) -> tuple[str, ...]:
    texts = [row["sentence"], *([row["second"]] if "second" in row else [])]
    likeness = f" ({row['similarity']:.2f})" if "similarity" in row else ""
    mark = f" {row['mark']}" if row.get("mark") else ""
    return word + likeness, row["place"], f"{row['label'] or ''}{mark}", " | ".join(texts)


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
