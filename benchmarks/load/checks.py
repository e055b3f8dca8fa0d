"""`Check`: a promise, what was found, and whether it is kept."""

from __future__ import annotations

from typing import Any, NamedTuple


class Check(NamedTuple):
    """A row of the record.

    Attributes:
        what: The promise.
        found: What was measured, as text.
        target: What was promised, as text.
        is_kept: Whether it is; None if it could not be tried, with the reason in ``found``.
        is_speed: It depends on the machine and its other work, so that missing it is said and is no failure.
    """

    what: str
    found: str
    target: str
    is_kept: bool | None
    is_speed: bool = False


class Part(NamedTuple):
    """What came of one part."""

    checks: list[Check]
    figures: dict[str, Any]
