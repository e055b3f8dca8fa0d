"""`acceptor serve`: a real server in its own process, asked by real clients; all its processes are really killed."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
import pytest
import torch

import acceptor
from acceptor.errors import DataError, RequestError, ResourceError, UsageError
from acceptor.judging.judge import Judge
from acceptor.judging.steady import LEARNED, SteadyJudge
from acceptor.serve import limits
from acceptor.serve.app import OPERATIONS
from acceptor.serve.batcher import Batcher, RequestLogits
from acceptor.serve.gather import Job
from acceptor.serve.limits import BODY_BYTES, read_object
from acceptor.serve.operation import has_forms
from acceptor.serve.server import FILES_BESIDE_CONNECTIONS, listening
from acceptor.serve.service import Service
from acceptor.serve.settings import ServeSettings, is_loopback, named_judges
from conftest import raises, wait_for, write_judge
from served import serving

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

GOOD, BAD = "the cats sleep.", "the cat them sleep."


@pytest.fixture(scope="module")
def server(toy_run, pair_run, topic_run):
    """Three judges, without a key."""
    judges = (f"toy={toy_run.folder}", f"pairs={pair_run.folder}", f"topics={topic_run}")
    with serving(*judges, "--precision", "fp32") as running:
        yield running


@pytest.fixture(scope="module")
def judge(toy_run):
    return acceptor.load(toy_run.folder, precision="fp32")


def post(server, path, body=None, **more):
    if body is not None:
        more["json"] = body
    return httpx.post(f"{server.url}{path}", timeout=120, **more)


# ---------------------------------------------------------------------- our own operations


def test_verdicts_are_those_of_the_judge(server, judge):
    sentences = [GOOD, BAD, "the cats " + "see " * 60, "zebra " + GOOD]
    found = post(server, "/v1/judge", {"sentences": sentences, "all_scores": True}).json()
    assert (found["model"], found["labels"]) == ("toy", list(judge.labels))
    for served, local in zip(found["verdicts"], judge(sentences), strict=True):
        assert served["label"] == local.label
        assert served["logits"] == pytest.approx(local.logits, abs=1e-5)
        assert served["probabilities"] == pytest.approx(local.probabilities, abs=1e-6)
        assert served["probability"] == pytest.approx(local.probability, abs=1e-6)
        assert served["margin"] == pytest.approx(abs(local.logits[1] - local.logits[0]), abs=1e-5)
        assert served["unknown"] == local.unknown
    assert [one["truncated"] for one in found["verdicts"]] == [False, False, True, False]
    short = post(server, "/v1/judge", {"sentences": [GOOD]}).json()["verdicts"][0]
    assert sorted(short) == ["label", "margin", "probability", "truncated", "unknown"]


def test_pairs_are_judged_by_the_judge_of_pairs(server, pair_run):
    body = {"sentences": [GOOD], "seconds": ["the girl sees."], "model": "pairs"}
    (local,) = acceptor.load(pair_run.folder, precision="fp32")([GOOD], ["the girl sees."])
    (served,) = post(server, "/v1/judge", body).json()["verdicts"]
    assert (served["label"], served["probability"]) == (local.label, pytest.approx(local.probability, abs=1e-6))


def test_words_are_weighed_and_sentences_compared(server, judge):
    sentences = [GOOD, BAD, "the cats " + "see " * 60]
    found = post(server, "/v1/explain", {"sentences": sentences}).json()["explanations"]
    assert [one["truncated"] for one in found] == [False, False, True]
    for served, local in zip(found, acceptor.explain(judge, sentences), strict=True):
        assert served["words"] == list(local.words)
        assert served["weights"] == pytest.approx(local.weights, abs=1e-4)
    both = post(server, "/v1/compare", {"first": BAD, "second": GOOD}).json()
    first, second = judge.logits([BAD, GOOD])
    assert both["better"] == "second"
    assert both["label"] == "acceptable"
    assert both["difference"] == pytest.approx((first[1] - first[0]) - (second[1] - second[0]), abs=1e-4)
    assert post(server, "/v1/compare", {"first": GOOD, "second": GOOD}).json()["better"] == "equal"


def test_no_sentence_is_better_to_a_judge_of_topics(server, topic_run):
    from acceptor.cli.prompt import Prompt

    judge = acceptor.load(topic_run, precision="fp32")
    with pytest.raises(acceptor.UsageError) as ours:
        Prompt(judge, judge.labels, judge.decision, lambda _: []).answer(f":compare {GOOD} | {BAD}")
    answer = post(server, "/v1/compare", {"first": GOOD, "second": BAD, "model": "topics"})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == ours.value.code == "E-USAGE-LABELS"
    assert all(text in error["message"] for text in (ours.value.problem, "acceptable", "sports, politics"))
    assert "/v1/judge" in error["next"]
    assert post(server, "/v1/judge", {"sentences": [GOOD], "model": "topics"}).status_code == 200


def test_the_judges_are_listed(server, judge):
    one, two, three = httpx.get(f"{server.url}/v1/models").json()["models"]
    assert (one["acceptable"], two["acceptable"], three["acceptable"]) == (True, True, False)
    assert three["positive"] == "politics"  # the last one, which does not make it better
    assert (one["name"], one["inputs"], two["name"], two["inputs"]) == ("toy", "sentences", "pairs", "pairs")
    assert (one["labels"], one["positive"], one["max_length"]) == (list(judge.labels), "acceptable", judge.max_length)
    assert one["temperature"] == judge.decision.temperature


# ---------------------------------------------------------------------- bad requests: the documented status and body

LONG = "x" * 10_001
TENSOR = {"name": "sentences", "shape": [1], "datatype": "BYTES", "data": ["the cats"]}
INVALID = {
    "not JSON": ("/v1/judge", b"{", 400, "E-REQUEST-BODY"),
    "a list": ("/v1/judge", b"[]", 400, "E-REQUEST-BODY"),
    "nothing": ("/v1/judge", b"", 400, "E-REQUEST-BODY"),
    "a number that is none": ("/v1/judge", b'{"sentences": [NaN]}', 400, "E-REQUEST-BODY"),
    "a key twice": ("/v1/judge", b'{"sentences": ["a"], "sentences": ["b"]}', 400, "E-REQUEST-BODY"),
    "nested too deeply": ("/v1/judge", b'{"sentences": ' + b"[" * 200_000, 400, "E-REQUEST-BODY"),
    "a huge number": ("/v1/judge", b'{"sentences": ' + b"9" * 5_000 + b"}", 400, "E-REQUEST-BODY"),
    "UTF-16": ("/v1/judge", '{"sentences": ["a"]}'.encode("utf-16"), 400, "E-REQUEST-BODY"),
    "a byte order mark": ("/v1/judge", b'\xef\xbb\xbf{"sentences": ["a"]}', 400, "E-REQUEST-BODY"),
    "no sentences": ("/v1/judge", b"{}", 422, "E-REQUEST-FIELD"),
    "an empty list": ("/v1/judge", b'{"sentences": []}', 422, "E-REQUEST-FIELD"),
    "a text for a list": ("/v1/judge", b'{"sentences": "a"}', 422, "E-REQUEST-FIELD"),
    "a number for a text": ("/v1/judge", b'{"sentences": [1]}', 422, "E-REQUEST-FIELD"),
    "an unknown field": ("/v1/judge", b'{"sentences": ["a"], "sentence": "b"}', 422, "E-REQUEST-FIELD"),
    "a text for a switch": ("/v1/judge", b'{"sentences": ["a"], "all_scores": "no"}', 422, "E-REQUEST-FIELD"),
    "half a surrogate pair": ("/v1/judge", b'{"sentences": ["\\ud800"]}', 422, "E-DATA-TEXT"),
    "a blank sentence": ("/v1/judge", b'{"sentences": ["the cats", " "]}', 422, "E-DATA-TEXT"),
    "no known token": ("/v1/judge", '{"sentences": ["ǂ"]}'.encode(), 422, "E-DATA-VOCABULARY"),
    "a long sentence": ("/v1/judge", json.dumps({"sentences": [LONG]}).encode(), 413, "E-REQUEST-SIZE"),
    "many sentences": ("/v1/judge", json.dumps({"sentences": ["a"] * 1_025}).encode(), 413, "E-REQUEST-SIZE"),
    "an unknown judge": ("/v1/judge", b'{"sentences": ["a"], "model": "toi"}', 404, "E-REQUEST-MODEL"),
    "pairs for sentences": ("/v1/judge", b'{"sentences": ["a"], "seconds": ["b"]}', 422, "E-DATA-PAIRS"),
    "few seconds": (
        "/v1/judge",
        b'{"sentences": ["a", "b"], "seconds": ["c"], "model": "pairs"}',
        422,
        "E-DATA-PAIRS",
    ),
    "many to explain": ("/v1/explain", json.dumps({"sentences": ["a"] * 33}).encode(), 413, "E-REQUEST-SIZE"),
    "pairs to explain": ("/v1/explain", b'{"sentences": ["a"], "model": "pairs"}', 422, "E-DATA-PAIRS"),
    "a blank sentence to explain": ("/v1/explain", b'{"sentences": ["the cats", " "]}', 422, "E-DATA-TEXT"),
    "no such path": ("/v1/judges", b"{}", 404, "E-REQUEST-PATH"),
    "a slash too many": ("/v1/judge/", b'{"sentences": ["a"]}', 404, "E-REQUEST-PATH"),
    "a reload without a key": ("/admin/reload", b"", 404, "E-REQUEST-PATH"),
    "too many bytes": ("/v1/judge", b" " * (BODY_BYTES + 1), 413, "E-REQUEST-SIZE"),
}


def test_a_refusal_names_all_sentences_that_it_is_about(server):
    def positions(*sentences, path="/v1/judge"):
        body = json.dumps({"sentences": sentences}).encode()  # half a surrogate pair as JSON's escape
        error = post(server, path, content=body).json()["error"]
        return error["code"], error["positions"]

    assert positions("ǂ", GOOD, "ǂ ǂ", "ǂ") == ("E-DATA-VOCABULARY", [0, 2, 3])
    assert positions(GOOD, " ", "", "\ud800", "ǂ") == ("E-DATA-TEXT", [1, 2, 3])
    assert positions(LONG, GOOD, LONG, " ") == ("E-REQUEST-SIZE", [0, 2])
    assert positions(GOOD, "ǂ", path="/v1/explain") == ("E-DATA-VOCABULARY", [1])
    assert positions(*["ǂ"] * 1_024) == ("E-DATA-VOCABULARY", list(range(1_024)))
    pairs = {"sentences": ["ǂ", GOOD, GOOD], "seconds": ["ǂ", GOOD, ""], "model": "pairs"}
    assert post(server, "/v1/judge", pairs).json()["error"]["positions"] == [2]
    for body in ({"sentences": []}, {"sentences": ["a"] * 1_025}, {"sentences": ["a"], "seconds": ["b"]}):
        assert "positions" not in post(server, "/v1/judge", body).json()["error"]  # it is about no sentence alone


@pytest.mark.parametrize("name", INVALID)
def test_a_bad_request_gets_its_status_and_code(server, name):
    path, content, status, code = INVALID[name]
    answer = post(server, path, content=content)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert "Traceback" not in answer.text
    assert str(os.getcwd()) not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "where", "expected"),
    [
        ("/predict", {"inputs": [["a", "b", "c"]]}, "inputs", "a list of [text] or of pairs"),
        ("/classify", {"input": ["a", 1]}, "input", "a text, or a list of texts"),
        ("/v1/decisions", {"model": "toy", "input": [], "questions": []}, "input", "one message of the user"),
        ("/predict", {"inputs": "a", "parameters": {"top_k": 0}}, "parameters.top_k", "greater than or equal to 1"),
        ("/v1/judge", {}, "sentences", "expected this field, which is missing"),
        ("/v1/judge", {"sentences": "a"}, "sentences", "expected a valid list"),
        ("/v1/judge", {"sentences": ["a"], "truncat": 1}, "truncat", "expected no such field, but sentences, seconds"),
        (
            "/v1/decisions",
            {"model": "toy", "input": "a", "questions": [{"type": "choice", "instructions": "b", "choices": ["c"]}]},
            "questions.0.choices.0",
            "expected a valid object",
        ),
        ("/v1/decisions", {"model": "toy", "input": "a", "questions": []}, "questions", "at least 1 item, not 0"),
    ],
)
def test_what_a_field_should_be_is_told_in_plain_words(server, path, body, where, expected):
    text = post(server, path, body).text
    assert f"where {where} ·" in text
    assert expected in text


def test_every_field_of_several_forms_has_a_description():
    fields = [one for operation in OPERATIONS if operation.body for one in operation.body.model_fields.values()]
    found = [one for one in fields if has_forms(one)]
    assert len(found) >= 3
    assert all(one.description for one in found)


def test_a_method_that_a_path_lacks_is_told_with_those_that_it_has(server):
    for path, methods in (("/", "GET, HEAD, POST"), ("/v1/judge", "POST"), ("/v2/models/toy/infer", "POST")):
        answer = httpx.put(f"{server.url}{path}")
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize(("name", "found"), [("nothing", "empty"), ("a huge number", "a number of too many digits")])
def test_a_body_that_is_no_json_is_told_in_words_for_who_sent_it(server, name, found):
    path, content, *_ = INVALID[name]
    assert post(server, path, content=content).json()["error"]["message"].endswith(f" · found {found}")


@pytest.mark.parametrize(
    ("path", "body", "advice"),
    [
        ("/v1/judge", {"sentences": ["a"], "seconds": ["b"]}, "one text"),
        ("/v1/judge", {"sentences": ["a"], "model": "pairs"}, "a second text"),
        ("/v1/explain", {"sentences": ["a"], "model": "pairs"}, "a judge of single sentences"),
        ("/predict", {"inputs": [["a", "b"]]}, "one text"),
    ],
)
def test_who_sends_pairs_or_none_is_told_what_to_send(server, path, body, advice):
    told = post(server, path, body).text
    assert advice in told
    assert "--" not in told
    assert "judge(" not in told


def test_the_sentence_that_cannot_be_explained_is_named(server):
    message = post(server, "/v1/explain", {"sentences": [GOOD, " "]}).json()["error"]["message"]
    assert "position 1" in message


HALF = "\ud800"  # of a surrogate pair
ECHOED = {
    "an id": ("/v2/models/toy/infer", {"inputs": [TENSOR], "id": HALF}, 200),
    "a type": ("/v2/models/toy/infer", {"inputs": [TENSOR | {"datatype": HALF}]}, 400),
    "a name": (
        "/v1/decisions",
        {"model": "toy", "input": GOOD, "questions": [{"type": "predicate", "instructions": "?", "name": HALF}]},
        200,
    ),
}


@pytest.mark.parametrize("name", ECHOED)
def test_half_a_surrogate_pair_is_given_back_as_json_escapes_it(server, name):
    path, body, status = ECHOED[name]
    answer = post(server, path, content=json.dumps(body).encode())
    assert (answer.status_code, "\\ud800" in answer.text) == (status, True), answer.text


@pytest.mark.parametrize("inputs", [5, None, "text", {}])
def test_inputs_that_are_no_list_are_refused_before_their_bytes_are_read(server, inputs):
    content = json.dumps({"inputs": inputs}).encode()
    headers = {"inference-header-content-length": str(len(content))}
    assert post(server, "/v2/models/toy/infer", content=content, headers=headers).status_code == 422


def test_limits_are_kept_to_the_byte_and_bombs_are_not_unpacked(server):
    body = json.dumps({"sentences": [GOOD]}).encode()
    assert post(server, "/v1/judge", content=body.ljust(BODY_BYTES)).status_code == 200
    chunked = iter([b" " * 100_000] * 21)
    assert post(server, "/v1/judge", content=chunked).status_code == 413
    assert post(server, "/v1/judge", content=body, headers={"content-encoding": "gzip"}).status_code == 415
    wrong = httpx.request("DELETE", f"{server.url}/v1/judge")
    assert (wrong.status_code, wrong.headers["allow"], wrong.json()["error"]["code"]) == (405, "POST", "E-REQUEST-PATH")


@pytest.mark.parametrize(
    "rest", [b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", b"content-length: 90\r\n\r\n{}"]
)
def test_a_body_that_is_not_complete_is_told(server, rest):
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=300) as connection:
        connection.sendall(b"POST /v1/judge HTTP/1.1\r\nhost: localhost\r\n" + rest)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"E-REQUEST-BODY" in answer


def test_a_client_that_leaves_is_counted_as_gone(server):
    host, port = server.host.split(":")
    body = json.dumps({"sentences": [GOOD] * 1_000}).encode()
    with socket.create_connection((host, int(port)), timeout=300) as connection:
        connection.sendall(
            b"POST /v1/judge HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
    wait_for(lambda: 'outcome="gone",path="/v1/judge"' in httpx.get(f"{server.url}/metrics").text)


def test_a_body_that_does_not_arrive_is_given_up(monkeypatch):
    async def nothing():
        await asyncio.Event().wait()

    monkeypatch.setattr(limits, "BODY_SECONDS", 0.01)
    with raises(RequestError, "E-REQUEST-SLOW"):
        asyncio.run(read_object({}, nothing))


def test_a_body_in_too_many_pieces_is_given_up():
    async def byte():
        return {"type": "http.request", "body": b" ", "more_body": True}

    with raises(RequestError, "E-REQUEST-SIZE", found="10,000 pieces"):
        asyncio.run(read_object({}, byte))


# ---------------------------------------------------------------------- the formats of other servers


def test_text_embeddings_inference_and_hugging_faces_client(server, judge, monkeypatch):
    from huggingface_hub import InferenceClient

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # else it asks no server at all

    (local,) = judge([GOOD])
    best = {"label": local.label, "score": pytest.approx(local.probability, abs=1e-6)}
    one = post(server, "/predict", {"inputs": GOOD}).json()
    assert one[0] == best
    assert len(one) == 2
    many = post(server, "/predict", {"inputs": [[GOOD], [BAD]]}).json()
    assert (len(many), many[0][0]) == (2, best)
    raw = post(server, "/predict", {"inputs": GOOD, "raw_scores": True}).json()
    assert sorted(each["score"] for each in raw) == pytest.approx(sorted(local.logits), abs=1e-5)
    refused = post(server, "/predict", {"inputs": GOOD + " cats" * 60, "truncate": False})
    assert (refused.status_code, refused.json()["error_type"]) == (422, "Validation")
    assert post(server, "/predict", {"inputs": [GOOD]}).json() == one  # a list of one text is that text, no batch
    assert post(server, "/predict", {"inputs": ["a", "b", "c"]}).status_code == 422
    info = httpx.get(f"{server.url}/info").json()
    assert info["model_type"]["classifier"]["id2label"] == {"0": "unacceptable", "1": "acceptable"}
    for url in (server.url, f"{server.url}/predict"):
        found = InferenceClient(model=url).text_classification(GOOD, top_k=1)
        assert [dict(each) for each in found] == [best]


def test_open_inference_protocol_and_tritons_client(server, judge):
    from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
    from tritonclient.utils import InferenceServerException

    client = InferenceServerClient(server.host)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("toy")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["name"] == "acceptor"
    assert client.get_model_metadata("toy")["inputs"] == [{"name": "sentences", "datatype": "BYTES", "shape": [-1]}]
    texts, local = [GOOD, BAD, "the cats see é."], judge([GOOD, BAD, "the cats see é."])
    for binary, shape in ((True, [3]), (False, [3, 1])):
        tensor = InferInput("sentences", shape, "BYTES")
        tensor.set_data_from_numpy(np.array(texts, dtype=object).reshape(shape), binary_data=binary)
        found = client.infer("toy", [tensor], request_id="7")
        assert found.get_response()["id"] == "7"
        assert found.as_numpy("label").tolist() == [one.label for one in local]
        assert found.as_numpy("logits") == pytest.approx(np.array([one.logits for one in local]), abs=1e-5)
        only = client.infer("toy", [tensor], outputs=[InferRequestedOutput("probability", binary_data=False)])
        assert only.as_numpy("probability") == pytest.approx([one.probability for one in local], abs=1e-6)
        assert only.as_numpy("logits") is None
    wrong = InferInput("sentence", [1], "BYTES")
    wrong.set_data_from_numpy(np.array([GOOD], dtype=object))
    with pytest.raises(InferenceServerException, match="no tensor called 'sentence'"):
        client.infer("toy", [wrong])


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 2), (2, 1)])
def test_a_tensor_is_named_once(server, inputs, outputs):
    body = {"inputs": [TENSOR] * inputs, "outputs": [{"name": "label"}] * outputs}
    answer = post(server, "/v2/models/toy/infer", body)
    assert answer.status_code == 400
    assert "named twice" in answer.json()["error"]


BYTES_INPUT = {"name": "sentences", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}


@pytest.mark.parametrize(
    ("tail", "declared"),
    [(b"\x02\x00\x00\x00a", None), (b"\x01\x00\x00\x00\xff", None), (b"\x01\x00\x00\x00ab", None), (b"", "9999999")],
    ids=["cut short", "not UTF-8", "too many", "a wrong header"],
)
def test_malformed_bytes_after_the_json_are_refused(server, tail, declared):
    head = json.dumps({"inputs": [BYTES_INPUT]}).encode()
    headers = {"inference-header-content-length": declared or str(len(head))}
    answer = post(server, "/v2/models/toy/infer", content=head + tail, headers=headers)
    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str)


def test_classify_as_vllm_and_sglang(server, judge):
    (local,) = judge([BAD])
    for path in ("/classify", "/v1/classify"):
        found = post(server, path, {"model": "toy", "input": [GOOD, BAD]}).json()
        assert (found["object"], found["model"], [each["index"] for each in found["data"]]) == ("list", "toy", [0, 1])
        assert found["data"][1]["label"] == local.label
        assert found["data"][1]["probs"] == pytest.approx(local.probabilities, abs=1e-6)
        assert found["usage"]["total_tokens"] == found["usage"]["prompt_tokens"] > 4
    assert post(server, "/classify", {"input": [], "model": "toy"}).json()["error"]["type"] == "invalid_request_error"


def test_decisions_answer_the_one_question_and_refuse_all_others(server, judge):
    import openai

    (local,) = judge([GOOD])
    choices = [{"value": "acceptable"}, {"value": "unacceptable"}]
    asked = "Is the sentence acceptable?"
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", _strict_response_validation=True) as client:
        found = client.decisions.create(
            model="toy",
            input=GOOD,
            questions=[
                {"type": "predicate", "instructions": "The sentence is acceptable.", "name": "own"},
                {"type": "choice", "instructions": "is the  sentence acceptable?", "choices": choices},
                {"type": "predicate", "instructions": "The sentence is about cats."},
                {
                    "type": "choice",
                    "instructions": "Is the sentence 1?",
                    "choices": [{"value": "yes"}, {"value": "no"}],
                },
                {"type": "choice", "instructions": asked, "choices": [{"value": True}, {"value": False}]},
                {"type": "score", "instructions": asked, "levels": [{"label": "low"}, {"label": "high"}]},
            ],
        )
        assert [one.type for one in found.answers] == ["predicate", "choice", *["refusal"] * 4]
        predicate, choice = found.answers[:2]
        assert predicate.name == "own"
        assert predicate.probability == pytest.approx(local.probabilities[1], abs=1e-6)
        assert (choice.choice, [one.value for one in choice.probabilities]) == (
            local.label,
            ["acceptable", "unacceptable"],
        )
        assert choice.confidence == pytest.approx(2 * local.probability - 1, abs=1e-6)
        with pytest.raises(openai.NotFoundError):
            client.decisions.create(model="none", input=GOOD, questions=[{"type": "predicate", "instructions": "x"}])


# ---------------------------------------------------------------------- many at once


def test_answers_are_never_swapped_and_every_request_is_counted(server, judge):
    def total():
        text = httpx.get(f"{server.url}/metrics").text
        found = re.findall(r'^acceptor_requests_total\{outcome="(\w+)",path="/v1/judge"\} (\S+)$', text, re.M)
        return {outcome: float(count) for outcome, count in found}

    words = ["girl", "boy", "garden", "book", "John", "mat", "see"]
    rng = np.random.default_rng(3)
    batches = []
    for _ in range(120):
        sizes = rng.integers(1, 8, rng.integers(1, 9))
        batches.append([f"the {rng.choice(['cats', 'cat them'])} {' '.join(rng.choice(words, n))}." for n in sizes])
    expected = [[one.probabilities for one in judge(batch)] for batch in batches]
    before = total()

    def ask(batch):
        if len(batch) == 8:  # some are refused meanwhile
            assert post(server, "/v1/judge", {"sentences": []}).status_code == 422
        return post(server, "/v1/judge", {"sentences": batch, "all_scores": True}).json()["verdicts"]

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(ask, batches))
    for served, local in zip(found, expected, strict=True):
        assert [one["probabilities"] for one in served] == pytest.approx(np.array(local), abs=1e-5)
    after = total()
    assert after["ok"] - before.get("ok", 0) == 120
    assert after["invalid"] - before.get("invalid", 0) == sum(len(batch) == 8 for batch in batches)


def test_the_description_names_every_path_and_needs_no_other_site(server):
    description = httpx.get(f"{server.url}/openapi.json").json()
    assert {"/v1/judge", "/v2/models/{model}/infer", "/predict", "/classify", "/v1/decisions"} <= set(
        description["paths"]
    )
    page = httpx.get(f"{server.url}/docs").text
    assert all(path in page for path in description["paths"])
    assert not re.search(r"(src|href)=.?(https?:/)?/", page)  # relative, so that a proxy may serve it below a path
    for path, name in (("/", "text/html"), ("/docs", "text/html"), ("/metrics", "text/plain")):
        (told,) = description["paths"][path]["get"]["responses"]["200"]["content"]
        assert told == name == httpx.get(server.url + path).headers["content-type"].partition(";")[0]


# ---------------------------------------------------------------------- keys and origins


def test_a_key_guards_everything_but_health(toy_onnx):
    env = os.environ | {"ACCEPTOR_API_KEY": "key-of-eight"}
    with serving(toy_onnx, "--origin", "https://example.org", env=env) as server:
        body = {"sentences": [GOOD]}
        for headers in ({}, {"authorization": "Bearer wrong-key"}, {"authorization": "Basic key-of-eight"}):
            answer = post(server, "/v1/judge", body, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "E-REQUEST-KEY")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        right = {"authorization": "Bearer key-of-eight"}
        answer = post(server, "/v1/judge", body, headers=right | {"origin": "https://example.org"})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://example.org")
        other = post(server, "/v1/judge", body, headers=right | {"origin": "https://other.org"})
        assert "access-control-allow-origin" not in other.headers
        lost = post(server, "/v1/judges", body, headers=right | {"origin": "https://example.org"})
        assert (lost.status_code, lost.headers["access-control-allow-origin"]) == (404, "https://example.org")
        asks = {"origin": "https://example.org", "access-control-request-method": "POST"}
        preflight = httpx.options(f"{server.url}/v1/judge", headers=asks)
        assert (preflight.status_code, preflight.headers["x-content-type-options"]) == (200, "nosniff")
        counted = httpx.get(f"{server.url}/metrics", headers=right).text
        assert re.search(r'outcome="ok",path="other"\} 1\.0', counted)  # the preflight


REBOUND = {"host": "evil.example:8000"}  # what a browser sends whose DNS was told that this name is 127.0.0.1
FOREIGN = {"origin": "https://evil.example"}


@pytest.mark.parametrize(
    "host", ["localhost:8000", "LOCALHOST.", "judge.localhost", "127.0.0.2:1", "[::1]:8000", "::1", "192.0.2.7", ""]
)
def test_names_and_addresses_that_no_web_site_has_are_answered(server, host):
    """192.0.2.7: a probe sends a pod's address, and no DNS can give a page an address for its name."""
    assert post(server, "/v1/judge", {"sentences": [GOOD]}, headers={"host": host}).status_code == 200
    assert httpx.get(f"{server.url}/metrics", headers={"host": host}).status_code == 200
    assert post(server, "/v1/judge", {"sentences": [GOOD]}, headers={"host": "host.docker.internal"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "a:b:c", "x"]
)
def test_a_web_site_that_gives_its_name_our_address_is_refused(server, host):
    for answer in (
        post(server, "/v1/judge", {"sentences": [GOOD]}, headers={"host": host}),
        httpx.get(f"{server.url}/v1/models", headers={"host": host}),
        httpx.get(f"{server.url}/metrics", headers={"host": host}),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (421, "E-REQUEST-HOST")
        assert host in error["message"]
        assert all(way in error["next"] for way in ("localhost", "ACCEPTOR_API_KEY", "--no-auth"))
    refused = post(server, "/predict", {"inputs": GOOD}, headers={"host": host})
    assert (refused.status_code, sorted(refused.json())) == (421, ["error", "error_type"])  # in its own format
    assert httpx.get(f"{server.url}/health/ready", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", "http://localhost"])
def test_another_sites_page_cannot_make_the_server_compute(server, origin):
    for path, body in (("/v1/judge", {"sentences": [GOOD]}), ("/v1/explain", {"sentences": [GOOD]})):
        answer = post(server, path, content=json.dumps(body), headers={"origin": origin, "content-type": "text/plain"})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (403, "E-REQUEST-ORIGIN")
        assert origin in error["message"]
        assert "--origin" in error["next"]
    assert httpx.get(f"{server.url}/v1/models", headers={"origin": origin}).status_code == 200  # and it cannot read it


def test_the_servers_own_page_and_installed_programs_may_ask(server):
    """Behind a proxy that changes Host, the browser itself says that the page is the server's own."""
    port = server.host.partition(":")[2]
    for headers in (
        {"origin": server.url},
        {"origin": f"http://localhost:{port}", "host": f"LOCALHOST:{port}"},
        {"origin": "https://judge.example.org", "sec-fetch-site": "same-origin"},
        {"origin": "chrome-extension://abcdefgh"},
    ):
        assert post(server, "/v1/judge", {"sentences": [GOOD]}, headers=headers).status_code == 200, headers
    crossing = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert post(server, "/v1/judge", {"sentences": [GOOD]}, headers=crossing).status_code == 403


@pytest.mark.parametrize(
    ("options", "key", "statuses"),
    [
        (("--no-auth",), None, (200, 403)),  # the network is protected, but its browsers open other sites
        (("--origin", "https://evil.example"), None, (421, 200)),
        ((), "key-of-eight", (200, 200)),  # which no other site has
    ],
)
def test_a_proxy_has_a_way_out(toy_onnx, options, key, statuses):
    env = {name: value for name, value in os.environ.items() if name != "ACCEPTOR_API_KEY"}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with serving(toy_onnx, *options, env=env | ({"ACCEPTOR_API_KEY": key} if key else {})) as server:
        found = [post(server, "/v1/judge", {"sentences": [GOOD]}, headers=headers | one) for one in (REBOUND, FOREIGN)]
    assert tuple(one.status_code for one in found) == statuses


@pytest.mark.allow_hosts(["127.0.0.1", "0.0.0.0"])
def test_a_server_that_others_reach_is_called_by_any_name(toy_onnx):
    """As in a container, with a proxy or a service before it: the key, or the network, protects it."""
    with serving(toy_onnx, "--host", "0.0.0.0", "--no-auth") as server:
        port = server.url.rpartition(":")[2]
        headers = {"host": "judge.example.org", "origin": "https://judge.example.org"}
        body = {"sentences": [GOOD]}
        assert httpx.post(f"http://127.0.0.1:{port}/v1/judge", json=body, headers=headers).status_code == 200


def test_the_access_log_has_every_request_and_no_text(toy_onnx):
    text, key = "the zebras of nobody", "key-of-eight"
    with serving(toy_onnx, "--access-log", env=os.environ | {"ACCEPTOR_API_KEY": key}) as server:
        right = {"authorization": f"Bearer {key}"}
        for headers, body in ((right, {"sentences": [text] * 3}), ({}, {"sentences": [text]}), (right, {})):
            post(server, "/v1/judge", body, headers=headers)
        httpx.get(f"{server.url}/secret-{key}?sentence={text}")
        wait_for(lambda: any("GET other 404" in line for line in server.lines))
        lines = [line for line in server.lines if "/health" not in line and "acceptor serve" not in line]
    log = "".join(lines)
    for found in (
        r"^POST /v1/judge 200, \d+ ms, sentences: 3$",
        r"^POST /v1/judge 401, \d+ ms$",
        r"^POST /v1/judge 422, \d+ ms$",
        r"^GET other 404, \d+ ms$",
    ):
        assert len(re.findall(found, log, re.MULTILINE)) == 1, (found, log)
    assert "zebras" not in log
    assert key not in log


def test_without_the_option_requests_are_not_logged(server):
    post(server, "/v1/judge", {"sentences": [GOOD]})
    assert not any("/v1/judge" in line for line in server.lines)


def test_a_worker_that_was_not_forked_has_the_access_log_too():
    """Where a GPU is used, and on other systems than Linux."""
    code = "from acceptor.serve import access_log as log; log.set_up(); log.begin(); log.note_sentences(2000)"
    code += "; log.write('POST', '/v1/judge', None, 0.25)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "POST /v1/judge gone, 250 ms, sentences: 2,000\n"


def test_settings_that_would_be_open_by_mistake_are_refused():
    runs = {"a": "runs/a"}
    with raises(UsageError, "E-USAGE-KEY"):
        ServeSettings(runs, host="0.0.0.0")
    ServeSettings(runs, host="0.0.0.0", no_auth=True)
    ServeSettings(runs, host="0.0.0.0", api_key="12345678")
    for wrong in (
        {"api_key": "short"},
        {"port": 70_000},
        {"workers": 0},
        {"api_key": "with-a-blank "},
        {"origins": ("*",)},
        {"origins": ("https://Example.org",)},
        {"origins": ("https://example.org/page",)},
        {"timeout": 0},
        {"timeout": math.inf},
    ):
        with raises(UsageError, "E-USAGE-OPTION"):
            ServeSettings(runs, **wrong)
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")] == [True] * 3 + [
        False
    ] * 2
    assert named_judges(["runs/cola", "b=x/judge.onnx"]) == {"cola": "runs/cola", "b": "x/judge.onnx"}
    with raises(UsageError, "E-USAGE-OPTION", problem="'cola'"):
        named_judges(["runs/cola", "cola=other"])


def test_an_option_out_of_range_is_named_as_it_was_given(run_cli):
    for option, wrong in (("--max-wait-ms", "5000"), ("--max-queue", "0"), ("--drain-timeout", "0.5")):
        code, _, err = run_cli("serve", "missing", option, wrong)
        assert (code, f"{option} is out of range" in err) == (2, True)
        (found,) = re.findall(r"found: +(\S+)", err)
        assert float(found.replace(",", "")) == float(wrong)


def test_an_empty_key_is_refused_and_an_empty_variable_is_none(run_cli, monkeypatch):
    code, _, err = run_cli("serve", "missing", "--api-key", "")
    assert (code, "the API key cannot be used" in err, "a variable that is not set" in err) == (2, True, True)
    monkeypatch.setenv("ACCEPTOR_API_KEY", "")
    code, _, err = run_cli("serve", "missing", "--origin", "*")
    assert (code, "an origin cannot be read" in err) == (2, True)  # which is checked after the key


def test_an_address_in_use_is_told(server, toy_run, run_cli):
    code, _, err = run_cli("serve", toy_run.folder, "--port", server.url.rpartition(":")[2])
    assert (code, "E-RESOURCE-ADDRESS" in err, "--port 8001" in err) == (1, True, True)


@pytest.mark.parametrize("host", ["192.0.2.1", "a\0b", "no name", "a" * 70])
def test_a_host_that_is_none_of_this_machine_is_told(host):
    told = raises(ResourceError, "E-RESOURCE-ADDRESS", expected="an address of this machine", next="--host 127.0.0.1")
    with told, listening(ServeSettings({"a": "runs/a"}, host=host, no_auth=True, port=0)):
        pass


def test_an_address_of_ipv6_is_taken_with_its_brackets(run_cli):
    code, _, err = run_cli("serve", "missing", "--host", "[::1]", "--origin", "*")
    assert (code, "an origin cannot be read" in err) == (2, True)  # what is checked last: no key is needed


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def is_listening(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True


def test_a_reload_while_the_server_starts_does_not_end_it(toy_onnx):
    port = free_port()
    command = [sys.executable, "-m", "acceptor", "serve", str(toy_onnx), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: is_listening(port))  # before the judges are loaded
            process.send_signal(signal.SIGHUP)
            assert httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=600).status_code == 200
        finally:
            process.terminate()
            assert process.wait(600) == 0


def test_two_servers_that_start_at_once_do_not_share_a_port(toy_onnx):
    port = free_port()
    command = [sys.executable, "-m", "acceptor", "serve", str(toy_onnx), "--port", str(port)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    try:
        wait_for(lambda: any(one.poll() is not None for one in both))
        (refused,) = [one for one in both if one.poll() is not None]
        assert (refused.returncode, "E-RESOURCE-ADDRESS" in refused.communicate()[0]) == (1, True)
        assert httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=600).status_code == 200
    finally:
        for one in both:
            one.kill()
            one.wait()
            one.stdout.close()


# ---------------------------------------------------------------------- the queue


@contextlib.contextmanager
def queue(judge, **settings):
    """A batcher, and two events: the thread is in a call; it may go on."""
    batcher = Batcher(judge, **{"max_wait": 0.0, "max_tokens": 1000, "timeout": 600.0} | settings)
    entered, free = threading.Event(), threading.Event()
    try:
        yield batcher, entered, free
    finally:
        free.set()  # so that a test that fails ends
        batcher.close()


def hold(entered, free):
    entered.set()
    assert free.wait(600)


async def called(batcher, function, tokens):
    """The result of a function in the place of a pass, with so many tokens reserved."""
    async with batcher._reservations.of(tokens):
        return await batcher._called(function, tokens)


def test_the_queue_admits_whole_requests_or_refuses_them(judge):
    """While the thread is held, exactly so much is admitted as fits; what is dropped makes room."""

    async def run():
        with queue(judge, max_tokens=100, timeout=1.0) as (batcher, entered, free):
            held = asyncio.create_task(called(batcher, lambda: hold(entered, free), 1))
            await asyncio.to_thread(entered.wait, 600)
            size = len(judge.encode([GOOD]).ids)
            waiting = asyncio.create_task(batcher.logits([GOOD] * 4))
            while batcher.queued != 1 + 4 * size:  # tokenized
                await asyncio.sleep(0.001)
            with raises(RequestError, "E-REQUEST-BUSY") as caught:
                await batcher.logits([GOOD] * 10)
            assert (caught.value.status, caught.value.retry_after >= 1) == (429, True)
            assert batcher.queued == 1 + 4 * size
            waiting.cancel()
            await asyncio.wait([waiting])
            assert batcher.queued == 1
            more = asyncio.create_task(batcher.logits([BAD]))
            free.set()
            await held
            judged = await more
            assert judged.logits == pytest.approx(judge.logits([BAD]), abs=1e-5)
            assert batcher.queued == 0

    asyncio.run(run())


def test_a_long_queue_costs_no_more_for_each_request(judge, monkeypatch):
    """A pass neither looks at all that is queued nor wakes the event loop for each answer."""
    left, looks, wakes = Job.left.fget, [], []
    monkeypatch.setattr(Job, "left", property(lambda job: looks.append(1) or left(job)))

    async def run():
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe
        with queue(judge, max_tokens=100_000) as (batcher, entered, free):
            held = asyncio.create_task(called(batcher, lambda: hold(entered, free), 1))
            await asyncio.to_thread(entered.wait, 600)
            monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *given: wakes.append(1) or wake(*given))
            requests = [asyncio.create_task(batcher.logits([GOOD])) for _ in range(1000)]
            await asyncio.sleep(0)
            for one in requests[::10]:
                one.cancel()
            free.set()
            judged = await asyncio.gather(held, *requests, return_exceptions=True)
            assert sum(isinstance(one, RequestLogits) for one in judged) == 900
            assert len(looks) <= len(judged) + 101  # when each came; the cancelled ones and the call as they left
            assert len(wakes) <= len(judged) / 2
            assert (batcher.queued, batcher.waiting, batcher._queue.left) == (0, 0, 0)

    asyncio.run(run())


