"""Trains a judge of sentence pairs: do the two mean the same?

    python examples/paraphrase_pairs.py pairs.tsv --encoder minilm --out runs/paraphrases

pairs.tsv has a header with the columns sentence1, sentence2 and label (0 or 1), as MRPC and QQP have. Other names need
`columns` of `load_data`. The same works for entailment: labels may be any words, and more than two.
"""

from __future__ import annotations

import argparse

import acceptor

NAMES = ["different", "same"]  # of labels 0 and 1
FIRST = ["The cat sleeps on the mat.", "The cat sleeps on the mat."]
SECOND = ["On the mat the cat sleeps.", "The boy reads a book."]


def main() -> None:
    """Trains, reports, judges two pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--epochs", type=int, help="[derived]")
    parser.add_argument("--out", default="runs/paraphrases")
    options = parser.parse_args()
    data = acceptor.load_data(options.file, labels=NAMES)
    config = acceptor.TrainConfig(encoder=options.encoder, epochs=options.epochs)
    run = acceptor.train(data, out=options.out, config=config)
    print(run.report)
    judge = acceptor.load(options.out)
    # A judge of pairs takes two lists of equal length. One list alone is refused: it was not trained on that.
    for first, second, verdict in zip(FIRST, SECOND, judge(FIRST, SECOND), strict=True):
        print(f"{verdict.label:<10} {verdict.probability:.2f}  {first} | {second}")


if __name__ == "__main__":
    main()
