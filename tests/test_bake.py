"""Judges whose temperature and threshold are part of the weights: other programs give the same verdicts and labels."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import acceptor
from acceptor.data.suite import load_suite
from acceptor.judging.decision import MOST_PROBABLE, Decision
from acceptor.model.classifier import new_classifier
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer
from acceptor.runtime.device import choose_runtime
from conftest import COLA, needs_cola, raises, toy_rows
from tiny import ARCHITECTURES, TEXTS, make_encoder

SENTENCES = TEXTS[:6]


def untrained(architecture, folder, labels):
    """A judge of random weights, large enough that its logits differ from sentence to sentence."""
    encoder = find_encoder(str(make_encoder(folder / architecture, architecture, initializer_range=0.4)))
    model = new_classifier(encoder, labels, seed=1).eval()
    torch.nn.init.normal_(bias_of(model))
    tokenizer, runtime = load_tokenizer(encoder.folder), choose_runtime("cpu", "fp32")
    return acceptor.Judge(model, tokenizer, labels, 64, runtime, {"name": "tiny"})


def bias_of(model):
    """The bias of the last layer: here it is the last parameter of every architecture."""
    *_, bias = model.parameters()
    return bias.detach()


@pytest.mark.parametrize("labels", [("no", "yes"), ("bad", "fair", "good")])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gives_the_same_labels(architecture, labels, tmp_path):
    plain = untrained(architecture, tmp_path, labels)
    margins = np.diff(plain.logits(SENTENCES), axis=1)[:, 0]
    middle = float(np.sort(margins)[2:4].mean()) / 1.7  # half of the sentences are above it, so it changes labels
    threshold = 1 / (1 + np.exp(-middle)) if len(labels) == 2 else None
    judge = dataclasses.replace(plain, decision=Decision(1.7, threshold))
    before = bias_of(judge.model).clone()

    found = acceptor.export(judge, tmp_path / "baked", bake=True)
    baked = acceptor.load(found.path, precision="fp32")

    assert found.baked == baked.baked == judge.decision
    assert found.largest_change < 1e-5
    assert baked.decision == MOST_PROBABLE
    logits = plain.logits(SENTENCES)
    wanted = logits / 1.7 - [0, middle] if len(labels) == 2 else logits / 1.7
    np.testing.assert_allclose(baked.logits(SENTENCES), wanted, atol=1e-5)
    ours, theirs = ([one.label for one in each(SENTENCES)] for each in (judge, baked))
    assert ours == theirs
    if len(labels) == 2:
        assert ours.count("yes") == 3
    assert torch.equal(bias_of(judge.model), before)  # the judge itself is as it was
    config = json.loads((found.path / "config.json").read_text())
    assert config["id2label"] == {str(index): label for index, label in enumerate(labels)}
    assert config["label2id"] == {label: index for index, label in enumerate(labels)}
    assert config["problem_type"] == "single_label_classification"


def test_a_head_without_a_last_linear_layer_is_refused(toy_run, tmp_path):
    class Doubling(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            found = self.model(input_ids=input_ids, attention_mask=attention_mask)
            return type(found)(logits=found.logits * 2)

    judge = dataclasses.replace(acceptor.load(toy_run.folder), decision=Decision(1.5, 0.4))
    other = dataclasses.replace(judge, model=Doubling(judge.model))
    with raises(acceptor.UsageError, "E-USAGE-JUDGE", found="Doubling", next="--bake"):
        acceptor.export(other, tmp_path / "judge.onnx", bake=True)
    judge.model.classifier.bias = None
    with raises(acceptor.UsageError, "E-USAGE-JUDGE", found="no bias"):
        acceptor.export(judge, tmp_path / "judge", bake=True)
    assert not list(tmp_path.iterdir())


# ── other programs, with a trained judge ─────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def sentences():
    """English sentences: the twenty plain pairs, and all in one, which is cut; where CoLA is, its two dev sets."""
    frame = load_suite("plain").frame
    plain = frame["sentence_good"].to_list() + frame["sentence_bad"].to_list()
    return [*plain, " ".join(plain)] + (cola_dev() if COLA.is_dir() else [])


def cola_dev():
    data = acceptor.load_data("cola", folder=COLA)
    return [*data.validation.sentences, *data.test.sentences]


@pytest.fixture(scope="module")
def judge(toy_run, sentences):
    """The trained toy judge with a decision that changes some of its verdicts on the sentences."""
    plain = acceptor.load(toy_run.folder, precision="fp32")
    likely = Decision(0.7).probabilities(plain.logits(sentences))[:, 1]
    changed = dataclasses.replace(plain, decision=Decision(0.7, float(np.quantile(likely, 0.3)) + 1e-6))
    differ = [one.label != two.label for one, two in zip(plain(sentences), changed(sentences), strict=True)]
    assert 0.1 < np.mean(differ) < 0.9
    return changed


@pytest.fixture(scope="module")
def exported(judge, tmp_path_factory):
    """The same judge, baked: as a folder and as a file."""
    place = tmp_path_factory.mktemp("baked")
    return {name: acceptor.export(judge, place / name, bake=True) for name in ("folder", "judge.onnx")}


def verdicts_of(program, *arguments, sentences):
    """What another program, which may not import acceptor, says of the sentences: (label, probability) of each."""
    guard = "import sys; sys.modules['acceptor'] = None\n"
    command = [sys.executable, "-c", guard + program, *map(str, arguments)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    told = subprocess.run(command, input=json.dumps(sentences), capture_output=True, text=True, env=environment)
    assert told.returncode == 0, told.stderr
    return [(label, score) for label, score in json.loads(told.stdout)]


PIPELINE = """
import json
from transformers import pipeline
judge = pipeline("text-classification", model=sys.argv[1], device="cpu")
verdicts = judge(json.load(sys.stdin), truncation=True, batch_size=64)
print(json.dumps([(one["label"], one["score"]) for one in verdicts]))
"""

ONNX_RUNTIME = """
import json
import numpy, onnxruntime, tokenizers
session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map
judge = json.loads(about["acceptor.judge"])
tokenizer = tokenizers.Tokenizer.from_str(about["acceptor.tokenizer"])
tokenizer.enable_truncation(judge["max_length"])
verdicts = []
for sentence in json.load(sys.stdin):
    encoded = tokenizer.encode(sentence)
    named = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
    inputs = {one.name: numpy.array([named[one.name]]) for one in session.get_inputs()}
    [logits] = session.run(["logits"], inputs)[0]
    odds = numpy.exp(logits - logits.max())
    verdicts.append((judge["labels"][logits.argmax()], float(odds.max() / odds.sum())))
