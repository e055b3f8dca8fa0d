"""Operations of the Open Inference Protocol, version 2: ``/v2``. Client: ``tritonclient.http``, KServe's own.

A request has the tensor ``sentences`` of datatype BYTES, shape [N] or [N, 1], and for a judge of pairs ``seconds``. The
texts may also follow the JSON as bytes, which is ``tritonclient``'s default. The answer has ``label`` (BYTES),
``probability`` (FP64) and ``margin`` (FP32) of shape [N], and ``logits`` (FP32) and ``probabilities`` (FP64) of shape
[N, labels]; or only those that the request names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from starlette.requests import Request

from acceptor import __version__
from acceptor.errors import RequestError
from acceptor.judging.judge import PAIRS
from acceptor.serve.limits import Receive, parsed, read_body
from acceptor.serve.operation import Lenient, Listed, Operation, message_of
from acceptor.serve.service import Served, Service
from acceptor.serve.v1 import finite, judged_by
from acceptor.text import Json

PLATFORM = "acceptor"


class Tensor(Lenient):
    """An input."""

    name: str
    shape: Listed[int]
    datatype: str
    data: list[Any] = Field(default_factory=list)
    parameters: Json = Field(default_factory=dict)


class Wanted(Lenient):
    """An output that is asked for."""

    name: str
    parameters: Json = Field(default_factory=dict)


class InferBody(Lenient):
    """Input tensors."""

    inputs: Annotated[Listed[Tensor], Field(min_length=1)]
    outputs: Listed[Wanted] = Field(default_factory=list)
    id: str | None = None
    parameters: Json = Field(default_factory=dict)


class InferContent(Lenient):
    """Output tensors."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


class InferError(Lenient):
    """The body of an error."""

    error: str


def infer_error(error: RequestError) -> Json:
    """An error as the protocol tells it."""
    return {"error": message_of(error)}


async def server(service: Service, request: Request, body: None) -> Json:
    """The server's name and version."""
    return {"name": PLATFORM, "version": __version__, "extensions": []}


async def live(service: Service, request: Request, body: None) -> Json:
    """The process answers."""
    return {"live": True}


async def ready(service: Service, request: Request, body: None) -> Json:
    """Requests are answered."""
    await service.check_ready()
    return {"ready": True}


async def model(service: Service, request: Request, body: None) -> Json:
    """A judge's inputs and outputs."""
    one = _named(service, request)
    names = ["sentences", "seconds"] if one.judge.inputs == PAIRS else ["sentences"]
    labels = len(one.judge.labels)
    shapes = {"label": [-1], "probability": [-1], "margin": [-1], "logits": [-1, labels], "probabilities": [-1, labels]}
    return {
        "name": one.name,
        "versions": [one.version[:12]],
        "platform": PLATFORM,
        "inputs": [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in names],
        "outputs": [{"name": name, "datatype": DATATYPES[name], "shape": shape} for name, shape in shapes.items()],
    }


async def model_ready(service: Service, request: Request, body: None) -> Json:
    """The judge exists, and requests are answered."""
    name = _named(service, request).name
    await service.check_ready()
    return {"name": name, "ready": True}


DATATYPES = {"label": "BYTES", "probability": "FP64", "margin": "FP32", "logits": "FP32", "probabilities": "FP64"}


async def infer(service: Service, request: Request, body: InferBody) -> Json:
    """Verdicts as tensors."""
    one = _named(service, request)
    _check_once([tensor.name for tensor in body.inputs])
    _check_once([output.name for output in body.outputs])
    tensors = {tensor.name: _texts(tensor) for tensor in body.inputs}
    unknown = [*tensors.keys() - {"sentences", "seconds"}, *{out.name for out in body.outputs} - DATATYPES.keys()]
    if unknown or "sentences" not in tensors:
        raise RequestError(
            f"there is no tensor called {unknown[0][:80]!r}" if unknown else "the tensor sentences is missing",
            status=400,
            expected=f"inputs sentences (and seconds for pairs); outputs {', '.join(DATATYPES)}",
            code="E-REQUEST-FIELD",
        )
    judged = finite(await judged_by(one, tensors["sentences"], tensors.get("seconds")))
    decision, labels = one.judge.decision, one.judge.labels
    ids, probabilities = decision.label_ids(judged.logits), decision.probabilities(judged.logits)
    values: Json = {
        "label": [labels[label] for label in ids],
        "probability": probabilities[np.arange(len(ids)), ids],
        "margin": decision.margins(judged.logits),
        "logits": judged.logits,
        "probabilities": probabilities,
    }
    wanted = [out.name for out in body.outputs] or list(DATATYPES)
    answer: Json = {"model_name": one.name, "model_version": one.version[:12]}
    if body.id is not None:
        answer["id"] = body.id
    return answer | {"outputs": [_tensor(name, values[name]) for name in wanted]}


