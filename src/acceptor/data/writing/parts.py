"""An output that is written in parts beside its place, so that work of hours can stop and go on.

`.OUT.parts/` holds `plan.json` (what is done, with what, to what) and a folder a part, each with a manifest of its own:
it is there whole or not at all. The parts are joined into the output at the end, and the folder vanishes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.numpy import load_file, save_file

from acceptor.data.reading.kept import write_json_rows
from acceptor.data.writing.write import TEXT, columnar_writer, form_of, packed, write_rows
from acceptor.errors import ResourceError, RunError, UsageError
from acceptor.storage.files import (
    MANIFEST,
    SCRATCH,
    check_manifest,
    flush,
    new_folder,
    read_object,
    says_full,
    write_json,
)
from acceptor.text import shell

_PLAN, _END, _JOINED, _SCORES = "plan.json", "end.json", "joined.json", "scores.safetensors"


class Parts:
    """The parts of one output.

    Attributes:
        out: The file to be.
        folder: Where the parts lie.
        rejected: The file of the rows that could not be used.
    """

    def __init__(self, out: Path, *, spreadsheet_safe: bool = False) -> None:
        self.out = out
        self.folder = out.parent / f".{out.name}.parts"
        self.rejected = out.with_name(out.name + ".rejected.jsonl")
        self._form, self._compression = form_of(out)
        self._spreadsheet_safe = spreadsheet_safe

    @property
    def places(self) -> list[Path]:
        """All that is written: the output, what was rejected, the parts."""
        return [self.out, self.rejected, self.folder]

    def begin(self, plan: dict[str, Any], *, overwrite: bool) -> None:
        """Takes up the parts that are there, or begins.

        Args:
            plan: All that decides about the output's bytes, as JSON. Its ``input`` is empty where that came through a
                pipe: it cannot be known again, and such parts are thrown away.
            overwrite: Parts of another plan are thrown away.

        Raises:
            UsageError: The parts that are there belong to another plan.
        """
        found = self._object(_PLAN)
        if found == plan and plan["input"]:
            return
        if found and found["input"] and not overwrite:
            differing = sorted(name for name in found.keys() | plan.keys() if found.get(name) != plan.get(name))
            raise UsageError(
                f"{self.out} was begun with other data or settings, and is not finished",
                where=str(self.folder),
                expected="the same command on the same files",
                found="other " + ", ".join(differing),
                next="give the command as it was, write elsewhere, or begin again: --overwrite",
            )
        if found:
            self.remove()
        with self._room():
            self.folder.mkdir(exist_ok=True)
            self._write_object(_PLAN, plan)

    def has(self, number: int) -> bool:
        """Whether a part is there."""
        return (self._place(number) / MANIFEST).is_file()

    def write(
        self,
        number: int,
        frame: pl.DataFrame,
        rejected: list[dict[str, Any]],
        scores: tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]],
        counts: dict[str, int],
    ) -> None:
        """Adds a part; it is on the disk when this returns.

        Raises:
            ResourceError: The disk is full; the parts before are kept.
        """
        try:
            with new_folder(self._place(number)) as folder:
                self._rows(frame, folder / "rows", header=False)
                if self._form in (".tsv", ".csv"):
                    self._rows(frame.clear(), folder / "header")
                lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rejected)
                (folder / "rejected").write_text("".join(lines), "utf-8")
                save_file({"keys": scores[0], "logits": scores[1]}, folder / _SCORES)
                write_json(folder / "counts.json", counts)
        except ResourceError as error:
            raise self._full(error) from error

    def scores(self, number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """What was judged for a part: keys and flags, shape (N, 17), and logits, shape (N, labels)."""
        check_manifest(self._place(number), among=(_SCORES,))
        arrays = load_file(self._place(number) / _SCORES)
        return arrays["keys"], arrays["logits"]

    def counts(self, number: int) -> dict[str, int]:
        """What was counted for a part that is there."""
        return {name: int(count) for name, count in read_object(self._place(number) / "counts.json").items()}

    @property
    def end(self) -> int | None:
        """How many parts there will be, where the end of the input has been seen."""
        found = self._object(_END)
        return None if found is None else int(found["parts"])

    @end.setter
    def end(self, parts: int) -> None:
        with self._room():
            self._write_object(_END, {"parts": parts})

    def join(self, number: int) -> dict[str, int]:
        """Puts the first ``number`` parts together as the output, and removes them.

        Returns:
            The sums of their counts.

        Raises:
            ResourceError: The disk is full; the parts are kept.
            RunError: A part is damaged.
        """
        counts: dict[str, int] = {}
        whole, faults = self.folder / "whole", self.folder / "rejected"
        with self._room():
            with faults.open("wb") as stream:
                for part in range(number):
                    self._check(part)
                    for name, count in self.counts(part).items():
                        counts[name] = counts.get(name, 0) + count
                    _append(self._place(part) / "rejected", stream)
            self._join_rows(whole, number)
            flush(whole)
            flush(faults)
            # The number of the file says, after a kill, whether what stands at `out` is already the new one.
            self._write_object(_JOINED, {"inode": whole.stat().st_ino, **counts})
        if faults.stat().st_size:
            faults.replace(self.rejected)
        else:
            self.rejected.unlink(missing_ok=True)
        whole.replace(self.out)
        flush(self.out.parent)
        self.remove()
        return counts

    def joined(self) -> dict[str, int] | None:
        """The counts, where the output stands and only the parts were left: they are removed."""
        found = self._object(_JOINED)
        if found is None or not self.out.exists() or found.pop("inode") != self.out.stat().st_ino:
            return None
        self.remove()
        return {name: int(count) for name, count in found.items()}

    def remove(self) -> None:
        """Removes all parts; under the name of a scratch folder first, so that a kill leaves no half of them."""
        scratch = Path(tempfile.mkdtemp(dir=self.out.parent, prefix=f".{self.out.name}.", suffix=SCRATCH))
        self.folder.replace(scratch)
        shutil.rmtree(scratch)

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:08d}"

    def _check(self, number: int) -> None:
        try:
            check_manifest(self._place(number), needed=("rows", "rejected", "counts.json"))
        except RunError as error:
            error.add("next", f"remove it, and the same command makes it again: rm -r {shell(self._place(number))}")
            raise

    def _rows(self, frame: pl.DataFrame, path: Path, *, header: bool = True) -> None:
        if self._form == ".jsonl":
            write_json_rows(frame, path)
        else:
            write_rows(frame, path, self._form, spreadsheet_safe=self._spreadsheet_safe, header=header)

    def _join_rows(self, whole: Path, number: int) -> None:
        """Text is compressed here, all of it in one go: some readers stop at the end of a first frame."""
        if self._form not in TEXT:
            self._join_columns(whole, number)
            return
        with packed(whole, self._compression) as stream:
            if self._form in (".tsv", ".csv"):
                _append(self._place(0) / "header", stream)
            for part in range(number):
                _append(self._place(part) / "rows", stream)

    def _join_columns(self, whole: Path, number: int) -> None:
        parts = [self._place(part) / "rows" for part in range(number)]
        with columnar_writer(whole, self._form, parts) as write:
            for part in parts:
                write(part)

    def _object(self, name: str) -> dict[str, Any] | None:
        try:
            return read_object(self.folder / name)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RunError(f"{name} cannot be read", where=str(self.folder), cause=str(error)) from error

    def _write_object(self, name: str, content: dict[str, Any]) -> None:
        """As `write_json`, but whole or not at all."""
        with _scratch_file(self.folder) as scratch:
            write_json(scratch, content)
            flush(scratch)
            scratch.replace(self.folder / name)
        flush(self.folder)

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if says_full(error):
                (self.folder / "whole").unlink(missing_ok=True)
                raise self._full(error) from error
            raise

    def _full(self, error: BaseException) -> ResourceError:
        return ResourceError(
            f"the disk became full while {self.out.name} was written; the parts done are kept",
            where=str(self.folder),
            cause=str(error).split("\n")[0],
            next="free some room (parts and output exist at once while they are joined); give the same command again",
        )


def _append(path: Path, stream: Any) -> None:
    with path.open("rb") as part:
        shutil.copyfileobj(part, stream)


@contextlib.contextmanager
def _scratch_file(folder: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
