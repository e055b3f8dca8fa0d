"""The server's own operations, under ``/v1``: judge, explain, compare, and what is served."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from starlette.requests import Request

from acceptor.data.labels import good_label
from acceptor.errors import RequestError, UsageError
from acceptor.evaluation.metrics import log_odds
from acceptor.evaluation.words import Explanation
from acceptor.judging.description import described
from acceptor.judging.judge import Judge
from acceptor.serve import metrics, tracing
from acceptor.serve.batcher import RequestLogits
from acceptor.serve.limits import EXPLAINED, SENTENCES, check_sentences
from acceptor.serve.operation import ErrorDetails, Listed, Operation, Strict
from acceptor.serve.service import Served, Service
from acceptor.text import Json

Sentence = Annotated[str, Field(description="at most 10,000 characters", examples=["The book was wrote."])]
Model = Annotated[str | None, Field(description="the name of a judge; by default the first one")]
Version = Annotated[str, Field(description="the sha256 of the judge's files; another one after a reload")]


class JudgeBody(Strict):
    """Sentences to judge."""

    sentences: Annotated[Listed[Sentence], Field(description=f"1 to {SENTENCES:,}")]
    seconds: Annotated[Listed[Sentence] | None, Field(description="the second sentences, for a judge of pairs")] = None
    all_scores: Annotated[bool, Field(description="also each label's probability and logit")] = False
    model: Model = None


class OneVerdict(Strict):
    """The verdict on one sentence."""

    label: str
    probability: Annotated[float, Field(description="of the label, in [0, 1]")]
    margin: Annotated[float, Field(description="the distance to the next label, in logits, ≥ 0")]
    truncated: Annotated[bool, Field(description="the sentence was longer than the judge's longest input, and was cut")]
    unknown: Annotated[bool, Field(description="a part of it is not in the judge's vocabulary")]
    probabilities: Annotated[list[float] | None, Field(description="of all labels, in their order")] = None
    logits: list[float] | None = None


class FailedVerdict(Strict):
    """A sentence that could not be judged; the others were."""

    error: ErrorDetails


class JudgeContent(Strict):
    """Verdicts in the order of the sentences."""

    model: str
    version: Version
    labels: list[str]
    verdicts: list[OneVerdict | FailedVerdict]


class ExplainBody(Strict):
    """Sentences whose words are to be weighed."""

    sentences: Annotated[Listed[Sentence], Field(description=f"1 to {EXPLAINED}")]
    model: Model = None


class OneExplanation(Strict):
    """A verdict, and what each word contributes to its margin, in nats: above 0 it supports the verdict."""

    sentence: str
    words: list[str]
    weights: list[float]
    label: str
    probability: float
    margin: float
    baseline: Annotated[float, Field(description="the margin with all words masked")]
    truncated: Annotated[bool, Field(description="as of /v1/judge; the words are those of the beginning")]


class ExplainContent(Strict):
    """Explanations in the order of the sentences."""

    model: str
    version: Version
    explanations: list[OneExplanation]


class CompareBody(Strict):
    """Two sentences."""

    first: Sentence
    second: Sentence
    model: Model = None


class CompareContent(Strict):
    """Which of two sentences is better, and by how much."""

    model: str
    version: Version
    label: Annotated[str, Field(description="the label that means acceptable")]
    better: Literal["first", "second", "equal"]
    difference: Annotated[float, Field(description="log-odds of that label, of the first less of the second, in nats")]
    first: OneVerdict
    second: OneVerdict


class OneModel(Strict):
    """A judge."""

    name: str
    labels: list[str]
    positive: Annotated[str, Field(description="the label that means acceptable, or else the last one")]
    acceptable: Annotated[
        bool, Field(description="whether its name tells that it means acceptable; /v1/compare needs it")
    ]
    inputs: Literal["sentences", "pairs"] | None
    threshold: float | None
    temperature: float
    max_length: int
    encoder: str
    precision: str
    version: Version


class ModelsContent(Strict):
    """All judges; the first one answers requests that name none."""

    models: list[OneModel]


async def judge(service: Service, request: Request, body: JudgeBody) -> Json:
    """Verdicts on sentences."""
    one = service.named(body.model)
    judged = await judged_by(one, body.sentences, body.seconds)
    verdicts = verdicts_of(one.judge, judged, all_scores=body.all_scores)
    return {"model": one.name, "version": one.version, "labels": list(one.judge.labels), "verdicts": verdicts}


async def judged_by(one: Served, sentences: list[str], seconds: list[str] | None = None) -> RequestLogits:
    """What a judge computes for the inputs of a request, counted.

    Raises:
        RequestError: Too many inputs, or too long ones; the seconds differ in number; the queue is full.
        DataError: As `Judge.encode`.
    """
    check_sentences(sentences, seconds)
    judged = await one.batcher.logits(sentences, seconds)
    _count(one, sentences=len(sentences), tokens=judged.tokens)
    tracing.record(one.name, waited=judged.waited, computed=judged.computed, tokens=judged.tokens)
    return judged


def _count(one: Served, *, sentences: int, tokens: int) -> None:
    with metrics.counting():
        metrics.SENTENCES.labels(one.name).inc(sentences)
        metrics.TOKENS.labels(one.name).inc(tokens)


def verdicts_of(judge: Judge, judged: RequestLogits, *, all_scores: bool = False) -> list[Json]:
    """The verdicts as JSON; an error for each input that could not be computed."""
    fine = np.asarray(np.isfinite(judged.logits).all(axis=1))
    logits = np.where(fine[:, None], judged.logits, 0)
    ids, probabilities = judge.decision.label_ids(logits), judge.decision.probabilities(logits)
    rows = zip(
        [judge.labels[label] for label in ids],
        probabilities[np.arange(len(ids)), ids].tolist(),
        judge.decision.margins(logits).tolist(),
        judged.cut.tolist(),
        judged.unknown.tolist(),
        strict=True,
    )
    keys = ("label", "probability", "margin", "truncated", "unknown")
    verdicts: list[Json] = [dict(zip(keys, row, strict=True)) for row in rows]
    if all_scores:
        for verdict, each, scores in zip(verdicts, probabilities.tolist(), logits.tolist(), strict=True):
            verdict |= {"probabilities": each, "logits": scores}
    for row in np.flatnonzero(~fine):
        message = "the judge computes no finite number for this input"
        verdicts[row] = {"error": {"code": "E-RUN-NAN", "message": message}}
    return verdicts


def finite(judged: RequestLogits) -> RequestLogits:
    """The same, if all inputs could be computed.

    Raises:
        RequestError: One could not, in a format that has no place for the error of one input.
    """
    if not np.isfinite(judged.logits).all():
        raise RequestError("the judge computes no finite number for an input", status=500, code="E-REQUEST-FAILED")
    return judged


async def explanations(service: Service, request: Request, body: ExplainBody) -> Json:
    """The weights of the words of sentences, by occlusion."""
    one = service.named(body.model)
    check_sentences(body.sentences, most=EXPLAINED)
    found, tokens = await one.batcher.explain(body.sentences)
    _count(one, sentences=len(found), tokens=tokens)
    return {"model": one.name, "version": one.version, "explanations": [_explanation(each) for each in found]}


def _explanation(found: Explanation) -> Json:
    return {
        "sentence": found.sentence,
        "words": list(found.words),
        "weights": list(found.weights),
        "label": found.verdict.label,
        "probability": found.verdict.probability,
        "margin": found.margin,
        "baseline": found.baseline,
        "truncated": found.verdict.truncated,
    }


async def compare(service: Service, request: Request, body: CompareBody) -> Json:
    """Which of two sentences is better, by the log-odds of the label that means acceptable."""
    one = service.named(body.model)
    label = _good_label(one.judge)
    judged = finite(await judged_by(one, [body.first, body.second]))
    first, second = log_odds(judged.logits, label).tolist()
    verdicts = verdicts_of(one.judge, judged)
    return {
        "model": one.name,
        "version": one.version,
        "label": one.judge.labels[label],
        "better": "first" if first > second else "second" if second > first else "equal",
        "difference": first - second,
        "first": verdicts[0],
        "second": verdicts[1],
    }


def _good_label(judge: Judge) -> int:
    """The id of the label that means acceptable.

    Raises:
        RequestError: The names of the labels do not tell; neither sentence is better.
    """
    try:
        return good_label(judge.labels)
    except UsageError as error:
        refused = RequestError(error.problem, status=422, code=error.code)
        for name in ("expected", "found"):
            refused.add(name, error.details[name])
        refused.add("next", "compare the probabilities of /v1/judge with all_scores: true")
        raise refused from None


async def models(service: Service, request: Request, body: None) -> Json:
    """All judges of the server."""
    return {"models": [_about(one) for one in service.served.values()]}


def _about(one: Served) -> Json:
    return {**described(one.judge, one.name, one.judge.runtime.precision), "version": one.version}


OPERATIONS = (
    Operation("POST", "/v1/judge", judge, "Verdicts on sentences", JudgeBody, JudgeContent),
    Operation("POST", "/v1/explain", explanations, "The weight of each word", ExplainBody, ExplainContent),
    Operation("POST", "/v1/compare", compare, "Which of two sentences is better", CompareBody, CompareContent),
    Operation("GET", "/v1/models", models, "The judges of this server", None, ModelsContent),
)
