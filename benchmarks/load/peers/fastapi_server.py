"""The judge in a FastAPI application, one request at a time: `python fastapi_server.py RUN 8000`."""

from __future__ import annotations

import sys
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

import acceptor


class Request(BaseModel):
    """The body."""

    sentences: list[str]


app, judge, lock = FastAPI(), acceptor.load(sys.argv[1]), threading.Lock()


@app.post("/judge")
def judge_sentences(request: Request) -> dict[str, Any]:
    """The verdicts on the sentences of a request."""
    with lock:
        verdicts = judge(request.sentences)
    return {"verdicts": [{"label": one.label, "probability": one.probability} for one in verdicts]}


@app.get("/ready")
def ready() -> dict[str, Any]:
    """The server answers."""
    return {}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