def test_a_request_waits_for_room_in_a_full_queue(judge):
    """And is answered like any other once there is some."""

    async def run():
        with queue(judge, max_tokens=100) as (batcher, entered, free):
            held = asyncio.create_task(called(batcher, lambda: hold(entered, free), 100))
            await asyncio.to_thread(entered.wait, 600)
            waiting = asyncio.create_task(batcher.logits([GOOD]))
            await asyncio.sleep(0.05)
            assert (waiting.done(), batcher.queued, batcher.waiting > 0) == (False, 100, True)
            free.set()
            await held
            return await waiting

    assert asyncio.run(run()).logits == pytest.approx(judge.logits([GOOD]), abs=1e-5)


def test_a_request_that_comes_after_the_end_is_refused(judge):
    """Nobody would compute it."""

    async def run():
        with queue(judge) as (batcher, *_):
            batcher.close()
            with raises(RequestError, "E-REQUEST-CLOSING"):
                await asyncio.wait_for(batcher.logits([GOOD]), 60)
            assert batcher.queued == 0

    asyncio.run(run())


def test_sentences_to_explain_reserve_as_much_as_is_computed(judge, monkeypatch):
    """Each punctuation mark is a word, so blanks say nothing of how often a sentence is judged."""
    logits_in, computed = Judge.logits_in, []

    def counted(self, encoded, rows, *arguments):
        computed.append(encoded.lengths[rows].sum())
        return logits_in(self, encoded, rows, *arguments)

    async def run():
        with queue(judge, max_tokens=100_000) as (batcher, entered, free):
            held = asyncio.create_task(called(batcher, lambda: hold(entered, free), 1))
            await asyncio.to_thread(entered.wait, 600)
            explained = asyncio.create_task(batcher.explain(["the cats sleep." + "." * 20, GOOD]))
            await asyncio.sleep(0)  # both are tokenized at once
            reserved = batcher.queued - 1
            monkeypatch.setattr(Judge, "logits_in", counted)
            free.set()
            await held
            found, tokens = await explained
            assert tokens == reserved >= sum(computed) > 0
            assert [one.sentence for one in found][1] == GOOD
            assert batcher.queued == 0

    asyncio.run(run())


