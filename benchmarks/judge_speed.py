"""Measures judging from file to file: pipeline, sorted torch, ONNX Runtime fp32 and int8, OpenVINO, Acceptor.

    python benchmarks/judge_speed.py --data FOLDER --encoder minilm [--rows 20000]

A table, then one JSON object on the last line. `acceptor bench --only judge` is the same.
"""

from __future__ import annotations

import argparse
import json

from acceptor.bench.compare import bench
from acceptor.cli import render as terminal


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--data", default="starter")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    result = bench([options.encoder], data=options.data, rounds=options.rounds, parts=("judge",), rows=options.rows)
    terminal.show(*terminal.bench_text(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
