"""`predict` on a Ray cluster: tasks read the files, a pool of actors judges their chunks and writes them.

A row of Ray's data set is one chunk of `data.reading.stream`. An actor judges it and writes it to a file named by its
position in the input, so a chunk that is judged again after its worker died replaces the same file. The driver receives
only counts: it checks that every chunk was written, and writes the manifest last.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from acceptor.data.reading.column_types import fitted_strictly
from acceptor.data.reading.original import COLUMNAR, with_source_names
from acceptor.data.reading.remote_files import InputFile, found_files
from acceptor.data.reading.stream import CHUNK, Piece, TableStream, check_columns
from acceptor.data.table import Table, texts_of
from acceptor.data.writing.write import FORMATS, refuse_breaks_in_names, write_rows
from acceptor.errors import UsageError
from acceptor.integrations.ray_cluster import LOCAL, check_cluster, connected, import_ray, original_errors, pool_size
from acceptor.integrations.ray_output import REJECTED, Done, Output, part_name
from acceptor.judging.dedup import LogitsCache
from acceptor.judging.judge import Judge
from acceptor.judging.load import files_of, load
from acceptor.judging.rows import PredictSettings, condition_of, usable, with_verdicts
from acceptor.judging.tally import Tally
from acceptor.model.coverage import ALL_UNKNOWN, counts_of, drop_unknown_rows
from acceptor.progress import meter
from acceptor.runs.folder import READ_WITH_JUDGE
from acceptor.runtime.device import versions
from acceptor.storage.files import user_path
from acceptor.storage.filesystems import OutputFolder, address_of, open_input
from acceptor.storage.lock import one_writer

READER_FEEDS = 16  # workers per reading task: parsing is a hundred times as fast as judging
STORE = 1 << 29  # bytes for waiting chunks in a local cluster's object store, in addition to the run

RunFiles = dict[str, npt.NDArray[np.uint8]]
"""The files of a run that judging needs, as bytes: Ray shares arrays between the processes of a machine."""

logger = logging.getLogger(__name__)


class Item(TypedDict):
    """An unfinished input file: its number, its path, and its finished chunks."""

    file: int
    address: str
    origin: str
    done: list[int]


@dataclass(frozen=True)
class Task:
    """Arguments of all reading tasks and actors.

    Attributes:
        names: The columns of the first file; all files must have them.
        out: The address of the output folder.
        suffix: The format of the parts, as a file suffix.
        settings: The output settings.
        rows: The maximum number of rows of a chunk.
        device: See `load`.
        precision: See `load`.
        source_names: The first file's names of the columns with a role: see `Table.source_names`.
        kinds: The column types of the first file, if the format of the parts has types.
    """

    names: list[str]
    out: str
    suffix: str
    settings: PredictSettings
    rows: int
    device: str | None
    precision: str | None
    source_names: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, pl.DataType] = field(default_factory=dict)


def predict(
    run: Path,
    sources: Sequence[str],
    out: str,
    settings: PredictSettings,
    *,
    cluster: str = LOCAL,
    workers: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    overwrite: bool = False,
) -> Tally:
    """Judges files of any size on a Ray cluster, into a folder of parts.

    Args:
        run: The run folder, or the exported file, on this machine; it is sent to the workers through Ray.
        sources: Files, folders and patterns: paths, or addresses such as ``s3://bucket/folder``.
        out: The folder to write, path or address; its suffix is the format of the parts.
        settings: The output settings.
        cluster: ``local`` starts a cluster on this machine for this call; ``auto`` or HOST:PORT use a running one.
        workers: Number of judging actors, each with a GPU if the cluster has any, else a CPU; None uses all of them.
        device: See `load`; on the workers.
        precision: See `load`; on the workers.
        overwrite: Replace an existing output.

    Returns:
        The counts.

    Raises:
        UsageError: Ray is not installed, the output exists or was started with other data or settings, or the condition
            is invalid.
        DataError: A file cannot be read to its end. Finished parts are kept.
        ResourceError: No cluster answers, or the output cannot be written. Finished parts are kept.
        RunError: The run cannot be loaded, or a finished part is missing.
    """
    check_cluster(cluster)
    ray = import_ray(cluster)
    files = found_files(sources, _local(out))
    judge = load(run, device="cpu")  # reports a bad run or condition before Ray starts
    condition_of(settings, judge)
    task = _task(files[0], out, settings, judge, device, precision)
    run_files = _run_files(run)
    output = Output(OutputFolder(out))
    with contextlib.ExitStack() as stack:
        if output.folder.local:
            stack.enter_context(one_writer(output.folder.path))
        output.begin(_plan(run, files, task), overwrite=overwrite)
        stack.callback(output.try_to_save_progress)
        if items := _items(files, output):
            stack.enter_context(connected(ray, cluster, workers, STORE + 2 * sum(map(len, run_files.values()))))
            pool = pool_size(ray, workers, device)
            stack.enter_context(original_errors(ray))
            size = sum(files[item["file"]].size for item in items)
            judged = _judged(ray, items, task, run_files, pool)
            # Closed first in any case: Ray must not shut down while work is running.
            with contextlib.closing(judged), meter("judging", size, "bytes") as bar:
                for done in judged:
                    output.add(done)
                    bar.advance(done["stored"])
        return Tally(**output.finish(len(files)))


# ── before the cluster ───────────────────────────────────────────────────────────────────────────────────


def _local(out: str) -> list[Path]:
    """The output folder, if it is on this machine; else nothing."""
    folder = OutputFolder(out)
    return [folder.path] if folder.local else []


def _suffix(out: str) -> str:
    suffix = PurePosixPath(out.partition("?")[0]).suffix
    if suffix not in FORMATS:
        raise UsageError(
            f"cannot tell the format of the parts of {out}",
            expected="a folder whose name ends in " + ", ".join(FORMATS),
            code="E-USAGE-OUTPUT",
        )
    return suffix


def _task(
    file: InputFile, out: str, settings: PredictSettings, judge: Judge, device: str | None, precision: str | None
) -> Task:
    suffix = _suffix(out)
    names, own, kinds = _columns(file, settings, suffix, judge)
    return Task(names, address_of(out), suffix, settings, CHUNK, device, precision, own, kinds)


def _columns(
    file: InputFile, settings: PredictSettings, suffix: str, judge: Judge
) -> tuple[list[str], dict[str, str], dict[str, pl.DataType]]:
    """The first file's columns, their original names and types. Raises its errors before a cluster is started.

    The types of JSON are unknown until all are read, so in formats with types they become text.
    """
    opened = open_input(file.address, file.origin)
    with TableStream(file.origin, file=opened, form=suffix, **settings.reading) as stream:
        table = stream.table(next(stream.parts()), lambda *_: None)
        logger.info("%s: %s", file.origin, table.schema)
        judge.check_inputs(pairs="second" in table.frame.columns)
        refuse_breaks_in_names([*table.output_names, *judge.labels], suffix, Path("OUT"))
    kinds: dict[str, pl.DataType] = {}
    if suffix in COLUMNAR and table.original is not None:
        kinds = {name: kind if stream.has_types else pl.String() for name, kind in table.original.schema.items()}
    return table.frame.columns, dict(table.source_names), kinds


def _run_files(run: Path) -> RunFiles:
    run = user_path(run)
    if run.is_file():
        return {run.name: np.fromfile(run, dtype=np.uint8)}
    names = [*files_of(run), *READ_WITH_JUDGE]
    return {name: np.fromfile(run / name, dtype=np.uint8) for name in names if (run / name).exists()}


def _plan(run: Path, files: list[InputFile], task: Task) -> dict[str, object]:
    """Everything that determines the output, as JSON."""
    listed = json.dumps([[file.address, file.size, file.changed] for file in files])
    return {
        "input": {
            "files": len(files),
            "bytes": sum(file.size for file in files),
            "sha256": hashlib.sha256(listed.encode()).hexdigest(),
        },
        "run": files_of(user_path(run)),
        "settings": task.settings.to_dict(task.suffix),
        "computing asked for": [task.device, task.precision],
        "versions": versions(),
        "rows of a part": task.rows,
    }


def _items(files: list[InputFile], output: Output) -> list[Item]:
    """The unfinished files, with their finished chunks."""
    return [
        {"file": number, "address": files[number].address, "origin": files[number].origin, "done": done}
        for number, done in output.unfinished(len(files)).items()
    ]


def _judged(
    ray: Any,
    items: list[Item],
    task: Task,
    run_files: RunFiles,
    pool: tuple[int, int],
) -> Generator[Done, None, None]:
    """Reads, judges and writes the missing parts; yields the record of each, in any order."""
    workers, gpus = pool
    logger.info("%d workers%s", workers, ", a GPU each" if gpus else "")
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True  # keeps the error's fields, which Ray's wrapper loses
    context.target_max_block_size = 1  # one chunk per block: otherwise Ray gathers many for one worker
    shipped = [ray.put(dict(run_files))]  # in a list, so that a restarted actor looks it up again
    judged = (
        ray.data.from_items(items, override_num_blocks=len(items))
        .map_batches(
            read_chunks,
            fn_kwargs={"task": task},
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=0,  # reading needs little CPU, and no worker must wait for it
            compute=ray.data.TaskPoolStrategy(size=1 + workers // READER_FEEDS),
        )
        .map_batches(
            JudgeActor,
            fn_constructor_kwargs={"task": task, "shipped": shipped},
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=1,
            num_gpus=gpus,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
    )
    for batch in judged.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from batch.to_pylist()


# ── in the cluster ───────────────────────────────────────────────────────────────────────────────────────


def read_chunks(item: pa.Table, task: Task) -> Iterator[pa.Table]:
    """Yields the unfinished chunks of one file, each as a row: position, valid rows, errors of the rejected rows.

    Raises:
        DataError: The file cannot be read to its end, or has other columns than the first one.
    """
    [file] = item.to_pylist()
    opened = open_input(file["address"], file["origin"])
    held: dict[str, object] = {}
    before = 0
    reading = task.settings.reading
    with TableStream(file["origin"], file=opened, rows=task.rows, form=task.suffix, **reading) as stream:
        for number, part in enumerate(stream.parts()):
            if held:
                yield pa.Table.from_pylist([held])
                held = {}
            if number and number in file["done"]:
                continue
            table, faults = Piece(stream, part).read()
            check_columns(table, task.names, task.source_names)
            if number not in file["done"]:
                rows = len(table) + len(faults)
                good = usable(table, task.suffix, faults)
                texts = good.frame.select(name for name in ("sentence", "second") if name in good.frame.columns)
                kept = (good.frame if good.original is None else good.original).select(task.names)
                kept = fitted_strictly(kept, task.kinds, file["origin"]) if task.kinds else kept
                held = {"file": file["file"], "chunk": number, "last": False, "rows": rows}
                held["stored"], before = stream.position - before, stream.position
                frames = {"texts": texts, "frame": with_source_names(kept, task.source_names)}
                held |= {name: frame.write_ipc_stream(None).getvalue() for name, frame in frames.items()}
                held |= {"faults": json.dumps(faults), "origin": good.origin, "unit": good.unit}
                held |= {"lines": good.lines.tolist()}
    if held:
        yield pa.Table.from_pylist([{**held, "last": True}])


class JudgeActor:
    """An actor that judges chunks and writes their parts, with the CPUs or GPU that Ray has assigned to it."""

    def __init__(self, task: Task, shipped: list[Any]) -> None:
        """Stores the arguments. Loads nothing: an error here would reach the driver only as a message of Ray.

        Args:
            task: The arguments of the actor.
            shipped: A list with one reference to the run's files.
        """
        self.task, self.shipped = task, shipped
        self.folder = OutputFolder(task.out)

    @functools.cached_property
    def judge(self) -> Judge:
        """The judge, loaded once.

        Raises:
            AcceptorError: It cannot be loaded here.
        """
        import ray

        threads = max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch and by ONNX judges
        with tempfile.TemporaryDirectory(prefix="acceptor-run-") as folder:
            run_files = ray.get(self.shipped[0])
            for name, content in run_files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)  # the members of an ensemble have folders of their own
                path.write_bytes(content)
            exported = next((name for name in run_files if name.endswith(".onnx")), "")
            # `load` checks them against their manifest, or the sha256 in the file.
            return load(Path(folder, exported), device=self.task.device, precision=self.task.precision)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Judges one chunk and writes its part.

        Raises:
            AcceptorError: The run cannot be loaded, or the part cannot be written.
        """
        [chunk] = batch.to_pylist()
        settings, faults = self.task.settings, json.loads(chunk["faults"])
        cache = LogitsCache(self.judge)
        lines = np.array(chunk["lines"], dtype=np.int64)
        texts, frame = pl.read_ipc_stream(chunk["texts"]), pl.read_ipc_stream(chunk["frame"])
        table = Table(texts, lines, chunk["origin"], "", "", chunk["unit"], frame)
        inputs = cache.encode(*texts_of(texts), refuse=False)
        judged, flags = len(cache.add(inputs)), inputs.flags
        table, logits = drop_unknown_rows(table, flags, faults), cache.logits(inputs.slots[flags & ALL_UNKNOWN == 0])
        frame = table.frame if table.original is None else table.original
        kept = with_verdicts(frame, logits, self.judge, settings, condition_of(settings, self.judge), self.task.suffix)
        content = io.BytesIO()
        write_rows(kept, content, self.task.suffix, spreadsheet_safe=settings.spreadsheet_safe)
        name = part_name(chunk["file"], chunk["chunk"])
        if faults:
            lines_of_faults = (json.dumps(fault, ensure_ascii=False) + "\n" for fault in faults)
            self.folder.write(f"{REJECTED}/{name}.jsonl", "".join(lines_of_faults).encode())
        self.folder.write(name + self.task.suffix, content.getvalue())
        rejected = chunk["rows"] - len(frame)
        tally = Tally(chunk["rows"], len(kept), len(frame) - len(kept), rejected, judged, **counts_of(flags))
        done = {key: chunk[key] for key in ("file", "chunk", "last", "stored")} | tally.to_dict()
        computing = f"{self.judge.runtime.device_name} · {self.judge.runtime.precision}"
        done |= {"name": name + self.task.suffix, "bytes": content.tell(), "computing": computing}
        return pa.Table.from_pylist([{**done, "sha256": hashlib.sha256(content.getvalue()).hexdigest()}])
