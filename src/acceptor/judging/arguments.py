"""Validates the arguments of `predict`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acceptor.errors import UsageError
from acceptor.judging.rows import PredictSettings


def as_paths(sources: Any) -> list[str]:
    """Returns the sources as strings: one, or several.

    Raises:
        UsageError: There is none, or one is no path.
    """
    several = [sources] if isinstance(sources, str | os.PathLike) else sources
    if (
        not isinstance(several, Sequence)
        or not several
        or not all(isinstance(one, str | os.PathLike) for one in several)
    ):
        raise UsageError(
            "predict takes files",
            expected="a path, a folder, a glob pattern, or a list of them",
            found="none"
            if isinstance(sources, Sequence) and not sources
            else f"{type(sources).__module__}.{type(sources).__name__}",
            next="in Python, load(run).annotate(frame) judges a data frame, and load(run)(sentences) a list",
            code="E-USAGE-OPTION",
        )
    return [os.fsdecode(one) for one in several]


def check_shard(shard: tuple[int, int] | None, *, can_be_read_again: bool) -> None:
    """Checks the shard.

    Raises:
        UsageError: There is no such shard; or the input can be read only once, or the output is no file.
    """
    if shard and not 1 <= shard[0] <= shard[1]:
        raise UsageError("no such shard", expected="(k, n) with 1 ≤ k ≤ n", found=f"{shard}", code="E-USAGE-OPTION")
    if shard and not can_be_read_again:
        raise UsageError(
            "--shard needs files that can be read again, and a file to write",
            expected="files: neither the input nor the output may be -",
            code="E-USAGE-CONFLICT",
        )


def check_spreadsheet_safe(settings: PredictSettings, out: str | Path) -> None:
    """Refuses ``spreadsheet_safe`` for another format than CSV.

    Raises:
        UsageError: It is another format.
    """
    if settings.spreadsheet_safe and not str(out).endswith((".csv", ".csv.gz", ".csv.zst")):
        raise UsageError(
            "--spreadsheet-safe is for CSV", expected="-o FILE.csv", found=str(out), code="E-USAGE-CONFLICT"
        )
