"""Writes an output in parts, so that a job that was interrupted can resume.

`.OUT.parts/`, beside the output, holds `plan.json` (input, run, settings, versions) and a folder for each part, which
has a manifest, so that a part is complete or absent. At the end the parts are joined into the output, and the folder
is removed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.numpy import load_file, save_file

from acceptor.data.reading.stream import CHUNK, RejectedRow
from acceptor.data.writing.write import TEXT, WITH_HEADER, columnar_writer, form_of, packed, write_rows
from acceptor.errors import ResourceError, RunError, UsageError
from acceptor.storage.files import SCRATCH, fsync, is_disk_full, new_folder, replace_json, use_umask, write_json
from acceptor.storage.manifest import MANIFEST, check_manifest
from acceptor.storage.strict_json import read_json_object
from acceptor.text import shell

logger = logging.getLogger(__name__)

_PLAN, _END, _JOINED, _SCORES = "plan.json", "end.json", "joined.json", "scores.safetensors"
_REPLACED = "replaced.json"
_OUTPUT, _REJECTED = "inode", "inode of rejected"  # in `_JOINED`, beside the counts
_EXPLAINED = ("settings", "computing", "versions")  # of a plan: values that a person has chosen or knows


class Parts:
    """The parts of one output.

    Attributes:
        out: The output file.
        folder: The folder of the parts.
        rejected: The file of the rejected rows.
    """

    def __init__(self, out: Path, *, spreadsheet_safe: bool = False) -> None:
        self.out = out
        self.folder = out.parent / f".{out.name}.parts"
        self.rejected = out.with_name(out.name + ".rejected.jsonl")
        self._form, self._compression = form_of(out)
        self._spreadsheet_safe = spreadsheet_safe
        self._started = False

    @property
    def places(self) -> list[Path]:
        """All paths that are written: the output, the rejected rows, the parts."""
        return [*self._files, self.folder]

    @property
    def _files(self) -> list[Path]:
        return [self.out, self.rejected]

    def begin(self, plan: Mapping[str, object], *, overwrite: bool) -> None:
        """Starts the output, or resumes it if there are parts of the same plan.

        Args:
            plan: Everything that determines the output's bytes, as JSON. Its ``input`` is empty for a pipe; old parts
                are then removed, because the input cannot be compared.
            overwrite: Removes the parts that are there.

        Raises:
            UsageError: There are parts of another plan.
        """
        found = self._object(_PLAN)
        if found == plan and plan["input"] and not overwrite:
            self._started = True
            return
        if found and found["input"] and not overwrite:
            raise UsageError(
                f"{self.out} was begun with other data or settings, and is not finished",
                where=str(self.folder),
                expected="the same command on the same files",
                found=other_in(found, plan),
                next="give the command as it was, write elsewhere, or start again: --overwrite, without --shard",
                code="E-USAGE-CHANGED",
            )
        # Without a plan, too: parts of a shard that went on after the output was finished. Not those that another shard
        # of this command has begun just now.
        if self.folder.exists() and (overwrite or not self.has_plan(plan)):
            self.remove()
        with self._room():
            scratch = self._scratch()
            try:
                replace_json(scratch / _PLAN, plan)
                replace_json(scratch / _REPLACED, {path.name: _identity(path) for path in self._files if path.exists()})
                use_umask(scratch)
                scratch.rename(self.folder)  # at once, so that no other shard sees a folder without a plan
            except OSError:
                shutil.rmtree(scratch, ignore_errors=True)
                if not self.has_plan(plan):  # else another shard was faster
                    raise
        self._started = True

    def may_replace(self, path: Path) -> bool:
        """True if the file there now is the very one that finished parts were begun, with overwrite, to replace.

        Or the rejected rows of these parts: a kill came before the output followed them.
        """
        if not self.kept or not path.exists():
            return False
        is_ours = path == self.rejected and self._counts(_JOINED).get(_REJECTED) == path.stat().st_ino
        return is_ours or (self._object(_REPLACED) or {}).get(path.name) == _identity(path)

    def has_plan(self, plan: Mapping[str, object]) -> bool:
        """True if there are parts of this plan, whose input can be compared."""
        return bool(plan["input"]) and self._object(_PLAN) == plan

    def refuse_joined(self, plan: Mapping[str, object]) -> None:
        """Refuses to go on with a shard if another command has joined and removed the parts meanwhile.

        Raises:
            RunError: It has.
        """
        if not self.has_plan(plan):
            raise RunError(
                "another command has joined the shards of this output while this one judged",
                where=str(self.out),
                next="if it was the same command without --shard, nothing is missing; else repeat it with --overwrite",
                code="E-RUN-LOCKED",
            )

    @property
    def kept(self) -> int:
        """How many finished parts the same command would keep: none of an input that cannot be read again."""
        plan = self._object(_PLAN)
        return len(list(self.folder.glob(f"[0-9]*/{MANIFEST}"))) if plan and plan["input"] else 0

    @contextlib.contextmanager
    def resumable(self) -> Iterator[None]:
        """Says after a signal, once the output has been begun, what is kept."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            if self._started and (kept := self.kept):
                parts = "1 finished part" if kept == 1 else f"{kept} finished parts"
                logger.warning("stopped; %s kept: the same command, without --overwrite, goes on", parts)
            elif self._started and (plan := self._object(_PLAN)):
                why = f"no part of {CHUNK:,} rows was finished" if plan["input"] else "the input is a pipe"
                logger.warning("stopped; nothing is kept, since %s", why)
            raise

    def has(self, number: int) -> bool:
        """Whether a part exists."""
        return (self._place(number) / MANIFEST).is_file()

    def write(
        self,
        number: int,
        frame: pl.DataFrame,
        rejected: list[RejectedRow],
        scores: tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]],
        counts: dict[str, int],
    ) -> None:
        """Writes a part, and flushes it to the disk.

        Raises:
            ResourceError: The disk is full; the parts before are kept.
        """
        try:
            with new_folder(self._place(number)) as folder:
                self._rows(frame, folder / "rows", header=False)
                if self._form in WITH_HEADER:
                    self._rows(frame.clear(), folder / "header")
                lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rejected)
                (folder / "rejected").write_text("".join(lines), "utf-8", newline="\n")
                save_file({"keys": scores[0], "logits": scores[1]}, folder / _SCORES)
                write_json(folder / "counts.json", counts)
        except ResourceError as error:
            raise self._full(error) from error

    def scores(self, number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """The judged texts of a part: keys and flags, shape (N, 17), and logits, shape (N, labels)."""
        check_manifest(self._place(number), among=(_SCORES,))
        arrays = load_file(self._place(number) / _SCORES)
        return arrays["keys"], arrays["logits"]

    def counts(self, number: int) -> dict[str, int]:
        """The counts of a part that exists."""
        return {name: int(count) for name, count in read_json_object(self._place(number) / "counts.json").items()}

    @property
    def end(self) -> int | None:
        """How many parts there will be; None until the end of the input has been read."""
        return self._counts(_END).get("parts")

    @end.setter
    def end(self, parts: int) -> None:
        with self._room():
            replace_json(self.folder / _END, {"parts": parts})

    def join(self, number: int) -> dict[str, int]:
        """Joins the first ``number`` parts into the output, and removes them.

        Returns:
            The sums of their counts.

        Raises:
            ResourceError: The disk is full; the parts are kept.
            RunError: A part is damaged.
        """
        counts: dict[str, int] = {}
        whole, rejected = self.folder / "whole", self.folder / "rejected"
        with self._room():
            with rejected.open("wb") as stream:
                for part in range(number):
                    self._check(part)
                    for name, count in self.counts(part).items():
                        counts[name] = counts.get(name, 0) + count
                    _append(self._place(part) / "rejected", stream)
            self._join_rows(whole, number)
            fsync(whole)
            fsync(rejected)
            # After a kill, the inodes show whether the files at `out` and `rejected` are already the new ones.
            inodes = {_OUTPUT: whole.stat().st_ino, _REJECTED: rejected.stat().st_ino}
            replace_json(self.folder / _JOINED, inodes | counts)
        if rejected.stat().st_size:
            rejected.replace(self.rejected)
        else:
            self.rejected.unlink(missing_ok=True)
        whole.replace(self.out)
        fsync(self.out.parent)
        self.remove()
        return counts

    def joined(self) -> dict[str, int] | None:
        """The counts, if the output is complete and only its parts are left."""
        counts = self._counts(_JOINED)
        if not counts or not self.out.exists() or counts[_OUTPUT] != self.out.stat().st_ino:
            return None
        return {name: count for name, count in counts.items() if name not in (_OUTPUT, _REJECTED)}

    def remove(self) -> None:
        """Removes all parts; the folder is renamed first, so that a kill leaves no incomplete one."""
        scratch = self._scratch()
        with contextlib.suppress(FileNotFoundError):  # another process has just done it
            self.folder.replace(scratch)
        shutil.rmtree(scratch)

    def _scratch(self) -> Path:
        """A new folder, which the next writer of the output removes if this process is killed."""
        return Path(tempfile.mkdtemp(dir=self.out.parent, prefix=f".{self.out.name}.", suffix=SCRATCH))

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:08d}"

    def _check(self, number: int) -> None:
        try:
            check_manifest(self._place(number), needed=("rows", "rejected", "counts.json"))
        except RunError as error:
            error.add("next", f"remove it, and the same command makes it again: rm -r {shell(self._place(number))}")
            raise

    def _rows(self, frame: pl.DataFrame, path: Path, *, header: bool = True) -> None:
        write_rows(frame, path, self._form, spreadsheet_safe=self._spreadsheet_safe, header=header)

    def _join_rows(self, whole: Path, number: int) -> None:
        """Joins text parts, and compresses them as one frame, because some readers stop after the first one."""
        if self._form not in TEXT:
            self._join_columns(whole, number)
            return
        with packed(whole, self._compression) as stream:
            if self._form in WITH_HEADER:
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
            return read_json_object(self.folder / name)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RunError(
                f"{name} cannot be read", where=str(self.folder), cause=str(error), code="E-RUN-FILE"
            ) from error

    def _counts(self, name: str) -> dict[str, int]:
        """The numbers in a file by name; empty if the file does not exist."""
        return {key: int(count) for key, count in (self._object(name) or {}).items()}

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if is_disk_full(error):
                (self.folder / "whole").unlink(missing_ok=True)
                raise self._full(error) from error
            raise

    def _full(self, error: BaseException) -> ResourceError:
        return ResourceError(
            f"the disk became full while {self.out.name} was written; the parts done are kept",
            where=str(self.folder),
            cause=str(error).split("\n")[0],
            next="free some room (parts and output exist at once while they are joined); give the same command again",
            code="E-RESOURCE-DISK",
        )


def other_in(found: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """How a plan that was found differs from this command's: ``other settings (where: None, now 'p > .5')``."""
    words = []
    for name in sorted(name for name in found.keys() | plan.keys() if found.get(name) != plan.get(name)):
        before, now = found.get(name), plan.get(name)
        if name in _EXPLAINED and isinstance(before, dict) and isinstance(now, dict):
            keys = [key for key in before | now if before.get(key) != now.get(key)]
            values = (f"{key}: {before.get(key)!r}, now {now.get(key)!r}" for key in keys)
            words.append(f"other {name} ({'; '.join(values)})")
        else:
            words.append(f"other {name}")
    return ", ".join(words)


def _identity(path: Path) -> dict[str, int]:
    """What tells a file from another one that has its name later."""
    found = path.stat()
    return {"inode": found.st_ino, "bytes": found.st_size, "modified": found.st_mtime_ns}


def _append(path: Path, stream: IO[bytes]) -> None:
    with path.open("rb") as part:
        shutil.copyfileobj(part, stream)
