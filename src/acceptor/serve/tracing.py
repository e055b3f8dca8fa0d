"""Traces for OpenTelemetry: a span for each request, with its time in the queue and its time computing below it.

They are made only if ``OTEL_EXPORTER_OTLP_ENDPOINT`` says where to send them. OpenTelemetry's own variables set the
rest: ``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER``, ``OTEL_EXPORTER_OTLP_HEADERS`` and so on.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acceptor.environment import variable
from acceptor.serve.metrics import outcome_of

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
WITHOUT = ("/health", "/v2/health", "/metrics")  # paths that are asked every few seconds
NANO = 1_000_000_000

_tracer: Any = None


def traced(app: ASGIApp) -> ASGIApp:
    """The application with a span for each request; the application itself if nobody collects spans."""
    if not any(map(variable, ENDPOINTS)):
        return app
    try:
        provider = _provider()
    except ModuleNotFoundError as error:
        logger.warning("no traces are sent: %s; pip install 'acceptor[otel]'", error)
        return app
    global _tracer
    _tracer = provider.get_tracer("acceptor")
    return _Traced(app, provider)


def record(model: str, *, waited: float, computed: float, tokens: int) -> None:
    """Adds the time in a judge's queue, and the time computing, to the span of the present request. Both end now."""
    if _tracer is None:
        return
    now, attributes = time.time_ns(), {"acceptor.model": model, "acceptor.tokens": tokens}
    began = now - int(computed * NANO)
    for name, start, end in (("queue", began - int(waited * NANO), began), ("compute", began, now)):
        _tracer.start_span(name, start_time=start, attributes=attributes).end(end)


def _provider() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = variable("OTEL_SERVICE_NAME") or "acceptor"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _Traced:
    """Makes the spans, below the caller's one if it has sent a ``traceparent``."""

    def __init__(self, app: ASGIApp, provider: Any) -> None:
        self.app, self.provider = app, provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, self._until_shutdown(send))
        elif scope["path"].startswith(WITHOUT):
            await self.app(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, StatusCode

        status: int | None = None

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        caller = extract({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})
        with _tracer.start_as_current_span(scope["method"], context=caller, kind=SpanKind.SERVER) as span:
            try:
                await self.app(scope, receive, send_seen)
            finally:
                path = scope.get("state", {}).get("path", "other")
                span.update_name(f"{scope['method']} {path}")
                span.set_attributes({"http.request.method": scope["method"], "http.route": path})
                span.set_attribute("acceptor.outcome", outcome_of(status))
                if status is not None:
                    span.set_attribute("http.response.status_code", status)
                if status is not None and status >= 500:
                    span.set_status(StatusCode.ERROR)

    def _until_shutdown(self, send: Send) -> Send:
        """Sends what is left at the end, because a worker process ends without running exit handlers."""

        async def send_seen(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                self.provider.shutdown()
            await send(message)

        return send_seen
