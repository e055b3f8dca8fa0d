"""Settings that are derived from the encoder and the size of the data."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

import acceptor
from acceptor.cli.render import run_text
from acceptor.config import PRESETS, ResolvedConfig, TrainConfig
from acceptor.evaluation.evaluate import report_of
from acceptor.model.classifier import new_classifier
from acceptor.model.pretrained import find_encoder
from acceptor.training.advice import advice_for
from acceptor.training.defaults import FEWEST_EPOCHS, MOST_EPOCHS, STEPS, resolve
from acceptor.training.targets import Targets, balanced_weights
from conftest import encoder_of, raises, split_of, toy_rows
from tiny import make_encoder


@pytest.fixture(scope="module")
def cola():
    """As many examples of each label as CoLA has."""
    return split_of(2528, 6023)


def steps(config, rows):
    return config.epochs * -(-rows // config.batch_size)


@pytest.mark.parametrize(
    ("width", "rate"), [(1024, 2e-5), (768, 3e-5), (384, 1e-4), (256, 3e-4), (128, 1e-3), (32, 4e-3)]
)
def test_the_learning_rate_falls_with_the_square_of_the_width(width, rate, cola):
    for names in ({"hidden_size": width}, {"dim": width}):
        config, derived = resolve(TrainConfig(), encoder_of(**names), cola)
        assert config.learning_rate == rate
        assert any(item.name == "learning_rate" and str(width) in item.reason for item in derived)
    assert resolve(TrainConfig(), encoder_of(), cola)[0].learning_rate == 3e-5  # a base-size encoder


@pytest.mark.parametrize("rows", [2, 31, 200, 1000, 4400, 8551, 100_000])
def test_the_number_of_steps_is_alike_for_corpora_of_any_size(rows):
    config, derived = resolve(TrainConfig(), encoder_of(hidden_size=384), split_of(rows - rows // 2, rows // 2))
    assert FEWEST_EPOCHS <= config.epochs <= MOST_EPOCHS
    if config.epochs > FEWEST_EPOCHS:
        assert steps(config.model_copy(update={"epochs": config.epochs - 1}), rows) < STEPS
    if config.epochs < MOST_EPOCHS:
        assert steps(config, rows) >= STEPS
    assert config.batch_size == min(32, rows)
    names = ["learning_rate", "adam_beta2", "dropout", "epochs"]
    assert [item.name for item in derived] == [*["batch_size"] * (rows < 32), *names]


@pytest.mark.parametrize(("width", "beta2"), [(384, 0.98), (512, 0.999), (768, 0.999)])
def test_the_optimizer_of_narrow_encoders_forgets_squared_gradients_sooner(width, beta2, cola):
    config, derived = resolve(TrainConfig(), encoder_of(hidden_size=width), cola)
    assert config.adam_beta2 == beta2
    assert next(item.value for item in derived if item.name == "adam_beta2") == beta2
    assert resolve(TrainConfig(adam_beta2=0.9), encoder_of(hidden_size=width), cola)[0].adam_beta2 == 0.9
    assert resolve(TrainConfig(**PRESETS["notebook"]), encoder_of(hidden_size=width), cola)[0].adam_beta2 == 0.999


@pytest.mark.parametrize(("width", "dropout"), [(384, 0.0), (512, "encoder"), (768, "encoder")])
def test_narrow_encoders_train_without_dropout(width, dropout, cola):
    config, derived = resolve(TrainConfig(), encoder_of(hidden_size=width), cola)
    assert config.dropout == dropout
    assert next(item.value for item in derived if item.name == "dropout") == dropout
    for given in (0.2, "encoder"):
        assert resolve(TrainConfig(dropout=given), encoder_of(hidden_size=width), cola)[0].dropout == given


@pytest.mark.parametrize(
    ("layers", "width", "fresh", "balanced"),
    [(12, 768, 2, 2), (24, 1024, 4, 4), (6, 768, 1, 1), (2, 768, 0, 0), (6, 384, 0, 1), (12, 384, 0, 2)],
)
def test_the_top_layers_of_an_encoder_of_sentences_start_anew(layers, width, fresh, balanced, tmp_path, cola):
    """Whoever trained it with sentence-transformers left modules.json. Of a narrow one only where no label prevails."""
    plain = encoder_of(num_hidden_layers=layers, hidden_size=width)
    assert resolve(TrainConfig(), plain, cola)[0].reinit_layers == 0
    (tmp_path / "modules.json").write_text("[]")
    for names in ({"num_hidden_layers": layers, "hidden_size": width}, {"n_layers": layers, "dim": width}):
        embeds = dataclasses.replace(encoder_of(**names), folder=tmp_path)
        config, derived = resolve(TrainConfig(), embeds, cola)
        assert config.reinit_layers == fresh
        why = next(item for item in derived if item.name == "reinit_layers")
        assert (why.value, "0.70 of the examples have one label" in why.reason) == (fresh, width < 512)
        for counts in ((3000, 3000), (3000, 2000), (2000, 1000, 2000)):
            config, derived = resolve(TrainConfig(), embeds, split_of(*counts))
            assert config.reinit_layers == balanced
            why = next(item for item in derived if item.name == "reinit_layers")
            assert (why.value, f"of {layers}" in why.reason) == (balanced, True)
        assert resolve(TrainConfig(), embeds, split_of(3001, 1999))[0].reinit_layers == fresh
        assert resolve(TrainConfig(keep_head=True), embeds, cola)[0].reinit_layers == 0
        assert resolve(TrainConfig(reinit_layers=5), embeds, cola)[0].reinit_layers == 5


def test_layers_that_share_their_weights_stay_as_pre_trained(tmp_path, cola):
    """ALBERT's layers have no numbers, so none of them could be the top one."""
    (tmp_path / "modules.json").write_text("[]")
    albert = encoder_of(num_hidden_layers=6, hidden_size=768, num_hidden_groups=1)
    config, derived = resolve(TrainConfig(), dataclasses.replace(albert, folder=tmp_path), cola)
    assert config.reinit_layers == 0
    assert "share" in next(item.reason for item in derived if item.name == "reinit_layers")


