"""Connections to a server, with and without asyncio: they do what an `exchange` says."""

from __future__ import annotations

import asyncio
import time
from typing import Any, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

from acceptor import __version__
from acceptor.serve.exchange import ANSWER_BYTES, HttpRequest, Pause, Reply, Server, Steps, no_address
from acceptor.serve.settings import is_loopback

T = TypeVar("T")


class Connection:
    """Open connections to a server, which are used again. Several threads may ask at the same time."""

    def __init__(self, server: Server) -> None:
        self._http = httpx.Client(base_url=server.url, headers=_headers(server), mounts=_direct(server))

    def run(self, steps: Steps[T]) -> T:
        """What the steps end in."""
        try:
            step = next(steps)
            while True:
                step = steps.send(self._do(step))
        except StopIteration as done:
            result: T = done.value
            return result

    def _do(self, step: HttpRequest | Pause) -> Reply:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return Reply(0)
        until = time.monotonic() + step.seconds  # httpx' own timeout starts again with each piece of an answer
        try:
            with self._http.stream(step.method, step.path, **_sent(step)) as response:
                content = bytearray()
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > ANSWER_BYTES or time.monotonic() > until:
                        return _unfinished(content)
                return _reply(response, content)
        except httpx.HTTPError as error:
            return _lost(error)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


class AsyncConnection:
    """The same for asyncio, in one event loop."""

    def __init__(self, server: Server) -> None:
        self._http = httpx.AsyncClient(base_url=server.url, headers=_headers(server), mounts=_direct(server))

    async def run(self, steps: Steps[T]) -> T:
        """What the steps end in."""
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._do(step))
        except StopIteration as done:
            result: T = done.value
            return result

    async def _do(self, step: HttpRequest | Pause) -> Reply:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return Reply(0)
        content = bytearray()
        try:
            async with (
                asyncio.timeout(step.seconds),
                self._http.stream(step.method, step.path, **_sent(step)) as response,
            ):
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > ANSWER_BYTES:
                        return _unfinished(content)
                return _reply(response, content)
        except TimeoutError:
            return _unfinished(content)
        except httpx.HTTPError as error:
            return _lost(error)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()


def _direct(server: Server) -> dict[str, None]:
    """The addresses that both clients of httpx ask without a proxy: the server's, if it is on this machine.

    Raises:
        UsageError: The host is one that no request can have.
    """
    try:
        host = httpx.URL(server.url).host
    except (httpx.InvalidURL, UnicodeError):  # such as 999.1.1.1, or an encoded name that decodes to nothing
        raise no_address(server.url) from None
    # No proxy reaches this machine's own addresses, and it would be sent the key as plain text.
    return {f"all://[{host}]" if ":" in host else f"all://{host}": None} if is_loopback(host) else {}


def _headers(server: Server) -> dict[str, str]:
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": f"acceptor/{__version__}",
    }
    return headers | ({"authorization": f"Bearer {server.api_key}"} if server.api_key else {})


def _sent(step: HttpRequest) -> dict[str, Any]:
    return {"content": step.body, "timeout": step.seconds}


def _reply(response: httpx.Response, content: bytes | bytearray) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, bytes(content), headers)


def _unfinished(content: bytearray) -> Reply:
    if len(content) > ANSWER_BYTES:
        return Reply(0, lost=f"its answer has more than {ANSWER_BYTES:,} bytes", is_final=True)
    return Reply(0, lost="its answer was not complete in time")


def _lost(error: httpx.HTTPError) -> Reply:
    if isinstance(error, httpx.ConnectTimeout):
        return Reply(0, lost="no connection in time" + _by_proxy(error.request.url))
    if isinstance(error, httpx.TimeoutException):
        return _unfinished(bytearray())
    why = str(error) or type(error).__name__
    return Reply(0, lost=why + _by_proxy(error.request.url), is_final="SSL" in why)


def _by_proxy(url: httpx.URL) -> str:
    """The end of a cause: the variable with the proxy to which a request was sent, if there is one."""
    variables = [name for name in (url.scheme, "all") if name in getproxies()]
    if not variables or is_loopback(url.host) or proxy_bypass(url.host):
        return ""
    return f", by the proxy in {variables[0].upper()}_PROXY"
