"""Measures the share of a training's time that checkpoints take at the default intervals.

    python benchmarks/checkpoints.py [DATA] [--encoder minilm] [--epochs 12]

Trains and counts the seconds in saves; trains again, stops after a save in the second half, and resumes: shows how long
reading the checkpoint takes, and whether the weights are the same.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import acceptor
from acceptor.training import checkpoint


class Killed(BaseException):
    """Raised in place of a kill."""


def main() -> None:
    """Trains twice and prints a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="starter")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    save, load = checkpoint.Checkpoints.save, checkpoint.Checkpoints.load
    saves: list[tuple[int, float]] = []
    loads: list[float] = []

    def saved(self: Any, progress: Any, *rest: Any) -> None:
        began = time.perf_counter()
        save(self, progress, *rest)
        saves.append((progress.step, time.perf_counter() - began))

    def loaded(self: Any, **how: Any) -> Any:
        began = time.perf_counter()
        found = load(self, **how)
        loads.append(time.perf_counter() - began)
        return found

    checkpoint.Checkpoints.save, checkpoint.Checkpoints.load = saved, loaded  # type: ignore[method-assign]
    data = acceptor.load_data(options.data)
    config = acceptor.TrainConfig(encoder=options.encoder, epochs=options.epochs, learning_rate=5e-5)
    with tempfile.TemporaryDirectory() as folder:
        run = acceptor.train(data, out=Path(folder) / "run", config=config)
        seconds = run.history[-1]["seconds"]
        whole, steps = list(saves), run.history[-1]["step"]
        saves.clear()

        def killing(self: Any, progress: Any, *rest: Any) -> None:
            saved(self, progress, *rest)
            if progress.step > steps // 2:
                raise Killed

        checkpoint.Checkpoints.save = killing  # type: ignore[method-assign]
        place = Path(folder) / "again"
        try:
            acceptor.train(data, out=place, config=config)
        except Killed:
            checkpoint.Checkpoints.save = saved  # type: ignore[method-assign]
            acceptor.train(data, out=place, config=config, resume=True)
        same = (place / "model.safetensors").read_bytes() == (run.folder / "model.safetensors").read_bytes()
    took = [each for _, each in whole]
    found = {
        "seconds": round(seconds, 1),
        "steps": steps,
        "checkpoints": len(took),
        "seconds in checkpoints": round(sum(took), 2),
        "share": round(sum(took) / seconds, 4),
        "longest save": round(max(took), 2),
        "seconds to read one": [round(each, 2) for each in loads],
        "the same weights": same,
    }
    for name, value in found.items():
        print(f"{name:<24}{value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
