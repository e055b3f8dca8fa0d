"""Servers of any of four kinds as systems of a comparison: their verdicts on the same sentences, and their speed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from acceptor.errors import RequestError, UsageError
from acceptor.evaluation.compare import Comparison, compare_judged
from acceptor.evaluation.judged import Judged, judged_of
from acceptor.evaluation.metrics import check_metric
from acceptor.serve.connection import Connection
from acceptor.serve.exchange import Server, Steps, exchange, server_of, unreadable
from acceptor.text import Json, listed

AT_ONCE = 8  # sentences of a request
TIMEOUT = 60.0  # seconds for a request, with all its tries

KINDS = "tei+http://…, v2+http://…/v2/models/NAME or classify+http://…"

Names = list[tuple[str, frozenset[str] | None]]
"""For each sentence the name of its label; and the names of all labels, where an answer has them."""


@dataclass(frozen=True)
class Speed:
    """How fast a server answered one client that sent one request after another.

    Attributes:
        name: Its address, as it was given.
        kind: ``acceptor``, ``tei``, ``v2`` or ``classify``.
        requests: How many requests of at most 8 sentences were timed, after one that opened the connection.
        p50: The median time of a request, in milliseconds.
        p99: Its 99th percentile.
        sentences_per_second: Sentences divided by the time of all requests.
        cost_per_thousand: Of a thousand sentences at this rate, in the currency of the price; None without a price.
    """

    name: str
    kind: str
    requests: int
    p50: float
    p99: float
    sentences_per_second: float
    cost_per_thousand: float | None

    def __repr__(self) -> str:
        return f"Speed({self.name}: p50 {self.p50:.1f} ms, {self.sentences_per_second:.0f} sentences/s)"

    def to_dict(self) -> dict[str, object]:
        """All fields."""
        return dict(vars(self))


@dataclass(frozen=True)
class Kind:
    """How one kind of server is asked.

    Attributes:
        name: What stands before ``+http://`` to choose it.
        path: The path of the operation.
        body: The body for some sentences, or pairs.
        names: From an answer to the labels' names.
    """

    name: str
    path: str
    body: Callable[[list[str], list[str] | None], Json]
    names: Callable[[Any], Names]


def compare_with_servers(
    base: str,
    others: Sequence[str],
    *,
    data: str | None,
    reading: Mapping[str, Any] | None = None,
    metric: str = "mcc",
    price_per_hour: float | None = None,
) -> tuple[list[Comparison], list[Speed]]:
    """Runs and servers against a baseline that is a run, on the same sentences: see `compare`.

    Args:
        base: The folder of a run, or of seeds. Its labels are those of all.
        others: The folders or addresses to compare with it: ``http://HOST:PORT``, or with the kind of the server
            before it, such as ``tei+http://HOST``.
        data: A file or corpus that all judge.
        reading: As for `compare`.
        metric: As for `compare`.
        price_per_hour: What a server costs in an hour.

    Raises:
        UsageError: The baseline is an address; there are no data; there is no such metric.
        RequestError: A server does not answer, is of no known kind, or has other labels.
        DataError: As `compare`.
        RunError: As `compare`.
    """
    if "://" in base or data is None:
        raise UsageError(
            "a server needs a run and data to be compared with",
            expected="acceptor compare RUN http://HOST:PORT --data FILE",
            code="E-USAGE-CONFLICT",
        )
    check_metric(metric)
    first, *runs = judged_of([base, *(one for one in others if "://" not in one)], data=data, reading=reading)
    left, systems, speeds = iter(runs), [], []
    for one in others:
        if "://" in one:
            judged, speed = judged_by_server(one, first, price_per_hour=price_per_hour)
            systems.append(judged)
            speeds.append(speed)
        else:
            systems.append(next(left))
    return compare_judged(first, systems, metric=metric), speeds


def judged_by_server(address: str, base: Judged, *, price_per_hour: float | None = None) -> tuple[Judged, Speed]:
    """A server's verdicts on the sentences of another system, and its speed.

    Raises:
        UsageError: The address cannot be used; or the sentences are pairs, and it takes none.
        RequestError: It does not answer, is of no known kind, or has other labels.
    """
    named, plus, rest = address.partition("+")
    chosen, url = (named, rest) if plus and "://" not in named else (None, address)
    root, path = _divided(url)
    server = server_of(root, None, TIMEOUT)
    batches = [_texts(base.sentences[start : start + AT_ONCE]) for start in range(0, len(base.sentences), AT_ONCE)]
    ids = {label: index for index, label in enumerate(base.labels)}
    predicted, times = [], []
    connection = Connection(server)
    try:
        kind = connection.run(_kind_of(server, chosen, path, batches[0]))
        connection.run(exchange(server, "POST", kind.path, kind.body(*batches[0])))  # opens the connection
        for sentences, seconds in batches:
            start = time.perf_counter()
            answer = connection.run(exchange(server, "POST", kind.path, kind.body(sentences, seconds)))
            times.append(time.perf_counter() - start)
            names = _names(kind, answer, server.url, len(sentences))
            _check_labels(names, base.labels, address)
            predicted += [ids[name] for name, _ in names]
    finally:
        connection.close()
    judged = Judged(
        address, base.labels, base.sentences, base.gold, np.array([predicted], dtype=np.int64), base.sources
    )
    each = sum(times) / len(predicted)
    return judged, Speed(
        name=address,
        kind=kind.name,
        requests=len(times),
        p50=float(np.quantile(times, 0.5)) * 1000,
        p99=float(np.quantile(times, 0.99)) * 1000,
        sentences_per_second=1 / each,
        cost_per_thousand=None if price_per_hour is None else 1000 * each * price_per_hour / 3600,
    )


def _divided(url: str) -> tuple[str, str]:
    """The address of the server, and the path of an operation, if it has one."""
    found = re.fullmatch(r"(\w+://[^/]*)(/.*)?", url)
    return (found[1], (found[2] or "").rstrip("/")) if found else (url, "")


NOT_SPOKEN = ("E-REQUEST", "E-REQUEST-PATH", "E-REQUEST-ANSWER")  # codes of answers of another kind of server


def _texts(sentences: Iterable[Any]) -> tuple[list[str], list[str] | None]:
    texts = list(sentences)
    if isinstance(texts[0], str):
        return texts, None
    return [first for first, _ in texts], [second for _, second in texts]


def _kind_of(server: Server, chosen: str | None, path: str, sample: tuple[list[str], list[str] | None]) -> Steps[Kind]:
    """The kind of a server: the chosen one, or the first whose operation answers."""
    if chosen is not None:
        if chosen not in (*SIMPLE, "v2"):
            raise UsageError(
                f"there is no kind of server called {chosen[:40]!r}", expected=KINDS, code="E-USAGE-ADDRESS"
            )
        if chosen == "v2":
            return (yield from _tensors(server, path))
        return replace(SIMPLE[chosen], path=path or SIMPLE[chosen].path)
    if path:
        raise UsageError(
            "an address with a path needs the kind of the server before it",
            expected=KINDS,
            found=server.url + path,
            code="E-USAGE-ADDRESS",
        )
    for kind in SIMPLE.values():
        if kind.name == "classify" and (yield from _speaks_tensors(server)):
            raise UsageError(
                "this server has models by name",
                next=f"v2+{server.url}/v2/models/NAME",
                found=f"{server.url}/v2 answers",
                code="E-USAGE-ADDRESS",
            )
        try:
            answer = yield from exchange(server, "POST", kind.path, kind.body(*sample))
            _names(kind, answer, server.url, len(sample[0]))
        except RequestError as error:
            is_acceptors = kind.name == "acceptor" and error.code not in NOT_SPOKEN  # and it refuses the sentences
            if error.status in (0, 401, 403) or error.retry_after is not None or is_acceptors:
                raise
            continue
        return kind
    raise RequestError(
        "the server is of no known kind",
        status=404,
        where=server.url,
        expected=f"an answer at one of {', '.join(kind.path for kind in SIMPLE.values())} or /v2",
        next=f"name its kind and path: {KINDS}",
        code="E-REQUEST-PATH",
    )


def _speaks_tensors(server: Server) -> Steps[bool]:
    try:
        yield from exchange(server, "GET", "/v2", retry=False)
    except RequestError:
        return False
    return True


def _names(kind: Kind, answer: Any, url: str, expected: int) -> Names:
    """The labels in an answer.

    Raises:
        RequestError: They cannot be found.
    """
    try:
        names = kind.names(answer)
        right = len(names) == expected and all(isinstance(name, str) for name, _ in names)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        right = False
    if not right:
        unreadable(url + kind.path, f"the labels of {expected} sentences, in the format of {kind.name}", str(answer))
    return names


def _check_labels(names: Names, labels: tuple[str, ...], address: str) -> None:
    """Refuses names that are not the corpus' labels."""
    for name, everything in names:
        found = everything or {name}
        if not found <= set(labels) or (everything and len(everything) != len(labels)):
            raise RequestError(
                "the server has other labels than the corpus",
                status=200,
                where=address,
                expected=listed(labels),
                found=listed(sorted(found)),
                next="serve a model whose labels have these names",
                code="E-REQUEST-ANSWER",
            )


