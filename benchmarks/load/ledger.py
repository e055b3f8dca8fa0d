"""Every request of a large load accounted for: by its client, and by the server's own counters."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

from benchmarks.load.checks import Check, Part
from benchmarks.load.client import Load
from benchmarks.load.processes import Client, Server, acceptor_server, peak_memory
from benchmarks.load.texts import Material, noticed

CLIENTS = 2  # processes
GOOD = {"right", "refused as documented", "busy, with Retry-After", "refused before any byte was sent"}
METRICS = {"ok": "right", "invalid": "refused as documented", "refused": "busy, with Retry-After"}


def ledger(material: Material, limit: int) -> Part:
    """Sends unique texts over many connections; each request must end in one documented way, no answer may be wrong.

    Args:
        material: The judge and the texts.
        limit: How many files a process may open.
    """
    connections = min(200 if material.quick else 10_000, limit - 500)
    with acceptor_server(material.run, "--precision", "fp32") as server:
        with peak_memory(server, every=0.5) as memory:
            began = time.perf_counter()
            results = _load(material, server, connections)
            seconds = time.perf_counter() - began
        counted = server.outcomes()
    outcomes: Counter[str] = Counter()
    for result in results:
        outcomes.update(result["outcomes"])
    sent, found = sum(result["sent"] for result in results), dict(sorted(outcomes.items()))
    seen = {METRICS.get(name, name): count for name, count in counted.items() if count}
    answered = {name: count for name, count in found.items() if name in METRICS.values()}
    figures: dict[str, Any] = {
        "requests": sent,
        "connections": connections,
        "peak_connections": sum(result["peak"] for result in results),
        "outcomes": found,
        "metrics": dict(counted),
        "examples": [each for result in results for each in result["wrong"]][:3],
        "swaps_noticed": noticed(material),
        "requests_per_second": sent / seconds,
        "p99_seconds": max(result["p99"] for result in results),
        "client_cpu_shares": [round(result["cpu_share"], 3) for result in results],
        "memory_growth": memory["peak"] - memory["before"],
    }
    accounted = sum(count for name, count in outcomes.items() if name in GOOD)
    checks = [
        Check(
            f"{sent:,} requests over {figures['peak_connections']:,} connections at once: each ended in one "
            "documented way",
            f"{accounted:,} of {sent:,}: {_listed(found)}",
            "all",
            accounted == sent and sum(outcomes.values()) == sent,
        ),
        Check(
            f"answers that differ from the offline verdict (of two swapped ones, {figures['swaps_noticed']:.1%} would)",
            str(outcomes["wrong"]),
            "0",
            not outcomes["wrong"],
        ),
        Check("requests without an answer after 60 s", str(outcomes["hung"]), "0", not outcomes["hung"]),
        Check("outcomes in /metrics", _listed(seen), _listed(answered), seen == answered),
    ]
    if not material.quick:
        peak = figures["peak_connections"]
        checks.append(Check("connections at once", f"{peak:,}", "10,000", peak >= 10_000))
    return Part(checks, figures)


def _load(material: Material, server: Server, connections: int) -> list[dict[str, Any]]:
    """What the clients' processes report: each sends its share of the texts."""
    share = material.count // CLIENTS
    load = Load(
        server.port,
        material.base,
        connections // CLIENTS,
        requests=share,
        verdicts=material.verdicts,
        invalid=100,
        core=material.core,
    )
    clients = [Client(replace(load, first=share * number)) for number in range(CLIENTS)]
    return [client.result() for client in clients]


def _listed(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.items())) or "none"
