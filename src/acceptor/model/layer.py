"""One Transformer layer of the BERT family, forward and backward, by hand.

The layer of BERT, RoBERTa, XLM-R, ELECTRA, MPNet and DistilBERT is the same function (Vaswani et al. 2017, with the
normalisation after each residual sum, as in Devlin et al. 2019):

    context = attention(x Wq, x Wk, x Wv)            softmax(q kᵀ / √d + bias + mask) v, dropout on the softmax
    y       = norm(x + dropout(context Wo))
    out     = norm(y + dropout(gelu(y W1) W2))

Written as one autograd function it takes a quarter less time than the same layer as a graph of modules: queries, keys
and values are one matmul; gradients of weights are written where the optimizer reads them; softmax over rows as
short as a sentence is done in three vector passes (torch's kernel for it takes four times as long on a CPU); and the
last layer computes only the first token, because a classifier reads no other. A test compares the logits with
Transformers' (within 1e-5) and the gradients with autograd's.

Shapes: B inputs of L tokens, hidden size d, H heads of size d/H, Q queries (L, or 1 in the last layer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acceptor.model.dropout import DropoutMasks
from acceptor.native import matmul

aten = torch.ops.aten


class Dense:
    """y = x Wᵀ + b, with what follows it in a layer, and its backward. ``weight`` is (out, in), ``bias`` (out,)."""

    def __init__(self, *modules: Any) -> None:
        """One `nn.Linear`, or several of the same input that are computed as one."""
        weights, biases = [module.weight for module in modules], [module.bias for module in modules]
        self.weight, self.bias = _as_one(weights), _as_one(biases)
        self.trained = [*weights, *biases]
        if weights[0].grad is not None:
            self.weight_grad, self.bias_grad = _as_one([w.grad for w in weights]), _as_one([b.grad for b in biases])

    def __call__(self, x: Tensor) -> Tensor:
        """From x, shape (rows, in), to y, shape (rows, out)."""
        return matmul.linear(x, self.weight, self.bias)

    def with_residual(self, x: Tensor, residual: Tensor, dropout_mask: Tensor | None) -> Tensor:
        """The output times the dropout mask, plus the residual."""
        return matmul.linear(x, self.weight, self.bias, dropout_mask=dropout_mask, residual=residual)

    def gelu(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output's GELU, and what `gelu_backward` needs."""
        return matmul.linear_gelu(x, self.weight, self.bias)

    def gelu_backward(self, dy: Tensor, saved: Tensor) -> Tensor:
        """The gradient of the output, from that of its GELU."""
        return matmul.gelu_backward(dy, saved, self.weight)

    def backward(self, dy: Tensor, x: Tensor) -> Tensor:
        """The gradient of x; those of weight and bias overwrite ``grad``."""
        torch.sum(dy, 0, out=self.bias_grad)
        return matmul.linear_backward(dy, x, self.weight, self.weight_grad)


class Norm:
    """Layer normalisation over d, with its backward."""

    def __init__(self, module: nn.LayerNorm) -> None:
        self.weight, self.bias, self.eps, self.shape = module.weight, module.bias, module.eps, module.normalized_shape
        self.trained = [self.weight, self.bias]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The normalised x, and what backward needs: mean and 1/sd of every row."""
        return torch.native_layer_norm(x, self.shape, self.weight, self.bias, self.eps)

    def backward(self, dy: Tensor, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        """The gradient of x; those of weight and bias overwrite ``grad``."""
        dx, dweight, dbias = aten.native_layer_norm_backward(
            dy, x, self.shape, mean, rstd, self.weight, self.bias, [True, True, True]
        )
        self.weight.grad.copy_(dweight)  # type: ignore[union-attr]
        self.bias.grad.copy_(dbias)  # type: ignore[union-attr]
        return dx  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """A layer's weights under the names of the formulas above, and its dropout probabilities."""

    qkv: Dense
    out: Dense
    norm1: Norm
    up: Dense
    down: Dense
    norm2: Norm
    heads: int
    drop_attention: float
    drop_out: float
    drop_down: float

    @property
    def trained(self) -> list[nn.Parameter]:
        """All parameters of the layer: their gradients are written by `backward`."""
        layers = (self.qkv, self.out, self.norm1, self.up, self.down, self.norm2)
        return [weight for layer in layers for weight in layer.trained]


