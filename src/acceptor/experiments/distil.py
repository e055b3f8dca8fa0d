"""`distil`: trains a student on the probabilities of one or several teachers (Hinton, Vinyals & Dean 2015).

A small encoder learns little from nine thousand labels. A teacher can label any text, and its probabilities say more
than labels. The steps are files, so that each can be stopped, resumed and looked at:

    OUT-teacher/corpus-DIGEST.parquet    the labelled sentences, raw text, and corruptions of both
    OUT-teacher/teacher-DIGEST.parquet   a teacher's probabilities: `predict`
    OUT/                                 the student: `train`

The digests are of the contents, so another teacher or another text never meets old files.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.config import TrainConfig, with_encoder
from acceptor.data.auditing.duplicates import fingerprints, normalised_units, rows_in
from acceptor.data.corpora import paths_of
from acceptor.data.corruptions import Corruptor
from acceptor.data.load import load_data
from acceptor.data.raw_text import in_held_out, listed_paths, read_raw_text
from acceptor.data.split import with_validation
from acceptor.data.table import Data, Split, Table
from acceptor.errors import DataError, UsageError, checked_types
from acceptor.judging.judge import PAIRS, Judge
from acceptor.judging.load import files_of, load
from acceptor.judging.predict import predict
from acceptor.runs.checkpoint import has_checkpoint
from acceptor.runs.out_path import check_out, folder_beside, refuse_within
from acceptor.runtime.processes import refuse_torchrun
from acceptor.storage.files import explain_write_errors, new_file, user_path
from acceptor.training.train import Run, train

logger = logging.getLogger(__name__)

FILES = ("corpus-*.parquet*", "teacher-*.parquet*", ".*")
"""The files of ``OUT-teacher``; `predict` keeps its parts and the rows that it rejected beside its output."""


@checked_types
def distil(
    data: Any,
    *,
    teachers: str | Path | Sequence[str | Path],
    out: str | Path,
    text: str | Path | Sequence[str | Path] = (),
    encoder: str | Path | None = None,
    config: TrainConfig | None = None,
    overwrite: bool = False,
) -> Run:
    """Trains a student on its teachers' mean probabilities. The same call resumes after a stop.

    The student sees the train split, raw text if there is some, and one corruption of each sentence, all with the
    teachers' probabilities; no label of the train split is used beside them.

    Args:
        data: A `Data`, or anything that `load_data` accepts. Its validation and test splits score the student.
        teachers: Run folders, or exported files, of judges of the same labels. Teachers that were trained with several
            seeds teach better than one.
        out: The student's run folder to write. The folder ``OUT-teacher`` beside it gets the teachers' probabilities.
        text: Files of natural sentences in the same language, one a line.
        encoder: Short for ``config.encoder``.
        config: The student's settings.
        overwrite: Replace an existing run at ``out``.

    Raises:
        UsageError: A teacher has other labels or judges pairs where the corpus has single sentences, or the other way
            round; or ``out`` exists.
        DataError: The raw text cannot be used: see `read_raw_text`; or a teacher was trained on sentences of the
            validation or test split.
        AcceptorError: As `predict` and `train`.
    """
    refuse_torchrun()
    config = with_encoder(config, encoder)
    data = data if isinstance(data, Data) else load_data(data)
    data, _ = with_validation(data, config)
    runs = listed_paths(teachers, "one or more run folders, of judges that teach")
    texts = listed_paths(text, "one or more files of natural sentences") if text else []
    out = user_path(out)
    resume = not overwrite and has_checkpoint(out)
    beside = folder_beside(out, "teacher", FILES)
    check_out(out, overwrite=overwrite, resume=resume)
    refuse_within(out, [*runs, *texts, *paths_of(data)])
    for run in runs:
        _check_teacher(load(run), run, data)
    frame = _sentences(data, texts, config.seed)
    with explain_write_errors(beside):
        beside.mkdir(parents=True, exist_ok=True)
    corpus = _write_corpus(frame, beside)
    probabilities = [_probabilities(run, corpus, frame, data.labels) for run in runs]
    taught = Data(_taught(data, frame, np.mean(probabilities, axis=0), runs, texts), data.validation, data.test)
    given = config.model_copy(update={"split": "given"})
    return train(taught, out=out, config=given, overwrite=overwrite, resume=resume)


def _check_teacher(judge: Judge, run: Path, data: Data) -> None:
    """Refuses a teacher of another task, or one that was trained on sentences that score the student."""
    if judge.labels != data.labels:
        raise UsageError(
            "the teacher has other labels than the corpus",
            where=str(run),
            expected=", ".join(data.labels)[:300],
            found=", ".join(judge.labels)[:300],
            next="train the teacher on this corpus",
            code="E-USAGE-LABELS",
        )
    if judge.inputs is not None and (judge.inputs == PAIRS) != (data.train.seconds is not None):
        raise UsageError(
            f"the teacher judges {judge.inputs}, and the corpus has "
            + ("single sentences" if judge.inputs == PAIRS else "pairs"),
            where=str(run),
            code="E-USAGE-PAIRS",
        )
    train = normalised_units(data.train.own)
    for split in (data.validation, data.test):
        if split is None or judge.trained_on is None:
            continue
        known = np.isin(fingerprints(split), judge.trained_on)
        repeated = rows_in(normalised_units(split), train) >= 0  # known to the student, too
        if rows := np.flatnonzero(known & ~repeated).tolist():
            raise DataError(
                f"the teacher was trained on sentences of the {split.name} split",
                where=split.table.origin,
                found=split.table.listed_lines(rows),
                cause="scores of its student on them are too good",
                next="train the teacher with the same splits; a validation split that is cut from train depends on "
                "--seed and --validation-share",
                code="E-DATA-SPLIT",
            )


def _sentences(data: Data, texts: list[Path], seed: int) -> pl.DataFrame:
    """What the teachers judge: labelled sentences, raw text, then one corruption of each; pairs as they are.

    A corruption that is a sentence of validation or test is left out.
    """
    text = read_raw_text(texts, data).sentences if texts else []  # refuses text beside pairs
    if data.train.seconds is not None:
        return data.train.table.frame.select("sentence", "second").unique(maintain_order=True)
    natural = [*data.train.sentences, *text]
    rng, corruptor = random.Random(seed), Corruptor(natural)  # noqa: S311 - no secret
    corrupted = [other for sentence in natural if (other := corruptor.corrupt(sentence, rng))]
    held_out = in_held_out(corrupted, data)
    sentences = dict.fromkeys([*natural, *(one for one, known in zip(corrupted, held_out, strict=True) if not known)])
    return pl.DataFrame({"sentence": list(sentences)})


def _write_corpus(frame: pl.DataFrame, folder: Path) -> Path:
    """Writes what the teachers judge to a file that is named after its content."""
    digest = hashlib.sha256("\0".join(text for row in frame.iter_rows() for text in row).encode()).hexdigest()
    path = folder / f"corpus-{digest[:12]}.parquet"
    if not path.is_file():
        with new_file(path) as scratch:
            frame.write_parquet(scratch)
    return path


def _probabilities(run: Path, corpus: Path, frame: pl.DataFrame, labels: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """A teacher's probabilities, shape (rows, labels), NaN for a text without any token in its vocabulary.

    They are computed once and kept in a file that is named after the teacher's files and the corpus; an interrupted
    computation goes on.
    """
    digest = hashlib.sha256(f"{corpus.name} {sorted(files_of(run).items())}".encode()).hexdigest()
    out = corpus.with_name(f"teacher-{digest[:12]}.parquet")
    if not out.is_file():
        try:
            predict(run, corpus, out=out, all_scores=True)
        except UsageError as error:
            if error.code != "E-USAGE-CHANGED":
                raise
            predict(run, corpus, out=out, all_scores=True, overwrite=True)  # begun on another device, by another torch
    judged = pl.read_parquet(out, columns=[*frame.columns, *(f"p({label})" for label in labels)])
    joined = frame.join(judged.unique(frame.columns), on=frame.columns, how="left", maintain_order="left")
    return joined.drop(frame.columns).cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _taught(
    data: Data, frame: pl.DataFrame, probabilities: npt.NDArray[np.float64], runs: list[Path], texts: list[Path]
) -> Split:
    """The train split of the student: the rows that all teachers can read."""
    known = np.asarray(np.isfinite(probabilities).all(axis=1))
    frame, soft_labels = frame.filter(pl.Series(known)), probabilities[known].astype(np.float32)
    if not known.all():
        logger.warning("%d texts left out, without any token in a teacher's vocabulary", int((~known).sum()))
    label_ids = soft_labels.argmax(axis=1).astype(np.int64)
    digest = hashlib.sha256(soft_labels.tobytes())
    digest.update("\0".join(text for row in frame.iter_rows() for text in row).encode())
    names = ", ".join(map(str, runs))
    origin = (
        f"{', '.join(data.train.table.origins)}{' and raw text' if texts else ''}, with the probabilities of {names}"
    )
    lines = np.arange(1, len(frame) + 1, dtype=np.int64)
    labelled = frame.with_columns(pl.Series("label", [data.labels[index] for index in label_ids]))
    table = Table(labelled, lines, origin, digest.hexdigest(), "sentence, label of the teachers", "row")
    return Split("train", table, data.labels, label_ids, data.train.written, soft_labels)
