"""Makes padded batches from token ids: groups rows by length, orders them, pads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from acceptor.config import TrainConfig
from acceptor.model.encode import Encoded

if TYPE_CHECKING:
    import torch

Rows = npt.NDArray[np.int64]
Padded = dict[str, npt.NDArray[np.int64]]
"""A batch as `pad` makes it."""

BUCKET_BATCHES = 50  # batches per bucket: larger buckets pad less, smaller ones shuffle better


def pad(encoded: Encoded, rows: Rows, pad_id: int) -> Padded:
    """Pads the given rows, under the names that encoders take: int64, shape (B, L), L the longest row's length.

    The mask comes from lengths, never from ids: a padding id may be 0, 1 or anything.
    """
    lengths = encoded.lengths[rows]  # (B,)
    columns = np.arange(lengths.max())  # (L,)
    real = columns < lengths[:, None]  # (B, L)
    position = np.where(real, encoded.offsets[rows][:, None] + columns, 0)  # (B, L)
    arrays: dict[str, npt.NDArray[Any]] = {
        "input_ids": np.where(real, encoded.ids[position], pad_id),
        "attention_mask": real,
    }
    if encoded.type_ids is not None:
        arrays["token_type_ids"] = np.where(real, encoded.type_ids[position], 0)
    return {name: array.astype(np.int64) for name, array in arrays.items()}


def collate(encoded: Encoded, rows: Rows, pad_id: int, device: str = "cpu") -> dict[str, torch.Tensor]:
    """The given rows as one padded batch of tensors on ``device``: see `pad`."""
    return to_tensors(pad(encoded, rows, pad_id), device)


def to_tensors(inputs: Padded, device: str) -> dict[str, torch.Tensor]:
    """The arrays of `pad` as tensors on ``device``."""
    import torch

    return {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in inputs.items()}


class DeviceInputs:
    """All inputs of a training on its device, so that a batch is gathered there and only row numbers are copied.

    `inputs` is `pad` in torch. They share no code: a CUDA graph needs a given length instead of the longest row's, and
    no operation that reads from the device; judging without torch needs NumPy. A test compares them.

    Args:
        encoded: N inputs.
        pad_id: The padding token's id.
        limit: The longest length of a batch.
        device: Where to keep them.
    """

    def __init__(self, encoded: Encoded, pad_id: int, limit: int, device: str) -> None:
        import torch

        def moved(array: npt.NDArray[Any]) -> torch.Tensor:
            return torch.from_numpy(array).to(device)

        tail = np.zeros(limit, np.int32)  # the last row is read up to the batch's length, too
        self.ids, self.pad_id = moved(np.concatenate([encoded.ids, tail])), pad_id
        self.type_ids = None
        if encoded.type_ids is not None:
            self.type_ids = moved(np.concatenate([encoded.type_ids, tail.astype(np.int8)]))
        self.starts, self.lengths = moved(encoded.offsets[:-1]), moved(encoded.lengths)
        self.columns = torch.arange(limit, device=device)

    def inputs(self, rows: torch.Tensor, length: int) -> dict[str, torch.Tensor]:
        """The rows, int64, shape (B,) on the device, as `pad` gives them, padded to a given length: (B, L)."""
        columns = self.columns[:length]
        real = columns < self.lengths[rows].unsqueeze(1)
        position = self.starts[rows].unsqueeze(1) + columns
        # masked_fill, because where would copy its scalar from the host and wait.
        tensors = {
            "input_ids": self.ids[position].long().masked_fill(~real, self.pad_id),
            "attention_mask": real.long(),
        }
        if self.type_ids is not None:
            tensors["token_type_ids"] = self.type_ids[position].long().masked_fill(~real, 0)
        return tensors


def static_length(longest: int, limit: int) -> int:
    """The padded length of a batch in static shapes: a multiple of 8 up to 64 tokens, then of 32 and 64."""
    step = 8 if longest <= 64 else 32 if longest <= 256 else 64
    return min(-(-longest // step) * step, limit)


def epoch_batches(
    lengths: npt.NDArray[np.int64], config: TrainConfig, epoch: int, *, pairs: Rows | None = None
) -> list[Rows]:
    """All rows, each once, as batches in an order that depends only on (``config.batch_seed``, epoch).

    The order ``bucketed`` shuffles the rows, sorts each `BUCKET_BATCHES` batches by length, cuts them into batches and
    shuffles those: sentences of similar length share a batch, and the order stays random.

    ``pairs``, shape (N,), has for each row the number of the first row of its pair, or its own. The rows of a pair are
    neighbours, so they share a batch unless its end divides them. What they have in common, all words but one perhaps,
    then cancels out in the gradient, and what makes their labels differ remains.
    """
    batch_size, bucketed = config.batch_size, config.order == "bucketed"
    rng = np.random.default_rng([config.batch_seed, epoch])
    order = rng.permutation(len(lengths))
    if pairs is not None:
        order = np.argsort(np.argsort(order)[pairs], kind="stable")  # each row at the place of its pair's first one
        longest = lengths.copy()
        np.maximum.at(longest, pairs, lengths)
        lengths = longest[pairs]
    if bucketed:
        size = batch_size * BUCKET_BATCHES
        buckets = [order[start : start + size] for start in range(0, len(order), size)]
        order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in buckets])
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if bucketed:
        batches = [batches[index] for index in rng.permutation(len(batches))]
    return batches


def judging_batches(lengths: npt.NDArray[np.int64], token_budget: int) -> list[Rows]:
    """All rows, each once, sorted by length, in batches of at most ``token_budget`` padded tokens.

    The budget is small, so that a batch stays in a CPU's cache.
    """
    order = np.argsort(lengths, kind="stable")
    batches: list[Rows] = []
    start = 0
    for end in range(1, len(order) + 1):
        # Sorted, so the next row is the longest so far and sets the batch's width.
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > token_budget:
            batches.append(order[start:end])
            start = end
    return batches


def padding_ratio(lengths: npt.NDArray[np.int64], batches: Sequence[Rows], *, static: int | None = None) -> float:
    """Positions computed per real token, over all batches: 1.0 means no padding.

    ``static`` is the longest length if batches have static shapes: rows of the largest batch, and `static_length`.
    """
    longest = [int(lengths[rows].max()) for rows in batches]
    if static is None:
        positions = sum(len(rows) * length for rows, length in zip(batches, longest, strict=True))
    else:
        positions = max(map(len, batches)) * sum(static_length(length, static) for length in longest)
    return positions / max(1, int(sum(lengths[rows].sum() for rows in batches)))
