"""Trainings that are killed, stopped, changed, fed with NaN, short of memory: what is promised of each, tried."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import acceptor
from acceptor.errors import RunError, TrainingError
from acceptor.runs import checkpoint as stored
from acceptor.storage.manifest import file_sha256
from acceptor.training import checkpoint, loop
from acceptor.training.flat_adamw import FlatAdamW
from reliability.outcome import Outcome
from reliability.process import (
    EPOCHS,
    ERRORS,
    KILLED,
    KINDS,
    STEPS,
    Work,
    difference,
    outcome,
    said,
    seen,
    send,
    start,
    until,
    wait,
)

OUT_OF_MEMORY = (
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 MiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
)
OPERATIONS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree")
Before = Callable[[], None] | None


def killed(work: Work, kills: int, seed: int = 0) -> Outcome:
    """SIGKILL at a random time, again and again in the same training, until it ends."""
    rng = random.Random(seed)
    draw = lambda: (rng.uniform(0.05, work.seconds), None)  # noqa: E731
    return _interrupted(work, kills, "killed at any time: the same weights, moments, history", "killed", draw)


def killed_in_a_save(work: Work, kills: int, seed: int = 0) -> Outcome:
    """The process ends within one of its file operations: before a name, a file, a folder appears or goes."""
    rng = random.Random(seed)
    draw = lambda: (None, partial(_die_at, rng.randrange(1, 400)))  # noqa: E731
    return _interrupted(work, kills, "killed inside a save: the same", "killed-saving", draw)


def killed_ten_times(work: Work, trainings: int, seed: int = 0) -> Outcome:
    """Ten kills in one training, in all epochs: before a step, behind AdamW's update, or inside that step's save."""
    rng, failures = random.Random(seed), []
    for number in range(trainings):
        steps = [step for epoch in range(EPOCHS) for step in rng.sample(range(2, STEPS), 3 + (epoch == 2))]
        at = [step + STEPS * (order // 3 if order < 9 else 2) for order, step in enumerate(steps)]
        kills = [partial(_die_in_step, step, rng.choice(["before", "behind", "saving"]), rng.randrange(1, 12))
                 for step in sorted(at)]  # fmt: skip
        failures += _killed_at(work, f"killed-ten-{number}", kills)
    return outcome("ten kills in one training: the same", 10 * trainings, failures)


def killed_between_epochs(work: Work, trainings: int) -> Outcome:
    """A kill between each epoch's last step and its judging, and one between that and the next epoch's first step."""
    failures = []
    for number in range(trainings):
        kills = [partial(_die_between, epoch, judged) for epoch in range(1, EPOCHS + 1) for judged in (False, True)]
        failures += _killed_at(work, f"killed-between-{number}", kills)
    return outcome("killed at the end of each epoch: the same", 2 * EPOCHS * trainings, failures)


def killed_in_parts(work: Work, trainings: int, seed: int = 0) -> Outcome:
    """Memory runs out once; then, in every epoch, a kill between two parts of a batch: the parts keep their size.

    The processes that go on have all the memory they want. One that forgot the size would not come to a second part,
    and its sums would be in another order.
    """
    rng, failures = random.Random(seed), []
    for number in range(trainings):
        first, whole = rng.randrange(1, 10), work.scratch / f"parts-{number}"
        starve = partial(_starve, first, OUT_OF_MEMORY[number % len(OUT_OF_MEMORY)])
        wait(start(work, whole, before=starve))
        steps = [rng.randrange(first + 1, STEPS), *(rng.randrange(1, STEPS) + STEPS * n for n in range(1, EPOCHS))]
        kills = [partial(_die_between_parts, step) for step in steps]
        kills[0] = partial(_both, starve, kills[0])
        failures += _killed_at(work, f"killed-parts-{number}", kills, whole.name)
        if not difference(work, whole):
            failures.append(f"training {number}: parts make no difference, so nothing was tried")
    return outcome("killed between the parts of a batch: the same", EPOCHS * trainings, failures)


def stopped(work: Work, stops: int, seed: int = 0) -> Outcome:
    """SIGTERM at a random time, every second time twice: gone within 10 s, and no step is computed again."""
    rng, failures = random.Random(seed), []
    for number in range(stops):
        place, enough = work.scratch / f"stopped-{number}", rng.randrange(20)
        process = start(work, place)
        until(lambda place=place, enough=enough: len(seen(work, place.name)) > 3 * enough)
        began = time.perf_counter()
        for _ in range(1 + number % 2):
            send(process, signal.SIGTERM)
        code, took = wait(process), time.perf_counter() - began
        code = code if code != -signal.SIGTERM else wait(start(work, place))
        steps = [int(line.split()[1]) for line in seen(work, place.name) if line.startswith("rows")]
        if code != 0 or took > 10 or steps != list(range(1, len(steps) + 1)) or difference(work, place):
            failures.append(f"stop {number}: {ERRORS.get(code, code)} after {took:.1f} s, steps {steps}")
        shutil.rmtree(place)
    return outcome("SIGTERM: a checkpoint within 10 s, no step lost", stops, failures)


def one_writer(work: Work, tries: int) -> Outcome:
    """A second training in the same folder is refused while the first lives, and takes over once it is dead."""
    failures = []
    for number in range(tries):
        place = work.scratch / f"shared-{number}"
        first = start(work, place)
        until(lambda place=place: stored.has_checkpoint(place))
        send(first, signal.SIGSTOP)
        refused = wait(start(work, place))
        send(first, signal.SIGKILL)
        wait(first)
        code = wait(start(work, place))
        if refused != KINDS[RunError] or code != 0 or difference(work, place):
            failures.append(f"second: {ERRORS.get(refused, refused)}, third: {ERRORS.get(code, code)}")
        shutil.rmtree(place)
    return outcome("one run, one writer; a dead one's lock taken over", tries, failures)


def not_finite(work: Work, tries: int, seed: int = 0) -> Outcome:
    """A gradient becomes NaN or infinite at a random step: the training ends there with its rows, or skips them."""
    rng, failures = random.Random(seed), []
    for number in range(tries):
        place, step = work.scratch / f"nan-{number}", rng.randrange(2, EPOCHS * STEPS)
        value = (np.nan, np.inf, -np.inf)[number % 3]
        config = work.config.model_copy(update={"select": "best"})  # a poisoned epoch must not become the best
        code = wait(start(work, place, config, before=partial(_poison, step, value)))
        reached = stored.newest(place).progress.step if stored.has_checkpoint(place) else None
        rows = next(line.split()[2:] for line in seen(work, "undisturbed") if line.startswith(f"rows {step} "))
        named = "rows " + ", ".join(str(work.data.train.table.lines[int(row)]) for row in rows)
        words = said(work, place.name)
        shutil.rmtree(place)
        second = wait(
            start(work, place, config.model_copy(update={"on_nan": "skip"}), before=partial(_poison, step, value))
        )
        record = json.loads((place / "run.json").read_text()) if second == 0 else {}
        history = (place / "history.jsonl").read_text().splitlines() if second == 0 else []
        skipped = [json.loads(line) for line in history if '"skip"' in line]
        described = [str(line) for line in skipped[0]["rows"]] == re.findall(r"\d+", named) if skipped else False
        if code != KINDS[TrainingError] or reached != step - 1 or record.get("skipped_steps") != 1:
            failures.append(
                f"{value} at step {step}: {ERRORS.get(code, code)}, kept {reached}, {record.get('skipped_steps')}"
            )
        elif named not in words or not described:
            failures.append(f"{value} at step {step}: {named} not named in {words}")
        shutil.rmtree(place, ignore_errors=True)
    return outcome("NaN and infinity: stopped at that step with its rows, or skipped", tries, failures)


def out_of_memory(work: Work, forms: int, seed: int = 0) -> Outcome:
    """Memory runs out at a random step in each of its forms: as if the batch had been cut in two from there on."""
    rng, failures = random.Random(seed), []
    for number, form in enumerate(OUT_OF_MEMORY[-forms:]):
        step, ran_out, halved = rng.randrange(1, 60), work.scratch / f"ran-out-{number}", f"halved-{number}"
        codes = [wait(start(work, ran_out, before=partial(_starve, step, form)))]
        codes += [wait(start(work, work.scratch / halved, before=partial(_starve, step, None)))]
        differs = difference(work, ran_out, halved) if codes == [0, 0] else f"{codes}"
        if differs or not difference(work, ran_out):
            failures.append(f"{form!r} at step {step}: {differs or 'parts make no difference'}")
    return outcome("out of memory: the same batch in smaller parts", forms, failures)


def changed(work: Work) -> Outcome:
    """Another corpus, label map, encoder, seed, batch or learning rate on the way: refused, but for what may change."""
    rows = [("the cat sleeps", "1"), ("cats the", "0")]
    train, words = work.data.train, ("red", "blue")  # no words whose order is known
    own = [(sentence, words[gold]) for sentence, gold in zip(train.sentences, train.gold, strict=True)]
    straight = acceptor.load_data(own, validation=own[:40], labels=["red", "blue"])
    turned = acceptor.load_data(own, validation=own[:40], labels=["blue", "red"])
    tries: list[tuple[str, dict[str, Any], str]] = [
        ("data", {"data": acceptor.load_data(rows * 80, validation=rows * 20)}, "UsageError"),
        ("label map", {"first": straight, "data": turned}, "UsageError"),
        ("seed", {"seed": 5}, "UsageError"),
        ("batch size", {"batch_size": 16}, "UsageError"),
        ("learning rate", {"learning_rate": 1e-4}, "UsageError"),
        ("learning rate, allowed", {"learning_rate": 1e-4, "allow_change": True}, "finished"),
        ("seed, allowed", {"seed": 5, "allow_change": True}, "UsageError"),
        ("weights of the encoder", {"file": "model.safetensors"}, "UsageError"),
        ("settings of the encoder", {"file": "config.json"}, "UsageError"),
        ("tokenizer of the encoder", {"file": "tokenizer.json"}, "UsageError"),
    ]
    failures = []
    for number, (name, change, expected) in enumerate(tries):
        place, encoder = work.scratch / f"changed-{number}", work.scratch / f"encoder-{number}"
        shutil.copytree(work.config.encoder, encoder)
        config = work.config.model_copy(update={"encoder": str(encoder)})
        first = start(work, place, config, data=change.pop("first", work.data))
        until(lambda place=place: stored.has_checkpoint(place))
        send(first, signal.SIGTERM)
        wait(first)
        data, allow, named = change.pop("data", work.data), change.pop("allow_change", False), []
        if file := change.pop("file", None):
            named = [file_sha256(encoder / file)]
            _another(encoder / file)
            named += [file_sha256(encoder / file)]
        code = wait(start(work, place, config.model_copy(update=change), data=data, allow_change=allow))
        if ERRORS.get(code) != expected or not all(sha256 in said(work, place.name) for sha256 in named):
            failures.append(f"{name}: {ERRORS.get(code, code)} {said(work, place.name)}")
    return outcome("changed on the way: refused with both hashes, or taken where asked", len(tries), failures)


def _interrupted(
    work: Work, kills: int, promise: str, name: str, draw: Callable[[], tuple[float | None, Before]]
) -> Outcome:
    """Kills as drawn (after seconds, or by the process itself); held are those of trainings that end the same."""
    done, held, number, failures = 0, 0, 0, []
    while done < kills:
        place, own = work.scratch / f"{name}-{number}", 0
        while not (place / "manifest.json").exists():
            after, before = draw() if done + own < kills else (None, None)
            process = start(work, place, before=before)
            if after is not None:
                time.sleep(after)
                send(process, signal.SIGKILL)
            code = wait(process)
            own += code in KILLED
            if code not in (0, *KILLED):
                failures.append(f"training {number}: {ERRORS.get(code, code)} {said(work, place.name)}")
                break
        if code in KILLED:  # behind the run's last file: the command, given again, clears away and says that it is done
            code = wait(start(work, place))
            code = 0 if ERRORS.get(code) == "UsageError" else code
        differs = difference(work, place) or _left_beside(place) or ("" if code == 0 else f"exit code {code}")
        if differs:
            failures.append(f"training {number}, {own} kills: {differs}")
        done, held, number = done + own, held + own * (not differs), number + 1
        shutil.rmtree(place, ignore_errors=True)
    return Outcome(promise, held, done, tuple(failures))


def _killed_at(work: Work, name: str, kills: Sequence[Before], other: str = "undisturbed") -> list[str]:
    """One training whose processes kill themselves at given steps; one failure for each that ends otherwise."""
    place, codes = work.scratch / name, []
    for before in (*kills, None):
        codes.append(wait(start(work, place, before=before)))
    if codes != [-signal.SIGKILL] * len(kills) + [0]:
        differs = f"exit codes {codes} {said(work, name)}"
    else:
        differs = difference(work, place, other) or _left_beside(place)
    shutil.rmtree(place, ignore_errors=True)
    return [f"{name}: {differs}"] * len(kills) if differs else []


def _left_beside(place: Path) -> str:
    left = [path.name for path in place.parent.glob(f".{place.name}.*")]
    return f"left {left}" if left else ""


def _another(file: Path) -> None:
    """Another encoder of the same shape: a weight, a rate of dropout, two words in each other's place."""
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        file.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    elif file.name == "config.json":
        file.write_text(json.dumps({**json.loads(content), "hidden_dropout_prob": 0.2}))
    else:
        file.write_bytes(content.replace(b'"cat"', b'"???"').replace(b'"girl"', b'"cat"').replace(b'"???"', b'"girl"'))


