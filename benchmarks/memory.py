"""Peak resident memory: training against the Hugging Face Trainer, and predict as the file grows.

    python benchmarks/memory.py --data FOLDER --encoder minilm [--run RUN]

Processes of their own; the peak is the kernel's count (ru_maxrss of the child).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from acceptor.bench.ways import QUIET, sentences


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


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="starter")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--run", help="a run folder: also measure predict")
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {"train": {}, "predict": {}}
    for way in ("trainer", "trainer_best", "acceptor"):
        figures["train"][way] = peak_mb("-m", "acceptor.bench.ways", way, options.encoder, "0", "100", options.data)
        print(f"train, 100 steps, {way:<14}{figures['train'][way]:>9.0f} MB", flush=True)
    if options.run:
        texts = sentences(options.data)[0]
        with tempfile.TemporaryDirectory() as scratch:
            for size in (10_000, 100_000, 1_000_000):
                file = Path(scratch) / "sentences.txt"
                with file.open("w", encoding="utf-8") as stream:
                    stream.writelines(texts[index % len(texts)] + "\n" for index in range(size))
                out = str(Path(scratch) / f"{size}.tsv")
                peak = peak_mb("-m", "acceptor", "predict", options.run, str(file), "-o", out)
                figures["predict"][str(size)] = peak
                print(f"predict {size:>9,} rows {peak:>9.0f} MB", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
