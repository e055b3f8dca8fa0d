"""`predict`: judges files of any size as a stream, equal sentences once; continues after an interruption.

The input is cut into chunks, and `BLOCK` chunks make a block. Logits are cached within a block, never across blocks. So
a chunk's verdicts depend only on its block, not on which process judges it or where it was interrupted. A process that
continues a block reads the logits of its finished chunks.
"""

from __future__ import annotations

import functools
import glob
import io
import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.documents import check_splitter, columns_of_sentences, sentence_tables
from acceptor.data.load import check_arguments
from acceptor.data.reading.column_types import joined
from acceptor.data.reading.input_files import fingerprint, inputs_of
from acceptor.data.reading.original import with_source_names
from acceptor.data.reading.stream import CHUNK, Chunk, RejectedRow, TableStream, chunks
from acceptor.data.reading.unpack import STDIN
from acceptor.data.table import Table, texts_of
from acceptor.data.writing.parts import Parts
from acceptor.data.writing.write import check_free, check_output, form_of, refuse_breaks_in_names, write_json_rows
from acceptor.errors import checked_types
from acceptor.judging.arguments import as_paths, check_shard, check_spreadsheet_safe
from acceptor.judging.decision import Logits
from acceptor.judging.dedup import KEY, Inputs, LogitsCache
from acceptor.judging.judge import Judge
from acceptor.judging.load import files_of, load, run_path
from acceptor.judging.rows import PredictSettings, condition_of, usable, warn_of_breaks, with_verdicts
from acceptor.judging.tally import Tally
from acceptor.model.coverage import ALL_UNKNOWN, counts_of, drop_unknown_rows, warn_of_special_tokens
from acceptor.progress import Meter, meter
from acceptor.runtime.device import versions
from acceptor.storage.files import user_path
from acceptor.storage.lock import one_writer

BLOCK = 16  # chunks within which equal inputs are judged once
STDOUT = "-"

logger = logging.getLogger(__name__)


