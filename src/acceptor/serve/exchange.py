"""`exchange`: one request to a server until it is answered: what is sent, when to try again, what an error says.

Nothing here opens a connection. `exchange` is a generator: it yields what to do next, a request or a pause, and is sent
each reply. `serve.connection` does it, with and without asyncio, so that there is one set of rules for both.
"""

from __future__ import annotations

import itertools
import json
import logging
import random
import re
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from acceptor.environment import variable
from acceptor.errors import RequestError, UsageError
from acceptor.serve.settings import KEY_VARIABLE
from acceptor.storage.strict_json import refuse_constant
from acceptor.text import plain

logger = logging.getLogger(__name__)

ANSWER_BYTES = 64_000_000  # of one answer
TRY_AGAIN = frozenset({429, 502, 503, 504})  # of the server, or of a proxy before it
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0  # seconds; each pause is twice the one before
SHOWN = 200  # characters of an answer in an error
LONGEST_TIMEOUT = 1_000_000  # seconds; the system counts milliseconds in 32 bits
LABEL = r"[\w-]{1,63}"  # a part of a name
HOST = rf"{LABEL}(\.{LABEL})*\.?|[0-9a-f:.]*:[0-9a-f:.]*"  # a name, an address, or an address of IPv6
clock = time.monotonic

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """A server, and how requests are sent to it.

    Attributes:
        url: Its address, without a slash at the end.
        timeout: Seconds for each request, with all its tries.
        api_key: Sent as ``Authorization: Bearer KEY``; None sends no header.
        key_source: Where the key comes from, for an error.
    """

    url: str
    timeout: float
    api_key: str | None = field(default=None, repr=False)
    key_source: str = ""


@dataclass(frozen=True)
class HttpRequest:
    """Send a request; give up after so many seconds."""

    method: str
    path: str
    body: bytes | None
    seconds: float


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: The HTTP status; 0 if there was no answer.
        content: The body.
        headers: The headers, in lower case.
        lost: Why there was no answer.
        is_final: Another try would end in the same way.
    """

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: str = ""
    is_final: bool = False


Steps = Generator[HttpRequest | Pause, Reply, T]
"""The steps of one or several requests, which end in a T."""


def server_of(url: str, api_key: str | None, timeout: float) -> Server:
    """The server at an address.

    Args:
        url: Its address: ``http://HOST:PORT``, or with a path if a proxy has one for it.
        api_key: Its key; None for that in the variable ``ACCEPTOR_API_KEY``, if it is set.
        timeout: Seconds for each request, with all its tries.

    Raises:
        UsageError: One of them cannot be used.
    """
    if not (isinstance(timeout, Real) and 0 < timeout <= LONGEST_TIMEOUT):
        raise UsageError(
            "the timeout is out of range",
            expected=f"more than 0 and at most {LONGEST_TIMEOUT:,} s, as a number",
            found=repr(timeout)[:SHOWN],
            code="E-USAGE-OPTION",
        )
    key_source = "the argument api_key" if api_key else f"the variable {KEY_VARIABLE}"
    key = api_key or variable(KEY_VARIABLE)
    if key and not (isinstance(key, str) and key.isascii() and key.isprintable()):
        raise UsageError(
            "the API key cannot be sent",
            where=key_source,
            expected="printable ASCII characters",
            next="copy it again from where the server was started",
            code="E-USAGE-OPTION",
        )
    return Server(_checked(url), float(timeout), key, key_source)


def _checked(url: str) -> str:
    if not (isinstance(url, str) and _is_address(url)):
        raise no_address(url)
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    if not (url.isascii() and url.isprintable()) or re.search(r"[\s?#@\\]", url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and parts.port != 0 and bool(re.fullmatch(HOST, parts.hostname or ""))
    except ValueError:  # a port that is no number, or brackets without an address
        return False


def no_address(url: Any) -> UsageError:
    """The error of what is not the address of a server."""
    is_bare = isinstance(url, str) and re.fullmatch(r"[\w.-]+(:\d+)?(/[\w./-]*)?", url)
    return UsageError(
        "the address of the server cannot be read",
        expected="http://HOST:PORT or https://HOST, without a user, a query or a fragment",
        found=str(url)[:SHOWN],
        next=f"http://{url}" if is_bare else None,
        code="E-USAGE-ADDRESS",
    )


def exchange(server: Server, method: str, path: str, content: Any = None, *, retry: bool = True) -> Steps[Any]:
    """Sends a request until there is an answer; gives its JSON.

    A request changes nothing in the server, so one whose answer was lost is simply sent again.

    Args:
        server: The server.
        method: GET or POST.
        path: The path of the operation.
        content: What is sent, as JSON; None for no body.
        retry: Try again if the server is busy or does not answer, until ``server.timeout``.

    Raises:
        RequestError: The server refuses; or it does not answer in time; or its answer is no JSON.
    """
    body = None if content is None else as_body(content)
    until = clock() + server.timeout
    for tries in itertools.count(1):
        reply = yield HttpRequest(method, path, body, max(0.01, until - clock()))
        if 200 <= reply.status < 300:
            return _parsed(reply, server.url + path)
        error = _refused(reply, server, path)
        pause = _pause_after(error, tries)
        if not retry or error.retry_after is None or clock() + pause >= until:
            if tries > 1:
                error.add("where", f"{server.url}{path}, after {tries} tries in {server.timeout:g} s")
            raise error
        logger.warning("%s: %s; next try in %.1f s", server.url, error.problem, pause)
        yield Pause(pause)
    raise AssertionError  # the loop has no end


def as_body(content: Any) -> bytes:
    """JSON in UTF-8."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair, in a judge's name, as JSON escapes it


