"""Quantizes an ONNX network to int8 with standard operators only.

ONNX Runtime's own dynamic quantisation gives all activations of a batch one scale. A few outliers are much larger than
the rest (Bondarenko et al. 2021, section 3), so the rest loses precision. Here each token has its own scale, as in
`native/layers.c`; `benchmarks/export_table.py` compares both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

MATMUL_MAX, EMBEDDING_MAX = 63, 127  # the int8 value of the largest weight
MANY_ROWS = 1000  # a smaller embedding table stays in fp32


def quantize(network: bytes) -> bytes:
    """The network with int8 weights of matrix products and of large embedding tables.

    Weights are quantized here, per column: the largest number becomes 63, so that the sum of two products fits into the
    16 bits that CPUs without VNNI use. Activations are quantized at inference, per token, with scale and zero point:
    the smallest becomes 0, the largest 255. Only the matrix products are in int8; all else stays in fp32.
    """
    model = onnx.load_model_from_string(network)
    rewriting = _GraphRewriter(model.graph)
    for node in model.graph.node:
        rewriting.take(node)
    rewriting.finish()
    return bytes(model.SerializeToString())


@dataclass(frozen=True)
class _QuantizedActivation:
    """Names of the tensors of a quantized activation.

    Attributes:
        rows: uint8, shape (tokens, K).
        scales: Scale of each token, float32, shape (tokens, 1).
        zeros: Zero point of each token, float32, shape (tokens, 1).
        leading: The activation's shape without K.
    """

    rows: str
    scales: str
    zeros: str
    leading: str


class _GraphRewriter:
    """Replaces the nodes of a graph.

    Attributes:
        weights: The float tables and matrices of the graph, by name.
        nodes: The new nodes, in order.
        tensors: The new tensors, by name.
        activations: The quantized activations, by name.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.weights = {
            tensor.name: tensor
            for tensor in graph.initializer
            if len(tensor.dims) == 2 and tensor.data_type == onnx.TensorProto.FLOAT
        }
        self.nodes: list[Any] = []
        self.tensors: dict[str, onnx.TensorProto] = {}
        self.activations: dict[str, _QuantizedActivation] = {}

    def take(self, node: Any) -> None:
        """Adds the next node, or the nodes that replace it."""
        if node.op_type == "MatMul" and node.input[1] in self.weights:
            self._matmul(node)
        elif (
            node.op_type == "Gather"
            and node.input[0] in self.weights
            and self.weights[node.input[0]].dims[0] > MANY_ROWS
        ):
            self._embedding(node)
        else:
            self.nodes.append(node)

    def finish(self) -> None:
        """Puts the new nodes and tensors into the graph, without tensors that no node uses."""
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        for field in (self.graph.node, self.graph.initializer, self.graph.value_info):
            del field[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend([*kept, *self.tensors.values()])

    def _matmul(self, node: Any) -> None:
        """From ``x @ W``, with W[:, n] ≈ scale[n] · int8 and x[t] ≈ scale[t] · (uint8 - zero[t])."""
        x, name = node.input
        weight, scales = self._to_int8(name, MATMUL_MAX, axis=0)
        rounded = self._activation(x)
        whole = self._add("Cast", self._add("MatMulInteger", rounded.rows, weight), to=onnx.TensorProto.FLOAT)
        sums = numpy_helper.to_array(self.tensors[weight]).sum(axis=0, dtype=np.float32)
        of_zeros = self._add("Mul", rounded.zeros, self._constant(f"{name}.sum", sums))
        product = self._add("Mul", self._add("Sub", whole, of_zeros), scales)
        shape = self._add("Concat", rounded.leading, self._constant(f"{name}.width", np.array([len(sums)])), axis=0)
        self.nodes.append(helper.make_node("Reshape", [self._add("Mul", product, rounded.scales), shape], node.output))

    def _activation(self, x: str) -> _QuantizedActivation:
        """Quantizes an activation of shape (…, K) to 8 bits; once, even if several products use it."""
        if x not in self.activations:
            last, nothing = self._constant("last", np.array([1])), self._constant("nothing", np.float32(0))
            width = self._add("Shape", x, start=-1)
            rows = self._add("Reshape", x, self._add("Concat", self._constant("any", np.array([-1])), width, axis=0))
            lowest = self._add("Min", self._add("ReduceMin", rows, last, keepdims=1), nothing)
            highest = self._add("Max", self._add("ReduceMax", rows, last, keepdims=1), nothing)
            spread = self._add("Max", self._add("Sub", highest, lowest), self._constant("tiny", np.float32(1e-20)))
            scales = self._add("Mul", spread, self._constant("step", np.float32(1 / 255)))
            zeros = self._add("Round", self._add("Div", self._add("Neg", lowest), scales))
            flat = self._add("Cast", self._add("Squeeze", zeros, last), to=onnx.TensorProto.UINT8)
            bytes_ = self._add("QuantizeLinear", rows, self._add("Squeeze", scales, last), flat, axis=0)
            self.activations[x] = _QuantizedActivation(bytes_, scales, zeros, self._add("Shape", x, end=-1))
        return self.activations[x]

    def _embedding(self, node: Any) -> None:
        """Rows of a table of embeddings, table[i] ≈ scale[i] · int8."""
        table, scales = self._to_int8(node.input[0], EMBEDDING_MAX, axis=1)
        rows = self._add("Cast", self._add("Gather", table, node.input[1]), to=onnx.TensorProto.FLOAT)
        self.nodes.append(helper.make_node("Mul", [rows, self._add("Gather", scales, node.input[1])], node.output))

    def _to_int8(self, name: str, top: int, *, axis: int) -> tuple[str, str]:
        """The names of a weight's int8 and of its scales along ``axis``."""
        weight = numpy_helper.to_array(self.weights[name])
        largest = np.maximum(np.abs(weight).max(axis=axis, keepdims=axis == 1), 1e-12)
        scales = (largest / top).astype(np.float32)
        rounded = np.clip(np.rint(weight / scales), -top, top).astype(np.int8)
        name += f".{axis}"  # a table that is also a matrix is quantized twice
        return self._constant(f"{name}.int8", rounded), self._constant(f"{name}.scale", scales)

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node and returns the name of its output."""
        output = f"int8.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, value: npt.NDArray[Any] | np.generic) -> str:
        """Adds a tensor, unless it exists, and returns its name."""
        name = f"int8.{name}"
        self.tensors.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name
