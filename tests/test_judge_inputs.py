"""Inputs of a judge in Python, threads and processes, and texts that its vocabulary does not cover."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import json
import logging
import multiprocessing
import pickle
import shutil
import threading
from collections import Counter, UserList, deque
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer as Backend

import acceptor
from acceptor.data.load import load_split
from acceptor.data.writing.parts import Parts
from acceptor.errors import AcceptorError, DataError, RunError, UsageError
from acceptor.evaluation.words import explain
from acceptor.judging.predict import predict
from acceptor.model import scorer
from acceptor.model.encode import encode, encode_words, rows_with_special_tokens
from acceptor.model.tokenizer import tokenizer_info
from conftest import raises, toy_rows, write_judge
from tiny import TEXTS, make_tokenizer

SENTENCES = [sentence for sentence, _ in toy_rows(6, 3)]


@pytest.fixture(scope="module")
def judge(toy_run):
    return acceptor.load(toy_run.folder)


@pytest.fixture(scope="module")
def pair_judge(pair_run):
    return acceptor.load(pair_run.folder)


@pytest.fixture(scope="module")
def exported(toy_run, tmp_path_factory):
    """`toy_run` as an ONNX file."""
    path = tmp_path_factory.mktemp("onnx") / "judge.onnx"
    acceptor.export(acceptor.load(toy_run.folder, device="cpu"), path)
    return path


# ---------------------------------------------------------------------- accepted inputs

TAKEN = {
    "list": list,
    "tuple": tuple,
    "deque": deque,
    "UserList": UserList,
    "object array": lambda texts: np.array(texts, dtype=object),
    "str array": np.array,
    "StringDType": lambda texts: np.array(texts, dtype=np.dtypes.StringDType()),
    "list of np.str_": lambda texts: list(np.array(texts)),
    "pandas Series": pd.Series,
    "pandas object Series": lambda texts: pd.Series(texts, dtype=object, index=range(6, 0, -1)),
    "pandas Index": pd.Index,
    "pandas categories": lambda texts: pd.Series(texts, dtype="category"),
    "pandas array": lambda texts: pd.Series(texts, dtype="string").array,
    "polars Series": pl.Series,
    "polars categories": lambda texts: pl.Series(texts, dtype=pl.Categorical),
    "pyarrow Array": pa.array,
    "pyarrow ChunkedArray": lambda texts: pa.chunked_array([texts[:2], texts[2:]]),
    "pyarrow dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "pandas frame": lambda texts: pd.DataFrame({"id": range(6), "text": texts}),
    "polars frame": lambda texts: pl.DataFrame({"text": texts, "label": ["0"] * 6}),
    "pyarrow Table": lambda texts: pa.table({"n": range(6), "sentence": texts}),
}


@pytest.mark.parametrize("make", TAKEN.values(), ids=TAKEN)
def test_every_list_of_strings_is_judged(judge, make):
    given = make(SENTENCES)
    expected = judge.logits(SENTENCES)
    np.testing.assert_allclose(judge.logits(given), expected, atol=1e-5)
    assert [verdict.label for verdict in judge(given)] == [verdict.label for verdict in judge(SENTENCES)]
    assert len(judge.encode(given)) == 6


def test_a_dataset_and_its_columns_are_judged(judge):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"label": [0] * 6, "sentence": SENTENCES})
    for given in (dataset, dataset["sentence"]):
        np.testing.assert_allclose(judge.logits(given), judge.logits(SENTENCES), atol=1e-5)


def test_a_frame_without_a_known_column_is_answered_by_what_the_call_takes(judge):
    with raises(DataError, "E-DATA-COLUMN", next='judge(frame["NAME"])'):
        judge(pl.DataFrame({"foo": ["the cats sleep."], "bar": ["a dog."]}))
    with raises(DataError, "E-DATA-COLUMN", next='columns={"sentence": "foo"}'):
        judge.annotate(pl.DataFrame({"foo": ["the cats sleep."], "bar": ["a dog."]}))


def test_the_columns_of_a_frame_are_known_as_in_a_file(pair_judge):
    frame = pl.DataFrame({"sentence2": ["the girl."] * 6, "sentence1": SENTENCES})
    expected = pair_judge.logits(SENTENCES, ["the girl."] * 6)
    np.testing.assert_allclose(pair_judge.logits(frame), expected, atol=1e-5)
    with raises(DataError, "E-DATA-PAIRS", expected="column"):
        pair_judge(frame, ["the girl."] * 6)


HALF = "the cat \ud83d sleeps"
REFUSED = {
    "a string": ("the cats sleep.", "TYPE", {"problem": "string", "next": "judge(["}),
    "bytes": (b"the cats", "TYPE", {"next": "decode"}),
    "a set": ({"the cats", "see"}, "TYPE", {"found": "set", "next": "sorted"}),
    "a frozenset": (frozenset({"the cats"}), "TYPE", {"next": "sorted"}),
    "a dict": ({"a": "the cats"}, "TYPE", {"found": "dict", "next": "values()"}),
    "a view of a dict": ({"a": "the cats"}.values(), "TYPE", {"next": "list("}),
    "a generator": ((text for text in SENTENCES), "TYPE", {"found": "generator", "next": "list("}),
    "an iterator": (iter(SENTENCES), "TYPE", {"next": "list("}),
    "None": (None, "TYPE", {"found": "NoneType"}),
    "a file": (io.StringIO("the cats"), "TYPE", {"next": "read()"}),
    "a number": (3, "TYPE", {"found": "int: 3"}),
    "a matrix": (np.array([["the cats", "see"]]), "TYPE", {"found": "shape", "next": "one dimension"}),
    "an array without dimensions": (np.array("the cats"), "TYPE", {"found": "shape"}),
    "numbers": ([1, 2], "TEXT", {"where": "position 0", "found": "int: 1"}),
    "an array of numbers": (np.arange(3), "TEXT", {"where": "position 0", "found": "int: 0"}),
    "a Series of numbers": (pd.Series([1.5, 2]), "TEXT", {"where": "position 0"}),
    "a missing value": (pd.Series(["the cats", None]), "TEXT", {"where": "position 1"}),
    "NaN": (["the cats", float("nan")], "TEXT", {"where": "position 1", "found": "nan"}),
    "a null": (pa.array(["the cats", None]), "TEXT", {"where": "position 1"}),
    "bytes in a list": (["the cats", b"see"], "TEXT", {"where": "position 1", "found": "bytes"}),
    "tuples": ([("the cats", "see")], "TEXT", {"where": "position 0", "next": "two lists"}),
    "dicts": ([{"text": "the cats"}], "TEXT", {"where": "position 0", "next": "frame"}),
    "half a character": (["the cats", HALF], "TEXT", {"where": "position 1", "cause": "surrogate pair"}),
    "a blank": (["the cats", " \n"], "TEXT", {"where": "position 1"}),
    "a range": (range(3), "TEXT", {"where": "position 0"}),
    "a frame without sentences": (
        pl.DataFrame({"a": ["the cats"], "b": ["x"], "c": ["y"]}), "COLUMN", {"expected": "a, b, c"}
    ),
    "a frame of numbers": (pd.DataFrame({"text": [1, 2]}), "TEXT", {"where": "row 1"}),
    "a lazy frame": (pl.LazyFrame({"text": SENTENCES}), "TYPE", {"next": "collect"}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", ["call", "logits", "encode", "explain"])
def test_anything_else_is_named_and_refused(judge, name, way):
    given, kind, fields = REFUSED[name]
    if name in ("a generator", "an iterator"):
        given = iter(SENTENCES) if name == "an iterator" else (text for text in SENTENCES)
    ask = {"call": judge, "logits": judge.logits, "encode": judge.encode}.get(way, lambda given: explain(judge, given))
    with raises(DataError, f"E-DATA-{kind}", **fields):
        ask(given)


@pytest.mark.parametrize("bad", [{"a"}, "the girl.", None, [1], [HALF], [" "], ["one", "more"]])
def test_seconds_are_checked_in_the_same_way(pair_judge, bad):
    with pytest.raises(DataError):
        pair_judge(["the cats"], bad)


@pytest.mark.parametrize(
    "column", [[1, 2], [1.5, float("nan")], [True, False], ["the cats", 7], pd.to_datetime(["2020-01-01"] * 2)]
)
def test_annotate_refuses_a_column_that_is_not_text(judge, column):
    with raises(DataError, "E-DATA-TEXT", where="row"):
        judge.annotate(pd.DataFrame({"sentence": column}))


def test_scikit_learn_s_classifier_refuses_the_same(fitted_classifier):
    for given in ({"a"}, None, 3, (text for text in SENTENCES), ["the cats", HALF], [b"the cats"], {"a": "b"}, [1]):
        with pytest.raises(ValueError, match=r"\w") as caught:
            fitted_classifier.predict(given)
        assert isinstance(caught.value, DataError)


@pytest.fixture(scope="module")
def fitted_classifier(toy_run):
    from acceptor.integrations.sklearn import AcceptorClassifier

    model = AcceptorClassifier(device="cpu")
    model.classes_, model._label_ids, model.n_features_in_ = np.array([0, 1]), np.array([0, 1]), 1
    model._load_run(toy_run.folder)
    return model


# ---------------------------------------------------------------------- threads

LONG = ["the cats see John " * 40] * 20


@pytest.mark.parametrize("kind", ["run", "exported"])
def test_a_judge_may_be_called_from_any_thread(toy_run, exported, kind, two_cores):
    """Long texts are truncated while short ones are encoded: truncation switched on for one would change the other."""
    judge = acceptor.load(toy_run.folder if kind == "run" else exported, device="cpu")
    given = {"short": SENTENCES * 20, "long": LONG}
    expected = {name: judge.logits(texts) for name, texts in given.items()}
    seen: Counter[str] = Counter()

    def ask(number: int) -> str:
        name = ("short", "long", "words")[number % 3]
        try:
            if name == "words":
                return str(len(encode_words(judge.tokenizer, LONG[:2], max_length=32)[0].ids) == 32)
            return str(np.allclose(judge.logits(given[name]), expected[name], atol=1e-5))
        except Exception as error:  # whatever a thread runs into
            return type(error).__name__

    with ThreadPoolExecutor(8) as pool:
        seen.update(pool.map(ask, range(240)))
    assert seen == {"True": 240}


def test_the_number_of_torchs_threads_does_not_change(judge, two_cores):
    """In this thread and in new ones, to which torch gives the number that was set last."""
    scorer._pools.clear()
    judge.logits(SENTENCES * 40)
    found = []
    one = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    one.start()
    one.join()
    assert (torch.get_num_threads(), found) == (2, [2])


def test_encoding_does_not_change_the_tokenizer(judge):
    backend = judge.tokenizer.backend_tokenizer
    before = backend.to_str()
    judge.encode(LONG)
    encode_words(judge.tokenizer, LONG, max_length=8)
    assert backend.to_str() == before
    assert backend.truncation is None


def test_truncation_that_others_switch_on_has_no_effect(toy_run):
    """Transformers' own calls leave truncation, padding and special tokens in text switched on."""
    judge = acceptor.load(toy_run.folder)
    texts = [*SENTENCES, LONG[0], "the [SEP] cats"]
    expected = judge.encode(texts)
    judge.tokenizer(texts, truncation=True, max_length=5, padding="max_length")
    assert judge.tokenizer.backend_tokenizer.truncation is not None
    np.testing.assert_array_equal(judge.encode(texts).ids, expected.ids)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram", "xlmr", "mpnet"])
