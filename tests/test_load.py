"""`benchmarks/load`: its quick form with a real server, and that each of its checks can fail."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY))

from benchmarks.load.client import Load, text_of
from benchmarks.load.leak import LIMIT, slope
from benchmarks.load.processes import asked

pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1"]),
    pytest.mark.skipif(sys.platform != "linux", reason="/proc"),
]


def test_the_quick_form_finds_every_promise_kept(toy_onnx):
    """Figures of speed are left out: they depend on what else the machine does."""
    command = [sys.executable, "-m", "benchmarks.load", "--quick", "--run", str(toy_onnx)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["figures"].keys() == {"ledger", "signals", "hostile"}
    assert [one for one in found["checks"] if one["is_kept"] is False and not one["is_speed"]] == []
    assert done.returncode == 0, done.stderr[-2000:]
    assert found["figures"]["ledger"]["outcomes"]["right"] == 1_980


# ---------------------------------------------------------------------- a server that does everything wrong

BASE = ["The cats sleep.", "The cat sleep."]
KINDS = ("right", "wrong", "429 without Retry-After", "busy, with Retry-After", "status 500", "lost", "hung")


class Faulty(BaseHTTPRequestHandler):
    """What it does with a request depends on the number in its text."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        (text,) = json.loads(self.rfile.read(int(self.headers["content-length"])))["sentences"]
        number = int(text.rsplit(" ", 1)[1])
        kind = KINDS[number % len(KINDS)]
        if kind == "lost":
            self.close_connection = True
        elif kind == "hung":
            self.server.over.wait(60)
        else:
            # "wrong" is the answer to another request, as if two were swapped
            self.answer(kind, number + len(KINDS) * (kind == "wrong"))

    def answer(self, kind, number):
        status = {"429": 429, "busy": 429, "status": 500}.get(kind.split()[0].strip(","), 200)
        content = json.dumps({"verdicts": [{"label": "a", "probability": number / 1000}]}).encode()
        self.send_response(status)
        if kind.startswith("busy"):
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def faulty():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    server.daemon_threads, server.over = True, threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_client_finds_each_fault(faulty, tmp_path):
    base, verdicts = tmp_path / "base.json", tmp_path / "verdicts.json"
    base.write_text(json.dumps(BASE))
    verdicts.write_text(json.dumps([["a", number / 1000] for number in range(70)]))
    found = asked(Load(faulty, str(base), 4, requests=70, verdicts=str(verdicts), hung=1.0))
    assert found["outcomes"] == dict.fromkeys(KINDS, 10)
    assert (found["sent"], len(found["lost"])) == (70, 10)


def test_the_client_counts_refused_connections(faulty, tmp_path):
    base = tmp_path / "base.json"
    base.write_text(json.dumps(BASE))
    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as closed:
        port = closed.server_port
    found = asked(Load(port, str(base), 2, requests=10))
    assert found["outcomes"] == {"refused before any byte was sent": 10}


def test_every_text_is_unique():
    assert len({text_of(BASE, number) for number in range(1_000)}) == 1_000


# ---------------------------------------------------------------------- leaks


def samples(leak, noise=200_000, steady=500_000_000):
    draw = random.Random(0)
    return [(500 * step, steady + int(500 * step * leak + draw.gauss(0, noise))) for step in range(120)]


def test_a_leak_is_told_from_noise():
    assert slope(samples(0))["interval"][1] < LIMIT
    low, high = slope(samples(600))["interval"]
    assert LIMIT < low < 600 < high


def test_a_server_with_a_planted_leak_keeps_every_body(toy_onnx, tmp_path):
    """Its bodies are large here, so that a few requests suffice."""
    from benchmarks.load.leak import LEAKY
    from benchmarks.load.processes import acceptor_server

    base = tmp_path / "base.json"
    base.write_text(json.dumps(["the cats sleep. " * 500]))
    growth = {}
    for name, options in (("server", {}), ("planted", {"command": LEAKY})):
        with acceptor_server(toy_onnx, "--precision", "fp32", **options) as server:
            asked(Load(server.port, str(base), 4, requests=40, each=10))
            before = server.memory()
            asked(Load(server.port, str(base), 4, requests=200, each=10))
            growth[name] = (server.memory() - before) / 200
            assert server.outcomes() == {"ok": 240}  # by which `make load` divides
    assert growth["planted"] > 60_000 > growth["server"]
