"""Operations in the format of Text Embeddings Inference: ``/predict`` and ``/info``.

Clients: ``huggingface_hub.InferenceClient.text_classification``, and whatever calls TEI's classifiers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from starlette.requests import Request

from acceptor import __version__
from acceptor.errors import RequestError
from acceptor.serve.batcher import MAX_PASS_TOKENS
from acceptor.serve.limits import SENTENCES
from acceptor.serve.operation import Lenient, Listed, Operation, message_of
from acceptor.serve.service import Served, Service
from acceptor.serve.v1 import finite, judged_by
from acceptor.text import Json

TYPES = {413: "Validation", 422: "Validation", 400: "Validation", 429: "Overloaded", 503: "Unhealthy"}
DTYPES = {"fp32": "float32", "bf16": "bfloat16"}

Pair = Annotated[Listed[str], Field(min_length=1, max_length=2)]


class Parameters(Lenient):
    """What Hugging Face's clients ask for."""

    top_k: Annotated[int | None, Field(ge=1)] = None
    function_to_apply: Literal["softmax", "none"] | None = None


class PredictBody(Lenient):
    """One text, one pair, or a list of them."""

    inputs: Annotated[
        str | Listed[str] | Listed[Pair],
        Field(description='a text, or [text]; or ["first", "second"], a pair; or a list of [text] or of pairs'),
    ]
    raw_scores: Annotated[bool, Field(description="logits in place of probabilities")] = False
    truncate: Annotated[bool | None, Field(description="false: refuse texts that are too long")] = None
    parameters: Annotated[
        Parameters | None, Field(description="as Hugging Face's clients send it; the answer is then a list of lists")
    ] = None


class TeiError(Lenient):
    """The body of an error."""

    error: str
    error_type: str


class Info(Lenient):
    """The first judge."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    model_type: Json
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_client_batch_size: int
    tokenization_workers: int
    version: str


def tei_error(error: RequestError) -> Json:
    """An error as TEI tells it."""
    return {"error": message_of(error), "error_type": TYPES.get(error.status, "Backend")}


async def predict(service: Service, request: Request, body: PredictBody) -> Any:
    """All labels of each text with their scores, the highest first."""
    one = service.named(None)
    sentences, seconds, is_batch = _inputs(body.inputs)
    judged = finite(await judged_by(one, sentences, seconds))
    if body.truncate is False and judged.cut.any():
        raise RequestError(
            "a text is longer than the judge's longest input",
            status=422,
            where=f"position {int(np.flatnonzero(judged.cut)[0])}",
            expected=f"at most {one.judge.max_length} tokens",
            next='shorten it; or "truncate": true',
            code="E-REQUEST-SIZE",
        )
    asked = body.parameters or Parameters()
    is_raw = body.raw_scores or asked.function_to_apply == "none"
    scores = judged.logits if is_raw else one.judge.decision.probabilities(judged.logits)
    predictions = [_sorted(one, row)[: asked.top_k] for row in scores.tolist()]
    return predictions if is_batch or body.parameters else predictions[0]


def _inputs(given: str | list[str] | list[Pair]) -> tuple[list[str], list[str] | None, bool]:
    """The texts, the second texts of pairs, and whether a list was given."""
    if isinstance(given, str):
        return [given], None, False
    if given and all(isinstance(one, str) for one in given):
        if len(given) > 2:
            raise _malformed(f"a list of {len(given)} texts, which is neither a pair nor a batch")
        first, *second = map(str, given)
        return [first], second or None, False
    sizes = {len(one) for one in given}
    if len(sizes) > 1:
        raise _malformed("single texts and pairs in one batch")
    seconds = [one[1] for one in given] if sizes == {2} else None
    return [one[0] for one in given], seconds, True


def _malformed(found: str) -> RequestError:
    return RequestError(
        "the inputs cannot be read",
        status=422,
        expected='"text", ["text"], ["first", "second"], [["text"], …] or [["first", "second"], …]',
        found=found,
        code="E-REQUEST-FIELD",
    )


def _sorted(one: Served, scores: list[float]) -> list[Json]:
    named = [{"score": score, "label": label} for label, score in zip(one.judge.labels, scores, strict=True)]
    return sorted(named, key=lambda each: -float(each["score"]))


async def info(service: Service, request: Request, body: None) -> Json:
    """What TEI's clients ask for: the first judge."""
    one, settings = service.named(None), service.settings
    names = {str(index): label for index, label in enumerate(one.judge.labels)}
    return {
        "model_id": one.name,
        "model_sha": one.version,
        "model_dtype": DTYPES.get(one.judge.runtime.precision, one.judge.runtime.precision),
        "model_type": {"classifier": {"id2label": names, "label2id": {name: int(key) for key, name in names.items()}}},
        "max_concurrent_requests": settings.connections * settings.workers,
        "max_input_length": one.judge.max_length,
        "max_batch_tokens": MAX_PASS_TOKENS,
        "max_client_batch_size": SENTENCES,
        "tokenization_workers": 1,
        "version": __version__,
    }


OPERATIONS = (
    Operation(
        "POST", "/predict", predict, "Text Embeddings Inference: classify", PredictBody, None, tei_error, TeiError
    ),
    Operation("POST", "/", predict, "Hugging Face's clients: classify", PredictBody, None, tei_error, TeiError),
    Operation("GET", "/info", info, "Text Embeddings Inference: what is served", None, Info, tei_error, TeiError),
)
