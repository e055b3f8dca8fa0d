"""Any source of labelled sentences as a `Table`: a file, a data frame, a ``datasets.Dataset``, a list.

`formats` reads cells; this module finds out which column is which and turns the cells into checked strings.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from acceptor.data.formats import Grid, grid_of_records, read_file, short
from acceptor.data.table import Table
from acceptor.errors import DataError, nearest

# fmt: off
# Names by which a column is recognised, whatever their case; an earlier name wins over a later one.
_KNOWN_NAMES = {
    "sentence": ("sentence", "text", "sent", "utterance", "review", "sentence1", "text_a", "premise",
                 "question1", "question"),
    "second": ("sentence2", "second", "text_b", "hypothesis", "question2", "answer"),
    "label": ("label", "labels", "acceptable", "acceptability", "grammatical", "is_acceptable", "class",
              "target", "gold", "judgement", "judgment", "y"),
}
# Words that mark a column without a name as labels; whole numbers do so too.
_LABEL_WORDS = {
    "acceptable", "unacceptable", "grammatical", "ungrammatical", "correct", "incorrect", "good", "bad",
    "ok", "yes", "no", "y", "n", "true", "false", "t", "f", "positive", "negative", "neutral", "pos", "neg",
    "entailment", "contradiction", "not_entailment",
}
# fmt: on


def read_table(source: Any, *, columns: Mapping[str, str] | None = None) -> Table:
    """Read all rows of a source, whole and unchanged.

    Args:
        source: A path to .tsv, .txt, .csv, .jsonl, .ndjson, .parquet, .arrow, .feather or .ipc, each also
            with .gz or .zst; a pandas or polars data frame; a ``datasets.Dataset``; a list of sentences,
            of (sentence, label), of (sentence, second, label), or of dicts.
        columns: Which column has which role, where that cannot be told from the names: role (``sentence``,
            ``second``, ``label``, or the name to keep a column under) to the column's name or its number
            (``"1"`` is the first).

    Raises:
        DataError: The source cannot be read whole, its columns cannot be told apart, or a row lacks a
            sentence or a label.
    """
    if isinstance(source, str | os.PathLike):
        origin = os.fsdecode(source)
        grid, sha256 = read_file(Path(origin), origin)
    else:
        grid, sha256 = _grid_of_object(source), ""
    grid, schema = _name_columns(grid, columns or {})
    frame = _checked_frame(grid)
    if len(frame.columns) < len(grid.columns):
        schema += "; label left out: empty in every row"
    lines = np.asarray(grid.lines, dtype=np.int64)
    return Table(frame, lines, grid.origin, sha256 or _fingerprint(frame), schema, grid.unit)


# ── objects in memory ────────────────────────────────────────────────────────────────────────────────────


def _grid_of_object(source: Any) -> Grid:
    """Lay out an object as columns, known by its class's name: no library is imported to look at it."""
    kind = (type(source).__module__.partition(".")[0], type(source).__name__)
    if kind == ("pandas", "DataFrame"):
        series = [source.iloc[:, index] for index in range(source.shape[1])]
        columns = [
            [None if missing else value for value, missing in zip(one.tolist(), one.isna(), strict=True)]
            for one in series
        ]
        return Grid("DataFrame (pandas)", "row", list(map(str, source.columns)), columns, _numbers(source))
    if kind == ("polars", "DataFrame"):
        columns = [one.to_list() for one in source.iter_columns()]
        return Grid("DataFrame (polars)", "row", source.columns, columns, _numbers(source))
    if kind == ("datasets", "Dataset"):
        columns = [_dataset_column(source, name) for name in source.column_names]
        return Grid("Dataset", "row", source.column_names, columns, _numbers(source))
    if isinstance(source, Sequence) and not isinstance(source, bytes | bytearray):
        return _grid_of_list(source)
    raise DataError(
        "this cannot be read as rows",
        expected="a path, a pandas or polars DataFrame, a datasets.Dataset, a list of str, tuple or dict",
        found=f"{kind[0]}.{kind[1]}",
        next="choose one split, such as dataset['train']" if kind[1] == "DatasetDict" else None,
    )


def _numbers(rows: Any) -> range:
    return range(1, len(rows) + 1)


def _dataset_column(dataset: Any, name: str) -> list[Any]:
    """A column with class names for class numbers. All -1 is how a test split says that labels are hidden."""
    values = dataset.with_format(None)[:][name]
    if all(value == -1 for value in values):
        return [None] * len(values)
    feature = dataset.features[name]
    if type(feature).__name__ != "ClassLabel":
        return list(values)
    return [None if value is None or value < 0 else feature.names[value] for value in values]


def _grid_of_list(rows: Sequence[Any]) -> Grid:
    shapes = [_shape(row) for row in rows]
    for row, shape in enumerate(shapes):
        if shape is None or shape != shapes[0]:
            raise DataError(
                "the list holds an item that does not fit",
                where=f"list, row {row + 1}",
                expected="all sentences, all (sentence, label), all (sentence, second, label), or all dicts",
                found=short(repr(rows[row])),
            )
    if rows and shapes[0] == ("dict",):
        return grid_of_records(rows, _numbers(rows), "list", "row")
    names = list(shapes[0] or ()) if rows else ["sentence"]
    cells = [[row] for row in rows] if names == ["sentence"] else rows
    columns = [[row[index] for row in cells] for index in range(len(names))]
    return Grid("list", "row", names, columns, _numbers(rows))


