"""Cross-validation: every row judged once, by a judge that was not trained on it."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import acceptor
from acceptor.cli.render import folds_text
from acceptor.errors import DataError, UsageError
from acceptor.evaluation.evaluate import score
from acceptor.evaluation.metrics import confusion_matrix
from conftest import raises, toy_rows, turning


def rows(sources, n=160):
    return [
        {"sentence": sentence, "label": label, "source": sources[index % len(sources)], "fold": str(index % 3)}
        for index, (sentence, label) in enumerate(toy_rows(n))
    ]


@pytest.fixture(scope="module")
def config(toy_config):
    return toy_config.model_copy(update={"epochs": 2, "on_collapse": "go-on"})


@pytest.fixture(scope="module")
def folds(config, tmp_path_factory):
    data = acceptor.load_data(rows(["a/b", "a b", "..", "c"]), test=toy_rows(40, 2))
    return acceptor.cross_validate(data, by="source", out=tmp_path_factory.mktemp("cv") / "cv", config=config)


def test_every_row_is_judged_once_by_a_judge_that_was_not_trained_on_it(folds):
    assert [entry["fold"] for entry in folds.entries] == ["a/b", "a b", "..", "c"]
    assert len({run.name.lower() for run in folds.runs}) == 4
    assert all(run.parent == folds.folder for run in folds.runs)
    verdicts = pl.read_parquet(folds.folder / "predictions.parquet")
    assert sorted(verdicts["line"].to_list()) == list(range(1, 161))
    assert (verdicts["fold"] == verdicts["source"]).all()
    assert set(verdicts["input.fold"]) == {"0", "1", "2"}  # the data's own column
    for run, entry in zip(folds.runs, folds.entries, strict=True):
        data = json.loads((run / "run.json").read_text())["data"]
        assert data["test"]["rows"] == entry["n"] == 40
        assert data["train"]["rows"] + data["validation"]["rows"] == 120
        own = pl.read_parquet(run / "predictions.parquet")
        assert set(own.filter(split="test")["source"]) == {entry["fold"]}
        assert entry["fold"] not in set(own.filter(split="validation")["source"])


def test_the_pooled_scores_are_those_of_all_verdicts(folds):
    verdicts = pl.read_parquet(folds.folder / "predictions.parquet")
    ids = {label: index for index, label in enumerate(("unacceptable", "acceptable"))}
    gold, verdict = (np.array([ids[one] for one in verdicts[name]]) for name in ("gold", "verdict"))
    expected = score(confusion_matrix(gold, verdict, 2)).to_dict()
    pooled = folds.record["pooled"]
    assert {name: pooled[name] for name in expected} == expected
    assert pooled["n"] == 160
    assert json.loads((folds.folder / "cv.json").read_text()) == folds.record


def test_rows_that_other_folds_have_too_are_counted_and_left_out(config, tmp_path):
    """Each sentence twice, in two parts: the judge of either was trained on the other one."""
    once = toy_rows(60)
    rows = [{"sentence": text, "label": label, "part": part} for part in ("a", "b") for text, label in once]
    rows += [{"sentence": text, "label": label, "part": "b"} for text, label in toy_rows(30, 70)]
    found = acceptor.cross_validate(acceptor.load_data(rows), by="part", out=tmp_path / "cv", config=config)
    each = [entry["scores"]["test"]["leaked"] for entry in found.entries]
    pooled = found.record["pooled"]
    assert pooled["leaked"] == sum(each) > 60
    assert pooled["without_leaked"]["n"] == 150 - pooled["leaked"]
    assert f"without the {pooled['leaked']} that are also in the train of their fold MCC" in repr(found)


def test_a_number_of_folds_may_be_numpys(config, tmp_path):
    data = acceptor.load_data(rows(["a", "b"], 40))
    folds = acceptor.cross_validate(data, by=np.int64(2), out=tmp_path / "cv", config=config)
    assert len(folds.entries) == 2


def test_pooled_scores_are_of_the_verdicts_that_calibrated_judges_gave(config, tmp_path, monkeypatch):
    """Each fold's judge has its own temperature and threshold; raw logits would give other verdicts."""
    monkeypatch.setattr("acceptor.training.train.calibrate", turning)
    noisy = [{**row, "label": "0" if index % 4 == 1 else row["label"]} for index, row in enumerate(rows(["a", "b"]))]
    settings = config.model_copy(update={"calibrate": True, "epochs": 1, "learning_rate": 3e-3})
    folds = acceptor.cross_validate(
        acceptor.load_data(noisy), by="source", out=tmp_path / "cv",
        config=settings.model_copy(update={"validation_share": 0.5}),
    )  # fmt: skip
    verdicts = pl.read_parquet(folds.folder / "predictions.parquet")
    by_logits = np.where(verdicts["logit(acceptable)"] > verdicts["logit(unacceptable)"], "acceptable", "unacceptable")
    assert (verdicts["verdict"].to_numpy() != by_logits).any()
    assert folds.record["pooled"]["accuracy"] == pytest.approx((verdicts["verdict"] == verdicts["gold"]).mean())


