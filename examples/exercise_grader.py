"""Grades a class' answers to a grammar exercise, and shows which words of a wrong answer the judge reacts to.

    python examples/exercise_grader.py runs/cola answers.tsv

answers.tsv has a header with the columns student and sentence. Take a judge that was trained on sentences like your
students'; a verdict is still only the opinion of one judge, so read the close ones yourself.
"""

from __future__ import annotations

import sys

import polars as pl

import acceptor

CLOSE = 1.0  # nats: an acceptable answer of this margin has a probability of .73


def main() -> None:
    """Judges all answers, explains the wrong ones, counts the right ones of every student."""
    run, file = sys.argv[1:]
    judge = acceptor.load(run)
    if "acceptable" not in judge.labels:
        sys.exit(f"{run} is no judge of acceptability: its labels are {', '.join(judge.labels)}")
    answers = pl.read_csv(file, separator="\t", quote_char=None, infer_schema=False)
    # Adds the columns verdict, probability and margin.
    graded = judge.annotate(answers).with_columns(right=pl.col("verdict") == "acceptable")
    for row in graded.iter_rows(named=True):
        mark = "right" if row["right"] else "wrong"
        close = "  (close: read it yourself)" if row["margin"] < CLOSE else ""
        print(f"{row['student']:<12}{mark}  margin {row['margin']:.2f}  {row['sentence']}{close}")
        if not row["right"]:
            [explanation] = acceptor.explain(judge, [row["sentence"]])
            # Above 0: the word supports the verdict, so here it speaks against the sentence.
            print(f"{'':<12}words  {explanation.line}")
    print()
    totals = graded.group_by("student", maintain_order=True).agg(pl.col("right").sum(), pl.len().alias("of"))
    for student, right, of in totals.iter_rows():
        print(f"{student:<12}{right} of {of} right")


if __name__ == "__main__":
    main()
