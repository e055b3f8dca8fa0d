"""Operations about the server itself: its health, its counters, its description, a reload."""

from __future__ import annotations

import multiprocessing
import os
import signal

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from acceptor.errors import RequestError
from acceptor.serve import metrics
from acceptor.serve.operation import Operation
from acceptor.serve.page import HEADERS
from acceptor.serve.service import Service
from acceptor.text import Json


async def live(service: Service, request: Request, body: None) -> Json:
    """The process answers."""
    return {"status": "live"}


async def ready(service: Service, request: Request, body: None) -> Json:
    """Requests are answered: checked by a forward pass if the last one failed."""
    await service.check_ready()
    return {"status": "ready"}


async def counters(service: Service, request: Request, body: None) -> Response:
    """The counters of all workers."""
    content, kind = metrics.exposition()
    return Response(content, headers={"content-type": kind})


async def reload(service: Service, request: Request, body: None) -> Response:
    """Loads the judges anew from the same paths, as SIGHUP does; the old ones stay if that fails."""
    server = multiprocessing.parent_process()  # none in another server, such as Ray Serve
    if service.settings.api_key is None or server is None or server.pid is None:
        raise RequestError(
            "this server has no API key, so nobody may reload it over HTTP",
            status=404,
            next="send the server's process SIGHUP, or start it with a key",
            code="E-REQUEST-PATH",
        )
    os.kill(server.pid, signal.SIGHUP)
    return Response(b'{"status": "reloading"}', 202, {"content-type": "application/json"})


async def openapi(service: Service, request: Request, body: None) -> Json:
    """The description of all operations."""
    document: Json = request.state.description
    return document


async def docs(service: Service, request: Request, body: None) -> Response:
    """The description as a page."""
    from acceptor.serve.description import as_page

    return HTMLResponse(as_page(request.state.description), headers=HEADERS)


OPERATIONS = (
    Operation("GET", "/health/live", live, "The process answers", is_open=True),
    Operation("GET", "/health/ready", ready, "Requests are answered", is_open=True),
    Operation("GET", "/health", ready, "Text Embeddings Inference: requests are answered", is_open=True),
    Operation("GET", "/metrics", counters, "Counters for Prometheus", media_type="text/plain"),
    Operation("POST", "/admin/reload", reload, "Reload the judges; only with a key", statuses=(202,)),
    Operation("GET", "/openapi.json", openapi, "This description, for programs", is_open=True),
    Operation("GET", "/docs", docs, "This description, as a page", is_open=True, media_type="text/html"),
)
