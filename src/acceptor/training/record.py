"""What a training tells on its way, and what is kept of it: lines of the history, ``run.json``, the run folder."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from acceptor.config import Derived, TrainConfig
from acceptor.data.table import Data, Split
from acceptor.evaluation.evaluate import Report, report_of
from acceptor.evaluation.slices import usual_slices
from acceptor.judging.judge import Judge
from acceptor.report.card import model_card
from acceptor.report.figures import loss_figure, save_figure
from acceptor.runtime.device import source_commit, versions
from acceptor.storage.files import write_json
from acceptor.training.loop import EpochEnd, Skipped, Step

logger = logging.getLogger(__name__)


def validation_of(data: Data) -> Split:
    """The validation split, which every training has."""
    assert data.validation is not None  # noqa: S101 - with_validation made it
    return data.validation


def say(data: Data, judge: Judge, derived: list[Derived]) -> None:
    """Tells what was derived, and why, before the long part begins."""
    logger.info("%-12s%s", "data", data)
    logger.info("%-12s%s: %s", "encoder", judge.encoder["name"], judge.encoder["architecture"])
    for item in derived:
        logger.info("%-12s%s: %s", item.name, item.value, item.reason)


def told(event: Step | Skipped | EpochEnd, data: Data, config: TrainConfig) -> tuple[dict[str, Any], str]:
    """What happened as a line of the history, and in words."""
    at = f"epoch {event.epoch}/{config.epochs}"
    if isinstance(event, Step):
        rate = config.batch_size * event.step / event.seconds
        return {"event": "step", **vars(event)}, f"{at} · loss {event.loss:.3f} · {rate:.0f} sentences/s"
    if isinstance(event, Skipped):
        table = data.train.table
        lines = [int(table.lines[row]) for row in event.rows]
        words = f"step {event.step} skipped, its gradient is not finite: {table.places(event.rows)}"
        return {"event": "skip", "epoch": event.epoch, "step": event.step, f"{table.unit}s": lines}, words
    report = report_of(validation_of(data), event.logits)
    return _epoch_line(event, report), f"{at}: train loss {event.train_loss:.3f}, {report!r}"


def _epoch_line(event: EpochEnd, report: Report) -> dict[str, Any]:
    return {
        "event": "epoch",
        "epoch": event.epoch,
        "step": event.step,
        "seconds": event.seconds,
        "train_loss": event.train_loss,
        "validation_loss": report.loss,
        **{name: value for name, value in report.scores.to_dict().items() if name != "confusion"},
    }


def record_of(
    judge: Judge,
    data: Data,
    config: TrainConfig,
    derived: list[Derived],
    seconds: dict[str, float],
    history: list[dict[str, Any]],
) -> dict[str, Any]:
    """What ``run.json`` holds: all that was used, not what was typed."""
    return {
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": config.model_dump(),
        "derived": [item._asdict() for item in derived],
        "encoder": judge.encoder,
        "data": data.to_dict(),
        "machine": judge.runtime.to_dict(),
        "versions": versions(),
        "commit": source_commit(),
        "seconds": seconds,
        "skipped_steps": sum(line["event"] == "skip" for line in history),
        "collapsed": bool(history[-1].get("collapse")),
        "restarted_after": next((line for line in history if line["event"] == "restart"), None),
    }


def write_run(
    folder: Path,
    judge: Judge,
    data: Data,
    reports: Mapping[str, Report],
    history: Sequence[dict[str, Any]],
    record: dict[str, Any],
    *,
    name: str,
) -> None:
    """Writes all files of a finished run but its manifest; ``name`` is the run's for figure and card."""
    judge.save(folder)
    write_json(folder / "run.json", record)
    write_json(
        folder / "report.json", {key: {**one.to_dict(), "slices": usual_slices(one)} for key, one in reports.items()}
    )
    lines = (json.dumps(event, allow_nan=False) + "\n" for event in history)
    (folder / "history.jsonl").write_text("".join(lines), "utf-8")
    frames = [report.predictions() for report in reports.values()]
    pl.concat(frames, how="diagonal").write_parquet(folder / "predictions.parquet")
    losses = [event["loss"] for event in history if event["event"] == "step"]
    epochs = [(e["step"], e["validation_loss"]) for e in history if e["event"] == "epoch"]
    title = f"{name}: {judge.encoder['name']} on {Path(data.train.table.origin).name}"
    save_figure(loss_figure(losses, epochs, title), folder / "figures", "loss")
    (folder / "README.md").write_text(model_card(name, data, reports, record), "utf-8")