# ---------------------------------------------------------------------- the kinds


def _judge_body(sentences: list[str], seconds: list[str] | None) -> Json:
    return {"sentences": sentences} | ({} if seconds is None else {"seconds": seconds})


def _judge_names(answer: Any) -> Names:
    return [(verdict["label"], frozenset(answer["labels"])) for verdict in answer["verdicts"]]


def _tei_body(sentences: list[str], seconds: list[str] | None) -> Json:
    rows = [[text] for text in sentences] if seconds is None else list(zip(sentences, seconds, strict=True))
    return {"inputs": rows, "truncate": True}


def _tei_names(answer: Any) -> Names:
    return [
        (max(row, key=lambda one: float(one["score"]))["label"], frozenset(one["label"] for one in row))
        for row in answer
    ]


def _classify_body(sentences: list[str], seconds: list[str] | None) -> Json:
    if seconds is not None:
        raise UsageError("this kind of server takes no pairs", found="classify", code="E-USAGE-PAIRS")
    return {"input": sentences}


def _classify_names(answer: Any) -> Names:
    rows = sorted(answer["data"], key=lambda row: int(row["index"]))
    return [(row["label"], None) for row in rows]


SIMPLE = {
    kind.name: kind
    for kind in (
        Kind("acceptor", "/v1/judge", _judge_body, _judge_names),
        Kind("tei", "/predict", _tei_body, _tei_names),
        Kind("classify", "/classify", _classify_body, _classify_names),
    )
}
"""Text Embeddings Inference, vLLM and Acceptor. The names of tensors must be asked for: `_tensors`."""