@pytest.mark.parametrize("pairs", [False, True])
def test_texts_are_cut_as_the_tokenizers_cut_them(kind, pairs):
    tokenizer = make_tokenizer(kind)
    tokenizer_info(tokenizer)
    rng = np.random.default_rng(0)
    words = " ".join(TEXTS[:6]).split()
    firsts, seconds = ([" ".join(rng.choice(words, rng.integers(1, 25))) for _ in range(60)] for _ in range(2))
    own = Backend.from_str(tokenizer.backend_tokenizer.to_str())
    for length in (*range(6, 20), 40):
        own.enable_truncation(length, strategy="longest_first")
        expected = own.encode_batch(list(zip(firsts, seconds, strict=True)) if pairs else firsts)
        found = encode(tokenizer, firsts, seconds if pairs else None, max_length=length)
        ids = np.split(found.ids, found.offsets[1:-1])
        assert [one.tolist() for one in ids] == [one.ids for one in expected]
        if found.type_ids is not None:
            assert found.type_ids.tolist() == [kind for one in expected for kind in one.type_ids]


# ---------------------------------------------------------------------- copies and other processes


def logits_in_child(judge, texts, answers):
    answers.put(judge.logits(texts))


COPIES = {
    "pickle": lambda judge, _: pickle.loads(pickle.dumps(judge)),
    "copy": lambda judge, _: copy.copy(judge),
    "deepcopy": lambda judge, _: copy.deepcopy(judge),
    "joblib": lambda judge, path: joblib.dump(judge, path) and joblib.load(path),
}


