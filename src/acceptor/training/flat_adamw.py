"""`FlatAdamW`: AdamW on flat arrays that hold all weights of a network.

A step reads and writes five arrays with one number per weight:

    network_weights   the weights that the network uses: bf16, or fp32 and then the same array as master_weights
    grad              the gradients, in the type of network_weights
    master_weights    the weights, fp32, because bf16's eight bits would lose an update of 1e-9
    exp_avg           AdamW's running mean of gradients, fp32
    exp_avg_sq        AdamW's running mean of squared gradients, fp32

The optimizer is limited by memory bandwidth: with flat arrays it reads and writes each number once. Data-parallel
processes all-reduce a single array.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acceptor.config import ResolvedConfig
from acceptor.model.dropout import DropoutMasks
from acceptor.model.network import use_fast_layers, working_copy
from acceptor.native import adamw_step, sum_of_squares


class FlatAdamW:
    """AdamW on a working copy of a classifier.

    The classifier's own parameters become views of ``master_weights``, so they are the trained weights at any time.
    Only its word embeddings need `sync_embeddings`, because just the rows that the data uses are trained.

    Args:
        model: The Transformers classifier, fp32, on its device.
        config: The settings of AdamW.
        bf16: Compute in bf16.
        static: Start with steps in static shapes (`StaticSteps`).
        ids: All token ids of the training data.
        pad_id: The padding token's id.
    """

    def __init__(
        self,
        model: Any,
        config: ResolvedConfig,
        *,
        bf16: bool,
        ids: npt.NDArray[np.int32],
        pad_id: int,
        static: bool = False,
    ) -> None:
        self.config, self.static = config, static
        self.dropout_masks = DropoutMasks()
        self.table = model.get_input_embeddings()
        self.rows = TrainedRows(self.table, np.union1d(ids, [pad_id]))
        old = [p for p in model.parameters() if p.requires_grad and p is not self.table.weight]
        # Matrices first: they have weight decay, biases and norms do not.
        old = [p for p in (self.rows.weight, *old) if p.ndim >= 2] + [p for p in old if p.ndim < 2]
        self.master_weights = torch.cat([p.detach().flatten() for p in old])
        self.network_weights = self.master_weights.bfloat16() if bf16 else self.master_weights
        self.grad = torch.zeros_like(self.network_weights)
        self.exp_avg, self.exp_avg_sq = torch.zeros_like(self.master_weights), torch.zeros_like(self.master_weights)
        self.steps, self.decay = 0, 1.0
        self.micro_batch = config.batch_size  # examples per forward pass; halved when memory runs out

        decaying = sum(p.numel() for p in old if p.ndim >= 2)
        self._matrices, self._vectors = slice(0, decaying), slice(decaying, None)

        new: dict[Any, nn.Parameter] = {self.table.weight: nn.Parameter(torch.empty(0))}
        sizes = [p.numel() for p in old]
        arrays = [torch.split(array, sizes) for array in (self.master_weights, self.network_weights, self.grad)]
        for p, master_weights, network_weights, grad in zip(old, *arrays, strict=True):
            p.data = master_weights.view_as(p)
            new[p] = nn.Parameter(network_weights.view_as(p))
            new[p].grad = grad.view_as(p)
        self.network = working_copy(model, new)
        self._rows = self.rows.with_weight(new[self.rows.weight])
        self.network.set_input_embeddings(self._rows)
        self._rows.in_place = not static
        fast = self.master_weights.device.type == "cpu" and not static
        written_in_place = use_fast_layers(self.network, self.dropout_masks) if fast else []
        not_accumulated = {id(p) for p in (*written_in_place, self._rows.weight)}
        self._trained = [new[p] for p in old]
        self._grads = [grad.view_as(p) for p, grad in zip(old, arrays[2], strict=True)]
        self._accumulated = [p.grad for p in new.values() if p.grad is not None and id(p) not in not_accumulated]

    def start_step(self, rank: int) -> None:
        """Call this before the forward pass. It seeds this step's dropout and clears accumulated gradients."""
        self.dropout_masks.start(self.config.seed, self.steps, rank)
        self._clear_gradients()

    @contextlib.contextmanager
    def accumulate_gradients(self) -> Iterator[Callable[[], None]]:
        """Sums the gradients of micro-batches: call the yielded function after each backward pass."""
        total, touched = torch.zeros_like(self.grad, dtype=torch.float32), []

        def add() -> None:
            total.add_(self.grad)
            touched.extend(self._rows.touched)
            self._clear_gradients()

        yield add
        self.grad.copy_(total)
        self._rows.touched = touched

    def _clear_gradients(self) -> None:
        torch._foreach_zero_(self._accumulated)
        self._rows.clear_gradient()

    def backward(self, loss: Tensor) -> None:
        """Writes the gradient of a loss to ``grad``. Needs fewer kernels than accumulating into each weight's grad."""
        grads = torch.autograd.grad(loss, self._trained, allow_unused=True, materialize_grads=True)
        torch._foreach_copy_(self._grads, grads)

    def step_without_sync(self, loss: Tensor, rate: Tensor, number: Tensor) -> Tensor:
        """`step` without a wait for the device: if loss or gradient is not finite, the weights stay unchanged.

        Args:
            loss: The batch's mean loss.
            rate: The learning rate, fp32.
            number: The number of this step, from 1, fp32.

        Returns:
            The loss; NaN if the weights were not changed.
        """
        norm = torch.linalg.vector_norm(self.grad, dtype=torch.float32)
        bad = ~(norm.isfinite() & loss.isfinite())
        clip_scale = (norm / self.config.max_grad_norm).clamp(min=1) if self.config.max_grad_norm else None
        self._adamw(number, rate, clip_scale, skip=bad.float())
        return loss.masked_fill(bad, math.nan)

    def end_static_shapes(self) -> None:
        """Ends static shapes: later batches have different shapes, and `step` updates the weights."""
        self.static, self._rows.in_place = False, True
        self.grad.zero_()

    def sum_over_processes(self) -> None:
        """Makes ``grad`` the sum of all processes' gradients."""
        torch.distributed.all_reduce(self.grad)
        self._rows.touched.append(slice(None))  # the rows of other processes must be cleared too

    def step(self, rate: float, *, check: bool) -> bool:
        """One AdamW step (Loshchilov & Hutter 2019; decoupled decay, bias correction, eps 1e-8) at a learning rate.

        If the norm of all gradients is above ``max_grad_norm``, they are scaled down to it.

        Args:
            rate: The learning rate.
            check: Leave the weights unchanged if the gradient norm is not finite. On a GPU this waits for the device.

        Returns:
            False if the weights were left unchanged.
        """
        clip_scale = None
        self.steps += 1
        if self.config.max_grad_norm or check:
            norm = sum_of_squares(self.grad).sqrt()
            if check and not math.isfinite(float(norm)):
                return False
            if self.config.max_grad_norm:
                clip_scale = (norm / self.config.max_grad_norm).clamp(min=1)
        self._adamw(self.steps, rate, clip_scale)
        return True

    def _adamw(
        self, number: int | Tensor, rate: float | Tensor, clip_scale: Tensor | None, skip: Tensor | None = None
    ) -> None:
        """`adamw_step` on all weights: weight decay is for matrices only."""
        for part, weight_decay in ((self._matrices, self.config.weight_decay), (self._vectors, 0.0)):
            arrays = (self.master_weights, self.network_weights, self.grad, self.exp_avg, self.exp_avg_sq)
            adamw_step(
                *(array[part] for array in arrays),
                step=number,
                rate=rate,
                weight_decay=weight_decay,
                beta2=self.config.adam_beta2,
                clip_scale=clip_scale,
                skip=skip,
            )

    def decay_untrained_rows(self, rate: float) -> None:
        """Counts the weight decay of a step for the untrained rows of the vocabulary; `sync_embeddings` applies it."""
        self.decay *= 1 - rate * self.config.weight_decay

    def sync_embeddings(self) -> None:
        """Updates the classifier's word embeddings; its other parameters are always current.

        Rows that no training example uses have no gradient: AdamW's update of them is its weight decay, whose
        factors since the last call (`decay_untrained_rows`) are applied here at once.
        """
        with torch.no_grad():
            self.table.weight.mul_(self.decay)
            self.table.weight[self.rows.used] = self.rows.weight
        self.decay = 1.0

    def reload(self, rows: Tensor) -> None:
        """Copies the classifier's weights to the flat arrays after they were loaded; ``rows`` are the trained rows."""
        with torch.no_grad():
            self.rows.weight.copy_(rows)
            self.network_weights.copy_(self.master_weights)

    def release(self, model: Any) -> None:
        """Copies the classifier's parameters out of the flat arrays, so that these can be freed."""
        for p in model.parameters():
            p.data = p.data.clone()


