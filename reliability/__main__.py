"""All promises of docs/reliability.md, tried: a table for people, one JSON object of [held, tried] on the last line.

python -m reliability            the full form
python -m reliability --quick    two minutes: the same tries, fewer of each
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

from reliability import elastic, hostile, outputs, predicting, readers, training
from reliability.outcome import Outcome


def tries(scratch: Path, *, quick: bool, only: str) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    """The promises by name, those of training first."""

    def n(full: int, few: int) -> int:
        return few if quick else full

    if only in ("", "training"):
        work = training.prepared(scratch / "training")
        yield "changes", lambda: training.changed(work)
        if not quick:  # torchrun's own restarts take minutes at times
            yield "elastic", lambda: elastic.restarted(work, 5)
        yield "kills", lambda: training.killed(work, n(200, 20))
        yield "kills_in_a_save", lambda: training.killed_in_a_save(work, n(200, 20))
        yield "stops", lambda: training.stopped(work, n(50, 4))
        yield "damage", lambda: training.damaged(work, n(500, 60), n(200, 30))
        yield "disk_full", lambda: training.disk_full(work, n(50, 4))
        yield "one_writer", lambda: training.one_writer(work, n(10, 1))
        yield "not_finite", lambda: training.not_finite(work, n(50, 3))
        yield "out_of_memory", lambda: training.out_of_memory(work)
    if only in ("", "predicting"):
        ready = predicting.prepared(scratch / "predicting")
        yield "predict_killed", lambda: predicting.killed(ready, n(100, 5))
        yield "predict_sharded", lambda: predicting.sharded(ready, n(20, 1))
        yield "predict_disk_full", lambda: predicting.disk_full(ready, n(20, 1))
        yield "predict_cut_short", lambda: predicting.cut_short(ready, n(20, 1))
    if only in ("", "files"):
        for name in ("folders", "weights", "files", "fuzz", "outputs"):
            (scratch / name).mkdir()
        yield "hostile_folders", lambda: hostile.hostile_folders(scratch / "folders")
        yield "hostile_weights", lambda: hostile.hostile_weights(scratch / "weights", tries=n(2000, 300))
        yield "bad_files", lambda: readers.bad_files(scratch / "files")
        yield "fuzzed_files", lambda: readers.fuzzed(scratch / "fuzz", cases=n(100_000, 2000), seed=0)
        yield "inert_outputs", lambda: outputs.inert_outputs(scratch / "outputs")


def main() -> None:
    """Tries, prints, and ends with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("training", "predicting", "files"), default="")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, run in tries(Path(folder), quick=options.quick, only=options.only):
            began = time.perf_counter()
            outcome = run()
            found[name] = [outcome.held, outcome.tried]
            took = time.perf_counter() - began
            print(f"{outcome.held:>7,} of {outcome.tried:>7,}  {outcome.promise}  ({took:.0f} s)", flush=True)
            for failure in outcome.failures[:10]:
                print(f"{'':20}{failure}")
    print(json.dumps(found))
    sys.exit(any(held < tried for held, tried in found.values()))


if __name__ == "__main__":
    main()
