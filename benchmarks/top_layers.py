"""Trains an encoder with its top layers as pre-trained or from random weights, on corpora of several kinds.

    python benchmarks/top_layers.py registers --english FOLDER --reinit-layers 1 --seed 2018

The corpora: `cola`, CoLA; `balanced`, as many acceptable as unacceptable sentences of it; `few`, 200 of its sentences;
`swapped`, English sentences, every second one with two neighbouring words swapped; `registers`, which of four files an
English sentence is from; `phenomena`, which of ten phenomena of `starter` a sentence is of; `starter`; and `both`,
`starter` and CoLA. One line of JSON: the validation MCC after every epoch. For records/LOG.md.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

import acceptor
from acceptor.data.table import Data, Split

FILES = ("brown", "ewt", "gum", "childes")
Rows = list[tuple[str, str]]


def english(folder: Path, name: str) -> list[str]:
    """Sentences of 5 to 25 words of a text with one sentence a line."""
    return [line for line in (folder / f"{name}.txt").read_text("utf-8").splitlines() if 5 <= len(line.split()) <= 25]


def divided(rows: Rows, train: int, validation: int) -> Data:
    """The first rows in a random order."""
    random.Random(0).shuffle(rows)
    return acceptor.load_data(rows[:train], validation=rows[train : train + validation])


def balanced(cola: Data) -> Data:
    """As many examples of either label, of train and of validation."""
    rng = np.random.default_rng(0)

    def of(split: Split) -> Split:
        rare, frequent = (np.flatnonzero(split.gold == label) for label in (0, 1))
        return split.take(np.sort(np.r_[rare, rng.choice(frequent, len(rare), replace=False)]), split.name)

    return Data(of(cola.train), of(cola.validation))


def few(cola: Data) -> Data:
    """200 sentences to train on."""
    return Data(cola.train.take(random.Random(0).sample(range(len(cola.train)), 200), "train"), cola.validation)


def swapped(folder: Path) -> Data:
    """Natural sentences, and others with two neighbouring words swapped."""
    rng = random.Random(0)
    pool = sorted({line for name in FILES for line in english(folder, name)})
    rng.shuffle(pool)
    rows: Rows = []
    for number, line in enumerate(pool[:10_000]):
        words = line.split()
        if number % 2:
            at = rng.randrange(len(words) - 1)
            if words[at].lower() == words[at + 1].lower():
                continue
            words[at : at + 2] = words[at + 1], words[at]
        rows.append((" ".join(words), "swapped" if number % 2 else "natural"))
    return divided(rows, 8000, 1900)


def registers(folder: Path) -> Data:
    """Which text a sentence is from: 2,500 of each."""
    rng, rows = random.Random(0), []
    for name in sorted(FILES):
        pool = sorted(set(english(folder, name)))
        rng.shuffle(pool)
        rows += [(line, name) for line in pool[:2500]]
    return divided(rows, 8000, 2000)


def phenomena(starter: Data) -> Data:
    """Which of ten phenomena a sentence is of: 100 of each to train on."""
    rng = random.Random(0)
    names = sorted(set(starter.train.table.frame["phenomenon"]))[:20:2]

    def of(split: Split, most: int) -> Rows:
        pools = [split.table.frame.filter(pl.col("phenomenon") == name)["sentence"].to_list() for name in names]
        return [
            (line, name)
            for name, pool in zip(names, pools, strict=True)
            for line in rng.sample(pool, min(most, len(pool)))
        ]

    train = of(starter.train, 100)
    return acceptor.load_data(train, validation=of(starter.validation, 1000))


def both(cola: Path, starter: Data) -> Data:
    """The training sentences of two corpora; CoLA's validate, `starter`'s test."""
    data = acceptor.load_data(cola, extra="starter")
    return Data(data.train, data.validation, starter.test)


def main() -> None:
    """Trains once and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cola", type=Path, help="folder of CoLA's raw files")
    parser.add_argument("--english", type=Path, help=f"folder of {', '.join(f'{name}.txt' for name in FILES)}")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--reinit-layers", type=int, help="by default derived")
    parser.add_argument("--seed", type=int, default=2018)
    starter = lambda: acceptor.load_data("starter")  # noqa: E731
    cola = lambda: acceptor.load_data(options.cola)  # noqa: E731
    corpora: dict[str, Callable[[], Data]] = {
        "cola": cola,
        "balanced": lambda: balanced(cola()),
        "few": lambda: few(cola()),
        "swapped": lambda: swapped(options.english),
        "registers": lambda: registers(options.english),
        "phenomena": lambda: phenomena(starter()),
        "starter": starter,
        "both": lambda: both(options.cola, starter()),
    }
    parser.add_argument("corpus", choices=corpora)
    options = parser.parse_args()
    data = corpora[options.corpus]()
    if options.corpus != "both":
        data = Data(data.train, data.validation)  # no test split is read
    given = {"encoder": options.encoder, "seed": options.seed, "reinit_layers": options.reinit_layers}
    config = acceptor.TrainConfig(**given, on_collapse="go-on")
    with tempfile.TemporaryDirectory() as folder:
        run = acceptor.train(data, out=Path(folder) / "run", config=config)
    by_epoch = [line["mcc"] for line in run.history if line["event"] == "epoch"]
    scores = {name: report.mcc for name, report in run.reports.items()}
    print(json.dumps({"corpus": options.corpus, **given, "by epoch": by_epoch, **scores}))


if __name__ == "__main__":
    main()
