"""The collapse guard: collapsed trainings are caught, healthy ones are not, and none is dropped from the count."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
import torch

import acceptor
from acceptor.config import ResolvedConfig, TrainConfig, safer
from acceptor.errors import RunError, UsageError
from acceptor.runs.history import EpochLine, StepLine
from acceptor.training import checkpoint, defaults
from acceptor.training.collapse import CollapseError, collapse_at, constant_loss, label_entropy
from acceptor.training.loop import EpochEnd
from acceptor.training.record import best_epoch
from acceptor.training.targets import Targets
from conftest import COLA, needs_cola, needs_minilm, raises, toy_rows

HIGH = 0.9  # a learning rate at which the tiny encoder collapses, whatever the seed


CONFIG = ResolvedConfig(seed=7, epochs=2, learning_rate=HIGH)


@pytest.fixture(scope="module")
def high(toy_config):
    return toy_config.model_copy(update={"learning_rate": HIGH, "epochs": 2})


def steps(loss):
    line = {"event": "step", "epoch": 1, "loss": loss, "learning_rate": HIGH, "examples": 16, "seconds": 1.0}
    return [StepLine.model_validate({**line, "step": step}) for step in range(1, 11)]


def seen(toy, loss, logits):
    event = EpochEnd(1, 10, loss, logits.astype(np.float32), 1.0)
    return collapse_at(event, steps(loss), toy.train, toy.validation, CONFIG)


def test_all_three_signs_are_needed(toy):
    """One verdict, a loss that is no better than the labels' shares, margins that do not differ."""
    rng, n = np.random.default_rng(0), len(toy.validation)
    alike = np.tile([0.0, 0.9], (n, 1)) + rng.normal(0, 1e-4, (n, 2))
    found = seen(toy, 0.64, alike)
    assert (found.label, found.share, found.epoch, found.step, found.seed) == ("acceptable", 1.0, 1, 10, 7)
    assert found.loss == pytest.approx(0.64)
    assert found.entropy == pytest.approx(-(54 * np.log(54 / 160) + 106 * np.log(106 / 160)) / 160)
    assert found.margin_sd < 1e-3
    assert seen(toy, 0.5, alike) is None  # the loss falls
    assert seen(toy, 0.64, alike + rng.normal(0, 0.05, (n, 2))) is None  # verdicts differ
    one_other = alike.copy()
    one_other[3] = one_other[3, ::-1]
    assert seen(toy, 0.64, one_other) is None
    informed = alike + 1e-3 * np.outer(toy.validation.gold - 0.5, [-1, 1])
    informed[:, 1] += np.log(32 / 16) - 0.9  # the shares of validation's own labels, and a little more
    assert seen(toy, 0.64, informed) is None


def test_the_loss_of_the_epochs_second_half_counts(toy):
    alike = np.tile([0.0, 0.9], (len(toy.validation), 1))
    history = steps(0.3)[:5] + steps(0.64)[5:]
    event = EpochEnd(1, 10, 0.47, alike.astype(np.float32), 1.0)
    assert collapse_at(event, history, toy.train, toy.validation, CONFIG).loss == pytest.approx(0.64)
    later = [line.model_copy(update={"epoch": 2}) for line in steps(0.3)]
    assert collapse_at(event, [*history, *later], toy.train, toy.validation, CONFIG) is not None


def test_the_first_of_several_epochs_is_not_checked(toy):
    """A healthy training may leave the loss of guessing in a later epoch only."""
    alike = np.tile([0.0, 0.9], (len(toy.validation), 1)).astype(np.float32)
    longer = CONFIG.model_copy(update={"epochs": 3})
    later = [line.model_copy(update={"epoch": 2, "step": line.step + 10}) for line in steps(0.64)]
    for epoch, history, config, collapsed in (
        (1, steps(0.64), CONFIG, True),
        (1, steps(0.64), longer, False),
        (2, [*steps(0.64), *later], longer, True),
    ):
        event = EpochEnd(epoch, 10 * epoch, 0.64, alike, 1.0)
        assert (collapse_at(event, history, toy.train, toy.validation, config) is not None) == collapsed


def test_the_entropy_is_the_least_loss_of_one_answer():
    gold = np.array([0, 0, 0, 1])
    mean, deviation = label_entropy(gold)
    losses = -np.log(np.array([0.75, 0.75, 0.75, 0.25]))
    assert (mean, deviation) == pytest.approx((losses.mean(), losses.std()))


TAUGHT = np.array([[0.6, 0.4]] * 9 + [[0.4, 0.6]], np.float32)


@pytest.mark.parametrize("values", [np.array([0] * 9 + [1]), TAUGHT], ids=["labels", "probabilities"])
def test_with_class_weights_the_constant_loss_is_that_of_the_weighted_losses(values):
    targets = Targets(values, 2, CONFIG.model_copy(update={"class_weights": "balanced"}), "cpu")

    def losses(share):
        logits = torch.log(torch.tensor([[1 - share, share]] * 10))
        return targets.losses(logits, np.arange(10)).numpy()

    best = min((losses(share) for share in np.linspace(0.01, 0.99, 99)), key=np.mean)
    found = constant_loss(values, CONFIG.model_copy(update={"class_weights": "balanced"}))
    assert found == pytest.approx((best.mean(), best.std()), abs=1e-5)


