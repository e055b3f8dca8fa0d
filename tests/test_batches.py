"""Batches: every row once, masks from lengths, little padding, an order that depends on the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acceptor.model.batches import collate, epoch_batches, judging_batches, padding_ratio
from acceptor.model.encode import Encoded, encode
from acceptor.model.tokenizer import load_tokenizer

some_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=300).map(lambda n: np.array(n, dtype=np.int64))


def ragged(rows: list[list[int]], types: list[list[int]] | None = None) -> Encoded:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    flat_types = None if types is None else np.concatenate(types).astype(np.int8)
    return Encoded(np.concatenate(rows).astype(np.int32), flat_types, offsets, np.zeros(len(rows), np.int32))


@settings(max_examples=60, deadline=None)
@given(lengths=some_lengths, batch=st.integers(1, 40), seed=st.integers(0, 9), bucketed=st.booleans())
def test_an_epoch_holds_every_row_once(lengths, batch, seed, bucketed):
    batches = epoch_batches(lengths, batch, seed=seed, epoch=1, bucketed=bucketed)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch)
    assert sum(len(rows) != batch for rows in batches) <= 1


@settings(max_examples=60, deadline=None)
@given(lengths=some_lengths, budget=st.integers(1, 500))
def test_judging_batches_hold_every_row_once_within_the_budget(lengths, budget):
    batches = judging_batches(lengths, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(rows) == 1 or len(rows) * lengths[rows].max() <= budget for rows in batches)


def test_nothing_to_judge_gives_no_batches():
    assert judging_batches(np.array([], dtype=np.int64), 64) == []


@pytest.mark.parametrize("bucketed", [True, False])
def test_the_order_is_a_function_of_seed_and_epoch(bucketed):
    lengths = np.random.default_rng(0).integers(3, 40, 500)

    def order(seed, epoch):
        return np.concatenate(epoch_batches(lengths, 8, seed=seed, epoch=epoch, bucketed=bucketed)).tolist()

    assert order(1, 1) == order(1, 1)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (1, 2)}) == 4


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
        bucketed: padding_ratio(encoded.lengths, epoch_batches(encoded.lengths, 32, seed=0, epoch=1, bucketed=bucketed))
        for bucketed in (True, False)
    }
    assert ratio[True] < 1.05 < ratio[False]
