"""Hostile clients: slow connections, malformed bodies, and bodies that are endless, in pieces, compressed, too long."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.load.checks import Check, Part
from benchmarks.load.malformed import malformed_bodies
from benchmarks.load.processes import Server, acceptor_server, peak_memory
from benchmarks.load.slow import attacked
from benchmarks.load.texts import Material

LIMIT = 2_000_000
MEMORY = 64_000_000
SECONDS = 40.0  # a body has 30
CHUNK = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"


def hostile(material: Material) -> Part:
    """Slow connections, giant bodies and malformed ones, against one server."""
    checks: list[Check] = []
    figures: dict[str, Any] = {}
    with acceptor_server(material.run, "--precision", "fp32") as server:
        for attack in (slow_connections, giant_bodies, malformed_bodies):
            part = attack(material, server)
            checks += part.checks
            figures[attack.__name__] = part.figures
    return Part(checks, figures)


def giant_bodies(material: Material, server: Server) -> Part:
    """Sends each of `cases`; none may be taken, none may hang, and memory may hardly grow."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for _ in range(3):  # what the first requests of that size allocate is kept for the next ones
        sent(server, b"content-length: %d\r\n" % LIMIT, body_of(LIMIT))
    with peak_memory(server) as memory:
        for name, expected, head, body in cases():
            if material.quick and 408 in expected:  # it takes 30 s
                continue
            status = sent(server, head, body, half_close="half-close" in name)
            found[name] = str(status)
            if status not in expected:
                wrong.append(f"{name}: {status} in place of {' or '.join(map(str, expected))}")
    is_ready = server.status("/health/ready") == 200
    growth = memory["peak"] - memory["before"]
    figures = {"answers": found, "wrong": wrong, "memory_growth": growth, "ready_afterwards": is_ready}
    refused = f"{len(found) - len(wrong)} of {len(found)}" + "".join(f"; {each}" for each in wrong)
    grown = f"{growth / 1e6:.1f} MB"
    return Part(
        [
            Check("giant bodies, endless ones, wrong lengths, a gzip bomb: refused", refused, "all", not wrong),
            Check("the same: growth of the memory of all processes", grown, "< 64 MB", growth < MEMORY),
            Check("the same: ready afterwards", str(is_ready), "True", is_ready),
        ],
        figures,
    )


def body_of(size: int) -> bytes:
    """A JSON object of so many bytes, with a field that does not exist."""
    return b'{"a": "' + b"a" * (size - 9) + b'"}'


Case = tuple[str, tuple[int | None, ...], bytes, bytes | Callable[[], Iterator[bytes]]]


def cases() -> list[Case]:
    """Each case: its name, the statuses that are right (None: closed without one), headers, and the body."""
    chunked = b"transfer-encoding: chunked\r\n"
    small = b'{"sentences": ["The cats sleep."]}'
    bomb = gzip.compress(b'{"sentences": ["' + b"a" * 50_000_000 + b'"]}')

    def length(size: int) -> bytes:
        return b"content-length: %d\r\n" % size

    return [
        ("2,000,000 - 1 bytes", (422,), length(LIMIT - 1), body_of(LIMIT - 1)),
        ("2,000,000 bytes", (422,), length(LIMIT), body_of(LIMIT)),
        ("2,000,000 + 1 bytes", (413,), length(LIMIT + 1), body_of(LIMIT + 1)),
        ("10 GB declared", (413,), length(10**10), lambda: _repeated(b"a" * 65_536, 10**10)),
        ("10 GB in chunks", (413,), chunked, lambda: _repeated(CHUNK, 10**10)),
        ("1,000,000 chunks of one byte", (413,), chunked, lambda: _repeated(b"1\r\na\r\n" * 1_000, 6 * 10**6)),
        ("length too long, then silence", (408, None), length(len(small) + 100), small),
        ("length too long, then half-close", (400, None), length(len(small) + 100), small),
        ("length too short", (400,), length(len(small) - 5), small),
        ("length negative", (400,), b"content-length: -1\r\n", small),
        ("length no number", (400,), b"content-length: many\r\n", small),
        ("two lengths that differ", (400,), length(len(small)) + length(len(small) + 1), small),
        ("a bad chunk", (400, None), chunked, b"zz\r\nabc\r\n0\r\n\r\n"),
        ("a gzip bomb", (415,), b"content-encoding: gzip\r\n" + length(len(bomb)), bomb),
        ("gzip under another name", (415,), b"content-encoding: x-gzip\r\n" + length(len(bomb)), bomb),
    ]


def _repeated(piece: bytes, size: int) -> Iterator[bytes]:
    for _ in range(size // len(piece)):
        yield piece


def sent(
    server: Server, head: bytes, body: bytes | Callable[[], Iterator[bytes]], *, half_close: bool = False
) -> int | str | None:
    """The status of the answer; None if the connection was closed without one; "hung" if nothing came."""
    pieces = [body] if isinstance(body, bytes) else body()
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
        connection.sendall(b"POST /v1/judge HTTP/1.1\r\nhost: 127.0.0.1\r\n" + head + b"\r\n")
        try:
            for piece in pieces:
                connection.sendall(piece)
                if _has_answer(connection):
                    break
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except TimeoutError:
            return "hung"
        except OSError:
            pass  # refused while it was sent; the answer is there already
        return _status(connection)


def _has_answer(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK)) or True  # bytes, or the end
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(SECONDS)


def _status(connection: socket.socket) -> int | str | None:
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65_536)
            if not more:
                return None
            data += more
    except TimeoutError:
        return "hung"
    except OSError:
        return None
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", data)
    return int(found[1]) if found else "no HTTP"


# ---------------------------------------------------------------------------------- slow connections


def slow_connections(material: Material, server: Server) -> Part:
    """Connections that send or read a byte a second, and what good clients notice of them."""
    count, seconds = (30, 3.0) if material.quick else (500, 40.0)
    figures: dict[str, Any] = attacked(material, server, count, seconds)
    is_ready = server.status("/health/ready") == 200
    checks = [
        Check(f"{count} slow connections: ready afterwards", str(is_ready), "True", is_ready),
        Check(
            f"{count} slow connections: answers of good clients that are wrong or missing",
            json.dumps(figures["bad"]),
            "{}",
            not figures["bad"],
        ),
    ]
    if material.quick:
        return Part(checks, figures)
    ratio, late = figures["p99_meanwhile"] / figures["p99_before"], figures["latest_seconds"]
    left = figures["left_open"]
    checks += [
        Check("the same: p99 of good clients, to before", f"{ratio:.2f}", "< 2", ratio < 2, is_speed=True),
        Check(
            "the same: slow headers closed, the last one after",
            f"{late['headers']:.1f} s",
            "10 s (≤ 15)",
            not left["headers"] and late["headers"] <= 15,
        ),
        Check(
            "the same: slow bodies closed, the last one after",
            f"{late['bodies']:.1f} s",
            "30 s (≤ 35)",
            not left["bodies"] and late["bodies"] <= 35,
        ),
        Check("the same: slow readers still open at the end", str(left["readers"]), "no deadline is promised", None),
    ]
    return Part(checks, figures)
