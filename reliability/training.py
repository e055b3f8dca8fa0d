"""Trainings that are killed, stopped, starved of disk and memory, fed with NaN: what is promised of each, tried.

Every training here is a process of its own, forked from a server that has imported everything and used nothing. The
corpus is small and the encoder tiny; it has dropout, and a checkpoint is saved at every step, so that most kills fall
into a save.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import acceptor
from acceptor.errors import AcceptorError, ResourceError, RunError, TrainingError, UsageError
from acceptor.files import check_manifest
from acceptor.run import train
from acceptor.training import checkpoint, loop
from reliability.folders import good_encoder
from reliability.outcome import Outcome

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["reliability.training", "transformers.models.bert.modeling_bert"])
ERRORS = {
    0: "finished",
    11: "UsageError",
    12: "RunError",
    13: "ResourceError",
    14: "TrainingError",
    15: "another error",
}
KINDS = {UsageError: 11, RunError: 12, ResourceError: 13, TrainingError: 14}
OUT_OF_MEMORY = (
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 MiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
)


@dataclass(frozen=True)
class Work:
    """What all trainings here share: a folder, data, settings, and what an undisturbed one comes to."""

    scratch: Path
    data: acceptor.Data
    config: acceptor.TrainConfig
    seconds: float
    digest: str


def prepared(scratch: Path) -> Work:
    """The corpus, the encoder, and one training that nobody disturbs."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    scratch.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    words = ["the", "cat", "cats", "sleep", "sleeps", "see", "sees", "girl"]
    rows = [(" ".join(rng.choice(words, size=rng.integers(2, 8))), str(n % 2)) for n in range(200)]
    data = acceptor.load_data(rows[:160], validation=rows[160:])
    encoder = good_encoder(scratch / "encoder")
    config = acceptor.TrainConfig(
        encoder=str(encoder), epochs=3, batch_size=8, learning_rate=1e-3, max_length=16, device="cpu", precision="fp32"
    )
    work = Work(scratch, data, config, 0.0, "")
    _wait(_start(work, scratch / "first"))  # the server's start is not part of a training's time
    began = time.perf_counter()
    code = _wait(_start(work, scratch / "undisturbed"))
    if code != 0:
        raise SystemExit(f"the undisturbed training ended with {ERRORS.get(code, code)}")
    return Work(scratch, data, config, time.perf_counter() - began, _digest(scratch / "undisturbed"))


def killed(work: Work, kills: int, seed: int = 0) -> Outcome:
    """SIGKILL at a random time, again and again in the same training, until it ends."""
    rng = random.Random(seed)
    return _interrupted(
        work, kills, "killed at any time: the same weights", lambda: (rng.uniform(0.05, work.seconds), None)
    )


def killed_in_a_save(work: Work, kills: int, seed: int = 0) -> Outcome:
    """The process ends within one of its file operations: before a name, a file, a folder appears or goes."""
    rng = random.Random(seed)
    return _interrupted(work, kills, "killed inside a save: the same weights", lambda: (None, rng.randrange(1, 400)))


def stopped(work: Work, stops: int, seed: int = 0) -> Outcome:
    """SIGTERM at a random time, every second time twice: gone within 10 s, and no step is computed again."""
    rng, failures = random.Random(seed), []
    for number in range(stops):
        place = work.scratch / f"stopped-{number}"
        log = work.scratch / f"steps-{number}"
        process = _start(work, place, before=partial(_log_steps, log))
        _until(lambda log=log: log.exists() and log.stat().st_size > rng.randrange(20))
        began = time.perf_counter()
        for _ in range(1 + number % 2):
            _send(process, signal.SIGTERM)
        code, took = _wait(process), time.perf_counter() - began
        code = code if code != -signal.SIGTERM else _wait(_start(work, place, before=partial(_log_steps, log)))
        steps = list(log.read_bytes())
        if code != 0 or took > 10 or steps != list(range(1, len(steps) + 1)) or _digest(place) != work.digest:
            failures.append(f"stop {number}: {ERRORS.get(code, code)} after {took:.1f} s, steps {steps}")
        shutil.rmtree(place)
    return _outcome("SIGTERM: a checkpoint within 10 s, no step lost", stops, failures)