def test_what_cannot_be_explained_in_time_is_refused(judge):
    """It would get no answer, and the queue would be full for all others meanwhile."""

    async def run():
        with queue(judge, timeout=1e-6) as (batcher, *_):
            with raises(RequestError, "E-REQUEST-SIZE", next="fewer sentences") as caught:
                await batcher.explain([GOOD] * 32)
            assert caught.value.status == 413
            assert batcher.queued == 0

    asyncio.run(run())


@pytest.mark.parametrize(("text", "is_at_once"), [("the cats sleep.", True), ("the cats sleep. " * 500, False)])
def test_only_little_text_is_tokenized_in_the_event_loop(judge, monkeypatch, text, is_at_once):
    """However few of its tokens are kept."""
    threads, encode = [], Judge.encode

    def seen(self, *arguments):
        threads.append(threading.current_thread() is threading.main_thread())
        return encode(self, *arguments)

    async def run():
        with queue(judge) as (batcher, _, free):
            free.set()
            monkeypatch.setattr(Judge, "encode", seen)
            await batcher.logits([text])

    asyncio.run(run())
    assert threads == [is_at_once]


def test_a_large_request_does_not_delay_small_ones(judge, monkeypatch):
    """They take turns, so the small one is answered while most of the large one waits."""
    monkeypatch.setattr("acceptor.serve.batcher.MIN_PASS_TOKENS", 64)
    monkeypatch.setattr("acceptor.serve.batcher.MAX_PASS_TOKENS", 64)

    async def run():
        with queue(judge, max_tokens=100_000) as (batcher, entered, free):
            held = asyncio.create_task(called(batcher, lambda: hold(entered, free), 1))
            await asyncio.to_thread(entered.wait, 600)
            ended = []
            for name, count in (("large", 500), ("small", 1)):
                task = asyncio.create_task(batcher.logits([GOOD] * count))
                task.add_done_callback(lambda _, name=name: ended.append(name))
            while batcher._queue.left < 501 * len(judge.encode([GOOD]).ids):
                await asyncio.sleep(0.001)
            free.set()
            await held
            while len(ended) < 2:
                await asyncio.sleep(0.001)
            assert ended == ["small", "large"]

    asyncio.run(run())


