"""The training loop.

`fit` is a generator of events. Its caller logs them and writes files; the loop does neither.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.config import ResolvedConfig
from acceptor.data.table import Table
from acceptor.errors import TrainingError
from acceptor.judging.judge import Judge
from acceptor.model.batches import Rows, collate, epoch_batches
from acceptor.model.encode import Encoded
from acceptor.runs.checkpoint import Progress
from acceptor.runtime.device import free_memory, is_out_of_memory
from acceptor.training.flat_adamw import FlatAdamW
from acceptor.training.schedule import learning_rate
from acceptor.training.static import StaticSteps
from acceptor.training.targets import LabelIds, Probabilities, Targets

logger = logging.getLogger(__name__)

FETCH_EVERY = 50  # steps between fetches of the losses from a GPU, each of which synchronises


@dataclass(frozen=True)
class Step:
    """One optimizer step. ``loss`` is the batch's mean in nats; ``seconds`` are since the start of the loop."""

    epoch: int
    step: int
    loss: float
    learning_rate: float
    examples: int
    seconds: float


@dataclass(frozen=True)
class Skipped:
    """A step whose gradient was not finite: the weights are unchanged. ``rows`` are its examples, counted from 0."""

    epoch: int
    step: int
    rows: list[int]
    seconds: float


class NotFiniteError(TrainingError):
    """A loss or gradient became NaN or infinite; ``rows`` are the batch's examples, counted from 0."""

    def __init__(self, rows: Rows, *, epoch: int, step: int, rate: float, peak: float, precision: str) -> None:
        self.rows = rows
        super().__init__(
            "the loss or its gradient is not finite",
            where=f"epoch {epoch}, step {step}",
            expected="a finite number",
            cause=f"a learning rate too high for this encoder ({rate:g} at that step), or damaged weights",
            next=f"try --learning-rate {min(1e-5, peak / 4):.2g}"
            + ("" if precision == "fp32" else " or --precision fp32")
            + "; or skip such steps: --on-nan skip",
            code="E-TRAINING-NAN",
        )


@contextlib.contextmanager
def rows_named(table: Table) -> Iterator[None]:
    """Adds the lines of the step's examples in ``table`` to a `NotFiniteError`."""
    try:
        yield
    except NotFiniteError as error:
        error.add("found", f"the batch of {table.places(error.rows, most=len(error.rows))}")
        raise


@dataclass(frozen=True)
class EpochEnd:
    """The end of an epoch. ``train_loss`` is the mean over its examples; ``logits`` are those of validation."""

    epoch: int
    step: int
    train_loss: float
    logits: npt.NDArray[np.float32]
    seconds: float


def fit(
    judge: Judge,
    optimizer: FlatAdamW,
    train: Encoded,
    gold: LabelIds | Probabilities,
    validation: Encoded,
    config: ResolvedConfig,
    done: Progress = Progress(),  # noqa: B008 - frozen
    *,
    pairs: Rows | None = None,
) -> Iterator[Step | Skipped | EpochEnd]:
    """Fine-tunes ``judge.model`` in place and yields every `Step`, `Skipped` and `EpochEnd`.

    Under ``torchrun`` each process computes its share of every batch and gradients are summed, so the
    total batch size stays ``config.batch_size``. Every process judges the whole validation split.

    Args:
        judge: The judge whose model is trained, on its device.
        optimizer: The optimizer of that model.
        train: N encoded inputs.
        gold: Their label ids, int64, shape (N,), or a teacher's probabilities, float32, shape (N, labels).
        validation: Encoded inputs that are judged after every epoch.
        config: The settings.
        done: The progress so far; the optimizer must have the same state.
        pairs: The rows that share a batch: see `epoch_batches`.

    Raises:
        NotFiniteError: The loss or its gradient is not finite, and ``config.on_nan`` is ``stop``; or it is so in all
            steps of an epoch.
    """
    runtime, network = judge.runtime, optimizer.network
    targets = Targets(gold, len(judge.labels), config, runtime.device)
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    total_steps = config.epochs * steps_per_epoch
    fetch_every = 1 if runtime.device == "cpu" else FETCH_EVERY
    if optimizer.micro_batch < config.batch_size:  # memory ran out before the training was stopped
        optimizer.end_static_shapes()
    static = StaticSteps(judge, optimizer, train, targets) if optimizer.static else None
    not_finite = functools.partial(NotFiniteError, peak=config.learning_rate, precision=runtime.precision)
    started = time.perf_counter() - done.seconds
    for epoch in range(done.epoch + 1, config.epochs + 1):
        network.train()
        done_steps = optimizer.steps - (epoch - 1) * steps_per_epoch  # steps of this epoch, if the training is resumed
        total_loss, counted = (done.epoch_loss, done.epoch_examples) if done_steps else (0.0, 0)
        pending: list[tuple[int, float, Rows, Any]] = []
        rate = learning_rate(max(optimizer.steps - 1, 0), total_steps, config)  # of the last step
        batches = epoch_batches(train.lengths, config, epoch, pairs=pairs)
        for number, rows in enumerate(batches[done_steps:], done_steps + 1):
            rate = learning_rate(optimizer.steps, total_steps, config)
            loss = _step(judge, optimizer, train, targets, rows, rate, static)
            pending.append((optimizer.steps, rate, rows, loss))
            if number % fetch_every == 0 or number == len(batches):
                losses = _fetch_losses(pending, runtime.world_size)
                seconds = time.perf_counter() - started  # after the fetch, when the steps have been computed
                for (at, step_rate, batch, _), value in zip(pending, losses, strict=True):
                    if math.isfinite(value):
                        optimizer.decay_untrained_rows(step_rate)
                        total_loss += value * len(batch)
                        counted += len(batch)
                        yield Step(epoch, at, value, step_rate, len(batch), seconds)
                    elif config.on_nan == "skip":
                        yield Skipped(epoch, at, batch.tolist(), seconds)
                    else:
                        raise not_finite(batch, epoch=epoch, step=at, rate=step_rate)
                pending = []
        if not counted:
            raise not_finite(batches[-1], epoch=epoch, step=optimizer.steps, rate=rate)
        optimizer.sync_embeddings()
        trained = dataclasses.replace(judge)  # a judge caches its network; a new one builds it from the current weights
        logits = trained.logits_of(validation)
        yield EpochEnd(epoch, optimizer.steps, total_loss / max(counted, 1), logits, time.perf_counter() - started)


