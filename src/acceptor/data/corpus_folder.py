"""Reads a folder of files as a corpus: by the names of the files, or as ``datasets`` saves one."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from acceptor.data.corpora import COLA_FILES
from acceptor.data.reading.input_files import readable
from acceptor.data.reading.read import Reading
from acceptor.data.table import Table
from acceptor.errors import DataError
from acceptor.storage.strict_json import read_json_object
from acceptor.text import listed

ROLE_NAMES = {
    "train": ("train", "training", COLA_FILES["train"][0].removesuffix(".tsv")),
    "validation": (
        *("validation", "valid", "val", "dev", COLA_FILES["validation"][0].removesuffix(".tsv")),
        *("dev_matched", "dev_mismatched", "validation_matched", "validation_mismatched"),  # MNLI's
    ),
    "test": ("test", COLA_FILES["test"][0].removesuffix(".tsv"), "test_matched", "test_mismatched"),
}
"""File names, without extensions, by which a folder's files are given their roles."""
_SHARD = re.compile(r"(?P<name>.+)-(?P<number>[0-9]{5})-of-(?P<of>[0-9]{5})")


def folder_tables(folder: Path, reading: Reading) -> dict[str, Table]:
    """The tables of a folder by role.

    Its files are called train, validation (or valid, val, dev) and test, whatever their format; a file in shards is
    called ``train-00000-of-00002.parquet`` and so on. If there are none, the folder's ``data/`` is searched.
    Folders of ``Dataset.save_to_disk`` and ``DatasetDict.save_to_disk`` are read, too.

    Raises:
        DataError: No file has the role of train; two have the same role; a shard is missing; a file cannot be read.
    """
    saved = _saved_files(folder)
    files = saved or _files_by_role(folder) or (_files_by_role(folder / "data") if (folder / "data").is_dir() else {})
    if "train" not in files:
        names = sorted(path.name for path in folder.iterdir())
        raise DataError(
            "no training file in this folder",
            where=str(folder),
            expected="train.tsv (.csv, .jsonl, .parquet, …), train-00000-of-00001.parquet or in_domain_train.tsv",
            found=listed(names) or "an empty folder",
            next="name the file itself: acceptor train FILE",
            code="E-DATA-MISSING",
        )
    return {role: _joined(paths, reading) for role, paths in files.items()}


def _files_by_role(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        shard = _SHARD.fullmatch(path.name.split(".")[0])
        name = shard["name"] if shard else path.name.split(".")[0]
        role = next((role for role, names in ROLE_NAMES.items() if name.lower() in names), None)
        if path.is_file() and role and readable(path.name):
            found.setdefault(role, {}).setdefault(name if shard else path.name, []).append(path)
    for role, files in found.items():
        _refuse_two(folder, role, [path for path, *_ in files.values()])
    chosen = {role: next(iter(files.values())) for role, files in found.items()}
    for paths in chosen.values():
        _check_shards(paths)
    return chosen


def _refuse_two(folder: Path, role: str, paths: list[Path]) -> None:
    """Refuses a role that several files or folders have: which of them is meant cannot be told."""
    if len(paths) > 1:
        raise DataError(
            f"two files could be the {role} split",
            where=str(folder),
            found=" and ".join(path.name for path in paths[:2]),
            next="name the files: acceptor train TRAIN_FILE --validation FILE --test FILE",
            code="E-DATA-SPLIT",
        )


def _check_shards(paths: list[Path]) -> None:
    shards = [_SHARD.fullmatch(path.name.split(".")[0]) for path in paths]
    numbers = [int(shard["number"]) for shard in shards if shard]
    of = max((int(shard["of"]) for shard in shards if shard), default=0)
    if len({(shard and shard["of"], *path.suffixes) for shard, path in zip(shards, paths, strict=True)}) > 1:
        raise DataError(
            "the shards are of two versions of the file",
            where=str(paths[0].parent),
            expected="shards of one format and one number",
            found=listed([path.name for path in paths]),
            next="remove those of the other version",
            code="E-DATA-SPLIT",
        )
    if of and numbers != list(range(of)):
        missing = sorted(set(range(of)) - set(numbers))
        raise DataError(
            "a shard is missing",
            where=str(paths[0].parent),
            expected=f"{of} files",
            found=f"{len(numbers)}, without number {listed([f'{number:05}' for number in missing])}",
            cause="an interrupted download",
            code="E-DATA-MISSING",
        )


def _saved_files(folder: Path) -> dict[str, list[Path]]:
    """The files of a ``datasets`` folder by role, in the order given there; empty if it is no such folder."""
    if (folder / "dataset_dict.json").is_file():
        splits = {path.name: path for path in sorted(folder.iterdir()) if (path / "state.json").is_file()}
        by_role = {
            role: [path for name, path in splits.items() if name.lower() in names] for role, names in ROLE_NAMES.items()
        }
        for role, paths in by_role.items():
            _refuse_two(folder, role, paths)
        return {role: _arrow_files(paths[0]) for role, paths in by_role.items() if paths}
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        return {"train": _arrow_files(folder)}
    return {}


def _arrow_files(folder: Path) -> list[Path]:
    try:
        state = read_json_object(folder / "state.json")
        names = [str(entry["filename"]) for entry in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the saved dataset cannot be read",
            where=str(folder / "state.json"),
            cause=f"{type(error).__name__}: {error}",
            code="E-DATA-DAMAGED",
        ) from error
    if any(Path(name).name != name for name in names) or not names:
        raise DataError(
            "the saved dataset names files outside of its folder",
            where=str(folder / "state.json"),
            found=listed(names),
            code="E-DATA-UNSAFE",
        )
    if state.get("_indices_data_files"):
        raise DataError(
            "the saved dataset is a selection of other rows",
            where=str(folder),
            next="write the rows themselves: dataset.flatten_indices().save_to_disk(FOLDER)",
            code="E-DATA-FORMAT",
        )
    return [folder / name for name in names]


def _joined(paths: list[Path], reading: Reading) -> Table:
    """The rows of all shards as one table; rows are numbered across shards."""
    tables = [reading.table(path) for path in paths]
    first = tables[0]
    if len(tables) == 1:
        return first
    for table in tables:
        if table.frame.columns != first.frame.columns:
            raise DataError(
                "a shard has other columns than the first one",
                where=table.origin,
                expected=listed(first.frame.columns, 20),
                found=listed(table.frame.columns, 20),
                code="E-DATA-COLUMN",
            )
    frame = pl.concat([table.frame for table in tables])
    digest = hashlib.sha256(json.dumps([table.sha256 for table in tables]).encode()).hexdigest()
    shard = _SHARD.fullmatch(paths[0].name.split(".")[0])
    name = f"{shard['name'] if shard else 'data'}-*{''.join(paths[0].suffixes)}"
    lines = np.arange(1, len(frame) + 1, dtype=np.int64)
    return replace(first, frame=frame, lines=lines, origin=str(paths[0].parent / name), sha256=digest, unit="row")
