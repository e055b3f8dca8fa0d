"""Finds rows of a corpus whose label may be wrong: those that a judge trained without them contradicts most.

    python examples/label_errors.py my.tsv --encoder minilm --out runs/my-labels

Cross-validates: every row is judged by a judge that did not see it. Lists the rows whose label got the lowest
probability there. Read them before you change anything: hard sentences are among them as well as wrong labels. The same
command resumes after a stop.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

import acceptor


def suspects(verdicts: pl.DataFrame, labels: tuple[str, ...]) -> pl.DataFrame:
    """The rows with another verdict than their label, the least probable label first."""
    of_label = [pl.when(pl.col("gold") == label).then(pl.col(f"p({label})")) for label in labels]
    own = verdicts.with_columns(probability_of_label=pl.coalesce(of_label))
    return own.filter(pl.col("verdict") != pl.col("gold")).sort("probability_of_label")


def main() -> None:
    """Cross-validates and prints the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a corpus, a file or a folder; its training split is checked")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--epochs", type=int, help="[derived]")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--show", type=int, default=20, help="rows to print [20]")
    parser.add_argument("--out", type=Path, default=Path("runs/label-errors"))
    options = parser.parse_args()
    data = acceptor.load_data(options.data)
    config = acceptor.TrainConfig(encoder=options.encoder, epochs=options.epochs)
    folds = acceptor.cross_validate(data, by=options.folds, out=options.out, config=config)
    print(folds)  # if this score is near 0, the list below is noise
    found = suspects(pl.read_parquet(folds.folder / "predictions.parquet"), data.labels)
    print(f"{len(found)} rows are judged otherwise than labelled; line, p of its label, label, sentence:")
    for row in found.head(options.show).iter_rows(named=True):
        print(f"{row['line']:>6}  {row['probability_of_label']:.3f}  {row['gold']:<14}{row['sentence']}")


if __name__ == "__main__":
    main()
