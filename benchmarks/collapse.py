"""Counts the collapsed and healthy trainings that the collapse guard stops, at a far too high rate and at usual ones.

    python benchmarks/collapse.py FOLDER_OF_COLA --encoder minilm --runs 10

At ``--high`` (1e-3) every training should be stopped; at ``--usual`` (1e-4 and 2e-5 in turn) none, although after their
first epoch all verdicts are often the same label, too. One JSON object a line: each training, last the counts. A
training at the high rate that ends with different verdicts did not collapse; it is counted separately.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import acceptor
from acceptor.runtime.device import source_commit, versions
from acceptor.training.collapse import CollapseError


def tried(data: acceptor.Data, config: acceptor.TrainConfig) -> dict[str, Any]:
    """Trains once, and returns whether it was stopped."""
    about = {"learning_rate": config.learning_rate, "seed": config.seed}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            run = acceptor.train(data, out=Path(scratch) / "run", config=config)
        except CollapseError as error:
            return {**about, "stopped": True, **error.collapse.to_dict()}
    scores = run.report.scores.to_dict()
    return {**about, "stopped": False, "one_verdict": scores["collapsed"], "mcc": scores["mcc"]}


def main() -> None:
    """Trains, prints a line for each, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--runs", type=int, default=10, help="of each kind")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--high", type=float, default=1e-3)
    parser.add_argument("--usual", type=float, nargs="+", default=[1e-4, 2e-5])
    given = parser.parse_args()
    data = acceptor.load_data(given.data)
    found: dict[str, list[dict[str, Any]]] = {"high": [], "usual": []}
    for seed in range(1, given.runs + 1):
        for kind, rate in (("high", given.high), ("usual", given.usual[seed % len(given.usual)])):
            config = acceptor.TrainConfig(encoder=given.encoder, epochs=given.epochs, learning_rate=rate, seed=seed)
            found[kind].append(tried(data, config))
            print(json.dumps(found[kind][-1]), flush=True)
    one_verdict = [line for line in found["high"] if line["stopped"] or line["one_verdict"]]
    counts = {
        "collapsed": len(one_verdict),
        "caught": sum(line["stopped"] for line in found["high"]),
        "high": len(found["high"]),
        "usual": len(found["usual"]),
        "stopped_by_mistake": sum(line["stopped"] for line in found["usual"]),
    }
    print(f"caught {counts['caught']} of {counts['collapsed']} collapsed; stopped by mistake "
          f"{counts['stopped_by_mistake']} of {counts['usual']} healthy")  # fmt: skip
    print(json.dumps({**counts, "commit": source_commit(), "versions": versions()}))


if __name__ == "__main__":
    main()
