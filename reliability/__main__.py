"""Tries all promises of the page on reliability: a table, then one JSON object of [held, tried] on the last line.

python -m reliability                   the full form
python -m reliability --quick           a few minutes: the same tests, fewer tries
python -m reliability --only kills      one promise (or one half: training, files)
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

from reliability import disk, elastic, hostile, outputs, power, predicting, readers, training
from reliability.outcome import Outcome
from reliability.process import Work, prepared


class Row(NamedTuple):
    """A promise: the number of tries in the full and in the quick form, and seconds of one try, for the time left."""

    half: str
    name: str
    full: int
    quick: int
    seconds: float
    run: Callable[[int], Outcome]


def rows(scratch: Path, work: Callable[[], Work]) -> list[Row]:
    """The promises, those of training first. A row's number is its function's argument: kills, trainings, files."""
    ready = functools.cache(lambda: predicting.prepared(scratch / "predicting"))
    cut = functools.cache(lambda: predicting.documents(ready()))
    return [
        Row("training", "changes", 1, 1, 6, lambda _: training.changed(work())),
        Row("training", "kills", 200, 20, 1.4, lambda n: training.killed(work(), n)),
        Row("training", "kills_in_a_save", 200, 20, 0.5, lambda n: training.killed_in_a_save(work(), n)),
        Row("training", "ten_kills_in_one_run", 10, 1, 5, lambda n: training.killed_ten_times(work(), n)),
        Row("training", "kills_between_epochs", 10, 1, 5, lambda n: training.killed_between_epochs(work(), n)),
        Row("training", "kills_between_parts", 12, 1, 7, lambda n: training.killed_in_parts(work(), n)),
        Row("training", "restarts", 10, 1, 35, lambda n: elastic.restarted(work(), n)),
        Row("training", "failed_rank", 6, 1, 8, lambda n: elastic.failed(work(), n)),
        Row("training", "stops", 50, 4, 1.5, lambda n: training.stopped(work(), n)),
        Row("training", "damage", 700, 90, 0.01, lambda n: disk.damaged(work(), n * 5 // 7, n - n * 5 // 7)),
        Row("training", "hostile_checkpoints", 1, 1, 5, lambda _: disk.hostile_states(work())),
        Row("training", "power_cuts", 5, 1, 3, lambda n: power.cut_off(work(), n)),
        Row("training", "disk_full", 50, 4, 2, lambda n: disk.disk_full(work(), n)),
        Row("training", "unwritable", 1, 1, 5, lambda _: disk.unwritable(work())),
        Row("training", "one_writer", 10, 1, 1.5, lambda n: training.one_writer(work(), n)),
        Row("training", "not_finite", 50, 3, 2, lambda n: training.not_finite(work(), n)),
        Row("training", "out_of_memory", 6, 3, 3.5, lambda n: training.out_of_memory(work(), n)),
        Row("training", "time_for_checkpoints", 3, 1, 5, lambda n: disk.cheap(work(), n)),
        Row("predicting", "predict_killed", 100, 5, 2, lambda n: predicting.killed(ready(), n)),
        Row("predicting", "predict_split_killed", 40, 2, 2, lambda n: predicting.killed(cut(), n, seed=1)),
        Row("predicting", "predict_sharded", 20, 1, 4, lambda n: predicting.sharded(ready(), n)),
        Row("predicting", "predict_disk_full", 20, 1, 3, lambda n: predicting.disk_full(ready(), n)),
        Row("predicting", "predict_cut_short", 20, 1, 3, lambda n: predicting.cut_short(ready(), n)),
        Row("files", "hostile_folders", 1, 1, 11, lambda _: hostile.hostile_folders(scratch / "folders")),
        Row(
            "files", "hostile_weights", 2000, 300, 0.02, lambda n: hostile.hostile_weights(scratch / "weights", tries=n)
        ),
        Row("files", "bad_files", 1, 1, 1, lambda _: readers.bad_files(scratch / "files")),
        Row("files", "fuzzed_files", 100_000, 2000, 5e-4, lambda n: readers.fuzzed(scratch / "fuzz", cases=n, seed=0)),
        Row("files", "inert_outputs", 1, 1, 11, lambda _: outputs.inert_outputs(scratch / "outputs")),
    ]


def _fast_disk() -> Path | None:
    """A file system in memory, with room: the trainings flush every step's checkpoint, and mostly wait for the disk."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30 else None


def main() -> None:
    """Tries, prints, and exits with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="training, predicting, files, or the names of rows, with commas")
    options = parser.parse_args()
    only, found, left_full = options.only.split(","), {}, 0.0
    with tempfile.TemporaryDirectory(dir=_fast_disk() if options.quick else None) as folder:
        shared: list[Work] = []

        def work() -> Work:
            if not shared:
                shared.append(prepared(Path(folder) / "training"))
            return shared[0]

        chosen = [row for row in rows(Path(folder), work) if only == [""] or {row.half, row.name} & set(only)]
        if not chosen:
            parser.error(f"no row is called {options.only}")
        for name in ("folders", "weights", "files", "fuzz", "outputs"):
            (Path(folder) / name).mkdir()
        if any(row.half == "training" for row in chosen):
            work()
        for position, row in enumerate(chosen):
            tries, began = row.quick if options.quick else row.full, time.perf_counter()
            outcome = row.run(tries)
            took = time.perf_counter() - began
            found[row.name] = [outcome.held, outcome.tried]
            left_full += took / tries * row.full
            left = sum(each.seconds * (each.quick if options.quick else each.full) for each in chosen[position + 1 :])
            print(f"{outcome.held:>7,} of {outcome.tried:>7,}  {outcome.promise}  ({took:.0f} s)", flush=True)
            for failure in outcome.failures[:10]:
                print(f"{'':20}{failure}")
            print(f"about {left / 60:.0f} minutes left", file=sys.stderr, flush=True)
    if options.quick:
        print(f"the full form of these rows: at least {left_full / 60:.0f} minutes", file=sys.stderr)
    print(json.dumps(found))
    sys.exit(any(held < tried for held, tried in found.values()))


if __name__ == "__main__":
    main()
