"""Data frames with added verdicts: nothing lost, no order changed, columns as `acceptor predict` writes them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import acceptor
from acceptor.data.frames import annotated
from acceptor.data.reading.read import read_table
from acceptor.errors import DataError
from acceptor.judging.judge import Judge
from acceptor.judging.predict import predict
from conftest import raises, toy_rows

TEXTS = [sentence for sentence, _ in toy_rows(12, 3)]
TEXTS += TEXTS[:5]


@pytest.fixture(scope="module")
def judge(toy_run):
    return acceptor.load(toy_run.folder)


def columns() -> dict[str, list]:
    return {
        "id": list(range(len(TEXTS))),
        "text": TEXTS,
        "margin": [[i, i] for i in range(len(TEXTS))],
        "note": [None, "x"] * (len(TEXTS) // 2) + [None],
    }


@pytest.mark.parametrize("all_scores", [False, True])
def test_polars_gets_the_columns_that_predict_writes(judge, toy_run, tmp_path, all_scores):
    frame = pl.DataFrame(columns(), schema_overrides={"id": pl.UInt8})
    before = frame.clone()
    out = judge.annotate(frame, all_scores=all_scores)
    assert frame.equals(before)
    kept = out[:, :4]
    assert kept.columns == ["id", "text", "input.margin", "note"]
    assert kept.dtypes == frame.dtypes
    assert kept.rename({"input.margin": "margin"}).equals(frame)
    file = tmp_path / "in.parquet"
    frame.write_parquet(file)
    predict(toy_run.folder, [str(file)], out=tmp_path / "out.parquet", all_scores=all_scores)
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert out.columns[2:] == [*written.columns[2:]]
    assert out.columns[4:] == ["verdict", "probability", "margin"] + all_scores * [
        f"{what}({label})" for what in ("p", "logit") for label in judge.labels
    ]
    assert out["verdict"].to_list() == written["verdict"].to_list() == [v.label for v in judge(TEXTS)]
    for name in out.columns[5:]:
        assert out[name].dtype == written[name].dtype
        np.testing.assert_allclose(out[name], written[name], atol=1e-5)


INDICES = {
    "plain": None,
    "repeated": ["b", "a", "b"] * 5 + ["c", "c"],
    "several levels": pd.MultiIndex.from_arrays([["u"] * len(TEXTS), [1, *range(1, len(TEXTS))]]),
    "times": pd.date_range("2026-01-01", periods=len(TEXTS), tz="UTC")[::-1],
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_pandas_keeps_columns_types_order_and_index(judge, index):
    frame = pd.DataFrame(columns(), index=index).astype({"id": "Int16", "note": "category"})
    frame.attrs["source"] = "mine"
    frame.columns.name = "what"
    before = frame.copy()
    out = judge.annotate(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(
        out[["id", "text", "input.margin", "note"]].rename(columns={"input.margin": "margin"}), before
    )
    assert list(out.columns) == ["id", "text", "input.margin", "note", "verdict", "probability", "margin"]
    assert out.attrs == {"source": "mine"}
    verdicts = judge(TEXTS)
    assert out["verdict"].tolist() == [verdict.label for verdict in verdicts]
    np.testing.assert_allclose(out["probability"], [verdict.probability for verdict in verdicts], atol=1e-5)
    assert out["margin"].dtype == np.float32


DTYPES = ["object", "str", "string", "string[pyarrow]", "category", pd.ArrowDtype(pa.large_string())]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_text_of_any_pandas_type_is_read_and_kept(judge, dtype):
    frame = pd.DataFrame({"text": pd.Series(TEXTS, dtype=dtype)})
    out = judge.annotate(frame)
    assert out["text"].dtype == frame["text"].dtype
    assert out["verdict"].tolist() == [verdict.label for verdict in judge(TEXTS)]


def test_a_key_in_the_objects_of_a_column_is_refused(judge):
    frame = pl.DataFrame({"data": [{"text": "the cats."}]})
    with raises(DataError, "E-DATA-COLUMN", found="data.text"):
        judge.annotate(frame, columns={"sentence": "data.text"})


def test_a_column_is_chosen_by_role_and_pairs_are_judged_as_pairs(judge):
    frame = pl.DataFrame({"text": ["the cats."] * 4, "other": ["see.", "John.", "see.", "mat."]})
    assert judge.annotate(frame, columns={"sentence": "other"})["verdict"].to_list() == [
        verdict.label for verdict in judge(frame["other"].to_list())
    ]
    judge = replace(judge, inputs=None)  # as of a run of an older version
    pairs = judge.annotate(frame, columns={"second": "other"}, all_scores=True)
    logits = judge.logits(frame["text"].to_list(), frame["other"].to_list())
    np.testing.assert_allclose(pairs.select("^logit.*$").to_numpy(), logits, atol=1e-5)
    assert not np.allclose(logits, judge.logits(frame["text"].to_list()), atol=1e-3)


def test_equal_rows_are_judged_once(toy_run, monkeypatch):
    seen = []
    judge, logits_of = replace(toy_run.judge, inputs=None), Judge.logits_of
    monkeypatch.setattr(Judge, "logits_of", lambda self, ids, *_: seen.append(len(ids)) or logits_of(self, ids))
    frame = pl.DataFrame({"sentence2": ["b", "a", "b", "b"], "text": ["the cats", "the cats", "a girl", "the cats"]})
    out = judge.annotate(frame, all_scores=True)
    assert seen == [3]
    expected = judge.logits(frame["text"].to_list(), frame["sentence2"].to_list())
    np.testing.assert_allclose(out.select(pl.col("^logit.*$")).to_numpy(), expected, atol=1e-5)


def test_no_rows_give_no_verdicts_in_the_same_columns(judge):
    some, none = (judge.annotate(pl.DataFrame(columns()).head(n), all_scores=True) for n in (3, 0))
    assert none.schema == some.schema
    assert len(none) == 0
    empty = judge.annotate(pd.DataFrame(columns()).head(0))
    assert list(empty.columns[-3:]) == ["verdict", "probability", "margin"]
    assert len(empty) == 0


REFUSED = {
    "a list": (TEXTS, "E-DATA-TYPE", {"found": "builtins.list"}),
    "lazy": (pl.LazyFrame({"text": TEXTS}), "E-DATA-TYPE", {"next": "frame.collect()"}),
    "a series": (pd.Series(TEXTS), "E-DATA-TYPE", {"found": "pandas.Series"}),
    "no sentences": (pl.DataFrame({"foo": TEXTS}), "E-DATA-COLUMN", {"next": 'columns={"sentence": "foo"}'}),
    "two of a name": (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "E-DATA-COLUMN", {"problem": "'text'"}),
    "levels of columns": (pd.DataFrame({("a", "text"): TEXTS}), "E-DATA-COLUMN", {"found": "MultiIndex"}),
    "missing in polars": (pl.DataFrame({"text": ["a", None]}), "E-DATA-TEXT", {"where": "row 2"}),
    "blank in polars": (pl.DataFrame({"text": ["a", "b", "\u2003\x1f "]}), "E-DATA-TEXT", {"where": "row 3"}),
    "NUL": (pl.DataFrame({"text": ["a\0"]}), "E-DATA-TEXT", {"problem": "NUL", "where": "row 1"}),
    "missing in pandas": (
        pd.DataFrame({"text": ["a", None]}, index=["u", "v"]),
        "E-DATA-TEXT",
        {"where": "row 2, index 'v'"},
    ),
    "NaN": (pd.DataFrame({"text": ["a", float("nan")]}, index=[7, 7]), "E-DATA-TEXT", {"where": "row 2, index 7"}),
    "blank in pandas": (pd.DataFrame({"text": ["a", ""]}, dtype=object), "E-DATA-TEXT", {"where": "row 2, index 1"}),
    "no text": (
        pd.DataFrame({"text": ["a", ["b"]]}, dtype=object),
        "E-DATA-TEXT",
        {"where": "row 2, index 1", "found": "list"},
    ),
    "no second": (
        pl.DataFrame({"text": ["a", "b"], "sentence2": ["c", None]}),
        "E-DATA-TEXT",
        {"problem": "second", "where": "row 2"},
    ),
    "taken twice": (
        pl.DataFrame({"text": ["a"], "verdict": [1], "input.verdict": [1]}),
        "E-DATA-COLUMN",
        {"problem": "'input.verdict'"},
    ),
}


@pytest.mark.parametrize(("frame", "code", "fields"), REFUSED.values(), ids=REFUSED)
def test_rows_that_cannot_be_judged_are_named_by_row_and_index(judge, frame, code, fields):
    with raises(DataError, code, **fields):
        judge.annotate(frame)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("a \t\n\x0b\x1c\x1f\x85\xa0\u2003\u200b\ufeff\0", max_size=3), min_size=1, max_size=4))
def test_the_fast_check_of_text_refuses_the_same_as_reading(texts):
    def outcome(read):
        try:
            return read()
        except DataError as error:
            return error.problem

    frame = pl.DataFrame({"text": texts})
    kept = outcome(lambda: annotated(frame, {}, [], lambda sentences, *_: pl.DataFrame({"as read": sentences})))
    read = outcome(lambda: read_table([{"text": text} for text in texts]).frame["sentence"].to_list())
    assert (kept if isinstance(kept, str) else kept["as read"].to_list()) == read


@pytest.mark.parametrize("frame_of", [pl.DataFrame, pd.DataFrame])
def test_old_scores_are_renamed_even_if_no_new_ones_are_asked_for(judge, frame_of):
    out = judge.annotate(frame_of({"text": TEXTS[:1], "p(acceptable)": [0.5], "p(other)": [0.5]}))
    assert list(out.columns) == ["text", "input.p(acceptable)", "p(other)", "verdict", "probability", "margin"]


@pytest.mark.parametrize("frame_of", [pl.DataFrame, pd.DataFrame])
def test_names_that_would_be_taken_twice_are_refused_before_a_sentence_is_judged(judge, frame_of, monkeypatch):
    monkeypatch.setattr(Judge, "logits_in", None)
    frame = frame_of({"text": TEXTS, "margin": [0.5] * len(TEXTS), "input.margin": [0.5] * len(TEXTS)})
    with raises(DataError, "E-DATA-COLUMN", problem="input.margin"):
        judge.annotate(frame)


def test_polars_alone_imports_no_pandas():
    code = """
import sys, polars as pl
from acceptor.data.frames import annotated
out = annotated(pl.DataFrame({"text": ["a", "b"]}), {}, [], lambda texts, *_: pl.DataFrame({"n": texts}))
print(len(out), "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
