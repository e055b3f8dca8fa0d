"""`FlatAdamW`: the network in training, its weights end to end in flat arrays, and their AdamW.

Everything that a step reads and writes lies in five arrays of one number per weight:

    work     what the network computes with: bf16, or fp32 and then the same array as master
    grad     the gradients, in the type of work
    master   the weights, fp32: an update of 1e-9 is not lost to bf16's eight bits
    first    AdamW's mean of gradients, fp32
    second   AdamW's mean of their squares, fp32

Flat, because the optimizer is bound by memory traffic alone: it passes over them once, whatever the shapes of the
weights. Processes that train together add up one array.
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

from acceptor.config import TrainConfig
from acceptor.model.dropout import DropoutMasks
from acceptor.model.network import use_fast_layers, working_copy
from acceptor.native import adamw_step, squares


class FlatAdamW:
    """A working copy of a classifier, ready to be trained.

    The classifier's own parameters become views of ``master``: they are the trained weights at any time. Only its
    word embeddings need `sync`, because the network trains no more than the rows that the data uses.

    Args:
        model: The Transformers classifier, fp32, on its device.
        config: The settings of AdamW.
        bf16: Compute in bf16.
        static: Begin with steps in static shapes, which `StaticSteps` takes; see there.
        ids: All token ids of the training data.
        pad_id: The padding token's id.
    """

    def __init__(
        self,
        model: Any,
        config: TrainConfig,
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
        # Matrices first: they decay, biases and norms do not.
        old = [p for p in (self.rows.weight, *old) if p.ndim >= 2] + [p for p in old if p.ndim < 2]
        self.master = torch.cat([p.detach().flatten() for p in old])
        self.work = self.master.bfloat16() if bf16 else self.master
        self.grad = torch.zeros_like(self.work)
        self.first, self.second = torch.zeros_like(self.master), torch.zeros_like(self.master)
        self.steps, self.decay = 0, 1.0
        self.micro_batch = config.batch_size  # examples that fit the memory at once: halved where it runs out

        decaying = sum(p.numel() for p in old if p.ndim >= 2)
        self._matrices, self._vectors = slice(0, decaying), slice(decaying, None)

        new: dict[Any, nn.Parameter] = {self.table.weight: nn.Parameter(torch.empty(0))}
        sizes = [p.numel() for p in old]
        arrays = [torch.split(array, sizes) for array in (self.master, self.work, self.grad)]
        for p, master, work, grad in zip(old, *arrays, strict=True):
            p.data = master.view_as(p)
            new[p] = nn.Parameter(work.view_as(p))
            new[p].grad = grad.view_as(p)
        self.network = working_copy(model, new)
        self._rows = self.rows.with_weight(new[self.rows.weight])
        self.network.set_input_embeddings(self._rows)
        self._rows.in_place = not static
        by_hand = self.master.device.type == "cpu" and not static
        written = use_fast_layers(self.network, self.dropout_masks) if by_hand else []
        elsewhere = {id(p) for p in (*written, self._rows.weight)}
        self._trained = [new[p] for p in old]
        self._grads = [grad.view_as(p) for p, grad in zip(old, arrays[2], strict=True)]
        self._added = [p.grad for p in new.values() if p.grad is not None and id(p) not in elsewhere]

    def start_step(self, rank: int) -> None:
        """Before the forward pass: this step's own randomness, and zeros where autograd adds gradients up."""
        self.dropout_masks.start(self.config.seed, self.steps, rank)
        self._clear_gradients()

    @contextlib.contextmanager
    def adding_up(self) -> Iterator[Callable[[], None]]:
        """For a batch in parts: call what this yields after each backward pass; in the end ``grad`` is their sum."""
        total, touched = torch.zeros_like(self.grad, dtype=torch.float32), []

        def add() -> None:
            total.add_(self.grad)
            touched.extend(self._rows.touched)
            self._clear_gradients()

        yield add
        self.grad.copy_(total)
        self._rows.touched = touched

    def _clear_gradients(self) -> None:
        torch._foreach_zero_(self._added)
        self._rows.clear_gradient()

    def differentiate(self, loss: Tensor) -> None:
        """Makes ``grad`` the gradient of a loss, in a few kernels; adding up would take one for every weight matrix."""
        grads = torch.autograd.grad(loss, self._trained, allow_unused=True, materialize_grads=True)
        torch._foreach_copy_(self._grads, grads)

    def step_on_device(self, loss: Tensor, rate: Tensor, number: Tensor) -> Tensor:
        """`step` without a look at any number: what is not finite leaves the weights alone, decided on the device.

        Args:
            loss: The batch's mean loss; it is looked at as well.
            rate: The learning rate, fp32.
            number: The number of this step, from 1, fp32.

        Returns:
            The loss; NaN where the weights were left alone.
        """
        norm = torch.linalg.vector_norm(self.grad, dtype=torch.float32)
        bad = ~(norm.isfinite() & loss.isfinite())
        shrink = (norm / self.config.max_grad_norm).clamp(min=1) if self.config.max_grad_norm else None
        self._adamw(number, rate, shrink, skip=bad.float())
        return loss.masked_fill(bad, math.nan)

    def leave_static(self) -> None:
        """From here on batches have shapes of their own, and `step` is what follows them."""
        self.static, self._rows.in_place = False, True
        self.grad.zero_()

    def sum_over_processes(self) -> None:
        """Makes ``grad`` the sum of all processes' gradients."""
        torch.distributed.all_reduce(self.grad)
        self._rows.touched.append(slice(None))  # the others' rows as well: they are to be cleared before the next step

    def step(self, rate: float, *, check: bool) -> bool:
        """One step of AdamW (Loshchilov & Hutter 2019; decoupled decay, bias correction, eps 1e-8) at a learning rate.

        If the norm of all gradients is above ``max_grad_norm``, they are scaled down to it.

        Args:
            rate: The learning rate.
            check: Look at the norm before (on a GPU that is a wait): where it is not finite, leave the weights alone.

        Returns:
            False where they were left alone.
        """
        shrink = None
        self.steps += 1
        if self.config.max_grad_norm or check:
            norm = squares(self.grad).sqrt()
            if check and not math.isfinite(float(norm)):
                return False
            if self.config.max_grad_norm:
                shrink = (norm / self.config.max_grad_norm).clamp(min=1)
        self._adamw(self.steps, rate, shrink)
        return True

    def _adamw(
        self, number: int | Tensor, rate: float | Tensor, shrink: Tensor | None, skip: Tensor | None = None
    ) -> None:
        """`adamw_step` on all weights: matrices decay, the others do not."""
        for part, weight_decay in ((self._matrices, self.config.weight_decay), (self._vectors, 0.0)):
            arrays = (array[part] for array in (self.master, self.work, self.grad, self.first, self.second))
            adamw_step(*arrays, step=number, rate=rate, weight_decay=weight_decay, shrink=shrink, skip=skip)

    def decay_the_rest(self, rate: float) -> None:
        """After a step that was taken: rows of the vocabulary that are not trained decay as well, once `sync` comes."""
        self.decay *= 1 - rate * self.config.weight_decay

    def sync(self) -> None:
        """Brings the classifier's word embeddings up to date; its other parameters always are.

        Rows that no training example uses have no gradient: AdamW's update of them is its weight decay, whose
        factors since the last call (`decay_the_rest`) are applied here at once.
        """
        with torch.no_grad():
            self.table.weight.mul_(self.decay)
            self.table.weight[self.rows.used] = self.rows.weight
        self.decay = 1.0

    def reload(self, rows: Tensor) -> None:
        """Takes the classifier's weights, which were changed from outside, and ``rows`` as the current ones."""
        with torch.no_grad():
            self.rows.weight.copy_(rows)
            self.work.copy_(self.master)

    def release(self, model: Any) -> None:
        """Gives the classifier's parameters storage of their own, so that the flat arrays can go."""
        for p in model.parameters():
            p.data = p.data.clone()


