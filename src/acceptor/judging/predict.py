"""Judging files of any size: streamed, sentences that come again judged once, stopped and gone on with.

The input is cut into chunks, and `BLOCK` chunks make a block. What has been judged is remembered within a block, never
across: so a chunk's verdicts follow from its block alone, whichever process does which block, and wherever one was
stopped. A process that takes up a block begun by another reads back what was judged for the chunks that are done.
"""

from __future__ import annotations

import glob
import hashlib
import io
import itertools
import logging
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.documents import check_splitter, columns_of_sentences, sentence_tables
from acceptor.data.reading.column_types import joined
from acceptor.data.reading.input_files import fingerprint, inputs_of
from acceptor.data.reading.original import with_source_names
from acceptor.data.reading.stream import CHUNK, Chunk, RejectedRow, TableStream, chunks
from acceptor.data.reading.unpack import STDIN
from acceptor.data.table import Table
from acceptor.data.writing.parts import Parts
from acceptor.data.writing.write import check_free, check_output, form_of, write_json_rows
from acceptor.errors import UsageError
from acceptor.judging.dedup import KEY, Block
from acceptor.judging.judge import Judge
from acceptor.judging.load import files_of, load
from acceptor.judging.rows import Settings, condition_of, usable, warn_of_breaks, with_verdicts
from acceptor.judging.tally import Tally
from acceptor.model.coverage import ALL_UNKNOWN, SOME_UNKNOWN, drop_unknown_rows, flags_of, warn_of_special_tokens
from acceptor.model.encode import Encoded
from acceptor.progress import meter
from acceptor.runtime.device import versions
from acceptor.storage.lock import one_writer

BLOCK = 16  # chunks within which a sentence is judged once
STDOUT = "-"

logger = logging.getLogger(__name__)


def predict(
    run: Path,
    sources: Sequence[str],
    out: Path,
    settings: Settings,
    *,
    device: str | None = None,
    precision: str | None = None,
    shard: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> Tally | None:
    """Judges files of any size into one file.

    Args:
        run: The run folder.
        sources: Files, folders and glob patterns; or ``-`` alone for tab-separated lines on standard input.
        out: The file to be, in the format of its name; or ``-`` for JSON lines on standard output.
        settings: What is written.
        device: As for `load`.
        precision: As for `load`.
        shard: (k, n), 1 ≤ k ≤ n: judge every n-th block from the k-th on, and leave the rest and the joining to others.
        overwrite: Replace what stands at ``out``, and parts of other work on it.

    Returns:
        The counts; None for a shard.

    Raises:
        UsageError: The output is taken, or was begun with other data or settings; the condition cannot be used; there
            are no rules for the documents' language.
        DataError: A file cannot be read further. The parts done are kept.
        ResourceError: The disk is full. The parts done are kept.
        RunError: The run cannot be loaded, or another process writes the output.
    """
    suffix = ".jsonl"
    if str(out) != STDOUT:
        check_output(out, overwrite=True)
        suffix, _ = form_of(out)
    if settings.split:
        check_splitter(settings.split)
    files = inputs_of(sources, [] if str(out) == STDOUT else Parts(out).places, run)
    if shard and (str(out) == STDOUT or STDIN in files):
        raise UsageError("--shard needs files that can be read again, and a file to write", expected="no - at all")
    if str(out) == STDOUT:
        return _to_stdout(_Judging(files, load(run, device=device, precision=precision), settings, suffix))
    parts = Parts(out, spreadsheet_safe=settings.spreadsheet_safe)
    with ExitStack() as stack:
        _lock(stack, out, shard)
        if (counts := parts.joined()) is not None:
            return Tally(**counts)
        for path in (out, parts.rejected):
            check_free(path, overwrite=overwrite)
        judging = _Judging(files, load(run, device=device, precision=precision), settings, suffix)
        judging.look()
        parts.begin(judging.plan(run), overwrite=overwrite and shard is None)
        if parts.end is None or not all(map(parts.has, range(parts.end))):
            _to_parts(judging, parts, shard)
        return None if shard or parts.end is None else Tally(**parts.join(parts.end))


def _lock(stack: ExitStack, out: Path, shard: tuple[int, int] | None) -> None:
    """One process a shard; and none where the whole is judged, or joined."""
    if shard:
        stack.enter_context(one_writer(out.with_name(f"{out.name}.{shard[0]}-of-{shard[1]}")))
        return
    for lock in out.parent.glob(f".{glob.escape(out.name)}.*-of-*.lock"):
        stack.enter_context(one_writer(out.with_name(lock.name[1:].removesuffix(".lock"))))
    stack.enter_context(one_writer(out))


# ── where the results go ─────────────────────────────────────────────────────────────────────────────────


def _to_parts(judging: _Judging, parts: Parts, shard: tuple[int, int] | None) -> None:
    """Judges the chunks that are not there yet: all, or those of one shard."""
    number, of = shard or (1, 1)

    def wanted(chunk: int) -> bool:
        return chunk // BLOCK % of == number - 1 and not parts.has(chunk)

    told = False
    for result in judging.results(wanted, parts):
        parts.write(result.number, result.frame, result.rejected, (result.keys, result.logits), vars(result.tally))
        if result.rejected and not told:
            told, first = True, result.rejected[0]
            logger.warning("rejected: %s: %s; %s names all", first.get("where"), first["problem"], parts.rejected)
    parts.end = judging.chunks


def _to_stdout(judging: _Judging) -> Tally:
    tally = Tally()
    for result in judging.results(lambda _: True):
        tally += result.tally
        for fault in result.rejected:
            logger.warning("rejected: %s", fault)
        lines = io.BytesIO()
        write_json_rows(result.frame, lines)
        sys.stdout.buffer.write(lines.getvalue())
        sys.stdout.buffer.flush()
    return tally


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Work:
    """One chunk, ready to be judged.

    Attributes:
        chunk: Where it comes from.
        found: What is to be accounted for: rows, documents.
        frame: The rows that can be judged, as read or cut and as they are to be written.
        rejected: What is said of the others.
        block: The block it belongs to.
        slots: int64, shape (rows,): where in the block's scores each row's stand.
        keys: What is new in the block, with its flags: uint8, shape (new, 17). Its scores stand together, from
            ``start`` on.
        start: See ``keys``.
        encoded: The ids of what is new.
    """

    chunk: Chunk
    found: Tally
    frame: pl.DataFrame
    rejected: list[RejectedRow]
    block: Block
    slots: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint8]
    start: int
    encoded: Encoded