def test_a_student_is_compared_with_a_constant_answer_to_its_teachers_probabilities(toy):
    """Their entropy is not that of the labels that they make most probable."""
    sure = np.repeat([[0.49, 0.51], [0.99, 0.01]], [96, 64], axis=0).astype(np.float32)
    shares = sure.mean(axis=0)
    mean, deviation = label_entropy(sure)
    assert mean == pytest.approx(-(shares @ np.log(shares)), abs=1e-6)
    assert deviation == pytest.approx((sure @ -np.log(shares)).std(), abs=1e-6)
    student = dataclasses.replace(toy.train, soft_labels=sure)
    alike = np.tile([0.9, 0.0], (len(toy.validation), 1))
    event = EpochEnd(1, 10, 0.62, alike.astype(np.float32), 1.0)
    assert collapse_at(event, steps(0.62), student, toy.validation, CONFIG) is not None
    most_probable = dataclasses.replace(toy.train, label_ids=sure.argmax(axis=1))
    assert collapse_at(event, steps(0.62), most_probable, toy.validation, CONFIG) is None


def test_a_collapse_in_an_epoch_that_is_not_kept_does_not_count():
    line = {"event": "epoch", "step": 1, "seconds": 1.0, "train_loss": 0.5, "validation_loss": 0.5, "accuracy": 0.5}
    collapse = {
        "seed": 1,
        "epoch": 2,
        "step": 2,
        "label": "a",
        "share": 1.0,
        "loss": 0.6,
        "entropy": 0.6,
        "margin_sd": 0,
    }
    epochs = [
        EpochLine.model_validate({**line, "epoch": epoch, "mcc": mcc, "f1": None, "collapse": found})
        for epoch, mcc, found in ((1, 0.5, None), (2, None, collapse))
    ]
    assert best_epoch(epochs, "mcc").collapse is None
    assert best_epoch(epochs[::-1], "mcc").epoch == 1
    assert best_epoch(epochs, "f1").epoch == 2  # no score is defined: the last has learned the most


def test_a_collapse_stops_the_training_with_advice(toy, high, tmp_path):
    with pytest.raises(CollapseError) as caught:
        acceptor.train(toy, out=tmp_path / "run", config=high)
    text = str(caught.value)
    for words in ("all validation verdicts are", "seed 7, epoch 1, step 10", "margins within",
                  "--learning-rate 2e-05 --warmup 0.1 --max-grad-norm 1 --seed 1007",
                  "--on-collapse restart"):  # fmt: skip
        assert words in text, words
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_continuing_after_a_collapse_is_recorded(toy, high, tmp_path):
    run = acceptor.train(toy, out=tmp_path / "run", config=high.model_copy(update={"on_collapse": "go-on"}))
    record = json.loads((run.folder / "run.json").read_text())
    first, last = (line["collapse"] for line in run.history if line["event"] == "epoch")
    assert first["margin_sd"] < 3e-3
    assert record["collapsed"] is bool(last)  # a rate that falls to 0 may find the labels' shares once more


def test_a_restart_has_another_seed_and_safer_settings(toy, high, tmp_path):
    run = acceptor.train(toy, out=tmp_path / "run", config=high.model_copy(update={"on_collapse": "restart"}))
    assert run.record["config"]["seed"] == 1007
    assert run.record["config"]["learning_rate"] == 2e-5
    assert run.record["restarted_after"]["seed"] == 7
    assert run.record["collapsed"] is False
    assert {item["name"]: item["value"] for item in run.record["derived"]}["learning_rate"] == 2e-5


def test_safer_settings_are_those_that_are_stated():
    again = safer(TrainConfig(learning_rate=4e-5, warmup=0.0, max_grad_norm=0.0, seed=2**32 - 1))
    assert (again.learning_rate, again.warmup, again.max_grad_norm, again.seed) == (1e-5, 0.1, 1.0, 999)
    assert again.on_collapse == "stop"  # a second collapse is final
    high = safer(TrainConfig(learning_rate=1e-3, warmup=0.2, max_grad_norm=0.5))
    assert (high.learning_rate, high.warmup, high.max_grad_norm) == (2e-5, 0.2, 0.5)


