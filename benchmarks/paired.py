"""Compares the scores of the fast path and a plain loop: same seeds, paired differences of MCC.

    python benchmarks/paired.py starter --encoder minilm --seeds 1 2 3 4 5
    python benchmarks/paired.py cola --data FOLDER --encoder minilm --seeds 1 2 3 4 5

The plain loop is Transformers' model as it is, in fp32, torch's AdamW and clipping, torch's dropout; head, batches
and learning rates are those of the fast path. One JSON object a line: each seed's scores, last the summary with the
paired differences, their mean and its 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch.nn.functional import cross_entropy

import acceptor
from acceptor.evaluation.evaluate import report_of
from acceptor.judging.judge import Judge
from acceptor.model.batches import collate, epoch_batches
from acceptor.model.classifier import new_classifier
from acceptor.model.encode import encode
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer
from acceptor.progress import meter
from acceptor.runtime.device import choose_runtime, keep_freed_memory, source_commit, versions
from acceptor.training.schedule import learning_rate


def plain_loop(data: acceptor.Data, config: acceptor.TrainConfig) -> Judge:
    """Fine-tunes with the usual loop."""
    encoder = find_encoder(config.encoder)
    tokenizer = load_tokenizer(encoder.folder)
    model = new_classifier(encoder, data.labels, config.seed).train()
    torch.manual_seed(config.seed)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, config.adam_beta2), eps=1e-8, fused=True)
    train = encode(tokenizer, data.train.sentences, max_length=config.max_length)
    gold = torch.from_numpy(data.train.gold)
    total = config.epochs * math.ceil(len(train) / config.batch_size)
    step = 0
    with meter("plain loop", total, "steps") as bar:
        for epoch in range(1, config.epochs + 1):
            for rows in epoch_batches(train.lengths, config, epoch):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, total, config)
                logits = model(**collate(train, rows, tokenizer.pad_token_id).inputs).logits
                loss = cross_entropy(logits, gold[rows])
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
                optimizer.step()
                step += 1
                bar.advance(1, f"loss {loss.item():.3f}")
    runtime = choose_runtime("cpu", "fp32")
    return Judge(model.eval(), tokenizer, data.labels, config.max_length, runtime, encoder.to_dict())


def fast_path(data: acceptor.Data, config: acceptor.TrainConfig) -> Judge:
    """Fine-tunes as `acceptor.train` does, in this machine's default precision."""
    with tempfile.TemporaryDirectory() as scratch:
        return acceptor.train(data, out=Path(scratch) / "run", config=config).judge


def main() -> None:
    """Trains both ways once for each seed, and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--data", help="folder of a named corpus' files")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    options = parser.parse_args()

    keep_freed_memory()
    data = acceptor.load_data(options.corpus, folder=options.data)
    ways = {"fast": fast_path, "plain": plain_loop}
    scores: dict[str, dict[str, list[float]]] = {way: {"validation": [], "test": []} for way in ways}
    for seed in options.seeds:
        config = acceptor.TrainConfig(
            encoder=options.encoder,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            adam_beta2=0.999,
            dropout=0.1,
            seed=seed,
        )
        line: dict[str, Any] = {"seed": seed}
        for way, train in ways.items():
            started = time.perf_counter()
            judge = train(data, config)
            line[way] = {"seconds": round(time.perf_counter() - started, 1)}
            for name in ("validation", "test"):
                split = getattr(data, name)
                report = report_of(split, judge.logits(split.sentences, split.seconds))
                scores[way][name].append(report.mcc)
                line[way][name] = {"mcc": report.mcc, "interval": report.interval}
        print(json.dumps(line), flush=True)

    summary: dict[str, Any] = {
        "corpus": options.corpus,
        "config": {**config.model_dump(), "seed": options.seeds},
        "commit": source_commit(),
        "machine": choose_runtime().to_dict(),
        "versions": versions(),
    }
    for split in ("validation", "test"):
        differences = np.array(scores["fast"][split]) - np.array(scores["plain"][split])
        n, mean, error = len(differences), float(differences.mean()), float(stats.sem(differences))
        low, high = stats.t.interval(0.95, n - 1, mean, error)
        p = float(stats.ttest_1samp(differences, 0).pvalue)
        summary[split] = {"n": n, "fast_minus_plain": {"mean": mean, "interval": [low, high], "p": p}}
        for way in ways:
            values = scores[way][split]
            summary[split][way] = {"mean": statistics.mean(values), "sd": statistics.stdev(values)}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
