"""Chooses the number of threads: by the process' cores, the limits of its control groups, the user's setting."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

from acceptor.config import Derived
from acceptor.environment import variable

GROUPS, MOUNTS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def available_cores() -> int:
    """The cores that this process may run on: its affinity if the system has that, else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota() -> float | None:
    """The smallest CPU limit of the control groups (containers, batch systems), in cores; None if there is none.

    Version 2 has it in ``cpu.max``, version 1 in ``cpu.cfs_quota_us``. The limits of parent groups count, too.
    """
    try:
        lines = GROUPS.read_text("utf-8", "replace").splitlines()
    except OSError:  # no Linux, or no /proc
        return None
    limits: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2) if line.count(":") > 1 else ("", "", "/")
        if controllers and "cpu" not in controllers.split(","):
            continue
        for home in _homes(controllers):
            for folder in _upward(home, path):
                limits += _limit_of(folder)
    return min(limits, default=None)


def _homes(controllers: str) -> list[Path]:
    """The folders where a hierarchy may be mounted."""
    names = {controllers, "cpu", "cpu,cpuacct"} if controllers else (".", "unified")
    return [MOUNTS / name for name in names]


def _upward(home: Path, path: str) -> Iterator[Path]:
    """A group's folder and its parents, as far as a container sees them."""
    parts = [part for part in path.split("/") if part]
    for length in range(0 if ".." in parts else len(parts), -1, -1):
        yield home.joinpath(*parts[:length])


def _limit_of(folder: Path) -> list[float]:
    with contextlib.suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return [int(quota) / int(period)] if quota != "max" else []
    with contextlib.suppress(OSError, ValueError):
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return [int(quota) / int(period)] if int(quota) > 0 else []
    return []


def choose_threads() -> Derived:
    """The number of threads for this process, unless the user set one (``OMP_NUM_THREADS``)."""
    given = variable("OMP_NUM_THREADS")
    first = (given or "").split(",")[0].strip()  # OpenMP takes a list, one number for each level
    if first.isdecimal() and int(first):
        return Derived("threads", int(first), "as OMP_NUM_THREADS says")
    cores, quota = available_cores(), cpu_quota()
    limit = cores if quota is None else max(1, math.floor(quota + 0.5))  # with 1.5 cores, 2 threads are faster by 15 %
    if limit >= cores:
        return Derived("threads", cores, "the cores that this process may use; another number: OMP_NUM_THREADS")
    reason = f"the control group's limit is {quota:.1f} cores' time, of {cores}; another number: OMP_NUM_THREADS"
    return Derived("threads", limit, reason)


def use_threads() -> Derived:
    """`choose_threads`, set in torch, unless the user or a library has set another number there."""
    import torch

    chosen, now = choose_threads(), torch.get_num_threads()
    if now == chosen.value:
        return chosen
    if variable("OMP_NUM_THREADS") is None and now == available_cores():
        torch.set_num_threads(int(chosen.value))
        return chosen
    return Derived("threads", now, "as set in torch")
