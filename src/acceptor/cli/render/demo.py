"""The demo's pairs of sentences as text, each verdict with a bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

if TYPE_CHECKING:
    from acceptor.evaluation.pairs import PairScores
    from acceptor.judging.verdicts import Verdict

BAR = 10  # characters of the bar of probability 1


def demo_text(
    good: Sequence[str], of_good: Sequence[Verdict], bad: Sequence[str], of_bad: Sequence[Verdict], scores: PairScores
) -> Iterator[Any]:
    """Every pair: the probability that a sentence is acceptable as a bar, and whether the verdict is right."""
    yield "How probably is it acceptable?   ✓ right   ✗ wrong"
    for pair in zip(good, of_good, bad, of_bad, strict=True):
        yield ""
        yield _line(*pair[:2], "acceptable")
        yield _line(*pair[2:], "unacceptable")
    yield ""
    yield f"{scores.right} of {scores.n} pairs in the right order, both verdicts right in {scores.both}"


def demo_next(run: Path) -> Iterator[str]:
    """Where the report is, and what to do next."""
    yield ""
    yield f"the report:    {run / 'report.html'}"
    yield f'your sentence: acceptor judge {run} "Which cats sleep?" --why occlusion'
    yield "your data:     acceptor train FILE.csv --encoder minilm"


def _line(sentence: str, verdict: Verdict, gold: str) -> Text:
    acceptable = verdict.probability if verdict.label == "acceptable" else 1 - verdict.probability
    mark = ("✓", "green") if verdict.label == gold else ("✗", "red")
    bar = "█" * round(BAR * acceptable)
    return Text.assemble(mark, f" {acceptable:.2f} ", (bar.ljust(BAR), "cyan"), f" {sentence}")
