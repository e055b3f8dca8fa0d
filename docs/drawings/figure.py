"""`Figure`: what a figure needs, measures and shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from drawings.canvas import Drawing, Words

LANGUAGES = ("en", "zh")
Facts = dict[str, Any]
"""What was measured, by name. Words take their numbers from it."""


@dataclass(frozen=True)
class Figure:
    """One figure, in both languages.

    Attributes:
        name: The stem of its files.
        words: English and Chinese of each key; ``title`` and ``caption`` among them.
        measure: Computes its numbers.
        draw: Draws them.
        needs: What must be installed or present: ``cola``, ``minilm``, ``mpnet``.
    """

    name: str
    words: Mapping[str, tuple[str, str]]
    measure: Callable[[], Facts]
    draw: Callable[[Drawing, Words, Facts], None]
    needs: tuple[str, ...] = ()

    @cached_property
    def facts(self) -> Facts:
        """The numbers, computed once for both languages."""
        return self.measure()

    def caption(self, language: str) -> str:
        """One sentence with the numbers, which is also the description for readers who cannot see the figure."""
        return Words(self.words, language)("caption", **self.facts)

    def svg(self, language: str) -> str:
        """The figure as SVG text."""
        words = Words(self.words, language)
        drawing = Drawing(words("title", **self.facts), self.caption(language), language)
        self.draw(drawing, words, self.facts)
        return drawing.svg()
