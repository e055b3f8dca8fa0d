"""Measures training speed: the notebook chapter, the Hugging Face Trainer, the tuned Trainer, Acceptor. In one run.

    python benchmarks/train_speed.py --data FOLDER --encoder minilm --encoder mpnet
    python benchmarks/train_speed.py --device cuda --encoder bert-base-random

A table, then one JSON object on the last line. `acceptor bench --only train` is the same. The data is CoLA
if its raw files are in `shared/data/cola/raw`, in or beside the repository, else the embedded corpus.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from acceptor.bench.compare import bench
from acceptor.cli import render as terminal
from acceptor.errors import AcceptorError

REPOSITORY = Path(__file__).resolve().parent.parent
COLA = [folder / "shared" / "data" / "cola" / "raw" for folder in (REPOSITORY, REPOSITORY.parent)]


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", action="append")
    parser.add_argument("--data", default=next((str(folder) for folder in COLA if folder.is_dir()), "starter"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        encoders = [
            base_random(Path(scratch)) if name == "bert-base-random" else name for name in options.encoder or ["minilm"]
        ]
        try:
            result = bench(encoders, data=options.data, rounds=options.rounds, parts=("train",), device=options.device)
        except AcceptorError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
    print(f"data: {'CoLA' if options.data in map(str, COLA) else options.data}")
    terminal.show(*terminal.bench_text(result))
    print(json.dumps(result))


def base_random(folder: Path) -> str:
    """A base-size BERT with random weights and MiniLM's tokenizer: speed does not depend on the weights."""
    from transformers import BertConfig, BertModel

    from acceptor.model.pretrained import find_encoder
    from acceptor.model.tokenizer import load_tokenizer

    BertModel(BertConfig()).save_pretrained(folder)
    load_tokenizer(find_encoder("minilm").folder).save_pretrained(folder)
    return str(folder)


if __name__ == "__main__":
    main()
