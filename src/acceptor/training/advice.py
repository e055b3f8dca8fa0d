"""Says so if validation does not show that a training has learned something, and what to change."""

from __future__ import annotations

import logging

import numpy as np

from acceptor.config import ResolvedConfig
from acceptor.data.table import Split
from acceptor.evaluation.evaluate import Report
from acceptor.evaluation.intervals import FEW
from acceptor.model.pretrained import Encoder
from acceptor.training.collapse import constant_loss
from acceptor.training.defaults import resolve

ADVICE = logging.getLogger(__name__)
"""Logs the advice when a training ends. A command whose output has the advice disables it."""

TOO_HIGH = 4  # times the usual learning rate: above, a training may well fail to learn, however long it is
HARDLY = 0.9  # of the loss of a constant answer: above, the training split was not learned either


def advice_for(
    report: Report,
    train_loss: float,
    train: Split,
    config: ResolvedConfig,
    encoder: Encoder,
    *,
    in_set: bool = False,
) -> str | None:
    """One line if validation does not show that something was learned; else None.

    Args:
        report: The validation report.
        train_loss: The mean training loss of the last epoch, in nats.
        train: The training split.
        config: The settings.
        encoder: The encoder.
        in_set: The run is one of several seeds, of a cross-validation or of a search.
    """
    interval, examples = report.interval, len(report.split)
    if interval is not None and interval.low > 0:
        return None
    unknown = "so it cannot be told whether anything was learned"
    if examples < FEW:
        return f"validation has {examples} examples, {unknown}: give it {FEW} or more"
    if len(np.unique(report.split.gold)) == 1:
        return f"validation has one label only, {unknown}: give it examples of every label"
    found = f"no better than chance on validation: MCC {report.scores.mcc_words}"
    if train_loss < HARDLY * constant_loss(train.targets, config)[0]:
        ways = "give more of them, or check the labels: acceptor audit DATA"
        return f"{found}; only the training sentences were learned: {ways}"
    usual, _ = resolve(config.model_copy(update={"learning_rate": None, "epochs": None}), encoder, train)
    if not usual.learning_rate / 1.5 <= config.learning_rate <= TOO_HIGH * usual.learning_rate:
        change = f"--learning-rate {usual.learning_rate:g}, which is usual for this encoder"
    elif config.epochs < usual.epochs:
        change = f"--epochs {usual.epochs}, which is usual for so many sentences"
    else:
        change = f"--epochs {2 * config.epochs}, or a larger encoder (acceptor encoders)"
    place = "--out PATH" if in_set else "--overwrite"  # which would remove all runs of a set
    return f"{found}; try again with {place} {change}"