@pytest.mark.parametrize("kind", ["run", "exported"])
@pytest.mark.parametrize("way", COPIES)
def test_a_judge_that_has_judged_can_be_copied(toy_run, exported, tmp_path, kind, way):
    judge = acceptor.load(toy_run.folder if kind == "run" else exported, device="cpu")
    texts = [*SENTENCES, "the [SEP] cats"]
    expected = judge.logits(texts)
    again = COPIES[way](judge, tmp_path / "judge.joblib")
    np.testing.assert_allclose(again.logits(texts), expected, atol=1e-6)
    assert again.about() == judge.about()
    np.testing.assert_allclose(judge.logits(texts), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["run", "exported"])
def test_a_judge_can_be_sent_to_a_spawned_process(toy_run, exported, kind):
    judge = acceptor.load(toy_run.folder if kind == "run" else exported, device="cpu")
    expected = judge.logits(SENTENCES)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_allclose(pool.apply(judge.logits, (SENTENCES,)), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_forked_process_judges_with_its_own_threads(judge, two_cores):
    expected = judge.logits(SENTENCES * 40)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=logits_in_child, args=(judge, SENTENCES * 40, answers))
    child.start()
    np.testing.assert_allclose(answers.get(timeout=120), expected, atol=1e-6)
    child.join()