def test_each_core_has_passes_of_its_own(judge, two_cores):
    """While one is held, the other one answers; together they compute parts of one request; both end."""

    async def run():
        with queue(judge) as (batcher, entered, free):
            assert len(batcher._threads) == 2
            held = asyncio.create_task(called(batcher, lambda: hold(entered, free), 1))
            await asyncio.to_thread(entered.wait, 600)
            await batcher.logits([GOOD])
            free.set()
            await held
            sentences = [f"{GOOD} {BAD} {number}" for number in range(500)]
            judged = await batcher.logits(sentences)
            assert judged.logits == pytest.approx(judge.logits(sentences), abs=1e-5)
        return [thread.is_alive() for thread in batcher._threads]

    assert asyncio.run(run()) == [False, False]


def test_a_stuck_judge_is_seen_and_a_free_one_again(judge, monkeypatch):
    async def run():
        with queue(judge) as (batcher, entered, free):
            held = asyncio.create_task(called(batcher, lambda: hold(entered, free), 1))
            await asyncio.to_thread(entered.wait, 600)
            assert batcher.stuck_for() == 0
            now = batcher._threads[0]._since
            monkeypatch.setattr("acceptor.serve.batcher.clock", lambda: now + 1.6)
            assert batcher.stuck_for() > 0
            monkeypatch.undo()
            free.set()
            await held
            assert batcher.stuck_for() == 0

    asyncio.run(run())