def damaged(work: Work, flips: int, cuts: int, seed: int = 0) -> Outcome:
    """A bit turned round, or an end cut off or zeroed, in any file of the newest checkpoint or of a finished run."""
    rng, failures = random.Random(seed), []
    begun = work.scratch / "begun"
    _begun(work, begun)
    latest = checkpoint._newest_first(begun)[0]
    for number in range(flips + cuts):
        folder = latest if number % 2 else work.scratch / "undisturbed"
        file = rng.choice([path for path in sorted(folder.rglob("*")) if path.is_file()])
        before = file.read_bytes()
        file.write_bytes(_turned(before, rng) if number < flips else _cut(before, rng))
        try:
            if folder == latest:
                found = checkpoint.newest(begun)[0] != latest
            else:
                check_manifest(folder)
                found = False
        except RunError as error:
            found = folder != latest and (file.name in str(error) or file.name == "manifest.json")
        if not found:
            failures.append(f"{file.relative_to(work.scratch)}: not found")
        file.write_bytes(before)
    return _outcome("damaged files found, the checkpoint before taken", flips + cuts, failures)


def disk_full(work: Work, tries: int, seed: int = 0) -> Outcome:
    """No file may grow past a random size: the checkpoint before stays, nothing half-written does, and it goes on."""
    rng, failures = random.Random(seed), []
    for number in range(tries):
        place = work.scratch / f"full-{number}"
        _begun(work, place)
        old = _digest_of(checkpoint._newest_first(place)[0])
        most = rng.randrange((checkpoint._newest_first(place)[0] / "state.safetensors").stat().st_size)
        code = _wait(_start(work, place, before=partial(_limit_files, most)))
        held = _digest_of(checkpoint._newest_first(place)[0]) == old and not list(place.rglob("*.part"))
        held = held and code == KINDS[ResourceError] and not list(work.scratch.glob(f".{place.name}*"))
        code = _wait(_start(work, place))
        if not held or code != 0 or _digest(place) != work.digest:
            failures.append(f"files up to {most} bytes: {ERRORS.get(code, code)}")
        shutil.rmtree(place)
    return _outcome("disk full in a save: nothing lost or left over", tries, failures)


def one_writer(work: Work, tries: int) -> Outcome:
    """A second training in the same folder is refused while the first lives, and takes over once it is dead."""
    failures = []
    for number in range(tries):
        place = work.scratch / f"shared-{number}"
        first = _start(work, place)
        _until(lambda place=place: checkpoint.has_checkpoint(place))
        _send(first, signal.SIGSTOP)
        refused = _wait(_start(work, place))
        _send(first, signal.SIGKILL)
        _wait(first)
        code = _wait(_start(work, place))
        if refused != KINDS[RunError] or code != 0 or _digest(place) != work.digest:
            failures.append(f"second: {ERRORS.get(refused, refused)}, third: {ERRORS.get(code, code)}")
        shutil.rmtree(place)
    return _outcome("one run, one writer; a dead one's lock taken over", tries, failures)


def not_finite(work: Work, tries: int, seed: int = 0) -> Outcome:
    """A gradient becomes NaN or infinite at a random step: the training ends there, or goes on without that step."""
    rng, failures = random.Random(seed), []
    for number in range(tries):
        place, step = work.scratch / f"nan-{number}", rng.randrange(2, 60)
        value = (np.nan, np.inf, -np.inf)[number % 3]
        code = _wait(_start(work, place, before=partial(_poison, step, value)))
        reached = checkpoint.newest(place)[1]["progress"]["step"]
        skipping = work.config.model_copy(update={"on_nan": "skip"})
        shutil.rmtree(place)
        second = _wait(_start(work, place, skipping, before=partial(_poison, step, value)))
        skipped = json.loads((place / "run.json").read_text())["skipped_steps"] if second == 0 else None
        if code != KINDS[TrainingError] or reached != step - 1 or skipped != 1:
            failures.append(f"{value} at step {step}: {ERRORS.get(code, code)}, kept {reached}, skipped {skipped}")
        shutil.rmtree(place)
    return _outcome("NaN and infinity: stopped at that step, or skipped", tries, failures)


