"""The ways to train that are compared, each as people write it, from public API.

Run as a process of its own:

    python -m acceptor.bench.ways WAY ENCODER STEPS DATA [DEVICE]

prints one JSON object: seconds of every step. A process each, because one way's allocator, threads and caches must
not help or harm another's.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCH_SIZE = 32

# A process of the comparison stays offline and quiet.
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def sentences(data: str) -> tuple[list[str], list[int]]:
    """Training sentences and label ids: of CoLA in the folder ``data``, or of the embedded corpus."""
    from acceptor.data.load import load_data

    train = load_data("starter").train if data == "starter" else load_data("cola", folder=data).train
    return train.sentences, train.gold.tolist()


def notebook(encoder: str, steps: int, data: str, device: str) -> list[float]:
    """The chapter: everything padded to 128, fp32, torch's default AdamW, the loss fetched twice a step."""
    import torch
    from torch.utils.data import DataLoader, RandomSampler, TensorDataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

    folder = _folder(encoder)
    texts, labels = sentences(data)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(texts, padding="max_length", truncation=True, max_length=128, return_tensors="pt")
    examples = TensorDataset(inputs["input_ids"], inputs["attention_mask"], torch.tensor(labels))
    loader = DataLoader(examples, sampler=RandomSampler(examples), batch_size=BATCH_SIZE)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, eps=1e-8)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, 4 * len(loader))
    seconds = []
    started = time.perf_counter()
    for ids, mask, gold in loader:
        ids, mask, gold = ids.to(device), mask.to(device), gold.to(device)
        optimizer.zero_grad()
        loss = model(ids, attention_mask=mask, labels=gold)["loss"]
        loss.item()
        loss.backward()
        optimizer.step()
        schedule.step()
        loss.item()
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        if len(seconds) == steps:
            break
    return seconds


def trainer(encoder: str, steps: int, data: str, device: str) -> list[float]:
    """The Hugging Face Trainer with its defaults and a collator that pads to the batch's longest sentence."""
    return _trainer(encoder, steps, data, device)


def trainer_best(encoder: str, steps: int, data: str, device: str) -> list[float]:
    """The Trainer at its best known: bf16, sentences grouped by length, fused AdamW."""
    best = {"bf16": True, "train_sampling_strategy": "group_by_length", "optim": "adamw_torch_fused"}
    return _trainer(encoder, steps, data, device, **best)


def acceptor(encoder: str, steps: int, data: str, device: str) -> list[float]:
    """`acceptor train` with its defaults: the loop itself, without evaluation and files."""
    from acceptor.config import TrainConfig
    from acceptor.encode import encode, load_tokenizer
    from acceptor.judge import Judge
    from acceptor.model.classifier import new_classifier
    from acceptor.model.pretrained import find_encoder
    from acceptor.runtime import choose_runtime, keep_freed_memory
    from acceptor.training.learner import Learner
    from acceptor.training.loop import Step, fit

    keep_freed_memory()
    found, runtime = find_encoder(encoder), choose_runtime(device)
    texts, labels = sentences(data)
    tokenizer = load_tokenizer(found.folder)
    model = new_classifier(found, ("no", "yes"), seed=1).to(runtime.device)
    train, gold = encode(tokenizer, texts, max_length=128), np.array(labels)
    judge = Judge(model, tokenizer, ("no", "yes"), 128, runtime, found.to_dict())
    config = TrainConfig(encoder=encoder, batch_size=BATCH_SIZE)
    learner = Learner(model, config, bf16=runtime.precision == "bf16", ids=train.ids, pad_id=tokenizer.pad_token_id)
    times = [0.0]
    for event in fit(judge, learner, train, gold, train, config):
        if isinstance(event, Step):
            times.append(event.seconds)
        if len(times) > steps:
            break
    return np.diff(times).tolist()


def _trainer(encoder: str, steps: int, data: str, device: str, **settings: Any) -> list[float]:
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    folder = _folder(encoder)
    texts, labels = sentences(data)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
    examples = [{"input_ids": one, "labels": label} for one, label in zip(ids, labels, strict=True)]
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    ends = [time.perf_counter()]

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            ends[0] = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            per_device_train_batch_size=BATCH_SIZE,
            max_steps=steps,
            learning_rate=2e-5,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=device == "cpu",
            **settings,
        )
        Trainer(
            model,
            arguments,
            DataCollatorWithPadding(tokenizer),
            examples,
            processing_class=tokenizer,
            callbacks=[Clock()],
        ).train()
    return np.diff(ends).tolist()


def _folder(encoder: str) -> Path:
    from acceptor.model.pretrained import find_encoder

    return find_encoder(encoder).folder


WAYS: dict[str, Callable[[str, int, str, str], list[float]]] = {
    "notebook": notebook,
    "trainer": trainer,
    "trainer_best": trainer_best,
    "acceptor": acceptor,
}

if __name__ == "__main__":
    os.environ.update(QUIET)
    way, encoder, steps, data, *rest = sys.argv[1:]
    seconds = WAYS[way](encoder, int(steps), data, rest[0] if rest else "cpu")
    sys.stdout.write("\n" + json.dumps(seconds) + "\n")
