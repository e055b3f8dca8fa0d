"""How long threads that wait for each other keep a core busy. Loaded with `acceptor` itself, before torch.

Threads that compute one product together meet at its end. OpenMP lets those that are early spin, for 300,000 rounds of
a loop by default: some milliseconds, far more than a product takes. On a machine that is not idle their partner is
waiting for a core, the very one that they keep busy, and a step takes ten times as long. A bounded spin still covers
the time between two products. The libraries read this once, when they are loaded; `waiting.py` shortens it further
while it is of use.
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
    """Sets the bounds for this process and those that it starts, unless the user decided; ``ACCEPTOR_SPIN=0``: not."""
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
    """True where nobody but us decides how long threads spin."""
    return os.environ.get("ACCEPTOR_SPIN") != "0" and not any(_found.values())


def original_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what was set here: for a process that is measured as its user would have it."""
    kept = {name: text for name, text in environment.items() if name not in SWITCHES}
    return {**kept, **{name: text for name, text in _found.items() if text is not None}, "ACCEPTOR_SPIN": "0"}


def describe_spinning() -> tuple[str, str]:
    """What holds in this process, and why."""
    given = [f"{name}={text}" for name, text in _found.items() if text]
    if given:
        return ", ".join(given), "as given"
    if os.environ.get("ACCEPTOR_SPIN") == "0":
        return "the library's own", "ACCEPTOR_SPIN=0"
    if _late:
        return "the library's own", "torch was imported before acceptor: import acceptor first, or set GOMP_SPINCOUNT"
    reason = "100 in training while threads wait for cores that others use; switch: ACCEPTOR_SPIN=0, OMP_WAIT_POLICY"
    return f"{BOUNDS['GOMP_SPINCOUNT']} rounds at most", reason
