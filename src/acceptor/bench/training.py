"""The compared methods of training, each written as a user of its library would write it.

    python -m acceptor.bench.training WAY ENCODER WARM STEPS DATA [DEVICE]

prints one JSON list of pairs: a number of steps, and the time in seconds at which they were done, after WARM steps. On
a CPU there is a pair for every step; on a GPU only for the first and the last, to avoid synchronising in between. Each
method runs in its own process, so that its allocator, threads and caches do not affect another's.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from acceptor.errors import UsageError
from acceptor.runtime.garbage import collect_rarely

BATCH_SIZE = 32

# Environment variables that keep a benchmark process offline and quiet.
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def sentences(data: str) -> tuple[list[str], list[int]]:
    """Training sentences and label ids of a corpus: of anything that `load_data` reads.

    Raises:
        UsageError: The corpus has pairs.
    """
    from acceptor.data.load import load_data

    train = load_data(data).train
    if train.seconds is not None:
        raise UsageError("speeds are compared on single sentences", found=f"pairs in {data}", code="E-USAGE-PAIRS")
    return train.sentences, train.gold.tolist()


Marks = list[tuple[int, float]]


class Clock:
    """Records when steps were done.

    Args:
        warm: Number of warm-up steps.
        steps: Number of measured steps.
        device: The device. A GPU runs asynchronously, so it is synchronised at the first and the last mark.
    """

    def __init__(self, warm: int, steps: int, device: str) -> None:
        self.warm, self.last, self.device = warm, warm + steps, device
        self.marks: Marks = []
        self.steps = -1
        self.tick()

    def tick(self) -> bool:
        """Counts a launched step (the first call counts none). Returns True after the last one."""
        import torch

        self.steps += 1
        if self.device != "cpu" and self.steps in (self.warm, self.last):
            torch.cuda.synchronize()
        if self.steps in (self.warm, self.last) or (self.device == "cpu" and self.steps > self.warm):
            self.marks.append((self.steps, time.perf_counter()))
        return self.steps == self.last


def notebook(encoder: str, warm: int, steps: int, data: str, device: str) -> Marks:
    """The notebook chapter's loop: all padded to 128, fp32, torch's default AdamW, ``loss.item()`` twice per step."""
    import torch
    from torch.utils.data import DataLoader, RandomSampler, TensorDataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

    folder = _folder(encoder)
    texts, labels = sentences(data)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(texts, padding="max_length", truncation=True, max_length=128, return_tensors="pt")
    examples = TensorDataset(inputs["input_ids"], inputs["attention_mask"], torch.tensor(labels))
    loader = DataLoader(examples, sampler=RandomSampler(examples), batch_size=BATCH_SIZE)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=max(labels) + 1)
    model = model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, eps=1e-8)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, 4 * len(loader))
    clock = Clock(warm, steps, device)
    for ids, mask, gold in itertools.chain.from_iterable(itertools.repeat(loader)):
        ids, mask, gold = ids.to(device), mask.to(device), gold.to(device)
        optimizer.zero_grad()
        loss = model(ids, attention_mask=mask, labels=gold)["loss"]
        loss.item()
        loss.backward()
        optimizer.step()
        schedule.step()
        loss.item()
        if clock.tick():
            break
    return clock.marks


def trainer(encoder: str, warm: int, steps: int, data: str, device: str) -> Marks:
    """The Hugging Face Trainer with its defaults and a collator that pads to the batch's longest sentence."""
    return _trainer(encoder, warm, steps, data, device)


def trainer_best(encoder: str, warm: int, steps: int, data: str, device: str) -> Marks:
    """The Trainer with the fastest settings known: bf16, ``group_by_length``, fused AdamW, no NaN check per step."""
    best = {"bf16": True, "train_sampling_strategy": "group_by_length", "optim": "adamw_torch_fused"}
    return _trainer(encoder, warm, steps, data, device, logging_nan_inf_filter=False, **best)


def acceptor(encoder: str, warm: int, steps: int, data: str, device: str) -> Marks:
    """`acceptor train` with its defaults: the loop only, without evaluation and files."""
    from acceptor.config import ResolvedConfig
    from acceptor.judging.judge import Judge
    from acceptor.model.classifier import new_classifier
    from acceptor.model.encode import encode
    from acceptor.model.pretrained import find_encoder
    from acceptor.model.tokenizer import load_tokenizer
    from acceptor.runtime.contention import shorter_spins_under_load
    from acceptor.runtime.device import choose_runtime, keep_freed_memory
    from acceptor.training.flat_adamw import FlatAdamW
    from acceptor.training.loop import EpochEnd, Step, fit
    from acceptor.training.static import choose_static_steps

    keep_freed_memory()
    found, runtime = find_encoder(encoder), choose_runtime(device)
    texts, labels = sentences(data)
    tokenizer = load_tokenizer(found.folder)
    names = tuple(map(str, range(max(labels) + 1)))
    model = new_classifier(found, names, seed=1).to(runtime.device)
    train, gold = encode(tokenizer, texts, max_length=128), np.array(labels)
    judge = Judge(model, tokenizer, names, 128, runtime, found.to_dict())
    epochs = 2 + (warm + steps) * BATCH_SIZE // len(train)
    config = ResolvedConfig(encoder=encoder, batch_size=BATCH_SIZE, epochs=epochs, learning_rate=2e-5)
    static, _ = choose_static_steps(runtime, config)
    bf16 = runtime.precision == "bf16"
    optimizer = FlatAdamW(model, config, bf16=bf16, ids=train.ids, pad_id=tokenizer.pad_token_id, static=static)
    few = encode(tokenizer, texts[:BATCH_SIZE], max_length=128)
    marks: Marks = []
    last = judging = 0.0
    with shorter_spins_under_load():
        for event in fit(judge, optimizer, train, gold, few, config):
            if isinstance(event, EpochEnd):
                judging += event.seconds - last
            elif isinstance(event, Step):
                last = event.seconds
                # On a GPU losses are fetched for many steps at once, when all these steps are done.
                if event.step == optimizer.steps >= warm:
                    marks.append((event.step, event.seconds - judging))
                if marks and event.step >= marks[0][0] + steps and event.step == optimizer.steps:
                    break
    return marks if device == "cpu" else [marks[0], marks[-1]]


def _trainer(encoder: str, warm: int, steps: int, data: str, device: str, **settings: Any) -> Marks:
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
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=max(labels) + 1)
    clocks: list[Clock] = []

    class Ticks(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            clocks.append(Clock(warm, steps, device))

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clocks[0].tick()

    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            per_device_train_batch_size=BATCH_SIZE,
            max_steps=warm + steps,
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
            callbacks=[Ticks()],
        ).train()
    return clocks[0].marks


def _folder(encoder: str) -> Path:
    from acceptor.model.pretrained import find_encoder

    return find_encoder(encoder).folder


WAYS: dict[str, Callable[[str, int, int, str, str], Marks]] = {
    "notebook": notebook,
    "trainer": trainer,
    "trainer_best": trainer_best,
    "acceptor": acceptor,
}

if __name__ == "__main__":
    os.environ.update(QUIET)
    way, encoder, warm, steps, data, *rest = sys.argv[1:]
    if way == "acceptor":
        collect_rarely()  # as our commands do
    marks = WAYS[way](encoder, int(warm), int(steps), data, rest[0] if rest else "cpu")
    sys.stdout.write("\n" + json.dumps(marks) + "\n")
