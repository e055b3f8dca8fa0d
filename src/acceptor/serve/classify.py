"""The operation ``/classify`` in the format of vLLM, which is SGLang's ``/v1/classify``."""

from __future__ import annotations

import time
import uuid
from typing import Annotated

from pydantic import Field
from starlette.requests import Request

from acceptor.errors import RequestError
from acceptor.serve.operation import Lenient, Listed, Operation, message_of
from acceptor.serve.service import Service
from acceptor.serve.v1 import finite, judged_by
from acceptor.text import Json


class ClassifyBody(Lenient):
    """Texts to classify."""

    input: Annotated[str | Listed[str], Field(description="a text, or a list of texts")]
    model: Annotated[str | None, Field(description="the name of a judge; by default the first one")] = None


class Classified(Lenient):
    """The class of one text."""

    index: int
    label: str
    probs: list[float]
    num_classes: int


class Usage(Lenient):
    """Tokens that were computed."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int | None = None


class ClassifyContent(Lenient):
    """The classes of all texts."""

    id: str
    object: str
    created: int
    model: str
    data: list[Classified]
    usage: Usage


class OpenAiErrorDetails(Lenient):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAiError(Lenient):
    """The body of an error."""

    error: OpenAiErrorDetails


def openai_error(error: RequestError) -> Json:
    """An error as OpenAI's clients read it."""
    kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(
        error.status, "invalid_request_error" if error.status < 500 else "server_error"
    )
    return {"error": {"message": message_of(error), "type": kind, "param": None, "code": error.code}}


async def classify(service: Service, request: Request, body: ClassifyBody) -> Json:
    """The class of each text; ``label`` is the judge's verdict, with its threshold."""
    one = service.named(body.model)
    judged = finite(await judged_by(one, [body.input] if isinstance(body.input, str) else body.input))
    labels = one.judge.decision.label_ids(judged.logits).tolist()
    probabilities = one.judge.decision.probabilities(judged.logits).tolist()
    return {
        "id": f"classify-{uuid.uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": one.name,
        "data": [
            {"index": index, "label": one.judge.labels[label], "probs": probs, "num_classes": len(probs)}
            for index, (label, probs) in enumerate(zip(labels, probabilities, strict=True))
        ],
        "usage": {"prompt_tokens": judged.tokens, "total_tokens": judged.tokens, "completion_tokens": 0},
    }


OPERATIONS = tuple(
    Operation("POST", path, classify, f"{whose}: classify", ClassifyBody, ClassifyContent, openai_error, OpenAiError)
    for path, whose in (("/classify", "vLLM"), ("/v1/classify", "SGLang"))
)
