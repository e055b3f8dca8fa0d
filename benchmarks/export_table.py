"""Measures exported judges: parity of nine architectures, size and scores of int8, rates from file to file.

    python benchmarks/export_table.py --only parity
    python benchmarks/export_table.py --only int8 --run minilm=RUN --run mpnet=RUN --verify FILE [--verify FILE]
    python benchmarks/export_table.py --only rates --run minilm=RUN --data CoLA [--rows 8000] [--rounds 3]

`parity` makes small random encoders with 514 positions and tries batches of 1 to 64 rows and 1 to 512 tokens against
Transformers in fp32. `int8` scores each run and its quantised forms on the labelled files together: ours, and the ways
of ONNX Runtime's own tools. `rates` judges the corpus' sentences repeatedly. Tables, then one JSON
object on the last line.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from acceptor import Judge, export, load
from acceptor.bench.training import sentences
from acceptor.cli import render as terminal
from acceptor.data.load import load_split
from acceptor.evaluation.compare import compare
from acceptor.evaluation.evaluate import evaluate
from acceptor.exporting.export import _network
from acceptor.exporting.quantize import quantize
from acceptor.exporting.verify import random_inputs
from acceptor.model.batches import pad
from acceptor.model.onnx import INPUTS, OnnxModel

ROWS, TOKENS = (1, 2, 7, 64), (1, 2, 17, 64, 128, 511, 512)
CALIBRATING = 256  # sentences of train for static quantisation


# ── parity ───────────────────────────────────────────────────────────────────────────────────────────────


def parity(folder: Path) -> dict[str, Any]:
    """For each architecture the largest difference of a logit between Transformers and the exported file."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from test_export import untrained
    from tiny import ARCHITECTURES

    found = {}
    for name in ARCHITECTURES:
        judge = untrained(name, folder)
        file = export(judge, folder / f"{name}.onnx").path
        other = load(file)
        plain = replace(judge, runtime=replace(judge.runtime, precision="plain"), lossless=False)
        largest, spread, inputs = 0.0, 0.0, 0
        for rows, longest in itertools.product(ROWS, TOKENS):
            made_up = random_inputs(judge, rows, longest, types=INPUTS[2] in other.model.inputs)
            batch = pad(made_up, np.arange(rows), judge.tokenizer.pad_token_id)
            ours, theirs = plain.scorer("plain").score(batch), other.scorer("fp32").score(batch)
            largest, spread = max(largest, float(np.abs(ours - theirs).max())), max(spread, float(np.ptp(ours)))
            inputs += rows
        found[name] = {
            "inputs": inputs,
            "largest_change": largest,
            "logits_spread": spread,
            "kb": file.stat().st_size // 1024,
        }
    return found


# ── int8 ─────────────────────────────────────────────────────────────────────────────────────────────────


def by_ort(network: bytes, calibrating: list[dict[str, Any]] | None, **options: Any) -> bytes:
    """The network as ONNX Runtime's tools quantise it: dynamically, or with activations' ranges found on sentences."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stderr(io.StringIO()):
        before, ready, after = (Path(scratch) / name for name in ("a.onnx", "b.onnx", "c.onnx"))
        before.write_bytes(network)
        if calibrating is None:
            quantize_dynamic(before, after, **options)
            return after.read_bytes()

        class Reader(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self.left = iter(calibrating)

            def get_next(self) -> Any:
                return next(self.left, None)

        quant_pre_process(before, ready, skip_symbolic_shape=True)
        quantize_static(
            ready, after, Reader(), quant_format=QuantFormat.QDQ, op_types_to_quantize=["MatMul"], per_channel=True,
            extra_options={"MatMulConstBOnly": True}, **options,
        )  # fmt: skip
        onnx.checker.check_model(after)
        return after.read_bytes()


def judge_of(judge: Judge, network: bytes, folder: Path) -> Judge:
    """The judge with another network, in ONNX Runtime."""
    from onnxruntime import InferenceSession, SessionOptions

    file = folder / "network.onnx"
    file.write_bytes(network)
    options = SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    model = OnnxModel(session, tuple(one.name for one in session.get_inputs()), str(file))
    return replace(judge, model=model, runtime=replace(judge.runtime, precision="int8"), lossless=False)


def int8(name: str, run: Path, files: list[Path], data: str, folder: Path) -> dict[str, Any]:
    """Size, flips and MCC of a run's quantised forms on the labelled files together."""
    judge = load(run, device="cpu", precision="fp32")
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    both = folder / f"{name}.tsv"
    both.write_text("\n".join(lines) + "\n", "utf-8")
    split = load_split(both, judge.labels)
    network = _network(judge)
    texts = sentences(data)[0][:CALIBRATING] if data else []
    encoded, names = judge.encode(texts), judge_of(judge, network, folder).model.inputs
    takes = []
    for row in range(len(texts)):
        one = pad(encoded, np.array([row]), judge.tokenizer.pad_token_id)
        takes.append({name: one.get(name, np.zeros_like(one["input_ids"])) for name in names})
    ways: dict[str, Callable[[], bytes]] = {
        "acceptor": lambda: quantize(network),
        "ort dynamic": lambda: by_ort(network, None),
        "ort dynamic, per channel": lambda: by_ort(network, None, per_channel=True),
    }
    if takes:
        ways["ort static, per channel"] = lambda: by_ort(network, takes)
    before = evaluate(judge, split)
    found: dict[str, Any] = {"fp32": {"mb": len(network) / 1e6, "mcc": before.mcc, "n": len(split)}}
    for way, make in ways.items():
        made = make()
        after = evaluate(judge_of(judge, made, folder), split)
        [one] = compare(before, after)
        found[way] = {
            "mb": len(made) / 1e6,
            "flips": int((before.predicted != after.predicted).sum()),
            "mcc": None if math.isnan(after.mcc) else after.mcc,
            "difference": one.to_dict()["difference"],
            "interval": list(one.interval) if one.interval else None,
            "p": one.to_dict()["p"],
            "mean_change": float(np.abs(before.logits - after.logits).mean()),
        }
    return found


