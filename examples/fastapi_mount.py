"""Adds a judge to a FastAPI application: POST /judge with a list of sentences.

    pip install fastapi uvicorn
    python examples/fastapi_mount.py runs/starter
    curl localhost:8000/judge -H 'content-type: application/json' -d '{"sentences": ["The book was wrote."]}'

In an application of yours only `router` is needed: `app.include_router(router(acceptor.load("runs/starter")))`.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, ValidationError

import acceptor

Sentence = Annotated[str, Field(min_length=1, max_length=10_000)]


class Body(BaseModel):
    """The body. Its limits bound the work of one request."""

    sentences: Annotated[list[Sentence], Field(min_length=1, max_length=1_000)]


async def body_of(request: Request) -> Body:
    """The body. FastAPI would quote an invalid one in its answer, and fail if it holds half of a surrogate pair."""
    try:
        return Body.model_validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_input=False, include_context=False)) from error


def router(judge: acceptor.Judge) -> APIRouter:
    """The route of one judge."""
    routes = APIRouter()

    # Not async: FastAPI then calls it in a thread, so other requests are answered meanwhile. A judge is thread-safe.
    @routes.post("/judge")
    def judge_sentences(body: Annotated[Body, Depends(body_of)]) -> list[dict[str, Any]]:
        try:
            verdicts = judge(body.sentences)
        except acceptor.DataError as error:  # a blank sentence, or one without a known token
            raise HTTPException(422, error.to_dict()) from error
        return [{"label": one.label, "probability": one.probability, "unknown": one.unknown} for one in verdicts]

    return routes


if __name__ == "__main__":
    import uvicorn

    app = FastAPI(title="A judge of sentences")
    app.include_router(router(acceptor.load(sys.argv[1])))
    uvicorn.run(app, host="127.0.0.1", port=8000)
