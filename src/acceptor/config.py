"""The settings of one training, frozen and validated.

A field that is None is derived from the data, the encoder or the machine. Every derived value is a `Derived` with its
reason, which is printed and kept in ``run.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from acceptor.errors import UsageError, nearest

DEFAULT_ENCODER = "google-bert/bert-base-uncased"
ENCODERS_OWN: Literal["encoder"] = "encoder"
"""The value of `TrainConfig.dropout` that keeps the probabilities of the encoder's configuration."""


@dataclass(frozen=True)
class Derived:
    """A value that was derived, not given, and the reason for it."""

    name: str
    value: Any
    reason: str


class TrainConfig(BaseModel):
    """All settings of one training, as given. `training.defaults` derives what the encoder and the data decide.

    Raises:
        UsageError: Unknown names or values out of range; all of them at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    encoder: str = Field(default=DEFAULT_ENCODER, min_length=1)
    """The pre-trained network: a folder, a hub name, or an embedded name (`minilm`, `mpnet`)."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training split. By default as many as make 2,000 steps, from 3 to 30."""
    batch_size: int = Field(default=32, ge=1)
    """Sentences per optimizer step, over all processes together."""
    learning_rate: float | None = Field(default=None, gt=0, lt=1)
    """Peak learning rate; it then falls linearly, to 0 after the last step. By default 3e-5 for an encoder that is 768
    wide, more for narrower ones: 1e-4 for 384."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of all steps in which the learning rate rises linearly to its peak."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's weight decay of every weight matrix; biases and norms do not decay."""
    adam_beta2: float | None = Field(default=None, ge=0, lt=1)
    """Decay of AdamW's running mean of squared gradients. By default .98 for encoders that are less than 512 wide, else
    .999."""
    dropout: Annotated[float, Field(ge=0, le=0.99)] | Literal["encoder"] | None = None
    """Probability of dropout, in all layers and in the head, or `encoder` for those of the encoder's configuration. By
    default 0 for encoders that are less than 512 wide, else those of the configuration."""
    max_grad_norm: float = Field(default=1.0, ge=0)
    """Gradients are clipped to this norm; 0 turns clipping off."""
    reinit_layers: int | None = Field(default=None, ge=0)
    """Number of the encoder's top layers that start from random weights, as the head does. By default a sixth of all
    layers of an encoder that was trained to embed sentences, if it is at least 512 wide or no label has more than .6 of
    the examples; else none."""
    keep_head: bool = False
    """Keep the encoder's head, which must be trained for the same labels; by default a new head is made."""
    max_length: int = Field(default=128, ge=4)
    """Longest input in tokens, special tokens included; lowered to what the encoder has positions for."""
    seed: int = Field(default=2018, ge=0, lt=2**32)
    """Seeds the new head, layers that start from random weights, dropout, a stratified split and, unless `order_seed`
    is given, the examples' order."""
    order_seed: int | None = Field(default=None, ge=0, lt=2**32)
    """Seeds only the order of the examples, to separate its effect from the head's. By default the seed."""
    class_weights: Literal["balanced"] | None = None
    """Weights of the labels in the loss, so that all have the same total weight. By default examples count alike."""
    split: Literal["given", "stratified", "notebook", "column"] | None = None
    """Where validation comes from: ``given`` is the corpus' own; ``stratified`` and ``notebook`` (the notebook
    chapter's rows, always seed 2018) cut it from train and ignore a given one; ``column`` reads a column of train that
    says which split each row is of. By default given if any, else stratified."""
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of train's own rows that a stratified split takes for validation."""
    order: Literal["bucketed", "random"] = "bucketed"
    """Batches of sentences of similar length in a random order, or random batches."""
    metric: Literal["mcc", "accuracy", "f1"] = "mcc"
    """The score that decides: which epoch (`select` best), which threshold (`calibrate`), which trial of a search."""
    select: Literal["last", "best"] = "last"
    """Which epoch's weights are kept: the last, or the best on validation."""
    calibrate: bool | None = None
    """Fit a temperature and, with two labels, a threshold for `metric` on validation; each is kept only if it helps in
    ten-fold cross-validation. By default only a temperature, which changes probabilities but no verdict."""
    on_nan: Literal["stop", "skip"] = "stop"
    """What happens when a step's loss or gradient is NaN or infinite: the training ends, or the step is skipped and
    counted."""
    on_collapse: Literal["stop", "restart", "go-on"] = "stop"
    """What happens when the judge has collapsed to one verdict: the training ends, restarts with another seed and safer
    settings, or goes on with a warning."""
    device: Literal["cuda", "mps", "cpu"] | None = None
    """The device; by default the fastest of this machine."""
    precision: Literal["fp32", "bf16"] | None = None
    """Precision of matrix products; weights and optimizer state are always fp32. By default the faster one on the
    device; on a CPU it is measured."""

    compile: bool | None = None
    """Compile the network with `torch.compile`, for batches of a few static shapes. Off by default."""

    @model_validator(mode="wrap")
    @classmethod
    def _one_error(cls, values: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return check(values)
        except ValidationError as error:
            raise UsageError("\n".join(map(_explain, error.errors())), code="E-USAGE-OPTION") from None

    @property
    def batch_seed(self) -> int:
        """The seed of the order of the examples."""
        return self.seed if self.order_seed is None else self.order_seed


class ResolvedConfig(TrainConfig):
    """The settings of a training whose encoder and data are known: see `acceptor.training.defaults.resolve`."""

    epochs: int = Field(ge=1)
    """Passes over the training split."""
    learning_rate: float = Field(gt=0, lt=1)
    """Peak learning rate."""
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of AdamW's running mean of squared gradients."""
    dropout: Annotated[float, Field(ge=0, le=0.99)] | Literal["encoder"] = ENCODERS_OWN
    """Probability of dropout, or those of the encoder's configuration."""
    reinit_layers: int = Field(default=0, ge=0)
    """Number of the encoder's top layers that start from random weights."""


def with_encoder(config: TrainConfig | None, encoder: str | Path | None) -> TrainConfig:
    """The settings, or the defaults if they are None, with another encoder if one is given."""
    config = config or TrainConfig()
    return config if encoder is None else config.model_copy(update={"encoder": str(encoder)})


PRESETS: dict[str, dict[str, str | int | float]] = {
    # The notebook chapter's settings. Its parameter groups have `weight_decay_rate: 0.1`, a key that AdamW
    # does not read, so AdamW's default of 0.01 was used for every parameter.
    # Here 0.1 is applied as the chapter intended, to weight matrices only.
    "notebook": {
        "epochs": 4,
        "batch_size": 32,
        "learning_rate": 2e-5,
        "warmup": 0.0,
        "weight_decay": 0.1,
        "adam_beta2": 0.999,
        "dropout": 0.1,
        "reinit_layers": 0,
        "max_grad_norm": 0.0,
        "max_length": 128,
        "seed": 2018,
        "split": "notebook",
        "order": "random",
        "select": "last",
    },
}


def safer(config: ResolvedConfig) -> ResolvedConfig:
    """The settings for a restart after a collapse; a second collapse ends the training.

    A quarter of the learning rate, 2e-5 at most; warm-up over a tenth of the steps at least; gradients clipped to norm
    1 at most; and the seed plus 1000.
    """
    changes = {
        "learning_rate": min(config.learning_rate / 4, 2e-5),
        "warmup": max(config.warmup, 0.1),
        "max_grad_norm": min(config.max_grad_norm, 1.0) or 1.0,
        "seed": (config.seed + 1000) % 2**32,
        "on_collapse": "stop",
    }
    return config.model_copy(update=changes)


def _explain(problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "the settings"
    if problem["type"] == "extra_forbidden":
        match = nearest(name, TrainConfig.model_fields)
        return f"no setting is called {name!r}" + (f"; did you mean {match!r}?" if match else "")
    return explain_value(name, problem)


def explain_value(name: str, problem: Any) -> str:
    """A value that pydantic has refused, in one line."""
    return f"{name} = {problem['input']!r}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
