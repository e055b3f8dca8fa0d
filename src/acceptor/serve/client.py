"""`Client`: the verdicts of a server, as those of a judge in this process. `AsyncClient` is the same for asyncio."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acceptor.data.frames import Frame, annotated
from acceptor.data.python_inputs import as_texts
from acceptor.errors import RequestError
from acceptor.evaluation.words import Explanation
from acceptor.judging.verdicts import Verdict
from acceptor.model.coverage import warn_of_truncated
from acceptor.serve.connection import AsyncConnection, Connection
from acceptor.serve.exchange import Server, Steps, as_body, exchange, server_of, unreadable
from acceptor.text import Json

SENTENCES, BYTES = 256, 900_000  # of one request; the server has larger limits
TIMEOUT = 60.0

Part = tuple[int, list[str], list[str] | None]
"""The sentences of one request, and the position of the first of them."""

Shape = TypeVar("Shape", bound=BaseModel)


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class _Error(_Answer):
    code: str
    message: str


class _Row(_Answer):
    """One verdict, or the error of one sentence."""

    label: str = ""
    probability: float = 0.0
    margin: float = 0.0
    probabilities: list[float] = []
    logits: list[float] = []
    unknown: bool = False
    truncated: bool = False
    error: _Error | None = None


class _Rows(_Answer):
    labels: list[str]
    verdicts: list[_Row]


class _Weights(_Answer):
    words: list[str]
    weights: list[float]
    margin: float
    baseline: float | None = None


class _AllWeights(_Answer):
    explanations: list[_Weights]


class _Compared(_Answer):
    label: str
    better: str
    difference: float


class _Models(_Answer):
    models: Annotated[list[Json], Field(min_length=1)]


class _Model(_Answer):
    name: str
    labels: list[str]


class _Requests:
    """The requests of both clients, as generators that a connection runs."""

    def __init__(
        self, url: str, *, api_key: str | None = None, model: str | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._server, self._model = server_of(url, api_key, timeout), model

    def __repr__(self) -> str:
        named = f", model={self._model!r}" if self._model else ""
        return f"{type(self).__name__}({self._server.url}{named})"

    def _rows(self, sentences: list[str], seconds: list[str] | None) -> Steps[_Rows]:
        """The server's verdicts on all sentences, asked in several requests."""
        labels: list[str] = []
        verdicts: list[_Row] = []
        for part in _parts(sentences, seconds):
            start, some, others = part
            asked = self._named({"sentences": some, "all_scores": True})
            answer = yield from self._part(part, "/v1/judge", asked if others is None else asked | {"seconds": others})
            rows = _checked_rows(_as(_Rows, answer, self._server.url), start, len(some), self._server)
            if labels and rows.labels != labels:
                unreadable(self._server.url, ", ".join(labels), f"then the labels {', '.join(rows.labels)}")
            labels = rows.labels
            verdicts += rows.verdicts
        return _Rows.model_construct(labels=labels, verdicts=verdicts)

    def _part(self, part: Part, path: str, content: Json) -> Steps[Any]:
        """The answer on one part of the sentences; an error says which part that was."""
        try:
            return (yield from exchange(self._server, "POST", path, content))
        except RequestError as error:
            start, last = part[0], part[0] + len(part[1]) - 1
            error.positions = [start + at for at in error.positions]
            if start:
                which = f"sentences {start} to {last}" if last > start else f"sentence {last}"
                # The server counts from the first of its part.
                error.problem = re.sub(r"(?<=where position )\d+", lambda at: str(start + int(at[0])), error.problem)
                error.add("where", f"{error.details['where']}, {which} of the list")
            raise

    def _verdicts(self, sentences: Any, seconds: Any) -> Steps[list[Verdict]]:
        rows = yield from self._rows(*as_texts(sentences, seconds))
        return [_verdict(row) for row in rows.verdicts]

    def _explanations(self, sentences: Any) -> Steps[list[Explanation]]:
        texts = as_texts(sentences)[0]
        verdicts = yield from self._verdicts(texts, None)
        weights: list[_Weights] = []
        for index, text in enumerate(texts):  # one a request: each is judged many times, which takes long
            answer = yield from self._part((index, [text], None), "/v1/explain", self._named({"sentences": [text]}))
            found = _as(_AllWeights, answer, self._server.url).explanations
            if len(found) != 1 or len(found[0].words) != len(found[0].weights):
                unreadable(self._server.url, "one explanation", f"{len(found)}")
            weights += found
        return [
            Explanation(
                text, tuple(one.words), tuple(one.weights), verdict, "occlusion", one.margin, one.baseline, None
            )
            for text, one, verdict in zip(texts, weights, verdicts, strict=True)
        ]

    def _comparison(self, first: str, second: str) -> Steps[Json]:
        as_texts([first, second])
        asked = self._named({"first": first, "second": second})
        answer = yield from exchange(self._server, "POST", "/v1/compare", asked)
        return _as(_Compared, answer, self._server.url).model_dump()

    def _models(self) -> Steps[list[Json]]:
        answer = yield from exchange(self._server, "GET", "/v1/models", retry=False)
        return _as(_Models, answer, self._server.url).models

    def _labels(self) -> Steps[list[str]]:
        models = yield from self._models()
        labels_of = {one.name: one.labels for one in (_as(_Model, each, self._server.url) for each in models)}
        name = self._model or next(iter(labels_of))
        if name not in labels_of:
            raise RequestError(
                f"there is no judge called {name!r}",
                status=404,
                where=self._server.url,
                expected=", ".join(labels_of),
                code="E-REQUEST-MODEL",
            )
        return labels_of[name]

    def _is_ready(self) -> Steps[bool]:
        try:
            yield from exchange(self._server, "GET", "/health/ready", retry=False)
        except RequestError as error:
            if error.retry_after is None:
                raise
            return False
        return True

    def _named(self, content: Json) -> Json:
        return content | ({"model": self._model} if self._model else {})


