"""Runs cases of real inputs: the number of right ones by root, each case with its command and its result.

python -m reliability.inputs                       everything, about ten minutes
python -m reliability.inputs --record              the same, then records/inputs.md
python -m reliability.inputs --quick               cases that neither train nor start a process, 60 combinations
python -m reliability.inputs --only 2 --find QNLI  the cases of one root whose words hold that
python -m reliability.inputs --only combinations   or threads; or layouts, a table of containers and layouts

The last line is one JSON object of [right, tried]. The exit code is 1 if a case is wrong.
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
    hub,
    judges,
    labels,
    machines,
    objects,
    outputs,
    separators,
    threads,
)
from reliability.inputs.case import REPOSITORY, Case, Result, attempt
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
TABLES = {
    "kinds of containers, the same rows in each": ("container: ",),
    "files of GLUE and SuperGLUE in their exact form": ("GLUE ", "SuperGLUE "),
    "files of SNLI, PAWS, JCoLA, ItaCoLA, RuCoLA, BLiMP in their exact form": (
        *("snli", "paws", "jcola", "itacola", "rucola", "blimp"),
    ),
}
"""Groups of cases that are also counted together, by the first words of `Case.what`."""
PARTS = (findings, containers, columns, separators, labels, judges, objects, outputs, machines, hub)
COMBINATIONS, FEW = 2000, 60


class Tried(NamedTuple):
    """A case, what is wrong with it (empty: nothing; None: skipped), and its result."""

    case: Case
    fault: str | None
    result: Result | None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.result.seconds if self.result else 0.0


class OtherCount(NamedTuple):
    """A count other than that of a root: its ``--only``, how many are right, and the result in words."""

    only: str
    what: str
    right: int
    tried: int
    found: str

    @property
    def command(self) -> str:
        """The command that repeats it."""
        return f"python -m reliability.inputs --only {self.only}"


def all_cases() -> list[Case]:
    """Every case, root by root."""
    return sorted((case for part in PARTS for case in part.cases()), key=lambda case: case.root)


def try_cases(cases: list[Case], scratch: Path, kit: Kit) -> list[Tried]:
    """Runs each in a new folder."""
    done = []
    for number, case in enumerate(cases):
        if case.needs is not None and not case.needs.exists():
            done.append(Tried(case, None, None))
            continue
        result = attempt(case, scratch / f"case-{number}", kit)
        try:
            fault = case.check(result)
        except Exception as error:  # for example, a file that should have been written is missing
            fault = f"{type(error).__name__}: {error}"[:200]
        done.append(Tried(case, fault, result))
        if fault:
            print(f"  root {case.root}: {case.what}: {fault}", flush=True)
    return done


def try_combinations(number: int, scratch: Path, kit: Kit) -> OtherCount:
    """Runs the first ``number`` combinations, and prints what went wrong."""
    began = time.perf_counter()
    found = combinations.tried(range(number), scratch, kit)
    for it, ended in found:
        if ended not in ("right", "refused"):
            print(f"  combination {it}: {ended}")
    counts = combinations.summary(found)
    print(f"{number:,} combinations: {counted(counts)}, in {time.perf_counter() - began:.0f} s", flush=True)
    what = f"{number:,} generated combinations"
    return OtherCount("combinations", what, counts["right"] + counts["refused"], number, counted(counts))


def try_threads(kind: str, calls: int, kit: Kit) -> OtherCount:
    """Calls from several threads at once; right if torch's number of threads does not change."""
    ended, before, after = threads.tried(kit, calls, kind)
    summary = f"{counted(ended)}; torch's threads {before} before, {after} after"
    what = f"{threads.THREADS} threads × {calls:,} calls, {'an exported judge' if kind == 'onnx' else 'a run'}"
    print(f"{what}: {summary}", flush=True)
    return OtherCount("threads", what, ended["right"] * (before == after), threads.THREADS * calls, summary)


def tables_of(done: list[Tried]) -> list[OtherCount]:
    """Cases that are counted together."""
    found = []
    for what, heads in TABLES.items():
        tried = [one for one in done if one.case.what.startswith(heads) and one.fault is not None]
        if tried:
            right = sum(not one.fault for one in tried)
            found.append(OtherCount("2", what, right, len(tried), f"{right} of {len(tried)}"))
    return found


def options_of() -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="roots by number, combinations, threads, with commas")
    parser.add_argument("--find", default="", help="cases whose words hold this")
    parser.add_argument("--combinations", type=int, default=0, help=f"how many [{COMBINATIONS}, quick: {FEW}]")
    parser.add_argument("--record", action="store_true", help="write records/inputs.md")
    parser.add_argument("--red", type=Path, help="a file for a line on each case that is wrong")
    parser.add_argument("--slowest", type=int, default=0, help="name so many cases that took longest")
    options = parser.parse_args()
    options.only = {word for word in options.only.split(",") if word}
    return options


def chosen(options: argparse.Namespace) -> list[Case]:
    """The cases that the options choose."""
    return [
        case
        for case in all_cases()
        if (not options.only or str(case.root) in options.only)
        and not (options.quick and case.is_slow)
        and options.find.lower() in case.what.lower()
    ]


def try_all(options: argparse.Namespace, scratch: Path) -> tuple[list[Tried], list[OtherCount]]:
    """Cases, combinations, threads: those that the options choose."""
    kit, began = Kit(scratch / "kit"), time.perf_counter()
    done = try_cases(chosen(options), scratch, kit)
    print(f"cases: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    beside = tables_of(done)

    def wanted(part: str) -> bool:
        return not options.find and (not options.only or part in options.only)

    if wanted("combinations"):
        number = options.combinations or (FEW if options.quick else COMBINATIONS)
        beside.append(try_combinations(number, scratch / "combinations", kit))
    if wanted("threads"):
        kinds = ("run",) if options.quick else ("run", "onnx")  # exporting takes seconds
        beside += [try_threads(kind, 30 if options.quick else threads.CALLS, kit) for kind in kinds]
    return done, beside


def main() -> None:
    """Runs, prints, writes the record."""
    options = options_of()
    with tempfile.TemporaryDirectory() as folder:
        done, beside = try_all(options, Path(folder))
    for one in sorted(done, key=lambda one: -one.seconds)[: options.slowest]:
        print(f"  {one.seconds:.2f} s: root {one.case.root}: {one.case.what}", file=sys.stderr)
    rows = [*beside]
    for root, name in ROOTS.items():
        tried = [one for one in done if one.case.root == root and one.fault is not None]
        if tried:
            rows.append(OtherCount(str(root), f"{root}. {name}", sum(not one.fault for one in tried), len(tried), ""))
    for row in rows:
        print(f"{row.right:>6,} of {row.tried:>6,}  {row.what}")
    if options.red:
        lines = [f"root {one.case.root} | {one.case.what} | {one.case.run} | {one.fault}" for one in done if one.fault]
        options.red.write_text("\n".join(line.replace("\n", "⏎") for line in lines) + "\n", "utf-8")
    if options.record:
        command = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()
        text = page(done, ROOTS, [(one.what, one.command, one.found) for one in beside], commit)
        (REPOSITORY / "records" / "inputs.md").write_text(text, "utf-8")
    print(json.dumps({row.what: [row.right, row.tried] for row in rows}))
    sys.exit(any(row.right < row.tried for row in rows))


if __name__ == "__main__":
    main()
