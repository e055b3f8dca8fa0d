"""A condition on columns, in SQL's syntax: comparisons, and, or, not, in, between, like, is null. No functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from acceptor.errors import UsageError, nearest

_COMPARE = {"in", "between", "like", "is", "<", "<=", ">", ">=", "=", "<>", "!="}
_WORDS = _COMPARE | {"and", "or", "not", "null"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^']|'')*')|"(?P<quoted>[^"]+)"|(?P<name>[^\W\d]\w*)"""
    r"""|[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|<=|>=|<>|!=|[-+*/<>=(),])"""
)


def condition(text: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """The condition as an expression that is true or false for each row.

    Args:
        text: Such as ``probability >= .8 and verdict = 'acceptable'``; a column name that is not one word is
            written in double quotes.
        schema: The columns that it may name.

    Raises:
        UsageError: It names another column, cannot be parsed, or is not a condition.
    """
    position, tokens = 0, []
    while position < len(text.rstrip()):
        token = _TOKEN.match(text, position)
        if token is None:
            raise _wrong(text, schema, f"{text[position:].strip()[:20]!r} has no meaning here")
        name = token["quoted"] or token["name"]
        if name and name not in schema and (token["quoted"] or name.lower() not in _WORDS):
            near = nearest(name, schema)
            raise _wrong(text, schema, f"no column is called {name!r}" + (f"; did you mean {near!r}?" if near else ""))
        tokens.append(token[0].strip().lower())
        position = token.end()
    try:
        expression = pl.sql_expr(text)
        found = pl.DataFrame(schema=schema).select(found=expression).schema["found"]
    except pl.exceptions.PolarsError as error:
        raise _wrong(text, schema, str(error).split("\n")[0]) from None
    if found != pl.Boolean or not expression.meta.root_names() or _negates_a_value(tokens):
        raise _wrong(text, schema, "not true or false")
    if not expression.meta.undo_aliases().meta.eq(expression):  # polars takes a further word for the name of the result
        raise _wrong(text, schema, f"{tokens[-1]!r} behind a complete condition: and, or is missing")
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


def _wrong(text: str, schema: Mapping[str, pl.DataType], found: str) -> UsageError:
    names = ", ".join(name if re.fullmatch(r"\w+", name) else f'"{name}"' for name in schema)
    return UsageError(
        f"the condition {text!r} cannot be used",
        expected=f"comparisons of {names}; and, or, not, in, between, like",
        found=found,
        next="for example --where \"probability >= .8 and verdict = 'acceptable'\"",
        code="E-USAGE-CONDITION",
    )
