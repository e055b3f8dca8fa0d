"""What goes wrong in a server, in this process: files that cannot be read, bodies full of errors, full queues."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch

import acceptor
from acceptor.errors import DataError, RequestError, RunError
from acceptor.judging import load as load_module
from acceptor.judging.judge import Judge
from acceptor.serve import classify, decisions, infer, metrics, server, tei, v1
from acceptor.serve.app import OPERATIONS, _CountOutcomes
from acceptor.serve.batcher import Batcher
from acceptor.serve.infer import read_tensors
from acceptor.serve.operation import validated
from acceptor.serve.server import (
    FILES_BESIDE_CONNECTIONS,
    Judges,
    connections_allowed,
    load_judges,
    make_application,
)
from acceptor.serve.settings import CONNECTIONS, ServeSettings
from acceptor.storage.manifest import MANIFEST, check_manifest
from conftest import raises, wait_for

GOOD = "the cats sleep."
MANY = 300_000


@pytest.fixture(scope="module")
def judge(toy_run):
    return acceptor.load(toy_run.folder, precision="fp32")


# ---------------------------------------------------------------------- a reload


@pytest.mark.parametrize("name", ["x" * 300, "loop"])
def test_a_file_that_cannot_be_read_is_an_error_of_the_run(tmp_path, name):
    """A name that is too long, a link to itself: what an unreadable file is to those who are not root."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / MANIFEST).write_text(json.dumps({"files": {name: "0" * 64}}))
    with raises(RunError, "E-RUN-FILE", problem="cannot be read", where=str(tmp_path)):
        check_manifest(tmp_path)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), torch.OutOfMemoryError("CUDA"), MemoryError()]
)
def test_a_reload_that_fails_in_any_way_leaves_the_old_judges(toy_run, monkeypatch, caplog, error):
    def failing(settings):
        raise error

    judges = Judges(ServeSettings({"toy": str(toy_run.folder)}, device="cpu"), forks=True)
    before = judges.loaded
    monkeypatch.setattr(server, "load_judges", failing)
    with caplog.at_level(logging.ERROR, "acceptor"):
        assert not judges.reload()
    assert judges.loaded is before
    assert [(record.exc_info[1], "the old ones go on" in record.message) for record in caplog.records] == [
        (error, True)
    ]


# ---------------------------------------------------------------------- counters


def test_a_counter_that_fails_fails_no_request(monkeypatch, caplog):
    """As all do whose files were removed while a worker started."""

    class Broken:
        def __getattr__(self, name):
            raise TypeError("'NoneType' object does not support item assignment")

    for name in ("OPEN", "REQUESTS", "DURATION"):
        monkeypatch.setattr(metrics, name, Broken())
    metrics._warn_once.cache_clear()
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message["status"])

    service = SimpleNamespace(closes_connections=False, settings=ServeSettings({"a": "runs/a"}))
    counted = _CountOutcomes(app, service, {})
    for _ in range(2):
        asyncio.run(counted({"type": "http"}, None, send))
    assert sent == [200, 200]
    assert ["cannot count" in record.message for record in caplog.records] == [True]  # and not at every request


# ---------------------------------------------------------------------- bodies full of errors

