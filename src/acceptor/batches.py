"""Ids to padded tensors, in one place: which rows go together, in which order, and how they are laid out.

Every batch carries its row numbers, so results can always be put back in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acceptor.encode import Encoded

if TYPE_CHECKING:
    import torch

Rows = npt.NDArray[np.int64]

BUCKET_BATCHES = 50  # batches per bucket: longer buckets pad less, shorter ones mix more


@dataclass(frozen=True, eq=False)
class Batch:
    """B padded inputs of at most L tokens.

    Attributes:
        rows: int64, shape (B,): which inputs these are.
        inputs: The tensors that the encoder takes by name: ``input_ids`` and ``attention_mask``, and
            ``token_type_ids`` for pairs; int64, shape (B, L).
    """

    rows: Rows
    inputs: dict[str, torch.Tensor]


def collate(encoded: Encoded, rows: Rows, pad_id: int, device: str = "cpu") -> Batch:
    """The given rows as one padded batch on ``device``.

    The mask comes from lengths, never from ids: a padding id may be 0, 1 or anything.
    """
    import torch

    lengths = encoded.lengths[rows]  # (B,)
    columns = np.arange(lengths.max())  # (L,)
    real = columns < lengths[:, None]  # (B, L)
    position = np.where(real, encoded.offsets[rows][:, None] + columns, 0)  # (B, L)
    arrays = {
        "input_ids": np.where(real, encoded.ids[position], pad_id),
        "attention_mask": real,
    }
    if encoded.type_ids is not None:
        arrays["token_type_ids"] = np.where(real, encoded.type_ids[position], 0)
    inputs = {
        name: torch.from_numpy(array.astype(np.int64)).to(device, non_blocking=True) for name, array in arrays.items()
    }
    return Batch(rows, inputs)


def epoch_batches(
    lengths: npt.NDArray[np.int64], batch_size: int, *, seed: int, epoch: int, bucketed: bool
) -> list[Rows]:
    """All rows, each once, as batches in an order that depends on nothing but (seed, epoch).

    ``bucketed`` shuffles the rows, sorts each run of `BUCKET_BATCHES` batches by length, cuts it into
    batches and shuffles those: sentences of like length share a batch, and the order stays random.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    if bucketed:
        size = batch_size * BUCKET_BATCHES
        buckets = [order[start : start + size] for start in range(0, len(order), size)]
        order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in buckets])
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if bucketed:
        batches = [batches[index] for index in rng.permutation(len(batches))]
    return batches


def judging_batches(lengths: npt.NDArray[np.int64], token_budget: int = 2048) -> list[Rows]:
    """All rows, each once, sorted by length and cut where a batch would pass ``token_budget`` padded tokens.

    Small batches stay in a CPU's cache, which is why the budget is modest.
    """
    order = np.argsort(lengths, kind="stable")
    batches: list[Rows] = []
    start = 0
    for end in range(1, len(order) + 1):
        # Sorted: the next row is the longest so far, so it sets the batch's width.
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > token_budget:
            batches.append(order[start:end])
            start = end
    return batches


def padding_ratio(lengths: npt.NDArray[np.int64], batches: Sequence[Rows]) -> float:
    """Positions computed per real token, over all batches: 1.0 means no padding at all."""
    positions = sum(len(rows) * int(lengths[rows].max()) for rows in batches)
    return positions / max(1, int(sum(lengths[rows].sum() for rows in batches)))