@checked_types
def predict(
    run: str | Path,
    sources: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    columns: Mapping[str, str] | None = None,
    where: str | None = None,
    all_scores: bool = False,
    spreadsheet_safe: bool = False,
    split_language: str | None = None,
    separator: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    shard: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> Tally:
    """Judges files of any size into one file; the same call continues an interrupted one, without ``overwrite``.

    Memory does not grow with the number of rows, except that a row group of Parquet, a batch of Arrow, a workbook and a
    JSON array are read whole.

    Args:
        run: As for `load`.
        sources: A file, a folder, a glob pattern, or several of them; or ``-``: tab-separated lines on standard input.
        out: The output file, in the format of its name; or ``-`` for JSON lines on standard output.
        columns: Which input column has which role, as for `load_data`.
        where: Writes only rows that meet this condition, such as ``verdict = 'acceptable' and probability >= .8``.
        all_scores: Also writes each label's probability and logit.
        spreadsheet_safe: In a CSV, texts that look like a formula get a leading ``'``.
        split_language: Texts are documents in this language, such as ``en``: judges each of their sentences.
        separator: The separator of delimited text, if it is not the usual one of the file's format.
        device: As for `load`.
        precision: As for `load`.
        shard: (k, n), 1 ≤ k ≤ n: judges every n-th block from the k-th on. A call without it joins all shards.
        overwrite: Replaces a file at ``out``, and unfinished parts of it.

    Returns:
        The counts of all rows; for a shard, of its own.

    Raises:
        UsageError: The output exists, or was started with other data or settings; an argument cannot be used.
        DataError: A file cannot be read further. The finished parts are kept.
        ResourceError: The disk is full. The finished parts are kept.
        RunError: The run cannot be loaded, or another process writes the output.
    """
    settings = PredictSettings(columns, where, all_scores, spreadsheet_safe, split_language, separator)
    check_arguments(columns, separator, None)
    path, judge = run_path(run), functools.partial(load, run, device=device, precision=precision)
    return _predict(path, judge, as_paths(sources), user_path(out), settings, shard, overwrite)


def _predict(
    run: Path,
    load_judge: Callable[[], Judge],
    sources: Sequence[str],
    out: Path,
    settings: PredictSettings,
    shard: tuple[int, int] | None,
    overwrite: bool,
) -> Tally:
    """`predict`, with its arguments in their final types. The judge is loaded after all other checks."""
    suffix = ".jsonl"
    if str(out) != STDOUT:
        check_output(out, overwrite=True)
        suffix, _ = form_of(out)
    check_spreadsheet_safe(settings, out)
    if settings.split_language is not None:
        check_splitter(settings.split_language)
    files = inputs_of(sources, [] if str(out) == STDOUT else Parts(out).places, run)
    check_shard(shard, can_be_read_again=str(out) != STDOUT and STDIN not in files)
    if str(out) == STDOUT:
        return _to_stdout(_Predictor(files, load_judge(), settings, suffix))
    parts = Parts(out, spreadsheet_safe=settings.spreadsheet_safe)
    with ExitStack() as stack, parts.resumable():
        _lock(stack, out, shard)
        if parts.joined() is None:
            _check_free(parts, overwrite=overwrite)
        predictor = _Predictor(files, load_judge(), settings, suffix)
        plan = predictor.plan(run)
        if (finished := parts.joined()) is not None:  # by a process that was killed before it removed its parts
            is_same = parts.has_plan(plan)
            if not is_same:
                _check_free(parts, overwrite=overwrite)
            parts.remove()
            if is_same:
                return Tally(**finished)
        predictor.check_first_file()
        parts.begin(plan, overwrite=shard is None and (overwrite or not parts.kept))
        end = parts.end
        if end is None or not all(map(parts.has, range(end))):
            end = _to_parts(predictor, parts, plan, shard)
        if shard:
            return sum((Tally(**parts.counts(number)) for number in range(end) if _in_shard(number, shard)), Tally())
        return Tally(**parts.join(end))


def _check_free(parts: Parts, *, overwrite: bool) -> None:
    for path in (parts.out, parts.rejected):
        check_free(path, overwrite=overwrite or parts.may_replace(path))


def _lock(stack: ExitStack, out: Path, shard: tuple[int, int] | None) -> None:
    """Locks the output: one process for each shard, or one that judges or joins all shards.

    A shard that starts later is not kept out; it fails at its next part (`Parts.refuse_joined`).
    """
    if shard:
        stack.enter_context(one_writer(out.with_name(f"{out.name}.{shard[0]}-of-{shard[1]}")))
        return
    for lock in out.parent.glob(f".{glob.escape(out.name)}.*-of-*.lock"):
        stack.enter_context(one_writer(out.with_name(lock.name[1:].removesuffix(".lock"))))
    stack.enter_context(one_writer(out))


# ── where the results go ─────────────────────────────────────────────────────────────────────────────────


def _in_shard(chunk: int, shard: tuple[int, int]) -> bool:
    number, of = shard
    return chunk // BLOCK % of == number - 1


def _to_parts(predictor: _Predictor, parts: Parts, plan: Mapping[str, object], shard: tuple[int, int] | None) -> int:
    """Judges the missing chunks: all, or those of one shard. Returns how many chunks there are."""

    def wanted(chunk: int) -> bool:
        return _in_shard(chunk, shard or (1, 1)) and not parts.has(chunk)

    warned = False
    for result in predictor.results(wanted, parts):
        if shard:
            parts.refuse_joined(plan)
        parts.write(result.number, result.frame, result.rejected, (result.keys, result.logits), vars(result.tally))
        if result.rejected and not warned:
            warned, first = True, result.rejected[0]
            logger.warning("rejected: %s: %s; %s names all", first.get("where"), first["problem"], parts.rejected)
    if shard:
        parts.refuse_joined(plan)
    parts.end = predictor.chunks
    return predictor.chunks


def _to_stdout(predictor: _Predictor) -> Tally:
    tally = Tally()
    for result in predictor.results(lambda _: True):
        tally += result.tally
        for fault in result.rejected:
            logger.warning("rejected: %s: %s", fault.get("where"), fault["problem"])
        lines = io.BytesIO()
        write_json_rows(result.frame, lines)
        sys.stdout.buffer.write(lines.getvalue())
        sys.stdout.buffer.flush()
    return tally


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Block:
    """Chunks that share a cache.

    Attributes:
        number: Its place among all blocks, from 0.
        cache: The logits of its chunks.
        next: The first chunk whose logits are not in the cache.
    """

    number: int
    cache: LogitsCache
    next: int

    def restore(self, parts: Parts, chunk: int) -> None:
        """Adds the results of earlier processes for the chunks before this one."""
        for done in range(self.next, chunk):
            self.cache.restore(*parts.scores(done))
        self.next = chunk + 1


@dataclass(frozen=True)
class _Prepared:
    """One chunk, ready to be judged.

    Attributes:
        chunk: The chunk.
        counts: Its rows and documents, before they are judged.
        frame: The rows that can be judged, as read or split into sentences, in the form of the output.
        rejected: The errors of the others.
        cache: Its block's cache.
        inputs: Its inputs.
        slots: int64, shape (rows,): the position in the cache of each row's logits.
    """

    chunk: Chunk
    counts: Tally
    frame: pl.DataFrame
    rejected: list[RejectedRow]
    cache: LogitsCache
    inputs: Inputs
    slots: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Judged:
    """One judged chunk: the rows to write, and the new logits with their keys, for later chunks."""

    number: int
    frame: pl.DataFrame
    rejected: list[RejectedRow]
    keys: npt.NDArray[np.uint8]
    logits: Logits
    tally: Tally


class _Predictor:
    """Judges files by one judge, with the settings of the output.

    Attributes:
        chunks: How many chunks have been read.
    """

    def __init__(self, files: Sequence[str], judge: Judge, settings: PredictSettings, suffix: str) -> None:
        self.files, self.judge, self.settings, self.suffix = files, judge, settings, suffix
        self.chunks, self._warned_of_marks = 0, False
        self.input = {} if STDIN in files else fingerprint(files)
        self.condition = condition_of(settings, judge)

    def check_first_file(self) -> None:
        """Refuses pairs for a judge of sentences, the other way round, and some columns, before an output is started.

        Raises:
            DataError: The first file holds inputs of the other kind, has columns that cannot be written, or cannot be
                read.
        """
        if not Path(self.files[0]).is_file():
            return  # a pipe is read once
        with TableStream(self.files[0], **self.settings.reading) as stream:
            for part in itertools.islice(stream.parts(), 1):
                table = stream.table(part, lambda *_: None)
                self._check_names(table)
                if self.settings.split_language is None:
                    self.judge.check_inputs(pairs="second" in table.frame.columns)

    def _check_names(self, table: Table) -> None:
        refuse_breaks_in_names([*table.output_names, *self.judge.labels], self.suffix, Path("OUT"))

    def plan(self, run: Path) -> dict[str, object]:
        """Everything that determines the bytes of the output, as JSON."""
        runtime, language = self.judge.runtime, self.settings.split_language
        return {
            "input": self.input,
            "run": files_of(run),
            "settings": self.settings.to_dict(self.suffix),
            "computing": {"device": runtime.device, "precision": runtime.precision, "lossless": self.judge.lossless},
            "versions": versions() | ({"sentencex": check_splitter(language)} if language else {}),
            "sizes": [CHUNK, self.settings.text, BLOCK, KEY],
        }

    def results(self, wanted: Callable[[int], bool], parts: Parts | None = None) -> Iterator[_Judged]:
        """Judges the wanted chunks. Meanwhile a second thread reads and tokenises the next one."""
        size = self.input.get("bytes")
        began, rows, position = time.monotonic(), 0, 0
        prepared = self._prepared_chunks(wanted, parts, stopped := threading.Event())
        with closing(prepared), ThreadPoolExecutor(1) as reader, meter("judging", size or None, "bytes") as bar:
            try:
                ahead = reader.submit(next, prepared, None)
                while (chunk := ahead.result()) is not None:
                    ahead = reader.submit(next, prepared, None)
                    yield self._judge(chunk, bar, chunk.chunk.position - position)
                    rows += chunk.counts.rows
                    bar.advance(0, f"{rows / (time.monotonic() - began):,.0f} rows/s")
                    position = chunk.chunk.position
            finally:  # after a signal, the thread must not wait for standard input, since the executor waits for it
                stopped.set()

    def _judge(self, prepared: _Prepared, bar: Meter, size: int) -> _Judged:
        """Judges a chunk, which takes ``size`` bytes of the files: the bar moves with every batch."""
        lengths = prepared.inputs.new.lengths  # batches are of one length each, and a long one takes its time
        each = size / max(1, lengths.sum())
        new = prepared.cache.add(prepared.inputs, lambda some: bar.advance(each * lengths[some].sum()))
        bar.advance(0 if len(new) else size)
        logits = prepared.cache.logits(prepared.slots)
        frame = with_verdicts(prepared.frame, logits, self.judge, self.settings, self.condition, self.suffix)
        judged = len(prepared.frame)
        tally = Tally(0, len(frame), judged - len(frame), prepared.counts.rows - judged, len(new))
        number, keys = prepared.chunk.number, prepared.inputs.keys
        return _Judged(number, frame, prepared.rejected, keys, new, prepared.counts + tally)

    def _prepared_chunks(
        self, wanted: Callable[[int], bool], parts: Parts | None, stopped: threading.Event
    ) -> Generator[_Prepared, None, None]:
        block, reading = _Block(0, LogitsCache(self.judge), 0), self.settings.reading
        first, rows_before = True, 0
        for chunk in chunks(self.files, **reading, text=self.settings.text, form=self.suffix, stopped=stopped):
            self.chunks = chunk.number + 1
            rows_before += chunk.rows
            if not wanted(chunk.number):
                continue
            if (number := chunk.number // BLOCK) != block.number:
                block = _Block(number, LogitsCache(self.judge), number * BLOCK)
            if parts:
                block.restore(parts, chunk.number)
            tables, rejected, counts = self._read(chunk, rows_before - chunk.rows)
            if first:
                first = False
                logger.info("%s: %s", tables[0].origin, tables[0].schema)
                self.judge.check_inputs(pairs="second" in tables[0].frame.columns)
                self._check_names(tables[0])
                warn_of_breaks(tables, self.suffix)
            tables = [usable(table, self.suffix, rejected) for table in tables]
            if not self._warned_of_marks:
                self._warned_of_marks = any(warn_of_special_tokens(self.judge.tokenizer, table) for table in tables)
            yield self._prepare(chunk, counts, tables, rejected, block.cache)

    def _read(self, chunk: Chunk, rows_before: int) -> tuple[list[Table], list[RejectedRow], Tally]:
        """The rows of a chunk; of documents, their sentences."""
        if self.settings.split_language is None:
            return *chunk.read(), Tally(chunk.rows)
        pieces = chunk.pieces()
        rejected = [fault for _, faults in pieces for fault in faults]
        tables = sentence_tables(pieces, rows_before, self.settings.split_language, self.suffix)
        return tables, rejected, Tally(sum(map(len, tables)), documents=chunk.rows, unread=len(rejected))

    def _prepare(
        self, chunk: Chunk, counts: Tally, tables: list[Table], rejected: list[RejectedRow], cache: LogitsCache
    ) -> _Prepared:
        """Tokenises the new inputs of the chunk, and rejects rows that the encoder cannot read."""
        roles = [name for name in ("sentence", "second") if name in tables[0].frame.columns]
        texts = pl.concat([table.frame.select(roles) for table in tables])
        inputs = cache.encode(*texts_of(texts), refuse=False)
        slots, flags = inputs.slots, inputs.flags
        if (flags & ALL_UNKNOWN).any():
            at = np.cumsum([0, *map(len, tables)])
            tables = [drop_unknown_rows(table, flags[at[i] : at[i + 1]], rejected) for i, table in enumerate(tables)]
            slots = slots[flags & ALL_UNKNOWN == 0]
        names = chunk.first.frame.columns
        names = names if self.settings.split_language is None else columns_of_sentences(names)
        kept = [table.frame if table.original is None else table.original for table in tables]
        frame = with_source_names(joined([one.select(names) for one in kept]), chunk.first.source_names)
        counts += Tally(**counts_of(flags))
        return _Prepared(chunk, counts, frame, rejected, cache, inputs, slots)
