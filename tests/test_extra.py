"""`load_data(extra=…)` and `--extra`: rows of other sources train, are named by their own place, are never held out."""

from __future__ import annotations

import functools
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

import acceptor
from acceptor.config import TrainConfig
from acceptor.data.load import load_split
from acceptor.data.split import with_validation
from acceptor.errors import DataError, UsageError
from acceptor.training.train import resume
from conftest import COLA, needs_cola, raises, toy_rows

MORE = [(f"{sentence.removesuffix('.')} mat mat mat mat mat mat.", label) for sentence, label in toy_rows(40, 3)]
"""Rows that are longer than any of `toy_rows`, so that no text is in both."""


@pytest.fixture
def files(tmp_path):
    """A TSV of 60 rows from two sources, and a CSV of 40 more whose labels are other words for the same."""
    own, more = tmp_path / "own.tsv", tmp_path / "more.csv"
    rows = [f"{sentence}\t{label}\t{'ab'[at % 2]}\n" for at, (sentence, label) in enumerate(toy_rows(60))]
    own.write_text("".join(["sentence\tlabel\tsource\n", *rows]))
    words = [f"{sentence},{'yes' if label == '1' else 'no'}\n" for sentence, label in MORE]
    more.write_text("".join(["text,label\n", *words]))
    return own, more


def test_rows_of_another_file_are_behind_the_own_ones_with_their_own_places(files):
    own, more = files
    alone, both = acceptor.load_data(own).train, acceptor.load_data(own, extra=more).train
    assert both.sentences == alone.sentences + [sentence for sentence, _ in MORE]
    assert both.gold.tolist() == [int(label) for _, label in toy_rows(60) + MORE]
    assert both.table.frame["source"].to_list() == [*alone.table.frame["source"], *[""] * 40]
    assert (both.table.place(59), both.table.place(60)) == (f"{own}, line 61", f"{more}, line 2")
    assert both.table.places([0, 99]) == f"{own}, line 2; {more}, line 41"
    assert both.own.sentences == alone.sentences
    assert (both.own.to_dict(), both.own.table.added) == (alone.to_dict(), ())
    assert [(one.origin, count) for one, count in both.table.added_rows] == [(str(more), 40)]
    assert f"60 rows and 40 of {more} · labels" in both.describe()


@pytest.mark.parametrize("rule", ["stratified", "notebook", "column"])
def test_validation_is_cut_from_the_own_rows_and_all_others_are_trained_on(rule):
    roles = ["train", "train", "dev"]
    rows = [
        {"sentence": one, "label": label, "split": roles[at % 3]} for at, (one, label) in enumerate(toy_rows(60, 1))
    ]
    frame = pd.DataFrame(MORE[:5], columns=["sentence", "label"])
    alone, both = (acceptor.load_data(rows, extra=extra) for extra in (None, [MORE, frame]))
    cut_alone, cut_both = (
        with_validation(data, TrainConfig(split=rule, validation_share=0.2, seed=1))[0] for data in (alone, both)
    )
    assert cut_both.validation.sentences == cut_alone.validation.sentences
    assert cut_both.validation.to_dict() == cut_alone.validation.to_dict()
    extra = [sentence for sentence, _ in MORE + MORE[:5]]
    assert cut_both.train.sentences == cut_alone.train.sentences + extra


def test_a_column_of_splits_is_named_although_other_rows_lack_it():
    rows = [{"sentence": one, "label": label, "split": "train" if at % 3 else "dev"} for at, (one, label) in
            enumerate(toy_rows(60))]  # fmt: skip
    data = acceptor.load_data(rows, extra=[MORE])
    with raises(DataError, "E-DATA-SPLIT", problem="the column split says which split"):
        with_validation(data, TrainConfig(seed=1))


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


def test_extra_rows_that_validation_or_test_has_are_left_out_by_name(files, caplog):
    """Whatever file they are in, and however it is written."""
    own, more = files
    held_out = acceptor.load_data(own).train.sentences[:7]
    more.write_text(more.read_text() + "".join(f"{one.upper()},yes\n" for one in held_out))
    data = acceptor.load_data(
        own, validation=[(one, "1") for one in held_out[:4]], test=[(held_out[4], "0")], extra=more
    )
    assert data.train.sentences[60:] == [one for one, _ in MORE] + [one.upper() for one in held_out[5:]]
    assert f"5 extra rows left out, also in validation or test: {more}, line 42; " in caplog.text


