"""Trainings in processes of their own, and what each of them did, those that are killed and the undisturbed one.

Every process is forked from a server that has imported everything and used nothing. The corpus is small and the encoder
tiny; it has dropout, and a checkpoint is saved at every step, so that most kills fall into a save.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import acceptor
from acceptor.errors import AcceptorError, ResourceError, RunError, TrainingError, UsageError
from acceptor.runs import checkpoint as stored
from acceptor.training import checkpoint, loop
from acceptor.training.train import train
from reliability.folders import good_encoder
from reliability.outcome import Outcome

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(
    [f"reliability.{name}" for name in ("training", "disk", "power", "predicting")]
    + ["transformers.models.bert.modeling_bert", "transformers.models.auto.tokenization_auto"]
    + [f"matplotlib.{name}" for name in ("figure", "backends.backend_agg", "backends.backend_svg")]
    + ["reliability.frozen"]
)
EPOCHS, STEPS = 3, 20  # steps of an epoch
ERRORS = {
    0: "finished",
    11: "UsageError",
    12: "RunError",
    13: "ResourceError",
    14: "TrainingError",
    15: "another error",
}
KINDS = {UsageError: 11, RunError: 12, ResourceError: 13, TrainingError: 14}
KILLED = (-signal.SIGKILL, 137)


@dataclass(frozen=True)
class Work:
    """What all trainings here share: a folder, data, settings, and what an undisturbed one did in how many seconds."""

    scratch: Path
    data: acceptor.Data
    config: acceptor.TrainConfig
    seconds: float = 0.0


def prepared(scratch: Path) -> Work:
    """The corpus, the encoder, and one training that nobody disturbs."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    (scratch / "seen").mkdir(parents=True)
    rng = np.random.default_rng(0)
    words = ["the", "cat", "cats", "sleep", "sleeps", "see", "sees", "girl"]
    rows = [(" ".join(rng.choice(words, size=rng.integers(2, 8))), str(n % 2)) for n in range(200)]
    data = acceptor.load_data(rows[:160], validation=rows[160:])
    encoder = good_encoder(scratch / "encoder")
    config = acceptor.TrainConfig(
        encoder=str(encoder),
        epochs=EPOCHS,
        batch_size=8,
        learning_rate=1e-3,
        reinit_layers=0,
        dropout=0.1,  # its random numbers must be those of the undisturbed training
        max_length=16,
        device="cpu",
        precision="fp32",
        on_collapse="go-on",  # the labels are random: all verdicts come out alike
    )
    work = Work(scratch, data, config)
    wait(start(work, scratch / "first"))  # the server's start is not part of a training's time
    began = time.perf_counter()
    code = wait(start(work, scratch / "undisturbed"))
    if code != 0:
        raise SystemExit(f"the undisturbed training ended with {ERRORS.get(code, code)}: {said(work, 'undisturbed')}")
    steps = [line.split()[2:] for line in seen(work, "undisturbed") if line.startswith("rows")]
    for epoch in range(EPOCHS):
        rows_of = sorted(int(row) for step in steps[epoch * STEPS : (epoch + 1) * STEPS] for row in step)
        if rows_of != list(range(len(data.train))):
            raise SystemExit(f"epoch {epoch + 1} does not take every example once")
    return Work(scratch, data, config, time.perf_counter() - began)


def start(
    work: Work,
    place: Path,
    config: acceptor.TrainConfig | None = None,
    *,
    data: acceptor.Data | None = None,
    allow_change: bool = False,
    often: bool = True,
    before: Callable[[], None] | None = None,
) -> Any:
    """A training in a process of its own, which goes on where there is something to go on with.

    Args:
        work: What trainings share.
        place: The run folder.
        config: Other settings.
        data: Other data.
        allow_change: As for `train`.
        often: Save at every step.
        before: Called in the process before it trains.
    """
    options = {"data": data or work.data, "config": config or work.config, "allow_change": allow_change}
    process = FORK.Process(target=_body, args=(work.scratch / "seen", place, options, often, before))
    process.start()
    return process


