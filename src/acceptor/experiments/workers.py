"""Trainings side by side: each in a process of its own, with its share of the machine."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from acceptor import errors
from acceptor.config import TrainConfig
from acceptor.data.table import Data
from acceptor.errors import DataError, EncoderError, ResourceError, RunError, TrainingError, UsageError
from acceptor.runs.checkpoint import has_checkpoint
from acceptor.runtime.cache import cache_folder
from acceptor.storage.lock import one_writer
from acceptor.storage.manifest import MANIFEST
from acceptor.training.collapse import CollapseError
from acceptor.training.signals import signals_held
from acceptor.training.train import train

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.05  # seconds between two looks at the processes
PATIENCE = 60.0  # seconds that a process of a killed command has to write its checkpoint and let go of a run folder


@dataclass(frozen=True)
class Plan:
    """One training to be.

    Attributes:
        name: Its folder's.
        data: What it trains on.
        config: Its settings.
        about: What its entry says of it beside its seeds and its outcome.
        restarts: True where it is to begin again, with safer settings, after a collapse.
        restarted_from: The name of the collapsed training that this one begins again.
    """

    name: str
    data: Data
    config: TrainConfig
    about: dict[str, Any]
    restarts: bool = False
    restarted_from: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a training ended; ``details`` are those of its error."""

    status: Literal["finished", "collapsed", "failed", "refused"]
    details: dict[str, Any] | None = None


def outcomes(todo: deque[Plan], out: Path, processes: int) -> Iterator[tuple[Plan, Outcome]]:
    """Trains what stands in ``todo``, also what is put there on the way, and tells how each training ended.

    Args:
        todo: The trainings to be; a training is taken from the left when it begins.
        out: The folder of their run folders.
        processes: How many train at once; 1 trains in this process.

    Raises:
        AcceptorError: What is wrong with all trainings alike: data, encoder, a setting.
    """
    if processes > 1:
        yield from _side_by_side(todo, out, processes)
        return
    while todo:
        plan = todo.popleft()
        logger.info("%s begins", plan.name)
        yield plan, _train_one(plan, out / plan.name)


def _side_by_side(todo: deque[Plan], out: Path, processes: int) -> Iterator[tuple[Plan, Outcome]]:
    running: dict[int, _Child] = {}  # by place: each has its share of the cores, or a GPU
    with signals_held() as stop:
        try:
            while (todo and not stop) or running:
                for place in range(processes):
                    if place not in running and todo and not stop:
                        running[place] = _Child(todo.popleft(), out, place, processes)
                time.sleep(LOOK_EVERY)
                for child in running.values():
                    if stop:
                        child.stop()
                for place in [place for place, child in running.items() if child.ended]:
                    child = running.pop(place)
                    if outcome := child.outcome():
                        yield child.plan, outcome
        finally:
            for child in running.values():
                child.stop()
            for child in running.values():
                child.process.wait()


def _train_one(plan: Plan, place: Path) -> Outcome:
    """One training, from its checkpoint where there is one."""
    try:
        _wait_until_free(place)
        if not (place / MANIFEST).is_file():  # else the process that we waited for has finished it
            train(plan.data, out=place, config=plan.config, resume=has_checkpoint(place))
    except CollapseError as error:
        return Outcome("collapsed", {**error.to_dict(), "collapse": error.collapse.to_dict()})
    except (TrainingError, ResourceError, RunError) as error:
        return Outcome("failed", error.to_dict())
    return Outcome("finished")


def _wait_until_free(place: Path) -> None:
    """Waits for a process of a command that was killed: it is writing its last checkpoint."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with one_writer(place):
                return
        except RunError:
            if time.monotonic() > until:
                raise
        time.sleep(LOOK_EVERY)


class _Child:
    """A training in a process of its own.

    It stops in its orderly way when its standard input ends, so also when this process is killed.
    """

    def __init__(self, plan: Plan, out: Path, place: int, processes: int) -> None:
        self.plan = plan
        self._stopping = False
        self._said: deque[str] = deque(maxlen=5)
        self._answer = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from acceptor.experiments.workers import child; child()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment_of(place, processes),
            start_new_session=True,  # a terminal's ^C comes to this process, which tells the others
        )
        logger.info("%s begins", plan.name)
        request = pickle.dumps((plan, out / plan.name))
        self._threads = [
            threading.Thread(target=self._ask, args=(request,), daemon=True),
            threading.Thread(target=self._hear, daemon=True),
            threading.Thread(target=self._relay, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def ended(self) -> bool:
        """True when the process is gone."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """Asks it to write a checkpoint and end."""
        if not self._stopping:
            self._stopping = True
            self._threads[0].join()
            assert self.process.stdin is not None  # noqa: S101 - a pipe
            with contextlib.suppress(OSError):  # gone already
                self.process.stdin.close()

    def outcome(self) -> Outcome | None:
        """How its training ended; None where it was stopped. What is wrong with all of them alike is raised."""
        asked = self._stopping
        self.stop()
        for thread in self._threads:
            thread.join()
        if self._answer:
            answer = json.loads(self._answer)
            if answer["status"] == "refused":
                details = dict(answer["details"])
                raise getattr(errors, details.pop("error"))(details.pop("problem"), **details)
            return Outcome(**answer)
        if asked and self.process.returncode in (130, 143):  # else someone ended it: that is told
            return None
        problem = f"its process ended with code {self.process.returncode}"
        return Outcome("failed", {"error": "RunError", "problem": problem, "found": "\n".join(self._said)})

    def _ask(self, request: bytes) -> None:
        assert self.process.stdin is not None  # noqa: S101 - a pipe
        with contextlib.suppress(OSError):  # it died before it read all
            self.process.stdin.write(request)
            self.process.stdin.flush()

    def _hear(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - a pipe
        with self.process.stdout as stream:
            self._answer = stream.read()

    def _relay(self) -> None:
        assert self.process.stderr is not None  # noqa: S101 - a pipe
        with self.process.stderr as stream:
            for line in stream:
                self._said.append(line.decode("utf-8", "replace").rstrip())
                logger.info("%s: %s", self.plan.name, self._said[-1])


def child() -> None:
    """One training, asked for on standard input by `_Child`; says how it ended on standard output."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints, in C too, is no part of the answer
    plan, place = asked_for()
    try:
        outcome = _train_one(plan, place)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except (UsageError, DataError, EncoderError) as error:
        outcome = Outcome("refused", error.to_dict())
    with answer:
        answer.write(json.dumps(vars(outcome)))


def asked_for() -> Any:
    """What the process that started this one asks for on standard input. When that ends, so does this one."""
    signal.signal(signal.SIGTERM, _end)
    request = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    threading.Thread(target=_end_when_alone, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("acceptor").setLevel(logging.INFO)
    return request


def _end(*_: Any) -> None:
    raise SystemExit(143)


def _end_when_alone() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def environment_of(place: int, processes: int) -> dict[str, str]:
    """What a process at one of several places is started with: package, cache, its share of cores, a GPU in turn."""
    own = {"PYTHONPATH": _path_to_acceptor(), "ACCEPTOR_CACHE": str(cache_folder())}
    return {**os.environ, **_share_of_machine(place, processes), **own}


def _path_to_acceptor() -> str:
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).parents[2]), *([before] if before else [])])


def _share_of_machine(place: int, processes: int) -> dict[str, str]:
    """A GPU for each process, in turn; and its share of the cores."""
    import torch

    share = {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // processes))}
    if torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else [str(index) for index in range(torch.cuda.device_count())]
        share["CUDA_VISIBLE_DEVICES"] = names[place % len(names)]
    return share
