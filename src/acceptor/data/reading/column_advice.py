"""The errors for columns that are missing: which there are, and the option that names those that are probably meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from acceptor.data.reading.cell_kinds import is_text, like_a_name, looks_like_labels
from acceptor.data.reading.column_names import KNOWN_NAMES, MORE_LABEL_NAMES, PAIR_NAMES, key
from acceptor.data.reading.grid import Grid
from acceptor.data.table import IN_MEMORY, option
from acceptor.errors import DataError, nearest
from acceptor.text import listed, short

SIDES = ("sentence_good", "sentence_bad")


def shown(name: str) -> str:
    """A column's name; in quotes where its ends would not be clear."""
    return repr(name) if not name or name != name.strip() or "," in name or not name.isprintable() else name


def no_such_column(grid: Grid, columns: Mapping[str, str], role: str, *, pairs: bool) -> DataError:
    """The error for a role to which the caller gave a column that is not there.

    A name that looks alike is corrected, and the caller's other columns stay. Without one, those of the caller's
    columns that are there stay, and the others are guessed.
    """
    wanted = str(columns[role])
    near = nearest(wanted, [name for name in grid.names or () if name not in columns.values()])
    if near:
        advice = {**columns, role: _reference(grid, near)}
        return _error(
            f"there is no column {wanted!r}; did you mean {near!r}?", grid, grid.names, next=_option(grid, advice)
        )
    names = grid.names or _numbers(grid)
    advice = _completed(grid, columns, pairs=pairs)
    return _error(f"there is no column {wanted!r}", grid, names, next=_option(grid, advice))


def no_role_known(problem: str, grid: Grid, columns: Mapping[str, str]) -> DataError:
    """The error for columns none of which is known to hold the sentences; the caller gave ``columns``."""
    sides = _sides(_names(grid))
    if "NAME" not in sides.values():
        found = f"these are minimal pairs: {sides['sentence_good']} and {sides['sentence_bad']} hold their two sides"
        following = "acceptor.pairs(JUDGE, PAIRS)" if grid.origin in IN_MEMORY else "acceptor pairs RUN FILE"
        return _error(problem, grid, grid.names, cause=found, next=following)
    return _error(problem, grid, grid.names, next=_option(grid, _completed(grid, columns, pairs=False)))


def _error(problem: str, grid: Grid, names: Sequence[str] | None, *, next: str, cause: str | None = None) -> DataError:
    first = " | ".join(f"{number} {short(str(column[0]))}" for number, column in enumerate(grid.columns[:12], 1))
    return DataError(
        problem,
        where=grid.origin,
        expected=f"one of these columns: {listed(list(map(shown, names)), 20)}" if names else None,
        found=f"first row: {first}" + (" | …" if grid.columns[12:] else ""),
        cause=cause,
        next=next,
        code="E-DATA-COLUMN",
    )


def _option(grid: Grid, columns: Mapping[str, str]) -> str:
    return f"name the columns: {option(grid.origin, 'columns', columns)}"


def _completed(grid: Grid, columns: Mapping[str, str], *, pairs: bool) -> dict[str, str]:
    """Those of the caller's columns that are there, and guesses for the other roles."""
    if "0" in map(str, columns.values()):  # columns are numbered from 1
        columns = {role: str(int(value) + 1) if str(value).isdecimal() else value for role, value in columns.items()}
    places = {role: grid.index(str(value)) for role, value in columns.items()}
    there = {role: str(columns[role]) for role, at in places.items() if at is not None}
    taken = [at for at in places.values() if at is not None]
    guess = _sides(_names(grid)) if pairs else _guess(grid, taken)
    second = {"second": "NAME"} if "second" in columns else {}  # without it pairs would be read as single sentences
    return guess | second | there


def _sides(names: Sequence[str]) -> dict[str, str]:
    """The columns of the two sides of minimal pairs, by known names."""
    return {side: _called(names, PAIR_NAMES[side]) or "NAME" for side in SIDES}


def _called(names: Sequence[str], known: Sequence[str]) -> str | None:
    """The first of the names that is a known one, in the order of these."""
    return next((name for one in known for name in names if key(name) == one), None)


def _guess(grid: Grid, taken: Collection[int]) -> dict[str, str]:
    """The columns of sentences and labels: by known names, else by the cells. The taken ones are neither."""
    for name, column in zip(_names(grid), grid.columns, strict=True):
        inner = next((cell for cell in column if isinstance(cell, Mapping)), {})
        if known := _called(list(map(str, inner)), KNOWN_NAMES["sentence"]):
            return {"sentence": f"{name}.{known}"}
    free = {name: at for at, name in enumerate(_names(grid)) if at not in taken}
    if not free:
        return {"sentence": "NAME", "label": "NAME"}
    lengths = {name: sum(len(str(cell)) for cell in grid.columns[at][:100]) for name, at in free.items()}
    sentence = _called(list(free), KNOWN_NAMES["sentence"]) or max(free, key=lambda name: lengths[name])
    others = [name for name in free if name != sentence]
    likely = [name for name in others if _may_be_labels(grid.columns[free[name]][grid.names is None :])]
    label = _called(others, KNOWN_NAMES["label"] + MORE_LABEL_NAMES) or next(iter(likely), None)
    found = (("sentence", sentence), ("label", label))
    return {role: _reference(grid, name) for role, name in found if name is not None}


def _reference(grid: Grid, name: str) -> str:
    """The column as an option can name it: by its number where the name would not be read as one."""
    return str(_names(grid).index(name) + 1) if set(name) & set(",=") or not name.strip() else name.strip()


def _may_be_labels(column: Sequence[object]) -> bool:
    cells = [str(cell) for cell in column[:1000]]
    few = 1 < len(set(cells)) <= len(cells) // 2 and not is_text(cells)
    return few or looks_like_labels(cells)


def _names(grid: Grid) -> list[str]:
    """The names of the columns; their numbers if there are none, except where the first row is probably a header."""
    if grid.names is not None:
        return grid.names
    numbers = _numbers(grid)
    firsts = [str(column[0]) for column in grid.columns]
    headed = all(like_a_name([first]) for first in firsts if first)
    if headed and any(len(column) > 1 and like_a_name(column) for column in grid.columns):
        return [first or number for first, number in zip(firsts, numbers, strict=True)]
    return numbers


def _numbers(grid: Grid) -> list[str]:
    return list(map(str, range(1, len(grid.columns) + 1)))
