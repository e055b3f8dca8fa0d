"""Measures the time per token from 1,000 to 1,000,000 sentences, and training with two processes.

    python benchmarks/growth.py --run RUN --data FOLDER [--most 1000000]
    python benchmarks/growth.py --data FOLDER --processes

The first form judges files of growing size with one run and prints microseconds per token. The second trains one
epoch with one process and with two under torchrun (gloo, one thread each), and prints both speeds, the efficiency,
and the largest difference of the losses, dropout off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import acceptor
from acceptor.bench.training import sentences


def judging(run: str, data: str, most: int) -> dict[str, Any]:
    """Microseconds per token, tokenising included, by number of sentences."""
    judge = acceptor.load(run)
    texts = sentences(data)[0]
    judge.logits(texts[:2000])
    lengths = judge.encode(texts).lengths
    figures = {}
    size = 1000
    while size <= most:
        repeated = [texts[index % len(texts)] for index in range(size)]
        tokens = int(np.resize(lengths, size).sum())  # the beginning of the file has longer sentences than the rest
        passes = []
        for _ in range(max(1, min(5, 20_000 // size))):
            started = time.perf_counter()
            judge.logits(repeated)
            passes.append(time.perf_counter() - started)
        figures[str(size)] = round(1e6 * min(passes) / tokens, 2)
        print(f"{size:>9,} sentences   {figures[str(size)]:6.2f} µs a token", flush=True)
        size *= 10
    least, most_of_all = min(figures.values()), max(figures.values())
    apart = (most_of_all - least) / (most_of_all + least)
    print(f"all within ±{apart:.1%} of the middle")
    return {"us_per_token": figures, "within": round(apart, 4)}


def processes(data: str) -> dict[str, Any]:
    """One process against two with the same global batch."""
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        encoder = without_dropout(Path(scratch) / "encoder")
        for count in (1, 2):
            out = Path(scratch) / f"run-{count}"
            start = ["-m", "torch.distributed.run", "--nproc-per-node=2"] if count == 2 else []
            settings = ["--encoder", encoder, "--out", str(out), "--epochs", "1", "--precision", "fp32"]
            command = [sys.executable, *start, "-m", "acceptor", "train", data, *settings]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, check=True, capture_output=True, env=environment)
            lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
            steps = [line for line in lines if line["event"] == "step"]
            found[count] = {"losses": [step["loss"] for step in steps], "seconds": steps[-1]["seconds"]}
    apart = max(abs(a - b) for a, b in zip(found[1]["losses"], found[2]["losses"], strict=True))
    efficiency = found[1]["seconds"] / found[2]["seconds"] / 2
    print(f"one process {found[1]['seconds']:.1f} s, two {found[2]['seconds']:.1f} s: efficiency {efficiency:.0%}")
    print(f"losses of {len(found[1]['losses'])} steps differ by {apart:.1e} at most")
    seconds = {count: round(one["seconds"], 1) for count, one in found.items()}
    return {"seconds": seconds, "efficiency": round(efficiency, 3), "largest_loss_difference": apart}


def without_dropout(folder: Path) -> str:
    """MiniLM with its dropout set to 0 in the configuration: processes would draw different masks."""
    from transformers import AutoModel

    from acceptor.model.pretrained import find_encoder
    from acceptor.model.tokenizer import load_tokenizer

    source = find_encoder("minilm").folder
    model = AutoModel.from_pretrained(source, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model.save_pretrained(folder)
    load_tokenizer(source).save_pretrained(folder)
    return str(folder)


def main() -> None:
    """Reads the arguments, measures, prints one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run")
    parser.add_argument("--data", required=True)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--processes", action="store_true")
    options = parser.parse_args()
    if options.processes:
        print(json.dumps(processes(options.data)))
    elif options.run:
        print(json.dumps(judging(options.run, options.data, options.most)))
    else:
        parser.error("either --run RUN or --processes")


if __name__ == "__main__":
    main()
