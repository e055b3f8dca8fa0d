"""`AcceptorClassifier` in scikit-learn: its checks, searches and scores, pickles, kinds of X."""

from __future__ import annotations

import copy
import gc
import io
import json
import logging
import os
import pathlib
import pickle
import re
import shutil
import string
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.metrics import make_scorer, matthews_corrcoef
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

import acceptor
from acceptor.config import TrainConfig
from acceptor.errors import DataError, RunError, TrainingError, UsageError
from acceptor.integrations.sklearn import (
    EXPECTED_FAILED_CHECKS,
    AcceptorClassifier,
    InputError,
    ParameterError,
    _remove,
)
from acceptor.integrations.sklearn_input import as_input_error, in_parameters
from conftest import REPOSITORY, needs_minilm, raises, toy_rows, turning

N = 160  # enough for the tiny encoder to learn from one half, for any seed
SENTENCES = [sentence for sentence, _ in toy_rows(N)]
GOOD = np.array([label == "1" for _, label in toy_rows(N)])
FRESH = [sentence for sentence, _ in toy_rows(40, 1)]
FRESH_GOOD = np.array([label == "1" for _, label in toy_rows(40, 1)])


@pytest.fixture(autouse=True, scope="module")
def _quick():
    """Leaves out the loss figure and fsync, which would take half of the time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("acceptor.training.record.loss_figure", lambda *_: None)
        patch.setattr("acceptor.training.record.save_figure", lambda *_: None)
        patch.setattr("acceptor.storage.files.fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def tiny(tiny_bert):
    """An unfitted classifier that learns `toy_rows` in half a second."""
    return AcceptorClassifier(
        encoder=tiny_bert, epochs=4, batch_size=8, learning_rate=1e-2, max_length=32, random_state=7, device="cpu"
    )


@pytest.fixture(scope="module")
def fitted(tiny):
    return clone(tiny).fit(SENTENCES, GOOD)


@pytest.fixture(scope="module")
def short(tiny):
    """A classifier with one epoch, for tests that need no good scores."""
    return clone(tiny).set_params(epochs=1, batch_size=16, on_collapse="go-on").fit(SENTENCES, GOOD)


# ---------------------------------------------------------------------- scikit-learn's own checks


def test_scikit_learn_s_checks_pass_but_for_those_that_give_numbers(tiny):
    results = check_estimator(clone(tiny), expected_failed_checks=EXPECTED_FAILED_CHECKS, on_skip=None, on_fail="raise")
    failed = {result["check_name"] for result in results if result["status"] == "xfail"}
    assert failed == EXPECTED_FAILED_CHECKS.keys()  # no check is skipped that would pass
    assert sum(result["status"] == "passed" for result in results) > 20


class OnNumbers(AcceptorClassifier):
    """Writes numbers as letters, so that checks that are not about text (pickles, shapes, refits) can run."""

    def _read(self, X, *, reset):  # noqa: N803
        with as_input_error("X"):
            cells = validate_data(self, X, reset=reset)
        letters = string.ascii_lowercase.translate({ord("x"): None, ord("z"): None})  # the vocabulary has the others
        return [[" ".join(letters[int(np.clip(2 * x + 12, 0, 23))] for x in row[:8]) for row in cells.tolist()]]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = False
        tags.classifier_tags.poor_score = True  # letters carry little information about blobs of points
        return tags


def test_on_numbers_spelt_as_letters_all_of_scikit_learn_s_checks_pass(tiny_bert):
    settings = {"epochs": 1, "batch_size": 5, "validation_share": 0.3, "on_collapse": "go-on", "max_length": 32}
    results = check_estimator(OnNumbers(encoder=tiny_bert, device="cpu", **settings), on_skip=None, on_fail="raise")
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "passed" for result in results) > 50


# ---------------------------------------------------------------------- parameters


def test_parameters_are_the_fields_of_a_training_s_settings_with_their_defaults():
    own = {"random_state": 2018, "run_folder": None, "verbose": False}
    settings = {name: field.default for name, field in TrainConfig.model_fields.items()}
    assert settings.pop("seed") == own["random_state"]
    settings.pop("split")  # X_val says it
    assert AcceptorClassifier().get_params() == settings | own


def test_every_parameter_arrives(toy_run, tmp_path):
    changed = {
        "keep_head": True, "epochs": np.int64(1), "batch_size": 4, "learning_rate": np.float64(2e-3), "warmup": 0.3,
        "weight_decay": 0.2, "adam_beta2": 0.95,
        "dropout": 0.2, "reinit_layers": 1,
        "max_grad_norm": 2.0, "max_length": 16, "order_seed": 5, "class_weights": "balanced",
        "validation_share": 0.25, "order": "random",
        "metric": "f1", "select": "best", "calibrate": True, "on_nan": "skip", "on_collapse": "go-on", "device": "cpu",
        "precision": "fp32", "compile": False,
    }  # fmt: skip
    model = AcceptorClassifier(encoder=toy_run.folder, random_state=3, run_folder=tmp_path / "run", **changed)
    model.fit(SENTENCES[:40], GOOD[:40])
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["config"] == changed | {"encoder": str(toy_run.folder), "seed": 3, "split": "stratified"}
    defaults = TrainConfig().model_dump()
    assert all(record["config"][name] != defaults[name] for name in changed)


def test_random_state_is_a_seed_or_draws_one(tiny):
    def seed(random_state):
        return clone(tiny).set_params(random_state=random_state)._config("given").seed

    assert seed(11) == seed(np.int64(11)) == 11
    assert seed(np.random.RandomState(1)) == seed(np.random.RandomState(1))
    assert seed(None) != seed(None)
    with raises(ParameterError, "E-USAGE-OPTION", problem="random_state = 'x'"):
        seed("x")


BAD_PARAMETERS = {
    "epochs": (0, "epochs = 0"),
    "learning_rate": (-1.0, "learning_rate = -1.0"),
    "random_state": (-1, "seed = -1"),
    "device": ("tpu", "device = 'tpu'"),
    "metric": ("auc", "metric = 'auc'"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_bad_parameters_are_errors_of_both_libraries_in_fit(tiny, name):
    value, problem = BAD_PARAMETERS[name]
    model = clone(tiny).set_params(**{name: value})
    with raises(ParameterError, "E-USAGE-OPTION", problem=problem) as caught:
        model.fit(SENTENCES, GOOD)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, UsageError)


# ---------------------------------------------------------------------- labels and verdicts

LABELS = {
    "bools": (np.array([False, True]), ("unacceptable", "acceptable")),
    "ints": (np.array([0, 1]), ("unacceptable", "acceptable")),
    "other ints": (np.array([7, -3]), ("-3", "7")),
    "words": (np.array(["no way", "fine"]), ("fine", "no way")),
    "known words, not in order": (np.array(["unacceptable", "acceptable"]), ("unacceptable", "acceptable")),
    "objects": (np.array(["bad", "good"], dtype=object), ("unacceptable", "acceptable")),
}


@pytest.mark.parametrize("names", LABELS)
def test_labels_of_any_kind_come_back_as_given_and_as_in_the_run(tiny, names):
    labels, in_run = LABELS[names]
    model = clone(tiny).fit(SENTENCES, labels[GOOD.astype(int)])
    judge = acceptor.load(model.run_folder_, device="cpu")
    assert judge.labels == in_run
    assert model.classes_.tolist() == sorted(labels.tolist())
    predicted = model.predict(FRESH)
    assert predicted.dtype == model.classes_.dtype
    assert model.score(FRESH, labels[FRESH_GOOD.astype(int)]) > 0.9
    verdicts = judge(FRESH)
    spelt = {"unacceptable": labels[0], "acceptable": labels[1]} | {str(label): label for label in labels}
    assert predicted.tolist() == [spelt[verdict.label] for verdict in verdicts]
    probabilities, scores = model.predict_proba(FRESH), model.decision_function(FRESH)
    np.testing.assert_allclose(probabilities.max(axis=1), [v.probability for v in verdicts], atol=1e-5)
    assert (model.classes_[probabilities.argmax(axis=1)] == predicted).all()
    assert (model.classes_[(scores > 0).astype(int)] == predicted).all()
    logits = judge.logits(FRESH)
    np.testing.assert_allclose(np.abs(scores), np.abs(logits[:, 1] - logits[:, 0]), atol=1e-5)


def test_three_classes(tiny):
    y = np.where(GOOD, "b", np.where(np.arange(N) % 2, "c", "a"))
    model = clone(tiny).fit(SENTENCES, y)
    scores = model.decision_function(FRESH)
    assert scores.shape == model.predict_proba(FRESH).shape == (40, 3)
    assert (model.classes_[scores.argmax(axis=1)] == model.predict(FRESH)).all()
    assert model.judge_.labels == ("a", "b", "c")


@pytest.mark.parametrize(
    "labels", [np.array(["bad", "good"]), np.array(["good", "bad"]), np.array(["u", "v"])], ids=str
)
def test_a_fitted_threshold_decides(tiny, labels, monkeypatch):
    monkeypatch.setattr("acceptor.training.train.calibrate", turning)
    model = clone(tiny).set_params(calibrate=True, epochs=1).fit(SENTENCES, labels[GOOD.astype(int)])
    predicted, scores = model.predict(FRESH), model.decision_function(FRESH)
    assert (model.classes_[(scores > 0).astype(int)] == predicted).all()
    assert (model.classes_[model.predict_proba(FRESH).argmax(axis=1)] != predicted).any()
    assert np.argsort(scores).tolist() == np.argsort(model.predict_proba(FRESH)[:, 1]).tolist()


# ---------------------------------------------------------------------- what is given


KINDS = {
    "tuple": tuple,
    "numpy": np.array,
    "objects": lambda texts: np.array(texts, dtype=object),
    "numpy, one column": lambda texts: np.array(texts)[:, None],
    "pandas series": lambda texts: pd.Series(texts, index=range(5, 5 + len(texts))),
    "pandas string": lambda texts: pd.Series(texts, dtype="string"),
    "polars series": pl.Series,
    "pandas frame": lambda texts: pd.DataFrame({"text": texts}),
    "polars frame": lambda texts: pl.DataFrame({"text": texts}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_of_any_kind_are_the_same_sentences(short, kind):
    labels = pl.Series(GOOD) if "polars" in kind else pd.Series(GOOD) if "pandas" in kind else GOOD.tolist()
    model = clone(short).fit(KINDS[kind](SENTENCES), labels)
    assert model.n_features_in_ == 1
    assert hasattr(model, "feature_names_in_") == ("frame" in kind)
    np.testing.assert_array_equal(model.predict_proba(KINDS[kind](FRESH)), short.predict_proba(FRESH))


def test_pairs_are_two_columns(short):
    frame = pd.DataFrame({"premise": SENTENCES, "hypothesis": SENTENCES[::-1]})
    model = clone(short).fit(frame, GOOD)
    assert model.n_features_in_ == 2
    expected = model.judge_.logits(SENTENCES, SENTENCES[::-1])
    np.testing.assert_allclose(model.decision_function(frame), expected[:, 1] - expected[:, 0], atol=1e-5)
    with raises(InputError, "E-DATA-TYPE", problem="feature names should match"):
        model.predict(frame[["hypothesis", "premise"]])
    plain = clone(short).fit(list(zip(SENTENCES, SENTENCES[::-1], strict=True)), GOOD)
    np.testing.assert_array_equal(plain.predict_proba(frame.to_numpy()), model.predict_proba(frame))
    with raises(InputError, "E-DATA-PAIRS", problem="X has 1 features, but AcceptorClassifier is expecting 2"):
        plain.predict(SENTENCES)


def test_validation_rows_are_cut_from_x_or_given(short):
    def rows(model):
        return {
            name: split["rows"]
            for name, split in json.loads((model.run_folder_ / "run.json").read_text())["data"].items()
        }

    cut = clone(short).fit(SENTENCES, GOOD)
    assert rows(cut) == {"train": 144, "validation": 16}
    assert cut.report_["n"] == 16
    half = clone(short).set_params(validation_share=0.5).fit(SENTENCES, GOOD)
    assert rows(half) == {"train": 80, "validation": 80}
    given = clone(short).fit(SENTENCES, GOOD, X_val=FRESH, y_val=FRESH_GOOD)
    assert rows(given) == {"train": N, "validation": 40}
    assert given.report_["accuracy"] == pytest.approx(given.score(FRESH, FRESH_GOOD))


BAD_INPUT = {
    "one string": ("the cats", GOOD, "E-DATA-TYPE", {"problem": "X"}),
    "numbers": (np.ones((N, 1)), GOOD, "E-DATA-TYPE", {"where": "row 0"}),
    "a missing one": ([*SENTENCES[:-1], None], GOOD, "E-DATA-TYPE", {"where": f"row {N - 1}"}),
    "NA": (pd.Series([*SENTENCES[:-1], None], dtype="string"), GOOD, "E-DATA-TYPE", {"where": f"row {N - 1}"}),
    "a blank one": (["  ", *SENTENCES[1:]], GOOD, "E-DATA-TYPE", {"where": "row 0"}),
    "three columns": (np.array([SENTENCES] * 3).T, GOOD, "E-DATA-TYPE", {"found": f"({N}, 3)"}),
    "lazy": (pl.LazyFrame({"text": SENTENCES}), GOOD, "E-DATA-TYPE", {"where": "X"}),
    "nothing": ([], [], "E-DATA-LABELS", {"found": "[]"}),
    "lengths": (SENTENCES, GOOD[:-1], "E-DATA-TYPE", {"problem": f"[{N}, {N - 1}]", "where": "X and y"}),
    "no y": (SENTENCES, None, "E-DATA-TYPE", {"where": "y"}),
    "one class": (SENTENCES, np.ones(N), "E-DATA-LABELS", {"found": "['1.0']"}),
    "a measure": (SENTENCES, np.linspace(0, 1, N), "E-DATA-TYPE", {"problem": "continuous", "where": "y"}),
    "a blank label": (
        SENTENCES,
        np.where(GOOD, "x", ""),
        "E-DATA-UNLABELLED",
        {"problem": f"of {N} rows", "where": ("rows 0, 3, 6", "of y, from 0")},
    ),
    "too few": (SENTENCES[:4], GOOD[:4], "E-DATA-SPLIT", {"found": "4 examples of 2 labels"}),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_an_error_of_both_libraries(tiny, case):
    X, y, code, fields = BAD_INPUT[case]  # noqa: N806
    with raises(InputError, code, **fields) as caught:
        clone(tiny).fit(X, y)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, DataError)


@pytest.mark.parametrize(
    ("y", "found"),
    [
        (["a", None] * 12, "None"),
        (["a", np.nan] * 12, "nan"),
        ([1.0, np.nan] * 12, "nan"),
        (["a", pd.NA] * 12, "<NA>"),
        (pd.Series(["a", pd.NA] * 12, dtype="string"), "<NA>"),
        (pd.Series([1, pd.NA] * 12, dtype="Int64"), "<NA>"),
        (pd.Series(["a", None] * 12, dtype="category"), "nan"),
        (pd.Series([pd.Timestamp("2020-01-01"), pd.NaT] * 12), "NaT"),
        (pl.Series([True, None] * 12), "None"),
        ([None] * 24, "None"),
    ],
    ids=lambda given: f"{type(given).__name__} {given!r}"[:24] if not isinstance(given, str) else given,
)
def test_a_missing_label_is_named_by_its_row(tiny, y, found):
    first = "rows 0, 1, 2" if y[0] is None else "rows 1, 3, 5"
    with raises(InputError, "E-DATA-UNLABELLED", where=(first, "of y, from 0"), found=found, next="leave these rows"):
        clone(tiny).fit(SENTENCES[:24], y)
    with raises(InputError, "E-DATA-UNLABELLED", where="of y_val, from 0", found=found):
        clone(tiny).fit(SENTENCES, GOOD, X_val=FRESH[:24], y_val=y)


@pytest.mark.parametrize("alone", ["X_val", "y_val"])
def test_half_of_a_validation_split_is_refused(tiny, alone):
    with raises(InputError, "E-DATA-TYPE", problem="X_val and y_val", found=f"{alone} alone"):
        clone(tiny).fit(SENTENCES, GOOD, **{alone: FRESH if alone == "X_val" else FRESH_GOOD})


def test_an_error_in_y_val_names_it(tiny):
    with raises(InputError, "E-DATA-TYPE", where="y_val"):
        clone(tiny).fit(SENTENCES, GOOD, X_val=FRESH, y_val=np.linspace(0, 1, 40))


def test_a_label_that_only_validation_has_is_refused(tiny):
    with raises(InputError, "E-DATA-LABELS", found="'z'"):
        clone(tiny).fit(SENTENCES, np.where(GOOD, "x", "y"), X_val=FRESH, y_val=["z"] * 40)


def test_methods_before_fit_raise_not_fitted(tiny):
    for ask in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(clone(tiny), ask)(FRESH)
    broken = clone(tiny)
    with pytest.raises(InputError):
        broken.fit(SENTENCES[:4], GOOD[:4])
    with pytest.raises(NotFittedError):
        broken.predict(FRESH)


def test_a_fit_that_fails_leaves_what_was_fitted(tiny):
    model = clone(tiny).fit(SENTENCES, GOOD)
    before = model.predict(FRESH)
    with pytest.raises(InputError):
        model.fit(SENTENCES, np.where(GOOD, "x", ""))
    np.testing.assert_array_equal(model.predict(FRESH), before)


# ---------------------------------------------------------------------- the run folder, pickles


def test_the_run_is_in_the_folder_that_was_named_and_nothing_is_overwritten(tiny, tmp_path):
    folder = tmp_path / "runs" / "mine"
    model = clone(tiny).set_params(run_folder=str(folder)).fit(SENTENCES, GOOD)
    assert model.run_folder_ == folder
    assert [v.label == "acceptable" for v in acceptor.load(folder)(FRESH)] == model.predict(FRESH).tolist()
    with raises(ParameterError, "E-USAGE-OUTPUT", problem=str(folder), cause="cross-validation"):
        model.fit(SENTENCES, GOOD)
    np.testing.assert_array_equal(model.predict(FRESH), FRESH_GOOD)


def test_a_temporary_run_goes_with_its_classifier(short):
    model = clone(short).fit(SENTENCES, GOOD)
    first = model.run_folder_
    assert first.is_dir()
    _remove(first, owner=os.getpid() + 1)  # as a forked child does that releases it
    assert first.is_dir()
    model.fit(SENTENCES, GOOD)
    second = model.run_folder_
    gc.collect()
    assert second.is_dir()
    assert not first.parent.exists()
    del model
    gc.collect()
    assert not second.parent.exists()


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
    "joblib": lambda model: _through_joblib(model),
}


def _through_joblib(model):
    stream = io.BytesIO()
    joblib.dump(model, stream)
    stream.seek(0)
    return joblib.load(stream)


@pytest.mark.parametrize(("way", "own_folder"), [("pickle", True), ("deepcopy", False), ("joblib", False)])
def test_a_copy_answers_alike_and_stands_alone(tiny, tmp_path, way, own_folder):
    model = clone(tiny).set_params(run_folder=tmp_path / "run" if own_folder else None).fit(SENTENCES, GOOD)
    expected = model.predict_proba(FRESH)
    twin = COPIES[way](model)
    shutil.rmtree(model.run_folder_)
    del model
    gc.collect()
    np.testing.assert_array_equal(twin.predict_proba(FRESH), expected)
    assert twin.report_["n"] == 16
    assert acceptor.load(twin.run_folder_).labels == ("unacceptable", "acceptable")
    again = COPIES[way](twin)
    np.testing.assert_array_equal(again.predict_proba(FRESH), expected)
    assert again.run_folder_ != twin.run_folder_


def test_a_pickle_is_read_in_another_process(fitted, tmp_path):
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(fitted))
    code = f"""
