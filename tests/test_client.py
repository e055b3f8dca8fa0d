"""The client of a server: with `acceptor serve` in a process of its own, and a scripted server for the rest."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

import acceptor
from acceptor.cli.prompt import Prompt
from acceptor.errors import DataError, RequestError, UsageError
from acceptor.evaluation.words import explain
from acceptor.serve.exchange import HttpRequest, Pause, Reply, exchange, server_of
from conftest import REPOSITORY, raises, toy_rows, wait_for

pytestmark = pytest.mark.enable_socket

KEY = "a-key-for-tests"
GOOD, BAD = "the cats sleep.", "the cat them sleep."
VERDICT = {"label": "b", "probability": 0.75, "margin": 1.0, "probabilities": [0.25, 0.75], "logits": [0.0, 1.0]}


@contextlib.contextmanager
def serving(folder, *arguments, port=0, key=None):
    """`acceptor serve` in its own process: its address, and the process."""
    log = folder / "serve.log"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "TMPDIR": str(folder)}
    environment.pop("ACCEPTOR_API_KEY", None)
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "acceptor", "serve", *map(str, arguments), "--port", str(port)],
            stderr=stderr,
            env=environment | ({"ACCEPTOR_API_KEY": key} if key else {}),
        )
    try:

        def address():
            assert process.poll() is None, log.read_text()
            return re.search(r"serving at (http://\S+)", log.read_text())

        yield wait_for(address)[1], process
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def server(toy_run, pair_run, tmp_path_factory):
    """The address of a server with two judges and a key."""
    judges = (f"toy={toy_run.folder}", f"pairs={pair_run.folder}")
    with serving(tmp_path_factory.mktemp("server"), *judges, key=KEY) as (url, _):
        with acceptor.Client(url, api_key=KEY) as client:
            wait_for(client.ready)
        yield url


@pytest.fixture
def client(server):
    with acceptor.Client(server, api_key=KEY) as found:
        yield found


class Scripted(http.server.ThreadingHTTPServer):
    """Gives its answers one after the other, the last one again and again: (status, headers, body), or a function."""

    daemon_threads = True

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked, self.ended = list(answers), [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that has gone is no error here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        server.asked.append((self.path, json.loads(body or b"null"), len(body)))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        answer = answer(self) if callable(answer) else answer
        if answer is None:
            return
        status, headers, content = answer
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def scripted(*answers):
    with Scripted(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def judged(handler):
    """The answer to any number of sentences."""
    sentences = handler.server.asked[-1][1]["sentences"]
    return 200, {}, {"labels": ["a", "b"], "verdicts": [VERDICT] * len(sentences)}


def dropped(handler):
    """Closes the connection without an answer."""
    handler.close_connection = True


def hanging(handler):
    """Answers when the test is over."""
    handler.server.ended.wait()
    dropped(handler)


def dripping(handler):
    """An answer whose bytes come one by one, for at least three seconds."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(300):
        if not handler.server.ended.wait(0.01):
            handler.wfile.write(b" ")
    handler.wfile.write(json.dumps(judged(handler)[2]).encode())
    dropped(handler)


BUSY = (429, {"retry-after": "0"}, {"error": {"code": "E-REQUEST-BUSY", "message": "the queue is full"}})


def same(verdicts, others):
    """The same verdicts, up to the rounding of other batches."""
    for name in ("label", "unknown", "truncated"):
        assert [getattr(one, name) for one in verdicts] == [getattr(one, name) for one in others]
    for one, other in zip(verdicts, others, strict=True):
        assert one.logits == pytest.approx(other.logits, abs=1e-4)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert one.probability == pytest.approx(other.probability, abs=1e-5)


# ---------------------------------------------------------------------- the same as a judge in this process


