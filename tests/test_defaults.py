"""Settings that are derived from the encoder and the size of the data."""

from __future__ import annotations

import pytest

import acceptor
from acceptor.config import TrainConfig
from acceptor.training.defaults import FEWEST_EPOCHS, MOST_EPOCHS, STEPS, resolve


def steps(config, rows):
    return config.epochs * -(-rows // config.batch_size)


@pytest.mark.parametrize(("width", "rate"), [(1024, 2e-5), (768, 3e-5), (384, 1e-4), (256, 3e-4), (32, 1e-3)])
def test_the_learning_rate_falls_with_the_square_of_the_width(width, rate):
    for names in ({"hidden_size": width}, {"dim": width}):
        config, derived = resolve(TrainConfig(), names, rows=8551)
        assert config.learning_rate == rate
        assert any(item.name == "learning_rate" and str(width) in item.reason for item in derived)
    assert resolve(TrainConfig(), {}, rows=8551)[0].learning_rate == 3e-5  # a base-size encoder


@pytest.mark.parametrize("rows", [2, 31, 200, 1000, 4400, 8551, 100_000])
def test_the_number_of_steps_is_alike_for_corpora_of_any_size(rows):
    config, derived = resolve(TrainConfig(), {"hidden_size": 384}, rows)
    assert FEWEST_EPOCHS <= config.epochs <= MOST_EPOCHS
    if config.epochs > FEWEST_EPOCHS:
        assert steps(config.model_copy(update={"epochs": config.epochs - 1}), rows) < STEPS
    if config.epochs < MOST_EPOCHS:
        assert steps(config, rows) >= STEPS
    assert config.batch_size == min(32, rows)
    assert [item.name for item in derived] == [*["batch_size"] * (rows < 32), "learning_rate", "epochs"]


def test_given_settings_are_not_changed():
    given = TrainConfig(epochs=1, learning_rate=7e-6, batch_size=4)
    config, derived = resolve(given, {"hidden_size": 384}, rows=8551)
    assert config.model_dump() == given.model_dump()
    assert derived == []


def test_a_run_records_what_was_derived_and_why(toy, tiny_bert, tmp_path):
    run = acceptor.train(toy, out=tmp_path / "run", config=TrainConfig(encoder=str(tiny_bert), batch_size=128))
    config, derived = run.record["config"], {item["name"]: item for item in run.record["derived"]}
    assert config["epochs"] == derived["epochs"]["value"] == MOST_EPOCHS
    assert config["learning_rate"] == derived["learning_rate"]["value"] == 1e-3
    assert str(STEPS) in derived["epochs"]["reason"].replace(",", "")