def test_one_bad_input_fails_alone(judge):
    """By NaN in the weights of one word; and by an exception: the other inputs of the same pass are right."""
    sentences = [GOOD, "the cats see John.", BAD, "the girl.", "John."]
    right = judge.logits(sentences)
    word = judge.tokenizer.convert_tokens_to_ids("john")

    class Failing(acceptor.Judge):
        def logits_in(self, encoded, *arguments):
            if word in encoded.ids:
                raise MemoryError("as a test says")
            return super().logits_in(encoded, *arguments)

    poisoned = dataclasses.replace(judge, model=copy.deepcopy(judge.model))
    with torch.no_grad():
        poisoned.model.get_input_embeddings().weight[word] = float("nan")
    for failing in (poisoned, Failing(**{one.name: getattr(judge, one.name) for one in dataclasses.fields(judge)})):

        async def run(failing=failing):
            with queue(failing) as (batcher, *_):
                return await batcher.logits(sentences), batcher.failed

        judged, failed = asyncio.run(run())
        assert failed
        assert np.isfinite(judged.logits).all(axis=1).tolist() == [True, False, True, True, False]
        assert judged.logits[[0, 2, 3]] == pytest.approx(right[[0, 2, 3]], abs=1e-5)


def test_a_judge_that_computes_nan_is_not_ready(judge):
    """Asked by a forward pass, since the last one failed; and ready before it had failed."""
    poisoned = dataclasses.replace(judge, model=copy.deepcopy(judge.model))
    with torch.no_grad():
        poisoned.model.get_input_embeddings().weight[:] = float("nan")

    async def run():
        service = Service({"a": poisoned}, {"a": ""}, ServeSettings({"a": "runs/a"}))
        await service.check_ready()
        await service.named("a").batcher.logits([GOOD])
        try:
            with raises(RequestError, "E-REQUEST-CLOSING", problem="a fails"):
                await service.check_ready()
        finally:
            service.close()

    asyncio.run(run())


