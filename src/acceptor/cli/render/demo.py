"""The demo's pairs of sentences as text, each verdict with a bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from acceptor.runs.report_file import REPORT_PAGE
from acceptor.text import shell

if TYPE_CHECKING:
    from acceptor.evaluation.pairs import PairsReport
    from acceptor.judging.verdicts import Verdict

BAR = 10  # characters of the bar of probability 1


def demo_text(
    good: Sequence[str], of_good: Sequence[Verdict], bad: Sequence[str], of_bad: Sequence[Verdict], found: PairsReport
) -> Iterator[Any]:
    """Every pair: the probability that a sentence is acceptable as a bar, and whether the verdict is right."""
    scores = found.scores
    yield "How probably is it acceptable?   ✓ right   ✗ wrong"
    for pair in zip(good, of_good, bad, of_bad, strict=True):
        yield ""
        yield _line(*pair[:2], found.good, is_good=True)
        yield _line(*pair[2:], found.good, is_good=False)
    yield ""
    yield f"{scores.right} of {scores.n} pairs in the right order, both verdicts right in {scores.both}"


def demo_next(run: Path) -> Iterator[str]:
    """Where the report is, and what to do next."""
    yield ""
    yield f"the report:    {run / REPORT_PAGE}"
    yield f'your sentence: acceptor judge {shell(run)} "Which cats sleep?" --why occlusion'
    yield "your data:     acceptor train FILE.csv --encoder minilm"


def _line(sentence: str, verdict: Verdict, good: str, *, is_good: bool) -> Text:
    """``good`` is the label that means acceptable; ``is_good`` says whether the sentence is."""
    judged_good = verdict.label == good
    acceptable = verdict.probability if judged_good else 1 - verdict.probability
    mark = ("✓", "green") if judged_good == is_good else ("✗", "red")
    bar = "█" * round(BAR * acceptable)
    return Text.assemble(mark, f" {acceptable:.2f} ", (bar.ljust(BAR), "cyan"), f" {sentence}")
