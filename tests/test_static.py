"""Steps in static shapes are the steps of the loop; with `torch.compile`; and as CUDA graphs, where there is a GPU."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import acceptor
from acceptor.batches import Resident, collate, epoch_batches, padding_ratio, static_length
from acceptor.config import TrainConfig
from acceptor.encode import Encoded, encode, load_tokenizer
from acceptor.errors import TrainingError, UsageError
from acceptor.model.classifier import new_classifier
from acceptor.model.pretrained import find_encoder
from acceptor.runtime import Runtime, choose_runtime
from acceptor.training import static
from acceptor.training.learner import Learner
from acceptor.training.loop import EpochEnd, NotFiniteError, Skipped, Step, fit
from acceptor.training.static import StaticSteps, choose_steps
from conftest import toy_rows
from tiny import ARCHITECTURES, make_encoder

# 45 rows in batches of 8: the last has 5. The decay is large so that a row that decays twice, or not, is seen.
CONFIG = TrainConfig(epochs=2, batch_size=8, learning_rate=1e-3, weight_decay=0.5, max_grad_norm=0.3)
ROWS = 45

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    return {name: make_encoder(folder / name, name) for name in ARCHITECTURES}


class Training:
    """A tiny judge, its data and its learner, to be trained."""

    def __init__(self, folder, config=CONFIG, *, static, dropout=0.0, device="cpu", precision="fp32"):
        encoder = find_encoder(str(folder))
        self.runtime, self.config = choose_runtime(device, precision), config
        model = new_classifier(encoder, ("no", "yes"), seed=1).to(self.runtime.device)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        self.judge = acceptor.Judge(model, load_tokenizer(encoder.folder), ("no", "yes"), 64, self.runtime, {"name": "tiny"})
        rows = toy_rows(ROWS)
        self.train = encode(self.judge.tokenizer, [sentence for sentence, _ in rows], max_length=64)
        self.gold = np.array([int(label) for _, label in rows])
        self.learner = Learner(
            model,
            config,
            bf16=precision == "bf16",
            ids=self.train.ids,
            pad_id=self.judge.tokenizer.pad_token_id,
            static=static,
        )

    def events(self, **more):
        return fit(self.judge, self.learner, self.train, self.gold, self.train, self.config, **more)

    def losses(self):
        return [event.loss for event in self.events() if isinstance(event, Step)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_epochs_in_static_shapes_equal_those_in_ragged_ones(architecture, encoders):
    """Every loss and weight, the short last batch and unused rows of the vocabulary included.

    fp32 without dropout. Sums over more rows and columns round differently, 1e-7 of a loss; a gradient that is zero
    but for rounding moves AdamW by up to a step either way, as in the comparison with the plain loop.
    """
    ragged, fixed = (Training(encoders[architecture], static=static) for static in (False, True))
    assert fixed.losses() == pytest.approx(ragged.losses(), abs=1e-5)
    for (name, theirs), own in zip(ragged.judge.model.named_parameters(), fixed.judge.model.parameters(), strict=True):
        tolerance = 2e-2 if own.ndim < 2 else 1e-3
        assert (own - theirs).abs().max() < tolerance, name
        assert (own - theirs).abs().mean() < tolerance / 20, name
