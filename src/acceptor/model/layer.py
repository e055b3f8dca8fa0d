"""One Transformer layer of the BERT family, forward and backward, by hand.

The layer of BERT, RoBERTa, XLM-R, ELECTRA, MPNet and DistilBERT is the same function (Vaswani et al. 2017, with the
normalisation after each residual sum, as in Devlin et al. 2019):

    context = attention(x Wq, x Wk, x Wv)            softmax(q kᵀ / √d + bias + mask) v, dropout on the softmax
    y       = norm(x + dropout(context Wo))
    out     = norm(y + dropout(gelu(y W1) W2))

Written out as one autograd function it costs a quarter less than the same layer as a graph of modules: queries, keys
and values are one product; gradients of weights are written where the optimizer reads them; softmax over rows as
short as a sentence is done in three vector passes (torch's kernel for it takes four times as long on a CPU); and the
last layer, of which a classifier reads the first token alone, computes that token alone. None of this changes what
is computed: a test holds the logits to Transformers' within 1e-5 and the gradients to autograd's.

Shapes: B inputs of L tokens, hidden size d, H heads of size d/H, Q queries (L, or 1 in the last layer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acceptor.model.dropout import DropoutMasks
from acceptor.native import matmul as products

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
        return products.output(x, self.weight, self.bias)

    def added(self, x: Tensor, residual: Tensor, kept: Tensor | None) -> Tensor:
        """The output times the dropout mask ``kept``, plus the residual."""
        return products.output(x, self.weight, self.bias, kept=kept, added=residual)

    def gelu(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output's GELU, and what `gelu_backward` needs."""
        return products.gelu_output(x, self.weight, self.bias)

    def gelu_backward(self, dy: Tensor, kept: Tensor) -> Tensor:
        """The gradient of the output, from that of its GELU."""
        return products.gelu_gradient(dy, kept, self.weight)

    def backward(self, dy: Tensor, x: Tensor) -> Tensor:
        """The gradient of x; those of weight and bias are written, not added, into their places."""
        torch.sum(dy, 0, out=self.bias_grad)
        return products.gradients(dy, x, self.weight, self.weight_grad)


