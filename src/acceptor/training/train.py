"""`train`: one training, from data to a run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.config import Derived, TrainConfig, safer
from acceptor.data.auditing.duplicates import fingerprints, load_fingerprints
from acceptor.data.load import load_data
from acceptor.data.split import check_trainable, with_batch, with_validation
from acceptor.data.table import Data, Split
from acceptor.evaluation.calibration import calibrate
from acceptor.evaluation.evaluate import Report, report_of
from acceptor.judging.decision import MOST_PROBABLE
from acceptor.judging.judge import PAIRS, SENTENCES, Judge
from acceptor.model.batches import epoch_batches, padding_ratio
from acceptor.model.classifier import check_tokens, longest_input, new_classifier
from acceptor.model.encode import Encoded, encode
from acceptor.model.legible import refuse_strangers, warn_of_texts
from acceptor.model.pretrained import Encoder, find_encoder
from acceptor.model.tokenizer import check_length, load_tokenizer
from acceptor.progress import meter
from acceptor.runs.checkpoint import Progress, has_checkpoint
from acceptor.runs.place import check_out, check_room, paths_of, refuse_within, replacing, restarted, set_aside
from acceptor.runtime.contention import giving_way
from acceptor.runtime.device import Runtime, choose_runtime, keep_freed_memory
from acceptor.runtime.processes import place_among_processes, process_group
from acceptor.storage.files import new_folder
from acceptor.storage.lock import one_writer
from acceptor.text import shell
from acceptor.training.checkpoint import Checkpoints
from acceptor.training.collapse import CollapseError, check_collapse
from acceptor.training.flat_adamw import FlatAdamW
from acceptor.training.hearing import is_trial, tell_epoch
from acceptor.training.loop import EpochEnd, Skipped, Step, fit, rows_named
from acceptor.training.record import record_of, say, told, validation_of, write_run
from acceptor.training.resume import begun_with, restarted_with
from acceptor.training.signals import agreed, signals_held
from acceptor.training.static import choose_static_steps

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
    place = place_among_processes()
    with (
        one_writer(out) if place.leads else contextlib.nullcontext(),
        replacing(out) if place.leads else contextlib.nullcontext(),
    ):
        check_out(out, overwrite=overwrite, resume=resume)
        if resume and config.on_collapse == "restart":
            config = restarted_with(out, config)
        try:
            return _train(data, out, config, None, overwrite=overwrite, resume=resume, allow_change=allow_change)
        except CollapseError as error:
            if config.on_collapse != "restart" or place.world > 1:
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
    check_trainable(data)
    config, lowered = with_batch(config, data)
    runtime = choose_runtime(config.device, config.precision, place_among_processes())
    keep_freed_memory()
    found = find_encoder(config.encoder)
    refuse_within(out, [found.folder, *paths_of(data)])
    judge, encoded, derived = _prepare(data, found, config, runtime)
    weight_bytes = 4 * sum(p.numel() for p in judge.model.parameters())
    check_room(out, weight_bytes, keeps_best=config.select == "best")
    derived = [*lowered, *derived, *runtime.derived, Derived("split", config.split or "derived", split_reason)]
    if runtime.leads:
        say(data, judge, derived)
        if overwrite:
            set_aside(out)
    prepared = time.perf_counter()
    with process_group(runtime):
        history = _fit(judge, data, encoded, config, out, earlier, resume=resume, allow_change=allow_change)
    seconds = {"prepare": prepared - started, "train": time.perf_counter() - prepared}
    judge, reports, fitted = _reports(judge, data, encoded, config)
    record = record_of(judge, data, config, [*derived, *fitted], seconds, history)
    run = Run(out, judge, reports, history, record)
    if runtime.leads:
        with new_folder(out) as folder:
            write_run(folder, judge, data, reports, history, record, name=out.name)
    return run


def _prepare(
    data: Data, encoder: Encoder, config: TrainConfig, runtime: Runtime
) -> tuple[Judge, dict[str, Encoded], list[Derived]]:
    """The untrained judge, every split's ids, and what was derived on the way."""
    tokenizer = load_tokenizer(encoder.folder)
    pairs = data.train.seconds is not None
    model = new_classifier(encoder, data.labels, config.seed, keep_head=config.keep_head).to(runtime.device)
    check_tokens(tokenizer, model)
    limit = min(config.max_length, longest_input(model.config, tokenizer))
    check_length(tokenizer, limit, pairs=pairs)
    encoded = {split.name: encode(tokenizer, split.sentences, split.seconds, max_length=limit) for split in data.splits}
    for split in data.splits:
        warn_of_texts(tokenizer, encoded[split.name], split)
    train = encoded["train"]
    refuse_strangers(train, encoder.name, data.train)
    longest = max(int(ids.lengths.max()) for ids in encoded.values())
    static, choices = choose_static_steps(runtime, config)
    length = Derived("max_length", min(limit, longest), f"{train.truncation()} in train; the limit is {limit}")
    batches = epoch_batches(
        train.lengths, config.batch_size, seed=config.batch_seed, epoch=1, bucketed=config.order == "bucketed"
    )
    ratio = padding_ratio(train.lengths, batches, static=limit if static else None)
    padding = Derived("padding", round(ratio, 4), f"positions computed per real token, {config.order} batches")
    trained_on, known = trained_on_by(encoder, data.train)
    inputs = PAIRS if pairs else SENTENCES
    about = encoder.to_dict()
    judge = Judge(model, tokenizer, data.labels, limit, runtime, about, trained_on=trained_on, inputs=inputs)
    judge = dataclasses.replace(judge, written=data.train.written)
    return judge, encoded, [length, padding, *known, *choices]


