"""What people bring, tried: n of n by root, each case with its command and what it gives now.

python -m reliability.inputs                       everything, then records/inputs.md (some minutes)
python -m reliability.inputs --quick               the cases that neither train nor start a process, 60 combinations
python -m reliability.inputs --only 3              one root; or combinations, threads
python -m reliability.inputs --only 2 --find QNLI  the cases whose words hold that

The last line is one JSON object of [right, tried]. A case that is wrong makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["COLUMNS"] = "120"

from reliability.inputs import columns, containers, findings, labels
from reliability.inputs.case import Case, Seen, attempt
from reliability.inputs.kit import Kit

ROOTS = {
    1: "The finding is never printed",
    2: "Columns are guessed one by one, not as a table",
    3: "Labels are names without a meaning",
    4: "A judge does not know what it judges",
    5: "Python objects",
    6: "Output and data of the user",
    7: "Machines",
}


class Tried(NamedTuple):
    """A case, what was wrong with it (empty: nothing; None: skipped), and what was seen."""

    case: Case
    fault: str | None
    seen: Seen | None


def all_cases() -> list[Case]:
    """Every case, root by root."""
    return [case for part in (findings, containers, columns, labels) for case in part.cases()]


def run_cases(cases: list[Case], scratch: Path, kit: Kit) -> list[Tried]:
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


def main() -> None:
    """Tries, prints, writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="roots by number, combinations, threads, with commas")
    parser.add_argument("--find", default="", help="cases whose words hold this")
    parser.add_argument("--red", default="", help="a file for a line on each case that is wrong")
    options = parser.parse_args()
    only = [word for word in options.only.split(",") if word]
    cases = [case for case in all_cases() if not only or str(case.root) in only]
    cases = [case for case in cases if options.find.lower() in case.what.lower() and not (options.quick and case.is_slow)]
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(Path(folder) / "kit")
        began = time.perf_counter()
        done = run_cases(cases, Path(folder), kit)
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    found = {}
    for root, name in ROOTS.items():
        tried = [one for one in done if one.case.root == root and one.fault is not None]
        if tried:
            right = sum(not one.fault for one in tried)
            found[str(root)] = [right, len(tried)]
            print(f"{right:>5} of {len(tried):>5}  {root}. {name}")
    if options.red:
        lines = [f"root {one.case.root} | {one.case.what} | {one.case.run} | {one.fault}" for one in done if one.fault]
        Path(options.red).write_text("\n".join(line.replace("\n", "⏎") for line in lines) + "\n", "utf-8")
    print(json.dumps(found))
    sys.exit(any(right < tried for right, tried in found.values()))


if __name__ == "__main__":
    main()
