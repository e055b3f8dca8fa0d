"""The run folder: built beside its place and renamed into it, so that it is there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acceptor.errors import ResourceError, UsageError
from acceptor.model.safety import file_sha256

MANIFEST = "manifest.json"
SLACK_BYTES = 32 << 20  # everything in a run folder but its weights


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuses an output path that is taken, before any work is done.

    Raises:
        UsageError: Something stands at ``out`` and may not be replaced.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).is_file()):
        raise UsageError(
            f"{out} exists and is not a run",
            expected="a path that is free",
            cause="overwriting would delete files that Acceptor did not write",
            next="choose another: --out PATH",
        )
    if not overwrite:
        raise UsageError(
            f"{out} exists",
            expected="a path that is free",
            next=f"choose another path with --out, or replace the run that stands there: --overwrite --out {out}",
        )


def check_room(out: Path, weight_bytes: int) -> None:
    """Refuses to start where the finished run would not fit on the disk.

    Raises:
        ResourceError: Too little room, with the bytes needed and free.
    """
    place = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    needed, free = weight_bytes + SLACK_BYTES, shutil.disk_usage(place).free
    if free < needed:
        raise ResourceError(
            "the disk has no room for this run",
            where=str(place),
            expected=f"{needed / 1e6:,.0f} MB",
            found=f"{free / 1e6:,.0f} MB free",
            next="free some, or write to another disk: --out PATH",
        )


@contextlib.contextmanager
def new_run_folder(out: Path) -> Iterator[Path]:
    """A folder to write a run into; it becomes ``out`` when the block ends well and vanishes when it does not.

    Raises:
        ResourceError: The disk became full on the way.
    """
    created = [parent for parent in out.absolute().parents if not parent.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        yield scratch
        _use_umask(scratch)
        write_json(scratch / MANIFEST, {"files": _hashes(scratch)})
        if out.exists():
            shutil.rmtree(out)
        scratch.rename(out)
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        for parent in created:
            with contextlib.suppress(OSError):  # not empty: somebody else uses it by now
                parent.rmdir()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceError(
                "the disk became full while the run was written; nothing is left of it",
                where=str(out.parent),
                cause=str(error),
                next="free some room and run the same command again",
            ) from error
        raise


def write_json(path: Path, content: Any) -> None:
    """Writes ``content`` as indented UTF-8 JSON; a number that JSON lacks (NaN) is an error."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def _use_umask(folder: Path) -> None:
    """Gives every file the mode it would have from ``open``: safetensors writes 0600, mkdtemp 0700."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)
    for path in folder.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
