"""`load_data`: from a corpus' name, a file, a folder, a frame or a list to `Data`, with labels as ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptor.data.corpora import COLA_FILES, CORPORA, corpus_tables
from acceptor.data.labels import as_split, label_spelling
from acceptor.data.read import read_table
from acceptor.data.table import Data, Split, Table
from acceptor.errors import DataError, UsageError, nearest
from acceptor.text import shell

ROLE_NAMES = {
    "train": ("train", "training", COLA_FILES["train"][0].removesuffix(".tsv")),
    "validation": ("validation", "valid", "val", "dev", COLA_FILES["validation"][0].removesuffix(".tsv")),
    "test": ("test", COLA_FILES["test"][0].removesuffix(".tsv")),
}
"""File names, without extensions, by which a folder's files are given their roles."""


def load_data(
    source: Any,
    *,
    validation: Any = None,
    test: Any = None,
    folder: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    labels: Sequence[str] | None = None,
) -> Data:
    """Reads a corpus.

    Args:
        source: A corpus' name (`cola`, `starter`), a file, a folder of files, a pandas or polars frame, a
            ``datasets.Dataset``, or a list of (sentence, label), (sentence, second, label) or dicts.
        validation: A file, frame or list for the validation split; replaces the corpus' own.
        test: A file, frame or list for the test split; replaces the corpus' own.
        folder: Where the files of the corpus `cola` lie.
        columns: Role (`sentence`, `second`, `label`) to column name or 1-based number. A named corpus'
            columns are known; there they are those of ``validation`` and ``test``.
        labels: The labels as written in the files, in the order of their ids.

    Raises:
        DataError: Something is missing or is not what it must be; the message names file and line.
        UsageError: ``folder`` or ``columns`` were given where they mean nothing.
    """
    tables = _tables(source, None if folder is None else Path(folder).expanduser(), columns)
    if columns and isinstance(source, str) and source in CORPORA and validation is None and test is None:
        raise UsageError(f"the columns of the corpus {source!r} are known", next="leave --columns out")
    if validation is not None:
        tables["validation"] = read_table(validation, columns=columns)
    if test is not None:
        tables["test"] = read_table(test, columns=columns)
    train = tables["train"]
    if "label" not in train.frame.columns:
        raise DataError(
            "the training data has no labels",
            where=train.origin,
            expected="a label column",
            found=train.schema,
            next="name it: --columns label=NAME",
        )
    spelling = label_spelling(train, labels)
    splits: dict[str, Any] = {role: as_split(role, table, spelling) for role, table in tables.items()}
    _refuse_mixed_tasks(list(splits.values()))
    paths = {"source": source, "validation": validation, "test": test, "folder": folder}
    if not all(path is None or isinstance(path, str | Path) for path in paths.values()):
        return Data(**splits)
    names = {role: None if path is None else str(path) for role, path in paths.items()}
    again = {**names, "columns": dict(columns) if columns else None, "labels": list(labels) if labels else None}
    return Data(**splits, source=again)


def load_split(
    source: Any,
    labels: tuple[str, ...],
    *,
    columns: Mapping[str, str] | None = None,
    folder: str | Path | None = None,
) -> Split:
    """Reads one split for a judge whose labels are known; a corpus' name or folder means its test split.

    Raises:
        DataError: As `load_data`; also for a corpus without a test split.
    """
    if _is_corpus(source):
        tables = _tables(source, None if folder is None else Path(folder).expanduser(), columns)
        if "test" not in tables:
            raise DataError("this corpus has no test split", where=str(source), next="name a file instead")
        table = tables["test"]
    else:
        table = read_table(source, columns=columns)
    return as_split("test", table, labels)


def _is_corpus(source: Any) -> bool:
    return isinstance(source, str | Path) and (source in CORPORA or Path(source).expanduser().is_dir())


def _tables(source: Any, folder: Path | None, columns: Mapping[str, str] | None) -> dict[str, Table]:
    if isinstance(source, str) and source in CORPORA:
        if folder and source == "starter":
            raise UsageError("the corpus 'starter' takes no folder of files: it is made on the spot")
        return corpus_tables(source, folder)
    if folder is not None:
        raise UsageError(
            "a folder of files goes with the corpus `cola` only",
            found=str(source),
            next=f"train on the folder itself: acceptor train {shell(folder)}",
        )
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if path.is_dir():
            return _folder_tables(path, columns)
        if not path.exists() and not path.suffix and nearest(str(source), CORPORA):
            raise DataError(
                f"no corpus or file is called {str(source)!r}; did you mean {nearest(str(source), CORPORA)!r}?",
                expected="a corpus (" + ", ".join(CORPORA) + "), a file or a folder",
                next="acceptor corpora",
            )
    return {"train": read_table(source, columns=columns)}


def _folder_tables(folder: Path, columns: Mapping[str, str] | None) -> dict[str, Table]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        for role, names in ROLE_NAMES.items():
            if path.is_file() and path.name.split(".")[0].lower() in names:
                if role in found:
                    raise DataError(
                        f"two files could be the {role} split",
                        where=str(folder),
                        found=f"{found[role].name} and {path.name}",
                        next="name the files: acceptor train TRAIN_FILE --validation FILE --test FILE",
                    )
                found[role] = path
    if "train" not in found:
        raise DataError(
            "no training file in this folder",
            where=str(folder),
            expected="train.tsv (.csv, .jsonl, .parquet, …) or in_domain_train.tsv",
            found=", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "an empty folder",
            next="name the file itself: acceptor train FILE",
        )
    return {role: read_table(path, columns=columns) for role, path in found.items()}


def _refuse_mixed_tasks(splits: list[Split]) -> None:
    if len({split.seconds is None for split in splits}) > 1:
        pairs = [split.name for split in splits if split.seconds is not None]
        raise DataError(
            "some splits hold pairs and others single sentences",
            where=", ".join(split.table.origin for split in splits),
            found=f"pairs in {', '.join(pairs)}",
            next="name the columns that all share: --columns sentence=NAME",
        )
