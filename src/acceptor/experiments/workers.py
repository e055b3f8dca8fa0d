"""Worker processes that train in parallel, each with its share of cores or a GPU."""

from __future__ import annotations

import _thread
import contextlib
import dataclasses
import functools
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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from acceptor import errors
from acceptor.config import TrainConfig
from acceptor.data.split import with_validation
from acceptor.data.table import Data
from acceptor.errors import AcceptorError, ResourceError, RunError, TrainingError
from acceptor.progress import without_progress
from acceptor.runs.checkpoint import has_checkpoint
from acceptor.runs.folder import is_finished
from acceptor.runtime.cache import cache_folder
from acceptor.runtime.threads import choose_threads
from acceptor.storage.lock import one_writer
from acceptor.text import Json
from acceptor.training.collapse import CollapseError
from acceptor.training.session import StoppedError
from acceptor.training.signals import deferred_signals
from acceptor.training.train import train

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
MAX_WAIT_SECONDS = 60.0  # for the process of a killed command to write its checkpoint and end

T = TypeVar("T")


# ── the trainings of a set ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Plan:
    """A planned training.

    Attributes:
        name: The name of its folder.
        data: The data to train on.
        config: The settings.
        about: Further fields of its entry, besides seeds and outcome.
        restarts: True if it is restarted with safer settings after a collapse.
        restarted_from: The name of the collapsed training that this one restarts; None if it is not a restart.
    """

    name: str
    data: Data
    config: TrainConfig
    about: Json
    restarts: bool = False
    restarted_from: str | None = None

    @functools.cached_property
    def split_data(self) -> Data:
        """The data with a validation split, as the training will have them."""
        config = self.config
        return with_validation(self.data, config)[0]


@dataclass(frozen=True)
class Outcome:
    """How a training ended: its error (as `AcceptorError.to_dict`) if it did not finish, and its collapse, if any."""

    status: Literal["finished", "collapsed", "failed"]
    error: dict[str, str] | None = None
    collapse: Json | None = None


def train_plans(todo: deque[Plan], out: Path, processes: int) -> Iterator[tuple[Plan, Outcome]]:
    """Trains every plan in ``todo``, including those added meanwhile, and yields each plan with its outcome.

    Args:
        todo: The plans. A training is removed from the left when it starts.
        out: The folder of the set.
        processes: Number of trainings at the same time; 1 trains in this process.

    Raises:
        AcceptorError: An error that concerns all trainings: data, encoder, a setting.
    """
    processes = min(processes, len(todo))  # so that few trainings have all cores
    if processes <= 1:
        while todo:
            plan = todo.popleft()
            logger.info("%s starts", plan.name)
            yield plan, train_plan(plan, out / plan.name)
        return

    def start(slot: int) -> Worker[Plan]:
        plan = todo.popleft()
        sent = dataclasses.replace(plan)  # without what it has cached
        return Worker(plan, plan.name, functools.partial(train_plan, sent, out / plan.name), slot, processes)

    for worker in run_workers(lambda: bool(todo), start, processes):
        if worker.answer is not None:
            yield worker.task, Outcome(**worker.answer)
        elif not worker.was_stopped:
            yield worker.task, Outcome("failed", worker.death().to_dict())


def train_plan(plan: Plan, folder: Path) -> Outcome:
    """Trains a plan, from its checkpoint if there is one."""
    try:
        _wait_until_free(folder)
        if not is_finished(folder):  # else the other process has finished it
            train(plan.data, out=folder, config=plan.config, resume=has_checkpoint(folder))
    except CollapseError as error:
        return Outcome("collapsed", error.to_dict(), error.collapse.to_dict())
    except StoppedError:
        raise  # it can be resumed
    except (TrainingError, ResourceError, RunError) as error:
        return Outcome("failed", error.to_dict())
    return Outcome("finished")


def _wait_until_free(folder: Path) -> None:
    """Waits for the worker of a killed command, which is still writing its last checkpoint."""
    until = time.monotonic() + MAX_WAIT_SECONDS
    while True:
        try:
            with one_writer(folder):
                return
        except RunError:
            if time.monotonic() > until:
                raise
        time.sleep(POLL_SECONDS)


# ── the supervisor ───────────────────────────────────────────────────────────────────────────────────────


def run_workers(more: Callable[[], bool], start: Callable[[int], Worker[T]], processes: int) -> Iterator[Worker[T]]:
    """Keeps several workers running while there are tasks, and yields each worker that has ended.

    SIGINT and SIGTERM stop all workers; each writes a checkpoint first. So does leaving the loop over this generator.

    Args:
        more: Returns True while there are tasks that are not started.
        start: Starts a worker on the next task. Its argument is a slot from 0 to ``processes`` - 1, which determines
            the worker's cores or GPU.
        processes: Number of workers at the same time.

    Raises:
        AcceptorError: A worker refused its task.
    """
    running: dict[int, Worker[T]] = {}
    with deferred_signals("stopping: each training writes a checkpoint first") as stop:
        try:
            while (more() and not stop) or running:
                for slot in range(processes):
                    if slot not in running and more() and not stop:
                        running[slot] = start(slot)
                time.sleep(POLL_SECONDS)
                for worker in running.values():
                    if stop:
                        worker.stop()
                for slot in [slot for slot, worker in running.items() if worker.ended]:
                    worker = running.pop(slot)
                    worker.finish()
                    yield worker
        finally:
            for worker in running.values():
                worker.stop()
            for worker in running.values():
                worker.process.wait()


