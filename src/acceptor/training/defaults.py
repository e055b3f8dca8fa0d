"""Derives the settings that depend on the encoder and on the size of the data: learning rate, epochs, batch size."""

from __future__ import annotations

import math
from collections.abc import Mapping

from acceptor.config import Derived, ResolvedConfig, TrainConfig

BASE_WIDTH, BASE_RATE = 768, 3e-5
HIGHEST_RATE = 1e-3
STEPS = 2_000
FEWEST_EPOCHS, MOST_EPOCHS = 3, 30


def resolve(config: TrainConfig, encoder: Mapping[str, object], rows: int) -> tuple[ResolvedConfig, list[Derived]]:
    """The settings with a learning rate, a number of epochs and batches no larger than the data; and the reasons.

    The learning rate falls with the square of the encoder's width, as the published ones of BERT and ELECTRA do: small
    encoders that are trained with the rate of a base-size one hardly leave their initial state.

    Args:
        config: The settings.
        encoder: The encoder's ``config.json``.
        rows: The number of training examples.
    """
    derived: list[Derived] = []
    changes: dict[str, float] = {"batch_size": min(config.batch_size, rows)}
    if rows < config.batch_size:
        reason = f"lowered from {config.batch_size}: the training split has no more examples"
        derived.append(Derived("batch_size", rows, reason))
    if config.learning_rate is None:
        width = _width(encoder)
        rate = min(HIGHEST_RATE, BASE_RATE * (BASE_WIDTH / width) ** 2)
        changes["learning_rate"] = float(f"{rate:.1g}")
        derived.append(Derived("learning_rate", changes["learning_rate"], f"for an encoder that is {width} wide"))
    if config.epochs is None:
        steps = math.ceil(rows / changes["batch_size"])
        changes["epochs"] = min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(STEPS / steps)))
        reason = f"{changes['epochs'] * steps:,} steps in all; {STEPS:,} or {FEWEST_EPOCHS} to {MOST_EPOCHS} epochs"
        derived.append(Derived("epochs", changes["epochs"], reason))
    return ResolvedConfig.model_validate({**config.model_dump(), **changes}), derived


def _width(encoder: Mapping[str, object]) -> int:
    """The size of the hidden states; Transformers' configurations have two names for it."""
    width = encoder.get("hidden_size", encoder.get("dim"))
    return width if isinstance(width, int) and width > 0 else BASE_WIDTH
