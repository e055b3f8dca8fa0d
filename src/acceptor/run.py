"""`train`: one training, from data to a run folder."""

from __future__ import annotations

import datetime
import itertools
import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from acceptor.batches import epoch_batches, padding_ratio
from acceptor.config import Derived, TrainConfig
from acceptor.data.load import load_data
from acceptor.data.split import with_validation
from acceptor.data.table import Data, Split
from acceptor.encode import Encoded, encode, load_tokenizer
from acceptor.errors import DataError
from acceptor.evaluation.evaluate import Report, report_of
from acceptor.evaluation.metrics import METRICS
from acceptor.judge import Judge
from acceptor.model.classifier import new_classifier
from acceptor.model.pretrained import Encoder, find_encoder
from acceptor.progress import meter
from acceptor.report.card import model_card
from acceptor.report.figures import loss_figure, save_figure
from acceptor.run_folder import check_out, check_room, new_run_folder, write_json
from acceptor.runtime import (
    Runtime,
    choose_runtime,
    keep_freed_memory,
    process_group,
    seed_everything,
    source_commit,
    versions,
)
from acceptor.training.loop import EpochEnd, Step, fit

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
    def leads(self) -> bool:
        """True in the process that writes; under ``torchrun`` the others only compute."""
        return self.judge.runtime.rank == 0

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
) -> Run:
    """Fine-tunes an encoder on ``data`` and writes the run folder ``out``.

    Under ``torchrun`` every process calls this; only the first one writes.

    Args:
        data: A `Data`, or anything that `load_data` takes.
        out: The run folder to make.
        encoder: Short for ``config.encoder``.
        config: All settings; defaults where None.
        overwrite: Replace a run that stands at ``out``.

    Raises:
        UsageError: ``out`` is taken, or a setting does not fit the machine.
        DataError: The data cannot be read, or cannot be trained on.
        EncoderError: The encoder cannot be found or read.
        ResourceError: The disk has no room for the run.
        TrainingError: The loss became infinite or NaN.
    """
    started = time.perf_counter()
    config = config or TrainConfig()
    if encoder is not None:
        config = config.model_copy(update={"encoder": encoder})
    out = Path(out).expanduser()
    check_out(out, overwrite=overwrite)
    data = data if isinstance(data, Data) else load_data(data)
    data, split_reason = with_validation(data, config.split, share=config.validation_share, seed=config.seed)
    _check_trainable(data, config)
    runtime = choose_runtime(config.device, config.precision)
    keep_freed_memory()
    found = find_encoder(config.encoder)
    judge, encoded, derived = _prepare(data, found, config, runtime)
    check_room(out, 4 * sum(p.numel() for p in judge.model.parameters()))
    derived = [*derived, *runtime.derived, Derived("split", config.split or "derived", split_reason)]
    _say(data, judge, derived)
    prepared = time.perf_counter()

    with process_group(runtime):
        history, reports = _fit(judge, data, encoded, config)
    trained = time.perf_counter()
    record = {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": config.model_dump(),
        "derived": [item._asdict() for item in derived],
        "encoder": found.to_dict(),
        "data": data.to_dict(),
        "machine": runtime.to_dict(),
        "versions": versions(),
        "commit": source_commit(),
        "seconds": {"prepare": prepared - started, "train": trained - prepared},
    }
    run = Run(out, judge, reports, history, record)
    if run.leads:
        with new_run_folder(out) as folder:
            _write(run, data, folder)
    return run


def default_out(source: str, encoder: str) -> Path:
    """The first free path among ``runs/SOURCE-ENCODER``, ``runs/SOURCE-ENCODER-2`` and so on."""
    parts = [part for part in Path(source).absolute().parts if part not in ("raw", "tokenized")]
    name = f"{Path(parts[-1]).name.split('.')[0]}-{Path(encoder).name}"
    numbered = (f"{name}-{number}" if number > 1 else name for number in itertools.count(1))
    return next(path for path in (Path("runs") / each for each in numbered) if not path.exists())


def _check_trainable(data: Data, config: TrainConfig) -> None:
    for split in data.splits:
        if len(split) < 2:
            raise DataError(
                f"the {split.name} split has {len(split)} example",
                where=split.table.origin,
                expected="2 examples at least; a score needs hundreds",
                next="give a larger file, or let it be cut from train: --split stratified",
            )
        split.gold  # noqa: B018 - raises where a split has no labels
    if len(data.train) < config.batch_size:
        raise DataError(
            "the training split is smaller than one batch",
            where=data.train.table.origin,
            expected=f"{config.batch_size} examples (batch_size)",
            found=f"{len(data.train)}",
            next=f"take smaller batches: --batch-size {max(1, len(data.train) // 8)}",
        )


