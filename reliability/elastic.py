"""Two processes under torchrun, one of which is killed: torchrun starts both anew, and they go on."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from acceptor.training import checkpoint
from reliability.outcome import Outcome
from reliability.training import Work


def restarted(work: Work, tries: int, seed: int = 0) -> Outcome:
    """Each try kills one of the two, in turn, at a random step; the weights must come out the same."""
    rng, failures = random.Random(seed), []
    table = work.scratch / "elastic.tsv"
    rows = zip(work.data.train.sentences, work.data.train.gold, strict=True)
    table.write_text("sentence\tlabel\n" + "".join(f"{sentence}\t{gold}\n" for sentence, gold in rows))
    whole = work.scratch / "elastic-whole"
    code, words = _torchrun(work, table, whole, victim=None, after=0)
    expected = (whole / "model.safetensors").read_bytes() if code == 0 else words.encode()
    for number in range(tries):
        place = work.scratch / f"elastic-{number}"
        code, words = _torchrun(work, table, place, victim=number % 2, after=rng.randrange(1, 40))
        if code != 0 or (place / "model.safetensors").read_bytes() != expected or "going on after" not in words:
            failures.append(f"try {number}: exit code {code}: {words[-300:]}")
    return Outcome("a worker killed under torchrun: the same weights", tries - len(failures), tries, tuple(failures))


def _torchrun(work: Work, table: Path, place: Path, *, victim: int | None, after: int) -> tuple[int, str]:
    often = (
        "import acceptor.training.checkpoint as c; c.EVERY = 0.0; c.SHARE = 1e9; from acceptor.cli import main; main()"
    )
    script = work.scratch / "often.py"
    script.write_text(often)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=3", str(script)]
    config = work.config
    settings = [
        "--epochs",
        "3",
        "--batch-size",
        "8",
        "--learning-rate",
        "1e-3",
        "--max-length",
        "16",
        "--device",
        "cpu",
    ]
    command = [
        sys.executable,
        *launch,
        "train",
        str(table),
        "--encoder",
        config.encoder,
        "--out",
        str(place),
        *settings,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        ends = time.perf_counter() + 60
        while victim is not None and process.poll() is None and time.perf_counter() < ends:
            steps = [int(re.findall(r"\d+", path.name)[1]) for path in checkpoint._newest_first(place)]
            if steps and max(steps) >= after:
                os.kill(_worker(process.pid, victim), signal.SIGKILL)
                break
            time.sleep(0.005)
        _, words = process.communicate(timeout=400)
    return process.returncode, words


def _worker(parent: int, rank: int) -> int:
    """The process number of the worker of a rank."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in children:
        variables = Path(f"/proc/{child}/environ").read_text().split("\0")
        if f"RANK={rank}" in variables:
            return int(child)
    raise RuntimeError(json.dumps({"no worker of rank": rank, "children": children}))