@pytest.mark.parametrize("given", [True, False], ids=["given", "derived"])
def test_a_restarted_training_that_was_stopped_resumes(given, toy, high, tmp_path, monkeypatch):
    """The same call with resume=True keeps the first settings and the collapse."""

    class Stop(Exception):  # noqa: N818 - no error
        pass

    def save(self, *rest, kept=checkpoint.Checkpoints.save):
        kept(self, *rest)
        raise Stop

    config, out = high.model_copy(update={"on_collapse": "restart"}), tmp_path / "run"
    if not given:
        for name, value in (("BASE_RATE", HIGH), ("HIGHEST_RATE", HIGH), ("MOST_EPOCHS", 2), ("FEWEST_EPOCHS", 2)):
            monkeypatch.setattr(defaults, name, value)
        config = config.model_copy(update={"learning_rate": None, "epochs": None})
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "save", save)
        with pytest.raises(Stop):
            acceptor.train(toy, out=out, config=config)
    run = acceptor.train(toy, out=out, config=config, resume=True)
    assert run.record["restarted_after"]["seed"] == 7
    assert (run.record["config"]["seed"], run.record["config"]["learning_rate"]) == (1007, 2e-5)
    with raises(UsageError, "E-USAGE-OUTPUT", problem=str(out), next="--overwrite"):
        acceptor.train(toy, out=out, config=config, resume=True)


@pytest.mark.parametrize("processes", [1, 2])
def test_collapsed_seeds_stay_in_the_count_and_are_restarted(processes, toy, high, tmp_path, monkeypatch):
    seeds = [7, 8]
    found = acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=seeds, config=high, processes=processes)
    folders = [name for seed in seeds for name in (f"seed-{seed}", f"seed-{seed}-restarted")]
    assert [entry["folder"] for entry in found.entries] == folders
    assert [entry["status"] for entry in found.entries] == ["collapsed", "finished"] * len(seeds)
    first, again = found.entries[:2]
    assert first["collapse"]["seed"] == 7
    assert first["collapse"]["share"] == 1.0
    assert (again["restarted_from"], again["seed"], again["planned"]) == ("seed-7", 1007, 7)
    assert f"collapsed {len(seeds)} of {2 * len(seeds)}" in repr(found)
    assert not (found.folder / "seed-7").exists()
    monkeypatch.setattr(
        "acceptor.experiments.workers.train", None
    )  # a finished training, even a collapsed one, is not trained again
    again = acceptor.train_seeds(toy, out=found.folder, seeds=seeds, config=high)
    assert again.record == found.record


@pytest.mark.parametrize("vary", ["order", "both"])
def test_a_restarted_seed_keeps_its_validation_rows(vary, high, tmp_path):
    """The safer seed would cut others: then these runs could be neither compared nor made one judge."""
    found = acceptor.train_seeds(toy_rows(160), out=tmp_path / "seeds", seeds=[7, 8], config=high, vary=vary)
    restarted = [one for one in found.entries if one["restarted_from"]]
    plain = high.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    for one in restarted:
        seed = 7 if vary == "order" else one["planned"]
        cut = acceptor.train(toy_rows(160), out=tmp_path / f"cut-{seed}-{one['planned']}",
                             config=plain.model_copy(update={"seed": seed}))  # fmt: skip
        files = [folder / "predictions.parquet" for folder in (found.folder / one["folder"], cut.folder)]
        own, expected = (pl.read_parquet(file)["line"].to_list() for file in files)
        assert own == expected
    assert len(restarted) == 2
    again = acceptor.train_seeds(toy_rows(160), out=found.folder, seeds=[7, 8], config=high, vary=vary)
    assert again.record == found.record
    if vary == "order":
        assert acceptor.ensemble(found.folder, out=tmp_path / "both").report.scores.n == len(own)


def test_without_a_restart_a_collapse_is_final(toy, high, tmp_path):
    stop = high.model_copy(update={"on_collapse": "stop"})
    with raises(RunError, "E-RUN-UNFINISHED", found="seed-7", cause="0.9"):
        acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=[7], config=stop)
    told = json.loads((tmp_path / "seeds" / "seeds.json").read_text())
    assert (told["n_runs"], told["collapsed"]) == (1, 1)
    assert told["runs"][0]["scores"] is None


@pytest.mark.real
@needs_minilm
@needs_cola
def test_real_collapses_are_caught_and_healthy_trainings_are_not(tmp_path):
    """minilm on part of CoLA at 1e-2 and 1e-4; benchmarks/collapse.py has the form with all of CoLA."""
    data = acceptor.load_data(COLA / "raw")
    some = data.train.take(range(0, len(data.train), 13), "train")
    few = acceptor.Data(some, data.validation.take(range(0, len(data.validation), 3), "validation"))
    caught = []
    for seed in (2, 3):
        config = TrainConfig(encoder="minilm", epochs=2, learning_rate=1e-2, warmup=0, seed=seed)
        try:
            acceptor.train(few, out=tmp_path / f"high-{seed}", config=config)
        except CollapseError as error:
            caught.append(error.collapse)
    assert [collapse.seed for collapse in caught] == [2, 3]
    healthy = acceptor.train(few, out=tmp_path / "run", config=TrainConfig(encoder="minilm", epochs=1, seed=1))
    assert healthy.report.scores.collapsed  # all verdicts are the same after so few steps, but it was not stopped