def _body(log: Path, place: Path, options: dict[str, Any], often: bool, before: Callable[[], None] | None) -> None:
    if often:
        checkpoint.MIN_INTERVAL, checkpoint.MAX_SAVING_SHARE = 0.0, 1e9
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    code = 0
    _witness(log / place.name)
    try:
        if before:
            before()
        resume = False
        with contextlib.suppress(OSError):  # a place that may not even be looked at
            resume = stored.has_checkpoint(place)
        train(out=place, resume=resume, **options)
    except AcceptorError as error:
        code = next((number for kind, number in KINDS.items() if isinstance(error, kind)), 15)
        words = str(error)
    except BaseException as error:
        code, words = 15, repr(error)
    if code:
        with contextlib.suppress(OSError):  # a full disk is one of the tries
            (log / f"{place.name}.error").write_text(words)
    os._exit(code)


def _witness(log: Path) -> None:
    """Each step's examples and each checkpoint's tensors become a line of a file."""
    gradients, save = loop._gradients, checkpoint.Checkpoints.save

    def note(*words: object) -> None:
        with contextlib.suppress(OSError):
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
            os.close(descriptor)

    def noted(judge: Any, optimizer: Any, train: Any, targets: Any, rows: Any) -> Any:
        note("rows", optimizer.steps + 1, *rows)
        return gradients(judge, optimizer, train, targets, rows)

    def saved(self: Any, progress: Any, *rest: Any) -> None:
        began = time.perf_counter()
        save(self, progress, *rest)
        took = time.perf_counter() - began
        folder = stored.checkpoint_folder(self.run, progress)
        digest = hashlib.sha256((folder / "state.safetensors").read_bytes()).hexdigest()
        note("state", progress.epoch, progress.step, digest)
        note("took", took)

    loop._gradients, checkpoint.Checkpoints.save = noted, saved


def seen(work: Work, name: str) -> list[str]:
    """What the trainings of a run folder noted, line by line."""
    log = work.scratch / "seen" / name
    return log.read_text().splitlines() if log.exists() else []


def said(work: Work, name: str) -> str:
    """How the last error of a run folder's trainings read."""
    log = work.scratch / "seen" / f"{name}.error"
    return log.read_text() if log.exists() else ""


def difference(work: Work, place: Path, other: str = "undisturbed") -> str:
    """Nothing where a finished training did what the other did, else what differs.

    Compared are the final weights, the history without its seconds, each step's examples, and the tensors of every
    checkpoint: weights and both moments of AdamW at each step.
    """
    mine, others = (set(seen(work, name)) for name in (place.name, other))
    rows, others_rows = ({line for line in lines if line.startswith("rows")} for lines in (mine, others))
    states, others_states = ({line for line in lines if line.startswith("state")} for lines in (mine, others))
    if not (place / "manifest.json").exists():
        return "no finished run"
    if rows != others_rows:
        return "other examples: " + min(rows ^ others_rows, key=lambda line: int(line.split()[1]))
    if not states <= others_states or not states:
        return "other states: " + min(states - others_states, key=lambda line: int(line.split()[2]), default="none")
    return "" if digest(place) == digest(work.scratch / other) else "other weights or history"


def digest(run: Path) -> str:
    """Of the weights, and of the history without its seconds."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    history = json.dumps([{name: value for name, value in line.items() if name != "seconds"} for line in lines])
    return hashlib.sha256((run / "model.safetensors").read_bytes() + history.encode()).hexdigest()


def digest_of(folder: Path) -> str:
    """Of the files in a folder."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()


def interrupted(work: Work, place: Path, config: acceptor.TrainConfig | None = None) -> None:
    """A training that was stopped after some steps and has two checkpoints."""
    process = start(work, place, config)
    until(lambda: len(stored.newest_first(place)) == 2)
    send(process, signal.SIGTERM)
    wait(process)


def send(process: Any, number: int) -> None:
    """A signal, if the process is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def wait(process: Any) -> int:
    """The exit code; 999 for a process that does not end."""
    process.join(60)
    if process.exitcode is None:
        process.kill()
        process.join()
        return 999
    return int(process.exitcode)


def until(true: Callable[[], bool]) -> None:
    """Waits for it, a minute at most."""
    ends = time.perf_counter() + 60
    while not true() and time.perf_counter() < ends:
        time.sleep(0.002)


def limit_files(most: int) -> None:
    """No file of this process may grow past so many bytes, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def outcome(promise: str, tried: int, failures: list[str]) -> Outcome:
    """Each failure is a try that was not held."""
    return Outcome(promise, tried - len(failures), tried, tuple(failures))
