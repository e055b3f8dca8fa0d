"""The output folder of a Ray cluster: parts, plan, progress and manifest.

``_plan.json`` is written first, ``_done/`` lists the finished parts, ``_manifest.json`` is written last: a folder
without it is not finished. Readers of data sets ignore names that start with ``_``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import time
from typing import Any

from acceptor.data.writing.parts import other_in
from acceptor.errors import ResourceError, RunError, UsageError
from acceptor.judging.tally import Tally
from acceptor.storage.filesystems import OutputFolder
from acceptor.storage.strict_json import parse_json_object

logger = logging.getLogger(__name__)

PLAN, DONE, MANIFEST, REJECTED = "_plan.json", "_done", "_manifest.json", "_rejected"
SAVE_EVERY = 20.0  # seconds between saves of the progress; this much work is repeated after a kill
_OURS = re.compile(r"\.?part-\d{6}-\d{6}\.|_plan\.json$|_manifest\.json$")
_OF_A_PART = ("bytes", "sha256", "rows", "written")
_MAX_BYTES = 1 << 30  # of a plan or a progress file

Done = dict[str, Any]
"""A worker's record of a written chunk: its position, the part's name, size and sha256, the counts."""


def part_name(file: int, chunk: int) -> str:
    """The file name of a chunk's part, without suffix. Sorted by name, parts are in the order of the input."""
    return f"part-{file:06d}-{chunk:06d}"


class Output:
    """The parts of one output. Resumes the output of a stopped command.

    Attributes:
        folder: The folder of the parts.
        done: The records of finished parts, by file and chunk.
    """

    def __init__(self, folder: OutputFolder) -> None:
        self.folder = folder
        self.done: dict[tuple[int, int], Done] = {}
        self._saved, self._files, self._last = 0, 0, time.monotonic()

    def try_to_save_progress(self) -> None:
        """Saves the progress as the work ends, for whatever reason."""
        with contextlib.suppress(ResourceError):  # the error that stopped the work matters more
            self.save_progress()

    def begin(self, plan: dict[str, object], *, overwrite: bool) -> None:
        """Resumes an unfinished output with the same plan, or starts a new one.

        Args:
            plan: Everything that determines the output, as JSON.
            overwrite: Remove an output that is finished or has another plan.

        Raises:
            UsageError: Such an output exists and ``overwrite`` is False; or there is a file instead of a folder.
        """
        if self.folder.local and self.folder.path.is_file():
            raise UsageError(
                f"{self.folder.name} is a file",
                expected="a folder of parts, or a path that does not exist",
                next="choose another output",
                code="E-USAGE-OUTPUT",
            )
        sizes = self.folder.sizes()
        found = self._read(PLAN) if PLAN in sizes else None
        if MANIFEST not in sizes and found == plan:
            self._resume(sizes)
            return
        if sizes.keys() - {PLAN} and not overwrite:
            raise self._exists_error(sizes, found, plan)
        self.folder.remove(sorted(name for name in sizes if _OURS.match(name)))
        for name in (DONE, REJECTED):
            self.folder.remove_folder(name)
        self.folder.write(PLAN, json.dumps(plan, indent=2).encode())

    def add(self, done: Done) -> None:
        """Adds the record of a written part; saves the progress every `SAVE_EVERY` seconds.

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
        """The unfinished files (a chunk is missing, or the last one is unknown), with their finished chunks."""
        chunks: dict[int, list[int]] = {number: [] for number in range(files)}
        for file, chunk in self.done:
            chunks[file].append(chunk)
        return {
            file: there
            for file, there in chunks.items()
            if not there or len(there) <= max(there) or not self.done[file, max(there)]["last"]
        }

    def finish(self, files: int) -> dict[str, int]:
        """Checks that every chunk of every file was written exactly once, and writes the manifest.

        Returns:
            The total counts, by the fields of `Tally`.

        Raises:
            RunError: A part is missing or has another size.
        """
        self.save_progress()
        sizes = self.folder.sizes()
        wrong = [one["name"] for one in self.done.values() if sizes.get(one["name"]) != one["bytes"]]
        wrong += [f"parts of file {file + 1}" for file in self.unfinished(files)]
        if wrong:
            raise RunError(
                "parts of the output are missing or were changed",
                where=self.folder.name,
                found=", ".join(wrong[:5]),
                cause="another program writes or removes files there"
                + (", or the machines of the cluster do not share that folder" * self.folder.local),
                next="run the same command again: it writes them again",
                code="E-RUN-PARTS",
            )
        parts = [self.done[place] for place in sorted(self.done)]
        counts = {name: sum(int(part.get(name, 0)) for part in parts) for name in Tally().to_dict()}
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
            for done in (self._read(f"{DONE}/{name}") or {"done": []})["done"]:
                if sizes.get(done["name"]) == done["bytes"]:
                    self.done[done["file"], done["chunk"]] = done
            self._files = int(name.removesuffix(".json")) + 1
        self._saved = len(self.done)

    def _read(self, name: str) -> Any:
        """The object in a file; None if it was cut short, as where a file is visible while it is written."""
        try:
            return parse_json_object(self.folder.read(name), limit=_MAX_BYTES)
        except ValueError as error:
            logger.warning("%s/%s cannot be read, and is made again: %s", self.folder.name, name, error)
            return None

    def _exists_error(
        self, sizes: dict[str, int], found: dict[str, object] | None, plan: dict[str, object]
    ) -> UsageError:
        if MANIFEST in sizes or found is None:
            return UsageError(
                f"{self.folder.name} exists",
                expected="a path that does not exist",
                next="choose another one, or --overwrite",
                code="E-USAGE-OUTPUT",
            )
        return UsageError(
            f"{self.folder.name} was started with other data or settings, and is not finished",
            expected="the same command on the same files",
            found=other_in(found, plan),
            next="repeat the original command, choose another output, or start again: --overwrite",
            code="E-USAGE-CHANGED",
        )
