"""Reads JSON files strictly: one object, no key twice, no NaN, no more bytes than a limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

MAX_OBJECT_BYTES = 1 << 20


def read_json_object(path: Path, *, limit: int = MAX_OBJECT_BYTES) -> dict[str, Any]:
    """The JSON object in a file that is not trusted.

    Raises:
        ValueError: It is longer than ``limit`` bytes, or not one JSON object, or has a key twice (parsers differ in
            which one they use), or holds a number that JSON lacks.
    """
    with path.open("rb") as stream:
        return parse_json_object(stream.read(limit + 1), limit=limit)


def parse_json_object(data: bytes, *, limit: int) -> dict[str, Any]:
    """Parses ``data`` as strictly as `read_json_object`."""
    if len(data) > limit:
        raise ValueError(f"larger than {limit} bytes")
    if not data.strip():
        raise ValueError("empty")
    try:
        content = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        if "set_int_max_str_digits" in str(error):  # Python's advice to the program's author
            raise ValueError("a number of too many digits") from None
        raise
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key appears twice")
    return content


def refuse_constant(word: str) -> NoReturn:
    """Refuses NaN and infinities, which Python reads although JSON lacks them: for ``parse_constant``."""
    raise ValueError(f"{word} is not JSON")