# What a process does to itself before it trains.


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    first()
    second()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(operation: int) -> None:
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in OPERATIONS and "/seen/" not in str(arguments[0]):
            count += any(part in str(arguments[0]) for part in ("checkpoints", "killed-", ".part"))
            if count == operation:
                _die()

    sys.addaudithook(hook)


def _die_in_step(step: int, moment: str, operation: int) -> None:
    """Before the gradients of a step, behind its update, or at a file operation of its save (or behind the last)."""
    gradients, update, save = loop._gradients, FlatAdamW.step, checkpoint.Checkpoints.save

    def computing(judge: Any, optimizer: Any, *rest: Any) -> Any:
        if moment == "before" and optimizer.steps + 1 == step:
            _die()
        return gradients(judge, optimizer, *rest)

    def updating(self: Any, *rest: Any, **options: Any) -> bool:
        updated = update(self, *rest, **options)
        if moment == "behind" and self.steps == step:
            _die()
        return updated

    def saving(self: Any, progress: Any, *rest: Any) -> None:
        if moment == "saving" and progress.step == step:
            _die_at(operation)
        save(self, progress, *rest)
        if moment == "saving" and progress.step == step:
            _die()

    loop._gradients, FlatAdamW.step, checkpoint.Checkpoints.save = computing, updating, saving


