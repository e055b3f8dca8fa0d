"""Sentences a second at saturation, against `predict` and other servers in turn; latency at half of that load."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.load import peers
from benchmarks.load.checks import Check, Part
from benchmarks.load.client import Load
from benchmarks.load.processes import REPOSITORY, Server, acceptor_server, asked
from benchmarks.load.texts import Material, offline

CONNECTIONS, EACH = 64, 8
ROUNDS = 5
SECONDS = 5.0
PREDICTED = 10_000  # texts of a round of `predict`
LATENCIES = {"p50": 0.015, "p99": 0.060}
OF_PREDICT = 0.85
OF_PEERS = 2.0

Way = Callable[[int], dict[str, Any]]


def throughput(material: Material) -> Part:
    """All ways in turn, so that what disturbs the machine disturbs all of them; medians of ratios within a round."""
    rounds, seconds = (1, 2.0) if material.quick else (ROUNDS, SECONDS)
    onnx = exported(material)
    skipped: dict[str, str] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    with contextlib.ExitStack() as stack:
        servers = _servers(material, onnx, stack, skipped)
        for number in range(rounds):
            with _alone(None, servers):
                found.setdefault("predict", []).append(_predicted(material))
            for name, server in servers.items():
                with _alone(name, servers):
                    found.setdefault(name, []).append(_served(material, name, server, seconds, number))
            rate = found["serve"][-1]["right_per_second"] / 2
            with _alone("serve", servers):
                half = _served(material, "serve", servers["serve"], seconds, number, rate=rate)
            found.setdefault("half", []).append(half)
        idle = {name: server.cpu() for name, server in servers.items()}
    figures = {"ways": found, "skipped": skipped, "cpu_seconds": idle, "rounds": rounds, "seconds": seconds}
    bad = {
        f"{name}: {outcome}": count
        for name, results in found.items()
        for result in results
        for outcome, count in result.get("outcomes", {}).items()
        if outcome != "right"
    }
    if material.quick:
        return Part([Check("throughput: answers other than right", str(bad), "{}", not bad)], figures)
    checks, figures["summary"] = _summary(found, skipped)
    return Part([*checks, Check("the same: answers other than right", str(bad), "{}", not bad)], figures)


def exported(material: Material) -> Path:
    """The judge as one ONNX file."""
    onnx = material.scratch / "judge.onnx"
    command = [sys.executable, "-m", "acceptor", "export", str(material.run), "-o", str(onnx), "--quiet"]
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=REPOSITORY)
    return onnx


def _servers(material: Material, onnx: Path, stack: contextlib.ExitStack, skipped: dict[str, str]) -> dict[str, Server]:
    """The servers by name. They stay started; all but the one that is measured are paused."""
    servers = {
        "serve": stack.enter_context(acceptor_server(material.run)),
        "serve_onnx": stack.enter_context(acceptor_server(onnx)),
    }
    for name in peers.PATHS:
        if why := peers.missing(name):
            skipped[name] = why
        else:
            servers[name] = stack.enter_context(peers.started(name, material.run, onnx))
    return servers


@contextlib.contextmanager
def _alone(name: str | None, servers: dict[str, Server]) -> Iterator[None]:
    """Pauses all servers but one: LitServe, for one, takes .11 of a core while it waits for requests."""
    with contextlib.ExitStack() as stack:
        for each, server in servers.items():
            if each != name:
                stack.enter_context(server.paused())
        yield


def _predicted(material: Material) -> dict[str, Any]:
    count = min(PREDICTED, material.count)
    seconds = offline(material.run, material.base, count, "-", "--predict")["seconds"]
    return {"sentences_per_second": count / seconds}


def _served(
    material: Material, name: str, server: Server, seconds: float, number: int, rate: float | None = None
) -> dict[str, Any]:
    is_ours = name in ("serve", "serve_onnx")
    before = server.cpu()
    result = asked(
        Load(
            server.port,
            material.base,
            CONNECTIONS if rate is None else 4 * CONNECTIONS,
            seconds=seconds,
            first=number * material.count // EACH // ROUNDS,
            count=material.count // EACH,
            each=EACH,
            rate=rate,
            path="/v1/judge" if is_ours else peers.PATHS[name],
            verdicts=material.verdicts if is_ours else None,
            tolerance=max(1e-5, material.bf16),
            core=material.core,
            seed=number,
        )
    )
    result["sentences_per_second"] = result["right_per_second"] * EACH
    result["server_cpu_share"] = (server.cpu() - before) / result["seconds"]
    return result


def _summary(found: dict[str, list[dict[str, Any]]], skipped: dict[str, str]) -> tuple[list[Check], dict[str, Any]]:
    rates = {name: [one["sentences_per_second"] for one in results] for name, results in found.items()}
    medians = {name: statistics.median(each) for name, each in rates.items() if name != "half"}
    half = {name: statistics.median(one[name] for one in found["half"]) for name in LATENCIES}
    summary: dict[str, Any] = {"sentences_per_second": medians, "at_half": half, "ratios": {}}
    checks = []

    def compare(ours: str, other: str, target: float) -> None:
        ratio = statistics.median(one / two for one, two in zip(rates[ours], rates[other], strict=True))
        summary["ratios"][f"{ours} / {other}"] = ratio
        text = f"{ratio:.2f} ({medians[ours]:,.0f} / {medians[other]:,.0f} sentences/s)"
        what = f"{CONNECTIONS} clients × {EACH} sentences: {NAMES[ours]} / {NAMES[other]}"
        checks.append(Check(what, text, f"≥ {target:g}", ratio >= target, is_speed=True))

    compare("serve", "predict", OF_PREDICT)
    compare("serve", "fastapi", 1.0)
    for name in peers.VERSIONS:
        if name in skipped:
            checks.append(Check(f"serve / {NAMES[name]}", skipped[name], f"≥ {OF_PEERS:g}", None))
            continue
        compare("serve", name, OF_PEERS)
        compare("serve_onnx", name, OF_PEERS)
    for name, target in LATENCIES.items():
        text, most = f"{half[name] * 1e3:.1f} ms", f"≤ {target * 1e3:g} ms"
        what = f"half of that load, open loop: {name}"
        checks.append(Check(what, text, most, half[name] <= target, is_speed=True))
    share = max(one["cpu_share"] for results in found.values() for one in results if "cpu_share" in one)
    summary["largest_client_cpu_share"] = share
    text = f"{share:.0%} of one core at most"
    checks.append(Check("the client is not the bottleneck: its own CPU", text, "≤ 50%", share <= 0.5, is_speed=True))
    return checks, summary


NAMES = {
    "serve": "serve RUN",
    "serve_onnx": "serve FILE.onnx",
    "predict": "acceptor predict",
    "fastapi": "FastAPI, a request at a time",
    "mosec": f"mosec {peers.VERSIONS['mosec']} with FILE.onnx",
    "litserve": f"LitServe {peers.VERSIONS['litserve']} with FILE.onnx",
}
