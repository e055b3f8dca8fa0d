"""Scores and verdicts as text: reports, slices, comparisons, minimal pairs, words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from acceptor.cli.render.tables import TextTable, frame_table, number, p_value, table
from acceptor.evaluation.metrics import mistakes
from acceptor.evaluation.notebook import FULL_WEIGHT
from acceptor.text import cut, plain

if TYPE_CHECKING:
    import polars as pl

    from acceptor.evaluation.compare import Comparison
    from acceptor.evaluation.evaluate import Report, Scores
    from acceptor.evaluation.pairs import PairsReport
    from acceptor.evaluation.slices import Slice
    from acceptor.evaluation.words import Explanation
    from acceptor.serve.others import Speed


MATRIX, WIDTH = 8, 80  # most labels, and width, for which a confusion matrix is shown
MISTAKES = 15  # number of mistakes that are shown instead
LABEL = 16  # most characters of a label beside a sentence
SCORES = 3  # most labels with scores beside a sentence, the most probable ones
BAR = 20  # marks of the longest bar of a word's weight


def report_text(report: Report) -> Iterator[Any]:
    """Scores of one split beside those of the majority baseline, and the confusion matrix."""
    yield repr(report)
    if report.leaks is None:
        yield "sentences that are also in train: not known, the run has no fingerprints of them"
    elif report.leaks == 0:
        yield "no sentence is in train"
    labels = report.split.labels
    if report.interval:
        yield "intervals above are made from the confusion matrix, those below by a bootstrap"
    yield ""
    yield table(
        ("score", "value", "95 % interval (bootstrap)", "always the majority"),
        [
            (name, number(one.value), str(one.interval or "not defined"), number(one.majority))
            for name, one in report.measures.items()
        ],
    )
    yield ""
    if len(labels) > MATRIX or (len(labels) > 3 and sum(len(label) + 10 for label in labels) > WIDTH):
        yield from _mistakes_text(labels, report.scores.confusion)
        return
    rows = [(f"gold {label}", *counts) for label, counts in zip(labels, report.scores.confusion, strict=True)]
    yield table(("", *(f"judged {label}" for label in labels)), rows)


def _mistakes_text(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> Iterator[Any]:
    """The most frequent mistakes, for too many labels for a matrix."""
    found = mistakes(confusion)
    if not found:
        yield "no mistakes"
        return
    rows = [(labels[gold], labels[verdict], count) for gold, verdict, count in found[:MISTAKES]]
    yield table(("gold", "judged", "mistakes"), rows)
    if len(found) > MISTAKES:
        rest = sum(count for *_, count in found[MISTAKES:])
        yield f"and {rest:,} in {len(found) - MISTAKES:,} other ways; --json has the whole matrix"


def scores_table(what: str, scores: dict[str, Scores]) -> TextTable:
    """One line of scores for each part of a split."""
    rows = [
        (
            name,
            score.n,
            score.mcc_words,
            score.accuracy,
            score.majority,
        )
        for name, score in scores.items()
    ]
    return table((what, "n", "MCC, 95 % interval", "accuracy", "majority"), rows)


def comparison_text(comparisons: Sequence[Comparison]) -> Iterator[Any]:
    """Each system's score, its difference from the baseline, and its p-value."""
    first = comparisons[0]
    seeds = f", mean of {first.seeds[0]} seeds" if first.seeds[0] > 1 else ""
    yield f"{first.metric} on the same {first.n:,} sentences; baseline {first.base}: {number(first.scores[0])}{seeds}"
    yield ""
    header = ("system", "seeds", "score", "difference, 95 % interval", "p", "p, Holm", "smallest to be found")
    yield table(
        header,
        [
            (
                one.name,
                one.seeds[1],
                number(one.scores[1]),
                "not defined"
                if math.isnan(one.difference)
                else f"{one.difference:+.3f} {one.interval or '(interval not defined)'}",
                p_value(one.p),
                p_value(one.p_holm),
                number(one.smallest),
            )
            for one in comparisons
        ],
    )
    yield ""
    others = [(one.name, one.seeds[1], one.left_out[1]) for one in comparisons]
    systems = [(first.base, first.seeds[0], first.left_out[0]), *others]
    for name, compared, left_out in systems:
        if left_out:
            yield f"{name}: {left_out} of {compared + left_out} trainings are not in this: they collapsed or failed"
    undefined = dict.fromkeys(run for one in comparisons for run in one.undefined)
    if undefined:
        yield (
            f"{first.metric} is not defined for {', '.join(undefined)}: one verdict for all sentences, or a label that "
            "no sentence has\n  leave these runs out, or compare by --metric accuracy"
        )
    single = [name for name, compared, _ in systems if compared == 1]
    if single:
        yield f"one run each, so interval and p say nothing of other seeds: {', '.join(single)}"
    for one in comparisons:
        if one.sources:
            yield f"{one.name}: {one.sources_words}"
        if one.p_mcnemar is not None:
            yield f"{one.name}: McNemar's test of the accuracies, p {p_value(one.p_mcnemar)}, not corrected by Holm"
        if one.selected:
            yield f"{one.name}: a checkpoint or threshold was chosen on this split, so the scores are too good"
    yield (
        "p: how often chance alone gives so large a difference. Smallest: the difference that is found at p < .05 "
        "in four of five such sets of sentences."
    )