def test_the_verdicts_are_those_of_the_judge(client, toy_run, caplog):
    sentences = [*(text for text, _ in toy_rows(600, 3)), GOOD * 100]
    verdicts = client(sentences)
    assert verdicts[-1].truncated
    client.annotate(pl.DataFrame({"sentence": sentences}))
    assert "1 of 601 texts are longer than the judge reads" in caplog.messages[-1]
    assert "row 601" in caplog.messages[-1]
    assert {one.label for one in verdicts} == {"acceptable", "unacceptable"}
    same(verdicts, toy_run.judge(sentences))
    assert client([]) == []
    assert repr(client).startswith("Client(http://127.0.0.1:")


def test_a_judge_is_chosen_by_its_name_and_takes_pairs(server, pair_run):
    rows = [text for text, _ in toy_rows(300, 4)]
    seconds = [f"the girl {row}" for row in rows]
    with acceptor.Client(server, api_key=KEY, model="pairs") as pairs:
        same(pairs(rows, seconds), pair_run.judge(rows, seconds))
        with raises(RequestError, "E-DATA-PAIRS") as caught:
            pairs(rows)
        assert caught.value.status == 422
    with (
        acceptor.Client(server, api_key=KEY, model="toi") as nobody,
        raises(RequestError, "E-REQUEST-MODEL", problem="toy") as caught,
    ):
        nobody(rows)
    assert caught.value.status == 404


def test_the_rest_is_that_of_the_judge(client, toy_run):
    assert [one["name"] for one in client.models()] == ["toy", "pairs"]
    assert client.models()[0]["labels"] == list(toy_run.judge.labels)
    compared = client.compare(GOOD, BAD)
    assert (compared["better"], compared["label"]) == ("first", "acceptable")
    assert compared["difference"] == pytest.approx(-client.compare(BAD, GOOD)["difference"])
    texts = [GOOD, BAD, *(text for text, _ in toy_rows(9, 5))]
    for one, other in zip(client.explain(texts), explain(toy_run.judge, texts), strict=True):
        assert (one.sentence, one.words, one.method) == (other.sentence, other.words, other.method)
        assert one.weights == pytest.approx(other.weights, abs=1e-3)
        assert one.margin == pytest.approx(other.margin, abs=1e-3)
        same([one.verdict], [other.verdict])


def test_the_row_that_a_server_refuses_is_that_of_the_list(client):
    sentences = [GOOD] * 300
    sentences[261] = sentences[265] = "ǂ"  # no known token: in the second request
    where = "sentences 256 to 299"
    with raises(RequestError, "E-DATA-VOCABULARY", problem="where position 261", where=where) as caught:
        client(sentences)
    assert caught.value.positions == [261, 265]


def test_a_frame_without_rows_gets_the_same_columns(client, toy_run):
    empty = pl.DataFrame(schema={"sentence": pl.String, "logit(acceptable)": pl.Float64})
    judge = acceptor.load(toy_run.folder)
    for all_scores in (False, True):
        assert (
            client.annotate(empty, all_scores=all_scores).schema == judge.annotate(empty, all_scores=all_scores).schema
        )


def test_a_frame_without_rows_needs_a_judge_that_exists(server):
    empty = pl.DataFrame({"sentence": []}, schema={"sentence": pl.String})
    with (
        acceptor.Client(server, api_key=KEY, model="nope") as client,
        raises(RequestError, "E-REQUEST-MODEL", problem="'nope'", expected="toy, pairs", where=server),
    ):
        client.annotate(empty, all_scores=True)


def test_asyncio_gives_the_same(server, client):
    sentences = [text for text, _ in toy_rows(300, 6)]

    async def ask():
        async with acceptor.AsyncClient(server, api_key=KEY) as twin:
            found = await asyncio.gather(*(twin(sentences[start:]) for start in range(3)))
            assert await twin.ready()
            assert await twin.models() == client.models()
            assert await twin.compare(GOOD, BAD) == pytest.approx(client.compare(GOOD, BAD))
            [one] = await twin.explain([GOOD])
            assert one.words == client.explain([GOOD])[0].words
            with raises(DataError, "E-DATA-TEXT"):
                await twin([" "])
            return found

    for start, verdicts in enumerate(asyncio.run(ask())):
        same(verdicts, client(sentences[start:]))


