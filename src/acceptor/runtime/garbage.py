"""How often Python looks for garbage in a process of our own."""

from __future__ import annotations

import atexit
import gc

USUAL = gc.get_threshold()


def collect_rarely() -> None:
    """Python looks for reference cycles rarely from here on, and not at the end.

    torch and Transformers make 370,000 objects when they are imported. All of them stay until the end, and to look
    through them again and again takes a quarter of a command's processor time.
    """
    gc.set_threshold(100_000, *USUAL[1:])
    atexit.register(gc.freeze)


def collect_as_usual() -> None:
    """Python looks for garbage as often as it usually does, but not in what is there by now."""
    gc.freeze()
    gc.set_threshold(*USUAL)
