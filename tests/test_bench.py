"""The comparison itself: real Trainer, real pipeline, real ONNX Runtime, small numbers; and the output of `doctor`."""

from __future__ import annotations

import importlib.util
import json
import math
import py_compile
import subprocess
import sys

import numpy as np
import pytest
import torch

from acceptor import native
from acceptor.bench import compare, machine
from acceptor.bench.compare import bench, count_flips, limit_ms, seconds_per_step
from acceptor.bench.training import WAYS
from acceptor.cli.app import app
from acceptor.errors import ResourceError, UsageError
from acceptor.model.classifier import new_classifier, parameter_counts
from acceptor.model.pretrained import find_encoder
from conftest import REPOSITORY, raises, toy_rows
from tiny import make_encoder

needs_peers = pytest.mark.skipif(
    not (importlib.util.find_spec("accelerate") and importlib.util.find_spec("onnxruntime")),
    reason="extra `bench` is not installed",
)


@pytest.fixture(scope="module")
def roomy(tmp_path_factory):
    """A tiny encoder with room for 128 tokens, to which the chapter pads."""
    folder = make_encoder(tmp_path_factory.mktemp("roomy") / "bert", max_position_embeddings=130)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 128}))
    return str(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Labelled sentences in a file, of three labels, and fewer than the notebook's loop takes in one pass."""
    rows = [f"{text}\t{('news', 'sports', 'weather')[number % 3]}" for number, (text, _) in enumerate(toy_rows(150))]
    path = tmp_path_factory.mktemp("corpus") / "own.tsv"
    path.write_text("\n".join(["sentence\tlabel", *rows, ""]))
    return str(path)


@needs_peers
def test_training_is_compared_with_common_tools(roomy, corpus, monkeypatch, capsys):
    monkeypatch.setattr(compare, "STEPS", {**dict.fromkeys(compare.STEPS, (1, 2)), "notebook": (4, 2)})
    result = bench([roomy], data=corpus, rounds=1, parts=("train",))
    training = result["train"][roomy]
    ways = training["ways"]
    assert set(ways) == {"notebook", "trainer", "trainer_best", "acceptor"}
    ours = ways["acceptor"]["ms_per_step"]
    assert training["ms_per_step"] == ours
    assert training["vs_notebook"] == pytest.approx(ways["notebook"]["ms_per_step"] / ours, rel=1e-3, abs=0.06)
    limit = limit_ms(roomy, corpus, result["machine"])
    assert training["vs_limit"] == pytest.approx(limit / ours, abs=0.006)
    from acceptor.cli import render as terminal

    terminal.show(*terminal.bench_text(result))
    assert "trainer_best" in capsys.readouterr().out


def test_the_limit_is_the_time_of_products_and_memory_traffic(roomy):
    both = limit_ms(roomy, "starter", {"matmul_tflops": 0.1, "memory_gb_per_s": 10.0})
    products = limit_ms(roomy, "starter", {"matmul_tflops": 0.1, "memory_gb_per_s": math.inf})
    traffic = limit_ms(roomy, "starter", {"matmul_tflops": math.inf, "memory_gb_per_s": 10.0})
    assert both == pytest.approx(products + traffic)
    assert 0 < products < both
    weights = parameter_counts(new_classifier(find_encoder(roomy), ("no", "yes"), seed=1))["total"]
    assert traffic == pytest.approx(1000 * 28 * weights / 10e9)


@needs_peers
def test_judging_is_compared_with_common_tools(roomy, corpus, monkeypatch):
    monkeypatch.setattr(compare, "JUDGING", {name: compare.JUDGING[name] for name in ("pipeline", "ort_fp32")})
    result = bench([roomy], data=corpus, rounds=1, parts=("judge",), rows=1000)
    judging = result["judge"][roomy]
    assert set(judging) - {"int8"} == {"pipeline", "ort_fp32", "fp32", "lossless", "bf16"}  # int8 by the processor
    for way in ("pipeline", "ort_fp32", "fp32", "lossless"):
        assert judging[way]["flips"] == 0, way
        assert judging[way]["sentences_per_s"] > 0
    assert judging["pipeline"]["vs_pipeline32"] == 1


def test_flipped_labels_are_counted_without_ties():
    exact = np.array([[0, 1], [0, 5e-4], [1, 0], [2, 0]], np.float32)
    other = np.array([[1, 0], [1, 0], [0, 1], [2, 0]], np.float32)
    assert count_flips(other, exact) == 2
    assert count_flips(exact, exact) == 0


def test_sentences_that_are_repeated_differ():
    """Acceptor judges equal sentences once: with 50 of each, it seemed fifty times as fast as it is."""
    found = compare._different(["a b.", "c.", "a b."], 5)
    assert found == ["a b.", "c.", "a b. 1", "c. 1", "a b. 2"]


def test_a_way_that_fails_is_named(tmp_path):
    with raises(ResourceError, "E-RESOURCE-PROCESS", problem="notebook"):
        compare._run_module("acceptor.bench.training", "notebook", str(tmp_path / "nowhere"), "1", "1", "starter")


def test_a_missing_package_is_named(monkeypatch, tiny_bert):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with raises(UsageError, "E-USAGE-EXTRA", problem="accelerate", next="pip install 'acceptor[bench]'"):
        bench([str(tiny_bert)])


def test_doctor_names_every_switch(monkeypatch, capsys):
    monkeypatch.setenv("ACCEPTOR_NATIVE", "0")
    native.library.cache_clear()
    app(["doctor", "--json"], standalone_mode=False)
    native.library.cache_clear()
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["kernels"]["finding"] == "in torch"
    text = " ".join(row["note"] for row in rows.values())
    for switch in ("--precision", "ACCEPTOR_NATIVE=0", "ACCEPTOR_ALLOCATOR=0", "OMP_NUM_THREADS", "ACCEPTOR_CACHE"):
        assert switch in text


def test_doctor_says_whether_python_keeps_what_it_compiles(monkeypatch, tmp_path):
    for written in (False, True):
        monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / str(written)))
        if written:
            py_compile.compile(np.__file__)
        (row,) = [row for row in machine.doctor() if row[0] == "bytecode"]
        assert row[1] == ("kept" if written else "not kept")
        assert ("compileall" in row[2]) != written


def test_a_step_takes_the_median_of_single_steps_or_the_mean_of_a_stretch():
    assert seconds_per_step([(3, 1.0), (4, 3.0), (5, 4.0), (6, 14.0)]) == 2.0
    assert seconds_per_step([(50, 1.0), (250, 2.0)]) == 0.005


def test_acceptors_marks_leave_out_what_is_not_training(roomy):
    """Two epochs of 288 steps: the judging between them is in no step's time, and every mark is a whole step."""
    marks = WAYS["acceptor"](roomy, 250, 60, "starter", "cpu")
    assert [step for step, _ in marks] == list(range(250, 311))
    steps = np.diff([second for _, second in marks])
    assert (steps > 0).all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_gpu_the_comparison_says_so():
    script = REPOSITORY / "benchmarks" / "train_speed.py"
    command = [sys.executable, str(script), "--device", "cuda", "--encoder", "minilm", "--data", "starter"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "this machine has no cuda" in done.stderr
