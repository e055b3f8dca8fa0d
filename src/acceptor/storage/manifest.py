"""``manifest.json``: the sha256 of every file in a folder. It shows whether a folder's files have changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from acceptor.errors import RunError
from acceptor.storage.links import allowed_roots
from acceptor.storage.strict_json import read_json_object

MANIFEST = "manifest.json"


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hashes_of(folder: Path) -> dict[str, str]:
    """The sha256 of every file in a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def check_manifest(folder: Path, *, among: tuple[str, ...] = ("",), needed: tuple[str, ...] = ()) -> None:
    """Compares a folder's files with its manifest.

    Args:
        folder: The folder.
        among: Only files whose names begin with one of these are compared; by default all.
        needed: Names that the manifest must hold.

    Raises:
        RunError: The manifest is missing, lacks a name of ``needed`` or names a file elsewhere, or a file is missing,
            cannot be read or has another sha256.
    """
    try:
        expected = dict(read_json_object(folder / MANIFEST)["files"])
        missing = [name for name in needed if name not in expected]
        if missing:
            raise ValueError(f"it does not name {', '.join(missing)}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise RunError(f"{folder} has no readable {MANIFEST}", cause=reason, code="E-RUN-FILE") from error
    inside = allowed_roots(folder)
    for name, sha256 in expected.items():
        if not name.startswith(among):
            continue
        path = folder / name
        try:
            is_inside = any(path.resolve().is_relative_to(place) for place in inside)
            found = file_sha256(path) if is_inside and path.is_file() else None
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
            problem, cause = f"{name[:80]} cannot be read", str(error)[:300]
            raise RunError(problem, where=str(folder), cause=cause, code="E-RUN-FILE") from error
        if not is_inside:
            problem = f"{MANIFEST} names a file that is not in the folder"
            raise RunError(problem, where=str(folder), found=name, code="E-RUN-FILE")
        if found != sha256:
            raise RunError(
                f"{name} is not what was written",
                where=str(path),
                expected=f"sha256 {sha256}",
                found=f"sha256 {found}" if found else "no such file",
                cause="a damaged disk, a copy that broke off, or a change by hand",
                code="E-RUN-FILE",
            )