def test_what_no_judge_reads_is_refused_before_it_is_sent(client):
    for bad in ([" "], [1], "text"):
        with pytest.raises(DataError):
            client(bad)


def test_what_the_server_refuses_says_which_part(client):
    with raises(RequestError, "E-REQUEST-SIZE", where="sentences 256 to 299 of the list") as caught:
        client([GOOD] * 299 + ["x" * 10_001])
    assert caught.value.status == 413


# ---------------------------------------------------------------------- the key


@pytest.mark.parametrize("given", [None, "a-wrong-key"])
def test_a_missing_or_wrong_key_names_the_variable(server, given, monkeypatch):
    monkeypatch.delenv("ACCEPTOR_API_KEY", raising=False)
    cause = "ACCEPTOR_API_KEY is not set" if given is None else "the argument api_key"
    with (
        acceptor.Client(server, api_key=given) as refused,
        raises(RequestError, "E-REQUEST-KEY", cause=cause, next="export ACCEPTOR_API_KEY") as caught,
    ):
        refused([GOOD])
    assert caught.value.status == 401


def test_the_key_is_read_from_its_variable_and_not_shown(server, monkeypatch):
    monkeypatch.setenv("ACCEPTOR_API_KEY", KEY)
    with acceptor.Client(server) as found:
        assert found([GOOD])[0].label == "acceptable"
        assert KEY not in repr(found) + repr(vars(found))
    monkeypatch.setenv("ACCEPTOR_API_KEY", "naïve")
    with raises(UsageError, "E-USAGE-OPTION", where="ACCEPTOR_API_KEY"):
        acceptor.Client(server)


# ---------------------------------------------------------------------- what goes wrong


def test_a_busy_server_and_a_lost_connection_are_asked_again():
    with scripted(BUSY, dropped, (503, {}, b""), judged) as server, acceptor.Client(server.url) as client:
        assert [one.label for one in client([GOOD])] == ["b"]
    assert len(server.asked) == 4
    assert len({json.dumps(body) for _, body, _ in server.asked}) == 1


def test_long_lists_go_in_parts_within_the_limits_of_the_server():
    texts = [f"{number} " + "ж" * 9_000 for number in range(200)] + ["short"] * 600
    with scripted(judged) as server, acceptor.Client(server.url) as client:
        assert len(client(texts)) == len(texts)
    assert [text for _, body, _ in server.asked for text in body["sentences"]] == texts
    assert all(len(body["sentences"]) <= 256 and size < 1_000_000 for _, body, size in server.asked)
    assert len(server.asked) < 10


def test_the_pause_is_what_the_server_asks_for_and_a_random_part():
    pauses = []
    for _ in range(20):
        steps = exchange(server_of("http://h", None, 60), "POST", "/v1/judge", {})
        assert isinstance(next(steps), HttpRequest)
        pauses.append(steps.send(Reply(429, headers={"retry-after": "7"})))
        steps.close()
    assert all(isinstance(one, Pause) and 7 < one.seconds < 8 for one in pauses)
    assert len(set(pauses)) > 1


def test_the_deadline_ends_the_tries():
    steps = exchange(server_of("http://h", None, 60), "POST", "/v1/judge", {})
    next(steps)
    with raises(RequestError, "E-REQUEST") as caught:
        steps.send(Reply(503, headers={"retry-after": "61"}))
    assert (caught.value.status, caught.value.retry_after) == (503, 61)
    with (
        scripted(BUSY) as server,
        acceptor.Client(server.url, timeout=1) as client,
        raises(RequestError, "E-REQUEST-BUSY", problem="the queue is full", where="tries in 1 s") as caught,
    ):
        client([GOOD])
    assert caught.value.status == 429


@pytest.mark.parametrize("answer", [hanging, dripping])
def test_an_answer_that_does_not_end_is_given_up(answer):
    async def ask(url):
        async with acceptor.AsyncClient(url, timeout=0.3) as twin:
            await twin([GOOD])

    with scripted(answer) as server:
        with (
            acceptor.Client(server.url, timeout=0.3) as client,
            raises(RequestError, "E-REQUEST-CONNECTION", cause="not complete in time") as caught,
        ):
            client([GOOD])
        assert caught.value.status == 0
        with raises(RequestError, "E-REQUEST-CONNECTION", cause="not complete in time"):
            asyncio.run(ask(server.url))


