"""Detects a collapsed training: the judge gives every sentence the same verdict and does not recover.

Some fine-tunings fail: the encoder's output stops depending on its input, and only the head's bias learns the labels'
shares (Mosbach et al. 2021, "On the Stability of Fine-tuning BERT"). But many healthy trainings, too, give one verdict
throughout after their first epoch, with a loss that has hardly changed: `minilm` on `starter` once did so with margins
within ± .0004, and learned later. So the first of three or more epochs is not checked, and at the end of
another one, after `FEWEST_STEPS` steps, three conditions must hold:

1. Every validation verdict is the same.
2. Neither loss is below the entropy of the labels, the loss of a constant answer: the mean training loss of
   the epoch's second half (by two standard errors of the loss of a constant answer), and the validation loss.
3. The margins hardly differ between sentences: their standard deviation is below `MIN_MARGIN_SD`.

The check uses only losses and logits that the loop has fetched anyway, so it never waits for the device. The loss alone
cannot distinguish collapsed from healthy trainings.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np

from acceptor.config import ResolvedConfig, safer
from acceptor.data.table import Split
from acceptor.errors import TrainingError
from acceptor.evaluation.metrics import log_loss
from acceptor.judging.decision import MOST_PROBABLE
from acceptor.runs.history import Collapse, Line, StepLine, lines_of
from acceptor.training.loop import EpochEnd
from acceptor.training.targets import LabelIds, Probabilities, balanced_weights

logger = logging.getLogger(__name__)

FEWEST_STEPS = 10  # before, the learning rate has hardly risen, and a small encoder has hardly left its first weights
MIN_MARGIN_SD = 3e-3  # nats; collapsed, minilm has 2e-6 to 6e-4; after a healthy first epoch .02 or more


class CollapseError(TrainingError):
    """A training has collapsed; ``collapse`` has the measurements, ``config`` the settings."""

    def __init__(self, collapse: Collapse, config: ResolvedConfig) -> None:
        self.collapse, self.config = collapse, config
        again = safer(config)
        super().__init__(
            f"the training has collapsed: all validation verdicts are {collapse.label!r}",
            where=f"seed {collapse.seed}, epoch {collapse.epoch}, step {collapse.step}",
            expected=f"a loss below {collapse.entropy:.4f}, the entropy of the labels",
            found=f"loss {collapse.loss:.4f} in the epoch's second half, margins within ± {collapse.margin_sd:.1g}",
            cause=f"a learning rate too high for this encoder ({config.learning_rate:g}), an unlucky seed, "
            "or an encoder that was never pre-trained",
            next=f"try --learning-rate {again.learning_rate:g} --warmup {again.warmup:g} "
            f"--max-grad-norm {again.max_grad_norm:g} --seed {again.seed}\n"
            "with --on-collapse restart a training in one process does so by itself, once",
            code="E-TRAINING-COLLAPSE",
        )


def check_collapse(
    event: EpochEnd, history: Sequence[Line], train: Split, validation: Split, config: ResolvedConfig
) -> Collapse | None:
    """Checks for a collapse at the end of an epoch and acts according to ``config.on_collapse``.

    Args:
        event: The end of the epoch.
        history: The lines of ``history.jsonl`` so far, the epoch's steps among them.
        train: The training split.
        validation: The split that was judged.
        config: The settings.

    Returns:
        The collapse, or None.

    Raises:
        CollapseError: The training has collapsed, and ``config.on_collapse`` is not ``go-on``.
    """
    found = collapse_at(event, history, train, validation, config)
    if found is None:
        return None
    if config.on_collapse != "go-on":
        raise CollapseError(found, config)
    logger.warning("%s; training continues: --on-collapse go-on", CollapseError(found, config).problem)
    return found


def collapse_at(
    event: EpochEnd, history: Sequence[Line], train: Split, validation: Split, config: ResolvedConfig
) -> Collapse | None:
    """The collapse at an epoch's end; None unless it is checked and all conditions hold. See `check_collapse`."""
    if event.step < FEWEST_STEPS or (event.epoch == 1 and config.epochs > 2):
        return None
    verdicts = np.unique(MOST_PROBABLE.label_ids(event.logits))
    margin_sd = float(MOST_PROBABLE.margins(event.logits).std(dtype=np.float64))
    steps = [line for line in lines_of(history, StepLine) if line.epoch == event.epoch]
    late = steps[len(steps) // 2 :]
    examples = max(1, sum(line.examples for line in late))
    loss = sum(line.loss * line.examples for line in late) / examples
    entropy, deviation = constant_loss(train.targets, config)
    learns = loss < entropy - 2 * deviation / math.sqrt(examples)
    learns |= log_loss(event.logits, validation.gold) < label_entropy(validation.gold)[0]
    if len(verdicts) > 1 or learns or margin_sd >= MIN_MARGIN_SD:
        return None
    return Collapse(
        seed=config.seed,
        epoch=event.epoch,
        step=event.step,
        label=train.labels[verdicts[0]],
        share=1.0,
        loss=loss,
        entropy=entropy,
        margin_sd=margin_sd,
    )


def constant_loss(targets: LabelIds | Probabilities, config: ResolvedConfig) -> tuple[float, float]:
    """The smallest mean loss of a constant answer, and the loss's standard deviation, in nats: see `label_entropy`.

    With balanced class weights every label that occurs has the same share of the loss, so the best constant answer
    gives all of them the same probability.
    """
    if not config.class_weights:
        return label_entropy(targets)
    weights = balanced_weights(targets, int(targets.max()) + 1 if targets.ndim == 1 else targets.shape[1])
    of_rows = weights[targets] if targets.ndim == 1 else targets @ weights
    losses = math.log(np.count_nonzero(weights)) * of_rows.astype(np.float64)
    return float(losses.mean()), float(losses.std())


def label_entropy(targets: LabelIds | Probabilities) -> tuple[float, float]:
    """Mean and standard deviation, in nats, of the loss when every answer is the labels' shares.

    The mean is the entropy of the labels, the smallest mean loss of a constant answer. A teacher's probabilities, shape
    (N, labels), have their mean for shares.
    """
    shares = np.bincount(targets) / len(targets) if targets.ndim == 1 else targets.mean(axis=0, dtype=np.float64)
    of_labels = -np.log(np.maximum(shares, np.finfo(np.float64).tiny))
    losses = of_labels[targets] if targets.ndim == 1 else targets @ of_labels
    return float(losses.mean()), float(losses.std())