def out_of_memory(work: Work, seed: int = 0) -> Outcome:
    """Memory runs out at a random step in each of its forms: as if the batch had been cut in two from there on."""
    rng, failures = random.Random(seed), []
    for number, form in enumerate(OUT_OF_MEMORY):
        step = rng.randrange(1, 60)
        digests = []
        for name, error in (("ran-out", form), ("halved", None)):
            place = work.scratch / f"{name}-{number}"
            code = _wait(_start(work, place, before=partial(_starve, step, error)))
            digests.append(_digest(place) if code == 0 else ERRORS.get(code, str(code)))
        if digests[0] != digests[1] or digests[0] == work.digest:
            failures.append(f"{form!r} at step {step}: {digests}")
    return _outcome("out of memory: the same batch in smaller parts", len(OUT_OF_MEMORY), failures)


def changed(work: Work) -> Outcome:
    """Another corpus, seed, batch or learning rate on the way: refused; the learning rate may change if asked for."""
    rows = [("the cat sleeps", "1"), ("cats the", "0")]
    fewer = acceptor.load_data(rows * 80, validation=rows * 20)
    tries = [
        ("data", {"data": fewer}, "UsageError"),
        ("seed", {"seed": 5}, "UsageError"),
        ("batch size", {"batch_size": 16}, "UsageError"),
        ("learning rate", {"learning_rate": 1e-4}, "UsageError"),
        ("learning rate, allowed", {"learning_rate": 1e-4, "allow_change": True}, "finished"),
        ("seed, allowed", {"seed": 5, "allow_change": True}, "UsageError"),
    ]
    failures = []
    for name, change, expected in tries:
        place = work.scratch / "changed"
        _begun(work, place)
        data, allow = change.pop("data", work.data), change.pop("allow_change", False)
        code = _wait(_start(work, place, work.config.model_copy(update=change), data=data, allow_change=allow))
        if ERRORS.get(code) != expected:
            failures.append(f"{name}: {ERRORS.get(code, code)}")
        shutil.rmtree(place)
    return _outcome("changed on the way: refused, or taken where asked", len(tries), failures)


def _interrupted(work: Work, kills: int, promise: str, draw: Callable[[], tuple[float | None, int | None]]) -> Outcome:
    """Kills as drawn (after seconds, or at a file operation); held are those whose training ends like `Work.digest`."""
    done, held, number, failures = 0, 0, 0, []
    while done < kills:
        place, own = work.scratch / f"killed-{number}", 0
        while not (place / "manifest.json").exists():
            after, operation = draw() if done + own < kills else (None, None)
            process = _start(work, place, before=partial(_die_at, operation) if operation else None)
            if after is not None:
                time.sleep(after)
                _send(process, signal.SIGKILL)
            code = _wait(process)
            own += code in (-signal.SIGKILL, 137)
            if code not in (0, -signal.SIGKILL, 137):
                failures.append(f"training {number}: {ERRORS.get(code, code)}")
                break
        same = (place / "manifest.json").exists() and _digest(place) == work.digest
        left = [path.name for path in work.scratch.glob(f".{place.name}*")]
        if same and not left:
            held += own
        else:
            failures.append(f"training {number}, {own} kills: " + (f"left {left}" if same else "other weights"))
        done, number = done + own, number + 1
        shutil.rmtree(place, ignore_errors=True)
    return Outcome(promise, held, done, tuple(failures))