def test_extra_rows_that_train_has_already_are_told(caplog):
    own = toy_rows(60)
    again, other = own[:3], [(sentence, str(1 - int(label))) for sentence, label in own[3:5]]
    acceptor.load_data(own, extra=[MORE, again + other + MORE[:1]])
    assert "2 extra rows in train already, with another label: list, rows 4, 5" in caplog.text
    assert "4 extra rows in train already, and now twice: list, rows 1, 2, 3, 6" in caplog.text
    caplog.clear()
    acceptor.load_data(own, extra=[MORE])
    assert "already" not in caplog.text


def test_how_many_extra_rows_were_left_out_is_recorded(files, toy_config, tmp_path):
    own, more = files
    held_out = [(one, "1") for one, _ in MORE[:4]]
    run = acceptor.train(
        acceptor.load_data(own, test=[*held_out, *toy_rows(8, 5)], extra=more), out=tmp_path / "r", config=toy_config
    )
    (extra,) = run.record["data"]["train"]["extra"]
    assert (extra["rows"], extra["left_out"]) == (36, 4)
    assert "4 more are left out, since validation or test has them" in (run.folder / "README.md").read_text()


def test_extra_rows_that_a_cut_validation_or_a_fold_has_are_left_out(files, toy_config, tmp_path):
    own, _ = files
    alone = acceptor.load_data(own)
    twins = [
        (sentence.upper(), str(label)) for sentence, label in zip(alone.train.sentences, alone.train.gold, strict=True)
    ]
    cut, _ = with_validation(
        acceptor.load_data(own, extra=[twins]), TrainConfig(split="stratified", validation_share=0.2, seed=1)
    )
    held_out = {sentence.lower() for sentence in cut.validation.sentences}
    assert not held_out & {cut.train.sentences[row].lower() for row in np.flatnonzero(cut.train.table.source_ids)}
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    folds = acceptor.cross_validate(acceptor.load_data(own, extra=[twins]), by=2, out=tmp_path / "cv", config=config)
    for run in folds.runs:
        data = json.loads((run / "run.json").read_text())["data"]
        assert data["train"]["extra"][0]["rows"] < 30


def test_hidden_labels_of_a_test_split_hide_no_text(caplog):
    data = acceptor.load_data(toy_rows(60), test=[MORE[0][0], MORE[1][0]], extra=MORE)
    assert data.train.sentences[60:] == [sentence for sentence, _ in MORE[2:]]
    assert "2 extra rows left out" in caplog.text


def test_rows_in_any_order_keep_their_kind():
    data = acceptor.load_data(toy_rows(60), extra=MORE)
    turned = acceptor.Data(data.train.take(list(range(len(data.train)))[::-1], "train"))
    cut, _ = with_validation(turned, TrainConfig(split="stratified", validation_share=0.2, seed=1))
    added = {sentence for sentence, _ in MORE}
    assert not added & set(cut.validation.sentences)
    assert added <= set(cut.train.sentences)
    assert (len(cut.train), len(cut.validation)) == (88, 12)


def test_a_judge_remembers_the_file_that_chose_its_epoch(files, toy_config, tmp_path):
    own, more = files
    config = toy_config.model_copy(update={"select": "best"})
    run = acceptor.train(acceptor.load_data(own, extra=more), out=tmp_path / "run", config=config)
    assert acceptor.evaluate(run.judge, acceptor.load_data(own).train).selected
    assert not acceptor.evaluate(run.judge, acceptor.load_data(more).train).selected


def test_an_audit_is_of_the_own_rows():
    rows = [{"sentence": one, "label": label, "source": "ab"[at % 2], "mark": ""} for at, (one, label) in
            enumerate(toy_rows(60))]  # fmt: skip
    data, alone = acceptor.load_data(rows, extra=MORE + MORE[:3]), acceptor.load_data(rows)
    assert acceptor.audit(data.train).to_dict() == acceptor.audit(alone.train).to_dict()
    assert acceptor.findings(data) == acceptor.findings(alone)


@pytest.mark.parametrize("trains", [acceptor.train, functools.partial(acceptor.cross_validate, by=2)])
def test_an_output_never_replaces_them(trains, files, toy_config, tmp_path):
    own, more = files
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    frame = pd.DataFrame(toy_rows(60), columns=["sentence", "label"])
    trains(frame, out=tmp_path / "out", config=config)
    inside = more.rename(tmp_path / "out" / "more.csv")
    for source in (own, frame):
        with raises(UsageError, "E-USAGE-OUTPUT", problem="is an input, and is in the output folder"):
            trains(acceptor.load_data(source, extra=inside), out=tmp_path / "out", config=config, overwrite=True)
        assert inside.is_file()


