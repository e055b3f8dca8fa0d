"""Memory by requests: a slope with its confidence interval, of the server, and of one with a planted leak.

The judge is a small one, since a leak is of requests: the more of them, the smaller a leak is seen.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.load.checks import Check, Part
from benchmarks.load.client import Load
from benchmarks.load.processes import ACCEPTOR, REPOSITORY, Client, Server, acceptor_server
from benchmarks.load.texts import Material

EACH = 1  # sentences of a request: as many requests as possible
LIMIT = 10  # bytes a request, a tenth of its body: 1 MB in 100,000 requests
WARM = 60.0  # seconds until every thread has its share of the allocator's memory
LONG = 1_000_000  # requests
BLOCKS = 12  # times from which the slope is computed; neighbouring samples are not independent
LEAKY = ("-m", "benchmarks.load.leaky")


def leak(material: Material, *, is_long: bool) -> Part:
    """The slope of the server, and that the same check finds a planted leak."""
    warm, seconds = (2.0, 5.0) if material.quick else (WARM, 3600.0 if is_long else 180.0)
    judge = material.run if material.quick else small_judge(material)
    ours = _slope_of(material, judge, ACCEPTOR, warm, seconds, LONG if is_long else None)
    planted = _slope_of(material, judge, LEAKY, warm / 6, min(seconds, 20.0))
    figures = {"server": ours, "planted": planted, "limit_bytes_a_request": LIMIT}
    if material.quick:  # too short for a slope; `make load` judges it
        return Part([Check("a server with a planted leak answers", f"{planted['requests']:,} requests", "some",
                           planted["requests"] > 0)], figures)  # fmt: skip
    checks = [
        Check(
            f"memory of all processes, {ours['requests']:,} requests, after {WARM:g} s",
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


def small_judge(material: Material) -> Path:
    """A judge of one layer with the tokenizer of the material's, trained for an epoch."""
    encoder, run = material.scratch / "small-encoder", material.scratch / "small"
    code = """
import sys
from transformers import AutoTokenizer, BertConfig, BertModel
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
BertModel(BertConfig(
    vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128
)).save_pretrained(sys.argv[2])
tokenizer.save_pretrained(sys.argv[2])
"""
    train = ["-m", "acceptor", "train", "starter", "--encoder", str(encoder), "--epochs", "1", "--out", str(run)]
    for arguments in (["-c", code, str(material.run), str(encoder)], [*train, "--on-collapse", "go-on", "--quiet"]):
        subprocess.run([sys.executable, *arguments], check=True, stdout=sys.stderr, cwd=REPOSITORY)
    return run


def _slope_of(
    material: Material, judge: Path, command: tuple[str, ...], warm: float, seconds: float, requests: int | None = None
) -> dict[str, Any]:
    with acceptor_server(judge, "--precision", "fp32", command=command) as server:
        load = Load(
            server.port, material.base, 64, seconds=warm + seconds, requests=requests, each=EACH, core=material.core
        )
        client = Client(load)
        client.wait_open()
        time.sleep(warm)
        began = time.monotonic()
        samples = _samples(server, client, seconds)
        seconds = time.monotonic() - began
        result = client.result()
    found = slope(samples)
    return found | {"requests": result["outcomes"].get("right", 0), "outcomes": result["outcomes"], "seconds": seconds}


def _samples(server: Server, client: Client, seconds: float) -> list[tuple[int, int]]:
    """Requests that were answered so far, and resident bytes of all processes."""
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until and client.is_running():
        found.append((sum(server.outcomes().values()), server.memory()))
        time.sleep(min(5.0, seconds / 120))
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
