"""Training on a dozen sentences works: the batch size is lowered, and that is logged."""

from __future__ import annotations

import json
import logging

import pytest

import acceptor
from acceptor.data.split import check_trainable
from acceptor.errors import DataError
from conftest import raises


def dozen():
    return [(f"the cats sleep {row}." if row % 2 else f"the cat them see {row}.", str(row % 2)) for row in range(12)]


@pytest.mark.parametrize("batch_size", [32, 64])
def test_a_dozen_sentences_train_with_a_smaller_batch(batch_size, tiny_bert, tmp_path, caplog):
    caplog.set_level(logging.INFO, "acceptor")
    config = acceptor.TrainConfig(encoder=str(tiny_bert), epochs=1, batch_size=batch_size, on_collapse="go-on")
    run = acceptor.train(dozen(), out=tmp_path / "run", config=config)
    assert [line["examples"] for line in run.history if line["event"] == "step"] == [10]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["config"]["batch_size"] == 10
    [lowered] = [item for item in record["derived"] if item["name"] == "batch_size"]
    assert (lowered["value"], f"from {batch_size}" in lowered["reason"]) == (10, True)
    assert any("batch_size" in line and str(batch_size) in line for line in caplog.messages)


def test_batches_that_fit_are_left_alone(toy_run):
    assert toy_run.record["config"]["batch_size"] == 16
    assert not [item for item in toy_run.record["derived"] if item["name"] == "batch_size"]


def test_seeds_of_a_dozen_sentences_finish(tiny_bert, tmp_path):
    config = acceptor.TrainConfig(encoder=str(tiny_bert), epochs=1, on_collapse="go-on")
    for seeds in (1, 2):
        found = acceptor.train_seeds(dozen(), out=tmp_path / "seeds", seeds=seeds, config=config)
        assert found.count("failed") == 0
        assert len(found.runs) == seeds


def test_training_needs_two_examples():
    split = acceptor.load_data(dozen()).train
    check_trainable(acceptor.Data(split, split.take([0, 1], "validation")))
    with raises(DataError, "E-DATA-SPLIT", problem="1 example", expected="2 examples"):
        check_trainable(acceptor.Data(split, split.take([0], "validation")))
