"""Judges as ONNX files: writing one, and reading an untrusted one, without torch.

The file is an ordinary ONNX model for any runtime. Its metadata hold all that a judge needs beside the network: the
content of `judge.json`, the tokenizer, the fingerprints of train; and at the end the sha256 of everything before it, so
that damage is found.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.errors import RunError, check_installed
from acceptor.model.batches import Padded
from acceptor.model.scorer import Logits, Scorer
from acceptor.model.tokenizer import Tokenizer, parse_tokenizer
from acceptor.runs.judge_file import ExportedJudgeFile, parse_exported_judge, unusable_export

ABOUT, TOKENIZER, TRAINED_ON, SHA256 = (f"acceptor.{name}" for name in ("judge", "tokenizer", "trained_on", "sha256"))
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
LOGITS = "logits"
MAX_BYTES = (1 << 31) - 1  # of a file of protocol buffers
EXPECTED = "a file that `acceptor export` wrote"
OPERATORS = {
    *("Abs", "Add", "And", "Cast", "Ceil", "Clip", "Cos", "CumSum", "Div", "Equal", "Erf", "Exp", "Floor", "Gelu"),
    *("Gemm", "Greater", "GreaterOrEqual", "IsNaN", "LayerNormalization", "Less", "LessOrEqual", "Log", "MatMul"),
    *("Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("Relu", "Round", "Sigmoid", "Sign", "Sin", "Softmax", "Sqrt", "Sub", "Tanh", "Where"),
    *("MatMulInteger", "QuantizeLinear"),
    *("Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity"),
    *("Range", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
}
"""The operators of our exports, and those that other versions of the exporter may use: only arithmetic and shapes."""


_thread = threading.local()


def _on_one_core() -> None:
    _thread.cores = 1


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A network in ONNX Runtime, on the CPU.

    Attributes:
        session: The ``onnxruntime.InferenceSession``; each call computes on one core, and calls may overlap.
        inputs: Its inputs, of `INPUTS`.
        where: Its file.
        sha256: The hash at the end of the file.
    """

    session: Any
    inputs: tuple[str, ...]
    where: str
    sha256: str

    def __getstate__(self) -> dict[str, object]:
        """For pickle and copy: the file's bytes in place of the session, which cannot be pickled.

        Raises:
            RunError: The file has changed.
        """
        path = Path(self.where)
        data = _bytes_of(path)
        if _checked(data, path)[SHA256] != self.sha256:
            raise RunError("the judge's file has changed", where=self.where, next="load it again", code="E-RUN-FILE")
        return {**vars(self), "session": data}

    def __setstate__(self, state: dict[str, Any]) -> None:
        session = _opened(state["session"])
        self.__dict__.update(state, session=session)

    def scorer(self, cores: int) -> Scorer:
        """A `Scorer` of ``cores`` batches at once."""
        return Scorer(self.score, lambda: getattr(_thread, "cores", cores), _on_one_core)

    def score(self, inputs: Padded) -> Logits:
        """Logits of one padded batch, float32, shape (B, labels).

        Raises:
            RunError: ONNX Runtime cannot compute it: memory ran out, or the file is malformed.
        """
        # Single sentences have no token types; as in Transformers, they are 0 then.
        ids = inputs["input_ids"]
        arrays = {name: inputs[name] if name in inputs else np.zeros_like(ids) for name in self.inputs}
        try:
            found: Logits = self.session.run([LOGITS], arrays)[0]
            if len(found) != len(inputs["input_ids"]):
                raise ValueError(f"{len(found)} rows of output")
            return found
        except Exception as error:  # ONNX Runtime's own, one class for each of its codes
            raise RunError(
                "ONNX Runtime cannot compute the logits of a batch",
                where=self.where,
                found=f"{' × '.join(map(str, inputs['input_ids'].shape))} tokens",
                cause=str(error).split("\n")[0][:300],
                code="E-RUN-COMPUTE",
            ) from error


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """The content of a judge's ONNX file.

    Attributes:
        model: The network.
        tokenizer: Its tokenizer.
        judge: The content of ``judge.json``, and the precision.
        trained_on: Fingerprints of train, uint64; None if unknown.
    """

    model: OnnxModel
    tokenizer: Tokenizer
    judge: ExportedJudgeFile
    trained_on: npt.NDArray[np.uint64] | None


def seal(network: bytes, judge: str, tokenizer: str, trained_on: npt.NDArray[np.uint64] | None) -> bytes:
    """A judge's ONNX file: the network's bytes, the metadata (``judge``: `exported_judge_text`), the sha256 of both.

    Protocol buffer messages are merged by concatenation.
    """
    texts = {ABOUT: judge, TOKENIZER: tokenizer}
    if trained_on is not None:
        texts[TRAINED_ON] = base64.b64encode(trained_on.astype("<u8").tobytes()).decode()
    content = network + _metadata(texts)
    return content + _metadata({SHA256: hashlib.sha256(content).hexdigest()})


def read_onnx(path: Path) -> OnnxFile:
    """A judge from an untrusted ONNX file.

    Raises:
        UsageError: ONNX Runtime is not installed.
        RunError: The file is missing or damaged, has no judge, or could read other files or loop.
        EncoderError: Its tokenizer cannot be read.
    """
    check_installed("onnx", "onnxruntime")
    data = _bytes_of(path)
    texts = _checked(data, path)
    judge = parse_exported_judge(texts[ABOUT], path)
    tokenizer = parse_tokenizer(texts.get(TOKENIZER, ""), judge.to_dict(), str(path))
    trained_on = _fingerprints_of(texts[TRAINED_ON], path) if TRAINED_ON in texts else None
    model = _session(data, path, texts[SHA256], labels=len(judge.labels))
    return OnnxFile(model, tokenizer, judge, trained_on)


