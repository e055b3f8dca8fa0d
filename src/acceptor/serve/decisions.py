"""The operation ``/v1/decisions`` in the format of OpenAI's decision models.

Such a model answers questions about an input. A judge was trained for one question, so it answers that one, with
calibrated probabilities, and refuses all others: it never guesses. Its question is ``--question``, or else made of its
labels: "The sentence is acceptable." (``predicate``, ``choice``), or "Which label fits?" for other labels (``choice``).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request

from acceptor.data.labels import positive_label
from acceptor.errors import RequestError
from acceptor.judging.judge import PAIRS
from acceptor.serve.classify import OpenAiError, openai_error
from acceptor.serve.operation import Lenient, Listed, Operation
from acceptor.serve.service import Served, Service
from acceptor.serve.v1 import finite, judged_by
from acceptor.text import Json

QUESTIONS = 400


class TextPart(Lenient):
    """A part of a message, or of a question."""

    type: Literal["input_text"]
    text: str


class Message(Lenient):
    """A message of the user."""

    role: Literal["user"]
    content: str | Listed[TextPart]


class Option(Lenient):
    """A value to choose."""

    value: str | bool


class Level(Lenient):
    """A level of a score."""

    label: str


class Question(Lenient):
    """A question about the input."""

    type: Literal["predicate", "choice", "score"]
    instructions: str | Listed[TextPart]
    name: str | None = None
    choices: Annotated[Listed[Option] | None, Field(description="for a choice: the judge's labels", max_length=255)] = (
        None
    )
    levels: Annotated[Listed[Level] | None, Field(description="for a score, which no judge answers")] = None


class DecisionsBody(Lenient):
    """An input, and questions about it."""

    model: Annotated[str, Field(description="the name of a judge")]
    input: Annotated[
        str | Annotated[Listed[Message], Field(min_length=1, max_length=1)],
        Field(description="a sentence; or one message of the user with it, or with a pair's texts as two parts"),
    ]
    questions: Annotated[Listed[Question], Field(min_length=1, max_length=QUESTIONS)]


class DecisionsContent(Lenient):
    """The answers in the order of the questions."""

    answers: list[Json]
    model: str
    usage: Json


async def decide(service: Service, request: Request, body: DecisionsBody) -> Json:
    """The judge's answer to its own question; a refusal of any other."""
    one = service.named(body.model)
    texts = _texts_of(body.input)
    if len(texts) != (2 if one.judge.inputs == PAIRS else 1):
        raise RequestError(
            "the input is not what this judge was trained on",
            status=400,
            expected="two texts as two parts of one message" if one.judge.inputs == PAIRS else "one text",
            found=f"{len(texts)} texts",
            code="E-REQUEST-FIELD",
        )
    judged = finite(await judged_by(one, texts[:1], texts[1:] or None))
    (probabilities,) = one.judge.decision.probabilities(judged.logits).tolist()
    verdict = one.judge.labels[int(one.judge.decision.label_ids(judged.logits)[0])]
    own = {_folded(question) for question in questions_of(one, service.settings.question)}
    return {
        "answers": [_answer(one, question, own, verdict, probabilities) for question in body.questions],
        "model": one.name,
        "usage": {
            "input_tokens": judged.tokens,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": judged.tokens,
        },
    }


def _texts_of(given: str | list[Message]) -> list[str]:
    content = given if isinstance(given, str) else given[0].content
    return [content] if isinstance(content, str) else [part.text for part in content]


def questions_of(one: Served, question: str | None) -> list[str]:
    """The forms of the one question that a judge was trained for."""
    if question is not None:
        return [question]
    if len(one.judge.labels) == 2:
        label = one.judge.labels[positive_label(one.judge.labels)]
        return [f"The sentence is {label}.", f"Is the sentence {label}?"]
    return ["Which label fits?"]


def _folded(text: str) -> str:
    """A question without what does not change it: case, blanks, the mark at its end."""
    return re.sub(r"\s+", " ", text).strip().rstrip(".?").casefold()


def _answer(one: Served, question: Question, own: set[str], verdict: str, probabilities: list[float]) -> Json:
    asked = question.instructions
    asked = asked if isinstance(asked, str) else " ".join(part.text for part in asked)
    by_label = dict(zip(one.judge.labels, probabilities, strict=True))
    if _folded(asked) in own:
        if question.type == "predicate" and len(by_label) == 2:
            label = one.judge.labels[positive_label(one.judge.labels)]
            return {"type": "predicate", "name": question.name, "probability": by_label[label]}
        values = [option.value for option in question.choices or ()]
        if question.type == "choice" and len(values) == len(by_label) and set(values) == set(by_label):
            count = len(by_label)
            return {
                "type": "choice",
                "name": question.name,
                "choice": verdict,
                # 0 for a guess, 1 for certainty; with a threshold the verdict may be the less probable label
                "confidence": max(0.0, (by_label[verdict] - 1 / count) / (1 - 1 / count)),
                "probabilities": [{"value": value, "probability": by_label[str(value)]} for value in values],
            }
    return {"type": "refusal", "name": question.name}


OPERATIONS = (
    Operation(
        "POST",
        "/v1/decisions",
        decide,
        "OpenAI's decisions: the judge's own question; a refusal of any other",
        DecisionsBody,
        DecisionsContent,
        openai_error,
        OpenAiError,
    ),
)
