"""Slow connections: headers, bodies and answers at a byte a second."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from typing import Any

from benchmarks.load.client import Load
from benchmarks.load.processes import Client, Server, asked, peak_memory
from benchmarks.load.texts import Material

HEAD = b"POST /v1/judge HTTP/1.1\r\nhost: 127.0.0.1\r\n"
KINDS = ("headers", "bodies", "readers")


def attacked(material: Material, server: Server, count: int, seconds: float) -> dict[str, Any]:
    """Good clients before and during the attack, and when slow connections were closed, in seconds from their start."""

    def good(seconds: float, first: int) -> Load:
        return Load(
            server.port,
            material.base,
            16,
            seconds=seconds,
            first=first,
            count=material.count,
            verdicts=material.verdicts,
            core=material.core,
        )

    before = asked(good(min(10.0, seconds), 0))
    ends: dict[str, list[float]] = {kind: [] for kind in KINDS}
    is_begun = threading.Event()
    attack = threading.Thread(target=lambda: asyncio.run(_attack(server.port, count, seconds, ends, is_begun)))
    with peak_memory(server, every=0.5) as memory:
        attack.start()
        is_begun.wait(30)
        meanwhile = Client(good(max(1.0, seconds - 2), material.count // 2)).result()
        attack.join()
    bad = {
        name: number
        for result in (before, meanwhile)
        for name, number in result["outcomes"].items()
        if name not in ("right", "busy, with Retry-After")
    }
    return {
        "connections": count,
        "p99_before": before["p99"],
        "p99_meanwhile": meanwhile["p99"],
        "bad": bad,
        "closed": {kind: len(times) for kind, times in ends.items()},
        "left_open": {kind: len(range(place, count, 3)) - len(ends[kind]) for place, kind in enumerate(KINDS)},
        "latest_seconds": {kind: max(times, default=0.0) for kind, times in ends.items()},
        "memory_growth": memory["peak"] - memory["before"],
    }


async def _attack(port: int, count: int, seconds: float, ends: dict[str, list[float]], begun: threading.Event) -> None:
    tasks = [asyncio.create_task(_slow(port, KINDS[number % 3], ends)) for number in range(count)]
    await asyncio.sleep(1)
    begun.set()
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _slow(port: int, kind: str, ends: dict[str, list[float]]) -> None:
    """A connection that goes on until the server closes it."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        began = time.perf_counter()
        with contextlib.suppress(OSError):
            if kind == "readers":
                await loop.sock_sendall(connection, b"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 4)
            elif kind == "bodies":
                await loop.sock_sendall(connection, HEAD + b"content-length: 1000\r\n\r\n")
            else:
                await loop.sock_sendall(connection, HEAD)
            while await _is_open(connection, kind):
                await asyncio.sleep(1)
        ends[kind].append(time.perf_counter() - began)


async def _is_open(connection: socket.socket, kind: str) -> bool:
    """Sends or reads a byte; false if the server has closed the connection."""
    loop = asyncio.get_running_loop()
    if kind == "readers":
        return bool(await loop.sock_recv(connection, 1))
    await loop.sock_sendall(connection, b"a")
    try:
        return bool(connection.recv(4096))  # an answer, such as 408, comes before the end
    except BlockingIOError:
        return True
