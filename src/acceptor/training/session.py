"""Runs the training loop: writes history, log and checkpoints, handles signals, keeps the best epoch's weights."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acceptor.config import Derived, ResolvedConfig, TrainConfig
from acceptor.data.minimal_pairs import pair_numbers
from acceptor.data.table import Data
from acceptor.errors import TrainingError
from acceptor.judging.decision import Logits
from acceptor.judging.judge import Judge
from acceptor.model.encode import Encoded
from acceptor.progress import Meter, meter
from acceptor.runs.checkpoint import Progress, TrainingSetup
from acceptor.runs.folder import in_set, resume_command
from acceptor.runs.history import Collapse, EpochLine, Line, RestartLine, StepLine, as_dicts, lines_of
from acceptor.runtime.contention import shorter_spins_under_load
from acceptor.runtime.device import Runtime
from acceptor.runtime.processes import process_rank
from acceptor.text import Json
from acceptor.training.checkpoint import Checkpoints
from acceptor.training.collapse import check_collapse
from acceptor.training.flat_adamw import FlatAdamW
from acceptor.training.loop import EpochEnd, Skipped, Step, fit, rows_named
from acceptor.training.record import best_epoch, epoch_line, skip_line, step_line, validation_of
from acceptor.training.signals import any_process, deferred_signals

if TYPE_CHECKING:
    from acceptor.training.checkpoint import Tensors

logger = logging.getLogger(__name__)

STOPPING = "stopping after this step, with a checkpoint"
OnEpoch = Callable[[list[Json]], None]


@dataclass(frozen=True)
class Request:
    """The arguments of `train`.

    Attributes:
        out: The run folder to write.
        config: The settings as given.
        overwrite: As for `train`.
        resume: As for `train`.
        allow_change: As for `train`.
        on_epoch: As for `train`.
        compared: True if validation scores decide which of several trainings is kept.
        earlier: The collapse after which this training was restarted; None if it was not.
        derived: The settings that were not given, with their reasons, which checkpoints keep.
    """

    out: Path
    config: TrainConfig
    overwrite: bool = False
    resume: bool = False
    allow_change: bool = False
    on_epoch: OnEpoch | None = None
    compared: bool = False
    earlier: Collapse | None = None
    derived: tuple[Derived, ...] = ()


def run_loop(
    judge: Judge, data: Data, encoded: dict[str, Encoded], config: ResolvedConfig, request: Request, *, static: bool
) -> tuple[list[Line], Logits | None, list[Derived]]:
    """Runs the loop and puts the weights that ``config.select`` chooses into the judge.

    Writes a checkpoint after every epoch, about every minute if that is cheap (`Checkpoints.due`), and on a signal.

    Args:
        judge: The judge to train.
        data: All splits.
        encoded: The token ids of each split, by name.
        config: The settings.
        request: The arguments of `train`.
        static: Train in static shapes.

    Returns:
        The history; validation logits of the kept weights, None if an earlier process computed them; derived settings.
    """
    train, runtime = encoded["train"], judge.runtime
    optimizer = _new_optimizer(judge, train, config, static=static)
    setup = _setup(judge, data, config, request.derived)
    checkpoints = Checkpoints(request.out, judge.model, optimizer, setup, writes=runtime.is_main_process)
    done, history, best = _begin(checkpoints, request)
    pairs = pair_numbers(data.train) if checkpoints.pairs_together else None
    steps = config.epochs * math.ceil(len(data.train) / config.batch_size) - done.step
    logits, stopping, again = None, False, resume_command(request.out, data.source)
    with (
        rows_named(data.train.table),
        deferred_signals(STOPPING if runtime.is_main_process else "") as stop,
        shorter_spins_under_load(),
        meter("training", steps, "steps", silent=not runtime.is_main_process) as bar,
    ):
        for event in fit(judge, optimizer, train, data.train.targets, encoded["validation"], config, done, pairs=pairs):
            if isinstance(event, EpochEnd):
                stopping = any_process(bool(stop), runtime.device, runtime.world_size)
                history.append(_epoch_line(event, history, data, config, stopping=stopping))
                if config.select == "last" or not best or _is_best(lines_of(history, EpochLine), config.metric):
                    logits = event.logits
                    best = {} if config.select == "last" else _weights(judge)
                is_saved = _save_epoch(event, history, best, checkpoints, request.on_epoch)
                stopping = any_process(bool(stop), runtime.device, runtime.world_size)
                if stopping and not is_saved:
                    checkpoints.save(_after_epoch(event), best, history)
            else:
                history.append(_step_line(event, data, config, bar))
                if event.step < optimizer.steps:  # later steps have changed the weights already
                    continue
                stopping = any_process(bool(stop), runtime.device, runtime.world_size)
                if stopping or checkpoints.due():
                    checkpoints.save(_progress(event, history), best, history)
            if stopping:
                _log_stop(runtime, event.step, request.out, again)
                break
    if stopping:  # the signal arrived in another process, or its handler has returned
        raise StoppedError(optimizer.steps, request.out, again)
    optimizer.release(judge.model)
    if best:
        judge.model.load_state_dict(best)
    judge.model.eval()
    return history, logits, checkpoints.settings.derived


def _log_stop(runtime: Runtime, step: int, out: Path, again: str) -> None:
    if runtime.is_main_process:
        following = "" if in_set(out) else f"; resume it: {again}"  # a set says so for all of its trainings
        logger.warning("stopped at step %d%s", step, following)


def _begin(checkpoints: Checkpoints, request: Request) -> tuple[Progress, list[Line], Tensors]:
    """The progress, the history and the best weights so far: none, or those of the newest checkpoint."""
    if not request.resume:
        earlier = request.earlier
        return Progress(), [RestartLine(event="restart", **earlier.to_dict())] if earlier else [], {}
    done, history, best = checkpoints.load(allow_change=request.allow_change)
    logger.info("resuming after epoch %d, step %d", done.epoch, done.step)
    return done, history, best


def _new_optimizer(judge: Judge, train: Encoded, config: ResolvedConfig, *, static: bool) -> FlatAdamW:
    bf16, pad_id = judge.runtime.precision == "bf16", judge.tokenizer.pad_token_id
    return FlatAdamW(judge.model, config, bf16=bf16, ids=train.ids, pad_id=pad_id, static=static)


class StoppedError(TrainingError):
    """A training was stopped by a signal whose handler returned, or in another process. It is no failed training."""

    def __init__(self, step: int, out: Path, again: str) -> None:
        super().__init__(
            "the training was stopped",
            where=f"{out}, step {step}",
            cause="SIGINT or SIGTERM, in this process or in another one of torchrun's",
            next=again,
            code="E-TRAINING-STOPPED",
        )


def _setup(judge: Judge, data: Data, config: ResolvedConfig, derived: Sequence[Derived]) -> TrainingSetup:
    """The data and settings that a checkpoint records, to compare when the training resumes."""
    return TrainingSetup.model_validate(
        {
            "config": config.model_dump(),
            "encoder": judge.encoder,
            "data": data.to_dict(),
            "labels": list(data.labels),
            "source": data.source,
            "directory": os.getcwd(),
            "derived": list(derived),
            "precision": judge.runtime.precision,
        }
    )


def _step_line(event: Step | Skipped, data: Data, config: ResolvedConfig, bar: Meter) -> Line:
    """Shows a step and returns its line for the history."""
    line, words = step_line(event, config) if isinstance(event, Step) else skip_line(event, data)
    bar.advance(1, words)
    if isinstance(event, Skipped):
        logger.warning(words)
    return line


def _epoch_line(
    event: EpochEnd, history: Sequence[Line], data: Data, config: ResolvedConfig, *, stopping: bool
) -> EpochLine:
    """Logs the end of an epoch and returns its line for the history. A collapse is recorded, or raised.

    While a training stops, a collapse is left to the next epoch's check, if there is one: else it would begin again.
    """
    line, words = epoch_line(event, data, config)
    is_left = stopping and event.epoch < config.epochs
    collapse = None if is_left else check_collapse(event, history, data.train, validation_of(data), config)
    logger.log(logging.INFO if process_rank().is_main_process else logging.DEBUG, words)
    return line.model_copy(update={"collapse": collapse})


def _save_epoch(
    event: EpochEnd, history: list[Line], best: Tensors, checkpoints: Checkpoints, on_epoch: OnEpoch | None
) -> bool:
    """Writes a checkpoint if one is due, then calls ``on_epoch``; if that raises, one is always written.

    Returns:
        True if one was written.
    """
    due = checkpoints.due(epoch_ends=True)
    if due:
        checkpoints.save(_after_epoch(event), best, history)
    if on_epoch is None:
        return due
    try:
        on_epoch(as_dicts(history))
    except BaseException:
        if not due:
            checkpoints.save(_after_epoch(event), best, history)
        raise
    return due


def _after_epoch(event: EpochEnd) -> Progress:
    return Progress(epoch=event.epoch, step=event.step, seconds=event.seconds, epoch_loss=0.0, epoch_examples=0)


def _progress(event: Step | Skipped, history: Sequence[Line]) -> Progress:
    """The progress after a step, with the loss of the epoch so far."""
    lines = [line for line in lines_of(history, StepLine) if line.epoch == event.epoch]
    return Progress(
        epoch=event.epoch - 1,
        step=event.step,
        seconds=event.seconds,
        epoch_loss=sum(line.loss * line.examples for line in lines),
        epoch_examples=sum(line.examples for line in lines),
    )


def _is_best(epochs: list[EpochLine], metric: str) -> bool:
    """True if the last epoch has the best score so far."""
    return best_epoch(epochs, metric) is epochs[-1]


def _weights(judge: Judge) -> Tensors:
    """A copy of the judge's weights."""
    return {name: weight.clone() for name, weight in judge.model.state_dict().items()}