def test_a_pickle_of_an_exported_judge_holds_the_file_that_was_loaded(exported, tmp_path):
    path = tmp_path / "judge.onnx"
    path.write_bytes(exported.read_bytes())
    judge = acceptor.load(path)
    kept = pickle.dumps(judge)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError):
        pickle.dumps(judge)
    path.unlink()
    np.testing.assert_allclose(pickle.loads(kept).logits(SENTENCES), judge.logits(SENTENCES), atol=1e-5)


# ---------------------------------------------------------------------- sentences or pairs


def test_a_run_and_its_export_know_their_inputs(toy_run, pair_run, old_run, exported, tmp_path):
    assert acceptor.load(toy_run.folder).inputs == acceptor.load(exported).inputs == "sentences"
    assert acceptor.load(pair_run.folder).inputs == "pairs"
    old = acceptor.load(old_run)
    assert old.inputs is None
    assert "inputs" not in old.about()
    assert len(old(["the cats"], ["see"])) == len(old(["the cats"])) == 1


def test_a_judge_of_pairs_that_is_exported_refuses_sentences(pair_run, tmp_path):
    path = tmp_path / "pairs.onnx"
    acceptor.export(acceptor.load(pair_run.folder, device="cpu"), path)
    judge = acceptor.load(path)
    assert judge.inputs == "pairs"
    with raises(DataError, "E-DATA-PAIRS", problem="pairs of sentences"):
        judge(["the cats"])


@pytest.mark.parametrize("bad", ["both", 3, []])
def test_a_run_with_unknown_inputs_is_refused(old_run, tmp_path, bad):
    shutil.copytree(old_run, tmp_path / "run")
    write_judge(tmp_path / "run", json.loads((old_run / "judge.json").read_text()) | {"inputs": bad})
    with raises(RunError, "E-RUN-FILE", where="judge.json", found="inputs"):
        acceptor.load(tmp_path / "run")


def test_every_way_refuses_the_other_kind(judge, pair_judge):
    single = acceptor.load_data([("the cats", "1"), ("see", "0")] * 20).train
    pairs = acceptor.load_data([("the cats", "see", "1"), ("see", "mat", "0")] * 20).train
    for one, split, words in ((judge, pairs, "single sentences"), (pair_judge, single, "pairs of sentences")):
        frame = split.table.frame.drop("label").head(2)
        texts = [column.to_list() for column in frame.iter_columns()]
        asked = {
            "call": lambda one=one, texts=texts: one(*texts),
            "logits": lambda one=one, texts=texts: one.logits(*texts),
            "encode": lambda one=one, texts=texts: one.encode(*texts),
            "frame": lambda one=one, frame=frame: one(frame),
            "annotate": lambda one=one, frame=frame: one.annotate(frame),
            "evaluate": lambda one=one, split=split: acceptor.evaluate(one, split),
        }
        for ask in asked.values():
            with raises(DataError, "E-DATA-PAIRS", problem=words):
                ask()