class Client(_Requests):
    """A judge behind HTTP: a server that `acceptor serve` has started.

    A request that finds the server busy, about to stop or gone is sent again, until it has taken ``timeout`` seconds.
    A long list goes in several requests. Several threads may use one client. ``with`` closes its connections.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, model: str | None = None, timeout: float = TIMEOUT
    ) -> None:
        """Connects when it is first asked.

        Args:
            url: The server's address: ``http://HOST:PORT``.
            api_key: Its key; None for that in the variable ``ACCEPTOR_API_KEY``, if it is set.
            model: The name of one of its judges; None for its first one.
            timeout: Seconds for each request, with all its tries.

        Raises:
            UsageError: An argument cannot be used; or httpx is not installed.
        """
        super().__init__(url, api_key=api_key, model=model, timeout=timeout)
        self._connection = Connection(self._server)

    def __call__(self, sentences: Any, seconds: Any = None) -> list[Verdict]:
        """One verdict for every sentence (or pair), in order: what `Judge` gives.

        Raises:
            RequestError: The server refuses, or does not answer in time.
            DataError: As `Judge`.
        """
        return self._connection.run(self._verdicts(sentences, seconds))

    def annotate(self, frame: Frame, *, columns: Mapping[str, str] | None = None, all_scores: bool = False) -> Frame:
        """A copy of a pandas or polars data frame with the columns that `predict` writes: see `Judge.annotate`.

        Raises:
            RequestError: As calling it.
            DataError: As `Judge.annotate`.
        """

        def verdicts_on(sentences: list[str], seconds: list[str] | None, place: Callable[[int], str]) -> pl.DataFrame:
            rows = self._connection.run(self._rows(*as_texts(sentences, seconds, place)))
            warn_of_truncated(np.array([row.truncated for row in rows.verdicts], dtype=np.bool_), None, place)
            every = _columns(rows) if rows.verdicts else empty
            return every if all_scores else every[:, :3]

        empty = _columns(_Rows(labels=self._connection.run(self._labels()), verdicts=[]))
        return annotated(frame, columns or {}, empty.columns, verdicts_on)

    def explain(self, sentences: Any) -> list[Explanation]:
        """What each word contributes to the verdicts, by occlusion: what `acceptor.explain` gives.

        Raises:
            RequestError: As calling it.
            DataError: As `Judge`.
        """
        return self._connection.run(self._explanations(sentences))

    def compare(self, first: str, second: str) -> Json:
        """Which of two sentences is better.

        Returns:
            ``better`` is ``first``, ``second`` or ``equal``; ``difference`` is that of the log-odds of ``label``, of
            the first less of the second, in nats.

        Raises:
            RequestError: As calling it.
            DataError: As `Judge`.
        """
        return self._connection.run(self._comparison(first, second))

    def models(self) -> list[Json]:
        """The judges of the server, each with ``name``, ``labels``, ``inputs`` and more. It is asked once.

        Raises:
            RequestError: It refuses, or does not answer.
        """
        return self._connection.run(self._models())

    def ready(self) -> bool:
        """True if the server answers requests now. It is asked once.

        Raises:
            RequestError: It is no such server, or TLS does not work.
        """
        return self._connection.run(self._is_ready())

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Requests):
    """`Client` for asyncio: ``await client(sentences)``. ``async with`` closes its connections."""

    def __init__(
        self, url: str, *, api_key: str | None = None, model: str | None = None, timeout: float = TIMEOUT
    ) -> None:
        """As `Client`."""
        super().__init__(url, api_key=api_key, model=model, timeout=timeout)
        self._connection = AsyncConnection(self._server)

    async def __call__(self, sentences: Any, seconds: Any = None) -> list[Verdict]:
        """As `Client`."""
        return await self._connection.run(self._verdicts(sentences, seconds))

    async def explain(self, sentences: Any) -> list[Explanation]:
        """As `Client.explain`."""
        return await self._connection.run(self._explanations(sentences))

    async def compare(self, first: str, second: str) -> Json:
        """As `Client.compare`."""
        return await self._connection.run(self._comparison(first, second))

    async def models(self) -> list[Json]:
        """As `Client.models`."""
        return await self._connection.run(self._models())

    async def ready(self) -> bool:
        """As `Client.ready`."""
        return await self._connection.run(self._is_ready())

    async def close(self) -> None:
        """Closes the connections."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _parts(sentences: list[str], seconds: list[str] | None) -> Iterator[Part]:
    """The sentences (or pairs) in parts that fit into one request each; a too long one is a part of its own."""
    start, size = 0, 0
    for row, sentence in enumerate(sentences):
        more = len(as_body([sentence, seconds[row] if seconds else ""]))
        if row - start == SENTENCES or (row > start and size + more > BYTES):
            yield start, sentences[start:row], seconds and seconds[start:row]
            start, size = row, 0
        size += more
    if sentences:
        yield start, sentences[start:], seconds and seconds[start:]