def speeds_text(speeds: Sequence[Speed]) -> Iterator[Any]:
    """How fast each server answered, and what that costs."""
    yield ""
    header = ("server", "kind", "requests", "p50, ms", "p99, ms", "sentences a second", "cost of 1,000")
    yield table(
        header,
        [
            (
                one.name,
                one.kind,
                one.requests,
                f"{one.p50:.1f}",
                f"{one.p99:.1f}",
                f"{one.sentences_per_second:,.0f}",
                "" if one.cost_per_thousand is None else f"{one.cost_per_thousand:.2g}",
            )
            for one in speeds
        ],
    )
    yield (
        "One client sent one request after another, of 8 sentences each: it measures how long an answer takes, not how "
        "much the server can do at once."
    )


def slices_table(what: str, parts: Sequence[Slice]) -> TextTable:
    """One line of scores with intervals for each slice, or a note that it is too small."""
    with_recall = any(part.recall is not None for part in parts)
    names = ["MCC", "accuracy", *(["recall"] if with_recall else [])]
    rows = []
    for part in parts:
        mcc, accuracy, recall, majority = part.note or "", "", "", ""
        if part.scores:
            mcc = part.note or part.scores.mcc_words
            accuracy = f"{part.scores.accuracy:.3f} {part.scores.accuracy_interval}"
            majority = f"{part.scores.majority:.3f}"
        if part.recall is not None:
            recall = f"{part.recall:.3f} {part.recall_interval} of {part.label}"
        rows.append([part.value, part.n, mcc, accuracy, *([recall] if with_recall else []), majority])
    return table([what, "n", *(f"{name}, 95 % interval" for name in names), "majority"], rows)


def annotations_text(about: dict[str, Any]) -> Iterator[str]:
    """How annotations were joined to a split."""
    counts = " and ".join(f"{count} ({name})" for name, count in about["features"].items())
    yield f"\nannotations joined by row: {counts}"
    if about["other_texts"]:
        yield f"  another text there, kept by row: {'; '.join(about['other_texts'])}"
    if about["other_labels"]:
        yield f"  another label there, the corpus' counts: {'; '.join(about['other_labels'])}"


