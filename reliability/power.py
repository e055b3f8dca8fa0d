"""Power cuts, modelled: what a disk may hold if only some writes reached it.

A training is recorded: at each file operation (a folder made, a name changed, a flush, a removal) all names and bytes
as the program sees them, and what has been flushed by then. A power cut behind an operation leaves of each folder the
names of its last flush or the later ones, and of each file the bytes of its last flush or something on the way to the
later ones: a half, zeros. From every such disk the training must find a checkpoint that is whole and no older than
the newest that was finished by then, or the finished run.

The model is harsher than a journal, which keeps the order of names; it knows nothing of disks that lie about a flush.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from acceptor.errors import RunError
from acceptor.runs import checkpoint as stored
from acceptor.runs import record
from acceptor.storage import files
from acceptor.storage.manifest import MANIFEST, check_manifest
from acceptor.training import checkpoint
from acceptor.training import train as runs
from reliability.outcome import Outcome
from reliability.process import Work, outcome, said, start, wait

FINISHED = (1 << 30, 0)  # beyond all steps
Tree = dict[int, Any]  # a number to a folder's {name: number} or a file's bytes; 0 is the root


@dataclass
class Moment:
    """The disk behind one operation: as seen, as flushed, and the newest finished state (steps and epochs)."""

    operation: str
    seen: Tree
    flushed: Tree
    finished: tuple[int, int]


@dataclass
class Recorder:
    """Takes a `Moment` behind each file operation beneath a folder."""

    root: Path
    log: Path
    finished: tuple[int, int] = (0, 0)
    flushed: Tree = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)  # the system's, which are used again, to ours
    count: int = 0

    def take(self, operation: str, flushed: Path | None = None) -> None:
        """Looks at all names and bytes; ``flushed`` is what has just reached the disk."""
        seen: Tree = {}
        alive: dict[int, int] = {}

        def look(path: Path) -> int:
            inode = path.stat().st_ino
            if path != self.root and inode not in self.numbers:
                self.count += 1
                self.numbers[inode] = self.count
            number = 0 if path == self.root else self.numbers[inode]
            alive[inode] = number
            names = sorted(path.iterdir()) if path.is_dir() else []
            seen[number] = {each.name: look(each) for each in names} if path.is_dir() else path.read_bytes()
            if path == flushed:
                self.flushed[number] = seen[number]
            return number

        look(self.root)
        self.numbers = alive
        with self.log.open("ab") as stream:
            pickle.dump(Moment(operation, seen, dict(self.flushed), self.finished), stream)


def cut_off(work: Work, trainings: int, seed: int = 0) -> Outcome:
    """All power cuts behind all operations of a short training that begins, saves, replaces a run and ends."""
    rng, failures, tried = random.Random(seed), [], 0
    for number in range(trainings):
        root, log = work.scratch / f"power-{number}", work.scratch / f"power-{number}.log"
        root.mkdir()
        config = work.config.model_copy(update={"epochs": 2, "batch_size": 40, "seed": number})
        code = wait(start(work, root / "new" / "run", config, before=partial(_record, root, log)))
        if code != 0:
            failures.append(f"training {number}: {code} {said(work, 'run')}")
        disk = work.scratch / "disk"
        for moment in _moments(log):
            if moment.finished == (0, 0):
                continue  # before the first checkpoint there is nothing to lose
            images: list[Tree] = []
            for image in _images(moment, rng):
                if image in images:
                    continue
                images.append(image)
                tried += 1
                _write(image, 0, disk)
                found = _found(disk / "new" / "run")
                if found < moment.finished:
                    failures.append(f"behind {moment.operation}: {found} where {moment.finished} was finished")
                shutil.rmtree(disk)
    return outcome("power cuts: the old checkpoint or the new one, whole", tried, failures)


def _record(root: Path, log: Path) -> None:
    """Records this process from here on."""
    recorder = Recorder(root, log)

    def recorded(module: Any, name: str, tell: Callable[..., Path | None] = lambda *_, **__: None) -> None:
        original = getattr(module, name)

        def call(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            recorder.take(f"{name} {arguments[0]}", tell(*arguments))
            return result

        setattr(module, name, call)

    recorded(os, "fsync", lambda descriptor: Path(os.readlink(f"/proc/self/fd/{descriptor}")))
    recorded(os, "rename")
    recorded(os, "mkdir")
    recorded(os, "unlink")
    recorded(os, "rmdir")
    recorded(files, "_exchange")
    recorded(files, "write_json")
    recorded(record, "write_json")
    save = checkpoint.Checkpoints.save

    def saved(self: Any, progress: Any, *rest: Any) -> None:
        save(self, progress, *rest)
        recorder.finished = (progress.step, progress.epoch)

    checkpoint.Checkpoints.save = saved
    write = runs.new_folder

    @contextlib.contextmanager
    def finishing(out: Path) -> Iterator[Path]:
        with write(out) as folder:
            yield folder
        recorder.finished = FINISHED
        recorder.take("the end")

    runs.new_folder = finishing


def _moments(log: Path) -> Iterator[Moment]:
    with log.open("rb") as stream:
        while stream.peek(1):
            yield pickle.load(stream)


def _images(moment: Moment, rng: random.Random) -> Iterator[Tree]:
    """What the disk may hold: all names as flushed or as seen or mixed, bytes that were not flushed in four ways."""
    losses = (lambda old, new: old, lambda old, new: new[: len(new) // 2], lambda old, new: bytes(len(new)),
              lambda old, new: new)  # fmt: skip
    for names in ("flushed", "seen", "mixed"):
        for loss in losses:
            image: Tree = {}
            for number in moment.seen.keys() | moment.flushed.keys():
                new = moment.seen.get(number)
                folder = isinstance(new if new is not None else moment.flushed[number], dict)
                old = moment.flushed.get(number, {} if folder else b"")
                new = old if new is None else new
                if folder:
                    image[number] = {"flushed": old, "seen": new, "mixed": rng.choice((old, new))}[names]
                else:
                    image[number] = old if old == new else loss(old, new)
            yield image


def _write(image: Tree, number: int, path: Path) -> None:
    content = image.get(number, b"")
    if isinstance(content, dict):
        path.mkdir()
        for name, inner in content.items():
            _write(image, inner, path / name)
    else:
        path.write_bytes(content)


def _found(run: Path) -> tuple[int, int]:
    """Steps and epochs of what a training that goes on would take; beyond all for a finished run."""
    if (run / MANIFEST).exists():
        try:
            check_manifest(run, needed=("model.safetensors", "judge.json"))
        except RunError:
            return -1, -1
        return FINISHED
    try:
        return stored.age(stored.newest_whole(run, stored.read_state)[0])
    except RunError:
        return -1, -1
