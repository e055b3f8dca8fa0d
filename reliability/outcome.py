"""What came of trying one promise many times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How many tries of one promise were held, and what the others did instead."""

    promise: str
    held: int
    tried: int
    failures: tuple[str, ...] = ()