def test_the_text_has_every_fold_and_the_pooled_score(folds, capsys):
    from acceptor.cli.render.tables import show

    show(*folds_text(folds))
    text = capsys.readouterr().out
    for words in ("a/b", "pooled MCC", "n 160 of 160", "majority"):
        assert words in text, words
    assert "\n" not in repr(folds)


def test_the_same_call_trains_nothing_again(folds, config):
    before = {run: (run / "manifest.json").stat().st_mtime_ns for run in folds.runs}
    data = acceptor.load_data(rows(["a/b", "a b", "..", "c"]), test=toy_rows(40, 2))
    again = acceptor.cross_validate(data, by="source", out=folds.folder, config=config)
    assert {run: (run / "manifest.json").stat().st_mtime_ns for run in again.runs} == before
    assert again.record == folds.record
    with raises(UsageError, "E-USAGE-CHANGED", expected="by = source", found="by = 4"):
        acceptor.cross_validate(data, by=4, out=folds.folder, config=config)


def test_parts_of_any_size_are_trained_with_the_same_settings(config, tmp_path):
    """They are derived once, from all rows."""
    rows = [{"sentence": text, "label": label, "source": "many" if row % 10 else "few"}
            for row, (text, label) in enumerate(toy_rows(180))]  # fmt: skip
    config = config.model_copy(update={"epochs": None, "dropout": None, "batch_size": 1, "learning_rate": 1e-3})
    found = acceptor.cross_validate(pl.DataFrame(rows), by="source", out=tmp_path / "cv", config=config)
    used = [json.loads((found.folder / entry.folder / "run.json").read_text())["config"] for entry in found.file.runs]
    assert [one["epochs"] for one in used] == [12, 12]  # as many as make 2,000 steps of 180 rows
    assert found.file.config["epochs"] == 12


def test_parts_by_number_keep_the_label_shares(config, tmp_path):
    found = acceptor.cross_validate(toy_rows(160), by=3, out=tmp_path / "cv", config=config)
    assert [entry["n"] for entry in found.entries] == [54, 53, 53]
    assert [entry["balance"] for entry in found.entries] == [
        {"unacceptable": 18, "acceptable": m} for m in (36, 35, 35)
    ]
    assert found.record["pooled"]["n"] == 160


def test_a_small_part_and_one_with_a_single_label_have_no_score(config, tmp_path):
    data = rows(["big"], 130)
    for index, row in enumerate(data):
        row["source"] = "small" if index < 9 else "good" if index < 60 and row["label"] == "1" else "big"
    found = acceptor.cross_validate(data, by="source", out=tmp_path / "cv", config=config)
    scores = {entry["fold"]: entry["scores"]["test"] for entry in found.entries}
    assert scores["small"]["n"] == 9
    assert scores["small"]["mcc"] is scores["small"]["mcc_interval"] is None
    assert scores["good"]["mcc"] is None
    assert any("not defined" in str(part) for part in _cells(folds_text(found)))
    assert found.record["pooled"]["n"] == 130


def _cells(parts):
    for part in parts:
        yield from ([part] if isinstance(part, str) else [cell for column in part.columns for cell in column])


BAD = {
    "no such column": ({"by": "sauce"}, DataError, "E-DATA-COLUMN", {"problem": "'sauce'", "next": "'source'"}),
    "one value": ({"by": "kind"}, DataError, "E-DATA-SPLIT", {"problem": "'kind'", "found": "1 values"}),
    "a single row": ({"by": "rare"}, DataError, "E-DATA-SPLIT", {"found": "'x'", "next": "--cv 5"}),
    "all of a label": ({"by": "label"}, DataError, "E-DATA-SPLIT", {"problem": "label"}),
    "one part": ({"by": 1}, UsageError, "E-USAGE-OPTION", {"problem": "1 parts", "expected": "2 or more"}),
    "more parts than rows of a label": (
        {"by": 55},
        DataError,
        "E-DATA-SPLIT",
        {"problem": "'unacceptable'", "found": "54"},
    ),
    "a split rule": ({"by": 3, "split": "notebook"}, UsageError, "E-USAGE-CONFLICT", {"problem": "split = notebook"}),
}


@pytest.mark.parametrize("case", BAD)
def test_data_that_cannot_be_divided_are_refused(case, config, tmp_path):
    options, error, code, fields = BAD[case]
    data = [{**row, "kind": "k", "rare": "x" if index == 3 else "y"} for index, row in enumerate(rows(["a", "b"]))]
    settings = config.model_copy(update={"split": options.get("split")})
    with raises(error, code, **fields):
        acceptor.cross_validate(data, by=options["by"], out=tmp_path / "cv", config=settings)
    assert list(tmp_path.iterdir()) == []
