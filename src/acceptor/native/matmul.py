"""Linear layers, with bias, dropout, residual sum and GELU in one pass, and their gradients.

In bf16 on a CPU with AMX they are computed by our own kernel (`matmul.c`), elsewhere by torch. oneDNN, which torch
calls, uses AMX too, but compiles a kernel for every number of rows, transposes the weights at every call, and writes
gradients of weights slowly.

Shapes: x (rows, in), y (rows, out), weight (out, in), bias (out,).
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from acceptor.native import library

MAX_INPUTS = 512  # up to this width our kernel is faster than oneDNN's for the gradient of the input

OUTPUT, INPUT_GRADIENT, WEIGHT_GRADIENT = range(3)


class _Epilogue(ctypes.Structure):
    _fields_ = [
        ("bias", ctypes.c_void_p),
        ("dropout_mask", ctypes.c_void_p),
        ("residual", ctypes.c_void_p),
        ("apply_gelu", ctypes.c_int64),
        ("derivative", ctypes.c_void_p),
    ]


def has_amx_matmul(weight: Tensor) -> bool:
    """True if our own kernel multiplies with ``weight``: bf16 on a CPU with AMX, sides in multiples of 32."""
    fits = weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and not any(n % 32 for n in weight.shape)
    return fits and _amx_library() is not None


def linear(
    x: Tensor, weight: Tensor, bias: Tensor, *, dropout_mask: Tensor | None = None, residual: Tensor | None = None
) -> Tensor:
    """(x Wᵀ + bias) * dropout_mask + residual."""
    if has_amx_matmul(weight):
        return _matmul(
            OUTPUT, x, weight, (len(x), *weight.shape), bias=bias, dropout_mask=dropout_mask, residual=residual
        )
    if x.dtype == torch.bfloat16 and has_onednn_bf16():  # addmm would first fill the result with the bias
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    else:
        y = torch.addmm(bias, x, weight.t())
    if dropout_mask is not None:
        y *= dropout_mask
    return y if residual is None else y.add_(residual)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """gelu(x Wᵀ + bias), and what `gelu_backward` needs: GELU's derivative, or its argument."""
    if has_amx_matmul(weight):
        derivative = x.new_empty(len(x), len(weight))
        return _matmul(
            OUTPUT, x, weight, (len(x), *weight.shape), bias=bias, apply_gelu=True, derivative=derivative
        ), derivative
    before = linear(x, weight, bias)
    return functional.gelu(before), before


def gelu_backward(dy: Tensor, saved: Tensor, weight: Tensor) -> Tensor:
    """The gradient of GELU's argument, from that of its result. ``saved`` is from `linear_gelu`."""
    return dy.mul_(saved) if has_amx_matmul(weight) else torch.ops.aten.gelu_backward(dy, saved)


def linear_backward(dy: Tensor, x: Tensor, weight: Tensor, weight_gradient: Tensor) -> Tensor:
    """The gradient of x, dy W. That of the weight, dyᵀ x, is written to ``weight_gradient``."""
    if has_amx_matmul(weight):
        _matmul(WEIGHT_GRADIENT, dy, x, (*weight.shape, len(x)), out=weight_gradient)
        if weight.shape[1] <= MAX_INPUTS:
            return _matmul(INPUT_GRADIENT, dy, weight, (len(x), weight.shape[1], weight.shape[0]))
    else:
        torch.mm(dy.t(), x, out=weight_gradient)
    return torch.mm(dy, weight)


@functools.cache
def has_onednn_bf16() -> bool:
    """True if this torch build has oneDNN's matmul in bf16 (x86 with AVX-512 or AMX)."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported and torch.backends.mkldnn.is_available() and supported())  # type: ignore[no-untyped-call]


@functools.cache
def _amx_library() -> Any:
    """The compiled kernels if this processor has AMX, else None."""
    loaded, _ = library()
    return loaded if loaded is not None and loaded.matmul_supported() else None


def _matmul(
    form: int,
    a: Tensor,
    b: Tensor,
    shape: tuple[int, int, int],
    *,
    bias: Tensor | None = None,
    dropout_mask: Tensor | None = None,
    residual: Tensor | None = None,
    apply_gelu: bool = False,
    derivative: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """One call of the kernel; ``shape`` is rows, columns and depth of the product."""
    a, b = a.contiguous(), b.contiguous()
    out = a.new_empty(shape[:2]) if out is None else out
    epilogue = _Epilogue(_address(bias), _address(dropout_mask), _address(residual), apply_gelu, _address(derivative))
    if _amx_library().matmul(form, *shape, a.data_ptr(), b.data_ptr(), out.data_ptr(), ctypes.byref(epilogue)):
        raise MemoryError("no memory for a matmul's packed factor")
    return out


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