def _tensors(server: Server, path: str) -> Steps[Kind]:
    """A model of the Open Inference Protocol: it says which tensors it takes, and which one of texts it gives."""
    about = yield from exchange(server, "GET", path, retry=False)
    try:
        inputs = [one["name"] for one in about["inputs"] if one["datatype"] == "BYTES"]
        outputs = [one["name"] for one in about["outputs"] if one["datatype"] == "BYTES"]
        output = "label" if "label" in outputs else outputs[0]
    except (KeyError, TypeError, IndexError):
        unreadable(server.url + path, "a model with inputs and outputs of datatype BYTES", str(about))

    def body(sentences: list[str], seconds: list[str] | None) -> Json:
        texts = [sentences] if seconds is None else [sentences, seconds]
        if len(texts) != len(inputs):
            unreadable(server.url + path, f"a model of {len(texts)} texts", f"inputs {listed(inputs)}")
        tensors = [
            {"name": name, "datatype": "BYTES", "shape": [len(data)], "data": data}
            for name, data in zip(inputs, texts, strict=True)
        ]
        return {"inputs": tensors, "outputs": [{"name": output}]}

    def names(answer: Any) -> Names:
        [data] = [one["data"] for one in answer["outputs"] if one["name"] == output]
        return [(name, None) for name in data]

    return Kind("v2", f"{path}/infer", body, names)