def _metadata(texts: dict[str, str]) -> bytes:
    from onnx import ModelProto, StringStringEntryProto

    entries = [StringStringEntryProto(key=key, value=value) for key, value in texts.items()]
    return bytes(ModelProto(metadata_props=entries).SerializeToString())


def _bytes_of(path: Path) -> bytes:
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "no such file"
            raise RunError(
                f"{path} cannot be opened",
                expected=EXPECTED,
                found=found,
                next="acceptor export RUN -o FILE",
                code="E-RUN-MISSING",
            )
        with path.open("rb") as stream:
            large = os.fstat(stream.fileno()).st_size > MAX_BYTES
            data = b"" if large else stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise RunError(f"{path} cannot be read", expected=EXPECTED, cause=error.strerror, code="E-RUN-FILE") from error
    if large or len(data) > MAX_BYTES:
        limit = f"at most {MAX_BYTES:,} bytes"
        raise RunError("the ONNX file is too large", where=str(path), expected=limit, code="E-RUN-FILE")
    return data


def _checked(data: bytes, path: Path) -> dict[str, str]:
    """The metadata of a file that is whole, has a judge, and refers to no other file."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise unusable_export(path, f"not an ONNX model: {error}") from error
    texts = {entry.key: entry.value for entry in proto.metadata_props}
    if len(texts) < len(proto.metadata_props):
        raise unusable_export(path, "its metadata have a key twice")
    if not all(isinstance(text, str) for pair in texts.items() for text in pair):  # bytes where they are not UTF-8
        raise unusable_export(path, "its metadata are not text")
    if ABOUT not in texts or SHA256 not in texts:
        raise RunError(
            "this ONNX file has no judge",
            where=str(path),
            expected=EXPECTED,
            found=f"a model by {proto.producer_name or 'an unknown program'}, without labels, tokenizer and decision",
            cause="it was made by another program, which keeps them elsewhere",
            next="export the run that it came from: acceptor export RUN -o FILE",
            code="E-RUN-FILE",
        )
    body = len(data) - len(_metadata({SHA256: texts[SHA256]}))
    if hashlib.sha256(data[:body]).hexdigest() != texts[SHA256]:
        raise unusable_export(path, "its sha256 is not the one that was written")
    refused = next(_refused_parts(proto), None)
    if refused:
        raise RunError(
            "this ONNX file has parts that no judge needs",
            where=f"{path}: {refused}",
            expected="operators of BERT-like networks, all weights within the file",
            cause="it was not written by `acceptor export`; such parts may read other files, or never end",
            code="E-RUN-FILE",
        )
    return texts


def _refused_parts(proto: Any) -> Iterator[str]:
    """Refused parts: weights in other files, operators not in `OPERATORS`, functions, subgraphs."""
    if proto.functions:
        yield f"function {proto.functions[0].name}"
    graph = proto.graph
    if graph.sparse_initializer:
        yield "sparse weights"
    tensors = [*graph.initializer]
    for node in graph.node:
        if node.domain or node.op_type not in OPERATORS:
            yield f"operator {node.domain}::{node.op_type}"
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                yield f"a subgraph in operator {node.op_type}"
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                yield f"sparse weights in operator {node.op_type}"
            tensors += [attribute.t] if attribute.HasField("t") else []
            tensors += attribute.tensors
    for tensor in tensors:
        if tensor.external_data or tensor.data_location:
            yield f"tensor {tensor.name[:60]!r} is in another file"


def _fingerprints_of(text: str, path: Path) -> npt.NDArray[np.uint64]:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype="<u8").astype(np.uint64)
    except ValueError as error:
        raise unusable_export(path, f"the fingerprints of train: {error}") from error


def _opened(network: bytes) -> Any:
    """A file's bytes in ONNX Runtime: it would read the file again, which may have changed since it was checked."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # from 1.29 on it sends telemetry, unless this is set before
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # `Scorer` gives each core a batch
    options.log_severity_level = 4  # errors are raised as well
    # Its fallback would try the same again, and print to stdout.
    session = InferenceSession(network, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    session._model_bytes = None  # hundreds of megabytes, which it keeps for other providers
    return session


def _session(data: bytes, path: Path, sha256: str, *, labels: int) -> OnnxModel:
    """The network of a file in ONNX Runtime, after a trial call."""
    try:
        session = _opened(data)
        names = tuple(given.name for given in session.get_inputs())
        outputs = [given.name for given in session.get_outputs()]
    except Exception as error:  # ONNX Runtime's own, one class for each of its codes; names that are not UTF-8
        raise unusable_export(path, str(error).split("\n")[0][:300]) from error
    if not {"input_ids", "attention_mask"} <= set(names) <= set(INPUTS) or LOGITS not in outputs:
        raise unusable_export(path, f"it takes {', '.join(names)} and gives {', '.join(outputs)}")
    model = OnnxModel(session, names, str(path.absolute()), sha256)
    found = model.score({"input_ids": np.zeros((2, 3), np.int64), "attention_mask": np.ones((2, 3), np.int64)})
    if found.shape != (2, labels) or found.dtype != np.float32:
        raise unusable_export(path, f"it gives {found.dtype} of shape {found.shape} for 2 inputs and {labels} labels")
    return model
