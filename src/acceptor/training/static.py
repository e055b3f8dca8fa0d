"""Training steps in static shapes: one CUDA graph per shape on a GPU; also used for `torch.compile`.

A step of a base-size encoder on 32 short sentences is some two thousand kernels of a few microseconds each: launching
them one by one takes longer than running them. So a batch is padded to one of a few lengths, and the last batch of an
epoch to the full number of rows, by rows of weight 0. For each shape the whole step, from row numbers to updated
weights, is captured once as a CUDA graph. From then on a step is one small copy to the GPU and one launch. Nothing is
read back: the device decides whether a step is finite, and the loop fetches the losses in bulk.

Without a GPU the same step runs eagerly, and with `compile` through a compiled network.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acceptor.config import Derived, TrainConfig
from acceptor.errors import UsageError
from acceptor.judging.judge import Judge
from acceptor.model.batches import DeviceInputs, Rows, static_length
from acceptor.model.encode import Encoded
from acceptor.runtime.device import Runtime, is_out_of_memory
from acceptor.training.flat_adamw import FlatAdamW
from acceptor.training.targets import Targets

logger = logging.getLogger(__name__)


def choose_static_steps(runtime: Runtime, config: TrainConfig) -> tuple[bool, list[Derived]]:
    """Decides on static shapes (True or False); also returns this choice and that of `compile` with their reasons.

    Raises:
        UsageError: ``compile`` is set, and several processes train together.
    """
    if config.compile and runtime.world_size > 1:
        raise UsageError(
            "several processes do not compile",
            next="leave --compile out, or train in one process",
            code="E-USAGE-CONFLICT",
        )
    on_gpu = runtime.device.startswith("cuda")
    static = runtime.world_size == 1 and (on_gpu or bool(config.compile))
    if runtime.world_size > 1:
        shapes = "several processes start their steps one by one"
    elif on_gpu:
        shapes = "batches are padded to a few lengths, each a recorded CUDA graph"
    else:
        kept = f"every batch is as long as its longest input, which is faster on {runtime.device}"
        shapes = "compiling needs batches of few lengths" if static else kept
    if config.compile is not None:
        compiled = "given"
    elif static:
        compiled = "CUDA graphs remove the launches; compiling would take tens of seconds"
    else:
        compiled = (
            "compiled steps take twice the time on a CPU" if runtime.device == "cpu" else "only if it is asked for"
        )
    return static, [
        Derived("shapes", "static" if static else "ragged", shapes),
        Derived("compile", bool(config.compile), compiled),
    ]


class StaticSteps:
    """The optimizer steps of one training, in static shapes.

    Args:
        judge: The judge to train.
        optimizer: The optimizer of its model, created with ``static``.
        train: N encoded inputs.
        targets: Their targets.
    """

    def __init__(self, judge: Judge, optimizer: FlatAdamW, train: Encoded, targets: Targets) -> None:
        self.optimizer, self.targets, self.lengths = optimizer, targets, train.lengths
        device, self.size = judge.runtime.device, optimizer.config.batch_size
        self.limit = static_length(int(train.lengths.max()), judge.max_length)
        self.data = DeviceInputs(train, judge.tokenizer.pad_token_id, self.limit, device)
        self.shapes = sorted({static_length(int(n), self.limit) for n in np.unique(train.lengths)}, reverse=True)
        dtype = torch.float32 if device == "mps" else torch.float64  # mps has no fp64
        # The arguments of a step in one array: row numbers, their weights, the learning rate, the step number.
        self.arguments = torch.zeros(2 * self.size + 2, dtype=dtype, device=device)
        self.loss = torch.zeros((), device=device)
        self.graphs: dict[int, Any] | None = None
        self.network = optimizer.network
        if optimizer.config.compile:
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, len(self.shapes) + 8)
            self.network = torch.compile(optimizer.network, dynamic=False)

    def step(self, rows: Rows, rate: float) -> Tensor:
        """One optimizer step on at most ``batch_size`` rows, without waiting for a GPU.

        Returns:
            The rows' mean loss, on the device; NaN if the step was not finite and the weights were not changed.

        Raises:
            UsageError: The network cannot be compiled on this machine.
        """
        optimizer = self.optimizer
        if self.graphs is None:
            self._capture()
        length = static_length(int(self.lengths[rows].max()), self.limit)
        numbers, missing = rows.tolist(), self.size - len(rows)
        # Rows of weight 0 are copies of real rows: softmax over padding only is NaN, and NaN times 0 is NaN.
        weights = [1 / len(rows)] * len(rows) + [0.0] * missing
        self._copy_arguments(numbers + numbers[:1] * missing, weights, rate, optimizer.steps + 1)
        optimizer.dropout_masks.start(optimizer.config.seed, optimizer.steps, 0)
        if self.graphs:
            self.graphs[length].replay()
        else:
            self._compute(length)
        optimizer.steps += 1
        return self.loss.clone()

    def _copy_arguments(self, rows: list[int], weights: list[float], rate: float, number: int) -> None:
        arguments = torch.tensor([*rows, *weights, rate, number], dtype=torch.float64)
        # A copy from pinned memory does not wait; torch keeps that memory until the copy is done.
        arguments = arguments.pin_memory() if self.arguments.is_cuda else arguments
        self.arguments.copy_(arguments, non_blocking=True)

    def _compute(self, length: int) -> None:
        """The whole step on the device: from ``arguments`` to new weights and ``loss``."""
        rows, weights = self.arguments[: self.size].long(), self.arguments[self.size : -2].float()
        rate, number = self.arguments[-2:].float().unbind()
        try:
            logits = self.network(**self.data.inputs(rows, length)).logits
        except RuntimeError as error:
            if not self.optimizer.config.compile or not isinstance(error, torch._dynamo.exc.TorchDynamoException):
                raise
            raise UsageError(
                "the network cannot be compiled on this machine",
                cause=str(getattr(error, "inner_exception", error)).strip().split("\n")[0],
                next="leave --compile out",
                code="E-USAGE-COMPILE",
            ) from error
        loss = self.targets.losses(logits, rows) @ weights
        self.optimizer.backward(loss)
        self.loss.copy_(self.optimizer.step_without_sync(loss.detach(), rate, number))

    def _capture(self) -> None:
        """Captures a CUDA graph for every shape, the largest first, so that the others fit into its memory pool."""
        self.graphs = {}
        if not self.arguments.is_cuda:
            return
        stream, pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call]
        # Rows of weight NaN: such a step runs every kernel and changes neither weights nor running means. The shortest
        # row is used so that a part is masked; else Transformers would warm up another attention kernel.
        self._copy_arguments([int(self.lengths.argmin())] * self.size, [float("nan")] * self.size, 0.0, 1)
        try:
            for length in self.shapes:
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream):
                    for _ in range(2):  # libraries allocate memory and load kernels, which must not happen in a capture
                        self._compute(length)
                    graph = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(graph, pool=pool, stream=stream):
                        self._compute(length)
                torch.cuda.current_stream().wait_stream(stream)
                self.graphs[length] = graph
        except RuntimeError as error:
            self.graphs = {}
            first = error.__context__ or error  # ending a failed capture fails, too
            if is_out_of_memory(first):
                raise
            reason = str(first).strip().split("\n")[0]
            logger.warning("no CUDA graph of this network (%s): its steps are slower", reason)
