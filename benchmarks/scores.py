"""Trains one encoder on one corpus with several seeds and prints every score, then mean and sd.

    python benchmarks/scores.py cola --data FOLDER --encoder mpnet --seeds 1 2 3
    python benchmarks/scores.py starter --encoder minilm --seeds 1 2 3

One JSON object a line: first each seed's, last the summary. Runs are written to a temporary folder and
removed. The test split is used for no choice: the last epoch's weights are scored (`select="last"`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import acceptor


def main() -> None:
    """Reads the arguments, trains once for each seed, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--data", help="folder of a named corpus' files")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()

    data = acceptor.load_data(options.corpus, folder=options.data)
    scores: dict[str, list[float]] = {"validation": [], "test": []}
    for seed in options.seeds:
        config = acceptor.TrainConfig(
            encoder=options.encoder,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            batch_size=options.batch_size,
            seed=seed,
        )
        with tempfile.TemporaryDirectory() as scratch:
            run = acceptor.train(data, out=Path(scratch) / "run", config=config)
        line = {"seed": seed, "seconds": round(run.record["seconds"]["train"], 1)}
        for name, report in run.reports.items():
            scores[name].append(report.mcc)
            line[name] = {"mcc": report.mcc, "interval": report.interval, "accuracy": report.scores.accuracy}
        print(json.dumps(line), flush=True)

    summary = {
        "corpus": options.corpus,
        "config": {**config.model_dump(), "seed": options.seeds},
        "commit": run.record["commit"],
        "machine": run.record["machine"],
        "versions": run.record["versions"],
        "mcc": {
            name: {
                "mean": round(statistics.mean(values), 4),
                "sd": round(statistics.stdev(values), 4) if len(values) > 1 else None,
                "n": len(values),
                "values": [round(value, 4) for value in values],
            }
            for name, values in scores.items()
        },
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