class Worker(Generic[T]):
    """A process that does one task.

    It writes a checkpoint and stops when its standard input is closed, which also happens if this process is killed.
    Its log lines are logged here, prefixed by its name.

    Args:
        task: The task, kept for the caller.
        name: The worker's name in the log.
        job: What it does, as a picklable `functools.partial`; it returns what JSON can hold, a dataclass, or None.
        slot: The worker's slot, from 0 to ``processes`` - 1.
        processes: Number of workers at the same time.
    """

    def __init__(self, task: T, name: str, job: Callable[[], object], slot: int, processes: int) -> None:
        self.task, self.name = task, name
        self.answer: Json | None = None
        self.was_stopped = False
        self._stopping = False
        self._last_lines: deque[str] = deque(maxlen=5)
        self._output = b""
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-c",
                "from acceptor.runtime.garbage import collect_rarely; collect_rarely()\n"
                "from acceptor.experiments.workers import worker_main; worker_main()",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment_of(slot, processes),
            start_new_session=True,  # a terminal's Ctrl-C reaches only this process, which stops the workers
        )
        logger.info("%s starts", name)
        request = pickle.dumps((job, _log_level()))
        self._threads = [
            threading.Thread(target=self._send, args=(request,), daemon=True),
            threading.Thread(target=self._receive, daemon=True),
            threading.Thread(target=self._relay, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def ended(self) -> bool:
        """True if the process has ended."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """Tells the worker to write a checkpoint and end."""
        if not self._stopping:
            self._stopping = True
            self._threads[0].join()
            assert self.process.stdin is not None  # noqa: S101 - a pipe
            with contextlib.suppress(OSError):  # already ended
                self.process.stdin.close()

    def finish(self) -> None:
        """Reads the answer of a process that has ended; ``answer`` stays None if it was stopped or died.

        Raises:
            AcceptorError: The job raised it.
        """
        asked = self._stopping
        self.stop()
        for thread in self._threads:
            thread.join()
        self.was_stopped = asked and self.process.returncode in (130, 143)  # else something else stopped it
        if self._output:
            output: Json = json.loads(self._output)
            if "refused" in output:
                details = output["refused"]
                raise getattr(errors, details.pop("error"), RunError)(details.pop("problem"), **details)
            self.answer = output["answer"]

    def death(self) -> RunError:
        """The error of a process that ended without an answer."""
        return RunError(
            f"its process ended with code {self.process.returncode}",
            found="\n".join(self._last_lines),
            code="E-RUN-UNFINISHED",
        )

    def _send(self, request: bytes) -> None:
        assert self.process.stdin is not None  # noqa: S101 - a pipe
        with contextlib.suppress(OSError):  # it ended before it read everything
            self.process.stdin.write(request)
            self.process.stdin.flush()

    def _receive(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - a pipe
        with self.process.stdout as stream:
            self._output = stream.read()

    def _relay(self) -> None:
        assert self.process.stderr is not None  # noqa: S101 - a pipe
        with self.process.stderr as stream:
            for line in stream:
                self._last_lines.append(line.decode("utf-8", "replace").rstrip())
                logger.log(_log_level(), "%s: %s", self.name, self._last_lines[-1])


def _log_level() -> int:
    """The lowest level of log lines that are shown: INFO, or WARNING with ``--quiet``. All of a worker's have it."""
    return logging.getLogger("acceptor").level or logging.INFO


# ── in the worker's process ──────────────────────────────────────────────────────────────────────────────


def worker_main() -> None:
    """Runs the job that `Worker` sends on standard input, and writes the answer to standard output."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # prints of libraries, also from C, go to stderr: they are not part of the answer
    job, level = _job()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("acceptor").setLevel(level)
    logging.getLogger("acceptor.training.signals").setLevel(logging.ERROR)  # the process that stops all has said so
    output: Json
    try:
        with without_progress() if level > logging.INFO else contextlib.nullcontext():
            output = {"answer": job()}
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except AcceptorError as error:
        output = {"refused": error.to_dict()}
    with answer:
        answer.write(json.dumps(output, default=asdict))


def _job() -> tuple[Callable[[], object], int]:
    """Reads the job and the log level from standard input. When that is closed, this process ends."""
    signal.signal(signal.SIGTERM, _end)
    job: tuple[Callable[[], object], int]
    job = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    threading.Thread(target=_end_when_alone, daemon=True).start()
    return job


def _end(*_: Any) -> None:
    raise SystemExit(143)


def _end_when_alone() -> None:
    while os.read(0, 1):
        pass
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGTERM)  # also wakes a main thread that waits in a system call
    else:
        _thread.interrupt_main(signal.SIGTERM)  # there os.kill would end the process without a checkpoint


def environment_of(slot: int, processes: int) -> dict[str, str]:
    """Environment variables of a worker: path of the package, cache, share of the cores, GPU."""
    own = {"PYTHONPATH": _path_to_acceptor(), "ACCEPTOR_CACHE": str(cache_folder())}
    return {**os.environ, **_share_of_machine(slot, processes), **own}


def _path_to_acceptor() -> str:
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).parents[2]), *([before] if before else [])])


def _share_of_machine(slot: int, processes: int) -> dict[str, str]:
    """A GPU for each process, assigned in turn; and its share of the cores."""
    import torch

    share = {"OMP_NUM_THREADS": str(max(1, int(choose_threads().value) // processes))}
    if torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else [str(index) for index in range(torch.cuda.device_count())]
        share["CUDA_VISIBLE_DEVICES"] = names[slot % len(names)]
    return share