@pytest.mark.parametrize("kind", ["bert", "distilbert", "mpnet", "modernbert"])
def test_only_the_top_layers_start_from_random_weights(kind, tmp_path):
    encoder = find_encoder(str(make_encoder(tmp_path / kind, kind)))
    own, fresh = (new_classifier(encoder, ("0", "1"), 7, reinit_layers=n).state_dict() for n in (0, 1))
    last = max(int(found[1]) for name in own if (found := re.search(r"layers?\.(\d+)\.", name)))
    for name, weight in own.items():
        above = f".{last}." in name
        if weight.ndim >= 2 and (above or "embeddings" in name or "layer" in name):
            assert torch.equal(weight, fresh[name]) != above, name
    again = new_classifier(encoder, ("0", "1"), 7, reinit_layers=1).state_dict()
    assert all(torch.equal(fresh[name], again[name]) for name in fresh)
    with raises(acceptor.UsageError, "E-USAGE-OPTION", expected=f"at most {last + 1}"):
        new_classifier(encoder, ("0", "1"), 7, reinit_layers=last + 2)


@pytest.mark.parametrize("wrong", [1.0, 0.99999999999, -0.1, "own", True])
def test_dropout_is_a_probability_or_the_encoders(wrong):
    with raises(acceptor.UsageError, "E-USAGE-OPTION"):
        TrainConfig(dropout=wrong)


@pytest.mark.parametrize("no_settings", [5, None, ["epochs", 3]])
def test_what_are_no_settings_at_all_is_refused(no_settings):
    with raises(acceptor.UsageError, "E-USAGE-OPTION", problem="the settings"):
        TrainConfig.model_validate(no_settings)


@pytest.mark.parametrize(("dropout", "stored"), [(None, 0.0), ("encoder", 0.1), (0.2, 0.2)])
def test_the_dropout_of_a_training(toy, toy_config, dropout, stored, tmp_path):
    config = toy_config.model_copy(update={"dropout": dropout, "epochs": 1, "on_collapse": "go-on"})
    run = acceptor.train(toy, out=tmp_path / "run", config=config)
    assert run.judge.model.config.hidden_dropout_prob == stored
    assert run.judge.model.config.attention_probs_dropout_prob == stored


