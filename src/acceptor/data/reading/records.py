"""Reads JSON: an object on each line, or an array of objects; refuses invalid JSON and repeated keys."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from acceptor.data.reading.grid import Grid, Reject, Rows
from acceptor.errors import DataError
from acceptor.storage.strict_json import refuse_constant
from acceptor.text import listed, short


def grid_of_records(
    records: Sequence[Mapping[str, Any]],
    lines: Sequence[int],
    origin: str,
    unit: str,
    form: str,
    *,
    keys: Sequence[str] | None = None,
) -> Grid:
    """Turns records into columns: ``keys``, by default in the order of first appearance; a missing key gives None."""
    keys = list(dict.fromkeys(key for record in records for key in record)) if keys is None else keys
    columns = [[record.get(key) for record in records] for key in keys]
    return Grid(origin, unit, [str(key) for key in keys], columns, lines, form)


def json_lines(text: str, line: int) -> Rows:
    """One row for each line; only a line feed ends one."""
    rows: list[Any] = text[:-1].split("\n") if text else []
    return Rows(rows, list(range(line, line + len(rows))))


def json_rows(text: str, origin: str) -> Rows:
    """The rows of a ``.json`` file: the objects of an array, each as its own text; or one object a line.

    The objects of an array are numbered, because many may stand on one line.

    Raises:
        DataError: It is one object, or an array that is incomplete or holds other values.
    """
    if not text.lstrip().startswith("["):
        rows = json_lines(text, 1)
        _refuse_one_object(text, rows, origin)
        return rows
    found: list[Any] = []
    line = 1
    position, end = text.index("[") + 1, 0
    try:
        while text[(position := _SPACE.match(text, position).end())] != "]":  # type: ignore[union-attr]
            line += text.count("\n", end, position)
            _, end = _JSON.raw_decode(text, position)
            found.append(text[position:end])
            line += text.count("\n", position, end)
            position = _SPACE.match(text, end).end()  # type: ignore[union-attr]
            line += text.count("\n", end, position)
            if text[position] == ",":
                position += 1
                if text[_SPACE.match(text, position).end()] == "]":  # type: ignore[union-attr]
                    raise json.JSONDecodeError("no object behind the last comma", text, position)
            elif text[position] != "]":
                raise json.JSONDecodeError("expecting , or ]", text, position)
            end = position
        if rest := text[position + 1 :].strip():
            raise json.JSONDecodeError(f"text after the array: {short(rest)}", text, position + 1)
    except (ValueError, RecursionError, IndexError) as error:
        cause = "the array breaks off" if isinstance(error, IndexError) else str(error)
        raise DataError(
            "the file is not one JSON array of objects",
            where=f"{origin}, line {line}",
            cause=cause,
            code="E-DATA-FORMAT",
        ) from None
    if not found:
        raise DataError("the array is empty", where=origin, expected="at least one row", code="E-DATA-EMPTY")
    return Rows(found, list(range(1, len(found) + 1)), "row")


_SPACE = re.compile(r"[ \t\r\n]*")


def _refuse_one_object(text: str, rows: Rows, origin: str) -> None:
    """Refuses a file that is one object with rows in it, and gives the command that extracts them."""
    if len(rows) > 1 and _is_json(rows.rows[0]):
        return
    try:
        whole = _JSON.decode(text)
    except (ValueError, RecursionError):
        return  # lines, one of which will be refused
    lists = [key for key, value in whole.items() if _are_records(value)] if isinstance(whole, dict) else []
    if len(rows) == 1 and isinstance(whole, dict):
        columns = all(isinstance(one, dict) and one and all(map(str.isdecimal, one)) for one in whole.values())
        columns = columns or (len(whole) > 1 and all(map(str.isdecimal, whole)))
        if not lists and not columns:
            return  # one row
    raise DataError(
        "the file is one JSON object, not one for each row",
        where=origin,
        expected="an object on each line, or an array of objects",
        found=f"the keys {listed(list(map(short, whole)))}" if isinstance(whole, dict) else short(text),
        cause=f"the rows are in {lists[0]!r}" if lists else "columns by row number, as pandas writes them by default",
        next=f"jq -c {shlex.quote(_jq(lists[0]))} FILE.json > FILE.jsonl"
        if lists
        else 'write rows: frame.to_json("FILE.jsonl", orient="records", lines=True)',
        code="E-DATA-FORMAT",
    )


def _jq(key: str) -> str:
    """The path of the items under a key, for jq."""
    return f".{key}[]" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) else f".[{json.dumps(key)}][]"


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _is_json(text: str) -> bool:
    try:
        _JSON.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def record_grid(rows: Rows, origin: str, like: Grid | None, reject: Reject) -> Grid:
    """The columns of JSON objects.

    Args:
        rows: Their texts.
        origin: The path as the caller gave it, for messages.
        like: An earlier grid of this file, whose keys these may have, but no others.
        reject: Called for rows with other keys, or that are not objects.
    """
    records, lines = [], []
    for text, line in zip(rows.rows, rows.lines, strict=True):
        where = f"{origin}, {rows.unit} {line}"
        try:
            record = _json_object(text, where)
            if like and not record.keys() <= set(like.names or []):
                raise _new_key(record, like, where)
        except DataError as error:
            reject(line, error)
        else:
            records.append(record)
            lines.append(line)
    return grid_of_records(records, lines, origin, rows.unit, "JSON", keys=like.names if like else None)


def _new_key(record: Mapping[str, Any], like: Grid, where: str) -> DataError:
    known = like.names or []
    return DataError(
        "a row has a key that the first rows of the file do not have",
        where=where,
        expected=f"no key but {', '.join(known)}",
        found=", ".join(short(key) for key in record if key not in known),
        code="E-DATA-ROW",
    )


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        record = _JSON.decode(line)
    except json.JSONDecodeError as error:
        cause, record = f"{error.msg} at column {error.colno}", None
    except (ValueError, RecursionError) as error:  # from the two hooks; a huge integer; deep nesting
        cause, record = str(error), None
    else:
        cause = f"a JSON {type(record).__name__}"
    if isinstance(record, dict):
        return record
    advice = None
    if line.startswith("\ufeff"):
        cause, advice = "a byte order mark: files were joined into one", "sed -i.bak 's/^\\xEF\\xBB\\xBF//' FILE"
    elif line.lstrip().startswith("["):
        advice = "a file that is one array of objects is called .json"
    raise DataError(
        "a row is not one JSON object",
        where=where,
        expected="{…} on each line, or in an array",
        found=short(line),
        cause=cause,
        next=advice,
        code="E-DATA-ROW",
    )


def _no_repeated_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {repeated!r} appears twice")
    return record


_JSON = json.JSONDecoder(object_pairs_hook=_no_repeated_key, parse_constant=refuse_constant)