print(json.dumps(verdicts))
"""


@pytest.mark.parametrize(("program", "name"), [(PIPELINE, "folder"), (ONNX_RUNTIME, "judge.onnx")])
def test_other_programs_give_the_same_verdicts(program, name, exported, judge, sentences):
    found = verdicts_of(program, exported[name].path, sentences=sentences)
    assert [label for label, _ in found] == [one.label for one in judge(sentences)]
    logits = judge.decision.baked(judge.logits(sentences))
    np.testing.assert_allclose([score for _, score in found], MOST_PROBABLE.probabilities(logits).max(1), atol=1e-4)


def test_a_folder_that_is_not_baked_keeps_its_decision(judge, tmp_path):
    plain = acceptor.export(judge, tmp_path / "plain")
    assert plain.baked is None
    kept = acceptor.load(plain.path)
    assert kept.decision == judge.decision
    assert kept.baked is None
    assert torch.equal(bias_of(kept.model), bias_of(judge.model))
    settings = json.loads((plain.path / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == judge.max_length  # where other programs cut


@needs_cola
@pytest.mark.parametrize("name", ["folder", "judge.onnx"])
def test_no_verdict_on_colas_dev_sets_differs(name, exported, judge):
    baked = acceptor.load(exported[name].path, precision="fp32")
    assert baked.decision == MOST_PROBABLE
    assert [one.label for one in baked(cola_dev())] == [one.label for one in judge(cola_dev())]


# ── the command, and what it says ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def decided_run(judge, tmp_path):
    judge.save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["judge.onnx", "judge/"])
def test_the_command_says_what_was_baked(name, decided_run, judge, toy, run_cli, tmp_path):
    gold = tmp_path / "gold.tsv"
    gold.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in toy_rows(60, 3)))
    code, stdout, stderr = run_cli("export", decided_run, "-o", f"{tmp_path}/{name}", "--bake", "--verify", gold)
    assert code == 0, stderr
    assert "0 of 60 verdicts flipped" in stdout
    assert f"temperature 0.700 and threshold {judge.decision.threshold:.3f}" in stdout
    assert f"0.5 is where {judge.decision.threshold:.3f} was" in stdout
    again = acceptor.load(tmp_path / name)
    assert again.about()["baked"] == judge.decision.to_dict()
    if name == "judge.onnx":
        assert json.loads((tmp_path / "judge.onnx.json").read_text("utf-8"))["baked"] == judge.decision.to_dict()


def test_nothing_to_bake_is_said(toy_run, run_cli, tmp_path):
    dataclasses.replace(toy_run.judge, decision=MOST_PROBABLE).save(tmp_path / "run")
    code, stdout, stderr = run_cli("export", tmp_path / "run", "-o", tmp_path / "judge", "--bake", "--json")
    assert code == 0
    assert json.loads(stdout)["baked"] is None
    assert "nothing to bake" in stderr
    kept = acceptor.load(tmp_path / "judge")
    assert kept.baked is None
    assert torch.equal(bias_of(kept.model), bias_of(toy_run.judge.model))


def test_int8_of_a_baked_judge_is_compared_with_the_run(judge, toy, tmp_path):
    found = acceptor.export(judge, tmp_path / "judge.onnx", precision="int8", bake=True, verify=toy.test)
    assert found.baked == judge.decision
    assert found.flips < len(toy.test) / 4
    assert 1e-5 < found.largest_change < 0.5


def test_a_wrongly_baked_network_is_not_written(judge, tmp_path, monkeypatch):
    monkeypatch.setattr(Decision, "shift", 0.1)
    shifted = judge.with_baked_decision()
    monkeypatch.undo()
    monkeypatch.setattr(acceptor.Judge, "with_baked_decision", lambda _: shifted)
    with raises(acceptor.RunError, "E-RUN-EXPORT", expected="0.0001"):
        acceptor.export(judge, tmp_path / "judge", bake=True)
    assert not list(tmp_path.iterdir())


def test_places_that_no_folder_can_have_are_refused(judge, toy, tmp_path, run_cli, decided_run):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with raises(acceptor.UsageError, "E-USAGE-OUTPUT", problem="full"):
        acceptor.export(judge, tmp_path / "full")
    with raises(acceptor.UsageError, "E-USAGE-OUTPUT", expected="judge/", found="judge-v1.2"):
        acceptor.export(judge, tmp_path / "judge-v1.2")
    for options in ({"precision": "int8"}, {"overwrite": True}):
        with raises(acceptor.UsageError, "E-USAGE-CONFLICT", expected=".onnx"):
            acceptor.export(judge, tmp_path / "new", **options, verify=toy.test)
    code, _, stderr = run_cli("export", decided_run, "-o", f"{decided_run}/", "--bake")
    assert code == 2
    assert "E-USAGE-OUTPUT" in stderr
    assert acceptor.export(judge, f"{tmp_path}/judge-v1.2/").path == tmp_path / "judge-v1.2"
