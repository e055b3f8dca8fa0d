"""Writes the results of a training: lines of the history and the log, and the files of the run folder."""

from __future__ import annotations

import datetime
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptor.config import Derived, ResolvedConfig
from acceptor.data.table import Data, Split
from acceptor.errors import RunError, TrainingError
from acceptor.evaluation.evaluate import Report, report_of
from acceptor.evaluation.slices import usual_slices
from acceptor.judging.decision import Logits
from acceptor.judging.judge import Judge
from acceptor.report.card import model_card
from acceptor.report.figures import loss_figure, save_figure
from acceptor.runs.history import EpochLine, Line, RestartLine, SkipLine, StepLine, lines_of, write_history
from acceptor.runs.predictions import write_predictions
from acceptor.runs.report_file import write_report_file
from acceptor.runs.run_file import RunFile, write_run_file
from acceptor.runtime.device import source_commit, versions
from acceptor.training.loop import EpochEnd, Skipped, Step

logger = logging.getLogger(__name__)

INTERNAL = ("padding", "shapes", "compile")
"""Derived values that only say how fast the steps are computed: ``run.json`` has them, the log only if it is asked."""


def validation_of(data: Data) -> Split:
    """The validation split; every training has one."""
    assert data.validation is not None  # noqa: S101 - with_validation made it
    return data.validation


def log_setup(data: Data, judge: Judge, derived: list[Derived]) -> None:
    """Logs data, encoder and derived values with their reasons, before training starts."""
    logger.info("%-15s%s", "data", data.words)
    logger.info("%-15s%s: %s", "encoder", judge.encoder["name"], judge.encoder["architecture"])
    log_derived(derived)


def log_derived(derived: list[Derived]) -> None:
    """Logs derived values with their reasons."""
    for item in derived:
        level = logging.DEBUG if item.name in INTERNAL else logging.INFO
        logger.log(level, "%-15s%s: %s", item.name, item.value, item.reason)


def step_line(event: Step, config: ResolvedConfig) -> tuple[StepLine, str]:
    """A step as a line of the history, and as text for the progress bar."""
    rate = config.batch_size * event.step / event.seconds
    words = f"epoch {event.epoch}/{config.epochs} · loss {event.loss:.3f} · {rate:.0f} sentences/s"
    return StepLine(event="step", **vars(event)), words


def skip_line(event: Skipped, data: Data) -> tuple[SkipLine, str]:
    """A skipped step as a line of the history, and as text for the log."""
    table = data.train.table
    numbers = {f"{table.unit}s": [int(table.lines[row]) for row in event.rows]}
    places = {"places": [table.place(row) for row in event.rows]} if table.added else numbers
    batch = table.places(event.rows, most=len(event.rows))
    words = f"step {event.step} skipped, its gradient is not finite: the batch of {batch}"
    return SkipLine.model_validate({"event": "skip", "epoch": event.epoch, "step": event.step, **places}), words


def trained_report(split: Split, logits: Logits, **about: Any) -> Report:
    """`report_of` a judge in training, whose logits may have diverged.

    Raises:
        TrainingError: They are not finite.
    """
    try:
        return report_of(split, logits, **about)
    except RunError as error:
        raise TrainingError(error.problem, **error.details, code="E-TRAINING-NAN") from error


def epoch_line(event: EpochEnd, data: Data, config: ResolvedConfig) -> tuple[EpochLine, str]:
    """The end of an epoch as a line of the history, and as text for the log."""
    report = trained_report(validation_of(data), event.logits)
    scores = {name: value for name, value in report.scores.to_dict().items() if name != "confusion"}
    line = {
        "event": "epoch",
        "epoch": event.epoch,
        "step": event.step,
        "seconds": event.seconds,
        "train_loss": event.train_loss,
        "validation_loss": report.loss,
        **scores,
        "collapse": None,
    }
    words = f"epoch {event.epoch}/{config.epochs}: train loss {event.train_loss:.3f}, {report!r}"
    return EpochLine.model_validate(line), words


def best_epoch(epochs: Sequence[EpochLine], metric: str) -> EpochLine:
    """The first of the epochs with the best score; the last epoch if no score is defined."""
    scores = [line.score(metric) for line in epochs]
    values = [-math.inf if score is None else score for score in scores]
    return epochs[-1] if max(values) == -math.inf else epochs[values.index(max(values))]


def run_file_of(
    judge: Judge,
    data: Data,
    config: ResolvedConfig,
    derived: list[Derived],
    seconds: dict[str, float],
    history: Sequence[Line],
) -> RunFile:
    """The content of ``run.json``: the resolved settings, not the ones that were typed."""
    epochs, restarts = lines_of(history, EpochLine), lines_of(history, RestartLine)
    kept = best_epoch(epochs, config.metric) if config.select == "best" else epochs[-1]
    return new_run_file(
        judge,
        config=config.model_dump(),
        derived=derived,
        data=data.to_dict(),
        seconds=seconds,
        skipped_steps=len(lines_of(history, SkipLine)),
        collapsed=kept.collapse is not None,
        restarted_after=restarts[0] if restarts else None,
    )


def new_run_file(judge: Judge, **fields: Any) -> RunFile:
    """The content of ``run.json`` of a judge that is made now, here, by this version; ``fields`` are all others."""
    return RunFile.new(
        {
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "encoder": judge.encoder,
            "machine": judge.runtime.to_dict(),
            "versions": versions(),
            "commit": source_commit(),
            **fields,
        }
    )


def write_run(
    folder: Path,
    judge: Judge,
    reports: Mapping[str, Report],
    history: Sequence[Line],
    run: RunFile,
    *,
    name: str,
) -> None:
    """Writes all files of a finished run except its manifest; ``name`` is the title of figure and model card."""
    judge.write_files(folder)
    write_run_file(folder, run)
    write_report_file(folder, {key: {**one.to_dict(), "slices": usual_slices(one)} for key, one in reports.items()})
    write_history(folder, history)
    write_predictions(folder, [report.predictions() for report in reports.values()])
    if losses := [(line.step, line.loss) for line in lines_of(history, StepLine)]:
        epochs = [(line.step, line.validation_loss) for line in lines_of(history, EpochLine)]
        figure = loss_figure(losses, epochs, f"{name}: {judge.encoder['name']}")
        save_figure(figure, folder / "figures", "loss")
    (folder / "README.md").write_text(model_card(name, reports, run), "utf-8", newline="\n")
