"""Simulates the coverage of intervals and the error rates of tests, with a known truth.

    python benchmarks/simulations.py [--draws 2000] [--sizes 516 1043] [--only coverage|errors]

Margins of acceptable and unacceptable sentences are normal, with CoLA's share of acceptable ones and a Matthews
correlation near .55. `coverage`: of the drawn test sets, the share whose 95 % interval holds the score of a million
sentences. `errors`: two systems that are equally good in truth are compared; the share of p below .05, and of intervals
without 0. Lines of text, then one JSON object.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from acceptor.evaluation.compare import compare_judged
from acceptor.evaluation.intervals import bootstrap_intervals, mcc_interval
from acceptor.evaluation.judged import Judged
from acceptor.evaluation.measures import BIASED, statistics
from acceptor.evaluation.metrics import confusion_matrix

ACCEPTABLE = 0.69
MEANS = np.array([-0.4, 1.2])  # of the margins of unacceptable and acceptable sentences; their sd is 1
SHARPNESS = 1.6  # p(acceptable) is the logistic function of the margin times this: slightly miscalibrated
SOURCES = 17


def draw(rng: np.random.Generator, n: int) -> tuple[Any, Any, Any]:
    """Gold label ids, verdicts and probabilities of n sentences."""
    gold = (rng.random(n) < ACCEPTABLE).astype(np.int64)
    margin = MEANS[gold] + rng.normal(size=n)
    likely = 1 / (1 + np.exp(-SHARPNESS * margin))
    return gold, (margin >= 0).astype(np.int64), np.stack([1 - likely, likely], axis=1)


def _covered(task: tuple[int, int, dict[str, float]]) -> dict[str, bool | None]:
    seed, n, truth = task
    gold, predicted, probabilities = draw(np.random.default_rng([1, seed]), n)
    intervals = dict(bootstrap_intervals(statistics(gold, predicted, probabilities), n, biased=BIASED))
    intervals["mcc, closed form"] = mcc_interval(confusion_matrix(gold, predicted, 2))
    names = {name: name.split(",")[0] for name in intervals}
    return {name: one and one.low <= truth[names[name]] <= one.high for name, one in intervals.items()}


def coverage(pool: ProcessPoolExecutor, draws: int, n: int) -> dict[str, float]:
    """Share of the draws whose interval contains the truth, by score."""
    everyone = statistics(*draw(np.random.default_rng(0), 1_000_000))
    truth = {name: float(score(np.ones((1, 1_000_000)))[0]) for name, score in everyone.items()}
    found = list(pool.map(_covered, [(seed, n, truth) for seed in range(draws)], chunksize=10))
    shares = {name: sum(bool(one[name]) for one in found) / draws for name in found[0]}
    for name, share in shares.items():
        print(f"n {n:>5}  {name:<20} {share:.1%} of {draws} intervals hold {truth[name.split(',')[0]]:.3f}", flush=True)
    return shares


def _erred(task: tuple[int, int, int, float]) -> dict[str, bool]:
    """One comparison of two systems of equal quality: which of the results are wrong."""
    seed, n, seeds, leaning = task
    rng = np.random.default_rng([2, seed])
    gold = (rng.random(n) < ACCEPTABLE).astype(np.int64)
    sources = rng.integers(SOURCES, size=n)
    common = MEANS[gold] + 0.2 * rng.normal(size=SOURCES)[sources] + 0.9 * rng.normal(size=n)

    def system(name: str) -> Judged:
        # A seed changes every margin a little, and how well the labels are separated.
        own = 0.4 * rng.normal(size=(seeds, n)) + leaning * rng.normal(size=(seeds, 1)) * (2 * gold - 1)
        verdicts = (common + own >= 0).astype(np.int64)
        return Judged(name, ("no", "yes"), range(n), gold, verdicts, sources)

    (found,) = compare_judged(system("a"), [system("b")], draws=2000)
    wrong = {"p": found.p < 0.05, "interval": found.interval is not None and not _holds_zero(found.interval)}
    wrong["interval of sources"] = found.of_sources is not None and not _holds_zero(found.of_sources)
    if found.p_mcnemar is not None:
        wrong["McNemar's p"] = found.p_mcnemar < 0.05
    return wrong


def _holds_zero(interval: Any) -> bool:
    return bool(interval.low <= 0 <= interval.high)


def errors(pool: ProcessPoolExecutor, draws: int, n: int, seeds: int, leaning: float) -> dict[str, float]:
    """Share of the comparisons that find a false difference, by test."""
    found = list(pool.map(_erred, [(seed, n, seeds, leaning) for seed in range(draws)], chunksize=10))
    shares = {name: sum(one[name] for one in found) / draws for name in found[0]}
    for name, share in shares.items():
        print(
            f"n {n:>5}  {seeds} seed(s), sd {leaning}  {name:<20} finds a difference in {share:.1%} of {draws}",
            flush=True,
        )
    return shares


def main() -> None:
    """Reads the arguments, simulates, prints one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[516, 1043])
    parser.add_argument("--only", choices=["coverage", "errors"])
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with ProcessPoolExecutor() as pool:
        for n in options.sizes:
            if options.only != "errors":
                result[f"coverage at {n}"] = coverage(pool, options.draws, n)
            if options.only != "coverage":
                for seeds, leaning in ((1, 0.0), (5, 0.0), (5, 0.05), (5, 0.2)):
                    name = f"errors at {n}, {seeds} seeds, sd {leaning}"
                    result[name] = errors(pool, options.draws, n, seeds, leaning)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