def _start(
    work: Work,
    place: Path,
    config: acceptor.TrainConfig | None = None,
    *,
    data: acceptor.Data | None = None,
    allow_change: bool = False,
    before: Callable[[], None] | None = None,
) -> Any:
    """A training in a process of its own, which goes on where there is something to go on with."""
    options = {"data": data or work.data, "config": config or work.config, "allow_change": allow_change}
    process = FORK.Process(target=_body, args=(place, options, before))
    process.start()
    return process


def _body(place: Path, options: dict[str, Any], before: Callable[[], None] | None) -> None:
    checkpoint.EVERY, checkpoint.SHARE = 0.0, 1e9
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    code = 0
    try:
        if before:
            before()
        train(out=place, resume=checkpoint.has_checkpoint(place), **options)
    except AcceptorError as error:
        code = next((number for kind, number in KINDS.items() if isinstance(error, kind)), 15)
    os._exit(code)


def _begun(work: Work, place: Path) -> None:
    """A training that was stopped after some steps and has two checkpoints."""
    process = _start(work, place)
    _until(lambda: len(checkpoint._newest_first(place)) == 2)
    _send(process, signal.SIGTERM)
    _wait(process)


def _send(process: Any, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has finished
        os.kill(process.pid, number)


def _wait(process: Any) -> int:
    process.join(60)
    return int(process.exitcode if process.exitcode is not None else 999)


def _until(true: Callable[[], bool]) -> None:
    ends = time.perf_counter() + 60
    while not true() and time.perf_counter() < ends:
        time.sleep(0.002)


def _digest(run: Path) -> str:
    """Of the weights, and of the history without its seconds."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    history = json.dumps([{name: value for name, value in line.items() if name != "seconds"} for line in lines])
    return hashlib.sha256((run / "model.safetensors").read_bytes() + history.encode()).hexdigest()


def _digest_of(folder: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()


def _outcome(promise: str, tried: int, failures: list[str]) -> Outcome:
    return Outcome(promise, tried - len(failures), tried, tuple(failures))


def _turned(content: bytes, rng: random.Random) -> bytes:
    changed, at = bytearray(content), rng.randrange(len(content))
    changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    """Cut short; or, where that changes it, with its last bytes zero."""
    at = rng.randrange(len(content))
    zeroed = content[:at] + bytes(len(content) - at)
    return zeroed if rng.random() < 0.5 and zeroed != content else content[:at]


def _die_at(operation: int) -> None:
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"):
            count += any(part in str(arguments[0]) for part in ("checkpoints", "killed-", ".part"))
            if count == operation:
                os._exit(137)

    sys.addaudithook(hook)


def _log_steps(log: Path) -> None:
    """Every step that is computed adds its number to a file."""
    gradients = loop._gradients

    def logged(judge: Any, learner: Any, *rest: Any) -> Any:
        with log.open("ab") as stream:
            stream.write(bytes([learner.steps + 1]))
        return gradients(judge, learner, *rest)

    loop._gradients = logged


def _limit_files(most: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _poison(step: int, value: float) -> None:
    gradients = loop._gradients

    def poisoned(judge: Any, learner: Any, *rest: Any) -> Any:
        loss = gradients(judge, learner, *rest)
        if learner.steps + 1 == step:
            learner.grad[step] = value
        return loss

    loop._gradients = poisoned


def _starve(step: int, error: BaseException | None) -> None:
    """From a step on, more than half a batch does not fit: it raises, or without an error it is known beforehand."""
    gradients, collate, now = loop._gradients, loop.collate, [0]

    def watched(judge: Any, learner: Any, train: Any, targets: Any, rows: Any) -> Any:
        now[0] = learner.steps + 1
        if error is None and now[0] >= step:
            learner.micro_batch = 4
        return gradients(judge, learner, train, targets, rows)

    def starved(encoded: Any, rows: Any, *rest: Any) -> Any:
        if error is not None and now[0] >= step and len(rows) > 4:
            raise error
        return collate(encoded, rows, *rest)

    loop._gradients, loop.collate = watched, starved
