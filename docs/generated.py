"""Writes generated pages, or checks that they are what the source says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def write_or_check(pages: Mapping[Path, str]) -> int:
    """Writes the pages that are not up to date; with ``--check``, names them instead. Returns the exit code."""
    checks = "--check" in sys.argv[1:]
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if checks:
            print(f"{path.name} is not what the source says: make reference")
        else:
            path.write_text(pages[path], "utf-8")
    return int(checks and bool(stale))