def test_a_full_queue_makes_no_judge_unready(judge):
    """The sentence by which a judge is tried after a pass that failed neither needs room nor waits for its turn."""

    async def run():
        service = Service({"a": judge}, {"a": ""}, ServeSettings({"a": "runs/a"}, max_queue=100))
        batcher = service.named("a").batcher
        try:
            async with batcher._reservations.of(100):
                batcher.failed = True
                await service.check_ready()
        finally:
            service.close()

    asyncio.run(run())


def test_inputs_that_fail_all_the_time_make_no_judge_unready(judge, monkeypatch):
    """Readiness is decided by its own sentence, not by what others send meanwhile."""

    async def run():
        service = Service({"a": judge}, {"a": ""}, ServeSettings({"a": "runs/a"}))
        batcher = service.named("a").batcher
        probe = batcher.probe

        async def then_another_fails():
            is_fine = await probe()
            batcher.failed = True
            return is_fine

        monkeypatch.setattr(batcher, "probe", then_another_fails)
        batcher.failed = True
        try:
            await service.check_ready()
        finally:
            service.close()

    asyncio.run(run())


def test_an_error_of_a_request_does_not_end_the_queue(judge):
    async def run():
        with queue(judge) as (batcher, *_):
            with raises(DataError, "E-DATA-TEXT"):
                await batcher.logits([" "])
            with pytest.raises(ZeroDivisionError):
                await called(batcher, lambda: 1 / 0, 1)
            assert batcher.queued == 0
            return await batcher.logits([GOOD])

    assert asyncio.run(run()).logits == pytest.approx(judge.logits([GOOD]), abs=1e-5)


