"""Trains several encoders, with several learning rates, on one corpus: a table with intervals, and paired tests.

    python examples/encoder_sweep.py starter --encoders minilm mpnet --rates 5e-5 1e-4 --seeds 3 --out runs/sweep

Every row is trained with several seeds; its interval is that of the mean over seeds. Then every other row is compared
with the first on the same sentences: the difference, its interval, and p corrected for the number of rows. The same
command resumes after a stop. If you choose a row by its test score, that score is too high: report it on other data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

import acceptor


def main() -> None:
    """Trains all rows, prints the table and the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a corpus, a file or a folder")
    parser.add_argument("--encoders", nargs="+", default=["minilm"])
    parser.add_argument("--rates", nargs="+", type=float, default=[None], help="learning rates [derived]")
    parser.add_argument("--epochs", type=int, help="[derived]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"))
    options = parser.parse_args()
    data = acceptor.load_data(options.data)
    systems: list[acceptor.Seeds] = []
    table = Table("encoder", "rate", "scored on", "MCC", "sd", "95 % interval", "seeds")
    for encoder in options.encoders:
        for rate in options.rates:
            config = acceptor.TrainConfig(encoder=encoder, learning_rate=rate, epochs=options.epochs)
            name = f"{Path(encoder).name}-{rate or 'derived'}"
            found = acceptor.train_seeds(data, out=options.out / name, seeds=options.seeds, config=config)
            systems.append(found)
            spread = found.spread()  # None if no training has a score: all of its verdicts are alike
            mean, sd, seeds = (spread.mean, spread.sd or 0, len(spread.values)) if spread else (float("nan"), 0, 0)
            cells = (f"{mean:.3f}", f"{sd:.3f}", str((spread and spread.interval) or "—"), str(seeds))
            table.add_row(Path(encoder).name, str(rate or "derived"), found.split, *cells)
    Console().print(table)
    if len(systems) > 1 and (data.test or data.validation):  # else every seed has cut other sentences from train
        print(*acceptor.compare(*systems), sep="\n")


if __name__ == "__main__":
    main()
