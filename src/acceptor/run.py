"""`train`: one training, from data to a run folder."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from acceptor.batches import epoch_batches, padding_ratio
from acceptor.begun import begun_with, restarted_with
from acceptor.config import Derived, TrainConfig, safer
from acceptor.data.load import load_data
from acceptor.data.split import check_trainable, with_validation
from acceptor.data.table import Data, Split
from acceptor.encode import Encoded, encode, load_tokenizer
from acceptor.evaluation.evaluate import Report, report_of
from acceptor.files import new_folder, one_writer, write_json
from acceptor.judge import Judge
from acceptor.model.classifier import check_tokens, longest_input, new_classifier
from acceptor.model.pretrained import Encoder, find_encoder
from acceptor.out import check_out, check_room, restarted
from acceptor.progress import meter
from acceptor.report.card import model_card
from acceptor.report.figures import loss_figure, save_figure
from acceptor.runtime import (
    Runtime,
    choose_runtime,
    keep_freed_memory,
    process_group,
    source_commit,
    versions,
)
from acceptor.training.checkpoint import Checkpoints, Progress, has_checkpoint
from acceptor.training.guard import CollapseError, heed
from acceptor.training.learner import Learner
from acceptor.training.loop import EpochEnd, Skipped, Step, fit, rows_named
from acceptor.training.static import choose_steps
from acceptor.training.stopping import agreed, signals_held

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished training.

    Attributes:
        folder: Where it was written.
        judge: The judge that came out.
        reports: One report per judged split, by name: `validation`, and `test` where there is one.
        history: One dict per step and per epoch, as in ``history.jsonl``.
        record: What ``run.json`` holds: config, derived values, data, versions, machine, timing.
    """

    folder: Path
    judge: Judge
    reports: dict[str, Report]
    history: list[dict[str, Any]]
    record: dict[str, Any]

    @property
    def report(self) -> Report:
        """The validation report."""
        return self.reports["validation"]

    def __repr__(self) -> str:
        return f"Run({self.folder} · {self.report})"

    def to_dict(self) -> dict[str, Any]:
        """Reports and record, for JSON."""
        reports = {name: report.to_dict() for name, report in self.reports.items()}
        return {"folder": str(self.folder), "reports": reports, **self.record}


def train(
    data: Any,
    *,
    out: str | Path,
    encoder: str | None = None,
    config: TrainConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    allow_change: bool = False,
) -> Run:
    """Fine-tunes an encoder on ``data`` and writes the run folder ``out``.

    Every epoch, every minute, SIGINT and SIGTERM leave a checkpoint in ``out``, so a training that was
    stopped can go on. Under ``torchrun`` every process calls this; only the first one writes.

    Args:
        data: A `Data`, or anything that `load_data` takes.
        out: The run folder to make.
        encoder: Short for ``config.encoder``.
        config: All settings; defaults where None.
        overwrite: Replace a run that stands at ``out``.
        resume: Go on from the newest whole checkpoint in ``out``, with the same data and settings.
        allow_change: Where it goes on, take a learning rate and the like that differ from the first ones.

    Raises:
        UsageError: ``out`` is taken, a setting does not fit the machine, or has changed since.
        DataError: The data cannot be read, or cannot be trained on.
        EncoderError: The encoder cannot be found or read.
        RunError: There is nothing to resume, or it is damaged, or another process is writing ``out``.
        ResourceError: The disk has no room for the run, or ``out`` cannot be written.
        TrainingError: The loss became infinite or NaN, or the judge collapsed to one verdict (`training.guard`).
    """
    config = config or TrainConfig()
    if encoder is not None:
        config = config.model_copy(update={"encoder": encoder})
    out = Path(out).expanduser()
    if restarted() and has_checkpoint(out):
        resume, overwrite = True, False
    leads = int(os.environ.get("RANK", 0)) == 0
    with one_writer(out) if leads else contextlib.nullcontext():
        check_out(out, overwrite=overwrite, resume=resume)
        if resume and config.on_collapse == "restart":
            config = restarted_with(out, config)
        try:
            return _train(data, out, config, None, overwrite=overwrite, resume=resume, allow_change=allow_change)
        except CollapseError as error:
            if config.on_collapse != "restart" or int(os.environ.get("WORLD_SIZE", 1)) > 1:
                raise
            config = safer(config)
            logger.warning("%s", f"{error.problem}; beginning again with seed {config.seed} and safer settings")
            shutil.rmtree(out, ignore_errors=True)  # it held checkpoints alone
            return _train(
                data, out, config, error.collapse.to_dict(), overwrite=False, resume=False, allow_change=False
            )


