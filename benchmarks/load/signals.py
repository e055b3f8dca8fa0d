"""Signals under load: SIGTERM to the server, SIGHUP to the server, SIGKILL to one of two workers."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.load.checks import Check, Part
from benchmarks.load.client import Load
from benchmarks.load.processes import Client, Server, acceptor_server, wait_for
from benchmarks.load.texts import Material

CONNECTIONS = 200
FRESH = 20  # of those that open a connection for each request and never look whether the server is about to end
BACK_SECONDS = 5.0
NEVER_SECONDS = 60.0
FINE = {"right", "busy, with Retry-After", "refused before any byte was sent"}


def signals(material: Material) -> Part:
    """All three kinds of rounds."""
    rounds = 2 if material.quick else 50
    checks: list[Check] = []
    figures: dict[str, Any] = {}
    for name, run in (("sigterm", _terminated), ("sighup", _reloaded), ("sigkill", _killed)):
        part = run(material, rounds)
        checks += part.checks
        figures[name] = part.figures
    return Part(checks, figures)


def _options(material: Material) -> tuple[str, ...]:
    """A short notice, so that rounds are quick; a longer one in a test suite, whose processes may be starved."""
    return ("--precision", "fp32", "--drain-delay", "1" if material.quick else "0.2")


def _load(material: Material, server: Server, draw: random.Random, **more: Any) -> Load:
    """Clients that send one request after the other; the numbers of their texts begin anywhere."""
    return Load(
        server.port,
        material.base,
        CONNECTIONS,
        first=draw.randrange(material.count),
        count=material.count,
        verdicts=material.verdicts,
        core=material.core,
        **more,
    )


def _bad(results: list[dict[str, Any]]) -> dict[str, int]:
    """How many requests ended in each way that is not documented."""
    found: dict[str, int] = {}
    for result in results:
        for name, count in result["outcomes"].items():
            if name not in FINE and name != "lost":
                found[name] = found.get(name, 0) + count
    return found


# ---------------------------------------------------------------------------------- SIGTERM


def _terminated(material: Material, rounds: int) -> Part:
    """SIGTERM at a random moment. The next server starts meanwhile, since that takes longest."""
    draw, results, exits, seconds = random.Random(1), [], [], []

    def start() -> Server:
        return acceptor_server(material.run, *_options(material))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(start)
        for number in range(rounds):
            server = coming.result()
            if number + 1 < rounds:
                coming = pool.submit(start)
            with server:
                client = Client(_load(material, server, draw, again=False, fresh=FRESH))
                client.wait_open()
                time.sleep(draw.random())
                server.process.send_signal(signal.SIGTERM)
                seconds.append(_seconds_until(lambda server=server: server.process.poll() is not None))
                exits.append(server.process.poll())
                results.append(client.result())
    lost = [each for result in results for each in result["lost"]]
    # A connection that was just opened may still wait in the kernel when the socket is closed: nobody accepted it.
    accepted = [each for each in lost if each["answers"] or each["begun"]]
    requests = sum(result["sent"] for result in results)
    figures = {
        "rounds": rounds,
        "requests": requests,
        "lost": len(accepted),
        "examples": accepted[:5],
        "reset_before_accepted": len(lost) - len(accepted),
        "bad": _bad(results),
        "exit_codes": sorted(set(exits), key=str),
        "longest_seconds": max(seconds),
    }
    return Part(
        [
            _lost(f"{rounds} × SIGTERM, {requests:,} requests", len(accepted), figures["bad"]),
            Check(
                "the same: connections opened after the notice, reset before the server accepted them",
                str(len(lost) - len(accepted)),
                "none, or the client tries again",
                None,
            ),
            Check("the exit code after SIGTERM", str(figures["exit_codes"]), "[0]", set(exits) == {0}),
            *_back("the end after SIGTERM", seconds),
        ],
        figures,
    )


def _lost(what: str, lost: int, bad: dict[str, int]) -> Check:
    found = f"{lost} lost" + "".join(f", {count} × {name}" for name, count in bad.items())
    return Check(f"{what}: accepted requests that were lost or went wrong", found, "0", not lost and not bad)


def _back(what: str, seconds: list[float]) -> list[Check]:
    """That it came at all, in each round, and soon."""
    longest, never = max(seconds), sum(each >= NEVER_SECONDS for each in seconds)
    kept, target = longest <= BACK_SECONDS, f"≤ {BACK_SECONDS:g} s"
    return [
        Check(f"{what}: not within {NEVER_SECONDS:g} s", f"{never} of {len(seconds)} rounds", "0", not never),
        Check(f"{what}: longest of all rounds", f"{longest:.2f} s", target, kept, is_speed=True),
    ]


def _seconds_until(condition: Callable[[], Any]) -> float:
    """Seconds until the condition is true; `NEVER_SECONDS` if it does not become true."""
    began = time.perf_counter()
    try:
        wait_for(condition, "a new worker", NEVER_SECONDS)
    except TimeoutError:
        return NEVER_SECONDS
    return time.perf_counter() - began


# ---------------------------------------------------------------------------------- SIGHUP


def _reloaded(material: Material, rounds: int) -> Part:
    """SIGHUP again and again while clients send."""
    draw, seconds = random.Random(2), []
    with acceptor_server(material.run, *_options(material)) as server:
        with _under_load(material, server, draw) as results:
            for _ in range(rounds):
                time.sleep(draw.random() * 0.2)
                (old,) = server.workers()
                server.process.send_signal(signal.SIGHUP)
                seconds.append(_seconds_until(lambda old=old: old not in server.workers() and _answers(server)))
        counted = sum(server.outcomes().values())
    answers = sum(count for name, count in _all(results).items() if name not in ("lost", "hung"))
    lost = [each for result in results for each in result["lost"]]
    requests = sum(result["sent"] for result in results)
    figures = {
        "rounds": rounds,
        "requests": requests,
        "lost": len(lost),
        "lost_after_they_were_read": counted - answers,
        "examples": lost[:5],
        "bad": _bad(results),
        "longest_seconds": max(seconds),
        "longest_gap_in_answers": max(result["gap"] for result in results),
    }
    return Part(
        [
            _lost(f"{rounds} reloads by SIGHUP, {requests:,} requests", counted - answers, figures["bad"]),
            Check(
                "the same: sent on a connection at the moment when it was closed, and never read by the server",
                str(len(lost) - (counted - answers)),
                "none, or the client tries again",
                None,
            ),
            *_back("a new worker after SIGHUP", seconds),
        ],
        figures,
    )


@contextlib.contextmanager
def _under_load(material: Material, server: Server, draw: random.Random) -> Iterator[list[dict[str, Any]]]:
    """Clients that send until the block ends; then the list has their results."""
    results: list[dict[str, Any]] = []
    client = Client(_load(material, server, draw))
    client.wait_open()
    try:
        yield results
    finally:
        client.stop()
        results.append(client.result())


def _all(results: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for result in results:
        for name, count in result["outcomes"].items():
            found[name] = found.get(name, 0) + count
    return found


def _answers(server: Server) -> bool:
    return server.status("/health/live") == 200


# ---------------------------------------------------------------------------------- SIGKILL


def _killed(material: Material, rounds: int) -> Part:
    """SIGKILL to one of two workers. It is stopped first, so that its connections can be listed."""
    draw, seconds = random.Random(3), []
    kills: list[tuple[float, set[int]]] = []  # when, and the ports of the connections that end with the worker
    options = (*_options(material), "--workers", "2")
    with acceptor_server(material.run, *options) as server, _under_load(material, server, draw) as results:
        for _ in range(rounds):
            time.sleep(draw.random() * 0.2)
            before = server.workers()
            victim = draw.choice(before)
            os.kill(victim, signal.SIGSTOP)
            kills.append((time.monotonic(), connections_of(victim)))
            os.kill(victim, signal.SIGKILL)
            seconds.append(_seconds_until(lambda before=before: _new_worker_answers(server, before)))
    lost = [each for result in results for each in result["lost"]]
    others = [each for each in lost if each["port"] not in _last_kill(kills, each["at"])]
    in_flight = sum(len(ports) for _, ports in kills)
    requests = sum(result["sent"] for result in results)
    figures = {
        "rounds": rounds,
        "requests": requests,
        "connections_of_killed_workers": in_flight,
        "ended_with_them": len(lost) - len(others),
        "lost_elsewhere": len(others),
        "examples": others[:5],
        "bad": _bad(results),
        "longest_seconds": max(seconds),
        "longest_gap_in_answers": max(result["gap"] for result in results),
    }
    what = f"{rounds} × SIGKILL to one of two workers, {requests:,} requests"
    return Part(
        [
            _lost(f"{what}: those of other workers", len(others), figures["bad"]),
            Check(f"{what}: ended with their worker", str(len(lost) - len(others)), "any", None),
            *_back("a new worker after SIGKILL", seconds),
        ],
        figures,
    )


def _last_kill(kills: list[tuple[float, set[int]]], when: float) -> set[int]:
    """The ports of the worker that was killed last before a time."""
    before = [ports for at, ports in kills if at <= when]
    return before[-1] if before else set()


def _new_worker_answers(server: Server, before: list[int]) -> bool:
    """True if a worker that was not there before has answered on a connection of its own."""
    new = set(server.workers()) - set(before)
    if not new:
        return False
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        if connection.recv(4096).startswith(b"HTTP/1.1 200"):
            return any(connection.getsockname()[1] in connections_of(worker) for worker in new)
    return False


def connections_of(pid: int) -> set[int]:
    """The clients' ports of the connections that a process holds."""
    inodes = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                inodes.add(os.readlink(entry.path).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and fields[9] in inodes:  # established
            found.add(int(fields[2].rpartition(":")[2], 16))
    return found
