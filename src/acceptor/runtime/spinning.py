"""Bounds how long OpenMP's threads spin when they wait for each other. Imported with `acceptor`, before torch.

The threads of one matmul wait for the last of them at its end. By default they spin for 300,000 rounds of a loop: some
milliseconds, far longer than the matmul. On a busy machine the last one waits for a core that the others keep busy, and
a step takes ten times as long. A shorter spin still covers the time between two matmuls. The libraries read their
limits once, when they are loaded; `contention.py` shortens spins further while other processes need the cores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

BOUNDS = {
    "GOMP_SPINCOUNT": "10000",  # rounds: GNU's library, torch's on Linux
    "KMP_BLOCKTIME": "1",  # milliseconds (200 by default): LLVM's and Intel's, torch's on macOS
}
SWITCHES = ("OMP_WAIT_POLICY", *BOUNDS)

_found: dict[str, str | None] = {}
_late = False


def bound_spinning() -> None:
    """Sets the limits for this process and its children, unless the user set any or ``ACCEPTOR_SPIN=0``."""
    global _late
    if _found:
        return
    _found.update({name: os.environ.get(name) for name in SWITCHES})
    if all(_found[name] == bound for name, bound in BOUNDS.items()):  # set by a process of ours that started this one
        _found.update(dict.fromkeys(BOUNDS))
    _late = "torch" in sys.modules
    if controls_spinning():
        os.environ.update(BOUNDS)


def controls_spinning() -> bool:
    """True if Acceptor, not the user, decides how long threads spin."""
    return os.environ.get("ACCEPTOR_SPIN") != "0" and not any(_found.values())


def original_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without our limits, for other programs that `bench` measures."""
    kept = {name: text for name, text in environment.items() if name not in SWITCHES}
    return {**kept, **{name: text for name, text in _found.items() if text is not None}, "ACCEPTOR_SPIN": "0"}


def describe_spinning() -> tuple[str, str]:
    """The limit in this process, and the reason for it."""
    given = [f"{name}={text}" for name, text in _found.items() if text]
    if given:
        return ", ".join(given), "as given"
    if os.environ.get("ACCEPTOR_SPIN") == "0":
        return "the library's own", "ACCEPTOR_SPIN=0"
    if _late:
        return "the library's own", "torch was imported before acceptor: import acceptor first, or set GOMP_SPINCOUNT"
    reason = "100 in training while threads wait for cores that others use; switch: ACCEPTOR_SPIN=0, OMP_WAIT_POLICY"
    return f"{BOUNDS['GOMP_SPINCOUNT']} rounds at most", reason
