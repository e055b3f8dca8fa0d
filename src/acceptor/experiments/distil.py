"""`distil`: trains a student on the probabilities of one or several teachers (Hinton, Vinyals & Dean 2015).

A small encoder learns little from nine thousand labels. A teacher can label any text, and its probabilities say more
than labels. The steps are files, so that each can be stopped, resumed and looked at:

    OUT-teacher/corpus.parquet      the labelled sentences, raw text, and corruptions of both
    OUT-teacher/teacher-1.parquet   the teacher's probabilities: `predict`
    OUT/                            the student: `train`
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.config import TrainConfig, with_encoder
from acceptor.data.auditing.duplicates import fingerprints, normalised, rows_in
from acceptor.data.corruptions import Corruptor
from acceptor.data.load import load_data
from acceptor.data.raw_text import listed_paths, read_raw_text
from acceptor.data.split import with_validation
from acceptor.data.table import Data, Split, Table
from acceptor.errors import DataError, UsageError
from acceptor.judging.judge import PAIRS, Judge
from acceptor.judging.load import load
from acceptor.judging.predict import predict
from acceptor.runs.checkpoint import has_checkpoint
from acceptor.storage.files import new_file
from acceptor.storage.manifest import file_sha256
from acceptor.training.train import Run, train


def distil(
    data: Any,
    *,
    teachers: str | Path | Sequence[str | Path],
    out: str | Path,
    text: str | Path | Sequence[str | Path] = (),
    encoder: str | None = None,
    config: TrainConfig | None = None,
    overwrite: bool = False,
) -> Run:
    """Trains a student on its teachers' mean probabilities. The same call resumes after a stop.

    The student sees the train split, raw text if there is some, and one corruption of each sentence, all with the
    teachers' probabilities; no label of the train split is used beside them.

    Args:
        data: A `Data`, or anything that `load_data` accepts. Its validation and test splits score the student.
        teachers: Run folders of judges of the same labels. Teachers that were trained with several seeds teach better
            than one.
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
    config = with_encoder(config, encoder)
    data = data if isinstance(data, Data) else load_data(data)
    data, _ = with_validation(data, config.split, share=config.validation_share, seed=config.seed)
    runs = listed_paths(teachers, "one or more run folders, of judges that teach")
    for run in runs:
        _check_teacher(load(run), run, data)
    out = Path(out).expanduser()
    beside = out.with_name(f"{out.name}-teacher")
    beside.mkdir(parents=True, exist_ok=True)
    sentences = _sentences(data, text, config.seed)
    corpus = _write_corpus(sentences, data.train.seconds, beside / "corpus.parquet")
    probabilities = [
        _probabilities(run, corpus, beside / f"teacher-{number}.parquet", data.labels)
        for number, run in enumerate(runs, 1)
    ]
    taught = Data(_taught(data, sentences, np.mean(probabilities, axis=0), runs), data.validation, data.test)
    given = config.model_copy(update={"split": "given"})
    return train(taught, out=out, config=given, overwrite=overwrite, resume=not overwrite and has_checkpoint(out))


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
    train = normalised(data.train.table.frame["sentence"])
    for split in (data.validation, data.test):
        if split is None or judge.trained_on is None:
            continue
        known = np.isin(fingerprints(split), judge.trained_on)
        repeated = rows_in(normalised(split.table.frame["sentence"]), train) >= 0  # known to the student, too
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


def _sentences(data: Data, text: str | Path | Sequence[str | Path], seed: int) -> list[str]:
    """The labelled sentences, then raw text, then one corruption of each; pairs as they are."""
    labelled = data.train.sentences
    if data.train.seconds is not None:
        return labelled
    natural = [*labelled, *(read_raw_text(text, data).sentences if text else ())]
    rng, corruptor = random.Random(seed), Corruptor(natural)  # noqa: S311 - no secret
    corrupted = [corruptor.corrupt(sentence, rng) for sentence in natural]
    return list(dict.fromkeys([*natural, *(sentence for sentence in corrupted if sentence)]))


def _write_corpus(sentences: list[str], seconds: list[str] | None, path: Path) -> Path:
    """Writes what the teachers judge, unless the same file is there."""
    frame = pl.DataFrame({"sentence": sentences} | ({} if seconds is None else {"second": seconds}))
    if path.is_file() and pl.read_parquet(path).equals(frame):
        return path
    with new_file(path) as temporary:
        frame.write_parquet(temporary)
    return path


def _probabilities(run: Path, corpus: Path, out: Path, labels: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """A teacher's probabilities, float32, shape (rows, labels); computed once and kept."""
    stamp = out.with_suffix(".sha256")
    wanted = f"{file_sha256(corpus)} {file_sha256(run / 'model.safetensors')}\n"
    same = stamp.is_file() and stamp.read_text("utf-8") == wanted
    stamp.write_text(wanted, "utf-8")
    if not (same and out.is_file()):
        predict(run, corpus, out=out, all_scores=True, overwrite=not same)  # the same work resumes
    columns = pl.read_parquet(out, columns=[f"p({label})" for label in labels])
    return columns.to_numpy().astype(np.float32)


def _taught(data: Data, sentences: list[str], probabilities: npt.NDArray[np.float32], runs: list[Path]) -> Split:
    """The train split of the student."""
    label_ids = probabilities.argmax(axis=1).astype(np.int64)
    frame = pl.DataFrame({"sentence": sentences, "label": [data.labels[index] for index in label_ids]})
    if data.train.seconds is not None:
        frame = frame.with_columns(pl.Series("second", data.train.seconds))
    digest = hashlib.sha256(probabilities.tobytes())
    digest.update("\0".join(sentences).encode())
    names = ", ".join(map(str, runs))
    origin = f"{data.train.table.origin} and raw text, with the probabilities of {names}"
    lines = np.arange(1, len(sentences) + 1, dtype=np.int64)
    table = Table(frame, lines, origin, digest.hexdigest(), "sentence, label of the teachers", "row")
    return Split("train", table, data.labels, label_ids, data.train.written, probabilities)
