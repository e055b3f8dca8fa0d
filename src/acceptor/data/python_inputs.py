"""Takes texts from Python objects: lists, arrays, Series and data frames. Anything else is refused."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from acceptor.data.frames import text_columns
from acceptor.data.table import texts_of
from acceptor.errors import DataError

ACCEPTED = "a list, tuple, array or Series of str, or a data frame with a column of sentences"
_FRAMES = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("polars", "LazyFrame"), ("pyarrow", "Table")}
_FRAMES |= {("pyarrow", "RecordBatch"), ("datasets", "Dataset")}
_LISTED = ("tolist", "to_list", "to_pylist")  # of numpy and pandas, polars, pyarrow
_AT_ONCE = 10_000  # texts that are checked together


def by_position(row: int) -> str:
    """The place of an input in a Python list, for messages."""
    return f"position {row}"


def as_texts(
    sentences: Any, seconds: Any = None, place: Callable[[int], str] = by_position
) -> tuple[list[str], list[str] | None]:
    """The sentences, and the second ones of pairs, as plain lists.

    Args:
        sentences: A list, a tuple, a NumPy array, a pandas, polars or pyarrow Series or array; or a frame, whose
            columns are known by the rules of `read_table`.
        seconds: The same, but for frames; None for single sentences, or if ``sentences`` is a frame.
        place: Gives the place of an input, for messages.

    Raises:
        DataError: The objects have another type; a text is not a string, is blank or cannot be encoded; or there are
            more or fewer seconds than sentences.
    """
    if _kind(sentences) in _FRAMES:
        if seconds is not None:
            raise DataError(
                "seconds were given beside a data frame",
                expected="the second sentences as its column",
                code="E-DATA-PAIRS",
            )
        try:
            frame = text_columns(_as_known(sentences), {})
        except DataError as error:
            if error.code == "E-DATA-COLUMN" and "cause" not in error.details:  # minimal pairs are known by their cause
                error.add("next", 'give the column alone: judge(frame["NAME"]), or call judge.annotate with columns=')
            raise
        return texts_of(frame)
    first = _checked(_listed(sentences), place)
    if seconds is None:
        return first, None
    second = _checked(_listed(seconds), place)
    if len(first) != len(second):
        raise DataError(
            "sentences and seconds differ in number",
            expected=f"{len(first)} seconds",
            found=f"{len(second)}",
            code="E-DATA-PAIRS",
        )
    return first, second


def _kind(given: Any) -> tuple[str, str]:
    """Package and class, to recognise an object without importing its library."""
    return type(given).__module__.partition(".")[0], type(given).__name__


def _as_known(frame: Any) -> Any:
    if _kind(frame)[0] == "datasets":
        return frame.with_format(None).to_polars()
    return pl.DataFrame(frame) if _kind(frame)[0] == "pyarrow" else frame


def _listed(given: Any) -> list[Any]:
    package, name = _kind(given)
    if package in ("numpy", "pandas", "polars", "pyarrow"):
        listed = next((getattr(given, method) for method in _LISTED if hasattr(given, method)), None)
        if listed is not None and getattr(given, "ndim", 1) == 1:
            return list(listed())
    elif isinstance(given, Sequence) and not isinstance(given, str | bytes | bytearray | memoryview):
        return list(given)
    shape = f" of shape {given.shape}" if hasattr(given, "shape") else ""
    found = f"{package}.{name}{shape}" if package != "builtins" else f"{name}: {given!r}"[:60]
    raise DataError(_problem(given), expected=ACCEPTED, found=found, next=_advice(given), code="E-DATA-TYPE")


def _problem(given: Any) -> str:
    return "a single string was given" if isinstance(given, str) else "this is not a list of sentences"


def _advice(given: Any) -> str:
    if isinstance(given, str):
        return 'put it in a list: judge(["' + given[:40] + '"])'
    if isinstance(given, bytes | bytearray | memoryview):
        return "decode it, and put it in a list: judge([text.decode()])"
    if isinstance(given, Mapping):
        return "choose one: judge(list(sentences.values())), or one of its splits"
    if isinstance(given, set | frozenset):
        return "a set has no order for the verdicts: judge(sorted(sentences))"
    if isinstance(given, io.IOBase):
        return "read it first: judge(file.read().splitlines()); or acceptor.evaluate and `acceptor predict` on its path"
    if hasattr(given, "shape"):
        return "one dimension: judge(array[:, 0]); pairs: judge(array[:, 0], array[:, 1])"
    if isinstance(given, Iterable):
        return "put them in a list: judge(list(sentences))"
    return 'judge(["The cats sleep."])'


def _checked(texts: list[Any], place: Callable[[int], str]) -> list[str]:
    """The texts, after a check that each can be judged."""
    kinds = set(map(type, texts))
    whole = all(issubclass(kind, str) for kind in kinds) and all(map(str.strip, texts))
    if not whole or not all(map(_can_be_written, _parts(texts))):
        refused = [row for row, text in enumerate(texts) if not _is_sentence(text)]
        error = _no_sentence(texts[refused[0]], place(refused[0]))
        error.positions = refused
        raise error
    return texts if kinds <= {str} else list(map(str.__str__, texts))


def _parts(texts: list[Any]) -> Iterable[list[Any]]:
    return (texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE))


def _is_sentence(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip()) and _can_be_written([text])


def _can_be_written(texts: list[str]) -> bool:
    """False if a text holds half of a surrogate pair, which no file and no tokenizer accepts."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_sentence(text: Any, where: str) -> DataError:
    found = repr(text)[:60]
    if isinstance(text, str) and text.strip():
        return DataError(
            "a sentence holds half of a surrogate pair",
            where=where,
            expected="text that can be written as UTF-8",
            found=ascii(text)[:60],
            cause="a text cut between two halves of a surrogate pair, in JSON or JavaScript for instance",
            code="E-DATA-TEXT",
        )
    advice = None
    if isinstance(text, tuple | list) and len(text) == 2:
        advice = "pairs come as two lists: judge(sentences, seconds)"
    elif isinstance(text, Mapping):
        advice = "rows with names are a frame: judge(polars.DataFrame(rows))"
    return DataError(
        "not a sentence",
        where=where,
        expected="text that is not blank",
        found=f"{type(text).__name__}: {found}" if not isinstance(text, str) else found,
        next=advice,
        code="E-DATA-TEXT",
    )