@pytest.mark.parametrize("stream", [True, False])
def test_predict_evaluate_and_compare_refuse_the_other_kind(run_cli, toy_run, pair_run, tmp_path, stream):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("sentence\tsecond\tlabel\n" + "the cats\tsee\t1\nthe cat them\tsee\t0\n" * 9)
    singles = tmp_path / "singles.tsv"
    singles.write_text("sentence\tlabel\n" + "the cats\t1\nthe cat them\t0\n" * 9)
    out = ["-o", tmp_path / "out.jsonl"] if stream else []
    for run, file, words in ((toy_run, pairs, "single sentences"), (pair_run, singles, "pairs of sentences")):
        for command in (
            ("predict", run.folder, file, *out),
            ("evaluate", run.folder, file),
            ("compare", run.folder, run.folder, "--data", file),
        ):
            code, _, err = run_cli(*command)
            assert (code, "E-DATA-PAIRS" in err, words in err) == (1, True, True), command
    assert not [
        path for path in tmp_path.iterdir() if "out.jsonl" in path.name
    ]  # no file is left that a later command would refuse
    kept = run_cli("predict", toy_run.folder, pairs, "--columns", "other=second")
    assert kept[0] == 0  # the solution that the error names


def test_commands_for_single_sentences_refuse_a_judge_of_pairs_at_once(run_cli, pair_run, pair_judge, tmp_path):
    code, _, err = run_cli("judge", pair_run.folder, stdin="the cats\n")
    assert (code, "code:     E-USAGE-PAIRS" in err) == (2, True)
    assert run_cli("judge", pair_run.folder, "the cats")[0] == 1
    with raises(UsageError, "E-USAGE-JUDGE", problem="pairs of sentences"):
        acceptor.pairs(pair_judge, [("the cats", "the cat them")])
    with raises(DataError, "E-DATA-PAIRS", found="pairs"):
        explain(pair_judge, ["the cats"])


# ---------------------------------------------------------------------- texts outside the vocabulary

STRANGE = "日本語 の 文"


@pytest.mark.parametrize("kind", ["wordpiece", "mpnet", "unigram", "xlmr"])
def test_unknown_tokens_are_counted(kind):
    tokenizer = make_tokenizer(kind)
    encoded = encode(tokenizer, ["the cats", "the 😀 cats", STRANGE, "😀"], max_length=64)
    assert encoded.has_unknown.tolist() == [False, True, True, True]
    assert encoded.all_unknown.tolist() == [False, False, True, True]
    assert 0 < encoded.unknown_share() < 1


@pytest.mark.parametrize("kind", ["bpe", "modern"])
def test_a_tokenizer_of_bytes_knows_everything(kind):
    encoded = encode(make_tokenizer(kind), ["the cats", STRANGE, "😀"], max_length=64)
    assert not encoded.has_unknown.any()
    assert not encoded.all_unknown.any()


def test_verdicts_mark_texts_with_unknown_parts(judge):
    known, partly = judge(["the cats see.", "the cats see 😀."])
    assert (known.unknown, partly.unknown) == (False, True)
    assert partly.to_dict()["unknown"] is True


@pytest.mark.parametrize("text", [STRANGE, "😀", "\u200b", "Привет", "\u0301"])
def test_an_input_without_any_known_token_is_refused(judge, exported, text):
    for one in (judge, acceptor.load(exported)):
        with raises(DataError, "E-DATA-VOCABULARY", where="position 1") as caught:
            one(["the cats", text, "see", text])
        assert caught.value.positions == [1, 3]
    with raises(DataError, "E-DATA-VOCABULARY", where="row 2, index 'b'") as caught:
        judge.annotate(pd.DataFrame({"text": ["the cats", text, "the cats", text]}, index=list("abcd")))
    assert caught.value.positions == [1, 3]  # also where equal texts are judged once


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_refusal_of_rows_of_a_frame_has_the_positions_of_all(judge, frame):
    with raises(DataError, "E-DATA-TEXT", where="row 2") as caught:
        judge.annotate(frame({"text": ["the cats", " ", "see", None]}))
    assert caught.value.positions == [1, 3]


