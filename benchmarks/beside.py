"""Measures training and judging on a busy machine: alone, beside one and two busy processes, under a CPU quota.

    python benchmarks/beside.py [--rounds 2] [--rows 1000]

Acceptor and the Trainer at its best train minilm on the embedded corpus, Acceptor and the pipeline judge a file: fresh
processes, in turn; medians. Every number is a ratio to the same way alone. `as found` is Acceptor with ACCEPTOR_SPIN=0,
the libraries' default spins, alone. A busy process is an endless loop. The quota is 1.5 cores of a control group, if
this user may make one. A table in Markdown, then one JSON object on the last line; six minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import acceptor
from acceptor.bench.compare import seconds_per_step
from acceptor.bench.training import QUIET, sentences
from acceptor.runtime.device import choose_runtime, source_commit
from acceptor.runtime.spinning import original_environment

STEPS = {"acceptor": (20, 20), "trainer_best": (4, 6)}  # to warm up, and measured
GROUPS = Path("/sys/fs/cgroup")
QUOTA = 1.5
STATES = ("alone", "1 busy", "2 busy", f"quota {QUOTA}")


def seconds(command: list[str], environment: dict[str, str]) -> object:
    """The JSON on the last line of a new process's output."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**environment, **QUIET})
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(way: str, run: Path, file: Path, prefix: list[str]) -> float:
    """Seconds of a training step, or of the file."""
    ours = way in ("acceptor", "lossless")
    environment = dict(os.environ) if ours else original_environment(os.environ)
    python = [*prefix, sys.executable, "-m"]
    if way in ("lossless", "pipeline"):
        return float(
            str(seconds([*python, "acceptor.bench.judging", way, str(run), str(file), f"{run}-{way}"], environment))
        )
    name = "acceptor" if way == "as found" else way
    warm, steps = STEPS[name]
    marks = seconds([*python, "acceptor.bench.training", name, "minilm", str(warm), str(steps), "starter"], environment)
    return seconds_per_step(marks)  # type: ignore[arg-type]


@contextlib.contextmanager
def busy(count: int) -> Iterator[list[str]]:
    """Runs so many busy processes."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield []
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def quota(cores: float) -> Iterator[list[str]]:
    """A control group with a quota of so many cores; gives the prefix that runs a command in it.

    Raises:
        OSError: This user, or this system, cannot make one.
    """
    first = GROUPS / "cpu" if (GROUPS / "cpu").is_dir() else GROUPS
    group = first / f"acceptor-beside-{os.getpid()}"
    group.mkdir()
    try:
        if first == GROUPS:
            (group / "cpu.max").write_text(f"{int(cores * 100_000)} 100000")
        else:
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(int(cores * 100_000)))
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        group.rmdir()


def state(name: str) -> contextlib.AbstractContextManager[list[str]]:
    """Puts the machine into one of `STATES`."""
    return quota(QUOTA) if name.startswith("quota") else busy(0 if name == "alone" else int(name[0]))


def main() -> None:
    """Measures in turn, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    times: dict[str, dict[str, list[float]]] = {name: {} for name in STATES}
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        run, file = Path(scratch) / "run", Path(scratch) / "sentences.txt"
        config = acceptor.TrainConfig(encoder="minilm", epochs=1, on_collapse="go-on")
        acceptor.train("starter", out=run, config=config)
        texts = sentences("starter")[0]
        file.write_text("\n".join(texts[row % len(texts)] for row in range(options.rows)) + "\n", "utf-8")
        for _ in range(options.rounds):
            for name in STATES:
                ways = ["acceptor", "trainer_best", "lossless", "pipeline", *(["as found"] if name == "alone" else [])]
                try:
                    with state(name) as prefix:
                        for way in ways:
                            times[name].setdefault(way, []).append(measure(way, run, file, prefix))
                            print(f"{name}, {way}: {times[name][way][-1]:.3f} s", file=sys.stderr, flush=True)
                except OSError as error:
                    skipped[name] = f"no control group here ({error.strerror})"
    report(times, skipped, options.rounds)


def report(times: dict[str, dict[str, list[float]]], skipped: dict[str, str], rounds: int) -> None:
    """The table and the JSON object."""
    medians = {name: {way: statistics.median(all_) for way, all_ in ways.items()} for name, ways in times.items()}
    alone = medians["alone"]
    print("| way | alone | " + " | ".join(STATES[1:]) + " |\n|---|---|" + "---|" * (len(STATES) - 1))
    for way in alone:
        unit = "ms the file" if way in ("lossless", "pipeline") else "ms a step"
        cells = [f"{medians[name][way] / alone[way]:.2f} ×" if way in medians[name] else "" for name in STATES[1:]]
        print(f"| {way} | {1000 * alone[way]:.0f} {unit} | " + " | ".join(cells) + " |")
    for name, reason in skipped.items():
        print(f"\n{name}: skipped, {reason}")
    figures = {
        "rounds": rounds,
        "ms": {name: {way: round(1000 * value, 1) for way, value in ways.items()} for name, ways in medians.items()},
        "vs_alone": {
            name: {way: round(value / alone[way], 2) for way, value in medians[name].items()} for name in STATES[1:]
        },
        "alone_vs_as_found": round(alone["acceptor"] / alone["as found"], 3),
        "skipped": skipped,
        "machine": choose_runtime("cpu").to_dict(),
        "commit": source_commit(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
