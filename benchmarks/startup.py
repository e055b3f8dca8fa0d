"""Measures start-up, reading CoLA, padding. `make bench`.

    python benchmarks/startup.py [--data FOLDER]

A table, then one JSON object on the last line. Times are medians of several runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from acceptor.config import TrainConfig
from acceptor.data.load import load_data
from acceptor.model.batches import epoch_batches, padding_ratio
from acceptor.model.encode import encode
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer

HELP = "import sys; sys.argv.append('--help'); from acceptor.__main__ import main; main()"
GENERATE = "from acceptor.data.starter import generate; generate()"
COLA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "cola" / "raw"


def seconds(code: str, runs: int = 7) -> float:
    """Median wall time of a fresh Python process that runs ``code``."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=COLA, help="folder of CoLA's raw files")
    folder = parser.parse_args().data

    bare = seconds("pass")
    figures: dict[str, object] = {
        "python_start_s": round(bare, 3),
        "import_acceptor_s": round(seconds("import acceptor") - bare, 3),
        "starter_s": round(seconds(GENERATE, 3) - seconds("import acceptor.data.starter", 3), 3),
        "help_s": round(seconds(HELP), 3),
    }
    if folder.is_dir():
        data = load_data("cola", folder=folder)
        figures["cola_rows"] = [len(split) for split in data.splits]
        figures["cola_text_equal"] = all(
            split.sentences == [line.split("\t")[3] for line in _lines(Path(split.table.origin))]
            for split in data.splits
        )
        tokenizer = load_tokenizer(find_encoder("minilm").folder)
        encoded = encode(tokenizer, data.train.sentences, max_length=128)
        lengths = encoded.lengths
        figures["cola_tokens"] = int(lengths.sum())
        for order in ("bucketed", "random"):
            config = TrainConfig(order=order)
            ratios = [padding_ratio(lengths, epoch_batches(lengths, config, epoch)) for epoch in range(1, 5)]
            figures[f"positions_per_token_{order}"] = round(statistics.mean(ratios), 4)
        figures["positions_per_token_pad_128"] = round(128 * len(lengths) / int(lengths.sum()), 4)
    for name, value in figures.items():
        print(f"{name:<32}{value}")
    print(json.dumps(figures))


def _lines(path: Path) -> list[str]:
    """The file's lines, independent of our reader: bytes split at line feeds."""
    return [line.decode("utf-8") for line in path.read_bytes().rstrip(b"\n").split(b"\n")]


if __name__ == "__main__":
    main()
