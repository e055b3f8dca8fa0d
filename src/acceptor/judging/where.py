"""A condition on columns, in SQL's syntax: comparisons, and, or, not, in, between, like, is null. No functions."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

import polars as pl

from acceptor.errors import UsageError, nearest
from acceptor.text import listed, shell

_COMPARE = {"in", "between", "like", "is", "<", "<=", ">", ">=", "=", "<>", "!="}
_WORDS = _COMPARE | {"and", "or", "not", "null"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^']|'')*')|"(?P<quoted>[^"]+)"|(?P<name>[^\W\d]\w*)"""
    r"""|[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|<=|>=|<>|!=|[-+*/<>=(),])"""
)


def condition(text: str, schema: Mapping[str, pl.DataType], labels: Sequence[str]) -> pl.Expr:
    """The condition as an expression that is true or false for each row.

    Args:
        text: Such as ``probability >= .8 and verdict = 'acceptable'``; a column name that is not one word is
            written in double quotes.
        schema: The columns that it may name.
        labels: What a verdict may be.

    Raises:
        UsageError: It names another column or label, cannot be parsed, or is not a condition.
    """
    wrong = functools.partial(_wrong, text, schema, labels)
    position, written = 0, []
    while position < len(text.rstrip()):
        token = _TOKEN.match(text, position)
        if token is None:
            raise wrong(f"{text[position:].strip()[:20]!r} has no meaning here")
        name = token["quoted"] or token["name"]
        if name and name not in schema and (token["quoted"] or name.lower() not in _WORDS):
            near = nearest(name, schema)
            raise wrong(f"no column is called {name!r}" + (f"; did you mean {near!r}?" if near else ""))
        written.append(token[0].strip())
        position = token.end()
    tokens = [one.lower() for one in written]
    for before, one in zip(["", *tokens], written, strict=False):
        label = one[1:-1].replace("''", "'")  # the verdict is the only column of text
        if one.startswith("'") and before != "like" and label not in labels:
            near = nearest(label, labels)
            meant = f"did you mean {near!r}?" if near else f"the judge has {listed(labels)}"
            raise wrong(f"no label is called {label!r}; {meant}")
    try:
        expression = pl.sql_expr(text)
        found = pl.DataFrame(schema=schema).select(found=expression).schema["found"]
    except pl.exceptions.PolarsError as error:
        raise wrong(str(error).split("\n")[0]) from None
    if found != pl.Boolean or not expression.meta.root_names() or _negates_a_value(tokens):
        raise wrong("not true or false")
    if not expression.meta.undo_aliases().meta.eq(expression):  # polars takes a further word for the name of the result
        raise wrong(f"{tokens[-1]!r} behind a complete condition: and, or is missing")
    return expression


def _negates_a_value(tokens: Sequence[str]) -> bool:
    """True if a ``not`` is before something that compares nothing: polars would cast a number to Boolean."""
    for start, word in enumerate(tokens, 1):
        if word != "not" or tokens[start - 2 : start - 1] == ["is"]:
            continue
        depth, negated = 0, set()
        for one in tokens[start:]:
            depth += (one == "(") - (one == ")")
            if depth < 0 or (depth == 0 and one in ("and", "or")):
                break
            negated.add(one)
        if not negated & _COMPARE:
            return True
    return False


def _wrong(text: str, schema: Mapping[str, pl.DataType], labels: Sequence[str], found: str) -> UsageError:
    names = ", ".join(name if re.fullmatch(r"\w+", name) else f'"{name}"' for name in schema)
    label = "'" + labels[-1].replace("'", "''") + "'"
    return UsageError(
        f"the condition {text!r} cannot be used",
        expected=f"comparisons of {names}; and, or, not, in, between, like",
        found=found,
        next="for example --where " + shell(f"probability >= .8 and verdict = {label}"),
        code="E-USAGE-CONDITION",
    )
