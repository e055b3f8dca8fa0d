"""Measures `acceptor pairs` on a suite of BLiMP's format and size: 67 files of 1,000 pairs.

    python benchmarks/pairs.py --run RUN [--files 67] [--pairs 1000] [--precision fp32]

The pairs are made by the starter corpus' grammar, from other seeds; no pair of BLiMP is used. The time is
that of the whole command in a new process: start, reading, tokenising, judging, scoring. A table, then one
JSON object on the last line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from acceptor.data.starter import generate, phenomena


def made_pairs(needed: dict[str, int]) -> dict[str, list[tuple[str, str]]]:
    """The requested number of pairs of each phenomenon, no pair twice."""
    found: dict[str, dict[tuple[str, str], None]] = {name: {} for name in needed}
    seed = 0
    while any(len(found[name]) < count for name, count in needed.items()):
        sides: dict[str, dict[str, str]] = defaultdict(dict)
        for rows in generate(seed).values():
            for sentence, label, name, pair in rows:
                sides[f"{name} {pair}"][label] = sentence
        for key, pair in sides.items():
            found[key.split()[0]][pair["acceptable"], pair["unacceptable"]] = None
        seed += 1
    return {name: list(found[name])[:count] for name, count in needed.items()}


def write_suite(folder: Path, files: int, pairs: int) -> int:
    """Writes the files in BLiMP's format and returns how many different sentences they hold."""
    names = [phenomena()[number % len(phenomena())] for number in range(files)]
    made = made_pairs({name: names.count(name) * pairs for name in names})
    sentences = {sentence for rows in made.values() for pair in rows for sentence in pair}
    for number, name in enumerate(names):
        uid = f"{name}_{number // len(phenomena()) + 1}"
        rows, made[name] = made[name][:pairs], made[name][pairs:]
        lines = (
            {"sentence_good": good, "sentence_bad": bad, "field": "syntax", "linguistics_term": name, "UID": uid}
            | {"simple_LM_method": True, "one_prefix_method": False, "lexically_identical": False, "pairID": str(index)}
            for index, (good, bad) in enumerate(rows)
        )
        (folder / f"{uid}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return len(sentences)


def main() -> None:
    """Makes the suite, times the command once, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--files", type=int, default=67)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--precision")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sentences = write_suite(Path(scratch), options.files, options.pairs)
        command = [sys.executable, "-m", "acceptor", "pairs", str(options.run), scratch, "--json"]
        command += ["--precision", options.precision] if options.precision else []
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
    report = json.loads(done.stdout)
    figures = {
        "pairs": report["n"],
        "files": options.files,
        "sentences": sentences,
        "seconds": round(seconds, 1),
        "pairs_per_s": round(report["n"] / seconds),
        "precision": options.precision or "default",
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 2),
        "right": round(report["share"], 4),
    }
    print(f"{report['n']:,} pairs, {sentences:,} different sentences, {options.files} files: {seconds:.1f} s")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