def test_small_batches_in_bf16_get_the_labels_of_fp32(judge):
    """Also of inputs within bf16's error of the boundary, where bf16 alone is wrong."""
    words = ["girl", "boy", "garden", "book", "John", "mat", "see", "cats", "cat", "them", "the"]
    rng = np.random.default_rng(0)
    sentences = [" ".join(rng.choice(words, rng.integers(2, 9))) for _ in range(4_000)]
    exact = judge.logits(sentences)
    middle = float(np.median(exact[:, 1] - exact[:, 0]))
    decision = dataclasses.replace(judge.decision, temperature=1.0, threshold=1 / (1 + np.exp(-middle)))
    judge = dataclasses.replace(judge, decision=decision)
    in_fp32 = []

    class Counting(acceptor.Judge):
        def logits_in(self, encoded, rows, precision, on_batch=None):
            in_fp32.append(len(rows) if precision == "fp32" else 0)
            return super().logits_in(encoded, rows, precision, on_batch)

    fields = {one.name: getattr(judge, one.name) for one in dataclasses.fields(judge)}
    rough = Counting(**fields | {"runtime": dataclasses.replace(judge.runtime, precision="bf16")})
    steady = SteadyJudge(rough)
    found = np.concatenate([steady.logits_of(judge.encode(sentences[at : at + 8])) for at in range(0, 4_000, 8)])
    alone = rough.logits_in(judge.encode(sentences), np.arange(4_000), "bf16")
    labels = decision.label_ids(exact)
    assert (decision.label_ids(alone) != labels).any()
    assert (decision.label_ids(found) == labels).all()
    assert LEARNED <= sum(in_fp32) < 3_000


# ---------------------------------------------------------------------- workers: killed, reloaded, stopped


class Load:
    """Clients that ask all the time, on new connections, and note every outcome."""

    def __init__(self, server, clients=4):
        self.outcomes, self.over = [], threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(server.url,)) for _ in range(clients)]

    def _ask(self, url):
        while not self.over.is_set():
            try:
                answer = httpx.post(f"{url}/v1/judge", json={"sentences": [GOOD, BAD]}, timeout=300)
                right = [one["label"] for one in answer.json()["verdicts"]] == ["acceptable", "unacceptable"]
                self.outcomes.append("right" if right else "wrong")
            except httpx.ConnectError:
                self.outcomes.append("refused")
            except httpx.TransportError as error:
                self.outcomes.append(type(error).__name__)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def some(self, count=12):
        goal = len(self.outcomes) + count
        wait_for(lambda: len(self.outcomes) >= goal)