class TrainedRows(nn.Module):
    """The rows of an embedding table that the data uses. Training changes all others by weight decay only.

    CoLA uses 5,585 of MiniLM's 30,522 word pieces. Leaving the others out saves their
    zero gradients and 42 % of MiniLM's optimizer step, and changes no result.

    Args:
        table: The embedding.
        used: The ids that occur, ascending.
    """

    def __init__(self, table: nn.Embedding, used: npt.NDArray[Any]) -> None:
        super().__init__()
        device = table.weight.device
        self.used = torch.from_numpy(used.astype(np.int64)).to(device)
        self.weight = nn.Parameter(table.weight.detach()[self.used])
        self.place = torch.full((table.num_embeddings,), -1, device=device)
        self.place[self.used] = torch.arange(len(used), device=device)
        padding = np.flatnonzero(used == table.padding_idx)  # empty if the tokenizer pads with another id
        self.padding_idx = int(padding[0]) if len(padding) else None
        self.touched: list[Tensor | slice] = []
        self.in_place = True

    def with_weight(self, weight: nn.Parameter) -> TrainedRows:
        """The same rows with another array as weight."""
        other = TrainedRows.__new__(TrainedRows)
        nn.Module.__init__(other)
        other.used, other.place, other.padding_idx, other.weight = self.used, self.place, self.padding_idx, weight
        other.touched, other.in_place = [], True
        return other

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of ``ids``: shape (B, L) to (B, L, d)."""
        places = self.place[ids]
        if not self.in_place:  # torch's embedding: cheap on a GPU, with sums in a fixed order
            return nn.functional.embedding(places, self.weight, self.padding_idx)
        self.touched.append(places)
        return _Lookup.apply(self.weight, places, self.padding_idx)  # type: ignore

    def clear_gradient(self) -> None:
        """Zeros the gradient of the rows that were looked up since the last call; all others are zero already."""
        for places in self.touched:
            self.weight.grad[places] = 0  # type: ignore[index]
        self.touched.clear()


class _Lookup(torch.autograd.Function):
    """Embedding lookup whose backward adds to the rows of ``weight.grad`` in place; torch's makes a table of zeros."""

    @staticmethod
    def forward(ctx: Any, weight: nn.Parameter, places: Tensor, padding: int | None) -> Tensor:
        ctx.grad, ctx.places, ctx.padding = weight.grad, places, padding
        return nn.functional.embedding(places, weight)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> Any:
        ctx.grad.index_add_(0, ctx.places.flatten(), dout.flatten(0, 1))
        if ctx.padding is not None:
            ctx.grad[ctx.padding] = 0
        return None, None, None
