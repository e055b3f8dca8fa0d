"""From nothing to a judge in one go: `make demo`.

Fine-tunes the embedded encoder on the embedded corpus, scores it on test, judges three sentences.
"""

from __future__ import annotations

import acceptor


def main() -> None:
    """Trains, evaluates, judges, and says where to look."""
    data = acceptor.load_data("starter")
    config = acceptor.TrainConfig(encoder="minilm", dropout=0.0)
    run = acceptor.train(data, out="runs/demo", config=config, overwrite=True)
    print(run.report)
    print(run.reports["test"])
    for phenomenon, scores in run.reports["test"].by("phenomenon").items():
        print(f"  {phenomenon:<28}{scores}")

    judge = acceptor.load("runs/demo")
    sentences = ["The book was written.", "The book was wrote.", "The keys to the cabinet is here."]
    for sentence, verdict in zip(sentences, judge(sentences), strict=True):
        print(f"{verdict.label:<14}{verdict.probability:.2f}  {sentence}")

    print("\nthe run:       runs/demo   (start with runs/demo/README.md)")
    print("its loss plot: runs/demo/figures/loss.png")
    print('next:          .venv/bin/acceptor judge runs/demo "Which cats sleep?"')
    print("               .venv/bin/acceptor train YOUR_FILE.tsv --encoder minilm")


if __name__ == "__main__":
    main()
