"""Results as HTML, which notebooks show in place of a `repr`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from acceptor.text import plain

SUPPORTS, OPPOSES = "29, 95, 168", "180, 81, 13"  # the report's blue and orange
STRONGEST = 0.55  # opacity behind a word of `FULL_WEIGHT`
FULL_WEIGHT = 5.0
"""The weight of a word, in nats, with the longest bar and the strongest colour; larger ones look the same.

It is the same for every sentence, so that a weak weight looks weak: 5 nats change odds by a factor of 150.
"""


def scores_html(caption: str, rows: Iterable[Sequence[object]]) -> str:
    """A table of scores: name, value, 95 % interval, and the score of always answering the most frequent label."""
    header = ("score", "value", "95 % interval (bootstrap)", "always the majority")
    lines = ["".join(f"<td style='text-align:left'>{_text(cell)}</td>" for cell in row) for row in rows]
    return (
        f"<p>{_text(caption)}</p><table><thead><tr>"
        + "".join(f"<th style='text-align:left'>{name}</th>" for name in header)
        + f"</tr></thead><tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"
    )


def words_html(caption: str, words: Sequence[str], weights: Sequence[float]) -> str:
    """Words, blue behind those that support the verdict and orange behind those that oppose it."""
    parts = []
    for word, weight in zip(words, weights, strict=True):
        opacity = STRONGEST * min(1.0, abs(weight) / FULL_WEIGHT)
        colour = f"rgba({SUPPORTS if weight > 0 else OPPOSES}, {opacity:.2f})"
        style = f"padding:.1em .25em;border-radius:.2em;background:{colour}"
        parts.append(f"<span title='{weight:+.3f}' style='{style}'>{_text(word)}</span>")
    return f"<p>{_text(caption)}</p><p style='line-height:2'>{' '.join(parts)}</p>"


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return "not defined" if math.isnan(cell) else f"{cell:.3f}"
    return escape(plain(str(cell)))
