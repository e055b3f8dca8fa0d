"""The device and precision to compute with, and why; seeds; versions. torch is imported inside the functions."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acceptor.config import Derived
from acceptor.environment import whole_number
from acceptor.errors import ResourceError, UsageError
from acceptor.runtime.cache import cache_folder
from acceptor.runtime.processes import ProcessRank
from acceptor.runtime.threads import choose_threads, use_threads
from acceptor.storage.files import replace_json

CPUINFO = Path("/proc/cpuinfo")  # Linux
HEAP, HUGE_PAGE = 4 << 30, 2 << 20  # bytes of address space for the heap, and of a huge page
OUT_OF_MEMORY = (
    "out of memory",  # CUDA out of memory; CUDA error: out of memory; MPS backend out of memory
    "can't allocate memory",  # DefaultCPUAllocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_NOT_SUPPORTED",  # cuDNN's error if its workspace does not fit
)
MIN_BF16_SPEEDUP = 1.5  # from which bf16 is the default on a CPU


@dataclass(frozen=True)
class Runtime:
    """The device, precision and threads of this process.

    Attributes:
        device: A torch device name such as ``cuda:0`` or ``cpu``.
        device_name: The product's name.
        memory_bytes: Memory of the device (of the machine, for ``cpu`` and ``mps``).
        precision: ``fp32``, ``bf16`` or, in judging, ``int8``: the arithmetic of matrix products.
        rank: This process' number under ``torchrun``; only process 0 writes.
        world_size: How many processes train together.
        threads: CPU threads.
        derived: The derived settings, with reasons.
    """

    device: str
    device_name: str
    memory_bytes: int
    precision: str
    rank: int = 0
    world_size: int = 1
    threads: int = 1
    derived: tuple[Derived, ...] = ()

    @property
    def is_main_process(self) -> bool:
        """True in the process that writes files and logs; under ``torchrun`` the others only compute."""
        return self.rank == 0

    def to_dict(self) -> dict[str, object]:
        """The machine's entry in ``run.json``."""
        return {
            "device": self.device,
            "device_name": self.device_name,
            "memory_bytes": self.memory_bytes,
            "precision": self.precision,
            "processes": self.world_size,
            "threads": self.threads,
            "platform": platform.platform(),
        }


def choose_runtime(device: str | None = None, precision: str | None = None, rank: ProcessRank | None = None) -> Runtime:
    """The given device and precision, or the best of this machine, with reasons.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: ``fp32`` or ``bf16``.
        rank: This process' rank in a distributed training; None for work that each process does alone.

    Raises:
        UsageError: The device is missing, or cannot be shared by several processes; or the precision is unknown.
    """
    import torch

    device_choice = choose_device(device)
    kind = str(device_choice.value)
    if kind == "mps" and rank is not None and rank.world_size > 1:
        raise UsageError(
            "several processes cannot train together on mps",
            cause="torch.distributed has no backend for it",
            next="--device cpu, or train in one process",
            code="E-USAGE-DEVICE",
        )
    precision_choice = _choose_precision(kind, precision)
    threads = use_threads()
    if kind == "cuda":
        index = _gpu_index(rank, torch.cuda.device_count())
        properties = torch.cuda.get_device_properties(index)
        where, name, memory = f"cuda:{index}", properties.name, properties.total_memory
    else:
        where, name, memory = kind, processor_name(), _machine_memory()
    return Runtime(
        device=where,
        device_name=name,
        memory_bytes=memory,
        precision=str(precision_choice.value),
        rank=rank.rank if rank else 0,
        world_size=rank.world_size if rank else 1,
        threads=int(threads.value),
        derived=(device_choice, precision_choice, threads),
    )


def choose_device(device: str | None) -> Derived:
    """The kind of the given device, or the best of this machine, with its reason; nothing is computed.

    Raises:
        UsageError: It is missing, or unknown.
    """
    import torch

    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device is None:
        kind = next(name for name, found in present.items() if found)
        missing = [name for name in present if not present[name]]
        reason = f"no {' and no '.join(missing)} here" if kind == "cpu" else "the fastest device present"
        return Derived("device", kind, reason)
    if not present.get(device):
        raise UsageError(
            f"this machine has no {device} that torch {torch.__version__} can use",
            expected="one of " + ", ".join(name for name, found in present.items() if found),
            cause="no such device, its driver is missing, or torch was installed without support for it",
            next="leave --device out, and the best device present is taken",
            code="E-USAGE-DEVICE",
        )
    return Derived("device", device, "given")


def _choose_precision(kind: str, precision: str | None) -> Derived:
    """The arithmetic on a kind of device."""
    import torch

    if precision not in (None, "fp32", "bf16"):
        raise UsageError(f"no precision is called {precision!r}", expected="fp32 or bf16", code="E-USAGE-OPTION")
    if precision is not None:
        return Derived("precision", precision, "given")
    if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return Derived("precision", "bf16", "this GPU multiplies bf16 matrices natively")
    if kind == "cpu":
        speedup = bf16_speedup()
        here = f"this CPU multiplies bf16 matrices at {speedup:.1f} × the rate of fp32 ones"
        return Derived("precision", "bf16" if speedup >= MIN_BF16_SPEEDUP else "fp32", here)
    return Derived("precision", "fp32", f"the safe arithmetic on {kind}")


