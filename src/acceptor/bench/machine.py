"""Measures this machine's rate of matrix products and its memory bandwidth; the checks of `acceptor doctor`."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acceptor.errors import EXTRA_OF
from acceptor.runtime.cache import cache_folder
from acceptor.runtime.device import bf16_speedup, choose_runtime, keep_freed_memory, versions
from acceptor.runtime.spinning import describe_spinning
from acceptor.runtime.threads import available_cores, choose_threads, cpu_quota
from acceptor.text import shell

USES = {
    "train": "to train, and to judge with run folders",
    "onnx": "to judge with exported files; with train, to export them",
}
"""What two of the optional packages are for."""


def measure_machine(device: str = "cpu") -> dict[str, Any]:
    """Device name, cores, training precision, and two measured rates.

    ``matmul_tflops``: products of 352 tokens with the widest weights of a base-size encoder, in the training precision.
    ``memory_gb_per_s``: AdamW over 50 million weights, 28 bytes each, the fastest of several passes.
    """
    import torch

    from acceptor import native

    runtime = choose_runtime(device)
    dtype = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    left = torch.randn(352, 768, device=runtime.device, dtype=dtype)
    right = torch.randn(768, 3072, device=runtime.device, dtype=dtype)
    product = _fastest(lambda: left @ right, 30)
    count = 50_000_000
    arrays = [torch.ones(count, device=runtime.device) for _ in range(4)]
    weights, grad, exp_avg, exp_avg_sq = arrays
    step = _fastest(
        lambda: native.adamw_step(
            weights, weights, grad, exp_avg, exp_avg_sq, step=1, rate=1e-9, weight_decay=0, beta2=0.9, clip_scale=None
        ),
        5,
    )
    return {
        **runtime.to_dict(),
        "matmul_tflops": round(2 * 352 * 768 * 3072 / product / 1e12, 3),
        "memory_gb_per_s": round(28 * count / step / 1e9, 1),
        "versions": versions(),
    }


def doctor() -> list[tuple[str, str, str]]:
    """What is installed and determines speed on this machine: rows of name, finding, and the switch or advice."""
    rows = [_extra(*item) for item in USES.items()]
    with_torch = importlib.util.find_spec("torch") is not None
    chosen = choose_runtime().derived if with_torch else (choose_threads(),)
    rows += [(item.name, str(item.value), item.reason) for item in chosen]
    rows.append(("spin", *describe_spinning()))
    quota = cpu_quota()
    limit = "no limit" if quota is None else f"{quota:.1f} cores' time"
    rows.append(("cgroup", limit, f"this process may run on {available_cores()} of {os.cpu_count()} cores"))
    rows += _of_torch() if with_torch else []
    parallel = os.environ.get("TOKENIZERS_PARALLELISM", "on")
    rows.append(("tokenizer", f"threads {parallel}", "done before training starts; switch: TOKENIZERS_PARALLELISM"))
    rows.append(("bytecode", *_bytecode()))
    rows.append(("cache", str(cache_folder()), "elsewhere: ACCEPTOR_CACHE"))
    rows.append(("offline", os.environ.get("HF_HUB_OFFLINE", "0"), "HF_HUB_OFFLINE=1 never asks a hub"))
    return rows


def _extra(name: str, use: str) -> tuple[str, str, str]:
    """Which packages of an extra are missing."""
    needed = [module for module, extra in EXTRA_OF.items() if extra == name]
    missing = [module for module in needed if importlib.util.find_spec(module) is None]
    if not missing:
        return f"[{name}]", "installed", use
    return f"[{name}]", f"missing: {', '.join(missing)}", f"{use}: pip install 'acceptor[{name}]'"


def _bytecode() -> tuple[str, str]:
    """Whether Python keeps what it has compiled, as numpy, which is imported by now, shows."""
    place = Path(np.__file__)
    if Path(importlib.util.cache_from_source(str(place))).exists():
        return "kept", "each module is compiled once; switch: PYTHONDONTWRITEBYTECODE"
    command = f"python -m compileall -q {shell(place.parent.parent)}"
    return "not kept", f"every start takes seconds longer; unset PYTHONDONTWRITEBYTECODE, or once: {command}"


def _of_torch() -> Iterator[tuple[str, str, str]]:
    """The rows about computing with torch."""
    from acceptor import native

    if choose_runtime().device == "cpu":
        yield "bf16", f"{bf16_speedup():.1f} × fp32's rate", "switch: --precision fp32 or bf16"
    kernels, reason = native.library()
    yield "kernels", "compiled" if kernels else "in torch", f"{reason}; switch: ACCEPTOR_NATIVE=0"
    kept = "freed blocks are kept for the next step" if keep_freed_memory() else "the system's; no setting for it here"
    yield "allocator", kept, "switch: ACCEPTOR_ALLOCATOR=0"


def _fastest(function: Callable[[], Any], rounds: int) -> float:
    """Seconds of the fastest call, after one warm-up call."""
    import torch

    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[1:])
