"""Dropout masks as a pure function of (seed, step, rank), and cheap to draw.

torch draws dropout masks on a CPU one number at a time, which takes an eighth of a training step. Here each element is
a hash of its index and of keys that change with each mask. Every step starts its own stream of keys, so a resumed
training needs no saved generator state.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from acceptor import native


class DropoutMasks:
    """Dropout masks. Call `start` before every step."""

    def __init__(self) -> None:
        self.start(0, 0, 0)

    def start(self, seed: int, step: int, rank: int) -> None:
        """Starts the stream of this step; seeds torch's generators, too, for modules that use them."""
        self._keys = np.random.SFC64([seed, step, rank])
        torch.manual_seed(int(self._keys.random_raw()) >> 1)

    def draw(self, like: torch.Tensor, p: float) -> torch.Tensor:
        """A mask of the shape and type of a tensor: 0 with probability ``p``, else 1/(1 - p)."""
        both = int(self._keys.random_raw())
        mask = native.dropout_mask(math.prod(like.shape), p, (both >> 32, both & 0xFFFFFFFF), like.dtype)
        return mask.view(like.shape)