def requests_of(server):
    """How many requests to judge the server has read, whatever became of them."""
    text = httpx.get(f"{server.url}/metrics", timeout=300).text
    found = re.findall(r'^acceptor_requests_total\{outcome="\w+",path="/v1/judge"\} (\S+)$', text, re.M)
    return sum(map(float, found))


def test_a_life_of_two_workers(toy_run, tmp_path):
    """Killed, reloaded, not reloaded, stopped: no accepted request is lost, except by the killed worker."""
    folder = tmp_path / "judge"
    shutil.copytree(toy_run.folder, folder)

    def version():
        return httpx.get(f"{server.url}/v1/models", timeout=300).json()["models"][0]

    with serving(folder, "--workers", "2", env=os.environ | {"TMPDIR": str(tmp_path)}) as server:
        with Load(server) as load:
            load.some()
            first = server.workers()
            assert len(first) == 2
            victim = first[0]
            for _ in range(4):  # one after the other, each as soon as it serves: no loop of failing starts
                os.kill(victim, signal.SIGKILL)
                (victim,) = wait_for(lambda: set(server.workers()) - {victim, first[1]})  # noqa: B023
                wait_for(lambda: list(tmp_path.glob(f"acceptor-serve-*/started-{victim}")))  # noqa: B023
            wait_for(server.is_ready)
            load.some()
        assert set(load.outcomes) <= {"right", "ReadError", "RemoteProtocolError"}
        assert load.outcomes.count("right") > 20

        before = version()
        about = json.loads((folder / "judge.json").read_text())
        write_judge(folder, about | {"temperature": 2.5})
        read = requests_of(server)
        with Load(server) as load:
            load.some()
            old = set(server.workers())
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: any("were reloaded" in line for line in server.lines))
            wait_for(lambda: not old & set(server.workers()))
            load.some()
        # All that the server has read are answered right; a connection of which it has read nothing may be closed.
        assert requests_of(server) - read == load.outcomes.count("right")
        assert set(load.outcomes) <= {"right", "RemoteProtocolError", "ReadError"}
        assert version()["temperature"] == 2.5 != before["temperature"]
        assert version()["version"] != before["version"]

        (folder / "model.safetensors").write_bytes(b"damaged")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("the old ones go on" in line for line in server.lines))
        assert version()["temperature"] == 2.5

        with Load(server) as load:
            load.some()
            assert server.stop() == 0
        # Each client may have one connection of which the server has read nothing; it gets no part of an answer.
        assert set(load.outcomes) <= {"right", "refused", "RemoteProtocolError", "ReadError"}
        assert sum(load.outcomes.count(name) for name in ("RemoteProtocolError", "ReadError")) <= len(load.threads)


def test_ctrl_c_ends_it_and_workers_do_not_outlive_their_parent(toy_onnx, tmp_path):
    """Ctrl-C reaches every process of the terminal's group; here both processes are asked to show what they do."""
    with serving(toy_onnx) as server:
        (worker,) = server.workers()
        assert os.getpgid(worker) != os.getpgid(server.process.pid)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(600) == 0
        assert not any("Unexpected" in line for line in server.lines)
    with serving(toy_onnx, env=os.environ | {"TMPDIR": str(tmp_path)}) as server:
        (worker,) = server.workers()
        assert list(tmp_path.glob("acceptor-serve-*"))
        server.process.kill()
        wait_for(lambda: not is_alive(worker))
        assert not list(tmp_path.glob("acceptor-serve-*"))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


HANGING = """
import sys, time
from acceptor.judging.judge import Judge
computed = Judge.logits_in
def hang(self, encoded, *arguments):
    if len(encoded) == 3:
        time.sleep(10_000)
    return computed(self, encoded, *arguments)
Judge.logits_in = hang
from acceptor.cli.app import main
main()
"""


def test_a_judge_that_hangs_makes_the_server_not_ready_and_its_worker_is_started_anew(toy_onnx):
    with serving(toy_onnx, "--timeout", "3", program=("-c", HANGING)) as server:
        (first,) = server.workers()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(post, server, "/v1/judge", {"sentences": [GOOD] * 3})
            wait_for(lambda: not server.is_ready())
            with contextlib.suppress(httpx.TransportError):
                assert answer.result().status_code == 504
        wait_for(lambda: server.workers() not in ([], [first]))
        wait_for(server.is_ready)
        assert post(server, "/v1/judge", {"sentences": [GOOD]}).status_code == 200


FAILING = """
from acceptor.serve.batcher import Batcher
async def fail(*arguments):
    raise ArithmeticError("no such number" + chr(27) + "[31m")
Batcher.logits = fail
from acceptor.cli.app import main
main()
"""


def test_the_log_says_why_a_request_failed(toy_onnx):
    with serving(toy_onnx, program=("-c", FAILING)) as server:
        answer = post(server, "/v1/judge", {"sentences": [GOOD]})
        assert (answer.status_code, answer.json()["error"]["next"]) == (500, "its log says why")
    log = "".join(server.lines)
    assert "/v1/judge failed\nTraceback" in log
    assert "ArithmeticError: no such number\\x1b[31m" in log


def test_a_server_whose_counters_were_removed_answers_and_its_new_workers_count_again(toy_onnx, tmp_path):
    """As cleaners of temporary folders do."""
    with serving(toy_onnx, env=os.environ | {"TMPDIR": str(tmp_path)}) as server:

        def answers():
            return post(server, "/v1/judge", {"sentences": [GOOD]}).status_code == 200

        (folder,) = tmp_path.glob("acceptor-serve-*")
        shutil.rmtree(folder)
        assert answers()
        lost = httpx.get(f"{server.url}/metrics", timeout=300)
        assert (lost.status_code, "SIGHUP" in lost.json()["error"]["next"]) == (500, True)
        for anew in (
            lambda worker: os.kill(worker, signal.SIGKILL),
            lambda worker: server.process.send_signal(signal.SIGHUP),
        ):
            (old,) = server.workers()
            shutil.rmtree(folder, ignore_errors=True)
            anew(old)
            wait_for(lambda: old not in server.workers())  # noqa: B023
            wait_for(server.is_ready)
            assert answers()
            assert requests_of(server) == 1
        assert not any("cannot count" in line for line in server.lines)


def test_a_stop_while_judges_are_reloaded_is_not_forgotten(toy_run):
    with serving(toy_run.folder) as server:
        process = psutil.Process(server.process.pid)
        before = process.cpu_times().user
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: process.cpu_times().user > before + 0.02)  # it loads them
        assert server.stop() == 0


FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from acceptor.cli.app import main
main()
"""


def test_more_clients_than_files_may_be_open_wait(toy_onnx):
    with serving(toy_onnx, program=("-c", FEW_FILES)) as server:
        assert httpx.get(f"{server.url}/info").json()["max_concurrent_requests"] == 256 - FILES_BESIDE_CONNECTIONS
        assert len([line for line in server.lines if "ulimit -n" in line]) == 1
        with contextlib.ExitStack() as connected:
            for _ in range(300):
                connected.enter_context(socket.create_connection(server.host.split(":")))
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        assert not [line for line in server.lines if "Too many open files" in line]