def test_a_refused_request_is_not_repeated():
    bad = (422, {}, {"error": {"code": "E-REQUEST-FIELD", "message": "no", "next": "see /docs"}})
    with scripted(bad) as server, acceptor.Client(server.url) as client:
        with raises(RequestError, "E-REQUEST-FIELD", problem="no", next="see /docs") as caught:
            client([GOOD])
        assert (caught.value.status, len(server.asked)) == (422, 1)


@pytest.mark.parametrize(
    ("answer", "code", "fields"),
    [
        ((200, {}, b"<html>"), "E-REQUEST-ANSWER", {"found": "<html>"}),
        ((200, {}, b'{"labels":["a","b"],"verdicts":[NaN]}'), "E-REQUEST-ANSWER", {}),
        ((200, {}, b"[" * 100_000), "E-REQUEST-ANSWER", {}),
        ((200, {}, {"labels": ["a"], "verdicts": []}), "E-REQUEST-ANSWER", {"expected": "1 verdicts"}),
        ((200, {}, {"labels": ["a", "b"], "verdicts": [{"label": "b"}]}), "E-REQUEST-ANSWER", {}),
        ((200, {}, {"labels": ["x", "y"], "verdicts": [VERDICT]}), "E-REQUEST-ANSWER", {}),
        ((404, {}, b"<html>"), "E-REQUEST-PATH", {"cause": "another kind of server"}),
        ((301, {"location": "https://other/"}, b""), "E-REQUEST", {"found": "https://other/"}),
        ((418, {}, {"error": "a teapot"}), "E-REQUEST", {"problem": "a teapot"}),
        (
            (403, {}, {"error": {"code": "E-REQUEST-ORIGIN", "next": "--origin"}}),
            "E-REQUEST-ORIGIN",
            {"next": "--origin"},
        ),
        (
            (200, {}, {"labels": ["a"], "verdicts": [{"error": {"code": "E-RUN-NAN", "message": "no number"}}]}),
            "E-RUN-NAN",
            {"where": "position 0"},
        ),
    ],
)
def test_an_answer_of_another_kind_is_a_typed_error(answer, code, fields):
    with scripted(answer) as server, acceptor.Client(server.url) as client:
        with raises(RequestError, code, **fields) as caught:
            client([GOOD])
        assert (caught.value.status, len(server.asked)) == (answer[0], 1)


def test_a_judge_that_changes_within_a_list_is_noticed():
    other = (200, {}, {"labels": ["b", "a"], "verdicts": [VERDICT] * 44})
    with (
        scripted(judged, other) as server,
        acceptor.Client(server.url) as client,
        raises(RequestError, "E-REQUEST-ANSWER", expected="a, b", found="b, a"),
    ):
        client([GOOD] * 300)


