"""What people bring, tried: n of n by root, each case with its command and what it gives now.

python -m reliability.inputs                       everything, about ten minutes
python -m reliability.inputs --record              the same, then records/inputs.md
python -m reliability.inputs --quick               cases that neither train nor start a process, 60 combinations
python -m reliability.inputs --only 2 --find QNLI  the cases of one root whose words hold that
python -m reliability.inputs --only combinations   or threads; or layouts, a table of containers and layouts

The last line is one JSON object of [right, tried]. What is wrong makes the exit code 1.
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
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["COLUMNS"] = "120"

from reliability.inputs import (
    columns,
    combinations,
    containers,
    findings,
    judges,
    labels,
    machines,
    objects,
    outputs,
    threads,
)
from reliability.inputs.case import REPOSITORY, Case, Seen, attempt
from reliability.inputs.kit import Kit
from reliability.inputs.record import counted, page

ROOTS = {
    1: "The finding is never printed",
    2: "Columns are guessed one by one, not as a table",
    3: "Labels are names without a meaning",
    4: "A judge does not know what it judges",
    5: "Python objects",
    6: "Output and data of the user",
    7: "Machines",
}
PARTS = (findings, containers, columns, labels, judges, objects, outputs, machines)
COMBINATIONS, FEW = 2000, 60


class Tried(NamedTuple):
    """A case, what was wrong with it (empty: nothing; None: skipped), and what was seen."""

    case: Case
    fault: str | None
    seen: Seen | None


def all_cases() -> list[Case]:
    """Every case, root by root."""
    return sorted((case for part in PARTS for case in part.cases()), key=lambda case: case.root)


def try_cases(cases: list[Case], scratch: Path, kit: Kit) -> list[Tried]:
    """Tries each in a folder of its own."""
    done = []
    for number, case in enumerate(cases):
        if case.needs is not None and not case.needs.exists():
            done.append(Tried(case, None, None))
            continue
        seen = attempt(case, scratch / f"case-{number}", kit)
        try:
            fault = case.see(seen)
        except Exception as error:  # a file that should have been written is not there, say
            fault = f"{type(error).__name__}: {error}"[:200]
        done.append(Tried(case, fault, seen))
        if fault:
            print(f"  root {case.root}: {case.what}: {fault}", flush=True)
    return done


def try_combinations(number: int, scratch: Path, kit: Kit) -> dict[str, int]:
    """Tries the first so many combinations, and prints what went wrong."""
    began = time.perf_counter()
    found = combinations.tried(range(number), scratch, kit)
    for it, ended in found:
        if ended not in ("right", "refused"):
            print(f"  combination {it}: {ended}")
    counts = combinations.summary(found)
    print(f"combinations: {counted(counts)}, in {time.perf_counter() - began:.0f} s", flush=True)
    return counts


def main() -> None:
    """Tries, prints, writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="roots by number, combinations, threads, with commas")
    parser.add_argument("--find", default="", help="cases whose words hold this")
    parser.add_argument("--combinations", type=int, default=0, help=f"how many [{COMBINATIONS}, quick: {FEW}]")
    parser.add_argument("--record", action="store_true", help="write records/inputs.md")
    parser.add_argument("--red", default="", help="a file for a line on each case that is wrong")
    options = parser.parse_args()
    only = {word for word in options.only.split(",") if word}
    cases = [
        case for case in all_cases() if (not only or str(case.root) in only) and not (options.quick and case.is_slow)
    ]
    cases = [case for case in cases if options.find.lower() in case.what.lower()]
    found: dict[str, list[int]] = {}
    extra: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(Path(folder) / "kit")
        began = time.perf_counter()
        done = try_cases(cases, Path(folder), kit)
        print(f"cases: {time.perf_counter() - began:.0f} s", file=sys.stderr)
        if not options.find and (not only or "combinations" in only):
            number = options.combinations or (FEW if options.quick else COMBINATIONS)
            counts = try_combinations(number, Path(folder) / "combinations", kit)
            found["combinations"] = [counts["right"] + counts["refused"], number]
            extra.append(
                (
                    f"{number:,} generated combinations",
                    "python -m reliability.inputs --only combinations",
                    counted(counts),
                )
            )
        if not options.find and (not only or "threads" in only):
            for kind in ("run", "onnx"):
                calls = 50 if options.quick else threads.CALLS
                ended, before, after = threads.tried(kit, calls, kind)
                kept = f"torch's threads {before} before, {after} after"
                print(f"{threads.THREADS} threads × {calls:,} calls on one judge ({kind}): {counted(ended)}; {kept}")
                found[f"threads, {kind}"] = [ended["right"] * (before == after), threads.THREADS * calls]
                what = f"{threads.THREADS} threads × {calls:,} calls, {'exported judge' if kind == 'onnx' else 'run folder'}"
                extra.append((what, "python -m reliability.inputs --only threads", f"{counted(ended)}; {kept}"))
    for root, name in ROOTS.items():
        tried = [one for one in done if one.case.root == root and one.fault is not None]
        if tried:
            right = sum(not one.fault for one in tried)
            found[str(root)] = [right, len(tried)]
            print(f"{right:>5} of {len(tried):>5}  {root}. {name}")
    if options.red:
        lines = [f"root {one.case.root} | {one.case.what} | {one.case.run} | {one.fault}" for one in done if one.fault]
        Path(options.red).write_text("\n".join(line.replace("\n", "⏎") for line in lines) + "\n", "utf-8")
    if options.record:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True
        ).stdout.strip()
        (REPOSITORY / "records" / "inputs.md").write_text(page(done, ROOTS, extra, commit), "utf-8")
    print(json.dumps(found))
    sys.exit(any(right < tried for right, tried in found.values()))


if __name__ == "__main__":
    main()
