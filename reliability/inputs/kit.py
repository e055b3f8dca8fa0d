"""A tiny encoder and judges of it for all cases; each is made when a case first needs it."""

from __future__ import annotations

import json
import logging
import os
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from reliability.inputs.case import REPOSITORY

TAILS = ["sleep", "see", "girl", "boy", "garden", "book", "John", "mat"]
CASES = REPOSITORY.parent / "shared" / "cases"


def sentences(n: int, seed: int = 0) -> list[tuple[str, bool]]:
    """Sentences that a tiny encoder can learn, no two equal: good ones begin "the cats", bad ones "the cat them"."""
    rng = random.Random(seed)
    result, rows = set(), []
    while len(rows) < n:
        good = len(rows) % 3 != 0
        text = f"{'the cats' if good else 'the cat them'} {' '.join(rng.choices(TAILS, k=rng.randrange(3, 7)))}."
        if text not in result:
            result.add(text)
            rows.append((text, good))
    return rows


class Kit(Mapping[str, str]):
    """Names in braces to paths, each made when it is first needed.

    ``encoder``; ``run`` (0/1 on single sentences), ``other`` (another seed), ``pairs``, ``words`` (ham, spam), ``many``
    (eight labels), ``thirty``; ``onnx`` (``run`` exported); ``cases`` (the shared files); ``python``.
    """

    RUNS = ("run", "other", "pairs", "words", "many", "thirty")

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.made: dict[str, str] = {"cases": str(CASES), "python": sys.executable, "repository": str(REPOSITORY)}
        own_cache(scratch / "cache")

    def __iter__(self) -> Iterator[str]:
        return iter(("encoder", "onnx", *self.RUNS, *self.made))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in ("encoder", "onnx", *self.RUNS, *self.made)

    def __getitem__(self, name: str) -> str:
        if name not in self.made:
            if name not in self:
                raise KeyError(name)
            logging.disable(logging.WARNING)
            try:
                self.made[name] = str(self._make(name))
            finally:
                logging.disable(logging.NOTSET)
        return self.made[name]

    def _make(self, name: str) -> Path:
        if name == "encoder":
            sys.path.insert(0, str(REPOSITORY / "tests"))
            from tiny import make_encoder

            return make_encoder(self.scratch / "encoder", initializer_range=0.2)
        if name == "onnx":
            import acceptor

            acceptor.export(acceptor.load(self["run"], device="cpu", precision="fp32"), self.scratch / "judge.onnx")
            return self.scratch / "judge.onnx"
        return self._train(name)

    def _train(self, name: str) -> Path:
        import acceptor

        texts = sentences(200, seed=11)
        rows = {
            "words": [(text, "spam" if good else "ham") for text, good in texts],
            "pairs": [(text, "the book is there.", "entailment" if good else "not_entailment") for text, good in texts],
            "many": [(text, f"kind {n % 8}") for n, (text, _) in enumerate(texts)],
            "thirty": [(text, f"kind {n % 30:02}") for n, (text, _) in enumerate(texts)],
        }.get(name, [(text, str(int(good))) for text, good in texts])
        config = acceptor.TrainConfig(
            encoder=self["encoder"],
            epochs=3,
            batch_size=16,
            learning_rate=1e-2,
            max_length=32,
            seed=8 if name == "other" else 7,
            device="cpu",
            precision="fp32",
            on_collapse="go-on",
        )
        data = acceptor.load_data(rows[:120], validation=rows[120:160], test=rows[160:])
        acceptor.train(data, out=self.scratch / name, config=config)
        return self.scratch / name


def own_cache(folder: Path) -> None:
    """A cache for these cases, in which this machine's default precision is fp32."""
    import torch

    from acceptor.runtime.device import processor_key

    folder.mkdir(parents=True, mode=0o700)
    os.environ["ACCEPTOR_CACHE"] = str(folder)
    (folder / "bf16-gain.json").write_text(json.dumps({f"{processor_key()}, torch {torch.__version__}": 1.0}))
