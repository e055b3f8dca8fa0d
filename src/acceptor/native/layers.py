"""All layers of an encoder in one call, for judging on a CPU with AVX-512 (`layers.c`).

torch's matmul is made for large batches: on a sentence of eleven tokens, half the time is spent between matmuls. One
call computes a batch without padding, on one core, in fp32, bf16 or int8.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from acceptor.native import library

ARITHMETIC = ("fp32", "bf16", "int8")
COLUMNS = 64  # of a panel
STEP = 4  # bytes of the depth that one instruction takes
LINE = 64  # bytes to whose multiple a row is padded


class _Dense(ctypes.Structure):
    _fields_ = [
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("panels", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("total", ctypes.c_void_p),
    ]


class _Layer(ctypes.Structure):
    _fields_ = [
        *((name, _Dense) for name in ("qkv", "out", "up", "down")),
        *((name, ctypes.c_void_p) for name in ("weight1", "bias1", "weight2", "bias2")),
        *((name, ctypes.c_double) for name in ("eps1", "eps2")),
    ]


def has_layers(arithmetic: str) -> bool:
    """True if this processor has the instructions for whole layers in ``arithmetic``."""
    loaded, _ = library()
    return loaded is not None and bool(loaded.layers_supported() >> ARITHMETIC.index(arithmetic) & 1)


class Layers:
    """Layers packed for the kernel.

    Args:
        weights: Each layer's weights, fp32, as `acceptor.model.layer.LayerWeights` names them.
        arithmetic: The precision of matmul inputs: ``fp32``, ``bf16`` or ``int8``.
    """

    def __init__(self, weights: Sequence[Any], arithmetic: str) -> None:
        self.kind = ARITHMETIC.index(arithmetic)
        self.heads, self.size = weights[0].heads, weights[0].out.weight.shape[0]
        self._tensors: list[Tensor] = []  # keeps alive what the addresses below point to
        self._layers = (_Layer * len(weights))(*(self._layer(part) for part in weights))

    def __call__(self, x: Tensor, lengths: Tensor, bias: Tensor | None) -> Tensor:
        """The first token of each sentence after all layers, fp32, shape (sentences, d).

        Args:
            x: Embeddings of all tokens, sentence by sentence, fp32, contiguous, shape (tokens, d); overwritten.
            lengths: Tokens of each sentence, int64, shape (sentences,).
            bias: Added to the scores before the softmax, fp32, shape (heads, L, L); or None.
        """
        starts = pad(lengths.cumsum(0), (1, 0))
        y = x.new_empty(len(lengths), self.size)
        bias = None if bias is None else bias.float().contiguous()
        loaded, _ = library()
        failed = loaded.layers_forward(
            self.kind,
            len(self._layers),
            ctypes.byref(self._layers),
            self.size,
            self.heads,
            len(lengths),
            starts.data_ptr(),
            x.data_ptr(),
            None if bias is None else bias.data_ptr(),
            0 if bias is None else bias.shape[-1],
            y.data_ptr(),
        )
        if failed:
            raise MemoryError("no memory for a batch's layers")
        return y

    def _layer(self, weights: Any) -> _Layer:
        norms = (weights.norm1.weight, weights.norm1.bias, weights.norm2.weight, weights.norm2.bias)
        return _Layer(
            *(self._dense(dense) for dense in (weights.qkv, weights.out, weights.up, weights.down)),
            *(self._at(weight.detach().float()) for weight in norms),
            weights.norm1.eps,
            weights.norm2.eps,
        )

    def _dense(self, dense: Any) -> _Dense:
        weight = dense.weight.detach().float()
        outputs, inputs = weight.shape
        scale = total = None
        factor = {0: weight, 1: weight.bfloat16()}.get(self.kind)
        if factor is None:
            scale = weight.abs().amax(1).clamp(min=1e-30) / 127
            factor = (weight / scale[:, None]).round().to(torch.int8)
            total = factor.sum(1, dtype=torch.int32)
        panels, steps = packed(factor)
        return _Dense(inputs, outputs, steps, *map(self._at, (panels, dense.bias.detach().float(), scale, total)))

    def _at(self, tensor: Tensor | None) -> int | None:
        if tensor is None:
            return None
        self._tensors.append(tensor.contiguous())
        return self._tensors[-1].data_ptr()


def packed(factor: Tensor) -> tuple[Tensor, int]:
    """A weight, shape (out, in), in the kernel's panels of 64 columns; and the number of steps along its depth."""
    per_step = STEP // factor.element_size()
    outputs, inputs = factor.shape
    panels, depth = -(-outputs // COLUMNS), -(-inputs * factor.element_size() // LINE) * LINE // factor.element_size()
    whole = pad(factor, (0, depth - inputs, 0, panels * COLUMNS - outputs))
    steps = depth // per_step
    return whole.view(panels, COLUMNS, steps, per_step).permute(0, 2, 1, 3).contiguous(), steps