class TrainedRows(nn.Module):
    """The rows of an embedding table that the data uses: the only ones that training can change but by decay.

    CoLA uses 5,585 of MiniLM's 30,522 word pieces. Leaving the others out saves their gradient's zeros and their
    share of every optimizer step, 42 % of MiniLM's, and changes no result.

    Args:
        table: The embedding.
        used: Ids that occur, ascending.
    """

    def __init__(self, table: nn.Embedding, used: npt.NDArray[Any]) -> None:
        super().__init__()
        device = table.weight.device
        self.used = torch.from_numpy(used.astype(np.int64)).to(device)
        self.weight = nn.Parameter(table.weight.detach()[self.used])
        self.place = torch.full((table.num_embeddings,), -1, device=device)
        self.place[self.used] = torch.arange(len(used), device=device)
        padding = np.flatnonzero(used == table.padding_idx)  # none where the tokenizer pads with another id
        self.padding_idx = int(padding[0]) if len(padding) else None
        self.touched: list[Tensor | slice] = []
        self.in_place = True

    def with_weight(self, weight: nn.Parameter) -> TrainedRows:
        """The same rows over another array."""
        other = TrainedRows.__new__(TrainedRows)
        nn.Module.__init__(other)
        other.used, other.place, other.padding_idx, other.weight = self.used, self.place, self.padding_idx, weight
        other.touched, other.in_place = [], True
        return other

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of ``ids``: shape (B, L) to (B, L, d)."""
        places = self.place[ids]
        if not self.in_place:  # torch's own: on a GPU a table of zeros is nothing, and its sums have a fixed order
            return nn.functional.embedding(places, self.weight, self.padding_idx)
        self.touched.append(places)
        return _Lookup.apply(self.weight, places, self.padding_idx)  # type: ignore

    def clear_gradient(self) -> None:
        """Zeros in the rows that were looked up since the last call; the others have them already."""
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
