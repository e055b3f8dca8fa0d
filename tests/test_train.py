"""One training end to end: its files, its scores, the effect of every setting."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import stat
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pydantic
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

import acceptor
from acceptor.config import PRESETS, TrainConfig
from acceptor.errors import DataError, TrainingError, UsageError
from acceptor.judging.judge import Judge
from acceptor.model.encode import encode
from acceptor.runs.checkpoint import Progress, newest
from acceptor.runtime.device import choose_runtime
from acceptor.training import checkpoint
from acceptor.training import train as training
from acceptor.training.flat_adamw import FlatAdamW
from acceptor.training.loop import fit
from acceptor.training.schedule import learning_rate
from conftest import needs_minilm, raises, toy_rows, turning

FILES = {
    "README.md",
    "config.json",
    "figures/loss.png",
    "figures/loss.svg",
    "history.jsonl",
    "judge.json",
    "manifest.json",
    "model.safetensors",
    "predictions.parquet",
    "report.json",
    "run.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "train_hashes.safetensors",
}


def test_the_run_folder_is_complete_and_its_manifest_correct(toy_run):
    files = {path.relative_to(toy_run.folder).as_posix() for path in toy_run.folder.rglob("*") if path.is_file()}
    assert files == FILES
    manifest = json.loads((toy_run.folder / "manifest.json").read_text())["files"]
    assert manifest.keys() == FILES - {"manifest.json"}
    for name, sha256 in manifest.items():
        assert hashlib.sha256((toy_run.folder / name).read_bytes()).hexdigest() == sha256, name
    assert [path.name for path in toy_run.folder.parent.iterdir()] == ["toy"]


def test_file_modes_follow_the_umask(toy_run):
    mask = os.umask(0)
    os.umask(mask)
    for path in toy_run.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask, path


@pytest.mark.parametrize("values", [20, 1500])
def test_a_column_called_length_is_no_slice_by_length(values, toy_config, tmp_path):
    """More than 1,000 of its values once ended a training that was done."""
    rows = [{"sentence": text, "label": label, "length": n % values} for n, (text, label) in enumerate(toy_rows(1600))]
    data = acceptor.load_data(rows[:64], validation=rows)
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    run = acceptor.train(data, out=tmp_path / "run", config=config)
    report = json.loads((run.folder / "report.json").read_text())
    lengths = report["validation"]["slices"]["length"]
    assert {one["value"].split()[-1] for one in lengths} <= {"words", "more"}


def test_columns_that_the_verdicts_cannot_be_written_beside_are_refused_first(toy_config, tmp_path, monkeypatch):
    """The output of two judges, one after the other, as training data."""
    monkeypatch.setattr(training, "run_loop", None)
    rows = [{"sentence": text, "label": label, "probability": 0.5, "input.probability": 0.5}
            for text, label in toy_rows(60)]  # fmt: skip
    with raises(DataError, "E-DATA-COLUMN", problem="input.probability", next="rename"):
        acceptor.train(acceptor.load_data(rows), out=tmp_path / "run", config=toy_config)


def test_a_package_that_the_end_needs_is_asked_for_first(toy, toy_config, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "run_loop", None)
    for module in ("matplotlib", "jinja2"):
        with monkeypatch.context() as patch:
            patch.setattr(importlib.util, "find_spec", lambda name, module=module: None if name == module else name)
            with raises(UsageError, "E-USAGE-EXTRA", problem=module, next="acceptor[train]"):
                acceptor.train(toy, out=tmp_path / "run", config=toy_config)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_path_that_is_no_utf8_is_refused_first(toy, toy_config, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "run_loop", None)
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    with raises(UsageError, "E-USAGE-OUTPUT", problem="UTF-8", where="caf"):
        acceptor.train(toy, out=folder / "run", config=toy_config)
    monkeypatch.chdir(folder)
    with raises(UsageError, "E-USAGE-OUTPUT", problem="UTF-8", where="caf"):
        acceptor.train(toy, out=tmp_path / "run", config=toy_config)


def test_scores_in_bf16_are_those_of_the_finished_judge_with_a_threshold(toy_config, tmp_path, monkeypatch):
    """A threshold makes other calls close than the argmax does; they are computed again in fp32, too."""
    monkeypatch.setattr(training, "calibrate", turning)
    data = acceptor.load_data(toy_rows(160), validation=toy_rows(400, 1), test=toy_rows(400, 2))
    config = toy_config.model_copy(update={"precision": "bf16", "calibrate": True})
    run = acceptor.train(data, out=tmp_path / "run", config=config)
    exact = acceptor.load(run.folder, precision="fp32")
    for split in (data.validation, data.test):
        own = run.reports[split.name]
        assert (own.predicted == acceptor.evaluate(exact, split).predicted).all()
    assert (own.logits != acceptor.evaluate(exact, data.test).logits).any()


def test_it_learns_the_toy_corpus(toy_run):
    assert toy_run.report.mcc > 0.9
    assert toy_run.reports["test"].mcc > 0.9
    first, *_, last = (line["train_loss"] for line in toy_run.history if line["event"] == "epoch")
    assert last < first


def test_transformers_loads_the_run_unchanged(toy_run, toy):
    model = AutoModelForSequenceClassification.from_pretrained(toy_run.folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(toy_run.folder)
    sentences = toy.test.sentences
    with torch.inference_mode():
        logits = model(**tokenizer(sentences, padding=True, return_tensors="pt")).logits.numpy()
    np.testing.assert_allclose(acceptor.load(toy_run.folder).logits(sentences), logits, atol=1e-5)
    answer = pipeline("text-classification", str(toy_run.folder), device="cpu")(sentences[1])[0]
    assert answer["label"] == "acceptable"
    assert answer["score"] == pytest.approx(toy_run.judge([sentences[1]])[0].probability, abs=1e-5)


def test_history_has_every_step_and_every_epoch(toy_run, toy, toy_config):
    lines = [json.loads(line) for line in (toy_run.folder / "history.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["event"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, 41))
    assert sum(line["examples"] for line in steps) == toy_config.epochs * len(toy.train)
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2, 3, 4]
    for line in epochs:  # a mean over examples, not over batches
        own = [step for step in steps if step["epoch"] == line["epoch"]]
        mean = sum(step["loss"] * step["examples"] for step in own) / len(toy.train)
        assert line["train_loss"] == pytest.approx(mean)
        assert line["n"] == len(toy.validation)


def test_the_record_has_the_used_settings(toy_run, toy, toy_config):
    record = json.loads((toy_run.folder / "run.json").read_text())
    assert record["config"] == {**toy_config.model_dump(), "adam_beta2": 0.98, "reinit_layers": 0}
    assert {item["name"] for item in record["derived"]} >= {"device", "precision", "max_length", "padding", "split"}
    assert all(item["reason"] for item in record["derived"])
    assert record["data"]["train"]["sha256"] == toy.train.table.sha256
    assert record["machine"]["device_name"]
    assert record["machine"]["memory_bytes"] > 1 << 30
    assert record["versions"]["torch"] == torch.__version__
    weights = Path(toy_config.encoder) / "model.safetensors"
    assert record["encoder"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_predictions_hold_the_sentences_as_read_and_agree_with_the_report(toy_run, toy):
    frame = pl.read_parquet(toy_run.folder / "predictions.parquet").filter(pl.col("split") == "test")
    assert frame["sentence"].to_list() == toy.test.sentences
    report = json.loads((toy_run.folder / "report.json").read_text())["test"]
    assert (frame["gold"] == frame["verdict"]).mean() == pytest.approx(report["accuracy"])
    total = frame["p(unacceptable)"] + frame["p(acceptable)"]
    assert total.to_list() == pytest.approx([1.0] * len(frame))


def test_the_figure_is_an_svg_with_its_axes_named(toy_run):
    svg = (toy_run.folder / "figures" / "loss.svg").read_text()
    for words in ("optimizer step", "cross-entropy loss (nats)", ">validation<"):
        assert words in svg
    assert (toy_run.folder / "figures" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_settings_give_the_same_weights(toy, toy_config, toy_run, tmp_path):
    again = acceptor.train(toy, out=tmp_path / "again", config=toy_config)
    first, second = (load_file(run.folder / "model.safetensors") for run in (toy_run, again))
    assert all((first[name] == second[name]).all() for name in first)


def test_a_resumed_training_keeps_the_precision_of_its_start(toy, toy_config, tmp_path, monkeypatch):
    """A probe that finds another one, on a busy machine or another one, would change the weights in silence."""
    config = toy_config.model_copy(update={"precision": None})

    def stop(history):
        raise KeyboardInterrupt

    (other,) = {"fp32", "bf16"} - {str(choose_runtime().precision)}
    with pytest.raises(KeyboardInterrupt):
        acceptor.train(toy, out=tmp_path / "run", config=config, on_epoch=stop)
    speedup = 9.0 if other == "bf16" else 0.1
    monkeypatch.setattr("acceptor.runtime.device.bf16_speedup", lambda: speedup)
    assert choose_runtime().precision == other
    run = acceptor.train(toy, out=tmp_path / "run", config=config, resume=True)
    assert run.record["machine"]["precision"] != other
    assert {"as at the start of this training"} == {
        one["reason"] for one in run.record["derived"] if one["name"] == "precision"
    }


def test_what_others_leave_among_the_checkpoints_stays(toy, toy_config, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_SAVING_SHARE", math.inf)

    def leave(history):
        (tmp_path / "run" / "checkpoints" / ".DS_Store").write_text("")

    run = acceptor.train(
        toy, out=tmp_path / "run", config=toy_config.model_copy(update={"epochs": 3, "batch_size": 16}), on_epoch=leave
    )
    assert run.report.scores.mcc is not None


def test_a_file_that_is_gone_is_named_when_a_training_resumes(tmp_path, toy_config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, seed in (("own.tsv", 3), ("more.tsv", 5)):
        rows = "".join(f"{sentence}\t{label}\n" for sentence, label in toy_rows(60, seed))
        Path(name).write_text("sentence\tlabel\n" + rows)

    def stop(history):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        acceptor.train(acceptor.load_data("own.tsv", extra="more.tsv"), out="run", config=toy_config, on_epoch=stop)
    changed = Path("more.tsv").read_text().replace("\t0\n", "\t1\n", 1)
    Path("more.tsv").write_text(changed)
    with raises(
        UsageError, "E-USAGE-CHANGED", expected="data.train.extra.1.sha256 = ", cause="a data file has changed"
    ):
        acceptor.resume("run")
    Path("more.tsv").unlink()
    with raises(DataError, "E-DATA-MISSING", where="more.tsv", expected="run was started"):
        acceptor.resume("run")


def test_resume_needs_data_that_can_be_read_again(toy, toy_config, tmp_path, monkeypatch):
    class Stop(Exception):  # noqa: N818 - no error
        pass

    def save(self, *rest, kept=checkpoint.Checkpoints.save):
        kept(self, *rest)
        raise Stop

    monkeypatch.setattr(checkpoint.Checkpoints, "save", save)
    with pytest.raises(Stop):
        acceptor.train(toy, out=tmp_path / "run", config=toy_config)
    monkeypatch.undo()
    with raises(UsageError, "E-USAGE-CHANGED", next=("acceptor.train(DATA, out=", "resume=True")):
        acceptor.resume(tmp_path / "run")


# ---------------------------------------------------------------------- settings

CHANGES = {
    "encoder": None,  # made below
    "keep_head": True,
    "epochs": 2,
    "batch_size": 24,
    "learning_rate": 1e-3,
    "warmup": 0.5,
    "weight_decay": 0.5,
    "adam_beta2": 0.9,
    "dropout": 0.5,
    "reinit_layers": 1,
    "max_grad_norm": 0.01,
    "max_length": 6,
    "seed": 8,
    "order_seed": 8,
    "class_weights": "balanced",
    "split": "stratified",
    "validation_share": 0.3,
    "order": "random",
    "metric": "accuracy",
    "select": "best",
    "calibrate": True,
    "on_nan": "skip",
    "on_collapse": "go-on",
    "device": "cpu",
    "precision": "bf16",
    "compile": True,
}


def test_every_setting_is_in_the_list_of_changes():
    assert CHANGES.keys() == TrainConfig.model_fields.keys()


ELSEWHERE = {
    "metric",
    "select",
    "device",
    "encoder",
    "keep_head",
    "validation_share",
    "on_nan",
    "compile",
    "calibrate",
    "on_collapse",
}  # tests of their own


@pytest.mark.parametrize("name", sorted(CHANGES.keys() - ELSEWHERE))
def test_a_setting_changes_the_weights(name, toy, toy_config, toy_run, tmp_path):
    run = acceptor.train(toy, out=tmp_path / "run", config=toy_config.model_copy(update={name: CHANGES[name]}))
    first, second = (load_file(each.folder / "model.safetensors") for each in (toy_run, run))
    assert any((first[weight] != second[weight]).any() for weight in first), f"{name} changes nothing"


def test_validation_share_sets_the_size_of_the_split(toy, toy_config, tmp_path):
    config = toy_config.model_copy(update={"split": "stratified", "validation_share": 0.3, "epochs": 1})
    run = acceptor.train(toy, out=tmp_path / "run", config=config)
    assert run.report.scores.n == 48
    assert run.record["data"]["train"]["rows"] == 112
    (split,) = (item for item in run.record["derived"] if item["name"] == "split")
    assert split["reason"].endswith("; the corpus' own validation split is not used")


def test_device_and_encoder_are_recorded(toy_run):
    assert toy_run.record["machine"]["device"] in ("cpu", "mps", "cuda:0")
    with raises(UsageError, "E-USAGE-DEVICE", problem="mps"):
        choose_runtime("mps")


@pytest.mark.parametrize("metric", ["mcc", "accuracy"])
def test_select_best_keeps_the_best_epoch_by_the_metric(toy_run, toy_config, tmp_path, metric):
    """A judge that knows better is taught the labels turned round: it begins as the best that it will be."""
    turned = [(sentence, "01"[label == "0"]) for sentence, label in toy_rows(160)]
    toy = acceptor.load_data(turned, validation=toy_rows(48, 1))
    settings = {
        "encoder": str(toy_run.folder),
        "keep_head": True,
        "select": "best",
        "metric": metric,
        "epochs": 6,
        "warmup": 0.9,
    }
    run = acceptor.train(toy, out=tmp_path / "run", config=toy_config.model_copy(update=settings))
    values = [line[metric] for line in run.history if line["event"] == "epoch"]
    best = max(value for value in values if value is not None)
    kept = run.report.scores.to_dict()[metric]
    assert kept == best
    assert values[-1] is None or values[-1] < best
    judged = acceptor.evaluate(acceptor.load(run.folder), toy.validation)
    assert judged.scores.to_dict()[metric] == best
    assert run.report.selected
    assert "selected on this split" in repr(run.report)


def test_unknown_settings_and_bad_values_are_refused_together():
    with pytest.raises(UsageError) as caught:
        TrainConfig(epoch=3, learning_rate=-1, order="sorted")
    text = str(caught.value)
    assert "no setting is called 'epoch'; did you mean 'epochs'?" in text
    assert "learning_rate = -1: input should be greater than 0" in text
    assert "order = 'sorted'" in text


@pytest.mark.parametrize(
    ("given", "following"),
    [
        ({"epochs": 1}, "config=acceptor.TrainConfig(epochs=1)"),
        ({"learning_rate": 1e-4, "epochs": 2}, "config=acceptor.TrainConfig(learning_rate=0.0001, epochs=2)"),
        ({"learning_rat": 1e-4}, "config=acceptor.TrainConfig(learning_rate=0.0001)"),
        ({"on_epoc": print}, "did you mean on_epoch?"),
        ({"confi": None}, "did you mean config?"),
    ],
)
def test_a_setting_given_to_train_itself_is_shown_where_it_belongs(toy, tmp_path, given, following):
    with raises(UsageError, "E-USAGE-OPTION") as caught:
        acceptor.train(toy, out=tmp_path / "new", **given)
    assert caught.value.details["next"] == following


@pytest.mark.parametrize("function", ["train_seeds", "cross_validate", "search_settings", "warm_up", "distil"])
def test_every_function_with_a_config_says_where_a_setting_belongs(toy, function):
    with raises(UsageError, "E-USAGE-OPTION", next="config=acceptor.TrainConfig(epochs=1)"):
        getattr(acceptor, function)(toy, epochs=1)


def test_a_setting_is_no_advice_where_there_is_no_config(toy):
    with raises(UsageError, "E-USAGE-OPTION") as caught:
        acceptor.load_data(toy, learning_rate=1)
    assert "next" not in caught.value.details


def test_the_config_is_frozen():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        TrainConfig().epochs = 5


def test_the_notebook_preset_is_the_chapter():
    config = TrainConfig(**PRESETS["notebook"])
    assert (config.epochs, config.batch_size, config.learning_rate) == (4, 32, 2e-5)
    assert (config.warmup, config.max_length, config.split, config.order) == (0, 128, "notebook", "random")


# ---------------------------------------------------------------------- optimizer


def test_the_learning_rate_rises_then_falls_to_zero():
    config = TrainConfig(learning_rate=1.0 - 1e-9, warmup=0.1)
    rates = [learning_rate(step, 100, config) for step in range(101)]
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[10] == config.learning_rate
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == 0
    flat = TrainConfig(learning_rate=2e-5, warmup=0)
    assert learning_rate(0, 100, flat) == 2e-5
    assert learning_rate(50, 100, flat) == 1e-5


def test_a_nan_loss_stops_the_run(toy, toy_config, tmp_path):
    config = toy_config.model_copy(
        update={"learning_rate": 0.999, "max_grad_norm": 0.0, "epochs": 30, "adam_beta2": 0.98}
    )
    judge = acceptor.load(acceptor.train(toy, out=tmp_path / "run", config=toy_config).folder)
    with torch.no_grad():
        judge.model.classifier.weight[0, 0] = math.nan
    train = encode(judge.tokenizer, toy.train.sentences, max_length=32)
    optimizer = FlatAdamW(judge.model, config, bf16=False, ids=train.ids, pad_id=judge.tokenizer.pad_token_id)
    with raises(TrainingError, "E-TRAINING-NAN", where="epoch 1, step 1", next="--learning-rate 1e-05;"):
        list(fit(judge, optimizer, train, toy.train.gold, train, config))
    skips = config.model_copy(update={"on_nan": "skip", "learning_rate": 1e-6})
    with raises(TrainingError, "E-TRAINING-NAN", where="epoch 1, step 10", next="--learning-rate 2.5e-07;"):
        list(fit(judge, optimizer, train, toy.train.gold, train, skips))  # no epoch without any step
    resumed = Progress(epoch=0, step=10)  # stopped after the last of them
    with raises(TrainingError, "E-TRAINING-NAN", where="epoch 1, step 10", next="--learning-rate 2.5e-07;"):
        list(fit(judge, optimizer, train, toy.train.gold, train, skips, resumed))


@pytest.mark.real
@needs_minilm
def test_minilm_trains_on_the_starter_corpus(tmp_path):
    """The real encoder on the real embedded corpus, a few steps: the loss falls, little is padded, all loads."""
    data = acceptor.load_data("starter")
    few = acceptor.Data(data.train.take(range(640), "train"), data.validation.take(range(64), "validation"))
    run = acceptor.train(few, out=tmp_path / "run", config=TrainConfig(encoder="minilm", epochs=2, learning_rate=1e-4))
    losses = [line["train_loss"] for line in run.history if line["event"] == "epoch"]
    assert losses[1] < losses[0] < 0.8
    derived = {item["name"]: item["value"] for item in run.record["derived"]}
    assert derived["padding"] <= 1.10
    sentences = data.test.sentences[:40]
    plain = AutoModelForSequenceClassification.from_pretrained(run.folder).eval()
    with torch.inference_mode():
        inputs = AutoTokenizer.from_pretrained(run.folder)(sentences, padding=True, return_tensors="pt")
        np.testing.assert_allclose(acceptor.load(run.folder).logits(sentences), plain(**inputs).logits, atol=1e-5)


# ---------------------------------------------------------------------- on_epoch


def test_an_on_epoch_that_cannot_be_called_is_refused_first(toy, toy_config, tmp_path):
    with raises(acceptor.UsageError, "E-USAGE-OPTION", found="3"):
        acceptor.train(toy, out=tmp_path / "run", config=toy_config, on_epoch=3)
    assert list(tmp_path.iterdir()) == []


def test_on_epoch_gets_the_history_after_every_epoch(toy, toy_config, toy_run, tmp_path):
    seen = []
    run = acceptor.train(toy, out=tmp_path / "run", config=toy_config, on_epoch=seen.append)
    assert [history[-1]["epoch"] for history in seen] == [1, 2, 3, 4]
    assert seen[-1] == run.history
    assert [line["event"] for line in seen[0]] == ["step"] * 10 + ["epoch"]
    assert run.reports["validation"].selected is False
    assert run.reports["validation"].to_dict() == toy_run.reports["validation"].to_dict()


class StopError(Exception):
    pass


@pytest.mark.parametrize("due", [True, False])
def test_an_error_of_on_epoch_ends_the_training_after_a_checkpoint(
    due, toy, toy_config, toy_run, tmp_path, monkeypatch
):
    def stop(history):
        if history[-1]["epoch"] == 2:
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "due", lambda *_, **__: due)
        with pytest.raises(StopError):
            acceptor.train(toy, out=tmp_path / "run", config=toy_config, on_epoch=stop)
    state = newest(tmp_path / "run")
    assert (state.progress.epoch, state.progress.step) == (2, 20)
    seen = []
    again = acceptor.train(toy, out=tmp_path / "run", config=toy_config, resume=True, on_epoch=seen.append)
    assert [lines[-1]["epoch"] for lines in seen] == [3, 4]
    first, second = (load_file(run.folder / "model.safetensors") for run in (toy_run, again))
    assert all((first[name] == second[name]).all() for name in first)


# ---------------------------------------------------------------------- validation is judged once


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("select", ["last", "best"])
def test_the_logits_of_the_loop_are_those_of_the_finished_judge(
    select, precision, toy, toy_config, tmp_path, monkeypatch
):
    """The report takes them from the loop: to the last bit what the weights in the folder give."""
    judged, logits_of = [], Judge.logits_of

    def counted(self, encoded, *rest):
        judged.append(len(encoded))
        return logits_of(self, encoded, *rest)

    config = toy_config.model_copy(update={"select": select, "precision": precision, "learning_rate": 2e-2})
    with monkeypatch.context() as patch:
        patch.setattr(Judge, "logits_of", counted)
        run = acceptor.train(toy, out=tmp_path / "run", config=config)
    assert judged == [48] * 4 + [40]  # after each epoch; test
    again = run.judge.logits(toy.validation.sentences)
    assert (run.reports["validation"].logits == again).all()
    loaded = acceptor.load(run.folder, device=config.device, precision=precision if precision == "fp32" else None)
    if precision == "fp32":
        assert (loaded.logits(toy.validation.sentences) == again).all()


def test_a_training_that_resumes_after_its_last_epoch_judges_validation(toy, toy_config, toy_run, tmp_path):
    def stop(history):
        if history[-1]["epoch"] == 4:
            raise StopError

    with pytest.raises(StopError):
        acceptor.train(toy, out=tmp_path / "run", config=toy_config, on_epoch=stop)
    run = acceptor.train(toy, out=tmp_path / "run", config=toy_config, resume=True)
    assert (run.reports["validation"].logits == toy_run.reports["validation"].logits).all()


def test_steps_in_static_shapes_are_chosen_once(toy, toy_config, tmp_path, monkeypatch):
    calls, choose = [], training.choose_static_steps
    monkeypatch.setattr(training, "choose_static_steps", lambda *given: calls.append(given) or choose(*given))
    acceptor.train(toy, out=tmp_path / "run", config=toy_config.model_copy(update={"epochs": 1}))
    assert len(calls) == 1


def pair_rows(n):
    """Minimal pairs: an unacceptable and an acceptable sentence each, which share a number."""
    of_label = [[row for row in toy_rows(4 * n) if row[1] == label][:n] for label in ("0", "1")]
    pairs = enumerate(zip(*of_label, strict=True))
    return [{"sentence": text, "label": label, "pair": number} for number, pair in pairs for text, label in pair]


@pytest.mark.parametrize("older", [False, True], ids=["this version", "an older one"])
def test_pairs_share_a_batch_also_after_a_stop(older, toy_config, tmp_path, monkeypatch, caplog, interrupt_at):
    """And a training that an older version has started, without that, goes on in its own order."""
    data = acceptor.load_data(pair_rows(40), validation=toy_rows(20, 3))
    config = toy_config.model_copy(update={"epochs": 2})
    caplog.set_level("INFO", "acceptor")
    with monkeypatch.context() as patch:
        if older:
            patch.setattr(training, "count_pairs", lambda split: 0)
        whole = acceptor.train(data, out=tmp_path / "whole", config=config)
        interrupt_at("epoch 1/2")
        with pytest.raises(KeyboardInterrupt):
            acceptor.train(data, out=tmp_path / "stopped", config=config)
    resumed = acceptor.train(data, out=tmp_path / "stopped", config=config, resume=True)
    told = [item["value"] for item in resumed.record["derived"] if item["name"] == "minimal pairs"]
    assert told == ([] if older else [40])
    losses = [[line["loss"] for line in run.history if line["event"] == "step"] for run in (whole, resumed)]
    assert losses[0] == losses[1]
    assert ("an older version started this training" in caplog.text) == older
