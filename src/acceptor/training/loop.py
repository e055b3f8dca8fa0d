"""The training loop: on one screen, once, called by everything.

`fit` is a generator. It yields what happened, and its caller writes, shows or counts it; the loop itself
knows neither files nor terminals.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.batches import Rows, collate, epoch_batches
from acceptor.config import TrainConfig
from acceptor.encode import Encoded
from acceptor.errors import TrainingError
from acceptor.judge import Judge
from acceptor.training.checkpoint import Progress
from acceptor.training.learner import Learner
from acceptor.training.optim import learning_rate

FETCH_EVERY = 50  # steps between two looks at the losses on a GPU: each look makes it wait


@dataclass(frozen=True)
class Step:
    """One optimizer step. ``loss`` is the batch's mean in nats, ``seconds`` count from the loop's start."""

    epoch: int
    step: int
    loss: float
    learning_rate: float
    examples: int
    seconds: float


@dataclass(frozen=True)
class EpochEnd:
    """One pass over train is done. ``train_loss`` is its mean over examples; ``logits`` are validation's."""

    epoch: int
    step: int
    train_loss: float
    logits: npt.NDArray[np.float32]
    seconds: float


def fit(
    judge: Judge,
    learner: Learner,
    train: Encoded,
    gold: npt.NDArray[np.int64],
    validation: Encoded,
    config: TrainConfig,
    done: Progress = Progress(),  # noqa: B008 - frozen
) -> Iterator[Step | EpochEnd]:
    """Fine-tunes ``judge.model`` in place and yields every `Step` and `EpochEnd`.

    Under ``torchrun`` each process takes its share of every batch and gradients are summed, so the
    batch stays ``config.batch_size``; every process judges the whole validation split.

    Args:
        judge: The judge whose model is trained, on its device.
        learner: Made from that model.
        train: N encoded inputs.
        gold: Their label ids, int64, shape (N,).
        validation: Encoded inputs that are judged after every epoch.
        config: The settings.
        done: How far the training has come; the learner must stand there.

    Raises:
        TrainingError: The loss is not a finite number.
    """
    import torch
    from torch.nn.functional import cross_entropy

    runtime, network = judge.runtime, learner.network
    targets = torch.from_numpy(gold).to(runtime.device)
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    total_steps = config.epochs * steps_per_epoch
    fetch_every = 1 if runtime.device == "cpu" else FETCH_EVERY
    started = time.perf_counter() - done.seconds
    for epoch in range(done.epoch + 1, config.epochs + 1):
        network.train()
        behind = learner.steps - (epoch - 1) * steps_per_epoch  # of this epoch, in a training that goes on
        total_loss, pending = done.epoch_loss if behind else 0.0, []
        batches = epoch_batches(
            train.lengths,
            config.batch_size,
            seed=config.seed,
            epoch=epoch,
            bucketed=config.order == "bucketed",
        )
        for number, rows in enumerate(batches[behind:], behind + 1):
            rate = learning_rate(learner.steps, total_steps, config)
            mine, weight = _share(rows, runtime.rank, runtime.world)
            batch = collate(train, mine, judge.tokenizer.pad_token_id, runtime.device)
            learner.start_step(runtime.rank)
            logits = network(**batch.inputs).logits
            loss = cross_entropy(logits.float(), targets[mine], reduction="sum") * (weight / len(rows))
            loss.backward()  # type: ignore[no-untyped-call]
            if runtime.world > 1:
                torch.distributed.all_reduce(learner.grad)
            learner.step(rate)
            pending.append((learner.steps, rate, len(rows), loss.detach()))
            if number % fetch_every == 0 or number == len(batches):
                seconds = time.perf_counter() - started
                for (at, rate, examples, _), value in zip(pending, _fetch(pending, runtime.world), strict=True):
                    _refuse_nan(value, at, epoch, rate)
                    total_loss += value * examples
                    yield Step(epoch, at, value, rate, examples, seconds)
                pending = []
        learner.sync()
        trained = dataclasses.replace(judge)  # a judge keeps its network; this one builds it from today's weights
        logits = trained.logits_of(validation)
        yield EpochEnd(epoch, learner.steps, total_loss / len(train), logits, time.perf_counter() - started)


def _share(rows: Rows, rank: int, world: int) -> tuple[Rows, int]:
    """This process' rows of a batch, and their weight.

    A batch with fewer rows than processes leaves some without any: they compute one row with weight 0.
    """
    mine = rows[rank::world]
    return (mine, 1) if len(mine) else (rows[:1], 0)


def _fetch(pending: list[tuple[int, float, int, Any]], world: int) -> list[float]:
    """The batches' mean losses, brought from the device at once (and from all processes)."""
    import torch

    losses = torch.stack([loss for *_, loss in pending])
    if world > 1:
        torch.distributed.all_reduce(losses)
    return [float(value) for value in losses.tolist()]


def _refuse_nan(loss: float, step: int, epoch: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss}",
            where=f"epoch {epoch}, step {step}",
            expected="a finite number",
            cause=f"a learning rate too high for this encoder ({rate:g} at that step), or damaged weights",
            next="try --learning-rate 1e-5, or --precision fp32",
        )
