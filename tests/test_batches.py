"""Batches: every row once, masks from lengths, little padding, an order that depends on the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import acceptor
from acceptor.config import TrainConfig
from acceptor.data.minimal_pairs import pair_numbers
from acceptor.model.batches import collate, epoch_batches, judging_batches, padding_ratio
from acceptor.model.encode import Encoded, encode
from acceptor.model.tokenizer import load_tokenizer

ORDERS = ("bucketed", "random")
some_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=300).map(lambda n: np.array(n, dtype=np.int64))


def ragged(rows: list[list[int]], types: list[list[int]] | None = None) -> Encoded:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    flat_types = None if types is None else np.concatenate(types).astype(np.int8)
    return Encoded(np.concatenate(rows).astype(np.int32), flat_types, offsets, np.zeros(len(rows), np.int32))


@settings(max_examples=60, deadline=None)
@given(lengths=some_lengths, batch=st.integers(1, 40), seed=st.integers(0, 9), order=st.sampled_from(ORDERS))
def test_an_epoch_holds_every_row_once(lengths, batch, seed, order):
    batches = epoch_batches(lengths, TrainConfig(batch_size=batch, seed=seed, order=order), 1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch)
    assert sum(len(rows) != batch for rows in batches) <= 1


@pytest.mark.parametrize("order", ORDERS)
def test_the_rows_of_a_pair_share_a_batch(order):
    config = TrainConfig(order=order)
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(4000).reshape(-1, 2)
    lengths, pairs = np.empty(4000, np.int64), np.arange(4000)
    lengths[shuffled] = rng.integers(3, 40, (2000, 1)) + rng.integers(0, 2, (2000, 2))  # a pair differs by little
    pairs[shuffled.max(axis=1)] = shuffled.min(axis=1)
    batches = epoch_batches(lengths, config, 1, pairs=pairs)
    assert sorted(np.concatenate(batches).tolist()) == list(range(4000))
    batch_of = np.empty(4000, np.int64)
    for number, rows in enumerate(batches):
        batch_of[rows] = number
    assert (batch_of == batch_of[pairs]).all()
    assert len(set(np.diff(np.concatenate(batches)[::2]).tolist())) > 1000  # the order of the pairs is random
    plain = epoch_batches(lengths, config, 1)
    alone = epoch_batches(lengths, config, 1, pairs=np.arange(4000))
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(plain, alone, strict=True))
    if order == "bucketed":
        assert padding_ratio(lengths, batches) < 1.15


def test_minimal_pairs_are_two_rows_of_different_labels():
    rows = [
        ("a", "p1", 1), ("b", "p2", 1), ("c", "p1", 0), ("d", "p3", 1), ("e", "p3", 1), ("f", None, 1), ("g", None, 0),
        ("h", "p4", 1), ("i", "p4", 0), ("j", "p4", 0),
    ]  # fmt: skip
    data = acceptor.load_data([{"sentence": text, "label": label, "pair": pair} for text, pair, label in rows])
    assert pair_numbers(data.train).tolist() == [0, 1, 0, *range(3, 10)]
    assert pair_numbers(data.train.take(np.array([1, 2, 3]), "train")) is None
    starter = acceptor.load_data("starter").train
    numbers = pair_numbers(starter)
    assert len(np.unique(numbers)) == len(starter) // 2
    assert (starter.gold != starter.gold[numbers]).sum() == len(starter) // 2


@settings(max_examples=60, deadline=None)
@given(lengths=some_lengths, budget=st.integers(1, 500))
def test_judging_batches_hold_every_row_once_within_the_budget(lengths, budget):
    batches = judging_batches(lengths, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(rows) == 1 or len(rows) * lengths[rows].max() <= budget for rows in batches)


def test_nothing_to_judge_gives_no_batches():
    assert judging_batches(np.array([], dtype=np.int64), 64) == []


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_is_a_function_of_seed_and_epoch(order):
    lengths = np.random.default_rng(0).integers(3, 40, 500)

    def rows(seed, epoch):
        return np.concatenate(epoch_batches(lengths, TrainConfig(batch_size=8, seed=seed, order=order), epoch)).tolist()

    assert rows(1, 1) == rows(1, 1)
    assert len({tuple(rows(seed, epoch)) for seed in (1, 2) for epoch in (1, 2)}) == 4


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=12), min_size=1, max_size=20),
    pad=st.sampled_from([0, 1, 7]),
    data=st.data(),
)
def test_collate_gives_ids_back_and_masks_by_length(rows, pad, data):
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8)))
    types = [[index % 2] * len(row) for index, row in enumerate(rows)]
    batch = collate(ragged(rows, types), chosen, pad)
    for row, ids, mask, kinds in zip(chosen, *(batch[name].tolist() for name in batch), strict=True):
        n = len(rows[row])
        assert ids == rows[row] + [pad] * (len(ids) - n)
        assert mask == [1] * n + [0] * (len(ids) - n)  # also where a real id equals the padding id
        assert kinds == types[row] + [0] * (len(ids) - n)
    assert batch["input_ids"].shape[1] == max(len(rows[row]) for row in chosen)


def test_padding_ratio_counts_positions_per_real_token():
    assert padding_ratio(np.array([2, 4, 3, 3]), [np.array([0, 1]), np.array([2, 3])]) == pytest.approx(14 / 12)


def test_bucketing_pads_far_less_than_random_order(tiny_bert):
    from conftest import toy_rows

    encoded = encode(load_tokenizer(tiny_bert), [text for text, _ in toy_rows(2000)], max_length=64)
    ratio = {
        order: padding_ratio(encoded.lengths, epoch_batches(encoded.lengths, TrainConfig(order=order), 1))
        for order in ORDERS
    }
    assert ratio["bucketed"] < 1.05 < ratio["random"]
