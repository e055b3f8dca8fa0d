"""`load_data(extra=…)` and `--extra`: rows of other sources train, are named by their own place, are never held out."""

from __future__ import annotations

import json

import pandas as pd
import polars as pl
import pytest

import acceptor
from acceptor.data.split import with_validation
from acceptor.errors import DataError
from acceptor.training.train import resume
from conftest import raises, toy_rows


@pytest.fixture
def files(tmp_path):
    """A TSV of 60 rows from two sources, and a CSV of 40 more whose labels are other words for the same."""
    own, more = tmp_path / "own.tsv", tmp_path / "more.csv"
    rows = [f"{sentence}\t{label}\t{'ab'[at % 2]}\n" for at, (sentence, label) in enumerate(toy_rows(60))]
    own.write_text("".join(["sentence\tlabel\tsource\n", *rows]))
    words = [f"{sentence},{'yes' if label == '1' else 'no'}\n" for sentence, label in toy_rows(40, 3)]
    more.write_text("".join(["text,label\n", *words]))
    return own, more


def test_rows_of_another_file_are_behind_the_own_ones_with_their_own_places(files):
    own, more = files
    alone, both = acceptor.load_data(own).train, acceptor.load_data(own, extra=more).train
    assert both.sentences == alone.sentences + [sentence for sentence, _ in toy_rows(40, 3)]
    assert both.gold.tolist() == [int(label) for _, label in toy_rows(60) + toy_rows(40, 3)]
    assert both.table.frame["source"].to_list() == [*alone.table.frame["source"], *[None] * 40]
    assert (both.table.place(59), both.table.place(60)) == (f"{own}, line 61", f"{more}, line 2")
    assert both.table.places([0, 99]) == f"the batch of {own}, line 2; {more}, line 41"
    assert both.own.sentences == alone.sentences
    assert both.own.table.extra_origins == []
    assert both.table.sha256 != alone.table.sha256
    assert f"100 rows, with those of {more} (40 rows)" in both.describe()


@pytest.mark.parametrize("rule", ["stratified", "notebook", "column"])
def test_validation_is_cut_from_the_own_rows_and_all_others_are_trained_on(rule):
    roles = ["train", "train", "dev"]
    rows = [
        {"sentence": one, "label": label, "split": roles[at % 3]} for at, (one, label) in enumerate(toy_rows(60, 1))
    ]
    added = toy_rows(40, 3)
    frame = pd.DataFrame(added[:5], columns=["sentence", "label"])
    alone, both = (acceptor.load_data(rows, extra=extra) for extra in ((), [added, frame]))
    cut_alone, cut_both = (with_validation(data, rule, share=0.2, seed=1)[0] for data in (alone, both))
    assert cut_both.validation.sentences == cut_alone.validation.sentences
    assert cut_both.validation.table.extra_origins == []
    extra = [sentence for sentence, _ in added + added[:5]]
    assert cut_both.train.sentences == cut_alone.train.sentences + extra


def test_a_column_of_splits_is_named_although_other_rows_lack_it():
    rows = [{"sentence": one, "label": label, "split": "train" if at % 3 else "dev"} for at, (one, label) in
            enumerate(toy_rows(60))]  # fmt: skip
    data = acceptor.load_data(rows, extra=[toy_rows(200, 3)])
    with raises(DataError, "E-DATA-SPLIT", problem="the column split says which split"):
        with_validation(data, None, share=0.1, seed=1)


def test_of_a_corpus_only_the_training_split_is_taken():
    starter = acceptor.load_data("starter")
    both = acceptor.load_data(toy_rows(60), extra="starter")
    assert len(both.train) == 60 + len(starter.train)
    assert both.validation is None
    assert both.train.sentences[60:] == starter.train.sentences
    assert both.train.table.place(60).startswith("starter")


def test_a_cross_validation_holds_out_own_rows_only(files, toy_config, tmp_path):
    own, more = files
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    folds = acceptor.cross_validate(
        acceptor.load_data(own, extra=more), by="source", out=tmp_path / "cv", config=config
    )
    assert [(entry["fold"], entry["n"]) for entry in folds.entries] == [("a", 30), ("b", 30)]
    for run in folds.runs:
        data = json.loads((run / "run.json").read_text())["data"]
        assert (data["train"]["rows"] + data["validation"]["rows"], data["test"]["rows"]) == (30 + 40, 30)
    assert "n 60 of 60" in repr(folds)
    assert sorted(pl.read_parquet(folds.folder / "predictions.parquet")["line"]) == list(range(2, 62))


def test_a_stopped_training_reads_them_again(files, toy_config, tmp_path, monkeypatch):
    own, more = files
    monkeypatch.chdir(tmp_path)
    whole = acceptor.train(acceptor.load_data(own.name, extra=more.name), out="whole", config=toy_config)

    def stop(lines):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        acceptor.train(acceptor.load_data(own.name, extra=more.name), out="run", config=toy_config, on_epoch=stop)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = resume(tmp_path / "run")
    assert resumed.record["data"]["train"]["sha256"] == whole.record["data"]["train"]["sha256"]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]
    assert len(whole.report.split) == 6


def test_an_output_never_replaces_them(files, tiny_bert, run_cli):
    own, more = files
    code, _, stderr = run_cli("train", own, "--extra", more, "--encoder", tiny_bert, "--out", more, "--overwrite")
    assert (code, more.is_file()) == (2, True), stderr


def test_the_command_names_them_in_its_log_and_in_the_card(files, tiny_bert, tmp_path, run_cli):
    own, more = files
    arguments = ("train", own, "--encoder", tiny_bert, "--epochs", 1, "--extra", more, "--out", tmp_path / "run")
    code, _, stderr = run_cli(*arguments, "--on-collapse", "go-on")
    assert code == 0, stderr
    assert f"with those of {more} (40 rows)" in stderr
    card = (tmp_path / "run" / "README.md").read_text()
    assert "those of more.csv (40 rows)" in card
    assert str(more) not in card  # a card is for others, who do not have this path


def test_a_file_that_is_a_split_already_is_refused(files):
    own, more = files
    for name, given in {"train": {"extra": own}, "validation": {"extra": [more], "validation": more}}.items():
        with raises(DataError, "E-DATA-SPLIT", problem=f"the extra rows are those of the {name} split"):
            acceptor.load_data(own, **given)


ONE_OF_TRAIN = [
    {"sentence": f"the cats sleep {at}.", "label": "1", "split": one} for at, one in enumerate(("train", "dev"))
]


@pytest.mark.parametrize(
    ("extra", "code", "words"),
    [
        ([("the cats sleep.", "maybe")], "E-DATA-LABELS", "unknown label 'maybe'"),
        ([("the cats sleep.", "the girl sees.", "1")], "E-DATA-PAIRS", "some splits hold pairs"),
        ([{"sentence": "the cats sleep.", "of": "x"}], "E-DATA-UNLABELLED", "no label"),
        (ONE_OF_TRAIN, "E-DATA-SPLIT", "the column split says"),
        ("nowhere.tsv", "E-DATA-MISSING", "no such file"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_refused(extra, code, words):
    with raises(DataError, code, problem=words):
        acceptor.load_data(toy_rows(60), extra=[extra])
