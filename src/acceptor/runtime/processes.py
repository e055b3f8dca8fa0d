"""The processes that `torchrun` starts for one training: this one's place among them, and how they meet."""

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

PATIENCE = datetime.timedelta(minutes=2)  # with another process: more than any checkpoint takes
SAY_AFTER = 5.0  # seconds of waiting for the others after which that is said
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
    """What the variables of `torchrun` say; alone where none is set.

    Schedulers and earlier commands leave such variables behind, so a set that cannot be `torchrun`'s is refused
    before any process waits for others that will never come.

    Raises:
        UsageError: A variable says no number, or they do not fit together, or some are missing.
    """
    place = ProcessRank(whole_number("RANK", 0), whole_number("WORLD_SIZE", 1), whole_number("LOCAL_RANK", 0))
    if variable("RANK") and not variable("WORLD_SIZE") and place.rank:
        raise _left_over(f"RANK={place.rank} without WORLD_SIZE")
    if place.world_size < 1:
        raise _left_over("WORLD_SIZE=0")
    if place.rank >= place.world_size:
        raise _left_over(f"RANK={place.rank} of WORLD_SIZE={place.world_size}: ranks count from 0")
    if place.world_size > 1:
        missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not variable(name)]
        if missing:
            raise _left_over(f"WORLD_SIZE={place.world_size} without {', '.join(missing)}")
        if not 0 < whole_number("MASTER_PORT", 0) < 1 << 16:
            raise _left_over(f"MASTER_PORT={variable('MASTER_PORT')}")
    return place


def _left_over(found: str) -> UsageError:
    kept = [name for name in NAMES if name in os.environ]
    return UsageError(
        "the environment asks for several processes, but not as torchrun does",
        expected="RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT together, as torchrun sets them; or none",
        found=found,
        cause="variables that a scheduler or an earlier command left over",
        next=f"one process: unset {' '.join(kept)}\nseveral: torchrun --nproc-per-node N -m acceptor train …",
    )


@contextlib.contextmanager
def process_group(runtime: Runtime) -> Iterator[None]:
    """Joins the processes that ``torchrun`` started; does nothing for a single one.

    Raises:
        ResourceError: The others did not come within `PATIENCE`.
    """
    if runtime.world_size == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    if runtime.device.startswith("cuda"):
        torch.cuda.set_device(runtime.device)
    # Waiting for a process that died, this one is deaf to Python's handlers: torchrun must be able to end it at once.
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with _waiting(runtime):
            store, rank, world_size = next(dist.rendezvous("env://", timeout=PATIENCE))  # type: ignore[attr-defined]
            if variable("GROUP_WORLD_SIZE") == "1":
                # torchrun (2.13) keeps one store for all restarts on a machine, without telling them apart: a process
                # that looks up its peer's address before the peer has written it finds the dead one's, and waits in
                # vain.
                attempt = whole_number("TORCHELASTIC_RESTART_COUNT", 0)
                store = dist.PrefixStore(f"restart-{attempt}", store)  # type: ignore[attr-defined]
            backend = "nccl" if runtime.device.startswith("cuda") else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=PATIENCE)
    finally:
        signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _waiting(runtime: Runtime) -> Iterator[None]:
    """Says what is being waited for where that takes seconds; the failure to meet becomes one of ours."""
    where = f"{variable('MASTER_ADDR')}:{variable('MASTER_PORT')}"
    among = f"process {runtime.rank} of {runtime.world_size} (RANK, WORLD_SIZE)"
    words = f"{among} waits for the others at {where}, {PATIENCE.seconds} s at most; alone? unset {' '.join(NAMES)}"
    said = threading.Timer(SAY_AFTER, logger.warning, args=("%s", words))
    said.daemon = True
    said.start()
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:  # torch's DistError is a RuntimeError
        raise ResourceError(
            "the processes that are to train together did not meet",
            where=f"MASTER_ADDR and MASTER_PORT: {where}",
            found=among,
            cause=str(error).strip().split("\n")[0],
            next=f"one process: unset {' '.join(NAMES)}\nseveral: torchrun --nproc-per-node N -m acceptor train …",
        ) from error
    finally:
        said.cancel()