async def read_tensors(headers: Mapping[str, str], receive: Receive) -> Json:
    """The body; texts that follow the JSON as bytes become its data.

    Raises:
        RequestError: As `read_object`; or the bytes are not what the JSON says.
    """
    data = await read_body(headers, receive)
    declared = headers.get("inference-header-content-length")
    if declared is None:
        return parsed(data)
    end = int(declared) if declared.isdecimal() and len(declared) < 10 else len(data) + 1
    body, at = parsed(data[:end]), end
    tensors = body.get("inputs")
    for tensor in tensors if isinstance(tensors, list) and end <= len(data) else ():
        size = _size_of(tensor)
        if size is not None:
            tensor["data"], at = _unpacked(data[at : at + size]), min(at + size, len(data))
    if at != len(data):
        rest = len(data) - at
        raise _bad_bytes(f"{rest} bytes too many" if rest > 0 else f"a header of {declared[:20]} bytes")
    return body


def _size_of(tensor: Any) -> int | None:
    """How many bytes of a tensor follow the JSON."""
    parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    return size if type(size) is int and size >= 0 else None


def _unpacked(data: bytes) -> list[str]:
    """The texts in bytes: each has its length before it, four bytes, the lowest first."""
    texts, at = [], 0
    while at < len(data):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "little")
        if at > len(data):
            raise _bad_bytes("a text that is cut short")
        try:
            texts.append(data[start:at].decode())
        except UnicodeDecodeError as error:
            raise _bad_bytes("a text that is not UTF-8") from error
    return texts


def _bad_bytes(found: str) -> RequestError:
    return RequestError(
        "the bytes after the JSON cannot be read",
        status=400,
        expected="texts in UTF-8, each after its length in four bytes; binary_data_size bytes for each tensor",
        found=found,
        code="E-REQUEST-BODY",
    )


def _named(service: Service, request: Request) -> Served:
    one = service.named(request.path_params["model"])
    version = request.path_params.get("version", one.version[:12])
    if version != one.version[:12]:
        raise RequestError(
            f"there is no version {version[:80]!r} of {one.name}",
            status=404,
            expected=one.version[:12],
            code="E-REQUEST-MODEL",
        )
    return one


def _check_once(names: list[str]) -> None:
    """Refuses a name that is given twice: a body of 2 MB may name an output often enough to fill the memory."""
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise RequestError(
            f"the tensor {repeated[0][:80]!r} is named twice",
            status=400,
            expected="each input and output once",
            code="E-REQUEST-FIELD",
        )


def _texts(tensor: Tensor) -> list[str]:
    """The texts of a tensor of BYTES, in row-major order."""
    count = int(np.prod(tensor.shape, dtype=np.int64)) if all(0 <= size < 1 << 31 for size in tensor.shape) else -1
    flat = [text for row in tensor.data for text in (row if isinstance(row, list) else [row])]
    right = tensor.datatype == "BYTES" and len(tensor.shape) in (1, 2) and all(isinstance(text, str) for text in flat)
    if not right or tensor.shape[1:] not in ([], [1]) or len(flat) != count:
        raise RequestError(
            f"the tensor {tensor.name[:80]!r} cannot be read",
            status=400,
            expected="datatype BYTES, shape [N] or [N, 1], and N texts",
            found=f"datatype {tensor.datatype[:20]}, shape {tensor.shape[:4]}, {len(flat)} elements",
            code="E-REQUEST-FIELD",
        )
    return flat


def _tensor(name: str, values: Any) -> Json:
    shape = [len(values)] if isinstance(values, list) else list(values.shape)
    data = values if isinstance(values, list) else values.ravel().tolist()
    return {"name": name, "datatype": DATATYPES[name], "shape": shape, "data": data}


def _operation(method: str, path: str, answer: Any, summary: str, **more: Any) -> Operation:
    return Operation(
        method, path, answer, f"Open Inference Protocol: {summary}", error_body=infer_error, error=InferError, **more
    )


def _infer(path: str, summary: str) -> Operation:
    return _operation("POST", path, infer, summary, body=InferBody, content=InferContent, read=read_tensors)


OPERATIONS = (
    _operation("GET", "/v2", server, "the server"),
    _operation("GET", "/v2/health/live", live, "the process answers", is_open=True),
    _operation("GET", "/v2/health/ready", ready, "requests are answered", is_open=True),
    _operation("GET", "/v2/models/{model}", model, "a judge"),
    _operation("GET", "/v2/models/{model}/versions/{version}", model, "a judge, by its version"),
    _operation("GET", "/v2/models/{model}/ready", model_ready, "a judge is ready"),
    _operation("GET", "/v2/models/{model}/versions/{version}/ready", model_ready, "a judge is ready, by its version"),
    _infer("/v2/models/{model}/infer", "verdicts"),
    _infer("/v2/models/{model}/versions/{version}/infer", "verdicts, by a judge's version"),
)