@pytest.fixture
def closed():
    """The address of a port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_no_server_is_a_typed_error_with_the_next_command(closed):
    with acceptor.Client(closed, timeout=1) as client:
        assert not client.ready()
        for ask in (client.models, lambda: client([GOOD])):
            with raises(RequestError, "E-REQUEST-CONNECTION", where=closed, next="acceptor serve") as caught:
                ask()
            assert caught.value.status == 0


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("ftp://localhost", ""),
        ("http://", ""),
        ("http://a b", ""),
        ("http://host:99999", ""),
        ("http://host:port", ""),
        ("http://user:secret@host", ""),
        ("http://host/?q=1", ""),
        ("http://..", ""),
        ("http://[::1", ""),
        ("", ""),
        (None, ""),
        (b"http://host", ""),
        ("http://" + "a" * 64, ""),
        ("http://999.1.1.1", ""),
        ("http://xn--0", ""),
        ("http://host/\0", ""),
    ],
)
def test_an_address_with_a_mistake_is_refused_at_once(url, advice):
    with raises(UsageError, "E-USAGE-ADDRESS", **({"next": advice} if advice else {})):
        acceptor.Client(url)


@pytest.mark.parametrize(
    "option", [{"timeout": one} for one in (0, -1, float("nan"), float("inf"), 1e12, "5", None)] + [{"api_key": 12345}]
)
def test_an_option_that_cannot_be_used_is_refused_at_once(option):
    with raises(UsageError, "E-USAGE-OPTION"):
        acceptor.Client("http://localhost", **option)


def test_a_judge_whose_name_is_no_text_is_asked_for_as_json_escapes_it(server):
    with (
        acceptor.Client(server, api_key=KEY, model="a\ud800") as client,
        raises(RequestError, "E-REQUEST-MODEL", problem=("no judge called", "toy, pairs")),
    ):
        client([GOOD])


@pytest.mark.parametrize("url", ["http://[::1]:8000", "https://judge.example.org/nlp/", "http://localhost"])
def test_other_addresses_are_taken(url):
    with acceptor.Client(url) as client:
        assert repr(client) == f"Client({url.rstrip('/')})"


def test_a_server_on_this_machine_is_asked_without_the_proxy(server, closed, monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, closed)
    with acceptor.Client(server, api_key=KEY) as client:
        assert len(client([GOOD])) == 1

    async def asked():
        async with acceptor.AsyncClient(server, api_key=KEY) as client:
            return await client([GOOD])

    assert len(asyncio.run(asked())) == 1
    with (
        acceptor.Client("http://judge.example.org", timeout=0.1) as client,
        raises(RequestError, "E-REQUEST-CONNECTION", cause="by the proxy in HTTP_PROXY"),
    ):
        client.models()
    with raises(RequestError, "E-REQUEST-CONNECTION") as caught, acceptor.Client("http://[::1]:1") as client:
        client.models()
    assert "PROXY" not in caught.value.details["cause"]


def test_tls_where_there_is_none_is_not_tried_again(server):
    with (
        acceptor.Client(server.replace("http:", "https:")) as client,
        raises(RequestError, "E-REQUEST-CONNECTION", cause="SSL", next=server),
    ):
        client([GOOD])


def test_an_overloaded_server_answers_everyone_and_a_restarted_one_is_found_again(toy_run, toy_onnx, tmp_path):
    """A queue for one token admits one request at a time, and refuses all others."""
    command = (toy_onnx, "--max-queue", "1")
    lists = [[text for text, _ in toy_rows(256, seed)] for seed in range(4)]
    with serving(tmp_path, *command) as (url, process), acceptor.Client(url, timeout=600) as client:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(3):
                for found, sentences in zip(pool.map(client, lists), lists, strict=True):
                    same(found, toy_run.judge(sentences))
        process.kill()
        wait_for(lambda: not client.ready())  # its worker ends by itself
        folder = tmp_path / "again"
        folder.mkdir()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client, [GOOD, BAD])  # the first tries find nobody
            with serving(folder, *command, port=url.rpartition(":")[2]):
                same(asked.result(), toy_run.judge([GOOD, BAD]))


# ---------------------------------------------------------------------- the commands


@pytest.fixture
def with_key(monkeypatch):
    monkeypatch.setenv("ACCEPTOR_API_KEY", KEY)


def numbers(line):
    """A line of JSON with its numbers rounded."""
    return json.loads(line, parse_float=lambda text: pytest.approx(float(text), abs=1e-3))


@pytest.mark.usefixtures("with_key")
@pytest.mark.parametrize("stdin", ["", f"{GOOD}\n\n{BAD}\n"])
def test_judge_prints_the_same_for_a_server_as_for_a_run(run_cli, server, toy_run, stdin):
    sentences = () if stdin else (GOOD, BAD)
    ours, theirs = (run_cli("judge", where, *sentences, "--json", stdin=stdin) for where in (toy_run.folder, server))
    assert ours[0] == theirs[0] == 0, theirs
    expected = [json.loads(line) for line in ours[1].splitlines()]
    assert [numbers(line) for line in theirs[1].splitlines()] == expected
    assert len(expected) == (2 if stdin else 1)
    text = [run_cli("judge", where, *sentences, stdin=stdin)[1] for where in (toy_run.folder, server)]
    assert text[0] == text[1]


@pytest.mark.usefixtures("with_key")
def test_judge_explains_by_a_server(run_cli, server, toy_run):
    code, out, _ = run_cli("judge", server, BAD, "--why", "occlusion", "--json")
    [found] = json.loads(out)["explanations"]
    assert (code, found["words"]) == (0, ["the", "cat", "them", "sleep", "."])
    assert run_cli("judge", server, BAD, "--why", "occlusion")[0] == 0
    for options in (("--why", "gradients"), ("--device", "cpu")):
        code, out, _ = run_cli("judge", server, BAD, *options, "--json")
        assert (code, json.loads(out)["code"]) == (2, "E-USAGE-CONFLICT")


def test_the_prompt_answers_the_same(client, toy_run):
    judge = toy_run.judge
    ours = Prompt(judge, judge.labels, judge.decision, lambda texts: explain(judge, texts))
    theirs = Prompt(client, judge.labels, judge.decision, client.explain)
    for line in (GOOD, f":compare {BAD} | {GOOD}", ":help"):
        (content, text), (expected, expected_text) = theirs.answer(line), ours.answer(line)
        assert text == expected_text
        assert content.keys() == expected.keys()
    assert theirs.answer(f":why {BAD}")[0]["explanations"][0]["words"][2] == "them"


def test_judge_says_what_is_wrong_with_an_address(run_cli, closed):
    code, out, _ = run_cli("judge", "localhost:8000", GOOD, "--json")
    assert (code, json.loads(out)["next"]) == (2, "http://localhost:8000")
    code, out, _ = run_cli("judge", closed, GOOD, "--json")
    assert (code, json.loads(out)["code"]) == (1, "E-REQUEST-CONNECTION")


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in toy_rows(60, 8)))
    return path


@pytest.mark.usefixtures("with_key")
def test_compare_judges_by_every_kind_of_server(run_cli, server, toy_run, labelled):
    host = server.removeprefix("http://")
    servers = [server, f"tei+{server}", f"v2+http://{host}/v2/models/toy", f"classify+{server}/v1/classify"]
    code, out, err = run_cli(
        "compare", toy_run.folder, *servers, toy_run.folder, "--data", labelled, "--price-per-hour", 3.6, "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    assert [one["name"] for one in found["comparisons"]][:4] == servers
    assert [(one["n"], one["disagreeing"], one["difference"]) for one in found["comparisons"]] == [(60, 0, 0)] * 5
    assert [(one["name"], one["kind"]) for one in found["servers"]] == list(
        zip(servers, ("acceptor", "tei", "v2", "classify"), strict=True)
    )
    for one in found["servers"]:
        assert one["requests"] == 8
        assert 0 < one["p50"] <= one["p99"]
        assert one["cost_per_thousand"] == pytest.approx(1 / one["sentences_per_second"])
    code, out, _ = run_cli("compare", toy_run.folder, server, "--data", labelled)
    assert code == 0
    assert "sentences a second" in out


@pytest.mark.usefixtures("with_key")
def test_compare_judges_pairs_by_a_server(run_cli, server, pair_run, tmp_path):
    path = tmp_path / "pairs.tsv"
    rows = "".join(f"{text}\tthe girl sees.\t{label}\n" for text, label in toy_rows(20, 9))
    path.write_text("sentence\tsecond\tlabel\n" + rows)
    code, out, err = run_cli("compare", pair_run.folder, f"v2+{server}/v2/models/pairs", "--data", path, "--json")
    assert code == 0, err
    assert json.loads(out)["comparisons"][0]["disagreeing"] == 0
    code, out, _ = run_cli("compare", pair_run.folder, f"classify+{server}", "--data", path, "--json")
    assert (code, json.loads(out)["code"]) == (2, "E-USAGE-PAIRS")


def other_server(path, answer):
    """A server that knows one path."""
    return lambda handler: answer(handler.server.asked[-1][1]) if handler.path == path else (404, {}, b"Not Found")


def tei(*labels):
    row = [{"score": 0.25, "label": labels[0]}, {"score": 0.75, "label": labels[1]}]
    return other_server("/predict", lambda body: (200, {}, [row] * len(body["inputs"])))


def vllm(body):
    rows = [{"index": index, "label": "acceptable", "probs": [0.25, 0.75]} for index in range(len(body["input"]))]
    return 200, {}, {"data": rows[::-1]}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(tei("unacceptable", "acceptable"), "tei"), (other_server("/classify", vllm), "classify")],
)
def test_compare_finds_the_kind_of_a_server(run_cli, toy_run, labelled, answer, kind):
    with scripted(answer) as server:
        code, out, err = run_cli("compare", toy_run.folder, server.url, "--data", labelled, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["servers"][0]["kind"] == kind
    assert found["comparisons"][0]["scores"][1] in (0, None)  # it always says the same
    assert found["comparisons"][0]["disagreeing"] > 0


def test_compare_refuses_other_labels_and_names_both(run_cli, toy_run, labelled):
    with scripted(tei("LABEL_0", "LABEL_1")) as server:
        code, out, _ = run_cli("compare", toy_run.folder, server.url, "--data", labelled, "--json")
    error = json.loads(out)
    assert (code, error["code"]) == (1, "E-REQUEST-ANSWER")
    assert (error["expected"], error["found"]) == ("unacceptable, acceptable", "LABEL_0, LABEL_1")


def test_compare_says_what_a_server_needs(run_cli, toy_run, labelled, closed):
    for arguments, code in (
        ((toy_run.folder, closed), "E-USAGE-CONFLICT"),
        ((closed, toy_run.folder, "--data", labelled), "E-USAGE-CONFLICT"),
        ((toy_run.folder, closed, "--data", labelled, "--split", "test"), "E-USAGE-CONFLICT"),
        ((toy_run.folder, closed, "--data", labelled, "--metric", "f2"), "E-USAGE-OPTION"),
        ((toy_run.folder, toy_run.folder, "--price-per-hour", 1), "E-USAGE-CONFLICT"),
        ((toy_run.folder, f"grpc+{closed}", "--data", labelled), "E-USAGE-ADDRESS"),
        ((toy_run.folder, f"{closed}/predict", "--data", labelled), "E-USAGE-ADDRESS"),
    ):
        ended, out, _ = run_cli("compare", *arguments, "--json")
        assert (ended, json.loads(out)["code"]) == (2, code), arguments
    with scripted(other_server("/v2", lambda _: (200, {}, {"name": "triton"}))) as server:
        ended, out, _ = run_cli("compare", toy_run.folder, server.url, "--data", labelled, "--json")
        assert (ended, json.loads(out)["next"]) == (2, f"v2+{server.url}/v2/models/NAME")
    refused = {"error": {"code": "E-DATA-PAIRS", "message": "the judge takes pairs"}}
    with scripted((422, {}, refused)) as server:
        ended, out, _ = run_cli("compare", toy_run.folder, server.url, "--data", labelled, "--json")
        assert (ended, json.loads(out)["code"]) == (1, "E-DATA-PAIRS")
    with scripted((404, {}, b"")) as server:
        ended, out, _ = run_cli("compare", toy_run.folder, server.url, "--data", labelled, "--json")
        assert (ended, json.loads(out)["code"]) == (1, "E-REQUEST-PATH")


def test_the_page_runs(server, toy_run, monkeypatch, tmp_path):
    """The Python of docs/en/howto/client.md, with this server's address."""
    monkeypatch.setenv("ACCEPTOR_API_KEY", KEY)
    page = (REPOSITORY / "docs" / "en" / "howto" / "client.md").read_text("utf-8")
    blocks = re.findall(r"^```text\n((?:import|async).*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block.replace("http://127.0.0.1:8000", server), "client.md", "exec"), names)
