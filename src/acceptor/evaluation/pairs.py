"""`pairs`: scores a judge on minimal pairs, as BLiMP scores language models (Warstadt et al. 2020).

A pair is right if the acceptable sentence has the higher margin, so no threshold is needed; ties count half.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.frames import side_by_side
from acceptor.data.labels import good_label
from acceptor.data.suite import Suite, load_suite
from acceptor.errors import RunError, UsageError, checked_types
from acceptor.evaluation.groups import column_of, rows_by_value
from acceptor.evaluation.intervals import Interval, share_interval
from acceptor.evaluation.metrics import log_odds
from acceptor.judging.close_calls import CLOSE_CALLS
from acceptor.judging.decision import Logits
from acceptor.judging.dedup import LogitsCache
from acceptor.judging.judge import PAIRS, Judge
from acceptor.model.coverage import TRUNCATED, warn_of_truncated
from acceptor.model.encode import Encoded
from acceptor.progress import meter

CHANCE = 0.5  # share of right pairs of a judge that guesses


@dataclass(frozen=True)
class PairScores:
    """Scores of a set of pairs.

    Attributes:
        n: Number of pairs.
        right: Pairs whose acceptable sentence has the higher margin.
        ties: Pairs with two equal margins.
        both: Pairs with two right verdicts: the acceptable sentence is judged acceptable and the other is not.
    """

    n: int
    right: int
    ties: int
    both: int

    @property
    def share(self) -> float:
        """Share of pairs that are right, in [0, 1]; a tie is half right. Chance is .5."""
        return (self.right + self.ties / 2) / self.n

    @property
    def interval(self) -> Interval:
        """The 95 % interval of `share` (Wilson), of ``right + ties / 2`` out of n.

        A tie varies less about the mean than a win or a loss, so with ties the interval is too wide, never too narrow.
        """
        return share_interval(self.right + self.ties / 2, self.n)

    @property
    def both_share(self) -> float:
        """Share of pairs with two right verdicts: 0 if all verdicts are the same label, .25 if they are random."""
        return self.both / self.n

    @property
    def both_interval(self) -> Interval:
        """The 95 % interval of `both_share` (Wilson)."""
        return share_interval(self.both, self.n)

    def to_dict(self) -> dict[str, object]:
        """All fields and shares."""
        return {
            **dataclasses.asdict(self),
            "share": self.share,
            "interval": list(self.interval),
            "chance": CHANCE,
            "both_share": self.both_share,
            "both_interval": list(self.both_interval),
        }

    def __str__(self) -> str:
        return (
            f"{self.share:.3f} {self.interval} of pairs right · n {self.n} · chance {CHANCE} · "
            f"both verdicts right {self.both_share:.3f} {self.both_interval}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class PairsReport:
    """The results of a judge on a suite of minimal pairs.

    Attributes:
        frame: One row a pair: all columns as read, then ``margin_good`` and ``margin_bad`` (log-odds of the label that
            means acceptable, in nats), ``right`` (1, 0.5 or 0) and ``both`` (both verdicts right).
        scores: Over all pairs.
        good: The label that means acceptable.
        identical: Pairs whose sides are the same text; they are ties.
        alike: Further pairs whose sides have the same token ids; they are ties as well.
        files: The suite's files, each with its sha256.
    """

    frame: pl.DataFrame
    scores: PairScores
    good: str
    identical: int
    alike: int
    files: dict[str, str]

    def __repr__(self) -> str:
        phenomena = self.frame["phenomenon"].n_unique()
        if phenomena < 2:
            return str(self.scores)
        mean, interval = self.macro
        return f"{self.scores} · mean of {phenomena} phenomena {mean:.3f} {interval}"

    @checked_types
    def by(self, column: str) -> dict[str, PairScores]:
        """Scores of every value of a column (``phenomenon``, ``term``, …), the lowest share first.

        Raises:
            DataError: The suite has no such column.
        """
        values, judged = column_of(self.frame, column, "the suite"), self.frame.select("right", "both")
        scores = {value: _scores(judged[rows]) for value, rows in rows_by_value(values).items()}
        return dict(sorted(scores.items(), key=lambda item: item[1].share))

    @property
    def macro(self) -> tuple[float, Interval]:
        """The mean of the phenomena's shares, as BLiMP's overall figure, and its 95 % interval.

        The phenomena are fixed, their pairs are a sample; Wilson's intervals are combined by the method of
        variance estimates recovery (Zou & Donner 2008, Statistics in Medicine 27, eq. 4).
        """
        parts = list(self.by("phenomenon").values())
        mean = sum(part.share for part in parts) / len(parts)
        low = math.hypot(*(part.share - part.interval.low for part in parts)) / len(parts)
        high = math.hypot(*(part.interval.high - part.share for part in parts)) / len(parts)
        return mean, Interval(max(0.0, mean - low), min(1.0, mean + high))

    def to_dict(self) -> dict[str, object]:
        """Scores and where they come from, without the pairs."""
        mean, interval = self.macro
        columns = [column for column in ("phenomenon", "term") if column in self.frame.columns]
        return {
            **self.scores.to_dict(),
            "macro": mean,
            "macro_interval": list(interval),
            "good": self.good,
            "identical": self.identical,
            "alike": self.alike,
            **{f"by {c}": {name: part.to_dict() for name, part in self.by(c).items()} for c in columns},
            "files": self.files,
        }


@checked_types
def pairs(
    judge: Judge,
    suite: Any,
    *,
    good: str | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> PairsReport:
    """Judges every sentence of a suite of minimal pairs once and scores the pairs.

    Args:
        judge: The judge.
        suite: ``starter`` (its test split), a BLiMP JSONL file, any table with a column for each side, a folder of
            such files, or a list of (acceptable, unacceptable).
        good: The label that means acceptable, if it is not clear from the judge's labels.
        columns: Role (``sentence_good``, ``sentence_bad``, ``phenomenon``, ``term``) to column name or number.
        separator: The separator of delimited text, if it is not the usual one of the file's format.

    Raises:
        DataError: The suite cannot be read completely; or a pair lacks a side.
        UsageError: Which label means acceptable is not clear; or the judge was trained on pairs of sentences.
        RunError: The judge computes NaN.
    """
    if judge.inputs == PAIRS:
        raise UsageError(
            "this judge was trained on pairs of sentences; each side of a minimal pair is a single sentence",
            next="use a run that was trained on single sentences",
            code="E-USAGE-JUDGE",
        )
    label = good_label(judge.labels, good)
    loaded = load_suite(suite, columns=columns, separator=separator)
    texts = [*loaded.frame["sentence_good"], *loaded.frame["sentence_bad"]]

    def place(row: int) -> str:
        return loaded.place(row % len(loaded.frame))

    inputs = LogitsCache(judge).encode(texts, place=place)
    warn_of_truncated(inputs.flags & TRUNCATED > 0, judge.max_length, place)
    rows, encoded = inputs.slots.reshape(2, -1), inputs.new
    with meter("judging", len(encoded), "sentences") as bar:
        logits = judge.logits_of(encoded, lambda done: bar.advance(len(done)))
    read = _first_with_same_ids(encoded)[rows]
    _refuse_nan(logits[read], loaded)
    _recompute_close_pairs(judge, encoded, logits, read, label)
    margins = log_odds(logits, label)[read]
    called_good = (judge.decision.label_ids(logits) == label)[read]
    added = pl.DataFrame(
        {
            "margin_good": margins[0],
            "margin_bad": margins[1],
            "right": (np.sign(margins[0] - margins[1]) + 1) / 2,
            "both": called_good[0] & ~called_good[1],
        }
    )
    frame = side_by_side(loaded.frame, added)
    identical = int((rows[0] == rows[1]).sum())
    alike = int((read[0] == read[1]).sum()) - identical
    return PairsReport(frame, _scores(frame), judge.labels[label], identical, alike, loaded.files)


def _first_with_same_ids(encoded: Encoded) -> npt.NDArray[np.int64]:
    """For every input the first one with the same ids, int64, shape (N,): their margins must be equal.

    In different batches the last bits of their logits would differ.
    """
    first: dict[bytes, int] = {}
    ends = encoded.offsets
    ids = (encoded.ids[ends[row] : ends[row + 1]].tobytes() for row in range(len(encoded)))
    return np.array([first.setdefault(key, row) for row, key in enumerate(ids)])


def _recompute_close_pairs(
    judge: Judge, encoded: Encoded, logits: Logits, rows: npt.NDArray[np.int64], label: int
) -> None:
    """Computes the closest pairs again in fp32, in place; `Judge.logits_of` has done so with the verdicts.

    Args:
        judge: The judge.
        encoded: N sentences.
        logits: float32, shape (N, labels).
        rows: The sentences of each pair, shape (2, pairs).
        label: The label that means acceptable.
    """

    def differences(of: Logits) -> npt.NDArray[np.float64]:
        return log_odds(of[0], label) - log_odds(of[1], label)

    judge.recompute_close_calls(
        encoded,
        logits,
        rows[:, rows[0] != rows[1]],
        margins=lambda of: np.abs(differences(of)),
        changes=lambda before, after: np.abs(differences(after) - differences(before)),
        at_once=8 * CLOSE_CALLS,
    )


def _refuse_nan(logits: npt.NDArray[np.float32], suite: Suite) -> None:
    """Logits of shape (2, pairs, labels)."""
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=(0, 2)))
    if len(bad):
        raise RunError(
            "the judge computes no finite logits for a pair",
            where=suite.place(int(bad[0])),
            found=f"logits {logits[:, bad[0]].tolist()}; {len(bad)} such pairs",
            cause="damaged weights, or a precision with too small a range",
            next="try --precision fp32",
            code="E-RUN-NAN",
        )


def _scores(frame: pl.DataFrame) -> PairScores:
    right = frame["right"]
    return PairScores(frame.height, int((right == 1).sum()), int((right == 0.5).sum()), int(frame["both"].sum()))
