"""Named corpora: where their files come from, and their sha256."""

from __future__ import annotations

import hashlib
import http.client
import io
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from acceptor.data.reading.read import read_table
from acceptor.data.table import Data, Table
from acceptor.errors import DataError, UsageError
from acceptor.runtime.cache import cache_folder
from acceptor.storage.files import new_file
from acceptor.text import shell

COLA_URL = "https://nyu-mll.github.io/CoLA/cola_public_1.1.zip"
COLA_FILES = {
    "train": ("in_domain_train.tsv", "f320a10f92d3bce6b29152fde322a362eac39238e50d8de0c8815457fdf4fc12"),
    "validation": ("in_domain_dev.tsv", "77176f6a03faa5a1c4f23c69971fc1bff565931112fb65af47b2d6e24b7f42f7"),
    "test": ("out_of_domain_dev.tsv", "201b9c57b2a20f1282242eec0ed8995729e3be19c29a46c047b3727338836c05"),
}
"""CoLA 1.1, raw, as released: role to file name and sha256. The public test role is the out-of-domain dev set."""

CORPORA = {
    "cola": "CoLA 1.1 (Warstadt et al. 2018): 8,551 / 527 / 516 English sentences, acceptable or not; "
    "downloaded from its authors' page, or read with --data FOLDER",
    "starter": "Acceptor's own: minimal pairs made by a small English grammar; needs no download",
}
"""Name to description."""


def paths_of(data: Data) -> list[str]:
    """The paths that data were read from: those that were given, and every file that was found for them."""
    found = [origin for split in data.splits for origin in split.table.origins]
    return [*(path for path in data.given_paths if path not in CORPORA), *found]


def corpus_tables(name: str, folder: Path | None = None) -> dict[str, Table]:
    """The tables of a named corpus by role (``train``, ``validation``, ``test``).

    Args:
        name: A name in `CORPORA`.
        folder: Folder of the corpus' files; by default the cache, to which they are downloaded if they are missing.

    Raises:
        DataError: Files are missing, are not the released ones, or cannot be downloaded.
    """
    return _starter() if name == "starter" else _cola(folder or _cola_cache())


def _starter() -> dict[str, Table]:
    from acceptor.data.starter import COLUMNS, generate

    tables = {}
    for role, rows in generate().items():
        table = read_table([dict(zip(COLUMNS, row, strict=True)) for row in rows])
        tables[role] = replace(table, origin=f"starter:{role}", schema="sentence, label, phenomenon, pair")
    return tables


def _cola(folder: Path) -> dict[str, Table]:
    places = [folder, folder / "raw", folder / "cola_public" / "raw"]
    home = next((place for place in places if (place / COLA_FILES["train"][0]).is_file()), None)
    if home is None:
        raise DataError(
            "CoLA is not in this folder",
            where=str(folder),
            expected=", ".join(name for name, _ in COLA_FILES.values()) + ", there or in raw/",
            next="give the folder that holds them: --data FOLDER",
            code="E-DATA-MISSING",
        )
    tables = {role: read_table(home / name) for role, (name, _) in COLA_FILES.items()}
    for role, (_, sha256) in COLA_FILES.items():
        if tables[role].sha256 != sha256:
            raise DataError(
                "this is not CoLA 1.1 as it was released",
                where=tables[role].origin,
                expected=f"sha256 {sha256}",
                found=f"sha256 {tables[role].sha256}",
                cause="another version (1.0, tokenised, a textbook's copy) or a changed file",
                next=f"train on the files as they are, under their own name: acceptor train {shell(home)}",
                code="E-DATA-CHECKSUM",
            )
    return tables


def _cola_cache() -> Path:
    folder = cache_folder() / "cola-1.1"
    if not (folder / COLA_FILES["train"][0]).is_file():
        _download_cola(folder)
    return folder


def _download_cola(folder: Path) -> None:
    try:
        with urllib.request.urlopen(COLA_URL, timeout=30) as reply:
            archive = zipfile.ZipFile(io.BytesIO(reply.read(10 << 20)))
        files = {name: archive.read(f"cola_public/raw/{name}") for name, _ in COLA_FILES.values()}
    except (OSError, http.client.HTTPException, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise DataError(
            "CoLA is not in the cache and could not be downloaded",
            where=COLA_URL,
            cause=f"{type(error).__name__}: {error}",
            next="get that file in another way, unpack it, and give its folder: --data FOLDER\n"
            "or start without a download: acceptor train starter --encoder minilm",
            code="E-DATA-DOWNLOAD",
        ) from error
    for name, sha256 in COLA_FILES.values():
        found = hashlib.sha256(files[name]).hexdigest()
        if found != sha256:
            raise DataError(
                "the downloaded CoLA is not version 1.1 as it was released",
                where=f"{COLA_URL}: {name}",
                expected=f"sha256 {sha256}",
                found=f"sha256 {found}",
                code="E-DATA-CHECKSUM",
            )
    folder.mkdir(parents=True, exist_ok=True)
    # Train is written last: if it exists, the folder is complete.
    for name in sorted(files, key=lambda name: name == COLA_FILES["train"][0]):
        with new_file(folder / name) as scratch:
            scratch.write_bytes(files[name])


def refuse_reading(source: Any, columns: Mapping[str, str] | None, separator: str | None) -> None:
    """Refuses to read a corpus that has a name in another way than its own.

    Raises:
        UsageError: ``source`` is such a corpus, and columns or a separator are given.
    """
    name = "columns" if columns else "separator" if separator else None
    if name and isinstance(source, str) and source in CORPORA:
        next_step = f"leave --{name} out"
        raise UsageError(f"the corpus {source!r} has its own {name}", next=next_step, code="E-USAGE-CONFLICT")
