"""Which column is which: by its name, by the caller's word, or by the shape of a file without a header."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from acceptor.data.formats import Grid, short
from acceptor.errors import DataError, nearest

# fmt: off
# Names by which a column is recognised, whatever their case; an earlier name wins over a later one.
KNOWN_NAMES = {
    "sentence": ("sentence", "text", "sent", "utterance", "review", "sentence1", "text_a", "premise",
                 "question1", "question"),
    "second": ("sentence2", "second", "text_b", "hypothesis", "question2", "answer"),
    "label": ("label", "labels", "acceptable", "acceptability", "grammatical", "is_acceptable", "class",
              "target", "gold", "judgement", "judgment", "y"),
}
# Names of the columns of minimal pairs, first those of BLiMP's files.
PAIR_NAMES = {
    "sentence_good": ("sentence_good", "good", "acceptable", "grammatical", "correct", "good_sentence"),
    "sentence_bad": ("sentence_bad", "bad", "unacceptable", "ungrammatical", "incorrect", "wrong", "bad_sentence"),
    "phenomenon": ("uid", "phenomenon"),
    "term": ("linguistics_term", "term"),
}
# Words that mark a column without a name as labels; whole numbers do so too.
_LABEL_WORDS = {
    "acceptable", "unacceptable", "grammatical", "ungrammatical", "correct", "incorrect", "good", "bad",
    "ok", "yes", "no", "y", "n", "true", "false", "t", "f", "positive", "negative", "neutral", "pos", "neg",
    "entailment", "contradiction", "not_entailment",
}
# fmt: on


def name_columns(grid: Grid, columns: Mapping[str, str]) -> tuple[Grid, str]:
    """Give every column its final name, and say in one line how that was found."""
    if not grid.lines:
        raise DataError("there are no rows", where=grid.origin, expected="at least one row")
    kind, passed_over = "columns", {}
    if grid.names is None and _has_header(grid, columns):
        kind, grid = "header", _lift_header(grid)
    if grid.names is not None:
        _refuse_repeated(grid.names, grid.origin)
        roles = _given_roles(grid, columns)
        passed_over = _add_known_roles(roles, grid.names, grid.origin, KNOWN_NAMES)
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


def name_pair_columns(grid: Grid, columns: Mapping[str, str]) -> Grid:
    """Give the columns of minimal pairs their final names, the keys of `PAIR_NAMES`; others keep their own.

    Raises:
        DataError: A side has no column; or there are no rows.
    """
    if not grid.lines:
        raise DataError("there are no rows", where=grid.origin, expected="at least one pair")
    grid = grid if grid.names is not None else _lift_header(grid)
    names = list(grid.names or [])
    _refuse_repeated(names, grid.origin)
    roles = _given_roles(grid, columns)
    _add_known_roles(roles, names, grid.origin, PAIR_NAMES)
    for side in ("sentence_good", "sentence_bad"):
        if side not in roles:
            raise DataError(
                f"no column is known to hold the {'' if side == 'sentence_good' else 'un'}acceptable sentences",
                where=grid.origin,
                expected=f"a column called {', '.join(PAIR_NAMES[side])}",
                found=", ".join(map(short, names)),
                cause="not a suite of minimal pairs, or columns with other names, or no header",
                next="name both sides: --columns sentence_good=NAME,sentence_bad=NAME",
            )
    for role, index in roles.items():
        names[index] = role
    _refuse_repeated(names, grid.origin)
    return replace(grid, names=names)


def _has_header(grid: Grid, columns: Mapping[str, str]) -> bool:
    if not columns:
        return any(column[0].casefold() in KNOWN_NAMES["sentence"] for column in grid.columns)
    if not all(value.isdecimal() for value in columns.values()):
        return True  # a name can only stand in a header
    for role, index in _given_roles(grid, columns).items():
        first, *rest = grid.columns[index]
        # A label such as `y` or `gold` is also a known name; as data it comes back further down.
        if role in ("sentence", "label") and first.casefold() in KNOWN_NAMES[role] and first not in rest:
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


def _add_known_roles(
    roles: dict[str, int], names: list[str], origin: str, known_names: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Fill the roles that are still free by known names; return, by role, a word on columns passed over."""
    passed_over = {}
    for role, known in known_names.items():
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
    return len(cells) >= 4 and len(kinds) <= 20 and all(map(_looks_like_label, kinds))


def _looks_like_label(cell: str) -> bool:
    return cell.casefold() in _LABEL_WORDS or re.fullmatch("-?[0-9]+", cell) is not None


def guessed_labels(names: Sequence[str], schema: str, columns: Mapping[str, str]) -> Callable[[str], bool] | None:
    """What every label of a file must look like, where nothing but the looks of its first rows said which they are.

    Args:
        names: The columns' final names.
        schema: From `name_columns`.
        columns: What the caller named.
    """
    if columns or "label" not in names or not schema.startswith("headerless"):
        return None
    return ("0", "1").__contains__ if "mark" in names else _looks_like_label


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
