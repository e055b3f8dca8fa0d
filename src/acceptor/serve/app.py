"""The ASGI application: routes, keys, deadlines, and one outcome for every request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acceptor.errors import DataError, RequestError
from acceptor.serve import access_log, classify, decisions, health, infer, metrics, page, tei, v1
from acceptor.serve.access import check_access
from acceptor.serve.description import openapi_document
from acceptor.serve.gather import clock
from acceptor.serve.limits import ClientGone
from acceptor.serve.operation import Operation, error_body, no_path, validated
from acceptor.serve.service import Service
from acceptor.serve.tracing import traced
from acceptor.text import Json

logger = logging.getLogger(__name__)

OPERATIONS: tuple[Operation, ...] = (
    *v1.OPERATIONS,
    *infer.OPERATIONS,
    *tei.OPERATIONS,
    *classify.OPERATIONS,
    *decisions.OPERATIONS,
    *health.OPERATIONS,
    *page.OPERATIONS,
)
SAFE = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


def application(service: Service) -> ASGIApp:
    """The ASGI application of a service."""
    routes = [_route(one, service) for one in OPERATIONS]
    # No redirects: behind a proxy their address would be without TLS.
    router = Router(routes, redirect_slashes=False, lifespan=_lifespan(service), default=_no_path)
    app: ASGIApp = _with_error_bodies(router)
    if service.settings.origins:
        app = CORSMiddleware(
            app,
            allow_origins=service.settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
            expose_headers=["retry-after"],
        )
    return traced(_CountOutcomes(app, service, openapi_document(OPERATIONS)))


def _with_error_bodies(router: Router) -> ASGIApp:
    """The router, which tells of a path or a method that does not exist as `error_body` does."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await router(scope, receive, send)
        except HTTPException as error:
            refused = no_path(f"there is no {scope['method']} {scope['path'][:200]}", error.status_code)
            headers = {"allow": ", ".join(_methods(router, scope))} if error.status_code == 405 else {}
            response = _json(error_body(refused), error.status_code, headers)
            await response(scope, receive, send)

    return app


def _methods(router: Router, scope: Scope) -> list[str]:
    """The methods of all operations of a path. Starlette would tell those of the first one."""
    routes = [one for one in router.routes if isinstance(one, Route) and one.matches(scope)[0] != Match.NONE]
    return sorted({method for one in routes for method in one.methods or ()})


def _lifespan(service: Service) -> Callable[[Any], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def run(app: Any) -> AsyncIterator[None]:
        loop, watcher = asyncio.get_running_loop(), asyncio.create_task(service.watch())
        for name, ends in (("SIGUSR1", True), ("SIGUSR2", False)):  # from the parent: at its end, and at a reload
            with contextlib.suppress(AttributeError, ValueError, RuntimeError):  # Windows; not in the main thread
                loop.add_signal_handler(getattr(signal, name), service.close_soon, ends)
        metrics.mark_started()
        yield
        watcher.cancel()
        service.close()

    return run


def _route(operation: Operation, service: Service) -> Route:
    async def answer(request: Request) -> Response:
        try:
            request.state.path = operation.path
            if not operation.is_open:
                check_access(request.headers, request.method, service.settings)
            body = None
            if operation.body:
                body = validated(operation.body, await operation.read(request.headers, request.receive))
            content = await _unless_gone(operation.answer(service, request, body), request, service)
            return content if isinstance(content, Response) else _json(content)
        except RequestError as error:
            return _refused(error, operation.error_body)
        except DataError as error:
            return _refused(_unusable(error), operation.error_body)
        except ClientGone:
            raise
        except Exception:
            logger.exception("%s failed", operation.path)
            return _refused(_failed(), operation.error_body)

    return Route(operation.path, answer, methods=[operation.method])


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    data = text.encode("utf-8", "backslashreplace")  # half a surrogate pair, from the request, as JSON escapes it
    return Response(data, status, headers, media_type="application/json")


def _refused(error: RequestError, body: Callable[[RequestError], Json]) -> Response:
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if error.status in (408, 413):  # the rest of the body is not read
        headers["connection"] = "close"
    return _json(body(error), error.status, headers)


def _unusable(error: DataError) -> RequestError:
    """The error of inputs that no judge can read."""
    refused = RequestError(error.problem, status=422, code=error.code)
    refused.positions = error.positions
    for name, text in error.details.items():
        refused.add(name, text)
    return refused


def _failed() -> RequestError:
    return RequestError(
        "the server failed on this request",
        status=500,
        next="its log says why",
        code="E-REQUEST-FAILED",
    )


async def _unless_gone(answer: Awaitable[Any], request: Request, service: Service) -> Any:
    """The answer, within its deadline; it is cancelled if the client leaves before."""
    work, gone = asyncio.ensure_future(answer), asyncio.ensure_future(_until_gone(request.receive))
    try:
        await asyncio.wait((work, gone), timeout=service.settings.timeout, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if gone.done():
            raise ClientGone
    finally:
        for task in (work, gone):
            task.cancel()
    raise RequestError(
        "the request was not answered in time",
        status=504,
        expected=f"an answer within {service.settings.timeout:g} s",
        next="send fewer sentences at once, or try again later",
        retry_after=max(one.batcher.retry_after() for one in service.served.values()),
        code="E-REQUEST-TIMEOUT",
    )


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _no_path(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)


class _CountOutcomes:
    """Counts every request under one outcome, and sees that each gets an answer."""

    def __init__(self, app: ASGIApp, service: Service, description: Json) -> None:
        self.app, self.service, self.description = app, service, description

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["app"] = self  # so that the router raises its errors
        scope.setdefault("state", {})["description"] = self.description
        access_log.begin()
        started, status = clock(), None

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*SAFE, *message["headers"]]
                if self.service.closes_connections:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        with metrics.counting():
            metrics.OPEN.inc()
        try:
            await self.app(scope, receive, send_counted)
        except ClientGone:  # also if it has closed its side alone: Granian then closes the other one
            pass
        finally:
            path, seconds = scope["state"].get("path", "other"), clock() - started
            if self.service.settings.access_log:
                access_log.write(scope["method"], path, status, seconds)
            with metrics.counting():
                metrics.OPEN.dec()
                metrics.REQUESTS.labels(path, metrics.outcome_of(status)).inc()
                metrics.DURATION.labels(path).observe(seconds)
