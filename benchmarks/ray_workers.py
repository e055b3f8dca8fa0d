"""Measures `acceptor predict` on Ray with 1 and 2 workers of one CPU, and without Ray with 1 and 2 threads.

    python benchmarks/ray_workers.py --run RUN [--data FOLDER] [--rows 160000] [--rounds 3] [--quick]

The corpus' sentences with a number in each, so that no two are equal, in parts of 4,096 rows; the four ways take turns.
Seconds of the whole command; and rows a second from the first part written to the end of the output, which excludes
starting and ending. Medians; a table, then one JSON object on the last line. ``--quick`` only shows that it
runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from acceptor.bench.training import sentences

WAYS = {
    "1 thread": (1, []),
    "2 threads": (2, []),
    "1 worker": (1, ["--ray", "local", "--workers", "1"]),
    "2 workers": (1, ["--ray", "local", "--workers", "2"]),
}


def seconds(way: str, run: Path, file: Path, rows_of_a_part: int) -> tuple[float, float]:
    """Seconds of one way's command: of all of it, and from its first part to its output."""
    threads, options = WAYS[way]
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        out = Path(folder) / "out.parquet"
        parts = out if options else out.parent / ".out.parquet.parts"
        code = f"from acceptor.data.reading import stream; stream.CHUNK = {rows_of_a_part}\n"
        code += f"from acceptor.judging import predict; predict.CHUNK = {rows_of_a_part}\n"
        code += "from acceptor.cli.app import main; main()"
        command = [sys.executable, "-c", code, "predict", str(run), str(file), "-o", str(out), *options]
        began, first, last = time.perf_counter(), 0.0, 0.0
        end = out / "_manifest.json" if options else out
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            while process.poll() is None:
                if not first and any(parts.glob("part-*" if options else "0*")):
                    first = time.perf_counter()
                if not last and end.exists():
                    last = time.perf_counter()
                time.sleep(0.02)
            if process.returncode:
                raise SystemExit(process.stderr.read().decode() if process.stderr else way)
        now = time.perf_counter()
        return now - began, (last or now) - (first or began)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", default="starter")
    parser.add_argument("--rows", type=int, default=160_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    rows, rounds, part = (640, 1, 64) if options.quick else (options.rows, options.rounds, 4096)
    texts = sentences(options.data)[0]
    whole: dict[str, list[float]] = {way: [] for way in WAYS}
    judging: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "in.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            for row in range(rows):
                stream.write(json.dumps({"id": row, "sentence": f"{texts[row % len(texts)]} {row}"}) + "\n")
        for _ in range(rounds):
            for way in WAYS:
                all_of_it, from_first = seconds(way, options.run.absolute(), file, part)
                whole[way].append(all_of_it)
                under_way = 2 if way == "2 workers" else 1  # parts judged, or nearly, when the first one was written
                judging[way].append((rows - under_way * part) / from_first)
    figures = {}
    for way in WAYS:
        figures[way] = {
            "seconds": round(statistics.median(whole[way]), 1),
            "rows_per_s": round(statistics.median(judging[way])),
        }
        print(f"{way:<10}{figures[way]['seconds']:>9.1f} s in all{figures[way]['rows_per_s']:>12,} rows/s once begun")
    for more, less in (("2 threads", "1 thread"), ("2 workers", "1 worker"), ("2 workers", "2 threads")):
        ratio = round(figures[more]["rows_per_s"] / figures[less]["rows_per_s"], 2)
        figures[f"{more} / {less}"] = ratio
        print(f"{more} / {less}: {ratio:.2f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