def test_a_text_with_unknown_parts_is_marked_on_the_terminal(run_cli, toy_run, tmp_path):
    code, out, err = run_cli("judge", toy_run.folder, "the cats see 😀.", "the cats see.")
    assert (code, "some tokens of 1 of 2 texts are not in the encoder's vocabulary" in err) == (0, True)
    code, out, _ = run_cli("judge", toy_run.folder, stdin="the cats see 😀.\nthe cats see.\n")
    assert ["known" in line for line in out.splitlines()] == [True, False]


def test_evaluate_and_load_name_the_types_that_they_take(judge, toy, toy_run):
    for given in (toy, None, "cola", [("the cats", "1")]):
        with raises(UsageError, "E-USAGE-OPTION", problem="split", expected="Split", next="load_data"):
            acceptor.evaluate(judge, given)
    for given in (None, 3, toy_run):
        with raises(UsageError, "E-USAGE-OPTION", problem="run", expected="str | Path", found=type(given).__name__):
            acceptor.load(given)
    with raises(UsageError, "E-USAGE-OPTION", next="folder"):
        acceptor.load(toy_run)


WRONG = [None, 7, 1.5, b"x", object(), ["x"], {"a": 1}, (), "no such", True, ""]


def test_every_public_function_refuses_wrong_types_with_our_errors(judge, toy, tmp_path, monkeypatch):
    """Each argument of each public function, with values of a dozen types; where a value fits, nothing is trained."""
    monkeypatch.chdir(tmp_path)
    report, tried = acceptor.evaluate(judge, toy.test), 0
    good = {"data": toy, "out": "new", "judge": judge, "split": toy.test, "sentences": ["the cats"], "run": "no-run"}
    good |= {"sources": "no.tsv", "suite": [("the cats see.", "the cat them see.")] * 3, "source": toy_rows(9)}
    good |= {"path": "no.tsv", "report": report, "by": "label", "runs": ["no-run"], "teachers": ["no-run"]}
    good |= {"text": ["no.txt"], "base": report, "config": acceptor.TrainConfig(encoder="no-encoder")}
    good |= {"name": "x", "rows": [0], "column": "label", "size": 8, "k": 3, "folder": "saved"}
    functions = [one for one in map(acceptor.__getattr__, acceptor.__all__) if inspect.isfunction(one)]
    assert len(functions) == 21
    methods = [report.by, report.per_batch, report.worst, judge.logits, judge.save, judge, toy.test.take]
    for function in [*functions, *methods]:
        parameters = inspect.signature(function).parameters
        needed = {name: good[name] for name, one in parameters.items() if one.default is one.empty and name in good}
        for name, one in parameters.items():
            for value in [] if one.kind is one.VAR_POSITIONAL else WRONG:
                with contextlib.suppress(AcceptorError):
                    function(**needed | {name: value})
                tried += 1
    assert tried > 1000


def test_evaluate_scores_them_as_training_does_and_names_the_line(judge, toy_config, tmp_path, caplog):
    path = tmp_path / "test.tsv"
    rows = [*toy_rows(12, 2), (STRANGE, "0"), *toy_rows(12, 3)]
    path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    with caplog.at_level(logging.WARNING, "acceptor"):
        found = acceptor.evaluate(judge, load_split(str(path), judge.labels))
    assert any("no token of 1 of 25" in message and "test.tsv, line 14" in message for message in caplog.messages)
    config = toy_config.model_copy(update={"epochs": 1})
    run = acceptor.train(acceptor.load_data(toy_rows(80), test=str(path)), out=tmp_path / "run", config=config)
    again = acceptor.evaluate(acceptor.load(run.folder), load_split(str(path), judge.labels))
    assert again.scores.confusion == run.reports["test"].scores.confusion
    assert found.scores.n == 25


def test_evaluate_refuses_a_split_outside_the_vocabulary(judge, tmp_path):
    path = tmp_path / "test.tsv"
    path.write_text(f"sentence\tlabel\nthe cats\t1\n{STRANGE}\t0\n{STRANGE * 2}\t0\n")
    with raises(DataError, "E-DATA-VOCABULARY", where="test.tsv, lines 3, 4"):
        acceptor.evaluate(judge, load_split(str(path), judge.labels))


