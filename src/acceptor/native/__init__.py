"""Kernels for operations that torch does in several passes over memory: in C if there is a compiler, else in torch.

Both forms of each function compute the same; a test compares them. The C is in the `.c` files beside this one. It is
compiled once per machine and source into the cache folder (`build.py`). ``ACCEPTOR_NATIVE=0`` turns it off.
"""

from __future__ import annotations

import ctypes
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.adamw import adamw

from acceptor.native.build import compiled

SOURCES = [Path(__file__).with_name(name) for name in ("kernels.c", "matmul.c", "layers.c")]
HEADERS = [Path(__file__).with_name("vector.h")]
FLAGS = ("-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-shared", "-fPIC")
SLICE = 1 << 18  # numbers per pass in torch, so that they stay in a CPU's cache between operations
BETA1, EPS = 0.9, 1e-8  # of AdamW

_i64, _u32, _u16 = ctypes.c_int64, ctypes.c_uint32, ctypes.c_uint16
_f32, _f64, _at = ctypes.c_float, ctypes.c_double, ctypes.c_void_p
SIGNATURES: dict[str, tuple[list[Any], Any]] = {
    **{f"sum_of_squares_{kind}": ([_i64, _at], _f64) for kind in ("fp32", "bf16")},
    **{f"adamw_{kind}": ([_i64, _at, _at, _at, _at, _at, *[_f32] * 7], None) for kind in ("fp32", "bf16")},
    "dropout_mask_fp32": ([_i64, _at, _u32, _u32, _u32, _f32], None),
    "dropout_mask_bf16": ([_i64, _at, _u32, _u32, _u32, _u16], None),
    "matmul_supported": ([], ctypes.c_int),
    "layers_supported": ([], ctypes.c_int),
    "layers_forward": ([ctypes.c_int, _i64, _at, _i64, _i64, _i64, _at, _at, _at, _i64, _at], ctypes.c_int),
    "matmul": ([ctypes.c_int, _i64, _i64, _i64, *[_at] * 4], ctypes.c_int),
}


@functools.cache
def library() -> tuple[Any, str]:
    """The compiled kernels, or None; and the reason, for people."""
    loaded, reason = compiled(SOURCES, HEADERS, FLAGS, "kernels")
    if loaded is None:
        return None, reason
    try:
        for name, (arguments, result) in SIGNATURES.items():
            function = getattr(loaded, name)
            function.argtypes, function.restype = arguments, result
    except AttributeError as error:
        return None, f"{error}; torch instead"
    return loaded, reason


def sum_of_squares(grad: Tensor) -> Tensor:
    """The sum of squares of a flat fp32 or bf16 array, fp64 (fp32 on mps), without waiting for a GPU."""
    kernel = _kernel("sum_of_squares", grad)
    if kernel:
        return torch.tensor(kernel(len(grad), grad.data_ptr()), dtype=torch.float64)
    parts = (part.float() for part in torch.split(grad, _slice(grad)))
    total = torch.stack([torch.dot(part, part) for part in parts]).sum()
    return total if grad.device.type == "mps" else total.double()  # which has no fp64


def adamw_step(
    master_weights: Tensor,
    network_weights: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    *,
    step: int | Tensor,
    rate: float | Tensor,
    weight_decay: float,
    beta2: float,
    clip_scale: Tensor | None,
    skip: Tensor | None = None,
) -> None:
    """One step of AdamW (Loshchilov & Hutter 2019, algorithm 2) on flat arrays of N weights, in place.

    Args:
        master_weights: The weights, fp32.
        network_weights: What the network computes with: bf16 copies, updated here, or ``master_weights`` itself.
        grad: The gradients, in the type of ``network_weights``.
        exp_avg: The running mean of gradients, fp32.
        exp_avg_sq: The running mean of squared gradients, fp32.
        step: The number of this step, from 1; a scalar tensor on the device for steps in a CUDA graph.
        rate: The learning rate; likewise.
        weight_decay: AdamW's coefficient.
        beta2: The decay of ``exp_avg_sq``.
        clip_scale: Gradients are divided by it; a scalar tensor.
        skip: A scalar tensor, fp32: 1 leaves weights and running means unchanged.
    """
    kernel = _kernel("adamw", grad)
    if kernel and skip is None and not isinstance(step, Tensor):
        arrays = (array.data_ptr() for array in (master_weights, network_weights, grad, exp_avg, exp_avg_sq))
        scale = 1.0 if clip_scale is None else 1 / float(clip_scale)
        step_size, root = rate / (1 - BETA1**step), 1 / math.sqrt(1 - beta2**step)
        kernel(len(master_weights), *arrays, BETA1, beta2, EPS, scale, 1 - rate * weight_decay, step_size, root)
        return
    number = step if isinstance(step, Tensor) else torch.tensor(float(step), device=master_weights.device)
    for start in range(0, len(master_weights), _slice(master_weights)):
        at = slice(start, start + _slice(master_weights))
        adamw(
            [master_weights[at]],
            [grad[at].float()],
            [exp_avg[at]],
            [exp_avg_sq[at]],
            [],
            [number - 1],
            fused=True,
            grad_scale=None if clip_scale is None else clip_scale.float(),
            found_inf=skip,
            amsgrad=False,
            beta1=BETA1,
            beta2=beta2,
            lr=rate,
            weight_decay=weight_decay,
            eps=EPS,
            maximize=False,
        )
        if network_weights.dtype != master_weights.dtype:
            network_weights[at].copy_(master_weights[at])


def dropout_mask(count: int, p: float, keys: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """A dropout mask: shape (count,), 0 with probability ``p``, else 1/(1 - p); a pure function of its arguments."""
    mask = torch.empty(count, dtype=dtype)
    below = round(p * 2**32)
    kept = torch.tensor(2**32 / (2**32 - below), dtype=dtype)
    kernel = _kernel("dropout_mask", mask)
    if kernel:
        value = float(kept) if dtype == torch.float32 else int(kept.view(torch.int16))
        kernel(count, mask.data_ptr(), *keys, below, value)
        return mask
    h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(keys[0])
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B) ^ np.uint32(keys[1])
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return mask.copy_(torch.from_numpy(h >= np.uint32(below))).mul_(kept)


def _kernel(name: str, tensor: Tensor) -> Any:
    """The compiled function for arrays of this type; None if there is none."""
    kinds = {torch.float32: "fp32", torch.bfloat16: "bf16"}
    if tensor.device.type != "cpu" or tensor.dtype not in kinds:
        return None
    loaded, _ = library()
    return None if loaded is None else getattr(loaded, f"{name}_{kinds[tensor.dtype]}")


def _slice(array: Tensor) -> int:
    return SLICE if array.device.type == "cpu" else len(array)