def _shape(row: Any) -> tuple[str, ...] | None:
    """The column names that one item of a list stands for; None where it cannot be a row."""
    if isinstance(row, str):
        return ("sentence",)
    if isinstance(row, Mapping):
        return ("dict",)
    if isinstance(row, tuple | list):
        return {2: ("sentence", "label"), 3: ("sentence", "second", "label")}.get(len(row))
    return None


# ── which column is which ────────────────────────────────────────────────────────────────────────────────


def _name_columns(grid: Grid, columns: Mapping[str, str]) -> tuple[Grid, str]:
    """Give every column its final name, and say in one line how that was found."""
    if not grid.lines:
        raise DataError("there are no rows", where=grid.origin, expected="at least one row")
    kind, passed_over = "columns", {}
    if grid.names is None and _has_header(grid, columns):
        kind, grid = "header", _lift_header(grid)
    if grid.names is not None:
        _refuse_repeated(grid.names, grid.origin)
        roles = _given_roles(grid, columns)
        passed_over = _add_known_roles(roles, grid.names, grid.origin)
    elif columns:
        kind, roles = "headerless", _given_roles(grid, columns)
    else:
        roles = _guess_roles(grid)
        kind = "headerless CoLA" if "mark" in roles else "headerless"
    old = grid.names or [f"column{number}" for number in range(1, len(grid.columns) + 1)]
    if "sentence" not in roles:
        raise _unknown("no column is known to hold the sentences", grid, old, "sentence")
    new = list(old)
    for role, index in roles.items():
        new[index] = role
    _refuse_repeated(new, grid.origin)
    if grid.names is None:
        words = [f"{index + 1} {role}" for index, role in enumerate(new) if role in roles]
    else:
        words = [
            (role if role == old[index] else f"{role} ← {old[index]}") + passed_over.get(role, "")
            for role, index in roles.items()
        ]
    kept = ", ".join(name for index, name in enumerate(old) if index not in roles.values())
    return replace(grid, names=new), f"{kind}: {', '.join(words)}" + (f"; kept: {kept}" if kept else "")


def _has_header(grid: Grid, columns: Mapping[str, str]) -> bool:
    if not columns:
        return any(column[0].casefold() in _KNOWN_NAMES["sentence"] for column in grid.columns)
    if not all(value.isdecimal() for value in columns.values()):
        return True  # a name can only stand in a header
    for role, index in _given_roles(grid, columns).items():
        first, *rest = grid.columns[index]
        # A label such as `y` or `gold` is also a known name; as data it comes back further down.
        if role in ("sentence", "label") and first.casefold() in _KNOWN_NAMES[role] and first not in rest:
            return True
    return False


def _lift_header(grid: Grid) -> Grid:
    if len(grid.lines) == 1:
        raise DataError("there are no rows after the header", where=grid.origin, expected="at least one row")
    names = [column[0] or f"column{number}" for number, column in enumerate(grid.columns, 1)]
    return replace(grid, names=names, columns=[column[1:] for column in grid.columns], lines=grid.lines[1:])


def _refuse_repeated(names: list[str], origin: str) -> None:
    repeated = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if repeated is not None:
        raise DataError(
            f"two columns would be called {repeated!r}",
            where=origin,
            found=", ".join(names),
            next=f"keep one under another name: --columns other_{repeated}=NUMBER",
        )


def _given_roles(grid: Grid, columns: Mapping[str, str]) -> dict[str, int]:
    """The columns that the caller named or numbered."""
    roles: dict[str, int] = {}
    names = grid.names or []
    width = len(grid.columns)
    for role, value in columns.items():
        value = str(value)
        if value in names:
            index = names.index(value)
        elif value.isdecimal() and 1 <= int(value) <= width:
            index = int(value) - 1
        else:
            raise _unknown(f"there is no column {value!r}", grid, names or list(map(str, range(1, width + 1))), value)
        if index in roles.values():
            raise DataError(f"column {value!r} was given two roles", where=grid.origin, found=f"{role}={value}")
        roles[role] = index
    return roles


def _add_known_roles(roles: dict[str, int], names: list[str], origin: str) -> dict[str, str]:
    """Fill the roles that are still free by known names; return, by role, a word on columns passed over."""
    passed_over = {}
    for role, known in _KNOWN_NAMES.items():
        taken = roles.values()
        found = [i for name in known for i, own in enumerate(names) if own.casefold() == name and i not in taken]
        if role in roles or not found:
            continue
        others = ", ".join(names[index] for index in found[1:])
        if others and role == "label":
            raise DataError(
                "more than one column may hold the labels",
                where=origin,
                found=f"{names[found[0]]}, {others}",
                next=f"choose one: --columns label={names[found[0]]}",
            )
        roles[role] = found[0]
        if others:
            passed_over[role] = f" (rather than {others})"
    return passed_over


