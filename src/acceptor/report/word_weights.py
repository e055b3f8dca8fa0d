"""Word weights of the most confident errors, for the report."""

from __future__ import annotations

import numpy as np

from acceptor.errors import UsageError
from acceptor.evaluation.words import explain
from acceptor.judging.load import load
from acceptor.report.folder import RunFolder
from acceptor.report.run_section import Words


def explain_errors(run: RunFolder, most: int) -> Words:
    """Word weights of the ``most`` most confident errors of a run, by occlusion; see `explain`.

    Args:
        run: A finished run. Its judge is loaded unless ``most`` is 0.
        most: The number of sentences.

    Raises:
        UsageError: ``most`` is below 0, or the run judges pairs of sentences.
        RunError: A file of the judge was changed.
    """
    if most < 0:
        raise UsageError("a number of errors is below 0", expected="--why 20", found=str(most), code="E-USAGE-OPTION")
    worst = _most_confident_errors(run)[:most]
    if not worst:
        return {}
    if any("second" in split.frame.columns for split in run.splits.values()):
        raise UsageError(
            "--why explains single sentences; these are pairs",
            next="leave --why out",
            code="E-USAGE-PAIRS",
        )
    found = explain(load(run.folder), [sentence for *_, sentence in worst])
    return {
        (split, line): list(zip(one.words, one.weights, strict=True))
        for (split, line, _), one in zip(worst, found, strict=True)
    }


def _most_confident_errors(run: RunFolder) -> list[tuple[str, int, str]]:
    """Split, line and sentence of every error, the most confident first."""
    errors = []
    for split in run.splits.values():
        confidence = split.confidence
        lines, sentences = split.frame["line"].to_list(), split.frame["sentence"].to_list()
        wrong = np.flatnonzero(split.predicted != split.gold)
        errors += [(float(confidence[row]), split.name, lines[row], sentences[row]) for row in wrong]
    errors.sort(key=lambda error: -error[0])
    return [(split, line, sentence) for _, split, line, sentence in errors]