def test_given_settings_are_not_changed(cola):
    given = TrainConfig(epochs=1, learning_rate=7e-6, batch_size=4, adam_beta2=0.95, dropout=0.3, reinit_layers=1)
    config, derived = resolve(given, encoder_of(hidden_size=384), cola)
    assert config.model_dump() == given.model_dump()
    assert derived == []


def test_a_run_that_is_resumed_by_its_path_records_the_reasons_of_the_first_command(tiny_bert, tmp_path):
    """Its checkpoint has all settings, so that none is derived again."""
    file = tmp_path / "train.tsv"
    file.write_text("".join(f"{label}\t{text}\n" for text, label in toy_rows(96)))
    config = TrainConfig(encoder=str(tiny_bert), on_collapse="go-on")

    def stop(history):
        raise KeyboardInterrupt

    whole = acceptor.train(str(file), out=tmp_path / "whole", config=config)
    with pytest.raises(KeyboardInterrupt):
        acceptor.train(str(file), out=tmp_path / "run", config=config, on_epoch=stop)
    resumed = acceptor.resume(tmp_path / "run")
    settings = {"learning_rate", "adam_beta2", "dropout", "epochs"}
    ours, theirs = ([one for one in run.record["derived"] if one["name"] in settings] for run in (resumed, whole))
    assert ours == theirs
    assert {one["name"] for one in ours} == settings
    with pytest.raises(KeyboardInterrupt):
        acceptor.train(str(file), out=tmp_path / "run", config=config, on_epoch=stop, overwrite=True)
    changed = acceptor.resume(tmp_path / "run", changes={"learning_rate": 1e-3}, allow_change=True)
    assert {one["name"] for one in changed.record["derived"]} & settings == settings - {"learning_rate"}


def test_a_run_records_what_was_derived_and_why(toy, tiny_bert, tmp_path):
    run = acceptor.train(toy, out=tmp_path / "run", config=TrainConfig(encoder=str(tiny_bert), batch_size=128))
    config, derived = run.record["config"], {item["name"]: item for item in run.record["derived"]}
    assert config["epochs"] == derived["epochs"]["value"] == MOST_EPOCHS
    assert config["learning_rate"] == derived["learning_rate"]["value"] == 4e-3
    assert str(STEPS) in derived["epochs"]["reason"].replace(",", "")


# ---------------------------------------------------------------------- advice


def report_on(split, verdicts):
    return report_of(split, np.eye(2, dtype=np.float32)[verdicts] * 4)


@pytest.mark.parametrize(
    ("settings", "train_loss", "words"),
    [
        ({"learning_rate": 2e-5, "epochs": 4}, 0.68, "--learning-rate 0.0001"),
        ({"learning_rate": 1e-4, "epochs": 4}, 0.68, "--epochs 30"),
        ({"learning_rate": 1e-2, "epochs": 4}, 0.68, "--learning-rate 0.0001"),
        ({"learning_rate": 2e-4, "epochs": 4}, 0.68, "--epochs 30"),
        ({"learning_rate": 1e-4, "epochs": 40}, 0.68, "--epochs 80"),
        ({"learning_rate": 2e-5, "epochs": 4}, 0.05, "acceptor audit"),
    ],
)
def test_a_training_that_is_no_better_than_chance_says_what_to_change(toy, settings, train_loss, words):
    config, _ = resolve(TrainConfig(**settings), encoder_of(hidden_size=384), toy.train)
    by_chance = np.arange(len(toy.validation)) % 2
    found = advice_for(report_on(toy.validation, by_chance), train_loss, toy.train, config, encoder_of(hidden_size=384))
    assert "chance" in found
    assert words in found
    in_set = advice_for(
        report_on(toy.validation, by_chance), train_loss, toy.train, config, encoder_of(hidden_size=384), in_set=True
    )
    assert "--overwrite" not in in_set  # which would remove the other runs
    one_verdict = report_on(toy.validation, np.ones(len(toy.validation), dtype=int))
    assert "not defined" in advice_for(one_verdict, train_loss, toy.train, config, encoder_of(hidden_size=384))
    right = report_on(toy.validation, toy.validation.gold)
    assert advice_for(right, train_loss, toy.train, config, encoder_of(hidden_size=384)) is None
    few = toy.validation.take(range(8), "validation")  # too few for an interval, so that nothing is known of chance
    alike = toy.validation.take(np.flatnonzero(toy.validation.gold), "validation")
    for split, words in ((few, "8 examples, so it cannot be told"), (alike, "examples of every label")):
        found = advice_for(report_on(split, split.gold), train_loss, toy.train, config, encoder_of(hidden_size=384))
        assert (words in found, "chance" in found) == (True, False)


