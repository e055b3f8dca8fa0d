"""Measures how much faster a training step on a CPU is if freed memory is kept: a base-size BERT, random weights.

    python benchmarks/allocator.py [--rounds 3]

Fresh processes with and without `acceptor.runtime.device.keep_freed_memory`, in turn; medians of their steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

STEPS = """
import sys, time, statistics, torch
from transformers import BertConfig, BertForSequenceClassification
from acceptor.runtime.device import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
torch.manual_seed(0)
model = BertForSequenceClassification(BertConfig()).train()
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
ids = torch.randint(1000, 30000, (32, 11))
labels = torch.randint(0, 2, (32,))
times = []
for step in range(9):
    started = time.perf_counter()
    model(input_ids=ids, labels=labels).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    times.append(time.perf_counter() - started)
print(statistics.median(times[3:]))
"""


def main() -> None:
    """Measures in turn and prints a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    times: dict[str, list[float]] = {"default": [], "kept": []}
    for _ in range(parser.parse_args().rounds):
        for name, values in times.items():
            done = subprocess.run([sys.executable, "-c", STEPS, name], check=True, capture_output=True, text=True)
            values.append(float(done.stdout))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:<10}{1000 * value:8.0f} ms a step")
    figures = {"ms_per_step": {name: round(1000 * value) for name, value in medians.items()}}
    print(json.dumps({**figures, "kept_vs_default": round(medians["kept"] / medians["default"], 3)}))


if __name__ == "__main__":
    main()