import pickle, sys, json
model = pickle.load(open({str(tmp_path / "model.pickle")!r}, "rb"))
print(json.dumps([str(model.run_folder_), model.predict_proba(json.loads(sys.argv[1])).tolist()]))
"""
    done = subprocess.run([sys.executable, "-c", code, json.dumps(FRESH)], capture_output=True, text=True, check=True)
    folder, probabilities = json.loads(done.stdout)
    np.testing.assert_allclose(probabilities, fitted.predict_proba(FRESH), atol=1e-6)
    assert not pathlib.Path(folder).exists()


def test_no_pickle_is_made_of_a_removed_or_replaced_run(tiny, tmp_path):
    model = clone(tiny).set_params(run_folder=tmp_path / "run", epochs=1, on_collapse="go-on").fit(SENTENCES, GOOD)
    shutil.move(tmp_path / "run", tmp_path / "kept")
    with raises(RunError, "E-RUN-FILE", problem="manifest.json"):
        pickle.dumps(model)
    clone(model).set_params(random_state=8).fit(SENTENCES, GOOD)
    with raises(RunError, "E-RUN-FILE", where=str(tmp_path / "run")):
        pickle.dumps(model)
    shutil.rmtree(tmp_path / "run")
    shutil.move(tmp_path / "kept", tmp_path / "run")
    (tmp_path / "run" / "README.md").write_text("my own words")
    pickle.loads(pickle.dumps(model))
    (tmp_path / "run" / "judge.json").write_text("{}")
    with raises(RunError, "E-RUN-FILE", where="judge.json", expected="sha256"):
        pickle.dumps(model)


def test_a_judge_without_its_device_uses_the_best_one_present(fitted, caplog):
    travelled = pickle.dumps(copy.deepcopy(fitted).set_params(device="mps"))
    with caplog.at_level(logging.WARNING, "acceptor"):
        model = pickle.loads(travelled)
    assert "device mps is not available" in caplog.text
    np.testing.assert_array_equal(model.predict(FRESH), fitted.predict(FRESH))


# ---------------------------------------------------------------------- with scikit-learn's tools


def test_a_clone_has_the_settings_and_nothing_else(fitted):
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not hasattr(twin, "judge_")
    assert is_classifier(twin)
    assert "learning_rate=0.01" in repr(twin)


def test_in_a_pipeline(tiny, fitted):
    pipe = make_pipeline(FunctionTransformer(lambda texts: [text.replace("_", " ") for text in texts]), clone(tiny))
    pipe.fit([text.replace(" ", "_") for text in SENTENCES], GOOD)
    np.testing.assert_array_equal(
        pipe.predict_proba([text.replace(" ", "_") for text in FRESH]), fitted.predict_proba(FRESH)
    )
    pipe.set_params(acceptorclassifier__epochs=1)
    assert pipe[-1].epochs == 1


@pytest.mark.parametrize("kind", [list, lambda texts: pl.DataFrame({"text": texts})])
def test_a_grid_search_finds_the_learning_rate_that_learns(tiny, kind):
    scorer = make_scorer(matthews_corrcoef)
    base = clone(tiny).set_params(on_collapse="go-on")
    search = GridSearchCV(base, {"learning_rate": [1e-6, 1e-2]}, scoring=scorer, cv=2, error_score="raise")
    search.fit(kind(SENTENCES), GOOD)
    assert search.best_params_ == {"learning_rate": 1e-2}
    assert search.best_score_ > 0.8
    assert (search.predict(kind(FRESH)) == FRESH_GOOD).mean() > 0.9
    assert acceptor.load(search.best_estimator_.run_folder_).labels == ("unacceptable", "acceptable")


def test_cross_validation_by_mcc(tiny):
    scorer = make_scorer(matthews_corrcoef)
    scores = cross_val_score(clone(tiny), SENTENCES, GOOD, cv=2, scoring=scorer, error_score="raise")
    assert scores.shape == (2,)
    assert scores.mean() > 0.8


def test_calibration_by_scikit_learn(tiny):
    model = CalibratedClassifierCV(clone(tiny), cv=2).fit(SENTENCES, GOOD)
    probabilities = model.predict_proba(FRESH)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert model.score(FRESH, FRESH_GOOD) > 0.9


def test_a_collapse_is_the_error_of_training(tiny):
    with raises(TrainingError, "E-TRAINING-COLLAPSE", where="epoch 2"):  # the first has fewer than 10 steps
        clone(tiny).set_params(learning_rate=0.9, batch_size=16).fit(SENTENCES, GOOD)


def test_options_of_the_command_line_are_said_as_parameters(tiny, caplog):
    with raises(TrainingError, "E-TRAINING-COLLAPSE", next=("learning_rate=", "random_state=", '="restart"')) as caught:
        clone(tiny).set_params(learning_rate=0.9, batch_size=16).fit(SENTENCES, GOOD)
    assert "--" not in str(caught.value)
    clone(tiny).set_params(epochs=1, learning_rate=1e-6, on_collapse="go-on").fit(SENTENCES, GOOD)
    [advice] = [message for message in caplog.messages if "try again" in message]
    assert re.search(r"try again with (learning_rate|epochs)=[0-9.e-]+, ", advice)
    assert "--" not in "".join(caplog.messages)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("try again with --overwrite --epochs 30, which is", "try again with epochs=30, which is"),
        ("cut more: --validation-share 0.20\nor", "cut more: validation_share=0.20\nor"),
        ("leave --keep-head out, and", "leave keep_head out, and"),
        ("try --seed 3; or --on-nan skip", 'try random_state=3; or on_nan="skip"'),
        ("try --precision fp32, or a smaller --learning-rate", 'try precision="fp32", or a smaller learning_rate'),
        ("acceptor predict RUN FILE --where x", "acceptor predict RUN FILE --where x"),
    ],
)
def test_an_option_becomes_a_parameter_with_its_value(said, meant):
    assert in_parameters(said) == meant


def test_it_is_silent_unless_verbose(tiny, capfd):
    clone(tiny).fit(SENTENCES, GOOD)
    assert capfd.readouterr() == ("", "")
    clone(tiny).set_params(verbose=True).fit(SENTENCES, GOOD)
    out, err = capfd.readouterr()
    assert out == ""
    assert re.search(r"epoch 4/4: train loss .*MCC", err)
    assert logging.getLogger("acceptor").handlers == []


def test_no_bar_is_shown_unless_verbose(tiny, monkeypatch):
    from acceptor.progress import console

    monkeypatch.setattr(console, "_force_terminal", True)
    for verbose in (False, True):
        shown = io.StringIO()
        monkeypatch.setattr(console, "_file", shown)
        clone(tiny).set_params(verbose=verbose, epochs=1, on_collapse="go-on").fit(SENTENCES, GOOD)
        assert bool(shown.getvalue()) == verbose


# ---------------------------------------------------------------------- with a real encoder


@pytest.mark.real
@needs_minilm
def test_minilm_learns_the_starter_corpus_in_scikit_learn_s_hands():
    train = acceptor.load_data("starter").train.take(range(0, 4400, 18), "train")
    test = acceptor.load_data("starter").test.take(range(0, 800, 8), "test")
    X, y = pd.Series(train.sentences), np.array(train.labels)[train.gold]  # noqa: N806
    model = AcceptorClassifier(encoder="minilm", epochs=5, batch_size=16, learning_rate=3e-4).fit(X, y)
    judge = acceptor.load(model.run_folder_)
    assert model.predict(test.sentences).tolist() == [verdict.label for verdict in judge(test.sentences)]
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(twin.predict_proba(test.sentences), model.predict_proba(test.sentences), atol=1e-6)
    assert model.score(X, y) > 0.75  # on its own 245 sentences, of which half are acceptable


def test_the_page_on_integrations_runs(tiny_bert, tmp_path, monkeypatch):
    """Every Python block of the page in one process, with a tiny encoder in place of the real one."""
    page = (REPOSITORY / "docs" / "en" / "reference" / "integrations.md").read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    assert code.count('encoder="minilm"') >= 1
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace('encoder="minilm"', f"encoder={str(tiny_bert)!r}"), "integrations.md", "exec"), {})
