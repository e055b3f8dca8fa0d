"""Compiles C sources to a shared library, once, and loads it from a cache that only this user can write.

A library runs with all rights of its user. So it is loaded from the cache only if file and folder belong to this user
and no other user may write them. Its name holds the hash of everything it was made from, and its own hash, which is
compared before it is loaded. If the cache is not safe, the library is compiled into a private folder each time, which
takes a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acceptor.environment import variable
from acceptor.runtime.cache import cache_folder, why_not_trusted
from acceptor.runtime.device import processor_key
from acceptor.storage.manifest import file_sha256

logger = logging.getLogger(__name__)

COMPILERS = ("cc", "gcc", "clang")
OPEN_TO_ALL = 0o002


def compiled(sources: Sequence[Path], headers: Sequence[Path], flags: Sequence[str], name: str) -> tuple[Any, str]:
    """The compiled library, loaded, or None; and the reason, for people."""
    if variable("ACCEPTOR_NATIVE") == "0":
        return None, "switched off by ACCEPTOR_NATIVE=0"
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if sys.platform != "linux" or compiler is None:
        return None, "no C compiler (cc, gcc or clang) on this machine; slower passes in torch instead"
    try:
        text = b"".join(source.read_bytes() for source in (*sources, *headers))
        made_from = (os.path.realpath(compiler), _version(compiler), tuple(flags), processor_key())
        stem = f"{name}-{hashlib.sha256(text + repr(made_from).encode('utf-8', 'replace')).hexdigest()[:16]}"
        command = [compiler, *flags, *map(str, sources), "-lm"]
        folder = cache_folder() / "native"
        problem = _why_not_trusted(folder)
        if problem is None:
            if cached := _cached(folder, stem):
                return ctypes.CDLL(str(cached)), f"compiled by {compiler}, kept in {folder}"
            if os.access(folder, os.W_OK):
                with tempfile.TemporaryDirectory(dir=folder) as scratch:
                    made = _compile(Path(scratch), stem, command)
                    return ctypes.CDLL(str(made.rename(folder / made.name))), f"compiled by {compiler} into {folder}"
            problem = f"{folder} is read-only"
        logger.warning("%s", f"{problem}: kernels are compiled in a private folder, a second each time")
        with tempfile.TemporaryDirectory(prefix="acceptor-") as private:
            return ctypes.CDLL(str(_compile(Path(private), stem, command))), f"compiled again by {compiler}: {problem}"
    except (OSError, subprocess.SubprocessError) as error:
        detail = str(getattr(error, "stderr", None) or error).strip() or type(error).__name__
        return None, f"{compiler} could not build the kernels ({detail.splitlines()[-1]}); torch instead"


def _version(compiler: str) -> str:
    done = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60)  # noqa: S603
    return done.stdout.decode("utf-8", "replace")


def _why_not_trusted(folder: Path) -> str | None:
    """Makes the folder if it is missing; returns why libraries may not be loaded from it, or None if they may."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        return f"{folder} cannot be made ({error.strerror})"
    if folder.parent.stat().st_mode & OPEN_TO_ALL:  # others could replace `folder`
        return f"{folder.parent} can be written by others"
    return why_not_trusted(folder)


def _cached(folder: Path, stem: str) -> Path | None:
    """The library in ``folder`` whose hash is that in its name; others are removed with a warning."""
    for path in map(Path, sorted(glob.glob(f"{glob.escape(str(folder / stem))}-*.so"))):
        problem = _why_not_loaded(path)
        if problem is None:
            return path
        logger.warning("%s", f"{problem}: compiled again")
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _why_not_loaded(path: Path) -> str | None:
    if problem := why_not_trusted(path):
        return problem
    named, found = path.stem.rsplit("-", 1)[1], file_sha256(path)
    return None if named == found else f"{path} is not what was compiled"


def _compile(folder: Path, stem: str, command: Sequence[str]) -> Path:
    """Compiles into ``folder``; the file's name ends in its own hash."""
    built = folder / "library.so"
    subprocess.run([*command, "-o", str(built)], check=True, capture_output=True, timeout=60, errors="replace")  # noqa: S603
    built.chmod(0o700)
    return built.rename(folder / f"{stem}-{file_sha256(built)}.so")
