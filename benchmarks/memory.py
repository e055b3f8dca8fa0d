"""Measures peak resident memory: training against the Hugging Face Trainer, and predict as the file grows.

    python benchmarks/memory.py --data FOLDER --encoder minilm [--run RUN] [--rows 10000 1000000] [--only predict]

Each in a new process. The peak of training is the kernel's count (ru_maxrss of the child). The resident size of
`predict` is sampled: the maximum, and the means while 5 to 15 % and 90 to 100 % of the chunks were done.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from acceptor.bench.training import QUIET, sentences
from acceptor.data.reading.stream import CHUNK


def peak_mb(*command: str) -> float:
    """Peak resident megabytes of a process, measured by a process that starts nothing else."""
    watch = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    watched = [sys.executable, "-c", watch, sys.executable, *command]
    done = subprocess.run(watched, check=True, capture_output=True, text=True, env={**os.environ, **QUIET})
    unit = 1024 if sys.platform == "linux" else 1024 * 1024  # kilobytes on Linux, bytes on macOS
    return round(int(done.stdout) / unit, 1)


def predict_growth(run: str, data: str, rows: int, scratch: Path) -> dict[str, float]:
    """`acceptor predict` of the corpus' sentences, repeated with a different number in each: megabytes, rows/s."""
    texts = sentences(data)[0]
    file, out = scratch / "sentences.tsv", scratch / "verdicts.tsv"
    with file.open("w", encoding="utf-8") as stream:
        stream.write("id\tsentence\n")
        stream.writelines(f"{index}\t{texts[index % len(texts)]}\n" for index in range(rows))
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "acceptor", "predict", run, str(file), "-o", str(out), "--overwrite"],
        stdout=subprocess.DEVNULL,
        env={**os.environ, **QUIET},
    )
    chunks = -(-rows // CHUNK)
    seen: list[tuple[float, float]] = []
    while process.poll() is None:
        done = len(list((scratch / f".{out.name}.parts").glob("0*"))) / chunks
        with contextlib.suppress(OSError, IndexError):  # no /proc, or it has just ended
            status = Path(f"/proc/{process.pid}/status").read_text()
            seen.append((done, int(status.split("VmRSS:")[1].split()[0]) / 1024))
        time.sleep(0.2)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"predict ended with {process.returncode}")
    with out.open("rb") as stream:
        assert sum(1 for _ in stream) == rows + 1
    return {
        "peak_mb": round(max(size for _, size in seen), 1),
        "mb_at_10_percent": _mean([size for done, size in seen if 0.05 <= done <= 0.15]),
        "mb_at_100_percent": _mean([size for done, size in seen if done >= 0.9]),
        "rows_per_s": round(rows / seconds),
        "seconds": round(seconds, 1),
    }


def _mean(sizes: list[float]) -> float:
    return round(sum(sizes) / max(1, len(sizes)), 1)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="starter")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--run", help="a run folder: also measure predict")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--only", choices=("train", "predict"))
    options = parser.parse_args()
    figures: dict[str, dict[str, Any]] = {"train": {}, "predict": {}}
    if options.only != "predict":
        for way in ("trainer", "trainer_best", "acceptor"):
            figures["train"][way] = peak_mb(
                "-m", "acceptor.bench.training", way, options.encoder, "0", "100", options.data
            )
            print(f"train, 100 steps, {way:<14}{figures['train'][way]:>9.0f} MB", flush=True)
    if options.run and options.only != "train":
        print(f"{'predict, rows':>14}{'peak MB':>10}{'at 10 %':>10}{'at 100 %':>10}{'rows/s':>10}")
        for rows in options.rows:
            with tempfile.TemporaryDirectory() as scratch:
                found = predict_growth(options.run, options.data, rows, Path(scratch))
            figures["predict"][str(rows)] = found
            sizes = "".join(f"{found[name]:>10.0f}" for name in ("peak_mb", "mb_at_10_percent", "mb_at_100_percent"))
            print(f"{rows:>14,}{sizes}{found['rows_per_s']:>10,}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
