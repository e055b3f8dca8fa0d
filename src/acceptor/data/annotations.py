"""Reads annotations: features of sentences in separate files, such as CoLA's phenomena, joined to a split by row."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.data.auditing.duplicates import normalised
from acceptor.data.reading.read import read_table
from acceptor.data.table import ACCEPTABILITY, Split, Table
from acceptor.errors import DataError, checked_types
from acceptor.storage.files import user_path

# CoLA's annotations (Warstadt & Bowman 2019) were made on version 1.0: in-domain dev, then out-of-domain dev. In 1.1
# these rows (from 0) have another text; no other row may differ.
COLA_ROWS = 1043
COLA_OTHER_TEXTS = (329, 584, 728, 730)


@dataclass(frozen=True, eq=False)
class Annotations:
    """Features of the rows of one split.

    Attributes:
        features: For each file, for each feature: the rows that have it, bool, shape (N,).
        other_texts: Rows of the split (from 0) whose text differs in the annotations; their features are kept.
        other_labels: Rows of the split whose label differs in the annotations; the split's label is used.
    """

    features: dict[str, dict[str, npt.NDArray[np.bool_]]]
    other_texts: list[int]
    other_labels: list[int]

    def to_dict(self, split: Split) -> dict[str, object]:
        """How they were joined; each row as file and line of ``split``."""
        return {
            "features": {name: len(masks) for name, masks in self.features.items()},
            "other_texts": [split.table.place(row) for row in self.other_texts],
            "other_labels": [split.table.place(row) for row in self.other_labels],
        }


@checked_types
def read_annotations(path: str | Path, split: Split) -> Annotations:
    """Joins annotations to the rows of a split.

    A file has a header, a sentence column, and columns of 0 and 1: the features. If it has a column ``Domain``, the
    split may also be all rows of one domain. Texts are compared after normalisation; see `COLA_OTHER_TEXTS`.

    Args:
        path: One file, or a folder of .tsv files.
        split: The examples.

    Raises:
        DataError: No such file, no feature in it, or other rows than the split's; the first other row is named.
    """
    place = user_path(path)
    files = sorted(place.glob("*.tsv")) if os.path.isdir(place) else [place]
    if not files:
        raise DataError(
            "no annotations in this folder", where=str(place), expected="files that end in .tsv", code="E-DATA-MISSING"
        )
    features: dict[str, dict[str, npt.NDArray[np.bool_]]] = {}
    texts: set[int] = set()
    labels: set[int] = set()
    for file in files:
        table = read_table(file)
        start, others = _aligned(table, split)
        rows = slice(start, start + len(split))
        name = file.stem.removeprefix("CoLA_grammatical_annotations_").replace("_", " ")
        features[name] = {feature: mask[rows] for feature, mask in _features(table).items()}
        texts |= others
        labels |= _other_labels(table, split, start)
    return Annotations(features, sorted(texts), sorted(labels))


def _features(table: Table) -> dict[str, npt.NDArray[np.bool_]]:
    found = {
        name: np.asarray((table.frame[name] == "1").to_numpy())
        for name in table.frame.columns
        if name not in ("sentence", "second", "label") and table.frame[name].is_in(["0", "1"]).all()
    }
    if not found:
        raise DataError(
            "no feature in this file",
            where=table.origin,
            expected="columns of 0 and 1 beside the sentence",
            found=", ".join(table.frame.columns),
            code="E-DATA-ANNOTATIONS",
        )
    return found


def _aligned(table: Table, split: Split) -> tuple[int, set[int]]:
    """The row of the annotations at which the split starts, and the split's rows whose text is known to differ."""
    theirs, ours = normalised(table.frame["sentence"]).to_numpy(), normalised(split.table.frame["sentence"]).to_numpy()
    blocks = _blocks(table)
    start = max(blocks, key=lambda first: _equal(theirs, ours, first).sum())
    equal = _equal(theirs, ours, start)
    known = COLA_OTHER_TEXTS if len(table) == COLA_ROWS else ()
    others = np.flatnonzero(~equal)
    unknown = [int(row) for row in others if start + row not in known]
    if not unknown and start + len(split) in blocks[start]:
        return start, set(map(int, others))
    raise _differing(table, split, start, unknown[0] if unknown else len(equal))


def _differing(table: Table, split: Split, start: int, row: int) -> DataError:
    """The error for the first row in which a split and its annotations differ."""
    ends = "nothing: it ends there"
    ours = f"{split.sentences[row]!r:.80}" if row < len(split) else ends
    theirs = f"{table.frame['sentence'][start + row]!r:.80}" if start + row < len(table) else ends
    return DataError(
        f"the annotations are not those of this split: row {row + 1} differs",
        where=split.table.place(row) if row < len(split) else f"{split.table.origin}, behind its last row",
        expected=f"{theirs} (row {start + row + 1} of {len(table)} in {table.origin})",
        found=f"{ours} (row {row + 1} of {len(split)})",
        cause="a file that was sorted, cut or put together otherwise",
        next="judge the annotated file; of CoLA in_domain_dev.tsv, out_of_domain_dev.tsv, or both in this order",
        code="E-DATA-ANNOTATIONS",
    )


def _equal(theirs: npt.NDArray[Any], ours: npt.NDArray[Any], start: int) -> npt.NDArray[np.bool_]:
    theirs = theirs[start : start + len(ours)]
    return np.asarray(theirs == ours[: len(theirs)], dtype=bool)


def _blocks(table: Table) -> dict[int, set[int]]:
    """Possible first rows of a split, each with the possible rows after its last one: the file, or one domain of it."""
    blocks = {0: {len(table)}}
    domain = next((name for name in table.frame.columns if name.casefold() == "domain"), None)
    if domain is not None:
        values = table.frame[domain].to_numpy()
        borders = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(table)]
        for first, last in itertools.pairwise(borders):
            blocks.setdefault(first, set()).add(last)
    return blocks


def _other_labels(table: Table, split: Split, start: int) -> set[int]:
    if "label" not in table.frame.columns or split.labels != ACCEPTABILITY or split.label_ids is None:
        return set()
    theirs = table.frame["label"][start : start + len(split)]
    if not theirs.is_in(["0", "1"]).all():
        return set()
    return set(np.flatnonzero((theirs == "1").to_numpy() != (split.label_ids == 1)).tolist())
