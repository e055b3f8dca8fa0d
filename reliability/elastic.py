"""Two processes under torchrun: one is killed and both restart and resume; one fails and both end."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from acceptor.runs import checkpoint as stored
from reliability.outcome import Outcome
from reliability.process import EPOCHS, STEPS, Work, outcome

MOST = 30  # seconds until all processes have ended, once one has failed
SCRIPT = """
from acceptor.runtime.garbage import collect_rarely
collect_rarely()
import os, time, pathlib, acceptor.training.checkpoint as c, acceptor.training.loop as loop
c.MIN_INTERVAL, c.MAX_SAVING_SHARE = 0.0, 1e9
where, gradients = os.environ["FAIL"], loop._gradients
def fail(when):
    if where == f"{when}-{os.environ['RANK']}":
        pathlib.Path(__file__).with_suffix(".at").write_text(str(time.time()))
        raise RuntimeError("failed on purpose")
def failing(judge, optimizer, *rest):
    if optimizer.steps == 5:
        fail("step")
    return gradients(judge, optimizer, *rest)
loop._gradients = failing
fail("start")
from acceptor.cli.app import main
main()
"""


def restarted(work: Work, tries: int, seed: int = 0) -> Outcome:
    """Each try kills both of the two, one after the other, at random steps; the final weights must be the same."""
    rng, failures = random.Random(seed), []
    whole = work.scratch / "elastic-whole"
    code, words = _torchrun(work, whole, [])
    expected = (whole / "model.safetensors").read_bytes() if code == 0 else words.encode()
    for number in range(tries):
        place, steps = work.scratch / f"elastic-{number}", sorted(rng.sample(range(1, EPOCHS * STEPS - 10), 2))
        victims = [(number % 2, steps[0]), (1 - number % 2, steps[1])]
        began = time.perf_counter()
        code, words = _torchrun(work, place, victims)
        took, resumed = time.perf_counter() - began, words.count("resuming after")
        same = code == 0 and (place / "model.safetensors").read_bytes() == expected
        if not same or resumed < 2 * len(victims) or took > 120:
            described = (
                f"exit code {code} in {took:.0f} s, {'the same' if same else 'other'} weights, {resumed} went on"
            )
            failures += [f"kills of (rank, step) {victims}: {described}: {words[-300:]}"] * 2
    return outcome("torchrun's processes killed and restarted: the same weights", 2 * tries, failures)


def failed(work: Work, tries: int) -> Outcome:
    """One of the two fails in a step, is killed, or fails at the start: without restarts all end in half a minute."""
    failures = []
    for number in range(tries):
        kind, rank = ("step", "killed", "start")[number % 3], 1 - number // 3 % 2
        place, at = work.scratch / f"failed-{number}", (work.scratch / "often.at")
        code, words = _torchrun(work, place, [(rank, 5)] * (kind == "killed"), restarts=0, fail=f"{kind}-{rank}")
        took = time.time() - float(at.read_text()) if at.exists() else 0.0
        at.unlink(missing_ok=True)
        left = _still_there(str(work.scratch / "often.py"))
        if code == 0 or not 0 < took < MOST or left:
            failures.append(f"{kind} {rank}: exit code {code} after {took:.0f} s, left {left}: {words[-300:]}")
    return outcome(f"one of torchrun's processes fails: all end within {MOST} s", tries, failures)


def _torchrun(
    work: Work, place: Path, victims: list[tuple[int, int]], *, restarts: int = 3, fail: str = ""
) -> tuple[int, str]:
    """Exit code and stderr. Each victim is a rank and the step after which it is killed."""
    table, script = work.scratch / "elastic.tsv", work.scratch / "often.py"
    rows = zip(work.data.train.sentences, work.data.train.gold, strict=True)
    table.write_text("sentence\tlabel\n" + "".join(f"{sentence}\t{gold}\n" for sentence, gold in rows))
    script.write_text(SCRIPT)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", f"--max-restarts={restarts}"]
    command = [sys.executable, *launch, str(script), "train", str(table), "--out", str(place)]
    config = work.config
    names = ("encoder", "epochs", "batch_size", "learning_rate", "max_length", "device", "precision", "on_collapse")
    for name in names:
        command += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    log = work.scratch / f"{place.name}.log"
    with (
        log.open("w") as stream,
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=stream, env={**os.environ, "FAIL": fail}
        ) as process,
    ):
        for rank, after in victims:
            _kill(process, place, rank, after)
        process.wait(timeout=400)
    return process.returncode, log.read_text()


def _kill(torchrun: Any, place: Path, rank: int, after: int) -> None:
    """Sends SIGKILL to the worker of a rank after the checkpoint of a step."""
    ends = time.perf_counter() + 120
    while torchrun.poll() is None and time.perf_counter() < ends:
        steps = [stored.age(path)[0] for path in stored.newest_first(place)]
        worker = _worker(torchrun.pid, rank)
        if steps and max(steps) >= after and worker:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            (place.parent / "often.at").write_text(str(time.time()))
            return
        time.sleep(0.005)


def _worker(parent: int, rank: int) -> int:
    """The process number of the worker of a rank that has joined; 0 while there is none."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
                return int(child)
    return 0


def _still_there(script: str) -> list[int]:
    """Processes that run a script."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if script in path.read_text():
                found.append(int(path.parent.name))
    return found