def resume(run: str | Path, *, changes: Mapping[str, Any] | None = None, allow_change: bool = False) -> Run:
    """Goes on with a training that was stopped, with the data and settings that it was begun with.

    Args:
        run: Its run folder.
        changes: Settings by name that are to differ from here on; see ``allow_change`` of `train`.
        allow_change: Take them.

    Raises:
        UsageError: The run is finished; or its data were objects in Python, which no checkpoint holds.
        RunError: There is nothing to resume, or it is damaged.
        AcceptorError: Whatever `load_data` and `train` raise.
    """
    folder = Path(run).expanduser()
    check_out(folder, overwrite=False, resume=True)
    data, config = begun_with(folder, changes or {})
    return train(data, out=folder, config=config, resume=True, allow_change=allow_change)


def _train(
    data: Any,
    out: Path,
    config: TrainConfig,
    earlier: dict[str, Any] | None,
    *,
    overwrite: bool,
    resume: bool,
    allow_change: bool,
) -> Run:
    """``earlier``: the collapse after which this training begins again."""
    started = time.perf_counter()
    data = data if isinstance(data, Data) else load_data(data)
    data, split_reason = with_validation(data, config.split, share=config.validation_share, seed=config.seed)
    check_trainable(data, config.batch_size)
    runtime = choose_runtime(config.device, config.precision)
    keep_freed_memory()
    found = find_encoder(config.encoder)
    judge, encoded, derived = _prepare(data, found, config, runtime)
    weight_bytes = 4 * sum(p.numel() for p in judge.model.parameters())
    check_room(out, weight_bytes, keeps_best=config.select == "best", overwrite=overwrite)
    derived = [*derived, *runtime.derived, Derived("split", config.split or "derived", split_reason)]
    if runtime.leads:
        _say(data, judge, derived)
        if overwrite and out.exists():
            shutil.rmtree(out)
    prepared = time.perf_counter()
    with process_group(runtime):
        history = _fit(judge, data, encoded, config, out, earlier, resume=resume, allow_change=allow_change)
    seconds = {"prepare": prepared - started, "train": time.perf_counter() - prepared}
    record = _record(judge, data, config, derived, seconds, history)
    run = Run(out, judge, _reports(judge, data, encoded, config), history, record)
    if runtime.leads:
        with new_folder(out) as folder:
            _write(run, data, folder)
    return run