def _guess_roles(grid: Grid) -> dict[str, int]:
    """The roles in a file without a header, where its shape leaves no doubt."""
    width = len(grid.columns)
    if width == 1:
        return {"sentence": 0}
    if width == 2:
        labels = [index for index, column in enumerate(grid.columns) if _look_like_labels(column)]
        if len(labels) == 1:
            return {"sentence": 1 - labels[0], "label": labels[0]}
    if width == 4:
        odd = [row for row, cell in enumerate(grid.columns[1]) if cell not in ("0", "1")]
        if not odd:
            return {"source": 0, "label": 1, "mark": 2, "sentence": 3}
        if 2 * len(odd) < len(grid.lines):
            raise DataError(
                "the file looks like CoLA without a header, but for one label",
                where=grid.place(odd[0]),
                expected="0 or 1 in column 2",
                found=short(grid.columns[1][odd[0]]),
                cause="a header without any known name" if odd[0] == 0 else None,
                next="mend the line, or name the columns: --columns sentence=4,label=2",
            )
    raise _unknown("the columns cannot be told apart: there is no header with a known name", grid, None, "")


def _look_like_labels(cells: list[str]) -> bool:
    kinds = set(cells)
    return (
        len(cells) >= 4
        and len(kinds) <= 20
        and all(cell.casefold() in _LABEL_WORDS or re.fullmatch("-?[0-9]+", cell) for cell in kinds)
    )


def _unknown(problem: str, grid: Grid, names: list[str] | None, wanted: str) -> DataError:
    """A column that was not found: what there is, what comes near, and how to name it."""
    near = nearest(wanted, names) if names else None
    first = " | ".join(f"{number} {short(str(column[0]))}" for number, column in enumerate(grid.columns, 1))
    example = "--columns sentence=3,label=1 (numbers count from 1; names work where there is a header)"
    return DataError(
        problem,
        where=grid.origin,
        expected=f"one of these columns: {', '.join(names)}" if names else None,
        found=f"first row: {first}",
        next=f"did you mean {near!r}?" if near else f"name the columns: {example}",
    )


# ── checked strings ──────────────────────────────────────────────────────────────────────────────────────


def _checked_frame(grid: Grid) -> pl.DataFrame:
    """Every column as strings. A label column that is empty in every row is left out."""
    series = []
    for name, cells in zip(grid.names or [], grid.columns, strict=True):
        texts = _texts(name, cells, grid)
        if name == "label" and not any(texts):
            continue
        if name in _KNOWN_NAMES:
            _refuse_unusable(name, texts, grid)
        series.append(_series(name, texts, grid))
    return pl.DataFrame(series)


def _texts(name: str, cells: list[Any], grid: Grid) -> list[str]:
    kinds = set(map(type, cells))
    if kinds <= {str}:
        return cells
    if name in _KNOWN_NAMES:
        for row, cell in enumerate(cells):
            if cell is not None and not isinstance(cell, str | bool | int | float | np.generic):
                raise DataError(
                    f"a {name} is not text",
                    where=grid.place(row),
                    expected="a string, a number, or true or false",
                    found=f"{type(cell).__name__}: {short(str(cell))}",
                )
    return [cell if type(cell) is str else _text(cell) for cell in cells]


def _text(cell: Any) -> str:
    """One cell as text. A missing value is empty: where that is not allowed, it is refused later."""
    if isinstance(cell, np.generic | np.ndarray):
        cell = cell.tolist()
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return repr(cell)
    if isinstance(cell, list | tuple | dict):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return str(cell)


def _refuse_unusable(name: str, texts: list[str], grid: Grid) -> None:
    for row, text in enumerate(texts):
        if not text or text.isspace() or "\0" in text:
            blank = "\0" not in text
            raise DataError(
                f"a {name} is empty" if blank else f"a {name} holds a NUL character",
                where=grid.place(row),
                expected=f"a {name} in every row",
                found="nothing, or a missing value" if not text else short(text),
                next="remove the row, or fill it in" if blank else "remove the character",
            )


def _series(name: str, texts: list[str], grid: Grid) -> pl.Series:
    try:
        return pl.Series(name, texts, dtype=pl.String)
    except UnicodeEncodeError as error:
        odd = next((row for row, text in enumerate(texts) if re.search("[\ud800-\udfff]", text)), 0)
        raise DataError(
            "a text holds half of a surrogate pair, which is no character",
            where=f"{grid.place(odd)}, column {name!a}",
            found=ascii(error.object[error.start : error.end]),
            cause="an escape such as \\ud83d without its other half",
            next="cut texts between characters, not between UTF-16 code units",
        ) from None


def _fingerprint(frame: pl.DataFrame) -> str:
    """The sha256 of the rows of a source that has no bytes of its own."""
    digest = hashlib.sha256(json.dumps(frame.columns).encode())
    for row in frame.iter_rows():
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()
