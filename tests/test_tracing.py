"""Traces of `acceptor serve`: a real server, and a real receiver of OpenTelemetry's protocol."""

from __future__ import annotations

import contextlib
import http.server
import os
import subprocess
import sys
import threading

import httpx
import pytest

from acceptor.serve.tracing import ENDPOINTS, traced
from conftest import REPOSITORY
from served import serving

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@contextlib.contextmanager
def collector():
    """A receiver on loopback: its address, and the spans that it has got, each with its resource's service name."""
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    found = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            for resource in service.ExportTraceServiceRequest.FromString(body).resource_spans:
                name = {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"]
                found.extend((name, span) for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", found
        server.shutdown()
        thread.join()


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_request_is_a_span_below_its_callers_with_its_queue_and_its_computing(toy_onnx):
    with (
        collector() as (url, found),
        serving(f"toy={toy_onnx}", env=os.environ | {ENDPOINTS[0]: url}) as server,
    ):
        parent = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        judged = httpx.post(f"{server.url}/v1/judge", json={"sentences": ["the cats sleep."]}, headers=parent)
        assert judged.status_code == 200
        assert httpx.post(f"{server.url}/v1/judge", json={"sentences": []}).status_code == 422
        assert httpx.get(f"{server.url}/nowhere").status_code == 404
        assert httpx.get(f"{server.url}/health/live").status_code == 200
    # the server has ended, and has sent everything before

    assert {name for name, _ in found} == {"acceptor"}
    spans = [span for _, span in found]
    about = {
        span.span_id: {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
        for span in spans
    }
    requests = [span for span in spans if span.name not in ("queue", "compute")]
    assert sorted(
        (one.name, about[one.span_id]["http.response.status_code"], about[one.span_id]["acceptor.outcome"])
        for one in requests
    ) == [("GET other", 404, "invalid"), ("POST /v1/judge", 200, "ok"), ("POST /v1/judge", 422, "invalid")]
    [request] = [one for one in requests if one.trace_id.hex() == TRACE]
    assert request.parent_span_id.hex() == CALLER
    queue, compute = sorted((one for one in spans if one not in requests), key=lambda one: one.name, reverse=True)
    for one in (queue, compute):
        assert (one.trace_id, one.parent_span_id) == (request.trace_id, request.span_id)
        assert about[one.span_id]["acceptor.model"] == "toy"
        assert about[one.span_id]["acceptor.tokens"] >= 3
    times = (queue.start_time_unix_nano, compute.start_time_unix_nano, compute.end_time_unix_nano)
    assert queue.end_time_unix_nano == times[1]
    assert list(times) == sorted(times)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_server_whose_collector_is_not_there_answers_and_ends(toy_onnx):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with serving(toy_onnx, env=os.environ | {ENDPOINTS[0]: "http://127.0.0.1:9"}) as server:
        answer = httpx.post(f"{server.url}/v1/judge", json={"sentences": ["the cats sleep."]})
        assert answer.status_code == 200


def test_without_an_address_nothing_is_imported():
    code = (
        "import sys\nfrom acceptor.serve import app, tracing\nassert tracing.traced(app) is app\n"
        "tracing.record('toy', waited=0, computed=0, tokens=0)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    env = {name: value for name, value in os.environ.items() if name not in ENDPOINTS}
    env["PYTHONPATH"] = str(REPOSITORY / "src")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_without_the_extra_the_server_serves_and_says_so(monkeypatch, caplog):
    async def app(scope, receive, send):
        pass

    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert traced(app) is app
    assert "acceptor[otel]" in caplog.text