# ── rates ────────────────────────────────────────────────────────────────────────────────────────────────


def rates(name: str, run: Path, data: str, rows: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Sentences a second from file to file, medians of interleaved rounds, of a run and of its exported files."""
    judge = load(run, device="cpu", precision="fp32")
    files = {"onnx fp32": folder / f"{name}-fp32.onnx", "onnx int8": folder / f"{name}-int8.onnx"}
    export(judge, files["onnx fp32"])
    texts, gold = sentences(data)
    verify = load_split(
        [(text, judge.labels[label]) for text, label in zip(texts[:500], gold, strict=False)], judge.labels
    )
    export(judge, files["onnx int8"], precision="int8", verify=verify)
    source, out = folder / "in.tsv", folder / "out"
    source.write_text("".join(f"{texts[row % len(texts)]}\n" for row in range(rows)), "utf-8")
    ways = {way: (str(run), way) for way in ("fp32", "lossless", "bf16", "int8")}
    ways |= {way: (str(file), way.split()[-1]) for way, file in files.items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    logits: dict[str, Any] = {}
    for _ in range(rounds):
        for way, (place, precision) in ways.items():
            command = [sys.executable, "-m", "acceptor.bench.judging", precision, place, str(source), str(out)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds[way].append(json.loads(done.stdout.splitlines()[-1]))
            logits[way] = np.load(out.with_suffix(".npy"))
    exact = logits["fp32"].argmax(axis=1)
    return {
        way: {
            "sentences_per_s": round(rows / statistics.median(values)),
            "vs_fp32": round(statistics.median(seconds["fp32"]) / statistics.median(values), 2),
            "flips": int((logits[way].argmax(axis=1) != exact).sum()),
        }
        for way, values in seconds.items()
    }


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("parity", "int8", "rates"), required=True)
    parser.add_argument("--run", action="append", default=[], metavar="NAME=RUN")
    parser.add_argument("--verify", action="append", default=[], type=Path)
    parser.add_argument("--data", default="", help="the corpus; for int8 its sentences set the ranges of static ways")
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    runs = dict(pair.split("=", 1) for pair in options.run)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.only == "parity":
            result = {"exported": parity(folder)}
        for name, run in runs.items():
            if options.only == "int8":
                result[name] = int8(name, Path(run), options.verify, options.data, folder)
            elif options.only == "rates":
                result[name] = rates(name, Path(run), options.data, options.rows, options.rounds, folder)
    for name, rows in result.items():
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        shown = [(way, *(show(row.get(column)) for column in columns)) for way, row in rows.items()]
        terminal.show(terminal.table((name, *columns), shown))
    print(json.dumps(result))


def show(value: Any) -> str:
    """A cell."""
    if isinstance(value, list):
        return f"[{value[0]:.3f}, {value[1]:.3f}]"
    return f"{value:.3g}" if isinstance(value, float) else str("–" if value is None else value)


if __name__ == "__main__":
    main()
