"""Measures an audit of a million rows: this working tree against an older commit, in turn, each in a new process.

    python benchmarks/audit_speed.py
    python benchmarks/audit_speed.py --rows 100000 --rounds 3 --than a684b4a

The older commit's sources are extracted from git into a temporary folder. One JSON object: wall-clock and CPU seconds
of every round (CPU seconds depend less on other work on the machine), medians, and their ratio (now / then).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
WORDS = ["the", "a", "cats", "dog", "boy", "girl", "sees", "sleeps", "book", "garden", "mat", "John", "often", "never"]


def write_rows(path: Path, rows: int) -> None:
    """Sentences of 4 to 14 words with 0 or 1, beside an id and a source, as a TSV with a header."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        file.write("id\tsource\tsentence\tlabel\n")
        for number in range(rows):
            text = " ".join(rng.choices(WORDS, k=rng.randrange(4, 15)))
            file.write(f"{number}\ts{number % 7}\t{text} {number}.\t{number % 3 % 2}\n")


def sources_of(commit: str, folder: Path) -> Path:
    """The package as it was at a commit."""
    packed = subprocess.run(["git", "archive", commit, "src"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def seconds_of(sources: Path, data: Path) -> dict[str, float]:
    """Wall-clock and CPU seconds of one audit, including the start of its process."""
    env = {**os.environ, "PYTHONPATH": str(sources)}
    command = [sys.executable, "-m", "acceptor", "audit", str(data), "--json"]
    began, used = time.perf_counter(), _processors()
    done = subprocess.run(command, env=env, cwd=data.parent, capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr.decode("utf-8", "replace"))
    return {"clock": round(time.perf_counter() - began, 2), "processors": round(_processors() - used, 2)}


def _processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measures in turn, and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--than", default="a684b4a", help="the older commit")
    options = parser.parse_args()
    found: dict[str, Any] = {"rows": options.rows, "than": options.than}
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "rows.tsv"
        write_rows(data, options.rows)
        ways = {"now": REPOSITORY / "src", "then": sources_of(options.than, Path(scratch) / "then")}
        rounds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for number in range(options.rounds):
            for way in ("now", "then") if number % 2 else ("then", "now"):
                rounds[way].append(seconds_of(ways[way], data))
                print(f"round {number + 1}, {way}: {rounds[way][-1]}", file=sys.stderr, flush=True)
    for kind in ("clock", "processors"):
        seconds = {way: [one[kind] for one in each] for way, each in rounds.items()}
        medians = {way: statistics.median(each) for way, each in seconds.items()}
        found[kind] = {"seconds": seconds, "medians": medians, "ratio": round(medians["now"] / medians["then"], 3)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