def _die_between(epoch: int, judged: bool) -> None:
    """Behind the checkpoint of an epoch's last step, or behind that of the epoch itself."""
    save = checkpoint.Checkpoints.save

    def saving(self: Any, progress: Any, *rest: Any) -> None:
        save(self, progress, *rest)
        if progress.step == STEPS * epoch and progress.epoch == epoch - (not judged):
            _die()

    checkpoint.Checkpoints.save = saving


def _die_between_parts(step: int) -> None:
    gradients, collate, now = loop._gradients, loop.collate, [0, 0]

    def computing(judge: Any, optimizer: Any, *rest: Any) -> Any:
        now[:] = [optimizer.steps + 1, 0]
        return gradients(judge, optimizer, *rest)

    def collating(encoded: Any, rows: Any, *rest: Any) -> Any:
        now[1] += 1
        if now == [step, 2]:
            _die()
        return collate(encoded, rows, *rest)

    loop._gradients, loop.collate = computing, collating


def _poison(step: int, value: float) -> None:
    gradients = loop._gradients

    def poisoned(judge: Any, optimizer: Any, *rest: Any) -> Any:
        loss = gradients(judge, optimizer, *rest)
        if optimizer.steps + 1 == step:
            optimizer.grad[step] = value
        return loss

    loop._gradients = poisoned


def _starve(step: int, error: BaseException | None) -> None:
    """From a step on, more than half a batch does not fit: it raises, or without an error it is known beforehand."""
    gradients, collate, now = loop._gradients, loop.collate, [0]

    def watched(judge: Any, optimizer: Any, train: Any, targets: Any, rows: Any) -> Any:
        now[0] = optimizer.steps + 1
        if error is None and now[0] >= step:
            optimizer.micro_batch = 4
        return gradients(judge, optimizer, train, targets, rows)

    def starved(encoded: Any, rows: Any, *rest: Any) -> Any:
        if error is not None and now[0] >= step and len(rows) > 4:
            raise error
        return collate(encoded, rows, *rest)

    loop._gradients, loop.collate = watched, starved
