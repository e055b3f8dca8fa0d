"""What cells look like: labels, texts, the numbers of rows, or a column's name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

# fmt: off
_LABEL_WORDS = {
    "acceptable", "unacceptable", "grammatical", "ungrammatical", "correct", "incorrect", "good", "bad",
    "ok", "yes", "no", "maybe", "y", "n", "true", "false", "t", "f", "positive", "negative", "neutral", "pos", "neg",
    "entailment", "contradiction", "not_entailment",
}
# fmt: on
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_SAMPLE = 1000  # cells of a column that are looked at


def looks_like_label(cell: str) -> bool:
    """Whether a cell could be a label by itself: a whole number, or a word such as ``acceptable`` or ``yes``."""
    return cell.casefold() in _LABEL_WORDS or re.fullmatch(r"-?[0-9]+(\.0+)?", cell) is not None


def looks_like_labels(cells: Sequence[str]) -> bool:
    """Whether a column without a known name holds labels: few different ones, not increasing numbers."""
    kinds = set(cells)
    return len(cells) >= 4 and len(kinds) <= 20 and all(map(looks_like_label, kinds)) and not counts_up(cells)


def counts_up(cells: Sequence[str]) -> bool:
    """Whether every cell is a whole number greater than the one before it, as the numbers of rows are."""
    if not all(cell.isdecimal() for cell in cells[:_SAMPLE]):
        return False
    numbers = list(map(int, cells[:_SAMPLE]))
    return all(earlier < later for earlier, later in itertools.pairwise(numbers))


def is_text(cells: Sequence[Any]) -> bool:
    """Whether a column holds texts, as opposed to numbers, label words, or few words that repeat."""
    found = [cell for cell in cells[:_SAMPLE] if isinstance(cell, str) and cell.strip()]
    kinds = set(found)
    if all(_NUMBER.fullmatch(cell) or looks_like_label(cell) for cell in kinds):
        return False
    return any(" " in cell or len(cell) > 20 for cell in kinds) or 4 * len(kinds) > len(found)


def like_a_name(cells: Sequence[str], words: int = 3) -> bool:
    """Whether the first cell could be a column's name: at most so many words, no sentence, and shorter than others."""
    first, *rest = cells[:100]
    few = len(first.split()) <= words and not first.rstrip().endswith((".", "?", "!", "。", "？", "！"))
    longer = sum(len(cell.split()) > len(first.split()) or len(cell) > 3 * len(first) for cell in rest)
    return few and bool(first.strip()) and 5 * longer >= 4 * len(rest)