def test_predict_rejects_them_and_counts_the_others_across_restarts(toy_run, tmp_path, monkeypatch):
    monkeypatch.setattr("acceptor.judging.predict.CHUNK", 16)
    monkeypatch.setattr("acceptor.data.reading.stream.CHUNK", 16)
    monkeypatch.setattr("acceptor.judging.predict.BLOCK", 4)
    texts = [("the cats see.", STRANGE, "the 😀 cats", "see the mat")[row % 4] for row in range(200)]
    source = tmp_path / "in.tsv"
    source.write_text("id\tsentence\n" + "".join(f"{row}\t{text}\n" for row, text in enumerate(texts)))
    expected = predict(toy_run.folder, [str(source)], out=tmp_path / "whole.jsonl")
    assert (expected.written, expected.rejected, expected.unknown) == (150, 50, 50)
    assert "50" in str(expected)
    assert expected.to_dict()["unknown"] == 50

    class Stop(Exception):  # noqa: N818 - no error
        pass

    def write(self, number, *rest, kept=Parts.write):
        if number == 6:
            raise Stop
        kept(self, number, *rest)

    out = tmp_path / "out.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", write)
        with pytest.raises(Stop):
            predict(toy_run.folder, [str(source)], out=out)
    assert predict(toy_run.folder, [str(source)], out=out) == expected
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    rejected = [json.loads(line) for line in (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [fault["line"] for fault in rejected] == list(range(3, 203, 4))
    assert "vocabulary" in rejected[0]["problem"]
    for shard in (1, 2):
        predict(toy_run.folder, [str(source)], out=tmp_path / "shards.jsonl", shard=(shard, 2))
    assert predict(toy_run.folder, [str(source)], out=tmp_path / "shards.jsonl") == expected


def test_training_warns_of_them_and_refuses_a_script_outside_the_vocabulary(toy_config, tmp_path, caplog):
    rows = [*toy_rows(80), (STRANGE, "0")]
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on", "split": "stratified"})
    with caplog.at_level(logging.WARNING, "acceptor"):
        acceptor.train(rows, out=tmp_path / "run", config=config)
    assert any("no token of 1 of" in message for message in caplog.messages)
    strange = [
        (f"{STRANGE} {text}" if row % 3 else STRANGE * 3, label) for row, (text, label) in enumerate(toy_rows(80))
    ]
    with raises(DataError, "E-DATA-VOCABULARY", next="multilingual"):
        acceptor.train(
            [(STRANGE + "日" * row, label) for row, (_, label) in enumerate(strange)],
            out=tmp_path / "no",
            config=config,
        )


def test_audit_shows_the_share_of_unknown_tokens(run_cli, tiny_bert, tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("sentence\tlabel\n" + "".join(f"the cats see {row} 😀.\t{row % 2}\n" for row in range(20)))
    code, out, _ = run_cli("audit", path, "--encoder", tiny_bert, "--json")
    assert code == 0
    assert "in 20 of 20 texts; 0 texts without any known token" in json.loads(out)["train"]["tokens"]["unknown"]


# ---------------------------------------------------------------------- texts that are too long

TOO_LONG = "the cats see the mat. " * 60
WARNING = "1 of 2 texts are longer than the judge reads (32 tokens)"


def test_verdicts_mark_texts_that_were_cut(judge, exported):
    for one in (judge, acceptor.load(exported)):
        short, long = one(["the cats see.", TOO_LONG])
        assert (short.truncated, long.truncated) == (False, True)
        assert long.to_dict()["truncated"] is True


def test_the_lines_of_texts_that_are_cut_are_named(judge, tmp_path, caplog, run_cli, toy_run):
    rows = [("the cats see.", 1), (TOO_LONG, 0)]
    path = tmp_path / "in.tsv"
    path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    acceptor.evaluate(judge, load_split(str(path), judge.labels))
    judge.annotate(pl.DataFrame({"sentence": [text for text, _ in rows]}))
    assert [WARNING in message for message in caplog.messages] == [True, True]
    assert f"{path}, line 3" in caplog.messages[0]
    assert "row 2" in caplog.messages[1]
    caplog.clear()
    acceptor.pairs(judge, [("the cats see.", TOO_LONG)])
    assert [WARNING in message for message in caplog.messages] == [True]
    for arguments in (("judge", toy_run.folder, "the cats see.", TOO_LONG), ("predict", toy_run.folder, path)):
        code, _, errors = run_cli(*arguments)
        assert code == 0
        assert WARNING in errors
    code, out, _ = run_cli("judge", toy_run.folder, stdin=f"the cats see.\n{TOO_LONG}\n")
    assert ["beginning" in line for line in out.splitlines()] == [False, True]
    assert "judged by its beginning" in run_cli("judge", toy_run.folder, TOO_LONG, "--why", "occlusion")[1]


def test_predict_counts_texts_that_are_cut_across_restarts(toy_run, tmp_path, monkeypatch):
    monkeypatch.setattr("acceptor.data.reading.stream.CHUNK", 4)
    monkeypatch.setattr("acceptor.judging.predict.BLOCK", 2)
    source = tmp_path / "in.txt"
    source.write_text("".join(f"{TOO_LONG if row % 3 == 0 else 'the cats see.'}\n" for row in range(30)))
    expected = predict(toy_run.folder, [str(source)], out=tmp_path / "whole.jsonl")
    assert (expected.written, expected.truncated, expected.judged) == (30, 10, 8)  # two texts in each of four blocks
    assert "10 longer than the judge reads" in str(expected)
    write = Parts.write

    def stop(self, number, *rest):
        if number == 3:  # the second chunk of its block: its texts are known from the first
            raise KeyboardInterrupt
        write(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(toy_run.folder, [str(source)], out=tmp_path / "stopped.jsonl")
    assert predict(toy_run.folder, [str(source)], out=tmp_path / "stopped.jsonl") == expected
    for shard in (1, 2):
        predict(toy_run.folder, [str(source)], out=tmp_path / "shards.jsonl", shard=(shard, 2))
    assert predict(toy_run.folder, [str(source)], out=tmp_path / "shards.jsonl") == expected


# ---------------------------------------------------------------------- special tokens, lengths

TYPED = "[CLS] the cats see. [SEP]"


@pytest.mark.parametrize("text", [TYPED, "the cats [SEP] see", "[CLS] the cats", "the cats </s>"])
def test_special_tokens_in_the_text_are_found(text):
    tokenizer = make_tokenizer("mpnet" if "</s>" in text else "wordpiece")
    assert rows_with_special_tokens(tokenizer, ["the cats", text]).tolist() == [1]
    assert rows_with_special_tokens(tokenizer, ["the cats", "see"], ["mat", text]).tolist() == [1]
    assert rows_with_special_tokens(tokenizer, ["the cats"]).tolist() == []


def test_special_tokens_are_warned_of_wherever_texts_are_read(run_cli, toy_run, toy_config, tmp_path, caplog):
    path = tmp_path / "typed.tsv"
    path.write_text("sentence\tlabel\n" + "".join(f"[CLS] {text} [SEP]\t{label}\n" for text, label in toy_rows(40)))
    settings = ("--encoder", toy_config.encoder, "--epochs", "1", "--on-collapse", "go-on", "--batch-size", "8")
    for command in (
        ("evaluate", toy_run.folder, path),
        ("predict", toy_run.folder, path),
        ("predict", toy_run.folder, path, "-o", tmp_path / "out.jsonl"),
        ("audit", path, "--encoder", toy_config.encoder),
        ("train", path, "--out", tmp_path / "run", *settings),
    ):
        code, _, err = run_cli(*command)
        assert code == 0, err
        assert "[CLS]" in err, command
        assert "line" in err, command


def test_a_length_that_leaves_no_text_is_refused(toy, toy_config, pair_run, old_run, run_cli, tmp_path):
    pairs = [(sentence, "the girl sees.", label) for sentence, label in toy_rows(60)]
    with raises(UsageError, "E-USAGE-OPTION", expected="5 at least"):
        acceptor.train(pairs, out=tmp_path / "run", config=toy_config.model_copy(update={"max_length": 4}))
    assert acceptor.train(
        pairs,
        out=tmp_path / "run",
        config=toy_config.model_copy(update={"max_length": 5, "epochs": 1, "on_collapse": "go-on"}),
    )
    assert run_cli("audit", "starter", "--encoder", toy_config.encoder, "--max-length", "2")[0] == 2
    shutil.copytree(old_run, tmp_path / "short")
    write_judge(tmp_path / "short", json.loads((old_run / "judge.json").read_text()) | {"max_length": 2})
    with raises(AcceptorError, "E-USAGE-OPTION", expected="max_length"):
        acceptor.load(tmp_path / "short")
