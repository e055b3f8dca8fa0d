"""Derives the settings that depend on the encoder and on the size of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping

from acceptor.config import ENCODERS_OWN, Derived, ResolvedConfig, TrainConfig

BASE_WIDTH, BASE_RATE = 768, 3e-5
HIGHEST_RATE = 1e-3
NARROW = 512  # narrower encoders underfit, so dropout only costs them
STEPS = 2_000
FEWEST_EPOCHS, MOST_EPOCHS = 3, 30


def resolve(config: TrainConfig, encoder: Mapping[str, object], rows: int) -> tuple[ResolvedConfig, list[Derived]]:
    """The settings with a learning rate, dropout, a number of epochs and batches no larger than the data; and why.

    The learning rate falls with the square of the encoder's width, as the published ones of BERT and ELECTRA do: small
    encoders that are trained with the rate of a base-size one hardly leave their initial state.

    Args:
        config: The settings.
        encoder: The encoder's ``config.json``.
        rows: The number of training examples.
    """
    derived: list[Derived] = []
    changes: dict[str, float | str] = {"batch_size": min(config.batch_size, rows)}
    if rows < config.batch_size:
        reason = f"lowered from {config.batch_size}: the training split has no more examples"
        derived.append(Derived("batch_size", rows, reason))
    width = _width(encoder)
    if config.learning_rate is None:
        rate = min(HIGHEST_RATE, BASE_RATE * (BASE_WIDTH / width) ** 2)
        changes["learning_rate"] = float(f"{rate:.1g}")
        derived.append(Derived("learning_rate", changes["learning_rate"], f"for an encoder that is {width} wide"))
    if config.dropout is None:
        changes["dropout"] = 0.0 if width < NARROW else ENCODERS_OWN
        reason = f"none for an encoder that is {width} wide" if width < NARROW else "that of its configuration"
        derived.append(Derived("dropout", changes["dropout"], reason))
    if config.epochs is None:
        steps = math.ceil(rows / min(config.batch_size, rows))
        epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(STEPS / steps)))
        changes["epochs"] = epochs
        reason = f"{epochs * steps:,} steps in all; {STEPS:,} or {FEWEST_EPOCHS} to {MOST_EPOCHS} epochs"
        derived.append(Derived("epochs", epochs, reason))
    return ResolvedConfig.model_validate({**config.model_dump(), **changes}), derived


def _width(encoder: Mapping[str, object]) -> int:
    """The size of the hidden states; Transformers' configurations have two names for it."""
    width = encoder.get("hidden_size", encoder.get("dim"))
    return width if isinstance(width, int) and width > 0 else BASE_WIDTH
