"""The folder of parts that a Ray cluster writes: its plan, its progress, its manifest.

``_plan.json`` is written first, ``_done/`` lists what has been written so far, ``_manifest.json`` comes last: a folder
without it is not finished. Readers of data sets leave out names that begin with ``_``.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from typing import Any

from acceptor.errors import ResourceError, RunError, UsageError
from acceptor.judging.tally import Tally
from acceptor.storage.filesystems import OutputFolder
from acceptor.storage.strict_json import parse_json_object

PLAN, DONE, MANIFEST, REJECTED = "_plan.json", "_done", "_manifest.json", "_rejected"
SAVE_EVERY = 20.0  # seconds between two saves of what is done; so much is judged again after a kill
_OURS = re.compile(r"\.?part-\d{6}-\d{6}\.|_plan\.json$|_manifest\.json$")
_OF_A_PART = ("bytes", "sha256", "rows", "written")
_MAX_BYTES = 1 << 30  # of a plan or a progress file

Done = dict[str, Any]
"""A worker's record of a chunk that it has written: its place, the part's name, bytes and sha256, the counts."""


def part_name(file: int, chunk: int) -> str:
    """How a chunk's part is called, without its suffix: sorted by name they are in the order of the input."""
    return f"part-{file:06d}-{chunk:06d}"


class Output:
    """The parts of one output, which may continue an earlier command that was stopped.

    Attributes:
        folder: Where they lie.
        done: What has been written, by file and chunk.
    """

    def __init__(self, folder: OutputFolder) -> None:
        self.folder = folder
        self.done: dict[tuple[int, int], Done] = {}
        self._saved, self._files, self._last = 0, 0, time.monotonic()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ResourceError):  # the error that stopped the work matters more
            self.save_progress()

    def begin(self, plan: dict[str, object], *, overwrite: bool) -> None:
        """Continues what is there, or starts anew.

        Args:
            plan: All that decides about the output, as JSON.
            overwrite: What is finished, or belongs to another plan, is removed.

        Raises:
            UsageError: Something is there, and may not be replaced.
        """
        sizes = self.folder.sizes()
        found = parse_json_object(self.folder.read(PLAN), limit=_MAX_BYTES) if PLAN in sizes else None
        if MANIFEST not in sizes and found == plan:
            self._resume(sizes)
            return
        if sizes.keys() - {PLAN} and not overwrite:
            raise self._error_of_taken(sizes, found, plan)
        self.folder.remove(sorted(name for name in sizes if _OURS.match(name)))
        for name in (DONE, REJECTED):
            self.folder.remove_folder(name)
        self.folder.write(PLAN, json.dumps(plan, indent=2).encode())

    def add(self, done: Done) -> None:
        """Adds a part that was written; saves the progress every `SAVE_EVERY` seconds.

        Raises:
            ResourceError: The progress cannot be written.
        """
        self.done[done["file"], done["chunk"]] = done
        if time.monotonic() - self._last >= SAVE_EVERY:
            self.save_progress()

    def save_progress(self) -> None:
        """Writes the records that are not saved yet."""
        if new := list(self.done.values())[self._saved :]:
            self.folder.write(f"{DONE}/{self._files:06d}.json", json.dumps({"done": new}).encode())
            self._saved, self._files, self._last = len(self.done), self._files + 1, time.monotonic()

    def unfinished(self, files: int) -> dict[int, list[int]]:
        """The files, of so many, of which a chunk is not there or the last one is not known; and their chunks."""
        chunks: dict[int, list[int]] = {number: [] for number in range(files)}
        for file, chunk in self.done:
            chunks[file].append(chunk)
        return {
            file: there
            for file, there in chunks.items()
            if not there or len(there) <= max(there) or not self.done[file, max(there)]["last"]
        }

    def finish(self, files: int) -> dict[str, int]:
        """Checks that every chunk of every file is there, once, and writes the manifest.

        Returns:
            The sums of the counts, by the fields of `Tally`.

        Raises:
            RunError: A part is missing, or is not of the size that was written.
        """
        self.save_progress()
        sizes = self.folder.sizes()
        wrong = [one["name"] for one in self.done.values() if sizes.get(one["name"]) != one["bytes"]]
        wrong += [f"parts of file {file + 1}" for file in self.unfinished(files)]
        if wrong:
            raise RunError(
                "parts of the output are missing, or are not what was written",
                where=self.folder.address,
                found=", ".join(wrong[:5]),
                cause="something else writes or removes files there",
                next="give the same command again: it writes them again",
                code="E-RUN-PARTS",
            )
        parts = [self.done[place] for place in sorted(self.done)]
        counts = {name: sum(int(part[name]) for part in parts) for name in Tally().to_dict()}
        content = {
            **parse_json_object(self.folder.read(PLAN), limit=_MAX_BYTES),
            "counts": counts,
            "computing": sorted({part["computing"] for part in parts}),
            "parts": {part["name"]: {key: part[key] for key in _OF_A_PART} for part in parts},
        }
        self.folder.write(MANIFEST, json.dumps(content, indent=1, ensure_ascii=False).encode())
        known = {part["name"] for part in parts}
        self.folder.remove([name for name in sizes if _OURS.match(name) and name not in known])
        self.folder.remove_folder(DONE)
        return counts

    def _resume(self, sizes: dict[str, int]) -> None:
        for name in sorted(self.folder.sizes(DONE)):
            if name.startswith("."):
                continue
            for done in parse_json_object(self.folder.read(f"{DONE}/{name}"), limit=_MAX_BYTES)["done"]:
                if sizes.get(done["name"]) == done["bytes"]:
                    self.done[done["file"], done["chunk"]] = done
            self._files = int(name.removesuffix(".json")) + 1
        self._saved = len(self.done)

    def _error_of_taken(
        self, sizes: dict[str, int], found: dict[str, object] | None, plan: dict[str, object]
    ) -> UsageError:
        if MANIFEST in sizes or found is None:
            return UsageError(
                f"{self.folder.address} exists",
                expected="a path that is free",
                next="choose another, or --overwrite",
                code="E-USAGE-OUTPUT",
            )
        differing = sorted(name for name in found.keys() | plan.keys() if found.get(name) != plan.get(name))
        return UsageError(
            f"{self.folder.address} was started with other data or settings, and is not finished",
            expected="the same command on the same files",
            found="other " + ", ".join(differing),
            next="give the command as it was, write elsewhere, or start again: --overwrite",
            code="E-USAGE-CHANGED",
        )
