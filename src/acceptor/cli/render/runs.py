"""Trainings as text: one, with several seeds, in folds, in a search."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from acceptor.cli.render.tables import number, p_value, table
from acceptor.evaluation.metrics import words_of
from acceptor.runs.history import EpochLine, lines_of
from acceptor.runs.report_file import REPORT_PAGE
from acceptor.runs.set_file import Entry, FoldEntry
from acceptor.text import shell

if TYPE_CHECKING:
    from pathlib import Path

    from acceptor.evaluation.spread import Spread
    from acceptor.experiments.folds import Folds
    from acceptor.experiments.search import Search
    from acceptor.experiments.seeds import Seeds
    from acceptor.exporting.verify import Export
    from acceptor.judging.decision import Decision
    from acceptor.training.train import Run


def run_text(run: Run) -> Iterator[Any]:
    """A finished training: epochs, scores, folder; last, the next command, or what to change if it learned nothing."""
    epochs = lines_of(run.lines, EpochLine)
    header = ("epoch", "train loss", "validation loss", "accuracy", "MCC")
    yield table(
        header,
        [
            (
                line.epoch,
                line.train_loss,
                line.validation_loss,
                line.accuracy,
                line.mcc if line.mcc is not None else "not defined",
            )
            for line in epochs
        ],
    )
    yield ""
    yield from (repr(report) for report in run.reports.values())
    if collapse := run.file.restarted_after:
        yield f"restarted with safer settings: seed {collapse.seed} collapsed in epoch {collapse.epoch}"
    if run.file.collapsed:
        yield "collapsed: all verdicts are the same label, and the loss is not below the entropy of the labels"
    seconds = run.file.seconds["train"]
    sentences = len(epochs) * run.file.data["train"].rows
    yield f"\ntrained in {seconds:.0f} s, {sentences / seconds:.0f} sentences/s, validation included"
    yield f"written to {run.folder}; its report: {run.folder / REPORT_PAGE}"
    if run.advice:
        yield run.advice
        return
    yield _next(run)


def _defined(score: float | None) -> str:
    return "not defined" if score is None else number(score)


def _next(run: Run) -> str:
    """The next command."""
    split = run.report.split
    pairs, origin = split.seconds is not None, split.table.origin
    return f"next: {judging_command(run.folder, pairs=pairs, data=origin, sentence=split.example)}"


def ensemble_text(run: Run) -> Iterator[Any]:
    """An ensemble: the scores of its runs and its own, its folder, the next command."""
    metric, splits = run.file.metric, list(run.reports)
    rows = [(one.run, *(_defined(one.scores[split]) for split in splits)) for one in run.file.members]
    own = [number(getattr(run.reports[split].scores, metric)) for split in splits]
    yield table(("run", *(f"{split} {words_of(metric)}" for split in splits)), [*rows, ("together", *own)])
    yield ""
    yield from (repr(report) for report in run.reports.values())
    yield f"\nwritten to {run.folder}; its report: {run.folder / REPORT_PAGE}"
    yield _next(run)


def seeds_text(seeds: Seeds) -> Iterator[Any]:
    """Every training with its scores, then the summary."""
    entries, splits = seeds.file.runs, list(seeds.file.summary)
    header = ("seed", "order", "run", "ended", *(f"{split} MCC, 95 % interval" for split in splits))
    yield table(
        header,
        [
            (
                str(entry.seed),
                str(entry.order_seed),
                entry.folder,
                _how_ended(entry),
                *_mcc_cells(entry, splits),
            )
            for entry in entries
        ],
    )
    yield ""
    for split in splits:
        scores = next(entry.scores[split] for entry in entries if entry.scores and split in entry.scores)
        mark = ", selected on this split" if seeds.selected(split) else ""
        yield f"{split}: n {scores.n} sentences, majority {scores.majority:.3f}{mark}"
        for metric in dict.fromkeys((seeds.metric, "mcc", "accuracy")):
            yield f"  {words_of(metric)} {_spread_words(seeds.spread(split, metric))}"
    yield (
        f"of {len(entries)} runs: collapsed {seeds.count('collapsed')} · failed {seeds.count('failed')} "
        f"· finished, but with one verdict for all of a split {seeds.file.one_verdict}"
    )
    yield from _problems(entries)
    best = seeds.spread()
    if best and best.high > best.low:
        k = len(best.values)
        yield (
            f"\nThe score is the mean. The best of {k} seeds ({best.high:.3f}) is not: chance alone puts it "
            f"{best.best_of[-1] - best.mean:+.3f} above the mean (expected best of k: "
            + ", ".join(f"{index} {value:.3f}" for index, value in enumerate(best.best_of, 1))
            + ")."
        )
    yield f"written to {seeds.folder}"


def folds_text(folds: Folds) -> Iterator[Any]:
    """Every fold with its score, then the pooled score."""
    rows = [
        (entry.fold, entry.n, _how_ended(entry), *_mcc_cells(entry, ["test"]), _majority(entry))
        for entry in folds.file.runs
    ]
    yield table(("held out", "n", "ended", "MCC, 95 % interval", "majority"), rows)
    yield ""
    yield repr(folds)
    yield f"of {len(rows)} runs: collapsed {folds.count('collapsed')} · failed {folds.count('failed')}"
    yield from _problems(folds.file.runs)
    yield f"written to {folds.folder}"


def search_text(search: Search) -> Iterator[Any]:
    """All trials, the highest value first; then the best trial and the warning that its value is too good."""
    file, best = search.file, search.file.best
    metric, names = file.metric, list(file.space)
    rows = []
    for trial in sorted(file.trials, key=lambda one: -math.inf if one.value is None else one.value, reverse=True):
        value = trial.state if trial.state == "pruned" else "not defined"
        settings = [f"{one:.4g}" if isinstance(one, float) else one for one in map(trial.params.get, names)]
        epochs = " ".join("-" if score is None else f"{score:.3f}" for score in trial.epochs)
        rows.append((trial.number, value if trial.value is None else f"{trial.value:.3f}", *settings, epochs))
    yield table(("trial", f"{metric}, validation", *names, f"{metric} after each epoch"), rows)
    yield ""
    if best is None or best.scores is None:
        problem = next((trial.problem for trial in file.trials if trial.problem), "each gave one verdict throughout")
        yield f"no trial has a score ({metric}), and this search is over: {problem}"
        yield "next: another search, with --out PATH: more rows, more epochs, or lower learning rates"
        return
    interval = getattr(best.scores, f"{metric}_interval", None)
    span = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    yield (
        f"best: trial {best.number} · {metric} {best.value:.3f}{span} · n {best.scores.n} · "
        f"majority {best.scores.majority:.3f} · of {len(file.trials)} trials, selected on this split"
    )
    yield "settings: " + ", ".join(f"{name} {value}" for name, value in best.params.items())
    yield f"its run: {search.folder / best.folder}"
    yield file.optimistic
    if search.seeds is not None:
        yield f"\nseeds of the best: {search.seeds!r}"


def _majority(entry: FoldEntry) -> str:
    counts = list(entry.balance.values())
    return f"{max(counts) / sum(counts):.3f}"


def _problems(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if entry.error:
            yield f"{entry.folder} {entry.status}: {entry.error['problem']}"


def _spread_words(spread: Spread | None) -> str:
    if spread is None:
        return "not defined"
    interval = f", 95 % interval of the mean over seeds {spread.interval}" if spread.interval else ""
    return f"{spread} ({len(spread.values)} runs{interval})"


def _how_ended(entry: Entry) -> str:
    return entry.status + (f", restart of {entry.restarted_from}" if entry.restarted_from else "")


def _mcc_cells(entry: Entry, splits: Sequence[str]) -> list[str]:
    scores = entry.scores or {}
    return [scores[split].mcc_words if split in scores else "" for split in splits]


def export_text(found: Export, *, sentence: str, pairs: bool = False) -> Iterator[Any]:
    """What was written and how its logits and verdicts differ from the run's.

    Args:
        found: What was written.
        sentence: One to try it with.
        pairs: It judges pairs.
    """
    yield f"{found.path}: {found.precision}, {found.bytes / 1e6:.1f} MB, sha256 {found.sha256[:16]}…"
    yield f"logits of {found.inputs:,} inputs differ by {found.largest_change:.2g} at most"
    if found.baked:
        yield f"the weights contain {_baked_text(found.baked)}: the label with the largest logit is the verdict"
        if found.baked.threshold is not None:
            yield f"probabilities have moved: 0.5 is where {number(found.baked.threshold)} was"
    if found.comparison:
        one = found.comparison
        before, after = (number(score) for score in one.scores)
        interval = f" {one.interval}" if one.interval else ""
        change = "" if math.isnan(one.difference) else f": {one.difference:+.4f}{interval}, p {p_value(one.p)}"
        yield f"{found.flips} of {one.n:,} verdicts flipped; MCC {before} → {after}{change}"
        if one.selected:
            yield "a checkpoint or threshold was chosen on these sentences, so both scores are too good"
    elif found.flips is not None:
        yield f"{found.flips} verdicts flipped"
    page = found.path.suffix.lower() == ".html"
    yield f"\nnext: {'open it in a browser' if page else judging_command(found.path, pairs=pairs, sentence=sentence)}"


def _baked_text(baked: Decision) -> str:
    numbers = [f"temperature {number(baked.temperature)}"]
    numbers += [] if baked.threshold is None else [f"threshold {number(baked.threshold)}"]
    return " and ".join(numbers)


def judging_command(judge: Path, *, pairs: bool, data: str = "FILE", sentence: str = "…") -> str:
    """A command to try a judge: on a sentence, or on a file if it judges pairs."""
    if not pairs:
        plain_words = not set(sentence) & set('"$`\\!') and sentence.isprintable()
        return f"acceptor judge {shell(judge)} " + (f'"{sentence}"' if plain_words else shell(sentence))
    return f"acceptor predict {shell(judge)} {shell(data) if os.path.isfile(data) else 'FILE'} -o verdicts.jsonl"
