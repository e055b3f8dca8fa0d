"""Gives columns their roles: as the caller named them, else by known names, else by their cells.

All columns are considered together: a second column of texts makes a pair, or is an error if the roles are not clear.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from acceptor.data.reading.cell_kinds import counts_up, is_text, like_a_name, looks_like_labels
from acceptor.data.reading.column_advice import no_role_known, no_such_column, shown
from acceptor.data.reading.column_names import (
    COMPANIONS,
    GENERIC_LABEL_NAMES,
    KNOWN_NAMES,
    MORE_LABEL_NAMES,
    PAIR_NAMES,
    PAIRS,
    key,
)
from acceptor.data.reading.grid import Grid, Reject, refuse
from acceptor.data.reading.headers import has_header, lift_header, without_repeated_headers
from acceptor.data.table import option
from acceptor.errors import DataError
from acceptor.text import listed, short

ROLES = ("sentence", "second", "label")
Roles = dict[str, int]  # role to the column's place


@dataclass(frozen=True)
class Named:
    """A grid whose columns have their final names, and how they were found.

    Attributes:
        grid: The cells without the header and its repetitions.
        schema: How the columns were recognised, in one line.
        header: The header's cells as written; empty where there is none.
    """

    grid: Grid
    schema: str
    header: tuple[str, ...] = ()


def name_columns(grid: Grid, columns: Mapping[str, str], reject: Reject = refuse) -> Named:
    """Gives every column its final name, and describes in one line by which rule.

    Args:
        grid: As read.
        columns: Role to name or number, as the caller gave them.
        reject: Called for rows that repeat the header.

    Raises:
        DataError: The columns cannot be told apart.
    """
    if not grid.lines:
        raise DataError("there are no rows", where=grid.origin, expected="at least one row", code="E-DATA-EMPTY")
    _refuse_misspelled(grid, columns)
    grid = with_paths(grid, columns)
    kind, header = grid.form, ()
    if grid.names is None:
        named = not all(str(value).isdecimal() for value in columns.values())  # a name must be in a header
        if named or has_header(grid, _given_roles(grid, columns)):
            kind, header = f"{grid.form} with a header", tuple(column[0] for column in grid.columns)
            grid = without_repeated_headers(lift_header(grid), header, reject)
        else:
            kind = f"{grid.form} without a header"
            grid = without_repeated_headers(grid, (), reject)
    if grid.names is None:
        roles = _given_roles(grid, columns) if columns else _guessed_roles(grid)
        kind += ", as CoLA's" if "mark" in roles and not columns else ""
    else:
        if not columns:
            _refuse_repeated(grid.names, grid.origin, {}, columns)
        roles = _named_roles(grid, columns)
        if "sentence" not in roles and header and not columns:
            guessed = _guessed_roles(grid)
            roles = guessed if roles.get("label") in (None, guessed.get("label")) else {}  # a name is no guess
    old = grid.names or [f"column {number}" for number in range(1, len(grid.columns) + 1)]
    if "sentence" not in roles:
        raise no_role_known("no column is known to hold the sentences", grid, columns)
    new = list(old) if grid.names else [name.replace(" ", "") for name in old]
    for role, index in roles.items():
        new[index] = role
    _refuse_repeated(new, grid.origin, roles, columns)
    return Named(replace(grid, names=new), f"{kind}: {_describe(grid, roles, old, columns)}", header)


def _describe(grid: Grid, roles: Roles, old: list[str], columns: Mapping[str, str]) -> str:
    """Which column has which role, and which columns have none."""
    words = []
    main = ("sentence", "second", "label")
    for role, index in sorted(roles.items(), key=lambda item: main.index(item[0]) if item[0] in main else len(main)):
        word = role if role == old[index] else f"{role} ← {shown(old[index])}"
        if grid.names and str(columns.get(role, "")).isdecimal() and old[index] == str(columns[role]) != str(index + 1):
            word += f" (the column of that name, not the {columns[role]}th)"
        words.append(word)
    others = [shown(name) for index, name in enumerate(old) if index not in roles.values()]
    found = grid.columns[roles["sentence"]]
    if grid.names is None and len(found) > 1 and like_a_name(found, words=1 if len(grid.columns) == 1 else 3):
        words.append(
            f"the first line, {short(found[0])}, is taken for a sentence; if it is a header: "
            f"--columns sentence={shlex.quote(found[0])}"
        )
    return ", ".join(words) + (f"; passed over: {listed(others, 12)}" if others else "")


def with_paths(grid: Grid, columns: Mapping[str, str], *, check: bool = True) -> Grid:
    """Adds a column for every ``a.b`` that the caller named: the values of key ``b`` in the objects of column ``a``."""
    names, cells = list(grid.names or []), list(grid.columns)
    for path in map(str, columns.values()):
        first, *steps = path.split(".")
        if path in names or not steps or first not in names:
            continue
        found = cells[names.index(first)]
        for step in steps:
            keys = list(dict.fromkeys(str(one) for cell in found if isinstance(cell, Mapping) for one in cell))
            if check and step not in keys:
                raise DataError(
                    f"there is no {path!r}",
                    where=grid.origin,
                    expected=f"a key in the objects of {first}: {listed(keys, 20)}"
                    if keys
                    else "objects within objects",
                    found=f"{step!r}",
                    code="E-DATA-COLUMN",
                )
            found = [cell.get(step) if isinstance(cell, Mapping) else None for cell in found]
        names.append(path)
        cells.append(found)
    return (
        grid
        if grid.names is None
        else replace(grid, names=names, columns=cells, arrow=grid.arrow if len(cells) == len(grid.columns) else None)
    )


def source_names(names: Sequence[str] | None, named: Named) -> dict[str, str]:
    """The names in the file of the columns that have a role, by role; empty for a file without names.

    Args:
        names: The columns' names as parsed; None for delimited text.
        named: From `name_columns`.
    """
    if names is None and named.header:
        names = [name or f"column{number}" for number, name in enumerate(named.header, 1)]
    new = named.grid.names or []
    own = {role: name for role, name in zip(new, names or new, strict=True) if role in ROLES and role != name}
    kept = [name for name in new if name not in own]
    return own if len({*kept, *own.values()}) == len(new) else {}


def _refuse_repeated(names: list[str], origin: str, roles: Roles, columns: Mapping[str, str]) -> None:
    repeated = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if repeated is not None:
        others = [index for index, name in enumerate(names) if name == repeated and index not in roles.values()]
        raise DataError(
            f"two columns would be called {repeated!r}",
            where=origin,
            found=listed(names, 20),
            next="keep one under another name: "
            + option(origin, "columns", {**columns, f"other_{repeated}": str(others[-1] + 1)}),
            code="E-DATA-COLUMN",
        )


# ── roles ────────────────────────────────────────────────────────────────────────────────────────────────


def _given_roles(grid: Grid, columns: Mapping[str, str], *, pairs: bool = False) -> Roles:
    """The columns that the caller named or numbered; a name comes before a number."""
    roles: Roles = {}
    for role, value in columns.items():
        index = grid.index(str(value))
        if index is None:
            raise no_such_column(grid, columns, role, pairs=pairs)
        if index in roles.values():
            raise DataError(
                f"column {str(value)!r} was given two roles",
                where=grid.origin,
                found=f"{role}={value}",
                code="E-DATA-COLUMN",
            )
        roles[role] = index
    return roles


def _refuse_misspelled(grid: Grid, columns: Mapping[str, str]) -> None:
    """Any name can be a role, for a column to keep; but one that is nearly ours is an error of typing."""
    free = [role for role in ROLES if role not in columns]
    for role in columns:
        meant = next(iter(difflib.get_close_matches(role, free, n=1, cutoff=0.8)), None)
        if meant and role not in ROLES:
            raise DataError(
                f"no role is called {role!r}; did you mean {meant!r}?",
                where=grid.origin,
                expected=f"{', '.join(ROLES)}, or quite another name, to keep a column under it",
                found=f"{role}={columns[role]}",
                next=option(grid.origin, "columns", {meant if one == role else one: columns[one] for one in columns}),
                code="E-DATA-COLUMN",
            )


def _named_roles(grid: Grid, columns: Mapping[str, str]) -> Roles:
    """The roles of columns with names: those that the caller gave, and known names for the others."""
    roles = _given_roles(grid, columns)
    alone = "sentence" in roles  # the caller chose the texts to judge; other texts are ignored
    names = [key(name) for name in grid.names or []]
    free = {
        name: index
        for index, name in reversed(list(enumerate(names)))
        if index not in roles.values() and (name not in COMPANIONS or is_text(grid.columns[index]))
    }
    if not {"sentence", "second"} & roles.keys():
        first, second = next(((a, b) for a, b in PAIRS if a in free and b in free), ("", ""))
        if first:
            roles |= {"sentence": free.pop(first), "second": free.pop(second)}
    if "sentence" not in roles:
        known = [name for name in KNOWN_NAMES["sentence"] if name in free]
        if known:
            roles["sentence"] = free.pop(known[0])
    if "second" not in roles and "sentence" in roles:
        first = names[roles["sentence"]]
        partners = [*(b for a, b in PAIRS if a == first), *([] if alone else KNOWN_NAMES["second"])]
        known = [name for name in partners if name in free and name != "sentence"]
        if known:
            roles["second"] = free.pop(known[0])
    if "sentence" in roles and not alone:
        others = {*COMPANIONS, "sentence"} if names[roles["sentence"]] in COMPANIONS else COMPANIONS
        _refuse_other_texts(grid, roles, [free[name] for name in others if name in free])
    _add_label(grid, roles, names)
    return roles


def _refuse_other_texts(grid: Grid, roles: Roles, others: list[int]) -> None:
    if not others:
        return
    names = [shown(name) for name in grid.names or []]
    named_so = [name for name in names if key(name) == "sentence"]
    sentence = (named_so or [names[roles["sentence"]]])[0]
    other = next(names[index] for index in sorted([roles["sentence"], *others]) if names[index] != sentence)
    texts = [
        names[index]
        for index in sorted({roles["sentence"], *([roles["second"]] if "second" in roles else []), *others})
    ]
    partners = {b for a, b in PAIRS if a == key(sentence)}  # which would be taken unless they have another name
    single = {"sentence": sentence} | {text: text for text in texts if key(text) in partners}
    raise DataError(
        f"{len(texts)} columns hold texts, and which of them are judged is not clear",
        where=grid.origin,
        expected="one column of sentences, or two of pairs, by their names",
        found=listed(texts),
        next=f"a pair: {option(grid.origin, 'columns', {'sentence': sentence, 'second': other})}\n"
        f"single sentences, the others passed over: {option(grid.origin, 'columns', single)}",
        code="E-DATA-COLUMN",
    )


def _add_label(grid: Grid, roles: Roles, names: list[str]) -> None:
    if "label" in roles:
        return
    taken = roles.values()

    def called(known: Sequence[str]) -> list[int]:
        return [index for name in known for index, own in enumerate(names) if own == name and index not in taken]

    found = called(KNOWN_NAMES["label"])
    if not found or (len(found) == 1 and names[found[0]] in GENERIC_LABEL_NAMES):
        found += called(MORE_LABEL_NAMES)
    if len(found) > 1:
        names = [shown((grid.names or [])[index]) for index in found]
        raise DataError(
            "more than one column may hold the labels",
            where=grid.origin,
            found=", ".join(names),
            next=f"choose one: {option(grid.origin, 'columns', {'label': names[0]})}",
            code="E-DATA-COLUMN",
        )
    if found:
        roles["label"] = found[0]


def _guessed_roles(grid: Grid) -> Roles:
    """The roles in a file without known names, if only one assignment is possible."""
    width = len(grid.columns)
    if width == 1:
        return {"sentence": 0}
    if width == 2:
        labels = [index for index, column in enumerate(grid.columns) if looks_like_labels(column)]
        if len(labels) == 1:
            return {"sentence": 1 - labels[0], "label": labels[0]}
        numbers = [index for index, column in enumerate(grid.columns) if len(column) > 2 and counts_up(column)]
        if len(numbers) == 1 and is_text(grid.columns[1 - numbers[0]]):
            return {"sentence": 1 - numbers[0]}
    if width == 4 and grid.names is None:
        others = [row for row, cell in enumerate(grid.columns[1]) if cell not in ("0", "1")]
        if not others:
            return {"source": 0, "label": 1, "mark": 2, "sentence": 3}
        if 2 * len(others) < len(grid.lines):
            raise DataError(
                "the file looks like CoLA without a header, except for one label",
                where=grid.place(others[0]),
                expected="0 or 1 in column 2",
                found=short(grid.columns[1][others[0]]),
                cause="a header without any known name" if others[0] == 0 else None,
                next="correct the line, or name the columns: --columns sentence=4,label=2",
                code="E-DATA-COLUMN",
            )
    raise no_role_known("the columns cannot be told apart: none has a known name", grid, {})


def name_pair_columns(grid: Grid, columns: Mapping[str, str]) -> Grid:
    """Gives the columns of minimal pairs their final names, the keys of `PAIR_NAMES`; others keep their own.

    Raises:
        DataError: A side has no column; or there are no rows.
    """
    if not grid.lines:
        raise DataError("there are no rows", where=grid.origin, expected="at least one pair", code="E-DATA-EMPTY")
    if grid.names is None:
        header = tuple(column[0] for column in grid.columns)
        grid = without_repeated_headers(lift_header(grid), header, refuse)
    names = list(grid.names or [])
    _refuse_repeated(names, grid.origin, {}, columns)
    roles = _given_roles(grid, columns, pairs=True)
    for role, known in PAIR_NAMES.items():
        found = [i for name in known for i, own in enumerate(names) if key(own) == name and i not in roles.values()]
        if role not in roles and found:
            roles[role] = found[0]
    for side in ("sentence_good", "sentence_bad"):
        if side not in roles:
            raise DataError(
                f"no column is known to hold the {'' if side == 'sentence_good' else 'un'}acceptable sentences",
                where=grid.origin,
                expected=f"a column called {side} or {', '.join(PAIR_NAMES[side][1:])}",
                found=listed([short(name) for name in names]),
                cause="not a suite of minimal pairs, or columns with other names, or no header",
                next="name both sides: "
                + option(grid.origin, "columns", {"sentence_good": "NAME", "sentence_bad": "NAME"}),
                code="E-DATA-COLUMN",
            )
    for role, index in roles.items():
        names[index] = role
    _refuse_repeated(names, grid.origin, roles, columns)
    return replace(grid, names=names)
