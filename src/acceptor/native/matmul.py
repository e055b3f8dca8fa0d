"""Products with a weight matrix, and what follows them: bias, dropout, residual sum, GELU, their gradients.

In bf16 on a CPU with a matrix unit (AMX) they are our own kernel: `products.c` says how. oneDNN, which torch calls, has
products for that unit too, but compiles itself anew for every number of rows, turns the
weights round at every call, and writes gradients of weights slowly. Elsewhere they are torch's.

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

NARROW = 512  # inputs up to which our own product is faster than oneDNN's for the gradient of the input

OUTPUT, INPUT_GRADIENT, WEIGHT_GRADIENT = range(3)


class _Finish(ctypes.Structure):
    _fields_ = [
        ("bias", ctypes.c_void_p),
        ("kept", ctypes.c_void_p),
        ("added", ctypes.c_void_p),
        ("curved", ctypes.c_int64),
        ("slope", ctypes.c_void_p),
    ]


def has_own_products(weight: Tensor) -> bool:
    """True where our own kernel multiplies with ``weight``: bf16 on a CPU with AMX, sides in multiples of 32."""
    fits = weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and not any(n % 32 for n in weight.shape)
    return fits and _unit() is not None


def output(
    x: Tensor, weight: Tensor, bias: Tensor, *, kept: Tensor | None = None, added: Tensor | None = None
) -> Tensor:
    """(x Wᵀ + bias) * kept + added."""
    if has_own_products(weight):
        return _product(OUTPUT, x, weight, (len(x), *weight.shape), bias=bias, kept=kept, added=added)
    if x.dtype == torch.bfloat16 and has_onednn_bf16():  # addmm would first fill the result with the bias
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    else:
        y = torch.addmm(bias, x, weight.t())
    if kept is not None:
        y *= kept
    return y if added is None else y.add_(added)


def gelu_output(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """gelu(x Wᵀ + bias), and what `gelu_gradient` needs: its slope, or the argument."""
    if has_own_products(weight):
        slope = x.new_empty(len(x), len(weight))
        return _product(OUTPUT, x, weight, (len(x), *weight.shape), bias=bias, curved=True, slope=slope), slope
    before = output(x, weight, bias)
    return functional.gelu(before), before


def gelu_gradient(dy: Tensor, kept: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the argument of `gelu_output`, from that of its result."""
    return dy.mul_(kept) if has_own_products(weight) else torch.ops.aten.gelu_backward(dy, kept)


def gradients(dy: Tensor, x: Tensor, weight: Tensor, weight_gradient: Tensor) -> Tensor:
    """The gradient of x, dy W; that of the weight, dyᵀ x, is written into its place."""
    if has_own_products(weight):
        _product(WEIGHT_GRADIENT, dy, x, (*weight.shape, len(x)), out=weight_gradient)
        if weight.shape[1] <= NARROW:
            return _product(INPUT_GRADIENT, dy, weight, (len(x), weight.shape[1], weight.shape[0]))
    else:
        torch.mm(dy.t(), x, out=weight_gradient)
    return torch.mm(dy, weight)


@functools.cache
def has_onednn_bf16() -> bool:
    """True where this torch build has oneDNN's products in bf16 (x86 with AVX-512 or AMX)."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported and torch.backends.mkldnn.is_available() and supported())  # type: ignore[no-untyped-call]


@functools.cache
def _unit() -> Any:
    """The compiled kernels where this processor has the matrix unit, else None."""
    loaded, _ = library()
    return loaded if loaded is not None and loaded.products_ready() else None


def _product(
    form: int,
    a: Tensor,
    b: Tensor,
    shape: tuple[int, int, int],
    *,
    bias: Tensor | None = None,
    kept: Tensor | None = None,
    added: Tensor | None = None,
    curved: bool = False,
    slope: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """One call of the kernel: rows, columns and depth of the product are ``shape``."""
    a, b = a.contiguous(), b.contiguous()
    out = a.new_empty(shape[:2]) if out is None else out
    finish = _Finish(_place(bias), _place(kept), _place(added), curved, _place(slope))
    if _unit().product(form, *shape, a.data_ptr(), b.data_ptr(), out.data_ptr(), ctypes.byref(finish)):
        raise MemoryError("no memory for a product's packed factor")
    return out


def _place(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