def _prepare(
    data: Data, encoder: Encoder, config: TrainConfig, runtime: Runtime
) -> tuple[Judge, dict[str, Encoded], list[Derived]]:
    """The untrained judge, every split's ids, and what was derived on the way."""
    tokenizer = load_tokenizer(encoder.folder)
    model = new_classifier(encoder, data.labels, config.seed).to(runtime.device)
    limit = min(config.max_length, _longest_input(model.config, tokenizer))
    encoded = {split.name: encode(tokenizer, split.sentences, split.seconds, max_length=limit) for split in data.splits}
    train = encoded["train"]
    longest = max(int(ids.lengths.max()) for ids in encoded.values())
    length = Derived("max_length", min(limit, longest), f"{train.truncation()} in train; the limit is {limit}")
    batches = epoch_batches(
        train.lengths, config.batch_size, seed=config.seed, epoch=1, bucketed=config.order == "bucketed"
    )
    ratio = padding_ratio(train.lengths, batches)
    padding = Derived("padding", round(ratio, 4), f"positions computed per real token, {config.order} batches")
    judge = Judge(model, tokenizer, data.labels, limit, runtime, encoder.to_dict())
    return judge, encoded, [length, padding]


def _longest_input(model_config: Any, tokenizer: Any) -> int:
    """The longest input in tokens that the encoder has positions for."""
    positions = getattr(model_config, "max_position_embeddings", None) or 512
    if model_config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= model_config.pad_token_id + 1  # their positions are counted from the padding id
    return int(min(positions, tokenizer.model_max_length))


def _fit(
    judge: Judge, data: Data, encoded: dict[str, Encoded], config: TrainConfig
) -> tuple[list[dict[str, Any]], dict[str, Report]]:
    """Runs the loop, keeps the weights that `config.select` asks for, and judges validation and test."""
    history: list[dict[str, Any]] = []
    validation: Split = data.validation  # type: ignore[assignment]  # with_validation made it
    kept: Report | None = None
    best_weights: dict[str, Any] | None = None
    seed_everything(config.seed + judge.runtime.rank)  # processes must not draw the same dropout
    total = config.epochs * math.ceil(len(data.train) / config.batch_size)
    with meter("training", total, "steps", silent=judge.runtime.rank != 0) as bar:
        for event in fit(judge, encoded["train"], data.train.gold, encoded["validation"], config):
            if isinstance(event, Step):
                history.append({"event": "step", **vars(event)})
                rate = config.batch_size * event.step / event.seconds
                note = f"epoch {event.epoch}/{config.epochs} · loss {event.loss:.3f} · {rate:.0f} sentences/s"
                bar.advance(1, note)
                continue
            report = report_of(validation, event.logits, selected=config.select == "best")
            history.append(_epoch_line(event, report))
            if judge.runtime.rank == 0:
                logger.info("epoch %d/%d: train loss %.3f, %r", event.epoch, config.epochs, event.train_loss, report)
            if kept is None or config.select == "last" or _beats(report, kept, config.metric):
                kept = report
                if config.select == "best":
                    best_weights = {name: weight.clone() for name, weight in judge.model.state_dict().items()}
    if best_weights is not None:
        judge.model.load_state_dict(best_weights)
    judge.model.eval()
    reports = {} if kept is None else {"validation": kept}
    if data.test is not None:
        reports["test"] = report_of(data.test, judge.logits_of(encoded["test"]))
    return history, reports


def _beats(report: Report, best: Report, metric: str) -> bool:
    """True where the metric is defined and higher, or the best one so far was not defined."""
    new, old = METRICS[metric](report.confusion), METRICS[metric](best.confusion)
    return new > old or (math.isnan(old) and not math.isnan(new))


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
    if judge.runtime.rank:
        return
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
    title = f"{run.folder.name}: {run.judge.encoder['name']} on {data.train.table.origin}"
    save_figure(loss_figure(losses, epochs, title), folder / "figures", "loss")
    (folder / "README.md").write_text(model_card(run.folder.name, data, run.reports, run.record), "utf-8")
