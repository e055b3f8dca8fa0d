"""What `predict` writes keeps the user's columns: names and, in formats that have them, types and values."""

from __future__ import annotations

import datetime
import json

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acceptor.data.reading import stream
from acceptor.data.writing.parts import Parts
from acceptor.judging import predict as predict_module
from acceptor.judging.predict import predict

VERDICTS = ["verdict", "probability", "margin"]


@pytest.fixture
def small(monkeypatch):
    """Chunks of 4 rows."""
    monkeypatch.setattr(stream, "CHUNK", 4)
    monkeypatch.setattr(predict_module, "CHUNK", 4)


def typed(n=10, start=0):
    """Columns of all types, with nulls; the sentence is called text."""
    rows = range(start, start + n)
    return pl.DataFrame(
        {
            "id": pl.Series(rows, dtype=pl.Int32),
            "price": pl.Series([None if row % 3 == 0 else row / 4 for row in rows], dtype=pl.Float64),
            "flag": [row % 2 == 0 for row in rows],
            "day": [datetime.date(2026, 1, 1 + row % 28) for row in rows],
            "seen": [datetime.datetime(2026, 1, 1, row % 24, tzinfo=datetime.UTC) for row in rows],
            "none": pl.Series([None] * n, dtype=pl.Null),
            "tags": [["a"] * (row % 3) for row in rows],
            "meta": [{"a": row, "b": [str(row)]} for row in rows],
            "raw": [bytes([row, 255]) for row in rows],
            "text": [f"the cats {'see ' * (row % 4)}." for row in rows],
            "kind": pl.Series([f"k{row % 7}" for row in rows], dtype=pl.Categorical),
            "label": pl.Series([None if row % 2 else 1 for row in rows], dtype=pl.Int64),
        }
    )


WRITE = {
    ".parquet": pl.DataFrame.write_parquet,
    ".arrow": pl.DataFrame.write_ipc,
    ".feather": pl.DataFrame.write_ipc,
}
READ = {".parquet": pl.read_parquet, ".arrow": pl.read_ipc, ".feather": pl.read_ipc}


@pytest.mark.parametrize("before", [".parquet", ".arrow"])
@pytest.mark.parametrize("after", [".parquet", ".arrow", ".feather"])
def test_columns_keep_names_and_types(small, toy_run, tmp_path, before, after):
    frame, source, out = typed(), tmp_path / f"in{before}", tmp_path / f"out{after}"
    WRITE[before](frame, source)
    tally = predict(toy_run.folder, [str(source)], out=out)
    found = READ[after](out)
    assert (tally.written, tally.rejected) == (10, 0)  # a label that is missing rejects nothing
    assert found.columns == [*frame.columns, *VERDICTS]
    assert found.drop(VERDICTS).schema == frame.schema
    assert found.drop(VERDICTS).equals(frame)
    expected = toy_run.judge.annotate(frame)
    assert found["verdict"].equals(expected["verdict"])
    assert found.columns == expected.columns


def test_values_of_rejected_rows_are_removed_too(small, toy_run, tmp_path):
    frame = typed().with_columns(text=pl.when(pl.col("id") == 5).then(None).otherwise("text"))
    frame.write_parquet(tmp_path / "in.parquet")
    for suffix in (".parquet", ".jsonl"):
        predict(toy_run.folder, [str(tmp_path / "in.parquet")], out=tmp_path / f"out{suffix}")
    kept = frame.filter(pl.col("id") != 5)
    assert pl.read_parquet(tmp_path / "out.parquet").drop(VERDICTS).equals(kept)
    assert pl.read_ndjson(tmp_path / "out.jsonl")["id"].to_list() == kept["id"].to_list()


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").rstrip("\n").split("\n")]


RECORDS = [
    {"id": 1, "text": "the cats .", "price": 1.5, "tags": [], "meta": {"a": {"b": None}}, "n": None, "big": 2**70},
    {"id": 2, "text": "the cats see.", "price": 2, "tags": ["x", 1], "meta": {}, "n": True, "big": "“quoted”\n"},
    {"id": "three", "text": "the girl.", "price": -0.0, "tags": None, "meta": [1], "n": 3.25, "big": "\u2028"},
]


def test_json_lines_are_not_changed(small, toy_run, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in RECORDS * 4))
    predict(toy_run.folder, [str(source)], out=tmp_path / "out.jsonl")
    found = lines(tmp_path / "out.jsonl")
    assert [{key: value for key, value in row.items() if key not in VERDICTS} for row in found] == RECORDS * 4
    assert [list(row) for row in found] == [[*RECORDS[0], *VERDICTS]] * 12
    assert all(isinstance(row["probability"], float) for row in found)


