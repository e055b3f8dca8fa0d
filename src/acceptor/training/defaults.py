"""Derives the settings that depend on the encoder and on the data: how many examples there are, of which labels."""

from __future__ import annotations

import math

from acceptor.config import ENCODERS_OWN, Derived, ResolvedConfig, TrainConfig
from acceptor.data.table import Split
from acceptor.model.pretrained import Encoder

DERIVED = ("learning_rate", "adam_beta2", "dropout", "reinit_layers", "epochs")

BASE_WIDTH, BASE_RATE = 768, 3e-5
HIGHEST_RATE = 4e-3  # a random encoder that is 16 wide hardly learns at 1e-3, nor at 8e-3
REINIT = 6  # one layer in so many starts from random weights
PREVAILS = 0.6  # of the examples have one label: to answer it always is then an easy first step of learning
NARROW = 512  # narrower encoders underfit: dropout only costs them
BETA2, NARROW_BETA2 = 0.999, 0.98  # of AdamW; at the high rate of narrow encoders its steps are too large at first
STEPS = 2_000
FEWEST_EPOCHS, MOST_EPOCHS = 3, 30


def resolve(config: TrainConfig, encoder: Encoder, train: Split) -> tuple[ResolvedConfig, list[Derived]]:
    """The settings with a learning rate, dropout, a number of epochs and batches no larger than the data; and why.

    The learning rate falls with the square of the encoder's width, as the published ones of BERT and ELECTRA do: small
    encoders that are trained with the rate of a base-size one hardly leave their initial state. The top layers of a
    narrow encoder that embeds sentences start anew only where no label prevails. There, some seeds of `minilm` would
    guess for epochs; on CoLA, where one label prevails, new layers gain nothing.

    Args:
        config: The settings.
        encoder: The encoder.
        train: The training split, with labels.
    """
    derived: list[Derived] = []
    rows = len(train)
    changes: dict[str, float | str] = {"batch_size": min(config.batch_size, rows)}
    if rows < config.batch_size:
        reason = f"lowered from {config.batch_size}: the training split has no more examples"
        derived.append(Derived("batch_size", rows, reason))
    width = _number(encoder, "hidden_size", "dim") or BASE_WIDTH
    if config.learning_rate is None:
        rate = min(HIGHEST_RATE, BASE_RATE * (BASE_WIDTH / width) ** 2)
        changes["learning_rate"] = float(f"{rate:.1g}")
        derived.append(Derived("learning_rate", changes["learning_rate"], f"for an encoder that is {width} wide"))
    if config.adam_beta2 is None:
        changes["adam_beta2"] = NARROW_BETA2 if width < NARROW else BETA2
        derived.append(Derived("adam_beta2", changes["adam_beta2"], f"for an encoder that is {width} wide"))
    if config.dropout is None:
        changes["dropout"] = 0.0 if width < NARROW else ENCODERS_OWN
        reason = f"none for an encoder that is {width} wide" if width < NARROW else "that of its configuration"
        derived.append(Derived("dropout", changes["dropout"], reason))
    if config.reinit_layers is None:
        changes["reinit_layers"] = 0
        if encoder.embeds_sentences and not config.keep_head:
            changes["reinit_layers"], reason = _top_layers(encoder, width, train)
            derived.append(Derived("reinit_layers", changes["reinit_layers"], reason))
    if config.epochs is None:
        steps = math.ceil(rows / min(config.batch_size, rows))
        epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(STEPS / steps)))
        changes["epochs"] = epochs
        reason = f"{epochs * steps:,} steps in all; {STEPS:,} or {FEWEST_EPOCHS} to {MOST_EPOCHS} epochs"
        derived.append(Derived("epochs", epochs, reason))
    return ResolvedConfig.model_validate({**config.model_dump(), **changes}), derived


def _top_layers(encoder: Encoder, width: int, train: Split) -> tuple[int, str]:
    """How many top layers of an encoder of sentences start from random weights, and why."""
    if "num_hidden_groups" in encoder.config:  # ALBERT
        return 0, "its layers share their weights"
    layers = _number(encoder, "num_hidden_layers", "n_layers")
    most = max(train.balance().values(), default=0)
    if width < NARROW and most > PREVAILS * len(train):
        return 0, f"{most / len(train):.2f} of the examples have one label, and the encoder is {width} wide"
    return layers // REINIT, f"of {layers}; they were trained to embed sentences, which keeps little of their form"


def _number(encoder: Encoder, *names: str) -> int:
    """A number of the configuration, which has one of several names in Transformers; 0 if it is not there."""
    found = next((encoder.config[name] for name in names if name in encoder.config), 0)
    return found if isinstance(found, int) and found > 0 else 0
