"""Training steps in static shapes: on a GPU one CUDA graph a shape, and what `torch.compile` can work with.

A step of a base-size encoder on 32 short sentences is some two thousand kernels of a few microseconds each: launching
them one by one takes longer than running them. So a batch is padded to one of a few lengths, and a last batch to the
full number of rows by rows that weigh nothing; for each shape the whole step, from row numbers to refreshed weights,
is recorded once as a CUDA graph. From then on a step is one small copy to the GPU and one launch. Nothing is read back:
whether a step is finite is decided on the device, and the losses are fetched in bulk by the loop.

Without a GPU the same step runs as it is written, and with `compile` through a compiled network.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from acceptor.config import Derived, TrainConfig
from acceptor.errors import UsageError
from acceptor.judging.judge import Judge
from acceptor.model.batches import DeviceInputs, Rows, static_length
from acceptor.model.encode import Encoded
from acceptor.runtime.device import Runtime, is_out_of_memory
from acceptor.training.flat_adamw import FlatAdamW

logger = logging.getLogger(__name__)


def choose_static_steps(runtime: Runtime, config: TrainConfig) -> tuple[bool, list[Derived]]:
    """True for steps in static shapes; and that choice and `compile`'s, with their reasons.

    Raises:
        UsageError: Compiling is asked for where several processes train together.
    """
    if config.compile and runtime.world_size > 1:
        raise UsageError("several processes do not compile", next="leave --compile out, or train in one process")
    on_gpu = runtime.device.startswith("cuda")
    static = runtime.world_size == 1 and (on_gpu or bool(config.compile))
    if runtime.world_size > 1:
        shapes = "several processes launch their steps one by one"
    elif on_gpu:
        shapes = "a CUDA graph for each of a few lengths: one launch a step"
    else:
        shapes = "compiling wants few shapes" if static else f"padding costs more than launching on {runtime.device}"
    if config.compile is not None:
        compiled = "given"
    elif on_gpu:
        compiled = "CUDA graphs take the launches away; compiling would cost tens of seconds"
    else:
        compiled = "measured on a CPU: twice the time of the layers written by hand"
    return static, [
        Derived("shapes", "static" if static else "ragged", shapes),
        Derived("compile", bool(config.compile), compiled),
    ]


class StaticSteps:
    """The optimizer steps of one training, in static shapes.

    Args:
        judge: The judge that is trained.
        optimizer: Made from its model, with ``static``.
        train: N encoded inputs.
        targets: Their label ids, int64, shape (N,), on the device.
    """

    def __init__(self, judge: Judge, optimizer: FlatAdamW, train: Encoded, targets: Tensor) -> None:
        self.optimizer, self.targets, self.lengths = optimizer, targets, train.lengths
        device, self.size = judge.runtime.device, optimizer.config.batch_size
        self.limit = static_length(int(train.lengths.max()), judge.max_length)
        self.data = DeviceInputs(train, judge.tokenizer.pad_token_id, self.limit, device)
        self.shapes = sorted({static_length(int(n), self.limit) for n in np.unique(train.lengths)}, reverse=True)
        # What a step is given, in one copy: row numbers, their weights, the learning rate, the step's number.
        self.given = torch.zeros(2 * self.size + 2, dtype=torch.float64, device=device)
        self.loss = torch.zeros((), device=device)
        self.graphs: dict[int, Any] | None = None
        self.network = optimizer.network
        if optimizer.config.compile:
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, len(self.shapes) + 8)
            self.network = torch.compile(optimizer.network, dynamic=False)

    def step(self, rows: Rows, rate: float) -> Tensor:
        """One optimizer step on at most ``batch_size`` rows, without waiting for a GPU.

        Returns:
            The rows' mean loss, on the device; NaN where the step was not finite and left the weights alone.

        Raises:
            UsageError: The network cannot be compiled on this machine.
        """
        optimizer = self.optimizer
        if self.graphs is None:
            self._capture()
        length = static_length(int(self.lengths[rows].max()), self.limit)
        numbers, missing = rows.tolist(), self.size - len(rows)
        # The rows that fill up are real ones: of padding alone a softmax would make NaN, and NaN times 0 is NaN.
        weights = [1 / len(rows)] * len(rows) + [0.0] * missing
        self._give(numbers + numbers[:1] * missing, weights, rate, optimizer.steps + 1)
        optimizer.dropout_masks.start(optimizer.config.seed, optimizer.steps, 0)
        if self.graphs:
            self.graphs[length].replay()
        else:
            self._compute(length)
        optimizer.steps += 1
        return self.loss.clone()

    def _give(self, rows: list[int], weights: list[float], rate: float, number: int) -> None:
        given = torch.tensor([*rows, *weights, rate, number], dtype=torch.float64)
        # From pinned memory a copy does not wait; torch keeps that memory until it is done.
        given = given.pin_memory() if self.given.is_cuda else given
        self.given.copy_(given, non_blocking=True)

    def _compute(self, length: int) -> None:
        """All that a step does on the device: from ``given`` to new weights and ``loss``."""
        rows, weights = self.given[: self.size].long(), self.given[self.size : -2].float()
        rate, number = self.given[-2:].float().unbind()
        try:
            logits = self.network(**self.data.inputs(rows, length)).logits
        except RuntimeError as error:
            if not self.optimizer.config.compile or not isinstance(error, torch._dynamo.exc.TorchDynamoException):
                raise
            raise UsageError(
                "the network cannot be compiled on this machine",
                cause=str(getattr(error, "inner_exception", error)).strip().split("\n")[0],
                next="leave --compile out",
            ) from error
        loss = cross_entropy(logits.float(), self.targets[rows], reduction="none") @ weights
        self.optimizer.backward(loss)
        self.loss.copy_(self.optimizer.step_without_sync(loss.detach(), rate, number))

    def _capture(self) -> None:
        """Records a CUDA graph for every shape, the largest first: the others then find room in its memory."""
        self.graphs = {}
        if not self.given.is_cuda:
            return
        stream, pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call]
        # Rows that weigh NaN: such a step runs through everything and leaves weights, moments and counts alone. The
        # shortest, so that something is masked: without that Transformers would warm up another kernel for attention.
        self._give([int(self.lengths.argmin())] * self.size, [float("nan")] * self.size, 0.0, 1)
        try:
            for length in self.shapes:
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream):
                    for _ in range(2):  # libraries allocate, kernels load: nothing of that may happen in a recording
                        self._compute(length)
                    graph = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(graph, pool=pool, stream=stream):
                        self._compute(length)
                torch.cuda.current_stream().wait_stream(stream)
                self.graphs[length] = graph
        except RuntimeError as error:
            self.graphs = {}
            first = error.__context__ or error  # to end a recording that failed fails as well
            if is_out_of_memory(first):
                raise
            reason = str(first).strip().split("\n")[0]
            logger.warning("no CUDA graph of this network (%s): its kernels are launched one by one", reason)
