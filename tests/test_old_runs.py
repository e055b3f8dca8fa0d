"""Folders that Acceptor wrote at commit a684b4a (tests/data/a684b4a): they load, judge and resume as before."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import acceptor
from acceptor.report.html import write_report
from acceptor.runs.checkpoint import newest
from acceptor.runs.history import as_dicts, read_history
from acceptor.runs.record import USUAL_FORMAT, read_record
from acceptor.runs.report_file import read_report_file
from acceptor.runs.run_file import read_run_file
from acceptor.runs.search_file import SearchFile
from acceptor.runs.set_file import FoldsFile, SeedsFile, read_set_file

OLD = Path(__file__).parent / "data" / "a684b4a"
RUNS = ("run", "seeds/seed-7", "seeds/seed-8", "cv/fold-1", "cv/fold-2", "search/trial-0")
CONFIG = {
    "encoder": "encoder",
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "max_length": 32,
    "seed": 7,
    "on_collapse": "go-on",
    "device": "cpu",
    "precision": "fp32",
    "calibrate": False,  # the default of that version
    "dropout": "encoder",  # what that version always had
    "reinit_layers": 0,
    "adam_beta2": 0.999,
}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A copy of all of them in the working folder, because they contain relative paths."""
    return shutil.copytree(OLD, tmp_path_factory.mktemp("old") / "toy")


@pytest.fixture(autouse=True)
def _here(old, monkeypatch):
    monkeypatch.chdir(old)


@pytest.fixture(scope="module")
def data(old):
    before = Path.cwd()
    os.chdir(old)
    try:
        return acceptor.load_data("data/train.tsv", validation="data/validation.tsv", test="data/test.tsv")
    finally:
        os.chdir(before)


def written(*names):
    return json.loads(OLD.joinpath(*names).read_text("utf-8"))


def test_no_file_names_the_machine_that_made_it():
    for path in OLD.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [place for place in (b"/work", b"/tmp", b"/root", b"/home") if place in content], path
    assert sum(path.stat().st_size for path in OLD.rglob("*") if path.is_file()) < 2 << 20


@pytest.mark.parametrize("name", RUNS)
def test_a_run_gives_its_recorded_verdicts(name):
    judge, kept = acceptor.load(name, device="cpu", precision="fp32"), pl.read_parquet(f"{name}/predictions.parquet")
    logits = judge.logits(kept["sentence"].to_list())
    expected = kept.select(f"logit({label})" for label in judge.labels).to_numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert [verdict.label for verdict in judge(kept["sentence"].to_list())] == kept["verdict"].to_list()


def test_an_exported_judge_gives_the_verdicts_of_its_run():
    judge, kept = acceptor.load("judge.onnx"), pl.read_parquet("run/predictions.parquet")
    assert [verdict.label for verdict in judge(kept["sentence"].to_list())] == kept["verdict"].to_list()
    assert judge.encoder == written("run", "judge.json")["encoder"]


def test_a_run_is_evaluated_compared_and_shown(data, tmp_path):
    report = acceptor.evaluate(acceptor.load("run", device="cpu"), data.test)
    assert report.scores.to_dict()["mcc"] == written("run", "report.json")["test"]["mcc"]
    (found,) = acceptor.compare("run", "cv/fold-1", data="data/test.tsv")
    assert found.n == 15
    (found,) = acceptor.compare("seeds", "cv/fold-1", data="data/test.tsv")
    assert found.seeds == (2, 1)
    page = write_report(["run", "seeds"], tmp_path / "r.html", figures=False).read_text("utf-8")
    assert "seeds: 2 trainings" in page


@pytest.mark.parametrize("name", RUNS)
def test_every_file_of_a_run_is_read_as_it_was_written(name):
    folder = Path(name)
    assert read_run_file(folder).to_dict() == written(name, "run.json")
    assert read_report_file(folder).to_dict() == written(name, "report.json")
    lines = (OLD / name / "history.jsonl").read_text("utf-8").splitlines()
    assert as_dicts(read_history(folder)) == [json.loads(line) for line in lines]


def test_seeds_are_read_and_resumed(data, old):
    assert read_set_file(Path("seeds"), SeedsFile).to_dict() == written("seeds", "seeds.json")
    before = Path("seeds/seed-7/manifest.json").stat().st_mtime_ns
    config = acceptor.TrainConfig(**CONFIG)
    more = acceptor.train_seeds(data, out="seeds", seeds=3, config=config)
    assert [run.name for run in more.runs] == ["seed-7", "seed-8", "seed-9"]
    assert Path("seeds/seed-7/manifest.json").stat().st_mtime_ns == before
    assert read_set_file(Path("seeds"), SeedsFile).format == USUAL_FORMAT
    changed = config.model_copy(update={"epochs": 5})
    with pytest.raises(acceptor.UsageError):
        acceptor.train_seeds(data, out="seeds", seeds=3, config=changed)


def test_folds_are_read_and_resumed(data):
    assert read_set_file(Path("cv"), FoldsFile).to_dict() == written("cv", "cv.json")
    shutil.rmtree("cv/fold-2")
    config = acceptor.TrainConfig(**CONFIG | {"seed": 5})
    folds = acceptor.cross_validate(data, by=2, out="cv", config=config)
    assert folds.count("finished") == 2
    # The fold that was trained again gives the same scores: pooled scores do not change.
    assert folds.record["pooled"]["confusion"] == written("cv", "cv.json")["pooled"]["confusion"]


def test_a_search_is_read_and_resumed(data):
    before = written("search", "search.json")
    assert read_record(Path("search/search.json"), SearchFile).to_dict() == before
    space = {"learning_rate": (5e-3, 2e-2, "log"), "epochs": (3, 4)}
    config = acceptor.TrainConfig(**CONFIG)
    found = acceptor.search_settings(data, out="search", trials=3, seeds=0, config=config, space=space)
    assert found.record["trials"][:2] == before["trials"]
    assert len(found.trials) == 3


def test_a_stopped_training_resumes_to_the_end():
    state = newest(Path("stopped"))
    assert (state.progress.epoch, state.progress.step) == (1, 6)
    assert state.to_dict() == written("stopped", "checkpoints", "epoch-1-step-6", "state.json")
    run = acceptor.resume("stopped")
    assert as_dicts(run.lines[:7]) == as_dicts(state.history)
    assert [line["epoch"] for line in run.history if line["event"] == "epoch"] == [1, 2, 3, 4]
    # Same data and settings as the first of the seeds, which was never stopped.
    assert run.reports["test"].scores.to_dict()["confusion"] == written("seeds/seed-7/report.json")["test"]["confusion"]