def _gpu_index(rank: ProcessRank | None, count: int) -> int:
    """The number of this process' GPU, which is its local rank."""
    if rank is None:  # LOCAL_RANK may be left over from something else
        with contextlib.suppress(UsageError):
            return min(whole_number("LOCAL_RANK", 0), count - 1)
        return 0
    if rank.local_rank >= count:
        raise UsageError(
            f"there is no GPU for process {rank.local_rank} of this machine",
            expected=f"{count} at most, the GPUs that torch sees",
            found=f"LOCAL_RANK={rank.local_rank}",
            next=f"torchrun --nproc-per-node {count} -m acceptor train …\nalone: unset RANK WORLD_SIZE LOCAL_RANK",
            code="E-USAGE-DEVICE",
        )
    return rank.local_rank


def runtime_without_torch(precision: str) -> Runtime:
    """This machine's CPU, with the threads of `choose_threads`."""
    threads = choose_threads()
    return Runtime(
        "cpu",
        processor_name(),
        _machine_memory(),
        precision,
        threads=int(threads.value),
        derived=(threads,),
    )


def bf16_speedup() -> float:
    """How many times faster this CPU's matmul is in bf16 than in fp32; measured once and kept in the cache.

    CPUs with AMX or AVX512-BF16 are faster. Others emulate bf16 a hundred times slower, so the matmul is small.
    """
    import torch

    file, machine = cache_folder() / "bf16-gain.json", f"{processor_key()}, torch {torch.__version__}"
    known: dict[str, float] = {}  # of all machines that share this cache
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = dict(json.loads(file.read_text("utf-8")))
        return float(known[machine])
    times = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
        rounds = []
        for _ in range(6):
            started = time.perf_counter()
            left @ right
            rounds.append(time.perf_counter() - started)
        times[dtype] = min(rounds)
    speedup = round(times[torch.float32] / times[torch.bfloat16], 2)
    with contextlib.suppress(OSError, ResourceError):  # without a cache, the probe is run again next time
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_json(file, known | {machine: speedup})
    return speedup


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's generators, on every device."""
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def is_out_of_memory(error: BaseException) -> bool:
    """True for the errors of torch, CUDA, its libraries and Python that mean out of memory."""
    message = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(form in message for form in OUT_OF_MEMORY)
    )


def free_memory(device: str) -> None:
    """Frees unused memory; on a GPU also torch's cached blocks."""
    import gc

    import torch

    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


@functools.cache
def keep_freed_memory() -> bool:
    """Makes glibc keep freed blocks for reuse, in huge pages; True if that worked (Linux with glibc).

    A training step frees and allocates the same hundreds of megabytes. By default glibc returns large blocks to the
    kernel each time, and the page faults of the next allocation cost a good part of a base-size step on a CPU;
    ``benchmarks/allocator.py`` measures how much. Pages of 2 MB instead of 4 KB have fewer TLB misses: 5 % of a step.
    ``ACCEPTOR_ALLOCATOR=0`` turns it off.
    """
    if sys.platform != "linux" or os.environ.get("ACCEPTOR_ALLOCATOR") == "0":
        return False
    m_trim_threshold, m_mmap_max, madv_hugepage = -1, -4, 14  # malloc.h, mman.h
    try:
        libc = ctypes.CDLL("libc.so.6")
        if not (libc.mallopt(m_mmap_max, 0) and libc.mallopt(m_trim_threshold, -1)):
            return False
    except (OSError, AttributeError):  # musl and others: their allocators have no such setting
        return False
    # A block that is allocated and freed stays part of the heap; untouched, it takes no memory yet.
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.free.argtypes = [ctypes.c_void_p]
    block = libc.malloc(HEAP)
    if block:
        first = -(-block // HUGE_PAGE) * HUGE_PAGE
        libc.madvise(first, (block + HEAP - first) // HUGE_PAGE * HUGE_PAGE, madv_hugepage)
        libc.free(block)
    return True


def versions() -> dict[str, str]:
    """The versions that can change a result."""
    names = (
        "acceptor",
        "torch",
        "transformers",
        "tokenizers",
        "safetensors",
        "numpy",
        "polars",
        "scikit-learn",
        "onnxruntime",
    )
    found = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def source_commit() -> str | None:
    """The commit of the checkout that Acceptor runs from, with ``+`` if files were changed; None outside one."""
    here = Path(__file__).resolve().parents[1]  # the package
    if not (here.parent.parent / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("+" if git("status", "--porcelain", "--untracked-files=no", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def processor_name() -> str:
    """The CPU's product name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_key() -> str:
    """The CPU in the keys of caches: its name, and on Linux a hash of its features.

    Code that was compiled for one CPU can end a process on another (SIGILL), and its speeds are not the other's. The
    name alone does not tell them apart: virtual machines call several generations by the same name, and ARM Linux
    gives none.
    """
    features = _cpuinfo("flags", "Features")  # x86, ARM
    digest = hashlib.sha256(features.encode()).hexdigest()[:16] if features else "unknown"
    return f"{processor_name()}, features {digest}"


def _cpuinfo(*names: str) -> str:
    """The first value in ``/proc/cpuinfo`` under one of these names; empty if there is none."""
    with contextlib.suppress(OSError):
        for line in CPUINFO.read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in names:
                return value.strip()
    return ""


def _machine_memory() -> int:
    if not hasattr(os, "sysconf"):
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
