"""Runs the compared methods, each in its own process, and computes ratios of median times.

Timings are noisy. So every round measures each method once, and a ratio is that of two medians from the same rounds.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.bench.judging import OURS
from acceptor.bench.judging import WAYS as JUDGING
from acceptor.bench.training import QUIET, sentences
from acceptor.bench.training import WAYS as TRAINING
from acceptor.config import TrainConfig
from acceptor.errors import ResourceError, check_installed
from acceptor.native.layers import has_layers
from acceptor.progress import meter
from acceptor.runtime.spinning import original_environment
from acceptor.training.train import train as train_run

FLIP_MARGIN = 1e-3  # smaller differences between logits are ties, which are not counted as flips

# (warm-up steps, measured steps) of each method: few if a step takes seconds. The first steps in bf16 compile a matrix
# product for every new length, of which there are thirty; a training has a thousand steps.
STEPS = {"notebook": (3, 3), "trainer": (10, 15), "trainer_best": (40, 30), "acceptor": (40, 30)}
# On a GPU a step takes milliseconds; Acceptor runs all of CoLA's four epochs.
COLA = 964  # steps of four epochs
GPU_STEPS = {"notebook": (20, 60), "trainer": (50, 200), "trainer_best": (50, 200), "acceptor": (100, COLA)}
NEEDS = {"ort_fp32": "onnxruntime", "ort_int8": "onnxruntime", "openvino": "openvino"}


def bench(
    encoders: Sequence[str],
    *,
    data: str = "starter",
    rounds: int = 3,
    parts: Sequence[str] = ("train", "judge"),
    rows: int = 20_000,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measures the speed of training and judging against other libraries.

    Args:
        encoders: Names or folders of encoders to train; judging is measured with the first one.
        data: A file or a folder of labelled sentences, as for `load_data`, or ``starter``.
        rounds: How often each method is measured.
        parts: ``train``, ``judge`` or both.
        rows: Number of sentences in the file to judge: those of ``data``, repeated with a number at their end.
        device: ``cpu`` or ``cuda``; for training only.

    Returns:
        ``{"train": {ENCODER: {"ms_per_step", "vs_notebook", "vs_trainer_best", "vs_limit", …}},
        "judge": {ENCODER: {WAY: {"sentences_per_s", "vs_pipeline32", "vs_ort_int8", "flips"}}}, "machine": {…}}``;
        a ratio above 1 means that many times faster.

    Raises:
        UsageError: Packages that the comparison needs are not installed.
    """
    if "train" in parts:  # the Hugging Face Trainer needs it
        check_installed("accelerate")
    from acceptor.bench.machine import measure_machine

    machine = measure_machine(device)
    result: dict[str, Any] = {"train": {}, "judge": {}, "machine": machine}
    if "train" in parts:
        for encoder in encoders:
            result["train"][encoder] = compare_training(encoder, data, rounds, device, machine)
    if "judge" in parts:
        result["judge"][encoders[0]] = compare_judging(encoders[0], data, rounds, rows)
    return result