@dataclass(frozen=True)
class _Result:
    """One judged chunk: the rows to write, and what is needed to go on after it."""

    number: int
    frame: pl.DataFrame
    rejected: list[RejectedRow]
    keys: npt.NDArray[np.uint8]
    logits: npt.NDArray[np.float32]
    tally: Tally


class _Judging:
    """A judge, files, and what is wanted of them.

    Attributes:
        chunks: How many chunks have been read.
    """

    def __init__(self, files: Sequence[str], judge: Judge, settings: Settings, suffix: str) -> None:
        self.files, self.judge, self.settings, self.suffix = files, judge, settings, suffix
        self.chunks, self.marked = 0, False
        self.input = {} if STDIN in files else fingerprint(files)
        self.condition = condition_of(settings, judge)

    def look(self) -> None:
        """Refuses, before an output is begun, what the judge has not learnt to judge.

        Raises:
            DataError: Pairs where it learnt sentences, or the other way round; or the first file cannot be read.
        """
        if self.judge.inputs is None or self.settings.split or not Path(self.files[0]).is_file():  # a pipe is read once
            return
        settings = self.settings
        with TableStream(self.files[0], columns=settings.columns, separator=settings.separator) as stream:
            for part in itertools.islice(stream.parts(), 1):
                columns = stream.table(part, lambda *_: None).frame.columns
                self.judge.check_inputs(pairs="second" in columns)

    def plan(self, run: Path) -> dict[str, Any]:
        """All that decides about the bytes of the output, as JSON."""
        runtime, split = self.judge.runtime, self.settings.split
        return {
            "input": self.input,
            "run": files_of(run.expanduser()),
            "settings": {**vars(self.settings), "columns": dict(self.settings.columns or {}), "format": self.suffix},
            "computing": [runtime.device, runtime.precision, self.judge.lossless],
            "versions": versions() | ({"sentencex": check_splitter(split)} if split else {}),
            "sizes": [CHUNK, self.settings.text, BLOCK, KEY],
        }

    def results(self, wanted: Callable[[int], bool], parts: Parts | None = None) -> Iterator[_Result]:
        """The chunks that are wanted, judged. Meanwhile a second thread reads and tokenises the next one."""
        megabytes = self.input.get("bytes", 0) / 1e6
        began, rows, position = time.monotonic(), 0, 0
        works = self._works(wanted, parts)
        with closing(works), ThreadPoolExecutor(1) as reader, meter("judging", megabytes or None, "MB") as bar:
            ahead = reader.submit(next, works, None)
            while (work := ahead.result()) is not None:
                ahead = reader.submit(next, works, None)
                yield self._judge(work)
                rows += work.found.rows
                note = f"{rows / (time.monotonic() - began):,.0f} rows/s"
                bar.advance((work.chunk.position - position) / 1e6, note)
                position = work.chunk.position

    def _judge(self, work: _Work) -> _Result:
        labels = self.judge.labels
        new = np.zeros((0, len(labels)), dtype=np.float32)
        if len(work.encoded):
            new = self.judge.logits_of(work.encoded)
        work.block.add(work.start, new)
        scores = work.block.scores(work.slots)
        frame = with_verdicts(work.frame, scores, self.judge, self.settings, self.condition, self.suffix)
        judged = len(work.frame)
        tally = work.found + Tally(0, len(frame), judged - len(frame), work.found.rows - judged, len(new))
        return _Result(work.chunk.number, frame, work.rejected, work.keys, new, tally)

    def _works(self, wanted: Callable[[int], bool], parts: Parts | None) -> Generator[_Work, None, None]:
        block = Block(0, 0, len(self.judge.labels))
        told = False
        before = 0
        reading: dict[str, Any] = {"columns": self.settings.columns, "separator": self.settings.separator}
        for chunk in chunks(self.files, **reading, text=self.settings.text, form=self.suffix):
            self.chunks = chunk.number + 1
            before += chunk.rows
            if not wanted(chunk.number):
                continue
            if chunk.number // BLOCK != block.number:
                block = Block(chunk.number // BLOCK, chunk.number // BLOCK * BLOCK, len(self.judge.labels))
            if parts:
                block.restore(parts, chunk.number)
            tables, rejected, found = self._read(chunk, before - chunk.rows)
            if not told:
                told = True
                logger.info("%s: %s", tables[0].origin, tables[0].schema)
                self.judge.check_inputs(pairs="second" in tables[0].frame.columns)
                warn_of_breaks(tables, self.suffix)
            tables = [usable(table, self.suffix, rejected) for table in tables]
            self.marked = self.marked or any(warn_of_special_tokens(self.judge.tokenizer, table) for table in tables)
            yield self._prepared(chunk, found, tables, rejected, block)

    def _read(self, chunk: Chunk, before: int) -> tuple[list[Table], list[RejectedRow], Tally]:
        """The rows of a chunk before which so many others come; where these are documents, their sentences."""
        if self.settings.split is None:
            return *chunk.read(), Tally(chunk.rows)
        pieces = chunk.pieces()
        rejected = [fault for _, faults in pieces for fault in faults]
        tables = sentence_tables(pieces, before, self.settings.split, self.suffix)
        return tables, rejected, Tally(sum(map(len, tables)), documents=chunk.rows, unread=len(rejected))

    def _prepared(
        self, chunk: Chunk, found: Tally, tables: list[Table], rejected: list[RejectedRow], block: Block
    ) -> _Work:
        """Finds out what is new in the chunk, tokenises that, and leaves out what the encoder cannot read."""
        roles = [name for name in ("sentence", "second") if name in tables[0].frame.columns]
        texts = pl.concat([table.frame.select(roles) for table in tables])
        sentences = texts["sentence"].to_list()
        seconds = texts["second"].to_list() if "second" in roles else None
        inputs = sentences if seconds is None else list(map("\0".join, zip(sentences, seconds, strict=True)))
        start = len(block.slots)
        new: list[int] = []
        keys = bytearray()
        here: dict[str, int] = {}
        slots = np.empty(len(inputs), dtype=np.int64)
        for row, text in enumerate(inputs):
            slot = here.get(text, -1)
            if slot < 0:
                key = hashlib.blake2b(text.encode(), digest_size=16).digest()
                slot = here[text] = block.slots.setdefault(key, start + len(new))
                if slot == start + len(new):
                    new.append(row)
                    keys += key
            slots[row] = slot
        encoded = self.judge.encode(
            [sentences[row] for row in new], None if seconds is None else [seconds[row] for row in new], refuse=False
        )
        flags = flags_of(encoded)
        block.flags += flags.tobytes()
        hashed = np.column_stack([np.frombuffer(bytes(keys), dtype=np.uint8).reshape(-1, KEY), flags])
        known = np.frombuffer(bytes(block.flags), dtype=np.uint8)[slots]
        if (known & ALL_UNKNOWN).any():
            at = np.cumsum([0, *map(len, tables)])
            tables = [drop_unknown_rows(table, known[at[i] : at[i + 1]], rejected) for i, table in enumerate(tables)]
            slots = slots[known & ALL_UNKNOWN == 0]
        names = chunk.first.frame.columns
        names = columns_of_sentences(names) if self.settings.split else names
        kept = [table.frame if table.original is None else table.original for table in tables]
        frame = with_source_names(joined([one.select(names) for one in kept]), chunk.first.source_names)
        found += Tally(unknown=int((known == SOME_UNKNOWN).sum()))
        return _Work(chunk, found, frame, rejected, block, slots, hashed, start, encoded)
