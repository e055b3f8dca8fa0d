"""Memory by requests: a slope with its confidence interval, of the server, and of one with a planted leak."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.load.checks import Check, Part
from benchmarks.load.client import Load
from benchmarks.load.processes import ACCEPTOR, Client, Server, acceptor_server
from benchmarks.load.texts import Material

EACH = 1  # sentences of a request: as many requests as possible
LIMIT = 50  # bytes a request, which is less than its body
WARM = 60.0  # seconds until every thread has its share of the allocator's memory: some 25,000 requests
BLOCKS = 12  # times from which the slope is computed; neighbouring samples are not independent
LEAKY = ("-m", "benchmarks.load.leaky")


def leak(material: Material, *, is_long: bool) -> Part:
    """The slope of the server, and that the same check finds a planted leak."""
    warm, seconds = (2.0, 5.0) if material.quick else (WARM, 3600.0 if is_long else 180.0)
    ours = _slope_of(material, ACCEPTOR, warm, seconds)
    planted = _slope_of(material, LEAKY, warm, min(seconds, 60.0))
    figures = {"server": ours, "planted": planted, "limit_bytes_a_request": LIMIT}
    if material.quick:  # too short for a slope; `make load` judges it
        return Part([Check("a server with a planted leak answers", f"{planted['requests']:,} requests", "some",
                           planted["requests"] > 0)], figures)  # fmt: skip
    checks = [
        Check(
            f"memory of all processes, {ours['requests']:,} requests, {seconds:g} s after the first {WARM:g} s",
            _shown(ours),
            f"the interval's upper end ≤ {LIMIT} bytes a request",
            ours["interval"][1] <= LIMIT,
        ),
        Check(
            f"the same check of a server that keeps every request, {planted['requests']:,} requests",
            _shown(planted),
            f"found: the lower end > {LIMIT} bytes a request",
            planted["interval"][0] > LIMIT,
        ),
    ]
    return Part(checks, figures)


def _shown(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['slope']:+.0f} bytes a request, 95 % interval [{low:+.0f}, {high:+.0f}]"


def _slope_of(material: Material, command: tuple[str, ...], warm: float, seconds: float) -> dict[str, Any]:
    with acceptor_server(material.run, "--precision", "fp32", command=command) as server:
        load = Load(server.port, material.base, 64, seconds=warm + seconds, each=EACH, core=material.core)
        client = Client(load)
        client.wait_open()
        time.sleep(warm)
        samples = _samples(server, seconds)
        result = client.result()
    found = slope(samples)
    return found | {"requests": result["outcomes"].get("right", 0), "outcomes": result["outcomes"], "seconds": seconds}


def _samples(server: Server, seconds: float) -> list[tuple[int, int]]:
    """Requests that were answered so far, and resident bytes of all processes."""
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        found.append((sum(server.outcomes().values()), server.memory()))
        time.sleep(seconds / 120)
    return found


def slope(samples: list[tuple[int, int]]) -> dict[str, Any]:
    """Bytes a request by least squares over means of blocks, with a 95 % interval by Student's t."""
    blocks = [np.mean(block, axis=0) for block in np.array_split(np.array(samples, dtype=float), BLOCKS)]
    requests, memory = np.array(blocks).T
    fitted = stats.linregress(requests, memory)
    half = float(stats.t.ppf(0.975, BLOCKS - 2) * fitted.stderr)
    return {
        "slope": float(fitted.slope),
        "interval": [float(fitted.slope) - half, float(fitted.slope) + half],
        "memory_first_and_last": [samples[0][1], samples[-1][1]],
    }
