"""Training in several processes under `torchrun`: this process' rank, and the process group."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acceptor.environment import variable, whole_number
from acceptor.errors import ResourceError, UsageError

if TYPE_CHECKING:
    from acceptor.runtime.device import Runtime

logger = logging.getLogger(__name__)

TIMEOUT = datetime.timedelta(minutes=2)  # for the processes to join
LONGEST_WAIT = datetime.timedelta(minutes=10)  # of a collective call: longer than any checkpoint or validation takes
WARN_AFTER = 5.0  # seconds of waiting for the other processes
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class ProcessRank:
    """One of the processes that train together.

    Attributes:
        rank: Its number; only process 0 writes.
        world_size: How many there are.
        local_rank: Its number on this machine, which is also its GPU's number.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_main_process(self) -> bool:
        """True in the process that writes files and logs."""
        return self.rank == 0


def process_rank() -> ProcessRank:
    """This process' rank, from the variables that `torchrun` sets; rank 0 of 1 if none is set.

    Schedulers and earlier commands leave such variables behind. Variables that `torchrun` cannot have set are refused,
    before this process waits for others that do not exist.

    Raises:
        UsageError: A variable holds no number, they contradict each other, or some are missing.
    """
    found = ProcessRank(whole_number("RANK", 0), whole_number("WORLD_SIZE", 1), whole_number("LOCAL_RANK", 0))
    if variable("RANK") and not variable("WORLD_SIZE") and found.rank:
        raise _left_over(f"RANK={found.rank} without WORLD_SIZE")
    if found.world_size < 1:
        raise _left_over("WORLD_SIZE=0")
    if found.rank >= found.world_size:
        raise _left_over(f"RANK={found.rank} of WORLD_SIZE={found.world_size}: ranks count from 0")
    if found.world_size > 1:
        missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not variable(name)]
        if missing:
            raise _left_over(f"WORLD_SIZE={found.world_size} without {', '.join(missing)}")
        if not 0 < whole_number("MASTER_PORT", 0) < 1 << 16:
            raise _left_over(f"MASTER_PORT={variable('MASTER_PORT')}")
    return found


def refuse_torchrun() -> None:
    """Refuses to train several judges in processes that `torchrun` has started for one.

    Raises:
        UsageError: This is one of several such processes.
    """
    if process_rank().world_size > 1:
        raise UsageError(
            "torchrun trains one judge in several processes",
            next="run the command without torchrun; --processes N trains several judges at once",
            code="E-USAGE-CONFLICT",
        )


def _left_over(found: str) -> UsageError:
    kept = [name for name in NAMES if name in os.environ]
    return UsageError(
        "the environment asks for several processes, but torchrun did not set it",
        expected="RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT together, as torchrun sets them; or none",
        found=found,
        cause="variables that a scheduler or an earlier command left over",
        next=f"one process: unset {' '.join(kept)}\nseveral: torchrun --nproc-per-node N -m acceptor train …",
        code="E-USAGE-ENVIRONMENT",
    )


@contextlib.contextmanager
def process_group(runtime: Runtime) -> Iterator[None]:
    """Joins the process group that ``torchrun`` started; does nothing for a single process.

    Raises:
        ResourceError: The other processes did not join within `TIMEOUT`.
    """
    if runtime.world_size == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    if runtime.device.startswith("cuda"):
        torch.cuda.set_device(runtime.device)
    with _default_sigterm(), _waiting(runtime):
        store, rank, world_size = next(dist.rendezvous("env://", timeout=TIMEOUT))  # type: ignore[attr-defined]
        if variable("GROUP_WORLD_SIZE") == "1":
            # torchrun (2.13) has one store for all restarts on a machine and does not distinguish them: a process
            # that looks up its peer's address before the peer has written it finds the dead one's, and waits in
            # vain.
            attempt = whole_number("TORCHELASTIC_RESTART_COUNT", 0)
            store = dist.PrefixStore(f"restart-{attempt}", store)  # type: ignore[attr-defined]
        backend = "nccl" if runtime.device.startswith("cuda") else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=LONGEST_WAIT)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _default_sigterm() -> Iterator[None]:
    """SIGTERM ends this process at once, because no handler in Python runs while it waits for a dead process."""
    if not hasattr(signal, "SIGTERM"):
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _waiting(runtime: Runtime) -> Iterator[None]:
    """Warns when joining takes seconds; turns a failure into a `ResourceError`."""
    where = f"{variable('MASTER_ADDR')}:{variable('MASTER_PORT')}"
    this = f"process {runtime.rank} of {runtime.world_size} (RANK, WORLD_SIZE)"
    limit = f"{TIMEOUT.seconds} s at most; for one process: unset {' '.join(NAMES)}"
    message = f"{this} waits for the other processes at {where}, {limit}"
    warning = threading.Timer(WARN_AFTER, logger.warning, args=("%s", message))
    warning.daemon = True
    warning.start()
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:  # torch's DistError is a RuntimeError
        raise ResourceError(
            "the processes of this training did not connect to each other",
            where=f"MASTER_ADDR and MASTER_PORT: {where}",
            found=this,
            cause=str(error).strip().split("\n")[0],
            next=f"one process: unset {' '.join(NAMES)}\nseveral: torchrun --nproc-per-node N -m acceptor train …",
            code="E-RESOURCE-PROCESSES",
        ) from error
    finally:
        warning.cancel()