QUESTION = {"type": "predicate", "instructions": "?"}
FEW = [1] * (MANY // 400)
ASKED = {"model": "toy", "input": "a"}
FULL_OF_ERRORS = {
    "sentences": (v1.JudgeBody, {"sentences": [1] * MANY}),
    "seconds": (v1.JudgeBody, {"sentences": ["a"], "seconds": [1] * MANY}),
    "fields": (v1.JudgeBody, {"sentences": ["a"]} | dict.fromkeys(map(str, range(MANY)), 1)),
    "to explain": (v1.ExplainBody, {"sentences": [None] * MANY}),
    "to compare": (v1.CompareBody, dict.fromkeys(map(str, range(MANY)))),
    "inputs": (tei.PredictBody, {"inputs": [1] * MANY}),
    "pairs": (tei.PredictBody, {"inputs": [["a", 1]] * MANY}),
    "one pair": (tei.PredictBody, {"inputs": [[1] * MANY]}),
    "texts, then others": (tei.PredictBody, {"inputs": ["a", *[1] * MANY]}),
    "to classify": (classify.ClassifyBody, {"input": [1] * MANY}),
    "messages": (decisions.DecisionsBody, {"model": "toy", "input": [1] * MANY, "questions": [QUESTION]}),
    "parts": (
        decisions.DecisionsBody,
        {"model": "toy", "input": [{"role": "user", "content": [1] * MANY}], "questions": [QUESTION]},
    ),
    "questions": (decisions.DecisionsBody, ASKED | {"questions": [1] * MANY}),
    "choices": (decisions.DecisionsBody, ASKED | {"questions": [QUESTION | {"choices": FEW}] * 400}),
    "levels": (decisions.DecisionsBody, ASKED | {"questions": [QUESTION | {"levels": FEW}] * 400}),
    "tensors": (infer.InferBody, {"inputs": [1] * MANY}),
    "a shape": (infer.InferBody, {"inputs": [{"name": "a", "datatype": "BYTES", "shape": ["a"] * MANY}]}),
    "outputs": (infer.InferBody, {"inputs": [], "outputs": [1] * MANY}),
}


@pytest.mark.parametrize("name", FULL_OF_ERRORS)
def test_only_the_first_errors_of_a_body_are_made(name):
    """One for each form that a field may have; more of them would stop all other requests."""
    model, body = FULL_OF_ERRORS[name]
    with raises(RequestError, "E-REQUEST-FIELD") as caught:
        validated(model, body)
    assert caught.value.status == 422
    assert caught.value.__cause__.error_count() <= 4


def lists_in(schema):
    """The lists in a pydantic schema whose elements may be wrong."""
    if isinstance(schema, dict):
        if schema.get("type") == "list" and schema.get("items_schema", {}).get("type", "any") != "any":
            yield schema
        schema = list(schema.values())
    if isinstance(schema, list | tuple):
        for inner in schema:
            yield from lists_in(inner)


def test_every_list_of_a_body_ends_at_its_first_error():
    bodies = {operation.body for operation in OPERATIONS if operation.body}
    found = [one for body in bodies for one in lists_in(body.__pydantic_core_schema__)]
    assert len(found) >= 14
    assert all(one.get("fail_fast") for one in found)


def test_many_tensors_are_read_without_copying_the_rest_for_each(monkeypatch):
    copied = []

    class Counted(bytes):
        def __getitem__(self, key):
            part = super().__getitem__(key)
            if isinstance(key, slice):
                copied.append(len(part))
                return Counted(part)
            return part

    texts = [b"", b"a", "é".encode()] * 300
    binary = [len(text).to_bytes(4, "little") + text for text in texts]
    inputs = [{"name": "x", "parameters": {"binary_data_size": len(one)}} for one in binary]
    head = json.dumps({"inputs": inputs}).encode()
    data = Counted(head + b"".join(binary))

    async def read(headers, receive):
        return data

    monkeypatch.setattr(infer, "read_body", read)
    body = asyncio.run(read_tensors({"inference-header-content-length": str(len(head))}, None))
    assert [one["data"] for one in body["inputs"]] == [[text.decode()] for text in texts]
    assert sum(copied) <= 3 * len(data)


# ---------------------------------------------------------------------- the queue


def in_a_queue(judge, use, **settings):
    """What ``use`` does with a batcher, which is empty again at the end."""

    async def run():
        batcher = Batcher(judge, **{"max_wait": 0.0, "max_tokens": 1000, "timeout": 600.0} | settings)
        try:
            await use(batcher)
            assert (batcher.queued, batcher.waiting) == (0, 0)
        finally:
            batcher.close()

    asyncio.run(run())


def test_nothing_is_tokenized_to_be_explained_while_there_is_no_room(judge, monkeypatch):
    encode, seen = Judge.encode, []
    monkeypatch.setattr(
        Judge, "encode", lambda self, *given, **more: seen.append(given) or encode(self, *given, **more)
    )

    async def use(batcher):
        seen.clear()  # the batcher has measured its speed
        async with batcher._reservations.of(1000):
            with raises(RequestError, "E-REQUEST-BUSY") as caught:
                await batcher.explain(["the cats sleep. " * 600] * 32)
            assert (caught.value.status, seen, batcher.queued) == (429, [], 1000)
        found, _ = await batcher.explain([GOOD])
        assert found[0].sentence == GOOD
        assert seen

    in_a_queue(judge, use, timeout=1.0)


def test_what_was_reserved_to_tokenize_is_given_back_whatever_happens(judge, monkeypatch):
    """The sentence cannot be read; the client leaves; the sentences are too long."""
    reserved = []

    async def waiting(batcher, *given):
        reserved.append(batcher.queued)
        await asyncio.sleep(600)

    async def use(batcher):
        with raises(DataError, "E-DATA-VOCABULARY"):
            await batcher.explain(["ǂ"])
        assert batcher.queued == 0
        with raises(RequestError, "E-REQUEST-SIZE"):
            await batcher.explain(["the cats sleep. " * 600] * 32)
        assert batcher.queued == 0
        monkeypatch.setattr(Batcher, "_encoded", waiting)
        leaving = asyncio.create_task(batcher.explain([GOOD]))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert reserved == [len(GOOD) + 4]

    in_a_queue(judge, use, timeout=1e-3)


# ---------------------------------------------------------------------- a judge that cannot read English


@pytest.fixture
def of_another_script(toy_run, tmp_path):
    """The toy run with Chinese characters for all pieces of its vocabulary."""
    folder = tmp_path / "chinese"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(toy_run.folder / name, folder)
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    special = {one["content"] for one in content["added_tokens"]}
    content["model"]["vocab"] = {
        piece if piece in special else chr(0x4E00 + number): number for piece, number in vocabulary.items()
    }
    (folder / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    return folder


def test_a_judge_whose_vocabulary_has_no_english_is_served(of_another_script):
    judges, _ = load_judges(ServeSettings({"chinese": str(of_another_script)}, device="cpu", precision="fp32"))
    judge = judges["chinese"]
    with raises(DataError, "E-DATA-VOCABULARY"):
        judge(["The cats sleep."])

    async def use(batcher):
        assert await batcher.probe()
        known = chr(0x4E00 + 20)
        judged = await batcher.logits([known])
        assert np.isfinite(judged.logits).all()

    in_a_queue(judge, use)


def test_workers_share_the_weights_that_compute(toy_run, monkeypatch):
    """They are packed for the processor's kernels: made in each worker, they took as much memory as the judge again."""
    monkeypatch.setattr(load_module, "choose_runtime", lambda *_: replace(toy_run.judge.runtime, precision="bf16"))
    settings = ServeSettings({"toy": str(toy_run.folder)})
    loaded, seen = load_judges(settings), {}
    monkeypatch.setattr("acceptor.serve.service.Service", lambda judges, *_: seen.update(judges))
    monkeypatch.setattr("acceptor.serve.app.application", lambda service: None)
    monkeypatch.setattr(server, "_leave_signals_to_the_parent", lambda: None)
    monkeypatch.setattr(server, "collect_as_usual", lambda: None)
    monkeypatch.setattr(server, "threads_of_a_worker", lambda workers: torch.get_num_threads())
    make_application(settings, loaded)
    judge = loaded[0]["toy"]
    assert judge._scorers.keys() == {"bf16", "fp32"}
    assert seen["toy"]._scorers is judge._scorers


# ---------------------------------------------------------------------- outcomes


def test_a_client_that_sends_too_slowly_is_no_timeout_of_the_server():
    """Timeouts wake somebody up: see deploy/alerts.yaml."""
    assert [metrics.outcome_of(status) for status in (408, 504)] == ["invalid", "timeout"]


# ---------------------------------------------------------------------- files that may be open

NEEDED = CONNECTIONS + FILES_BESIDE_CONNECTIONS


@pytest.mark.parametrize(
    ("before", "after", "connections"),
    [
        ((1024, 1_048_576), (NEEDED, 1_048_576), CONNECTIONS),
        ((1024, resource.RLIM_INFINITY), (NEEDED, resource.RLIM_INFINITY), CONNECTIONS),
        ((NEEDED + 1, NEEDED + 2), (NEEDED + 1, NEEDED + 2), CONNECTIONS),  # never lowered
        ((resource.RLIM_INFINITY,) * 2, (resource.RLIM_INFINITY,) * 2, CONNECTIONS),
        ((1024, 4096), (4096, 4096), 4096 - FILES_BESIDE_CONNECTIONS),
        ((50, 50), (50, 50), 1),
    ],
)
def test_a_server_may_open_as_many_files_as_its_connections_need(monkeypatch, caplog, before, after, connections):
    limits = [before]
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, to: limits.append(to))
    assert connections_allowed() == connections
    assert limits[-1] == after
    said = [record.getMessage() for record in caplog.records]
    assert [f"{connections:,}" in each and f"ulimit -n {NEEDED}" in each for each in said] == (
        [True] if connections < CONNECTIONS else []
    )


def test_a_limit_that_the_system_does_not_raise_stays(monkeypatch, caplog):
    def refuse(which, to):
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert connections_allowed() == 1024 - FILES_BESIDE_CONNECTIONS
    assert len(caplog.records) == 1


ORPHAN = """
import asyncio, multiprocessing, os, signal, sys, time
from pathlib import Path
from acceptor.serve.service import Service

def worker(place):
    Path(place + ".part").write_text(str(os.getpid()))
    os.rename(place + ".part", place)
    while os.getppid() == multiprocessing.parent_process().pid:
        time.sleep(0.01)
    asyncio.run(Service({}, {}, None).watch())

multiprocessing.get_context("fork").Process(target=worker, args=sys.argv[1:]).start()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_whose_parent_was_killed_while_it_started_ends(tmp_path):
    """Otherwise it would hold the port, and nobody would end it."""
    place = tmp_path / "pid"
    killed = subprocess.run([sys.executable, "-c", ORPHAN, str(place)], stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    worker = psutil.Process(int(place.read_text()))
    try:
        wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, seconds=60)
    finally:
        if worker.is_running():
            os.kill(worker.pid, signal.SIGKILL)