def _pause_after(error: RequestError, tries: int) -> float:
    """What the server asks for, and a random part more, so that many clients do not come back at the same moment."""
    most = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 10))
    return (error.retry_after or 0) + random.uniform(most / 2, most)  # noqa: S311 - nothing secret


def _parsed(reply: Reply, where: str) -> Any:
    try:
        return json.loads(reply.content.decode(), parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        unreadable(where, "JSON", _excerpt(reply.content), reply.status)


def unreadable(where: str, expected: str, found: str, status: int = 200) -> NoReturn:
    """Raises the error of an answer that is not what the operation gives."""
    raise RequestError(
        "the answer of the server cannot be read",
        status=status,
        where=where,
        expected=expected,
        found=found[:SHOWN],
        cause="another kind of server, or another version of it",
        next="check the address",
        code="E-REQUEST-ANSWER",
    )


def _refused(reply: Reply, server: Server, path: str) -> RequestError:
    """The error of a reply that is no answer."""
    if not reply.status:
        return _lost(reply, server)
    code, message, next_step, positions = _error_in(reply.content)
    waited = reply.headers.get("retry-after", "").strip()
    wait = min(int(waited), 1_000_000) if re.fullmatch(r"\d{1,9}", waited) else 0
    error = RequestError(
        message or f"the server answers with status {reply.status}",
        status=reply.status,
        retry_after=wait if reply.status in TRY_AGAIN else None,
        where=server.url + path,
        found=None if message else _excerpt(reply.content) or None,
        next=next_step,
        code=code or {401: "E-REQUEST-KEY", 403: "E-REQUEST-KEY", 404: "E-REQUEST-PATH"}.get(reply.status, "E-REQUEST"),
    )
    error.positions = positions
    if reply.status == 401 or (reply.status == 403 and not code):
        given = f"the key in {server.key_source} is not the server's"
        error.add("cause", given if server.api_key else f"no key was given, and {KEY_VARIABLE} is not set")
        error.add("next", f"export {KEY_VARIABLE}=KEY, with the key that the server was started with")
    elif reply.status // 100 == 3:
        error.add("found", f"a redirection to {plain(reply.headers.get('location', 'nowhere'))[:SHOWN]}")
        error.add("next", "give the address to which it redirects")
    elif reply.status in (404, 405) and not code:
        error.add("cause", "another kind of server, or a path in the address that is not its own")
        error.add("next", "check the address: acceptor serve says it in its first line")
    return error


def _lost(reply: Reply, server: Server) -> RequestError:
    """The error of no answer."""
    if "CERTIFICATE" in reply.lost:
        next_step = "give the authority that signed the certificate: export SSL_CERT_FILE=FILE.pem"
    elif "SSL" in reply.lost:
        next_step = f"without TLS: http{server.url.removeprefix('https')}"
    else:
        next_step = "start it: acceptor serve RUN; or check the address"
    return RequestError(
        "the server does not answer",
        status=0,
        retry_after=None if reply.is_final else 0,
        where=server.url,
        cause=reply.lost,
        next=next_step,
        code="E-REQUEST-CONNECTION",
    )


def _error_in(content: bytes) -> tuple[str | None, str | None, str | None, list[int]]:
    """Code, message, next step and positions in the body of an error, of our server's or of others'.

    What is missing is None, or empty.
    """
    try:
        found = json.loads(content.decode())
    except (ValueError, RecursionError):
        return None, None, None, []
    inner = found.get("error", found) if isinstance(found, dict) else None
    if isinstance(inner, str):
        inner = {"message": inner}
    if not isinstance(inner, dict):
        return None, None, None, []
    code, message, step = (
        value[:2000] if isinstance(value := inner.get(name), str) and value else None
        for name in ("code", "message", "next")
    )
    listed = inner.get("positions")
    positions = listed if isinstance(listed, list) and all(type(at) is int for at in listed) else []
    return (code if code and re.fullmatch(r"E-[A-Z-]{1,40}", code) else None), message, step, positions


def _excerpt(content: bytes) -> str:
    return plain(content[:SHOWN].decode("utf-8", "replace"))
