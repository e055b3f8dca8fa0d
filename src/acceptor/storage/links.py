"""Checks the links of a model folder: they may lead to its own files, or to a snapshot's blobs in the hub's cache."""

from __future__ import annotations

import os
from pathlib import Path

from acceptor.errors import EncoderError


def check_links(folder: Path) -> None:
    """Refuses a folder that holds anything but files, folders and links that stay inside.

    A snapshot in the hub's cache consists of links to the blobs beside it, or to blobs that the whole cache shares.
    A hard link looks like any other file; package managers make them, so they are not refused.

    Raises:
        EncoderError: A link leaves the folder, or an entry is a pipe or a device.
    """
    inside = allowed_roots(folder)
    for entry in [*folder.glob("*"), *folder.glob("*/*.jinja")]:
        target = Path(os.path.realpath(entry))  # `resolve` gives up on a link to itself
        if not any(target.is_relative_to(place) for place in inside):
            raise EncoderError(
                "a link leads out of the folder",
                where=str(entry),
                expected=f"files in {inside[0]}",
                cause="opening it would read a file that does not belong to the model",
                next="if you trust it, put the file itself there",
                code="E-ENCODER-UNSAFE",
            )
        if not target.is_file() and not target.is_dir():
            raise EncoderError(
                "neither a file nor a folder",
                where=str(entry),
                cause="a pipe, a device or a dead link",
                code="E-ENCODER-UNSAFE",
            )


def allowed_roots(folder: Path) -> list[Path]:
    """The folders that may hold a folder's files: itself; in a snapshot of the hub's cache also its blobs."""
    home = folder.resolve()
    for snapshot in (home, home.parent):  # the members of an ensemble are folders in the snapshot
        if snapshot.parent.name == "snapshots" and snapshot.parent.parent.name.startswith("models--"):
            return [snapshot.parent.parent, snapshot.parent.parent.parent / "blobs"]
    return [home]