def test_types_become_json_types_if_it_has_them(small, toy_run, tmp_path):
    typed().write_parquet(tmp_path / "in.parquet")
    predict(toy_run.folder, [str(tmp_path / "in.parquet")], out=tmp_path / "out.jsonl")
    row = lines(tmp_path / "out.jsonl")[1]
    assert {key: row[key] for key in row if key not in VERDICTS} == {
        "id": 1, "price": 0.25, "flag": False, "day": "2026-01-02", "seen": "2026-01-01T01:00:00+00:00", "none": None,
        "tags": ["a"], "meta": {"a": 1, "b": ["1"]}, "raw": "Af8=", "text": "the cats see .", "kind": "k1",
        "label": None,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_json_lines_become_columns_with_types_that_hold_all_rows(small, toy_run, tmp_path, suffix):
    rows = [
        {"id": row, "text": "the cats .", "price": row if row < 6 else row / 2, "odd": row if row < 6 else f"x{row}",
         "none": None, "tags": [row] * (row % 2), "meta": {"a": row} if row < 6 else {"a": 0.5, "b": "c"}, "e": {}}
        for row in range(12)
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tally = predict(toy_run.folder, [str(tmp_path / "in.jsonl")], out=tmp_path / f"out{suffix}")
    assert tally.written == 12
    found = READ[suffix](tmp_path / f"out{suffix}").drop(VERDICTS)
    assert found.schema == {
        "id": pl.Int64, "text": pl.String, "price": pl.Float64, "odd": pl.String, "none": pl.Null,
        "tags": pl.List(pl.Int64), "meta": pl.Struct({"a": pl.Float64, "b": pl.String}), "e": pl.String,
    }  # fmt: skip
    assert found["price"].to_list() == [float(row["price"]) for row in rows]
    assert found["odd"].to_list() == [str(row["odd"]) for row in rows]
    assert found["meta"].to_list()[::6] == [{"a": 0.0, "b": None}, {"a": 0.5, "b": "c"}]


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("name", ["in.csv", "in.parquet", "in.jsonl"])
def test_the_sentences_column_keeps_its_name(toy_run, tmp_path, suffix, name):
    frame = pl.DataFrame({"Text": ["the cats .", "the girl."], "n": ["1", "2"], "acceptable": ["1", ""]})
    if name == "in.csv":
        frame.write_csv(tmp_path / name)
    elif name == "in.jsonl":
        frame.write_ndjson(tmp_path / name)
    else:
        frame.write_parquet(tmp_path / name)
    out = tmp_path / f"out{suffix}"
    assert predict(toy_run.folder, [str(tmp_path / name)], out=out).written == 2
    read = {".tsv": pd.read_table, ".csv": pd.read_csv, ".parquet": pd.read_parquet}
    found = pd.read_json(out, lines=True) if suffix == ".jsonl" else read[suffix](out)
    assert list(found.columns) == ["Text", "n", "acceptable", *VERDICTS]


def test_a_taken_column_name_is_renamed_as_in_a_frame(toy_run, tmp_path):
    frame = pl.DataFrame({"verdict": [7], "content": ["the cats ."], "margin": [True], "p(acceptable)": [0.1]})
    frame.write_parquet(tmp_path / "in.parquet")
    columns = {"sentence": "content"}
    predict(toy_run.folder, [str(tmp_path / "in.parquet")], out=tmp_path / "out.parquet", columns=columns)
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.columns == toy_run.judge.annotate(frame, columns=columns).columns
    assert found["input.verdict"].to_list() == [7]
    assert found["input.p(acceptable)"].to_list() == [0.1]


def test_files_of_other_types_and_names_are_judged_together(small, toy_run, tmp_path):
    pl.DataFrame({"id": [1, 2], "text": ["the cats .", "a"]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"sentence": ["b"], "id": [0.5]}).write_parquet(tmp_path / "2.parquet")
    files = [str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")]
    predict(toy_run.folder, files, out=tmp_path / "out.parquet")
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.columns == ["id", "text", *VERDICTS]
    assert found["id"].to_list() == [1.0, 2.0, 0.5]
    (tmp_path / "3.tsv").write_text("id\tsentence\nx\tc\n")
    predict(toy_run.folder, [*files, str(tmp_path / "3.tsv")], out=tmp_path / "more.parquet")
    assert pl.read_parquet(tmp_path / "more.parquet")["id"].to_list()[-1] == "x"
    predict(toy_run.folder, [*files, str(tmp_path / "3.tsv")], out=tmp_path / "more.jsonl")
    assert [row["id"] for row in lines(tmp_path / "more.jsonl")] == [1, 2, 0.5, "x"]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".jsonl"])
def test_a_continued_predict_gives_the_same_bytes(small, toy_run, tmp_path, monkeypatch, suffix):
    files = [str(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    typed(9).write_parquet(files[0])
    # In another order: the second file must not change the order of columns.
    typed(9, start=9).select(sorted(typed(1).columns)).write_parquet(files[1])
    predict(toy_run.folder, files, out=tmp_path / f"whole{suffix}")
    out, write = tmp_path / f"out{suffix}", Parts.write

    def stop(self, number, *rest):
        if number == 3:
            raise KeyboardInterrupt
        write(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(toy_run.folder, files, out=out)
    assert predict(toy_run.folder, files, out=out).written == 18
    assert out.read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()


def test_types_that_polars_lacks_become_text(toy_run, tmp_path):
    odd = pa.array([1, 2], pa.decimal256(5, 2))
    table = pa.table({"odd": odd, "text": ["a", "b"], "map": pa.array([[("k", 1)], None], pa.map_("string", "int64"))})
    pq.write_table(table, tmp_path / "in.parquet")
    predict(toy_run.folder, [str(tmp_path / "in.parquet")], out=tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["odd"].to_list() == ["1.00", "2.00"]
    assert pq.read_table(tmp_path / "out.parquet")["map"].to_pylist() == [[("k", 1)], None]
