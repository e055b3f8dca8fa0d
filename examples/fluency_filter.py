"""Keeps the fluent ones of the sentences that a text generator proposes.

    generator | python examples/fluency_filter.py runs/cola --at-least 0.9 > fluent.txt

Reads one candidate a line, from files or standard input, and writes the fluent ones in their order. The counts go to
stderr. Memory is bounded: the generator may run for days.
"""

from __future__ import annotations

import argparse
import fileinput
import itertools
import sys
from collections.abc import Sequence

import acceptor

BATCH = 256  # candidates: enough to fill batches of similar length, few enough to answer soon


def fluent(judge: acceptor.Judge, candidates: Sequence[str], at_least: float) -> list[str]:
    """The candidates whose probability of being acceptable is high enough."""
    # Generators also write emoji and other scripts. A text without a known token is then left out, and is no error.
    encoded = judge.encode(candidates, refuse=False)
    scores = judge.columns(judge.logits_of(encoded))["p(acceptable)"]
    kept = zip(candidates, scores, encoded.all_unknown, strict=True)
    return [text for text, probability, unknown in kept if probability >= at_least and not unknown]


def main() -> None:
    """Reads candidates, writes the fluent ones, counts both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder or an exported .onnx file")
    parser.add_argument("files", nargs="*", help="files of candidates [standard input]")
    parser.add_argument("--at-least", type=float, default=0.5, help="the smallest probability [0.5]")
    options = parser.parse_args()
    judge = acceptor.load(options.run)
    if "acceptable" not in judge.labels:
        sys.exit(f"{options.run} is no judge of acceptability: its labels are {', '.join(judge.labels)}")
    read = written = 0
    with fileinput.input(options.files, encoding="utf-8") as lines:
        candidates = (line.strip() for line in lines if line.strip())
        while batch := list(itertools.islice(candidates, BATCH)):
            kept = fluent(judge, batch, options.at_least)
            print(*kept, sep="\n", end="\n" if kept else "", flush=True)
            read, written = read + len(batch), written + len(kept)
    print(f"{written} of {read} candidates are fluent", file=sys.stderr)


if __name__ == "__main__":
    main()