def trained_on_by(encoder: Encoder, train: Split) -> tuple[npt.NDArray[np.uint64], list[Derived]]:
    """Fingerprints of all that the judge will have learnt from: train, and what its encoder was trained on before."""
    own, before = fingerprints(train), load_fingerprints(encoder.folder)
    if before is None:
        return own, []
    reason = f"rows that {encoder.name} learnt from; in reports they count as rows that stand in train"
    return np.union1d(own, before), [Derived("learnt before", len(before), reason)]


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
    optimizer = _new_optimizer(judge, encoded["train"], config)
    settings = _begun_with(judge, data, config)
    checkpoints = Checkpoints(out, judge.model, optimizer, settings, writes=runtime.leads)
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
        giving_way(),
        meter("training", steps, "steps", silent=not runtime.leads) as bar,
    ):
        for event in fit(judge, optimizer, encoded["train"], data.train.gold, encoded["validation"], config, done):
            line, words = told(event, data, config)
            history.append(line)
            if isinstance(event, EpochEnd):
                line["collapse"] = check_collapse(event, history, data.train, validation_of(data), config)
                best = _best_weights(best, judge, history, config)
                logger.log(logging.INFO if runtime.leads else logging.DEBUG, words)
                if checkpoints.due(epoch_ends=True):
                    checkpoints.save(Progress(event.epoch, event.step, event.seconds), best, history)
                tell_epoch(history)
                continue
            bar.advance(1, words)
            if isinstance(event, Skipped):
                logger.warning(words)
            elif event.step == optimizer.steps:  # else its loss came late, and the weights are further on
                stopping = agreed(bool(stop), runtime.device, runtime.world)
                if stopping or checkpoints.due():
                    checkpoints.save(_progress(event, history), best, history)
                if stopping:
                    logger.info("stopped at step %d; this goes on: acceptor train %s --resume", event.step, shell(out))
                    break
    optimizer.release(judge.model)
    if best:
        judge.model.load_state_dict(best)
    judge.model.eval()
    return history


def _new_optimizer(judge: Judge, train: Encoded, config: TrainConfig) -> FlatAdamW:
    static, _ = choose_static_steps(judge.runtime, config)
    bf16, pad_id = judge.runtime.precision == "bf16", judge.tokenizer.pad_token_id
    return FlatAdamW(judge.model, config, bf16=bf16, ids=train.ids, pad_id=pad_id, static=static)


def _begun_with(judge: Judge, data: Data, config: TrainConfig) -> dict[str, Any]:
    """What a checkpoint says of its training, for those who go on with it."""
    return {
        "config": config.model_dump(),
        "encoder": judge.encoder,
        "data": data.to_dict(),
        "labels": list(data.labels),
        "source": data.source,
        "directory": os.getcwd(),
    }


def _progress(event: Step, history: list[dict[str, Any]]) -> Progress:
    """Where the training stands behind a step, with the loss of its epoch so far."""
    lines = [line for line in history if line["event"] == "step" and line["epoch"] == event.epoch]
    loss = sum(line["loss"] * line["examples"] for line in lines)
    return Progress(event.epoch - 1, event.step, event.seconds, loss, sum(line["examples"] for line in lines))


def _reports(
    judge: Judge, data: Data, encoded: dict[str, Encoded], config: TrainConfig
) -> tuple[Judge, dict[str, Report], list[Derived]]:
    """The finished judge, with its decision; its reports on validation and, where there is one, on test."""
    logits = {split.name: judge.logits_of(encoded[split.name]) for split in data.splits if split.name != "train"}
    fitted: list[Derived] = []
    if config.calibrate:
        decision, fitted = calibrate(logits["validation"], validation_of(data).gold, config.metric)
        judge = dataclasses.replace(judge, decision=decision)
        for item in fitted:
            logger.log(logging.INFO if judge.runtime.leads else logging.DEBUG, "%-12s%s: %s", *item)
    selects = config.select == "best" or judge.decision != MOST_PROBABLE or is_trial()
    chosen = {"validation": selects, "test": False}
    if chosen["validation"]:
        judge = dataclasses.replace(judge, selected_on=validation_of(data).table.sha256)
    reports = {
        split.name: report_of(
            split,
            logits[split.name],
            selected=chosen[split.name],
            decision=judge.decision,
            trained_on=judge.trained_on,
        )
        for split in data.splits
        if split.name in logits
    }
    return judge, reports, fitted


def _best_weights(
    best: dict[str, Any], judge: Judge, history: list[dict[str, Any]], config: TrainConfig
) -> dict[str, Any]:
    """The best epoch's weights so far where they are asked for; an epoch whose metric is not defined is the worst."""
    epochs = [line[config.metric] for line in history if line["event"] == "epoch"]
    values = [-math.inf if value is None else value for value in epochs]
    if config.select == "last" or (values[-1] <= max(values[:-1], default=-math.inf) and best):
        return best
    return {name: weight.clone() for name, weight in judge.model.state_dict().items()}