class Norm:
    """Layer normalisation over d, with its backward."""

    def __init__(self, module: nn.LayerNorm) -> None:
        self.gain, self.shift, self.eps, self.shape = module.weight, module.bias, module.eps, module.normalized_shape
        self.trained = [self.gain, self.shift]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The normalised x, and what backward needs: mean and 1/sd of every row."""
        return torch.native_layer_norm(x, self.shape, self.gain, self.shift, self.eps)

    def backward(self, dy: Tensor, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        """The gradient of x; those of gain and shift are written into their places."""
        dx, dgain, dshift = aten.native_layer_norm_backward(
            dy, x, self.shape, mean, rstd, self.gain, self.shift, [True, True, True]
        )
        self.gain.grad.copy_(dgain)  # type: ignore[union-attr]
        self.shift.grad.copy_(dshift)  # type: ignore[union-attr]
        return dx  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Parts:
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
        parts = (self.qkv, self.out, self.norm1, self.up, self.down, self.norm2)
        return [weight for part in parts for weight in part.trained]


def forward(
    parts: Parts,
    x: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    dropout_masks: DropoutMasks | None,
    *,
    first_only: bool,
) -> tuple[Tensor, tuple[Any, ...]]:
    """The layer's output, shape (B, Q, d), and what `backward` needs.

    Args:
        parts: The weights.
        x: Shape (B, L, d).
        bias: What is added to all scores before the softmax (MPNet's relative positions), broadcast to (B, H, L, L).
        mask: True or 0 where a key is real; False or a very negative number at padding; broadcast to (B, H, Q, L).
        dropout_masks: Draws dropout; None for none.
        first_only: Compute the first token alone (Q = 1); the rest of x still serves as keys and values.
    """
    B, L, d = x.shape
    H, Q = parts.heads, 1 if first_only else L
    flat = x.reshape(B * L, d)
    qkv = parts.qkv(flat).view(B, L, 3, H, d // H)
    context, *attention = _attention(qkv, bias, mask, dropout_masks, parts.drop_attention, Q)
    kept1 = _drop(context, parts.drop_out, dropout_masks)
    sum1 = parts.out.added(context, x[:, 0].contiguous() if first_only else flat, kept1)
    y, *stats1 = parts.norm1(sum1)
    after, slope = parts.up.gelu(y)
    kept2 = _drop(y, parts.drop_down, dropout_masks)
    sum2 = parts.down.added(after, y, kept2)
    out, *stats2 = parts.norm2(sum2)
    saved = (flat, *attention, context, sum1, *stats1, kept1, y, slope, after, sum2, *stats2, kept2)
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
    kept = _drop(probs, p, dropout_masks)
    dropped = probs if kept is None else probs * kept
    context = torch.bmm(dropped.view(B * H, Q, L), v).view(B, H, Q, D).transpose(1, 2).reshape(B * Q, H * D)
    return context, q, k, v, probs, kept


def backward(parts: Parts, dout: Tensor, saved: tuple[Any, ...], L: int) -> tuple[Tensor, Tensor]:
    """The gradients of x, shape (B, L, d), and of the scores, (B, H, Q, L). Those of weights are written in place."""
    (
        flat,
        q,
        k,
        v,
        probs,
        kept_probs,
        context,
        sum1,
        mean1,
        rstd1,
        kept1,
        y,
        slope,
        after,
        sum2,
        mean2,
        rstd2,
        kept2,
    ) = saved
    B, Q, d = dout.shape
    H = parts.heads
    dsum2 = parts.norm2.backward(dout.reshape(B * Q, d), sum2, mean2, rstd2)
    ddown = dsum2 if kept2 is None else dsum2 * kept2
    dbefore = parts.up.gelu_backward(parts.down.backward(ddown, after), slope)
    dy = parts.up.backward(dbefore, y).add_(dsum2)
    dsum1 = parts.norm1.backward(dy, sum1, mean1, rstd1)
    dattended = dsum1 if kept1 is None else dsum1 * kept1
    dcontext = parts.out.backward(dattended, context).view(B, Q, H, d // H).transpose(1, 2).reshape(B * H, Q, d // H)

    dropped = probs if kept_probs is None else probs * kept_probs
    dprobs = torch.bmm(dcontext, v.transpose(1, 2)).view(B, H, Q, L)
    if kept_probs is not None:
        dprobs *= kept_probs
    weighted = dprobs.float() * probs
    dscores = weighted.sub_(probs * weighted.sum(-1, keepdim=True)).to(dout.dtype)
    scaled = (dscores * (d // H) ** -0.5).view(B * H, Q, L)
    dqkv = flat.new_zeros(3, B * H, L, d // H) if Q < L else flat.new_empty(3, B * H, L, d // H)
    dqkv[0][:, :Q] = torch.bmm(scaled, k)
    torch.bmm(scaled.transpose(1, 2), q, out=dqkv[1])
    torch.bmm(dropped.view(B * H, Q, L).transpose(1, 2), dcontext, out=dqkv[2])
    dflat = dqkv.view(3, B, H, L, d // H).permute(1, 3, 0, 2, 4).reshape(B * L, 3 * d)
    dx = parts.qkv.backward(dflat, flat).view(B, L, d)
    dx[:, :Q] += dsum1.view(B, Q, d)
    return dx, dscores


class FastLayer(nn.Module):
    """Takes the place of a Transformers layer in the encoder's own loop, with the same arguments and results.

    Args:
        parts: The weights.
        dropout_masks: Draws dropout in training mode.
        first_only: See `forward`.
        as_tuple: MPNet's layers return a tuple.
    """

    def __init__(self, parts: Parts, dropout_masks: DropoutMasks, *, first_only: bool, as_tuple: bool) -> None:
        super().__init__()
        self.parts, self.dropout_masks, self.first_only, self.as_tuple = parts, dropout_masks, first_only, as_tuple

    def forward(self, x: Tensor, mask: Tensor | None = None, bias: Tensor | None = None, **_: Any) -> Any:
        """The third argument is MPNet's position bias; the other encoders give None there."""
        dropout_masks = self.dropout_masks if self.training else None
        if torch.is_grad_enabled():
            out = _Layer.apply(x, bias, mask, self.parts, dropout_masks, self.first_only)  # type: ignore[no-untyped-call]
        else:
            out = forward(self.parts, x, bias, mask, dropout_masks, first_only=self.first_only)[0]
        return (out,) if self.as_tuple else out


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, bias: Any, mask: Any, parts: Parts, dropout_masks: DropoutMasks | None, first_only: bool
    ) -> Tensor:
        out, saved = forward(parts, x, bias, mask, dropout_masks, first_only=first_only)
        ctx.save_for_backward(*saved)
        ctx.parts, ctx.L, ctx.bias_shape = parts, x.shape[1], None if bias is None else bias.shape
        return out

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> Any:
        dx, dscores = backward(ctx.parts, dout, ctx.saved_tensors, ctx.L)
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
    """The mask of dropout on x; None for none."""
    return dropout_masks.draw(x, p) if dropout_masks and p else None


def _as_one(tensors: list[Any]) -> Tensor:
    """The tensors stacked along their first axis: a view where they lie end to end in one storage, else a copy."""
    first = tensors[0].detach()
    places = [first.data_ptr() + sum(t.nbytes for t in tensors[:index]) for index in range(len(tensors))]
    one_storage = len({t.untyped_storage().data_ptr() for t in tensors}) == 1
    if one_storage and places == [t.data_ptr() for t in tensors]:
        rows = sum(t.shape[0] for t in tensors)
        whole: Tensor = first.as_strided((rows, *first.shape[1:]), first.stride())
        return whole
    return torch.cat([t.detach() for t in tensors])
