"""The data of the report's section about one run: scores, figures, tables of sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup

from acceptor.evaluation.notebook import FULL_WEIGHT
from acceptor.report.figures import SERIES, SMALL, as_svg, loss_figure, save_figure
from acceptor.report.folder import JudgedSplit, RunFolder, number
from acceptor.report.run_figures import MEASURES, Dot, dots_figure, metric_figure
from acceptor.report.split_figures import (
    MATRIX,
    confusion_figure,
    margin_figure,
    mistakes_figure,
    precision_figure,
    reliability_figure,
    roc_figure,
)
from acceptor.report.svg import inline
from acceptor.runs.history import EpochLine, StepLine
from acceptor.runs.record import Record
from acceptor.runs.report_file import ScoresRecord
from acceptor.runs.run_file import MemberRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 5000
LOWER_IS_BETTER = ("brier", "log_loss", "ece")


class Picture(NamedTuple):
    """A figure on the page, with its caption."""

    svg: Markup
    caption: str
    wide: bool


@dataclass(frozen=True)
class FigureWriter:
    """Makes figures ready for the page; also writes each as SVG and PNG.

    Attributes:
        folder: The folder for the files; None writes no files.
        prefix: The prefix of file names and ids.
    """

    folder: Path | None
    prefix: str

    def picture(self, figure: Figure, name: str, caption: str) -> Picture:
        """Returns the figure for the page; ``name`` is the name of its files."""
        name = f"{self.prefix}{name}"
        text = save_figure(figure, self.folder, name) if self.folder else as_svg(figure)
        title = figure.get_suptitle()
        return Picture(inline(text, f"{title}. {caption}", name), caption, figure.get_figwidth() > 1.2 * SMALL[0])


Words = Mapping[tuple[str, int], Sequence[tuple[str, float]]]  # (word, weight) of a sentence, by split and line


def run_section(run: RunFolder, writer: FigureWriter, words: Words) -> dict[str, object]:
    """Returns the variables of ``run.html``."""
    splits = list(run.splits.values())
    return {
        "name": run.name,
        "folder": str(run.folder),
        "encoder": run.record.encoder.to_dict(),
        "metric": MEASURES[run.metric][0],
        "chosen": run.selects_best,
        "cards": [headline(run, split) for split in splits],
        "training": list(_training(run, writer)),
        "epochs": list(_epochs(run)),
        "verdicts": list(_verdict_figures(splits, writer)),
        "measures": [row for split in splits for row in measures(split)],
        "leaked": [row for split in splits for row in _leaked(split)],
        "slices": list(_slices(splits, writer)),
        "sentences": sentences(run, words),
        "audit": run.audit,
        "members": [_member(run, member) for member in run.record.members],
        "record": run.record,
        "skipped": run.record.skipped_steps,
    }


def _member(run: RunFolder, member: MemberRecord) -> dict[str, object]:
    """A run of an ensemble, with its score on each split."""
    return {"run": member.run, "scores": {name: number(member.scores.get(name)) for name in run.splits}}


def headline(run: RunFolder, split: JudgedSplit) -> dict[str, object]:
    """The main scores of one split."""
    scores, decision = split.scores, split.decision
    chosen = ["checkpoint"] * run.selects_best + ["threshold"] * (decision.threshold is not None)
    mcc = scored(scores, "mcc")
    return {
        "name": split.name,
        "n": scores.n,
        "selected": _and(chosen or ["checkpoint"]) if split.selected else "",
        "calibrated": split.name == "validation" and decision.temperature != 1,
        "temperature": decision.temperature,
        "threshold": decision.threshold,
        "second": split.labels[min(1, len(split.labels) - 1)],
        "mcc": mcc,
        "accuracy": scored(scores, "accuracy"),
        "f1": number(scores.f1),
        "loss": scores.loss,
        "majority": number(scores.majority),
        "frequent": split.labels[int(np.bincount(split.gold, minlength=len(split.labels)).argmax())],
        "one_verdict": scores.collapsed,
        "collapsed": run.record.collapsed,
        "verdict": split.frame["verdict"][0],
        "one_label": len(np.unique(split.gold)) == 1,
    }


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def measures(split: JudgedSplit) -> list[dict[str, object]]:
    """All scores of a split that ``report.json`` has."""
    rows: list[dict[str, object]] = []
    for key, measure in split.scores.measures.items():
        name, meaning = MEASURES.get(key, (key.replace("_", " "), ""))
        value = Dot(name, number(measure.value), number(measure.low), number(measure.high))
        base, drawn = number(measure.majority), key not in LOWER_IS_BETTER
        rows.append(
            {"name": name, "split": split.name, "meaning": meaning, "dot": value, "majority": base, "drawn": drawn}
        )
    return rows


def scored(scores: Record | None, key: str, name: str = "") -> Dot:
    """A score of ``report.json`` with its interval; NaN if there are no scores."""
    low, high = getattr(scores, f"{key}_interval", None) or (None, None)
    return Dot(name, number(getattr(scores, key, None)), number(low), number(high), getattr(scores, "n", None))


def _training(run: RunFolder, writer: FigureWriter) -> Iterator[Picture]:
    losses = [(line.step, line.loss) for line in run.lines(StepLine)]
    epochs = [(line.step, line.validation_loss) for line in run.lines(EpochLine)]
    if losses:
        figure = loss_figure(losses, epochs, "Loss by step", size=SMALL)
        yield writer.picture(
            figure,
            "training-loss",
            "Cross-entropy of the gold labels, in nats. If validation loss rises while training loss falls, "
            "the judge overfits.",
        )
    if epochs:
        name = MEASURES[run.metric][0]
        yield writer.picture(
            metric_figure([run]),
            "training-metric",
            f"{name} on the validation split after every epoch{'' if run.metric == 'f1' else ', with 95 % intervals'}.",
        )


def _epochs(run: RunFolder) -> Iterator[dict[str, float]]:
    for line in run.lines(EpochLine):
        losses = {"train_loss": line.train_loss, "validation_loss": line.validation_loss}
        yield {"epoch": line.epoch, "metric": number(line.score(run.metric)), **losses}


def _verdict_figures(splits: Sequence[JudgedSplit], writer: FigureWriter) -> Iterator[Picture]:
    for split in splits:
        if len(split.labels) > MATRIX:
            yield writer.picture(
                mistakes_figure(split),
                f"{split.name}-mistakes",
                f"The mistakes on the {split.name} sentences that occur most often; report.json has the whole matrix.",
            )
            continue
        yield writer.picture(
            confusion_figure(split),
            f"{split.name}-confusion",
            f"Of the {split.name} sentences with each gold label, how many got each verdict; blue is right.",
        )
    yield writer.picture(
        margin_figure(splits),
        "margins",
        "How confident the verdicts are: " + _sides(splits[0]),
    )
    yield writer.picture(
        roc_figure(splits),
        "roc",
        f"How well {_positive(splits[0])} rank above the others, whatever the threshold; "
        "the dashed line is guessing, an area (AUC) of 1 is perfect.",
    )
    yield writer.picture(
        precision_figure(splits),
        "precision-recall",
        f"Of {_positive(splits[0])}, the share found (recall), and how many of those found are right (precision)"
        + ("; the dashed line is guessing." if len(splits[0].labels) == 2 else "."),
    )
    yield writer.picture(
        reliability_figure(splits),
        "reliability",
        "Calibration: on the dashed line, verdicts with 80 % confidence are right in 80 % of cases; "
        "below the line the judge is overconfident.",
    )


def _sides(split: JudgedSplit) -> str:
    if len(split.labels) != 2:
        return "the farther right, the more confident. Look at the confident verdicts that are wrong."
    return f"right of the line: “{split.labels[1]}”, left: “{split.labels[0]}”; confidence grows with distance."


def _positive(split: JudgedSplit) -> str:
    if len(split.labels) == 2:
        return f"sentences with gold label “{split.labels[1]}”"
    return "sentences of each label" + f" (the first {len(SERIES)})" * (len(split.labels) > len(SERIES))


def _leaked(split: JudgedSplit) -> Iterator[dict[str, object]]:
    """The scores with and without the rows that are also in train; nothing if it is not known which are."""
    leaks, rest = split.scores.leaked, split.scores.without_leaked
    if leaks is None:
        return
    parts: list[tuple[str, ScoresRecord]]
    if rest:
        parts = [("all sentences", split.scores), (f"without the {leaks} that are also in train", rest)]
    else:
        parts = [(f"all; {leaks or 'none'} of them are also in train", split.scores)]
    for what, part in parts:
        yield {"split": split.name, "dot": scored(part, "mcc", what), "accuracy": scored(part, "accuracy")}


def _slices(splits: Sequence[JudgedSplit], writer: FigureWriter) -> Iterator[dict[str, object]]:
    for split in splits:
        whole = number(split.scores.mcc)
        for column, rows in split.scores.slices.items():
            dots, recalls = [scored(row, "mcc", row.value) for row in rows], [scored(row, "recall") for row in rows]
            parts = [
                {
                    "dot": dot,
                    "accuracy": scored(row, "accuracy"),
                    "recall": recall,
                    "majority": number(row.majority),
                    "label": row.label,
                    "note": row.note or "not defined",
                }
                for row, dot, recall in zip(rows, dots, recalls, strict=True)
            ]
            if writer.folder and any(not math.isnan(dot.value) for dot in dots):
                figure = dots_figure(dots, f"MCC by {column}, {split.name}", whole)
                writer.picture(figure, f"{split.name}-by-{file_name(column)}", "")
            named = {"split": split.name, "column": column, "rows": parts}
            if all(math.isnan(dot.value) for dot in dots):  # such as by label: every part has one gold label
                yield {**named, "score": "recall", "drawn": recalls, "whole": math.nan}
            else:
                yield {**named, "score": "MCC", "drawn": dots, "whole": whole}


class Sentence(NamedTuple):
    """A row of the table of sentences."""

    split: str
    line: int
    sentence: str
    second: str | None
    group: str | None
    gold: int
    verdict: int
    right: bool
    confidence: float
    words: list[tuple[str, str, float]]


def sentences(run: RunFolder, words: Words) -> dict[str, object]:
    """The table of sentences: wrong verdicts first, the most confident on top."""
    column = next((split.groups for split in run.splits.values() if split.groups), None)
    rows = [row for split in run.splits.values() for row in _sentences(split, column, words)]
    rows.sort(key=lambda row: (row.right, -row.confidence))
    wrong = sum(not row.right for row in rows)
    groups = sorted({row.group for row in rows if row.group is not None})
    return {
        "rows": rows[:MOST_ROWS],
        "total": len(rows),
        "wrong": wrong,
        "groups": groups,
        "column": column,
        "labels": next(iter(run.splits.values())).labels,
        "splits": list(run.splits),
        "weighed": any(row.words for row in rows),
    }


def _sentences(split: JudgedSplit, column: str | None, words: Words) -> Iterator[Sentence]:
    frame, predicted = split.frame, split.predicted
    confidence = split.confidence
    groups = frame[column].to_list() if column in frame.columns else [None] * len(frame)
    seconds = frame["second"].to_list() if "second" in frame.columns else [None] * len(frame)
    for index, sentence in enumerate(frame["sentence"].to_list()):
        line = frame["line"][index]
        yield Sentence(
            split=split.name,
            line=line,
            sentence=sentence,
            second=seconds[index],
            group=groups[index],
            gold=int(split.gold[index]),
            verdict=int(predicted[index]),
            right=bool(predicted[index] == split.gold[index]),
            confidence=float(confidence[index]),
            words=highlight_words(sentence, words.get((split.name, line), [])),
        )


def highlight_words(sentence: str, weights: Sequence[tuple[str, float]]) -> list[tuple[str, str, float]]:
    """Splits a sentence into parts with CSS classes: ``p1`` to ``p3`` for the verdict, ``m1`` to ``m3`` against it.

    Args:
        sentence: The text.
        weights: (word, weight) in the sentence's order; a weight above 0 supports the verdict.

    Returns:
        (text, class, weight); the texts joined are the sentence. Text between words and words with small weights have
        an empty class.
    """
    parts, done = [], 0
    for word, weight in weights:
        start = sentence.find(word, done)
        if start >= 0:
            step = min(3, int(4 * abs(weight) / FULL_WEIGHT))
            parts.append((sentence[done:start], "", 0.0))
            parts.append((word, f"{'p' if weight > 0 else 'm'}{step}" if step else "", weight))
            done = start + len(word)
    return [part for part in [*parts, (sentence[done:], "", 0.0)] if part[0]] if parts else []


def file_name(text: str) -> str:
    """An untrusted name, made safe as part of a file name."""
    return "".join(char if char.isalnum() or char in "-_." else "-" for char in text).strip(".")[:60] or "run"