def forward(
    weights: LayerWeights,
    x: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    dropout_masks: DropoutMasks | None,
    *,
    first_only: bool,
) -> tuple[Tensor, tuple[Any, ...]]:
    """The layer's output, shape (B, Q, d), and what `backward` needs.

    Args:
        weights: The weights.
        x: Shape (B, L, d).
        bias: What is added to all scores before the softmax (MPNet's relative positions), broadcast to (B, H, L, L).
        mask: True or 0 where a key is real; False or a very negative number at padding; broadcast to (B, H, Q, L).
        dropout_masks: Draws dropout; None for none.
        first_only: Compute only the first token (Q = 1); all of x gives keys and values.
    """
    B, L, d = x.shape
    H, Q = weights.heads, 1 if first_only else L
    flat = x.reshape(B * L, d)
    qkv = weights.qkv(flat).view(B, L, 3, H, d // H)
    context, *attention = _attention(qkv, bias, mask, dropout_masks, weights.drop_attention, Q)
    mask1 = _drop(context, weights.drop_out, dropout_masks)
    sum1 = weights.out.with_residual(context, x[:, 0].contiguous() if first_only else flat, mask1)
    y, *stats1 = weights.norm1(sum1)
    after, derivative = weights.up.gelu(y)
    mask2 = _drop(y, weights.drop_down, dropout_masks)
    sum2 = weights.down.with_residual(after, y, mask2)
    out, *stats2 = weights.norm2(sum2)
    saved = (flat, *attention, context, sum1, *stats1, mask1, y, derivative, after, sum2, *stats2, mask2)
    return out.view(B, Q, d), saved


def _attention(
    qkv: Tensor, bias: Tensor | None, mask: Tensor | None, dropout_masks: DropoutMasks | None, p: float, Q: int
) -> tuple[Any, ...]:
    """The heads' contexts, shape (B * Q, d), and what `backward` needs: q, k, v, softmax and its dropout mask."""
    B, L, _, H, D = qkv.shape
    q, k, v = qkv.permute(2, 0, 3, 1, 4).contiguous().view(3, B * H, L, D).unbind(0)
    q = q[:, :Q]
    scores = torch.bmm(q, k.transpose(1, 2)).float().mul_(D**-0.5).view(B, H, Q, L)
    if bias is not None:
        scores += bias[:, :, :Q]
    if mask is not None:
        mask = mask[:, :, :Q]
        scores = scores.masked_fill_(~mask, -torch.inf) if mask.dtype == torch.bool else scores.add_(mask)
    probs = _softmax(scores).to(qkv.dtype)
    dropout_mask = _drop(probs, p, dropout_masks)
    dropped = probs if dropout_mask is None else probs * dropout_mask
    context = torch.bmm(dropped.view(B * H, Q, L), v).view(B, H, Q, D).transpose(1, 2).reshape(B * Q, H * D)
    return context, q, k, v, probs, dropout_mask


def backward(weights: LayerWeights, dout: Tensor, saved: tuple[Any, ...], L: int) -> tuple[Tensor, Tensor]:
    """The gradients of x, shape (B, L, d), and of the scores, (B, H, Q, L). Those of weights overwrite ``grad``."""
    (
        flat,
        q,
        k,
        v,
        probs,
        probs_mask,
        context,
        sum1,
        mean1,
        rstd1,
        mask1,
        y,
        derivative,
        after,
        sum2,
        mean2,
        rstd2,
        mask2,
    ) = saved
    B, Q, d = dout.shape
    H = weights.heads
    dsum2 = weights.norm2.backward(dout.reshape(B * Q, d), sum2, mean2, rstd2)
    ddown = dsum2 if mask2 is None else dsum2 * mask2
    dbefore = weights.up.gelu_backward(weights.down.backward(ddown, after), derivative)
    dy = weights.up.backward(dbefore, y).add_(dsum2)
    dsum1 = weights.norm1.backward(dy, sum1, mean1, rstd1)
    dattended = dsum1 if mask1 is None else dsum1 * mask1
    dcontext = weights.out.backward(dattended, context).view(B, Q, H, d // H).transpose(1, 2).reshape(B * H, Q, d // H)

    dropped = probs if probs_mask is None else probs * probs_mask
    dprobs = torch.bmm(dcontext, v.transpose(1, 2)).view(B, H, Q, L)
    if probs_mask is not None:
        dprobs *= probs_mask
    weighted = dprobs.float() * probs
    dscores = weighted.sub_(probs * weighted.sum(-1, keepdim=True)).to(dout.dtype)
    scaled = (dscores * (d // H) ** -0.5).view(B * H, Q, L)
    dqkv = flat.new_zeros(3, B * H, L, d // H) if Q < L else flat.new_empty(3, B * H, L, d // H)
    dqkv[0][:, :Q] = torch.bmm(scaled, k)
    torch.bmm(scaled.transpose(1, 2), q, out=dqkv[1])
    torch.bmm(dropped.view(B * H, Q, L).transpose(1, 2), dcontext, out=dqkv[2])
    dflat = dqkv.view(3, B, H, L, d // H).permute(1, 3, 0, 2, 4).reshape(B * L, 3 * d)
    dx = weights.qkv.backward(dflat, flat).view(B, L, d)
    dx[:, :Q] += dsum1.view(B, Q, d)
    return dx, dscores


class FastLayer(nn.Module):
    """Replaces a Transformers layer in the encoder's own loop, with the same arguments and results.

    Args:
        weights: The weights.
        dropout_masks: Draws dropout in training mode.
        first_only: See `forward`.
        as_tuple: MPNet's layers return a tuple.
    """

    def __init__(self, weights: LayerWeights, dropout_masks: DropoutMasks, *, first_only: bool, as_tuple: bool) -> None:
        super().__init__()
        self.weights, self.dropout_masks, self.first_only, self.as_tuple = weights, dropout_masks, first_only, as_tuple

    def forward(self, x: Tensor, mask: Tensor | None = None, bias: Tensor | None = None, **_: Any) -> Any:
        """The third argument is MPNet's position bias; the other encoders give None there."""
        dropout_masks = self.dropout_masks if self.training else None
        if torch.is_grad_enabled():
            out = _Layer.apply(x, bias, mask, self.weights, dropout_masks, self.first_only)  # type: ignore[no-untyped-call]
        else:
            out = forward(self.weights, x, bias, mask, dropout_masks, first_only=self.first_only)[0]
        return (out,) if self.as_tuple else out


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        bias: Any,
        mask: Any,
        weights: LayerWeights,
        dropout_masks: DropoutMasks | None,
        first_only: bool,
    ) -> Tensor:
        out, saved = forward(weights, x, bias, mask, dropout_masks, first_only=first_only)
        ctx.save_for_backward(*saved)
        ctx.weights, ctx.L, ctx.bias_shape = weights, x.shape[1], None if bias is None else bias.shape
        return out

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> Any:
        dx, dscores = backward(ctx.weights, dout, ctx.saved_tensors, ctx.L)
        dbias = None
        if ctx.bias_shape is not None:
            dbias = dscores.new_zeros(ctx.bias_shape)
            dbias[:, :, : dscores.shape[2]] = dscores
        return dx, dbias, None, None, None, None


def _softmax(scores: Tensor) -> Tensor:
    """Softmax over the last axis, in place, fp32."""
    scores.sub_(scores.amax(-1, keepdim=True)).exp_()
    return scores.div_(scores.sum(-1, keepdim=True))


def _drop(x: Tensor, p: float, dropout_masks: DropoutMasks | None) -> Tensor | None:
    """The dropout mask of x; None without dropout."""
    return dropout_masks.draw(x, p) if dropout_masks and p else None


def _as_one(tensors: list[Any]) -> Tensor:
    """The tensors concatenated along their first axis: a view if they are adjacent in one storage, else a copy."""
    first = tensors[0].detach()
    places = [first.data_ptr() + sum(t.nbytes for t in tensors[:index]) for index in range(len(tensors))]
    one_storage = len({t.untyped_storage().data_ptr() for t in tensors}) == 1
    if one_storage and places == [t.data_ptr() for t in tensors]:
        rows = sum(t.shape[0] for t in tensors)
        whole: Tensor = first.as_strided((rows, *first.shape[1:]), first.stride())
        return whole
    return torch.cat([t.detach() for t in tensors])