def _as(shape: type[Shape], answer: Any, url: str) -> Shape:
    """An answer in its known shape.

    Raises:
        RequestError: It has another one.
    """
    try:
        return shape.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the answer"
        unreadable(url, f"{place}: {first['msg']}", str(first["input"]))


def _checked_rows(rows: _Rows, start: int, expected: int, server: Server) -> _Rows:
    """The rows, if there is one for each sentence, with all scores.

    Raises:
        RequestError: There are more or fewer; or a sentence could not be judged.
    """
    if len(rows.verdicts) != expected:
        unreadable(server.url, f"{expected} verdicts", str(len(rows.verdicts)))
    for position, row in enumerate(rows.verdicts, start):
        if row.error:
            where = f"{server.url}, position {position}"
            raise RequestError(row.error.message, status=200, where=where, code=row.error.code)
        if row.label not in rows.labels or not len(row.logits) == len(row.probabilities) == len(rows.labels):
            unreadable(server.url, f"a verdict with the scores of {', '.join(rows.labels)}", repr(row))
    return rows


def _verdict(row: _Row) -> Verdict:
    scores = tuple(row.probabilities), tuple(row.logits)
    return Verdict(row.label, row.probability, *scores, row.unknown, row.truncated)


def _columns(rows: _Rows) -> pl.DataFrame:
    """The columns that `Judge.columns` gives, all scores too, with its types."""
    verdicts = rows.verdicts
    columns = {
        "verdict": pl.Series([row.label for row in verdicts], dtype=pl.String),
        "probability": pl.Series([row.probability for row in verdicts], dtype=pl.Float64),
        "margin": pl.Series([row.margin for row in verdicts], dtype=pl.Float32),
    }
    for name, field, kind in (("p", "probabilities", pl.Float64), ("logit", "logits", pl.Float32)):
        for index, label in enumerate(rows.labels):
            values = [getattr(row, field)[index] for row in verdicts]
            columns[f"{name}({label})"] = pl.Series(values, dtype=kind)
    return pl.DataFrame(columns)