def test_every_command_that_trains_takes_them(files, tiny_bert, tmp_path, run_cli):
    own, more = files
    usual = ["--encoder", tiny_bert, "--epochs", 1, "--on-collapse", "go-on", "--extra", more]
    for command, options, run in (
        ("train", (), ""),
        ("seeds", ("--seeds", "3,"), "seed-3"),
        ("search", ("--trials", 1, "--seeds", 0), "trial-0"),
        ("distil", ("--teacher", tmp_path / "train"), ""),
    ):
        out = tmp_path / command
        code, _, stderr = run_cli(command, own, *usual, *options, "--out", out)
        assert code == 0, stderr
        train = json.loads((out / run / "run.json").read_text())["data"]["train"]
        if command == "distil":
            assert train["origin"].startswith(f"{own}, {more}, with the probabilities of ")
            continue
        assert [(one["origin"], one["rows"]) for one in train["extra"]] == [(str(more), 40)]
    code, _, stderr = run_cli("train", tmp_path / "train", "--resume", "--extra", more)
    assert (code, "--extra" in stderr) == (2, True)


def test_the_report_lists_them(files, tiny_bert, tmp_path, run_cli):
    own, more = files
    arguments = ("train", own, "--extra", more, "--encoder", tiny_bert, "--epochs", 1, "--on-collapse", "go-on")
    assert run_cli(*arguments, "--out", tmp_path / "r")[0] == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert "of these, extra" in page
    assert "more.csv" in page


@needs_cola
def test_the_folder_of_cola_is_found_beside_another_corpus(files):
    own, _ = files
    data = acceptor.load_data(own, extra=["cola", "starter"], folder=COLA)
    assert [count for _, count in data.train.table.added_rows] == [8551, len(acceptor.load_data("starter").train)]


def test_the_command_names_them_in_its_log_and_in_the_card(files, tiny_bert, tmp_path, run_cli):
    own, more = files
    arguments = ("train", own, "--encoder", tiny_bert, "--epochs", 1, "--extra", more, "--out", tmp_path / "run")
    code, _, stderr = run_cli(*arguments, "--on-collapse", "go-on")
    assert code == 0, stderr
    assert f"60 rows and 40 of {more}" in stderr
    card = (tmp_path / "run" / "README.md").read_text()
    assert "these are extra: 40 from more.csv (sha256 " in card
    assert str(more) not in card  # a card is for others, who do not have this path


def test_a_file_is_taken_once(files):
    own, more = files
    for words, given in {
        "the train split": {"extra": own},
        "the validation split": {"extra": [more], "validation": more},
        f"{more} again": {"extra": [more, more]},
    }.items():
        with raises(DataError, "E-DATA-SPLIT", problem=f"the extra rows are those of {words}"):
            acceptor.load_data(own, **given)


def test_names_of_labels_are_not_guessed():
    """0 and 1 that were called rude and nice are no other way to write unacceptable and acceptable."""
    rows = [("the cats sleep mat.", "acceptable")]
    with raises(DataError, "E-DATA-LABELS", problem="unknown label 'acceptable'"):
        acceptor.load_data(toy_rows(60), labels=["rude", "nice"], extra=[rows])
    assert load_split([("the cats sleep.", "1")], ("bad", "good")).gold.tolist() == [1]  # another way to write these
    named = acceptor.load_data(toy_rows(60), labels=["rude", "nice"], extra=[[("the cats sleep mat.", "nice")]])
    assert named.train.gold[-1] == 1


def test_columns_are_named_for_files_beside_a_corpus(tmp_path):
    (tmp_path / "more.csv").write_text("Satz,Urteil\nthe cats sleep.,1\n")
    columns = {"sentence": "Satz", "label": "Urteil"}
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "train.csv").write_text("Satz,Urteil\nthe cats see.,1\n")
    extra = [tmp_path / "more.csv", tmp_path / "folder"]
    data = acceptor.load_data("starter", extra=extra, columns=columns)
    assert data.train.sentences[-2:] == ["the cats sleep.", "the cats see."]


def test_nothing_is_no_source():
    assert acceptor.load_data(toy_rows(60), extra=[]).train.table.source_ids is None
    for given in ({"extra": ""}, {"extra": [""]}):
        with raises(UsageError, "E-USAGE-OPTION", problem="the name of the data is empty"):
            acceptor.load_data(toy_rows(60), **given)
    assert (
        len(acceptor.load_data(toy_rows(60), extra=[[sentence, int(label)] for sentence, label in MORE]).train) == 100
    )


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