def compare_training(encoder: str, data: str, rounds: int, device: str, machine: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds per optimizer step of 32 sentences, for every method."""
    seconds: dict[str, list[float]] = {way: [] for way in TRAINING}
    cold: dict[str, float] = {}
    with meter(f"training {encoder}", rounds * len(TRAINING), "runs") as bar:
        for _ in range(rounds):
            for way in TRAINING:
                warm, measured = (STEPS if device == "cpu" else GPU_STEPS)[way]
                started = time.perf_counter()
                marks = _run_module("acceptor.bench.training", way, encoder, str(warm), str(measured), data, device)
                cold.setdefault(way, time.perf_counter() - started - (marks[-1][1] - marks[0][1]))
                seconds[way].append(seconds_per_step(marks))
                bar.advance(1, f"{way} {1000 * seconds[way][-1]:.0f} ms a step")
    ms = {way: 1000 * statistics.median(values) for way, values in seconds.items()}
    return {
        "ms_per_step": round(ms["acceptor"], 2),
        "cola_s": round(ms["acceptor"] * COLA / 1000, 1),
        "vs_notebook": round(ms["notebook"] / ms["acceptor"], 1),
        "vs_trainer": round(ms["trainer"] / ms["acceptor"], 2),
        "vs_trainer_best": round(ms["trainer_best"] / ms["acceptor"], 2),
        "vs_limit": round(limit_ms(encoder, data, machine) / ms["acceptor"], 2),
        "ways": {
            way: {
                "ms_per_step": round(value, 2),
                "cola_s": round(value * COLA / 1000, 1),
                "cold_s": round(cold[way], 1),
            }
            for way, value in ms.items()
        },
        "rounds": {way: [round(1000 * value, 2) for value in values] for way, values in seconds.items()},
    }


def seconds_per_step(marks: Sequence[tuple[int, float]]) -> float:
    """Median time of a step between neighbouring marks. On a GPU there are only two marks, so it is the mean."""
    pairs = itertools.pairwise(marks)
    return statistics.median((end - start) / (after - before) for (before, start), (after, end) in pairs)


def limit_ms(encoder: str, data: str, machine: dict[str, Any]) -> float:
    """A lower bound of a step's time: its matrix products and AdamW's memory traffic at the measured rates.

    Matrix products cost 6 operations per weight and token (forward 2, backward 4). AdamW reads gradient, weight and two
    moments and writes the last three: 28 bytes per weight in fp32.
    """
    from acceptor.model.classifier import new_classifier, parameter_counts
    from acceptor.model.encode import encode
    from acceptor.model.pretrained import find_encoder
    from acceptor.model.tokenizer import load_tokenizer

    found = find_encoder(encoder)
    counts = parameter_counts(new_classifier(found, ("no", "yes"), seed=1))
    tokens = encode(load_tokenizer(found.folder), sentences(data)[0], max_length=128).lengths.mean() * 32
    products = 6 * counts["layers"] * tokens / (machine["matmul_tflops"] * 1e12)
    traffic = 28 * counts["total"] / (machine["memory_gb_per_s"] * 1e9)
    return float(1000 * (products + traffic))


def compare_judging(encoder: str, data: str, rounds: int, rows: int) -> dict[str, Any]:
    """Sentences per second from file to file, for every method, with a judge that is trained here."""
    texts, labels = sentences(data)
    ways = [way for way in JUDGING if importlib.util.find_spec(NEEDS.get(way, "transformers"))]
    ours = [precision for precision in OURS if precision != "int8" or has_layers(precision)]
    seconds: dict[str, list[float]] = {way: [] for way in (*ways, *ours)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run, file = folder / "run", folder / "sentences.txt"
        config = TrainConfig(encoder=encoder, epochs=2, learning_rate=5e-5, on_collapse="go-on")
        train_run([(text, label) for text, label in zip(texts, labels, strict=True)], out=run, config=config)
        file.write_text("\n".join(_different(texts, rows)) + "\n", "utf-8")
        with meter(f"judging {rows} sentences", rounds * len(seconds), "files") as bar:
            for _ in range(rounds):
                for way, times in seconds.items():
                    times.append(_run_module("acceptor.bench.judging", way, str(run), str(file), str(folder / way)))
                    bar.advance(1, f"{way} {rows / times[-1]:.0f} sentences/s")
        exact = np.load(folder / "pipeline.npy")
        flips = {way: count_flips(np.load(folder / f"{way}.npy"), exact) for way in seconds}
    rate = {way: rows / statistics.median(times) for way, times in seconds.items()}
    return {
        way: {
            "sentences_per_s": round(rate[way]),
            "vs_pipeline32": round(rate[way] / rate["pipeline"], 2),
            "vs_ort_int8": round(rate[way] / rate["ort_int8"], 2) if "ort_int8" in rate else None,
            "flips": flips[way],
        }
        for way in seconds
    }


def _different(texts: Sequence[str], count: int) -> list[str]:
    """So many sentences. Repeated ones end in a number: Acceptor judges equal sentences once, and others do not."""
    texts = list(dict.fromkeys(texts))
    return [texts[n] if n < len(texts) else f"{texts[n % len(texts)]} {n // len(texts)}" for n in range(count)]


def count_flips(logits: npt.NDArray[np.float32], exact: npt.NDArray[np.float32]) -> int:
    """Number of rows whose label differs from that of the exact logits; ties in the exact logits are not counted."""
    best = np.sort(exact, axis=1)
    clear = best[:, -1] - best[:, -2] > FLIP_MARGIN
    return int((clear & (logits.argmax(1) != exact.argmax(1))).sum())


def _run_module(module: str, *arguments: str) -> Any:
    """Runs a module in a new process and returns the JSON of its last output line."""
    command = [sys.executable, "-m", module, *arguments]
    ours = arguments[0] in ("acceptor", *OURS)
    found = dict(os.environ) if ours else original_environment(os.environ)  # unchanged for other libraries
    done = subprocess.run(command, capture_output=True, text=True, env={**found, **QUIET})  # noqa: S603
    if done.returncode:
        raise ResourceError(
            f"{arguments[0]} did not run",
            where=" ".join(command[1:]),
            cause=done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}",
            code="E-RESOURCE-PROCESS",
        )
    return json.loads(done.stdout.strip().splitlines()[-1])