def _step(
    judge: Judge,
    optimizer: FlatAdamW,
    train: Encoded,
    targets: Targets,
    rows: Rows,
    rate: float,
    static: StaticSteps | None,
) -> Any:
    """One optimizer step. Returns this process' share of the batch's mean loss, NaN if the weights were not changed.

    If memory runs out in static shapes, this step and later ones are computed in parts.
    """
    if static and optimizer.static:
        try:
            return static.step(rows, rate)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error.__context__ or error) or optimizer.micro_batch == 1:
                raise
        static.graphs = {}
        optimizer.end_static_shapes()
        _halve_micro_batch(judge, optimizer, optimizer.micro_batch)  # static shapes have all its rows
    loss = _gradients(judge, optimizer, train, targets, rows)
    if judge.runtime.world_size > 1:
        optimizer.sum_over_processes()
    check = judge.runtime.device == "cpu" or optimizer.config.on_nan == "skip"
    return loss if optimizer.step(rate, check=check) else loss * math.nan


def _gradients(judge: Judge, optimizer: FlatAdamW, train: Encoded, targets: Targets, rows: Rows) -> Any:
    """Computes this process' share of a batch's gradient and returns its share of the batch's mean loss.

    If memory runs out, this batch and later ones are computed in parts of half the size. The parts' gradients sum to
    that of the batch.
    """
    runtime = judge.runtime
    mine, weight = _share(rows, runtime.rank, runtime.world_size)

    def backward(part: Rows) -> Any:
        inputs = collate(train, part, judge.tokenizer.pad_token_id, runtime.device)
        logits = optimizer.network(**inputs).logits
        loss = targets.losses(logits, part).sum() * (weight / len(rows))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    while True:
        optimizer.start_step(runtime.rank)
        try:
            if len(mine) <= optimizer.micro_batch:
                return backward(mine)
            total = 0.0
            with optimizer.accumulate_gradients() as add:
                for start in range(0, len(mine), optimizer.micro_batch):
                    total = total + backward(mine[start : start + optimizer.micro_batch])
                    add()
            return total
        except (RuntimeError, MemoryError) as error:
            largest = min(len(mine), optimizer.micro_batch)
            if not is_out_of_memory(error) or largest == 1:
                raise
        _halve_micro_batch(judge, optimizer, largest)


def _halve_micro_batch(judge: Judge, optimizer: FlatAdamW, largest: int) -> None:
    """Halves the micro-batch after ``largest`` examples at once did not fit into memory."""
    optimizer.micro_batch = -(-largest // 2)
    logger.warning(
        "out of memory: continuing with micro-batches of %d; the batch size is unchanged",
        optimizer.micro_batch,
    )
    free_memory(judge.runtime.device)


def _share(rows: Rows, rank: int, world_size: int) -> tuple[Rows, int]:
    """This process' rows of a batch, and their weight.

    If a batch has fewer rows than there are processes, the others compute one row with weight 0.
    """
    mine = rows[rank::world_size]
    return (mine, 1) if len(mine) else (rows[:1], 0)


def _fetch_losses(pending: list[tuple[int, float, Rows, Any]], world_size: int) -> list[float]:
    """The batches' mean losses, copied from the device in one transfer, and summed over processes."""
    import torch

    losses = torch.stack([loss for *_, loss in pending])
    if world_size > 1:
        torch.distributed.all_reduce(losses)
    return [float(value) for value in losses.tolist()]