def _record(
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


def _prepare(
    data: Data, encoder: Encoder, config: TrainConfig, runtime: Runtime
) -> tuple[Judge, dict[str, Encoded], list[Derived]]:
    """The untrained judge, every split's ids, and what was derived on the way."""
    tokenizer = load_tokenizer(encoder.folder)
    model = new_classifier(encoder, data.labels, config.seed).to(runtime.device)
    check_tokens(tokenizer, model)
    limit = min(config.max_length, longest_input(model.config, tokenizer))
    encoded = {split.name: encode(tokenizer, split.sentences, split.seconds, max_length=limit) for split in data.splits}
    train = encoded["train"]
    longest = max(int(ids.lengths.max()) for ids in encoded.values())
    static, choices = choose_steps(runtime, config)
    length = Derived("max_length", min(limit, longest), f"{train.truncation()} in train; the limit is {limit}")
    batches = epoch_batches(
        train.lengths, config.batch_size, seed=config.batch_seed, epoch=1, bucketed=config.order == "bucketed"
    )
    ratio = padding_ratio(train.lengths, batches, static=limit if static else None)
    padding = Derived("padding", round(ratio, 4), f"positions computed per real token, {config.order} batches")
    judge = Judge(model, tokenizer, data.labels, limit, runtime, encoder.to_dict())
    return judge, encoded, [length, padding, *choices]


def _fit(
    judge: Judge,
    data: Data,
    encoded: dict[str, Encoded],
    config: TrainConfig,
    out: Path,
    earlier: dict[str, Any] | None,
    *,
    resume: bool,
    allow_change: bool,
) -> list[dict[str, Any]]:
    """Runs the loop and leaves the weights that `config.select` asks for in the judge.

    Checkpoints after every epoch, about every minute, and when SIGINT or SIGTERM comes.
    """
    runtime = judge.runtime
    ids, pad_id = encoded["train"].ids, judge.tokenizer.pad_token_id
    static, _ = choose_steps(runtime, config)
    bf16 = runtime.precision == "bf16"
    learner = Learner(judge.model, config, bf16=bf16, ids=ids, pad_id=pad_id, static=static)
    settings: dict[str, Any] = {"config": config.model_dump(), "encoder": judge.encoder, "data": data.to_dict()}
    settings |= {"labels": list(data.labels), "source": data.source, "directory": os.getcwd()}
    checkpoints = Checkpoints(out, judge.model, learner, settings, writes=runtime.leads)
    done = Progress()
    history: list[dict[str, Any]] = [{"event": "restart", **earlier}] if earlier else []
    best: dict[str, Any] = {}
    if resume:
        done, history, best = checkpoints.load(allow_change=allow_change)
        logger.info("going on after epoch %d, step %d", done.epoch, done.step)
    steps = config.epochs * math.ceil(len(data.train) / config.batch_size) - done.step
    with (
        rows_named(data.train.table),
        signals_held() as stop,
        meter("training", steps, "steps", silent=not runtime.leads) as bar,
    ):
        for event in fit(judge, learner, encoded["train"], data.train.gold, encoded["validation"], config, done):
            line, words = _told(event, data, config)
            history.append(line)
            if isinstance(event, EpochEnd):
                line["collapse"] = heed(event, history, data.train, _validation(data), config)
                best = _best_weights(best, judge, history, config)
                logger.log(logging.INFO if runtime.leads else logging.DEBUG, words)
                if checkpoints.due(epoch_ends=True):
                    checkpoints.save(Progress(event.epoch, event.step, event.seconds), best, history)
                continue
            bar.advance(1, words)
            if isinstance(event, Skipped):
                logger.warning(words)
            elif event.step == learner.steps:  # else its loss came late, and the weights are further on
                stopping = agreed(bool(stop), runtime.device, runtime.world)
                if stopping or checkpoints.due():
                    checkpoints.save(_progress(event, history), best, history)
                if stopping:
                    logger.info("stopped at step %d; this goes on: acceptor train %s --resume", event.step, out)
                    break
    learner.release(judge.model)
    if best:
        judge.model.load_state_dict(best)
    judge.model.eval()
    return history


def _told(event: Step | Skipped | EpochEnd, data: Data, config: TrainConfig) -> tuple[dict[str, Any], str]:
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
    report = report_of(_validation(data), event.logits)
    return _epoch_line(event, report), f"{at}: train loss {event.train_loss:.3f}, {report!r}"


def _progress(event: Step, history: list[dict[str, Any]]) -> Progress:
    """Where the training stands behind a step, with the loss of its epoch so far."""
    lines = [line for line in history if line["event"] == "step" and line["epoch"] == event.epoch]
    loss = sum(line["loss"] * line["examples"] for line in lines)
    return Progress(event.epoch - 1, event.step, event.seconds, loss, sum(line["examples"] for line in lines))


def _reports(judge: Judge, data: Data, encoded: dict[str, Encoded], config: TrainConfig) -> dict[str, Report]:
    """The finished judge on validation and, where there is one, on test."""
    chosen = {"validation": config.select == "best", "test": False}
    return {
        split.name: report_of(split, judge.logits_of(encoded[split.name]), selected=chosen[split.name])
        for split in data.splits
        if split.name != "train"
    }


def _validation(data: Data) -> Split:
    assert data.validation is not None  # noqa: S101 - with_validation made it
    return data.validation


def _best_weights(
    best: dict[str, Any], judge: Judge, history: list[dict[str, Any]], config: TrainConfig
) -> dict[str, Any]:
    """The best epoch's weights so far where they are asked for; an epoch whose metric is not defined is the worst."""
    epochs = [line[config.metric] for line in history if line["event"] == "epoch"]
    values = [-math.inf if value is None else value for value in epochs]
    if config.select == "last" or (values[-1] <= max(values[:-1], default=-math.inf) and best):
        return best
    return {name: weight.clone() for name, weight in judge.model.state_dict().items()}


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


def _say(data: Data, judge: Judge, derived: list[Derived]) -> None:
    """Tells what was derived, and why, before the long part begins."""
    logger.info("%-12s%s", "data", data)
    logger.info("%-12s%s: %s", "encoder", judge.encoder["name"], judge.encoder["architecture"])
    for item in derived:
        logger.info("%-12s%s: %s", item.name, item.value, item.reason)


def _write(run: Run, data: Data, folder: Path) -> None:
    run.judge.save(folder)
    write_json(folder / "run.json", run.record)
    write_json(folder / "report.json", {name: report.to_dict() for name, report in run.reports.items()})
    lines = (json.dumps(event, allow_nan=False) + "\n" for event in run.history)
    (folder / "history.jsonl").write_text("".join(lines), "utf-8")
    frames = [report.predictions() for report in run.reports.values()]
    pl.concat(frames, how="diagonal").write_parquet(folder / "predictions.parquet")
    losses = [event["loss"] for event in run.history if event["event"] == "step"]
    epochs = [(e["step"], e["validation_loss"]) for e in run.history if e["event"] == "epoch"]
    title = f"{run.folder.name}: {run.judge.encoder['name']} on {Path(data.train.table.origin).name}"
    save_figure(loss_figure(losses, epochs, title), folder / "figures", "loss")
    (folder / "README.md").write_text(model_card(run.folder.name, data, run.reports, run.record), "utf-8")