def test_the_advice_is_the_last_line(toy, toy_config, tmp_path, caplog):
    config = toy_config.model_copy(update={"learning_rate": 1e-6, "epochs": 1, "on_collapse": "go-on"})
    run = acceptor.train(toy, out=tmp_path / "run", config=config)
    assert list(run_text(run))[-1] == run.advice
    assert "--learning-rate 0.004" in run.advice
    assert run.advice in caplog.text
    learned = acceptor.train(toy, out=tmp_path / "learned", config=toy_config)
    assert learned.advice is None
    assert str(list(run_text(learned))[-1]).startswith("next: ")


# ---------------------------------------------------------------------- class weights


def test_balanced_weights_are_those_of_scikit_learn():
    gold = np.array([0] * 6 + [1] * 3 + [2])
    found = balanced_weights(gold, 3)
    np.testing.assert_allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=gold), rtol=1e-6)
    assert found[gold].mean() == pytest.approx(1)
    assert balanced_weights(gold, 4).tolist() == [*found.tolist(), 0.0]  # no row has the label


def test_balanced_weights_of_probabilities_give_all_labels_the_same_total_weight():
    """By the most probable labels of these rows, the total weight of the second label was seven times as high."""
    taught = np.array([[0.6, 0.4]] * 9 + [[0.4, 0.6]], np.float32)
    weights = balanced_weights(taught, 2)
    np.testing.assert_allclose(weights * taught.sum(axis=0), [5, 5], rtol=1e-6)
    assert balanced_weights(np.array([[0.9, 0.1]] * 4, np.float32), 2).min() > 0  # a label that is never most probable


@pytest.mark.parametrize("soft", [False, True])
def test_losses_are_weighted_by_the_class(soft):
    gold = np.array([0, 0, 0, 1])
    logits = torch.tensor([[0.3, -0.2]] * 4)
    values = np.eye(2, dtype=np.float32)[gold] if soft else gold
    config = ResolvedConfig(epochs=1, learning_rate=1e-3)
    plain = Targets(values, 2, config, "cpu").losses(logits, np.arange(4))
    weighted = Targets(values, 2, config.model_copy(update={"class_weights": "balanced"}), "cpu").losses(
        logits, np.arange(4)
    )
    torch.testing.assert_close(weighted, plain * torch.tensor([2 / 3, 2 / 3, 2 / 3, 2.0]))


def test_a_rare_label_is_found_more_often_if_labels_count_alike(tiny_bert, tmp_path):
    rows = [(sentence, label) for sentence, label in toy_rows(400) if label == "1"]
    noisy = [(sentence, str(int(index % 6 != 0))) for index, (sentence, _) in enumerate(rows)]
    shares = []
    for weights in (None, "balanced"):
        config = TrainConfig(encoder=str(tiny_bert), epochs=2, learning_rate=1e-3, class_weights=weights, max_length=32)
        config = config.model_copy(update={"on_collapse": "go-on"})
        run = acceptor.train(noisy, out=tmp_path / str(weights), config=config)
        shares.append(run.judge(["the cats sleep."])[0].logits[0] - run.judge(["the cats sleep."])[0].logits[1])
    assert shares[1] - shares[0] > 0.5  # log 5 = 1.6 if nothing is learned but the shares