def pairs_text(report: PairsReport) -> Iterator[Any]:
    """Scores of minimal pairs: a table for each way to group them, the lowest first, then all together."""
    header = ("pairs", "right, 95 % interval", "ties", "both verdicts right, 95 % interval")
    for column in ("phenomenon", "term"):
        if column in report.frame.columns:
            rows = [
                (name, s.n, f"{s.share:.3f} {s.interval}", s.ties, f"{s.both_share:.3f} {s.both_interval}")
                for name, s in report.by(column).items()
            ]
            yield table((column, *header), rows)
            yield ""
    phenomena = report.frame["phenomenon"].n_unique()
    yield f"all pairs              {report.scores}"
    if phenomena > 1:
        mean, interval = report.macro
        yield f"mean of the phenomena  {mean:.3f} {interval} · {phenomena} phenomena of the same weight · chance 0.5"
    if report.scores.ties:
        yield (
            f"{report.scores.ties} ties count half; sides are identical in {report.identical} pairs, "
            f"and in {report.alike} more the judge reads the same tokens"
        )


def explanation_text(explanation: Explanation) -> Iterator[Any]:
    """A verdict and its words, each with its weight as a number and as a bar."""
    verdict = explanation.verdict
    yield f"{verdict.label} {verdict.probability:.3f}: {explanation.sentence}"
    if verdict.truncated:
        yield "too long: judged by its beginning, the words in the table"
    rows = [
        (word, f"{weight:+.3f}", _bar(weight))
        for word, weight in zip(explanation.words, explanation.weights, strict=True)
    ]
    scale = f"{FULL_WEIGHT / BAR:g} nats a mark"
    yield table(("word", "weight", f"for (+) or against (-) this verdict, {scale}"), rows)
    total = f"margin {explanation.margin:+.3f}"
    if explanation.baseline is not None:
        total += f", {explanation.baseline:+.3f} with all words masked"
    if explanation.error is not None:
        total += f"; weights sum to {sum(explanation.weights):+.3f}, completeness error {explanation.error:+.1e}"
    yield f"{explanation.method}, nats of log-odds; {total}\n"


def _bar(weight: float) -> Text:
    """The weight as a bar of marks; one that is too long ends in an ellipsis."""
    marks = round(BAR * abs(weight) / FULL_WEIGHT)
    bar = ("+" if weight > 0 else "-") * min(marks, BAR) + ("…" if marks > BAR else "")
    return Text(bar, "green" if weight > 0 else "red")


def errors_text(worst: pl.DataFrame, explained: Sequence[Explanation] = ()) -> Iterator[Any]:
    """The most confident errors; below, the weights of the words of each."""
    yield f"the {worst.height} most confident errors" if worst.height else "no errors"
    if worst.height:
        yield frame_table(worst)
    if explained:
        yield f"\nthe weight of each word for (+) or against (-) the verdict, by {explained[0].method}"
        for line, one in zip(worst["line"], explained, strict=True):
            yield f"{line}: {one.verdict.label}: {one.line}"


def verdict_table(
    frame: pl.DataFrame, labels: Sequence[str], shown: Sequence[str] = ("sentence",), *, all_scores: bool
) -> TextTable:
    """Texts and verdicts, in the columns of an output file; with all scores, one line per label.

    Args:
        frame: The input columns, then those of `Judge.columns`.
        labels: The judge's labels.
        shown: The input columns to show.
        all_scores: The frame has each label's probability and logit.
    """
    scores = [f"p, logit: {min(SCORES, len(labels))} of {len(labels)} labels"] if all_scores else []
    rows = []
    for row in frame.iter_rows(named=True):
        lines = [Text("\n".join(map(plain, _top_scores(row, labels))))] if all_scores else []
        verdict = [cut(row["verdict"], LABEL), f"{row['probability']:.3f}", f"{row['margin']:.2f}"]
        rows.append([*(row[name] for name in shown), *verdict, *lines])
    return table([*shown, "verdict", "probability", "margin", *scores], rows, wide=shown)


def _top_scores(row: dict[str, Any], labels: Sequence[str]) -> Iterator[str]:
    ranked = sorted(labels, key=lambda label: -row[f"p({label})"])
    for label in ranked[:SCORES]:
        yield f"{row[f'p({label})']:.3f} {row[f'logit({label})']:+.2f} {cut(label, LABEL)}"
