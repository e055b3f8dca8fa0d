"""Compares what judges of CoLA know: scores in and out of domain, calibration, minimal pairs. For records/judgments.md.

    python benchmarks/judgments.py "mpnet=runs/mpnet-seeds" "minilm=runs/minilm"

Each name stands for a run folder, or a folder of seeds, of which every finished run counts. A Markdown table of means
and standard deviations over runs, then one JSON object on the last line. Pairs are judged anew; all other scores are
read from the records of the runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import polars as pl

import acceptor
from acceptor.evaluation.metrics import METRICS, confusion_matrix
from acceptor.runs.report_file import read_report_file
from acceptor.runs.run_file import read_run_file
from acceptor.runs.set_file import finished_seeds

Scores = dict[str, float]
COLUMNS: dict[str, Callable[[float], str]] = {
    "in domain": lambda value: f"{value:.3f}",
    "out of domain": lambda value: f"{value:.3f}",
    "both together": lambda value: f"{value:.3f}",
    "ECE in domain": lambda value: f"{value:.3f}",
    "starter's pairs": lambda value: f"{value:.3f}",
    "plain pairs in order": lambda value: f"{value:.1f}",
    "both verdicts right": lambda value: f"{value:.1f}",
    "seconds": lambda value: f"{value:,.0f}",
}


def runs_in(folder: Path) -> list[Path]:
    """A run folder, or all finished runs of a folder of seeds."""
    seeds = finished_seeds(folder)
    return [folder] if seeds is None else [folder / name for name in seeds.finished_folders]


def scores_of(run: Path) -> Scores:
    """One run's scores, by column."""
    splits = read_report_file(run).splits
    verdicts = pl.read_parquet(run / "predictions.parquet", columns=["gold", "verdict"])
    labels = {label: index for index, label in enumerate(acceptor.load(run).labels)}
    gold, found = (verdicts[name].replace_strict(labels).to_numpy() for name in ("gold", "verdict"))
    judge = acceptor.load(run)
    plain, starter = acceptor.pairs(judge, "plain").scores, acceptor.pairs(judge, "starter").scores
    return {
        "in domain": splits["validation"].mcc or 0.0,
        "out of domain": splits["test"].mcc or 0.0,
        "both together": float(METRICS["mcc"](confusion_matrix(gold, found, len(labels)))),
        "ECE in domain": splits["validation"].measures["ece"].value or 0.0,
        "starter's pairs": starter.share,
        "plain pairs in order": plain.right,
        "both verdicts right": plain.both,
        "seconds": read_run_file(run).seconds["train"],
    }


def cell(values: list[float], column: str) -> str:
    """Mean and standard deviation, or the value of the only run."""
    shown = COLUMNS[column](statistics.fmean(values))
    return f"{shown} ± {COLUMNS[column](statistics.stdev(values))}" if len(values) > 1 else shown


def main() -> None:
    """Judges and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    given = dict(one.split("=", 1) for one in parser.parse_args().runs)
    found = {name: [scores_of(run) for run in runs_in(Path(folder))] for name, folder in given.items()}
    print("| judge | runs |", " | ".join(COLUMNS), "|")
    print("|---|---|" + "---|" * len(COLUMNS))
    for name, scores in found.items():
        cells = [cell([one[column] for one in scores], column) for column in COLUMNS]
        print(f"| {name} | {len(scores)} |", " | ".join(cells), "|")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
