"""Counts the words of texts, in scripts with and without spaces.

Words are separated by white space. Some scripts have none between words; there the default word boundaries of Unicode
count (UAX #29, https://www.unicode.org/reports/tr29/#Word_Boundaries): each Han ideograph, each Hiragana letter, each
letter of Thai, Lao, Khmer, Myanmar and their relatives with its marks, each run of Katakana, each Tibetan syllable; and
text in other scripts between them, if it holds a letter or a digit. Real words would need a dictionary for
each language; these counts need none, are the same everywhere, and grow as the text does.
"""

from __future__ import annotations

import polars as pl

_KATAKANA = r"\p{Katakana}\x{30FC}\x{FF70}\x{FF9E}\x{FF9F}"
_SYLLABLES = r"\p{Tibetan}&&[\p{L}\p{M}]"
_LETTERS = (
    r"\p{Han}\p{Hiragana}"
    r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Ahom}&&\p{L}]"
)
_UNSPACED = rf"{_LETTERS}{_KATAKANA}[{_SYLLABLES}]"
_BESIDE = rf"[^\s\p{{L}}\p{{N}}{_UNSPACED}]+"  # marks and punctuation
_WORD = rf"[{_LETTERS}]|[{_KATAKANA}]+|[{_SYLLABLES}]+|[^\s{_UNSPACED}]+"


def word_counts(texts: pl.Series) -> pl.Series:
    """The number of words of each text, as unsigned integers; if white space separates words, only that counts."""
    counts = texts.str.count_matches(r"\S+")
    rows = _unspaced_rows(texts)
    if not len(rows):
        return counts
    unspaced = texts.gather(rows).str.replace_all(rf"([{_UNSPACED}]){_BESIDE}", "$1 ")
    unspaced = unspaced.str.replace_all(rf"{_BESIDE}([{_UNSPACED}])", " $1")
    return counts.scatter(rows, unspaced.str.count_matches(_WORD))


def without_spaces(texts: pl.Series) -> bool:
    """Whether most of the texts are, in part at least, in scripts without spaces between words."""
    return 2 * len(_unspaced_rows(texts)) > len(texts)


def holds_unspaced(texts: pl.Series) -> pl.Series:
    """For each text, whether it holds a script without spaces between words."""
    return texts.str.contains(f"[{_UNSPACED}]")


def _unspaced_rows(texts: pl.Series) -> pl.Series:
    """The rows (0-based) that hold such a script; text in ASCII, the most frequent, is not searched."""
    other = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()
    return other.filter(holds_unspaced(texts.gather(other)))
