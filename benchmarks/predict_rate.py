"""Measures rows a second of `acceptor predict` without the network: reading, looking up sentences, writing, flushing.

    python benchmarks/predict_rate.py --run RUN [--data FOLDER] [--rows 500000]

The corpus' sentences, repeated with a different number in each; the network is replaced by made-up logits.
Medians of three; a table, then one JSON object on the last line.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from acceptor.bench.training import sentences
from acceptor.data.reading.stream import chunks
from acceptor.judging import predict as corpus
from acceptor.judging.judge import Judge
from acceptor.judging.load import load


def made_up(judge: Judge, encoded: Any, on_batch: Any = None) -> Any:
    """Logits without a network: float32, shape (N, labels)."""
    return np.tile(encoded.lengths[:, None].astype(np.float32), (1, len(judge.labels))) * np.arange(len(judge.labels))


def write(file: Path, rows: int, texts: list[str]) -> None:
    """The rows in the format of the file's name."""
    pairs = ((str(index), texts[index % len(texts)]) for index in range(rows))
    with file.open("w", encoding="utf-8", newline="") as stream:
        if file.suffix == ".jsonl":
            stream.writelines(json.dumps({"id": number, "sentence": text}) + "\n" for number, text in pairs)
        elif file.suffix == ".csv":
            csv.writer(stream, lineterminator="\n").writerows([("id", "sentence"), *pairs])
        else:
            stream.writelines(f"{number}\t{text}\n" for number, text in [("id", "sentence"), *pairs])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", default="starter")
    parser.add_argument("--rows", type=int, default=500_000)
    options = parser.parse_args()
    judge, texts = load(options.run), sentences(options.data)[0]
    corpus.load = lambda *_, **__: judge  # type: ignore[assignment]
    Judge.logits_of = made_up  # type: ignore[method-assign]
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        for suffix in (".tsv", ".csv", ".jsonl"):
            file, out = Path(scratch) / f"in{suffix}", Path(scratch) / f"out{suffix}"
            write(file, options.rows, texts)
            seconds: dict[str, list[float]] = {"parsed": [], "all": []}
            for _ in range(3):
                began = time.perf_counter()
                for _chunk in chunks([str(file)]):
                    pass
                seconds["parsed"].append(time.perf_counter() - began)
                began = time.perf_counter()
                corpus.predict(options.run, [str(file)], out=out, overwrite=True)
                seconds["all"].append(time.perf_counter() - began)
            rates = {name: round(options.rows / statistics.median(times)) for name, times in seconds.items()}
            figures[suffix] = rates
            print(f"{suffix:<8}parsed {rates['parsed']:>10,} rows/s, all but the network {rates['all']:>10,} rows/s")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
