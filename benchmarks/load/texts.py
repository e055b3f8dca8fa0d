"""The judge, the texts and their offline verdicts: `python -m benchmarks.load.texts RUN BASE COUNT OUT`.

Also times `predict` on a file of the same texts: `python -m benchmarks.load.texts RUN BASE COUNT OUT --predict`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.client import text_of
from benchmarks.load.processes import BUILD, REPOSITORY

COMPARED = 20_000  # texts that are also judged in bf16, to see by how much that changes a probability


@dataclass(frozen=True)
class Material:
    """What all parts share.

    Attributes:
        run: The judge.
        base: JSON file with the sentences of which texts are made.
        verdicts: JSON file with the offline fp32 verdict of each text, by its number.
        bf16: How far a probability that is computed in bf16 may be from the offline one.
        count: How many texts have one.
        scratch: A folder for temporary files.
        core: The core of the clients; None for any.
        quick: The form for the test suite: few tries, no figures of speed.
    """

    run: Path
    base: str
    verdicts: str
    bf16: float
    count: int
    scratch: Path
    core: int | None
    quick: bool


def trained_run() -> Path:
    """The run of the demo, which is trained once: a judge whose verdicts are seldom close calls, as real ones'."""
    run = BUILD / "run"
    if not (run / "judge.json").exists():
        subprocess.run(
            [sys.executable, "-m", "acceptor", "demo", "--out", str(run)],
            check=True,
            stdout=sys.stderr,
            cwd=REPOSITORY,
        )
    return run


def prepared(run: Path, count: int, scratch: Path, core: int | None, *, quick: bool) -> Material:
    """The texts, and what the judge says of them offline."""
    from acceptor.bench.training import sentences

    base, verdicts = scratch / "base.json", scratch / "verdicts.json"
    base.write_text(json.dumps(sentences("starter")[0]), "utf-8")
    largest = offline(run, base, count, verdicts)["largest_bf16_change"]
    return Material(run, str(base), str(verdicts), 2 * largest, count, scratch, core, quick)


def offline(run: Path, base: Path | str, count: int, out: Path, *options: str) -> Any:
    """Runs this module in a process of its own; the JSON that it prints."""
    command = [sys.executable, "-m", "benchmarks.load.texts", str(run), str(base), str(count), str(out), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    return json.loads(done.stdout.splitlines()[-1])


def noticed(material: Material, tolerance: float = 1e-5, tries: int = 10_000) -> float:
    """The share of swapped answers that the comparison would find, of pairs of texts drawn at random."""
    verdicts = json.loads(Path(material.verdicts).read_text("utf-8"))
    draw = random.Random(0)
    pairs = [draw.sample(verdicts, 2) for _ in range(tries)]
    return sum(one[0] != two[0] or abs(one[1] - two[1]) > tolerance for one, two in pairs) / tries


def main() -> None:
    """Judges the texts offline, or times `predict` on them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("base")
    parser.add_argument("count", type=int)
    parser.add_argument("out")
    parser.add_argument("--predict", action="store_true")
    options = parser.parse_args()
    import acceptor

    base = json.loads(Path(options.base).read_text("utf-8"))
    texts = [text_of(base, number) for number in range(options.count)]
    if options.predict:
        print(json.dumps({"seconds": predict_seconds(options.run, texts)}))
        return
    judge = acceptor.load(options.run, precision="fp32")
    verdicts = [[one.label, one.probability] for one in judge(texts)]
    Path(options.out).write_text(json.dumps(verdicts), "utf-8")
    rough = acceptor.load(options.run)(texts[:COMPARED])  # in bf16 where this machine has it
    change = max(abs(one.probability - exact) for one, (_, exact) in zip(rough, verdicts, strict=False))
    print(json.dumps({"verdicts": len(verdicts), "largest_bf16_change": change}))


def predict_seconds(run: str, texts: list[str]) -> float:
    """Seconds of `predict` for a file of these texts, without the start of the process."""
    from acceptor import predict

    with tempfile.TemporaryDirectory() as scratch:
        file, first = Path(scratch) / "in.txt", Path(scratch) / "first.txt"
        first.write_text("\n".join(texts[:64]) + "\n", "utf-8")
        file.write_text("\n".join(texts) + "\n", "utf-8")
        predict(run, [str(first)], out=Path(scratch) / "first.jsonl")  # imports, kernels
        began = time.perf_counter()
        predict(run, [str(file)], out=Path(scratch) / "out.jsonl")
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
