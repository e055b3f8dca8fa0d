"""`predict` on files of any size: nothing lost, nothing twice, interrupted and continued. Chunks are small here."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import zstandard

import acceptor
from acceptor.cli.predict import Shard
from acceptor.data.reading import decode, stream, unpack
from acceptor.data.reading.input_files import input_files
from acceptor.data.reading.read import read_table
from acceptor.data.reading.stream import TableStream, chunks
from acceptor.data.writing.parts import Parts
from acceptor.data.writing.write import write_table
from acceptor.errors import DataError, ResourceError, RunError, UsageError
from acceptor.judging import predict as predict_module
from acceptor.judging.judge import Judge
from acceptor.judging.predict import predict
from acceptor.judging.rows import judged_table
from acceptor.judging.where import condition
from acceptor.storage.manifest import MANIFEST
from conftest import REPOSITORY, raises, toy_rows
from test_tables import workbook

WORDS = ["sleep", "see", "girl", "boy", "garden"]


@pytest.fixture
def small(monkeypatch):
    """Chunks of 16 rows, blocks of 4 chunks."""
    monkeypatch.setattr(stream, "CHUNK", 16)
    monkeypatch.setattr(predict_module, "CHUNK", 16)
    monkeypatch.setattr(predict_module, "BLOCK", 4)


def lines_of(n, start=0):
    """``n`` rows of an id and one of a few dozen sentences."""
    return [f"{start + row}\tthe {WORDS[row % 5]} {WORDS[row * row % 5]} {WORDS[row // 7 % 3]}." for row in range(n)]


def tsv(path, lines, header="id\tsentence"):
    text = "".join(line + "\n" for line in [header, *lines])
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())
    return str(path)


def rejected(out):
    return [json.loads(line) for line in out.with_name(out.name + ".rejected.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------------- what is written


def test_predict_is_a_function_of_the_package(small, toy_run, tmp_path):
    (tmp_path / "in").mkdir()
    tsv(tmp_path / "in" / "1.tsv", lines_of(5))
    tsv(tmp_path / "in" / "2.tsv", [*(f"{row}\t{text}" for row, (text, _) in enumerate(toy_rows(4))), "9\t"])
    out = tmp_path / "out.parquet"
    tally = acceptor.predict(toy_run.folder, tmp_path / "in", out=str(out), where="verdict = 'acceptable'")
    frame = pl.read_parquet(out)
    assert isinstance(tally, acceptor.Tally)
    assert (tally.rows, tally.written, tally.rejected) == (10, len(frame), 1)
    assert tally.rows == tally.written + tally.left_out + tally.rejected
    assert tally.to_dict()["left_out"] == tally.left_out > 0
    assert repr(tally) == f"Tally({tally})"
    assert frame.columns == ["id", "sentence", "verdict", "probability", "margin"]
    assert set(frame["verdict"]) == {"acceptable"}
    files = [tmp_path / "in" / "1.tsv", str(tmp_path / "in" / "2.tsv")]
    assert acceptor.predict(toy_run.folder, files, out=tmp_path / "all.csv", all_scores=True).written == 9


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        ({"sources": pl.DataFrame({"text": ["a"]})}, "E-USAGE-OPTION", "DataFrame"),
        ({"sources": [7]}, "E-USAGE-OPTION", "list"),
        ({"run": 7}, "E-USAGE-OPTION", "int"),
        ({"shard": (3, 2)}, "E-USAGE-OPTION", "(3, 2)"),
        ({"shard": (0, 2)}, "E-USAGE-OPTION", "(0, 2)"),
        ({"shard": (1.0, 2)}, "E-USAGE-OPTION", "(1.0, 2)"),
        ({"shard": (True, 2)}, "E-USAGE-OPTION", "(True, 2)"),
        ({"shard": "1/2"}, "E-USAGE-OPTION", "'1/2'"),
        ({"shard": ()}, "E-USAGE-OPTION", "()"),
        ({"sources": []}, "E-USAGE-OPTION", "none"),
        ({"out": 5}, "E-USAGE-OPTION", "5"),
        ({"columns": "sentence=1"}, "E-USAGE-OPTION", "'sentence=1'"),
        ({"separator": "ab"}, "E-USAGE-OPTION", "'ab'"),
        ({"where": 3}, "E-USAGE-OPTION", "3"),
        ({"split_language": 5}, "E-USAGE-OPTION", "5"),
        ({"where": "length > 3"}, "E-USAGE-CONDITION", "length"),
        ({"spreadsheet_safe": True}, "E-USAGE-CONFLICT", "out.tsv"),
    ],
)
def test_arguments_that_predict_cannot_use_are_refused(toy_run, tmp_path, arguments, code, found):
    source = tsv(tmp_path / "in.tsv", lines_of(3))
    given = {"run": toy_run.folder, "sources": source, "out": tmp_path / "out.tsv"} | arguments
    with raises(UsageError, code, found=found):
        acceptor.predict(given.pop("run"), given.pop("sources"), **given)
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["in.tsv"]


def test_a_shard_gives_the_counts_of_its_own_blocks(small, toy_run, tmp_path):
    source, out = tsv(tmp_path / "in.tsv", lines_of(150)), tmp_path / "out.tsv"
    shards = [acceptor.predict(toy_run.folder, source, out=out, shard=(k, 2)) for k in (1, 2)]
    assert all(shard.rows for shard in shards)
    assert acceptor.predict(toy_run.folder, source, out=out) == shards[0] + shards[1]


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl", ".parquet", ".arrow", ".tsv.zst", ".csv.gz"])
def test_all_rows_and_columns_in_order_with_the_judges_verdicts(small, toy_run, tmp_path, suffix):
    source, out = tsv(tmp_path / "in.tsv.gz", lines_of(100)), tmp_path / f"out{suffix}"
    tally = predict(toy_run.folder, [source], out=out, all_scores=True)
    assert (tally.rows, tally.written, tally.rejected) == (100, 100, 0)
    frame, table = read_table(out).frame, read_table(source)
    assert frame.select("id", "sentence").equals(table.frame)
    whole = judged_table(toy_run.judge, table, all_scores=True)
    assert frame["verdict"].to_list() == whole["verdict"].to_list()
    for name in ("probability", "p(acceptable)", "logit(unacceptable)"):
        np.testing.assert_allclose(frame[name].cast(pl.Float64), whole[name], atol=1e-5)
    margin = (whole["logit(acceptable)"] - whole["logit(unacceptable)"]).abs()
    np.testing.assert_allclose(frame["margin"].cast(pl.Float64), margin, atol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.tsv.gz", out.name])


@pytest.mark.parametrize(
    "suffix", [".tsv", ".csv.gz", ".jsonl", ".json", ".parquet", ".parquet.zst", ".arrow", ".xlsx"]
)
def test_the_bar_moves_with_the_rows_in_every_format(small, toy_run, tmp_path, suffix, monkeypatch):
    """A Parquet file's footer is at its end, a JSON array and a sheet are read whole: bytes read are no measure."""
    table = read_table(tsv(tmp_path / "in.tsv", lines_of(150))).frame
    source = tmp_path / f"in{suffix}"
    if suffix == ".json":
        source.write_text(json.dumps(table.to_dicts()))
    elif suffix == ".xlsx":
        source.write_bytes(workbook([table.columns, *table.rows()]))
    elif suffix == ".parquet.zst":
        table.write_parquet(tmp_path / "in.parquet")
        source.write_bytes(zstandard.compress((tmp_path / "in.parquet").read_bytes()))
    else:
        write_table(table, source)
    size, done, seen = source.stat().st_size, 0.0, []

    class Bar:
        def advance(self, amount, note=None):
            nonlocal done
            done += amount
            if note is not None:  # at the end of a chunk
                seen.append(done / size)

    monkeypatch.setattr(predict_module, "meter", lambda *_: contextlib.nullcontext(Bar()))
    predict(toy_run.folder, [source], out=tmp_path / "out.tsv")
    assert len(seen) > 5
    np.testing.assert_allclose(seen, np.linspace(0, 1, len(seen) + 1)[1:], atol=0.06)


@pytest.mark.parametrize("form", [".tsv", ".csv", ".jsonl"])
def test_compressed_text_is_that_of_the_plain_file_in_one_piece(small, toy_run, tmp_path, form):
    """Some readers stop at the end of a first gzip member or zstd frame, pandas among them."""
    source = tsv(tmp_path / "in.tsv", lines_of(100))
    for suffix in ("", ".gz", ".zst"):
        predict(toy_run.folder, [source], out=tmp_path / f"out{form}{suffix}")
    plain = (tmp_path / f"out{form}").read_bytes()
    unzip = zlib.decompressobj(31)
    zipped = (tmp_path / f"out{form}.gz").read_bytes()
    assert unzip.decompress(zipped) == plain
    assert (unzip.eof, unzip.unused_data) == (True, b"")
    assert zipped[3:8] == bytes(5)  # neither a name nor a time
    frame = zstandard.ZstdDecompressor().decompressobj()
    assert frame.decompress((tmp_path / f"out{form}.zst").read_bytes()) == plain
    assert (frame.eof, frame.unused_data) == (True, b"")
    for suffix in (".gz", ".zst"):
        path = tmp_path / f"out{form}{suffix}"
        sep = "\t" if form == ".tsv" else ","
        seen = pd.read_json(path, lines=True) if form == ".jsonl" else pd.read_csv(path, sep=sep)
        assert seen["id"].astype(int).tolist() == list(range(100))


@pytest.mark.parametrize("suffix", [".arrow", ".feather"])
def test_an_arrow_output_opens_elsewhere(small, toy_run, tmp_path, suffix):
    source, out = tsv(tmp_path / "in.tsv", lines_of(100)), tmp_path / f"out{suffix}"
    predict(toy_run.folder, [source], out=out)
    predict(toy_run.folder, [source], out=tmp_path / "out.parquet")
    expected = pl.read_parquet(tmp_path / "out.parquet")
    assert pl.read_ipc(out).equals(expected)
    assert pl.from_pandas(pd.read_feather(out)).equals(expected)
    with pa.ipc.open_file(out) as file:
        assert set(map(str, file.schema.types)) == {"large_string", "double", "float"}  # no views, new in 2023


def test_verdict_probability_and_margin_unless_all_scores_are_wanted(toy_run, tmp_path):
    source = tsv(tmp_path / "in.tsv", lines_of(3))
    predict(toy_run.folder, [source], out=tmp_path / "out.tsv")
    assert read_table(tmp_path / "out.tsv").frame.columns == ["id", "sentence", "verdict", "probability", "margin"]


def test_a_sentence_is_judged_once_in_a_block(small, toy_run, tmp_path, monkeypatch):
    seen = []
    logits_of = Judge.logits_of
    monkeypatch.setattr(Judge, "logits_of", lambda self, ids, _: seen.append(len(ids)) or logits_of(self, ids))
    source = tsv(tmp_path / "in.tsv", [f"{row}\tthe {WORDS[row % 5]}." for row in range(100)])
    tally = predict(toy_run.folder, [source], out=tmp_path / "out.jsonl")
    assert (seen, tally.judged) == ([5, 5], 10)  # 100 rows are two blocks of 64


def test_pairs_are_equal_only_if_both_sentences_are(small, old_run, tmp_path):
    rows = [("the girl", " sees"), ("the girl", "the boy"), ("the gi", "rl sees"), ("the girl", " sees")]
    source = tsv(tmp_path / "in.tsv", ["\t".join(row) for row in rows], "sentence\tsecond")
    tally = predict(old_run, [source], out=tmp_path / "out.jsonl", all_scores=True)
    assert tally.judged == 3
    found = pl.read_ndjson(tmp_path / "out.jsonl")["logit(acceptable)"]
    expected = acceptor.load(old_run).logits([row[0] for row in rows], [row[1] for row in rows])[:, 1]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_condition_keeps_its_rows(small, toy_run, tmp_path):
    source = tsv(tmp_path / "in.tsv", [f"{row}\t{text}" for row, (text, _) in enumerate(toy_rows(100))])
    predict(toy_run.folder, [source], out=tmp_path / "all.jsonl", all_scores=True)
    where = "probability >= .8 and verdict = 'acceptable' or \"logit(acceptable)\" < -1e9"
    tally = predict(toy_run.folder, [source], out=tmp_path / "some.jsonl", where=where, all_scores=True)
    everything = pl.read_ndjson(tmp_path / "all.jsonl")
    kept = everything.filter((pl.col("probability") >= 0.8) & (pl.col("verdict") == "acceptable"))
    assert 0 < len(kept) < 100
    assert pl.read_ndjson(tmp_path / "some.jsonl").equals(kept)
    assert (tally.rows, tally.written, tally.left_out) == (100, len(kept), 100 - len(kept))


LABELS = ("a", "b", "it's", "true")
SCHEMA = {"verdict": pl.String(), "probability": pl.Float64(), "p(a)": pl.Float64()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("probabilty > .5", "did you mean 'probability'"),
        ("p(a) > .5", "'p'"),
        ("probability", "not true or false"),
        ("1 = 1", "not true or false"),
        ("avg(probability) > 0", "'avg'"),
        ("probability > (select 1)", "'select'"),
        ("\"read_csv\"('x') = 1", "'read_csv'"),
        ("probability > .5; drop", "'; drop'"),
        ("probability >", ""),
        ("verdict > 1 and", ""),
        ("probability >= .8 verdict", "'verdict' behind a complete condition"),
        ("probability >= .8 null", "'null' behind a complete condition"),
        ("probability >= .8 true", "'true'"),
        ("probability = true", "'true'"),
        ("not probability", "not true or false"),
        ("probability > .5 and not (verdict)", "not true or false"),
        ("verdict is not null and not probability and verdict = 'a'", "not true or false"),
        ("verdict = 'A'", "no label is called 'A'; did you mean 'a'"),
        ("verdict <> 'fluent'", "no label is called 'fluent'; the judge has a, b, it's, true"),
        ("probability > .5 and \"verdict\" NOT IN ('a', 'fluent')", "no label is called 'fluent'"),
        ("verdict in ('it''s', 'its')", "no label is called 'its'"),
        ("'fluent' = verdict", "no label is called 'fluent'"),
        ("verdict == 'fluent'", "no label is called 'fluent'"),
        ("(verdict) = ('fluent')", "no label is called 'fluent'"),
        ("", ""),
    ],
)
def test_other_conditions_are_refused(text, found):
    with raises(UsageError, "E-USAGE-CONDITION", problem=repr(text), expected="probability", found=found):
        condition(text, SCHEMA, LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "not probability between .5 and 1 and verdict is not null",
        "not (probability > .5 or (verdict = 'true'))",
        "verdict not in ('a', 'b') and not \"p(a)\" < .5",
        "verdict not like 'fluent%'",
    ],
)
def test_negations_are_conditions(text):
    assert condition(text, SCHEMA, LABELS).meta.root_names()


def test_conditions_follow_sql():
    frame = pl.DataFrame({"verdict": ["a", "b", "it's"], "probability": [0.7, 0.8, 0.9], "p(a)": [0.7, 0.2, 0.1]})
    for text, rows in {
        "probability >= .8": [1, 2],
        "NOT verdict = 'a'": [1, 2],
        "verdict in ('a', 'b')": [0, 1],
        "verdict = 'it''s'": [2],
        'probability between 0.75 and 0.85 or "p(a)" > 5e-1': [0, 1],
        "verdict like 'it%'": [2],
    }.items():
        assert frame.select(condition(text, frame.schema, LABELS).arg_true()).to_series().to_list() == rows, text


# ---------------------------------------------------------------------- rows that cannot be judged


def test_rows_that_cannot_be_judged_are_rejected_with_their_line(small, toy_run, tmp_path):
    lines = lines_of(100)
    lines[40] = "40\t "
    lines[41] = "41\tone\ttoo many"
    lines[99] = "99\t" + "x" * 1_000_001
    source, out = tsv(tmp_path / "in.tsv", lines), tmp_path / "out.csv"
    tally = predict(toy_run.folder, [source], out=out)
    assert str(tally) == "100 rows in = 97 out + 3 rejected"
    assert read_table(out).frame["id"].to_list() == [str(row) for row in range(100) if row not in (40, 41, 99)]
    found = rejected(out)
    assert [fault["line"] for fault in found] == [42, 43, 101]
    assert [fault["problem"] for fault in found] == [
        "a sentence is empty",
        "a row has the wrong number of columns",
        "a sentence is longer than 1,000,000 bytes",
    ]
    assert {fault["file"] for fault in found} == {source}


def test_what_a_file_of_verdicts_rejects_as_too_long_is_not_judged_on_the_terminal(toy_run, tmp_path, run_cli):
    """The limit is in bytes: a text of fewer characters may be longer."""
    source = tsv(tmp_path / "in.tsv", ["1\tthe girl sees.", "2\t" + "é" * 500_001])
    code, stdout, stderr = run_cli("predict", toy_run.folder, source)
    assert (code, stdout) == (1, "")
    assert "a sentence is longer than 1,000,000 bytes" in stderr
    assert "line 3" in stderr
    assert "-o FILE" in stderr


def test_faulty_json_lines_are_rejected(small, toy_run, tmp_path):
    lines = [json.dumps({"id": row, "text": "the girl sees."}) for row in range(100)]
    faults = {
        50: "{",
        51: '{"id": 1, "text": null}',
        52: '{"text": "a\\ud800"}',
        53: '{"text": "a\\u0000"}',
        54: '{"text": {"a": 1}}',
        55: '{"text": "a", "other": 1}',
        56: "",
    }
    for row, line in faults.items():
        lines[row] = line
    lines[57] = '{"text": "no id"}'
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    out = tmp_path / "out.jsonl"
    tally = predict(toy_run.folder, [str(tmp_path / "in.jsonl")], out=out)
    assert (tally.written, [fault["line"] for fault in rejected(out)]) == (93, [row + 1 for row in faults])
    assert pl.read_ndjson(out)["id"].to_list()[50] is None


def test_a_tsv_cannot_hold_a_line_break_and_the_row_is_named(small, toy_run, tmp_path):
    (tmp_path / "in.csv").write_text('sentence,note\na girl,x\n"two\nlines",x\nthe boy,"a\tb"\n')
    out = tmp_path / "out.tsv"
    tally = predict(toy_run.folder, [str(tmp_path / "in.csv")], out=out)
    assert (tally.written, [fault["line"] for fault in rejected(out)]) == (1, [3, 5])
    tally = predict(toy_run.folder, [str(tmp_path / "in.csv")], out=tmp_path / "out.csv")
    assert tally.written == 3


def test_a_chunk_without_a_usable_row_does_not_end_the_file(small, toy_run, tmp_path):
    source = tsv(tmp_path / "in.tsv", [*lines_of(16), *(f"{row}\t " for row in range(40)), *lines_of(3)])
    tally = predict(toy_run.folder, [source], out=tmp_path / "out.parquet")
    assert (tally.written, tally.rejected) == (19, 40)
    assert len(pl.read_parquet(tmp_path / "out.parquet")) == 19


# ---------------------------------------------------------------------- the first rows decide


def stream_of(path, rows, columns=None):
    """All tables of a file in parts of ``rows`` rows, and the errors of rows that do not fit."""
    faults = []
    with TableStream(str(path), columns=columns, rows=rows) as file:
        tables = [file.table(part, lambda line, error: faults.append((line, error.problem))) for part in file.parts()]
    return tables, faults


def test_parts_have_the_rows_and_lines_of_the_whole(tmp_path):
    rows = [f'{row},"a ""girl""\n{row}",x' for row in range(50)]
    (tmp_path / "in.csv").write_text("id,sentence,note\n" + "\n".join(rows) + "\n\n\n")
    whole = read_table(tmp_path / "in.csv")
    for size in (1, 3, 7, 51, 100):
        tables, faults = stream_of(tmp_path / "in.csv", size + 1)  # a header is a row
        assert pl.concat([table.frame for table in tables]).equals(whole.frame)
        assert [line for table in tables for line in table.lines] == whole.lines.tolist()
        assert {table.schema for table in tables} == {whole.schema}
        assert not faults


def test_later_rows_must_fit_the_first_rows(tmp_path):
    for name, text, faults in (
        ("cola.tsv", "s\t1\t\ta\ns\t0\t\tb\ns\t2\t\tc\n", []),  # labels are not used, so they reject nothing
        ("two.tsv", "1\ta\n0\tb\n1\tc\n0\td\nx\te\n", []),
        ("none.tsv", "sentence\tlabel\na\t\nb\t\nc\t\nd\t1\n", []),
        ("some.tsv", "sentence\tlabel\na\t1\nb\t0\nc\t0\nd\t\n", []),
        ("wide.tsv", "sentence\tn\na\t1\nb\t0\nc\t0\nd\n", [(5, "a row has the wrong number")]),
        ("key.jsonl", '{"text": "a"}\n' * 4 + '{"text": "a", "b": 1}\n', [(5, "a row has a key")]),
    ):
        (tmp_path / name).write_text(text)
        found = stream_of(tmp_path / name, 2 if name == "cola.tsv" else 4)[1]
        assert [(line, problem[: len(words)]) for (line, problem), (_, words) in zip(found, faults, strict=True)] == [
            (line, words) for line, words in faults
        ]


def test_the_first_row_may_be_a_header_and_is_never_rejected(tmp_path):
    (tmp_path / "in.tsv").write_text("sentence\na\t1\nb\t0\n")
    with raises(DataError, "E-DATA-ROW", where="line 1", expected="2 columns"):
        stream_of(tmp_path / "in.tsv", 10)


def test_an_endless_line_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "LONGEST_LINE", 1 << 21)
    (tmp_path / "in.txt").write_bytes(b"a\n" + b"x" * (1 << 22))
    with raises(DataError, "E-DATA-FORMAT", problem="2 MiB", where="line 2"):
        stream_of(tmp_path / "in.txt", 10)


def test_reading_takes_the_same_memory_however_long_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", 64)
    monkeypatch.setattr(unpack, "PIECE", 4096)
    peaks = []
    for n in (3_000, 60_000):
        source = tsv(tmp_path / f"{n}.tsv.gz", lines_of(n))
        tracemalloc.start()
        rows = sum(len(table) for chunk in chunks([source]) for table in chunk.read()[0])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert rows == n
    assert peaks[1] < 1.1 * peaks[0]


# ---------------------------------------------------------------------- several files


def test_folders_and_patterns_give_their_files(tmp_path):
    for name in ("b.tsv", "a.jsonl.gz", "notes.md", ".hidden.tsv", "c.parquet"):
        (tmp_path / name).write_text("x")
    names = ["a.jsonl.gz", "b.tsv", "c.parquet"]
    assert input_files([str(tmp_path)]) == [str(tmp_path / name) for name in names]
    assert input_files([str(tmp_path / "*.tsv"), "x.csv"]) == [str(tmp_path / "b.tsv"), "x.csv"]
    with raises(DataError, "E-DATA-MISSING", where="*.arrow"):
        input_files([str(tmp_path / "*.arrow")])
    with raises(UsageError, "E-USAGE-INPUT", found="- a.tsv"):
        input_files(["-", "a.tsv"])


def test_small_files_share_a_chunk_and_columns_may_be_in_another_order(small, toy_run, tmp_path, monkeypatch):
    calls = []
    encode = Judge.encode
    monkeypatch.setattr(Judge, "encode", lambda self, *texts, **how: calls.append(texts) or encode(self, *texts, **how))
    files = [tsv(tmp_path / f"{number}.tsv", lines_of(3, 3 * number)) for number in range(4)]
    swapped = ["\t".join(reversed(line.split("\t"))) for line in lines_of(3, 12)]
    files.append(tsv(tmp_path / "4.tsv", swapped, "sentence\tid"))
    predict(toy_run.folder, files, out=tmp_path / "out.csv")
    assert len(calls) == 1
    assert read_table(tmp_path / "out.csv").frame["id"].to_list() == [str(row) for row in range(15)]


def test_a_column_that_is_missing_in_the_second_file_is_an_error(small, toy_run, tmp_path):
    files = [tsv(tmp_path / "1.tsv", lines_of(64)), tsv(tmp_path / "2.tsv", ["a girl"], "sentence")]
    out = tmp_path / "out.csv"
    with raises(DataError, "E-DATA-COLUMN", where="2.tsv", expected="id, sentence", found="sentence"):
        predict(toy_run.folder, files, out=out)
    assert not out.exists()
    assert len(list((tmp_path / ".out.csv.parts").glob("0*"))) >= 3


def test_a_missing_file_is_an_error_before_any_work(toy_run, tmp_path):
    with raises(DataError, "E-DATA-MISSING", where="nowhere.tsv"):
        predict(toy_run.folder, [tsv(tmp_path / "1.tsv", lines_of(3)), "nowhere.tsv"], out=tmp_path / "o.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["1.tsv"]


# ---------------------------------------------------------------------- stopped and continued


@pytest.mark.skipif(sys.platform != "linux", reason="forkserver, RLIMIT_FSIZE")
def test_killed_processes_shards_and_full_disks_give_the_same_bytes():
    command = [sys.executable, "-m", "reliability", "--quick", "--only", "predicting"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    rows = ("predict_killed", "predict_split_killed", "predict_sharded", "predict_disk_full", "predict_cut_short")
    assert tuple(found) == rows
    assert all(held == tried > 0 for held, tried in found.values())
    assert found["predict_killed"][1] >= 5


@pytest.fixture
def stopped(small, toy_run, tmp_path, monkeypatch):
    """A predict of 100 rows that was stopped after five of its chunks."""
    source, out = tsv(tmp_path / "in.tsv", lines_of(100)), tmp_path / "out.tsv"
    write = Parts.write

    def stop(self, number, *rest):
        if number == 5:
            raise KeyboardInterrupt
        write(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(toy_run.folder, [source], out=out)
    return source, out


def test_a_continued_call_judges_only_the_missing_parts(stopped, toy_run, monkeypatch):
    source, out = stopped
    numbers = []
    write = Parts.write
    monkeypatch.setattr(
        Parts, "write", lambda self, number, *rest: numbers.append(number) or write(self, number, *rest)
    )
    assert predict(toy_run.folder, [source], out=out).written == 100
    assert numbers == [5, 6]


def test_the_help_names_the_size_of_a_block():
    """It is written out there, so that the help needs no import of what judges."""
    assert f"by blocks of {stream.CHUNK * predict_module.BLOCK:,} rows" in Shard.__metadata__[0].help


def test_an_output_that_was_being_replaced_goes_on_after_a_stop(small, toy_run, tmp_path, monkeypatch, run_cli):
    """Without --overwrite, which would start again; but not over a file that came there meanwhile."""
    source, out, numbers = tsv(tmp_path / "in.tsv", lines_of(100)), tmp_path / "out.tsv", []
    out.write_text("old")
    write = Parts.write

    def stop(self, number, *rest):
        if number == 3:
            raise KeyboardInterrupt
        numbers.append(number)
        write(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", stop)
        assert run_cli("predict", toy_run.folder, source, "-o", out, "--overwrite")[0] == 130
    out.write_text("mine")
    code, _, errors = run_cli("predict", toy_run.folder, source, "-o", out)
    assert (code, "out.tsv exists" in errors, out.read_text()) == (2, True, "mine")
    shutil.rmtree(tmp_path / ".out.tsv.parts")
    first_part_stopped = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt())  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", first_part_stopped)
        assert run_cli("predict", toy_run.folder, source, "-o", out, "--overwrite")[0] == 130
    code, _, errors = run_cli("predict", toy_run.folder, source, "-o", out, "--all-scores")
    assert (code, "out.tsv exists" in errors, out.read_text()) == (2, True, "mine")
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", stop)
        assert run_cli("predict", toy_run.folder, source, "-o", out, "--overwrite")[0] == 130
    monkeypatch.setattr(
        Parts, "write", lambda self, number, *rest: numbers.append(number) or write(self, number, *rest)
    )
    assert run_cli("predict", toy_run.folder, source, "-o", out)[0] == 0
    assert numbers == [0, 1, 2, 0, 1, 2, 3, 4, 5, 6]
    assert len(out.read_text().splitlines()) == 101


@pytest.mark.parametrize("first", [0, 3])
def test_a_stop_says_what_is_kept_and_a_corrected_command_replaces_nothing(
    small, toy_run, tmp_path, monkeypatch, run_cli, first
):
    source, out = tsv(tmp_path / "in.tsv", lines_of(100)), tmp_path / "out.tsv"
    write = Parts.write

    def stop(self, number, *rest):
        if number == first:
            raise KeyboardInterrupt
        write(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", stop)
        code, _, errors = run_cli("predict", toy_run.folder, source, "-o", out)
    assert code == 130
    assert ("3 finished parts kept" in errors, "nothing is kept" in errors) == (first > 0, first == 0)
    code, _, errors = run_cli("predict", toy_run.folder, source, "-o", out, "--all-scores")
    assert code == (2 if first else 0)  # with nothing to lose, the corrected command begins anew
    assert ("begun with other data or settings" in errors) == (first > 0)


def test_other_settings_or_data_do_not_continue_it(stopped, toy_run):
    source, out = stopped
    with raises(UsageError, "E-USAGE-CHANGED", found="other settings (all_scores: False, now True)"):
        predict(toy_run.folder, [source], out=out, all_scores=True)
    Path(source).write_text(Path(source).read_text() + "100\ta girl.\n")
    with raises(UsageError, "E-USAGE-CHANGED", found="input"):
        predict(toy_run.folder, [source], out=out)
    with raises(UsageError, "E-USAGE-CHANGED", problem=str(out)):
        predict(toy_run.folder, [source], out=out, overwrite=True, shard=(1, 2))
    assert predict(toy_run.folder, [source], out=out, overwrite=True).written == 101


def test_a_damaged_part_is_found(stopped, toy_run):
    source, out = stopped
    part = out.parent / ".out.tsv.parts" / "00000001"
    (part / "rows").write_bytes((part / "rows").read_bytes()[:-1])
    with raises(RunError, "E-RUN-FILE", where=str(part / "rows"), next=f"rm -r {part}"):
        predict(toy_run.folder, [source], out=out)
    assert not out.exists()
    subprocess.run(["rm", "-r", str(part)], check=True)
    assert predict(toy_run.folder, [source], out=out).written == 100


def test_a_stop_between_renaming_the_output_and_removing_the_parts(small, toy_run, tmp_path, monkeypatch):
    source, out = tsv(tmp_path / "in.tsv", lines_of(50)), tmp_path / "out.tsv"
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "remove", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            predict(toy_run.folder, [source], out=out)
    assert out.exists()
    assert (tmp_path / ".out.tsv.parts").exists()
    assert predict(toy_run.folder, [source], out=out).rows == 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tsv", "out.tsv"]
    with raises(UsageError, "E-USAGE-OUTPUT", problem=str(out), next="--overwrite"):
        predict(toy_run.folder, [source], out=out)
    assert predict(toy_run.folder, [source], out=out, overwrite=True).rows == 50


@pytest.mark.parametrize("old", [None, "old"])
def test_a_stop_between_the_rejected_rows_and_the_output(small, toy_run, tmp_path, monkeypatch, old):
    """The file of the rejected rows is there then, but it is not the user's."""
    source, out = tsv(tmp_path / "in.tsv", [*lines_of(50), "50\t "]), tmp_path / "out.tsv"
    if old:
        out.write_text(old)
    replace = Path.replace

    def stop(path, target):
        if path.name == "whole":
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(toy_run.folder, [source], out=out, overwrite=old is not None)
    assert len(rejected(out)) == 1
    assert predict(toy_run.folder, [source], out=out).written == 50
    assert (len(out.read_text().splitlines()), len(rejected(out))) == (51, 1)
    assert not (tmp_path / ".out.tsv.parts").exists()


def test_parts_of_a_finished_output_are_not_taken_for_those_of_another(small, toy_run, tmp_path, monkeypatch):
    first, second = tsv(tmp_path / "1.tsv", lines_of(50)), tsv(tmp_path / "2.tsv", lines_of(20))
    out = tmp_path / "out.tsv"
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "remove", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            predict(toy_run.folder, [first], out=out)
    with raises(UsageError, "E-USAGE-OUTPUT", problem=str(out), next="--overwrite"):
        predict(toy_run.folder, [second], out=out)
    assert predict(toy_run.folder, [second], out=out, overwrite=True).rows == 20
    assert len(out.read_text().splitlines()) == 21
    assert not (tmp_path / ".out.tsv.parts").exists()


def test_a_shard_that_goes_on_after_the_joining_says_so_and_its_parts_are_not_used(
    small, toy_run, tmp_path, monkeypatch
):
    source, other = tsv(tmp_path / "in.tsv", lines_of(200)), tsv(tmp_path / "other.tsv", lines_of(200, start=3))
    out, whole, write = tmp_path / "out.tsv", [], Parts.write

    def join_first(self, number, *rest):
        if not whole:
            whole.append(predict_module.Tally())  # the joining command itself writes parts, too
            monkeypatch.setattr(Parts, "write", write)
            whole.append(predict(toy_run.folder, [source], out=out))
        write(self, number, *rest)

    monkeypatch.setattr(predict_module, "_lock", lambda *_: None)  # it began while the shard was in a queue
    monkeypatch.setattr(Parts, "write", join_first)
    with raises(RunError, "E-RUN-LOCKED", where=str(out)):
        predict(toy_run.folder, [source], out=out, shard=(2, 2))
    assert whole[1].written == 200
    assert (tmp_path / ".out.tsv.parts").exists()
    predict(toy_run.folder, [other], out=out, overwrite=True)
    assert predict(toy_run.folder, [other], out=tmp_path / "again.tsv").written == 200
    assert out.read_bytes() == (tmp_path / "again.tsv").read_bytes()


def test_an_existing_file_of_rejected_rows_is_not_replaced(toy_run, tmp_path):
    source = tsv(tmp_path / "in.tsv", lines_of(3))
    (tmp_path / "out.tsv.rejected.jsonl").write_text("mine")
    with raises(UsageError, "E-USAGE-OUTPUT", problem="out.tsv.rejected.jsonl", next="--overwrite"):
        predict(toy_run.folder, [source], out=tmp_path / "out.tsv")
    predict(toy_run.folder, [source], out=tmp_path / "out.tsv", overwrite=True)
    assert not (tmp_path / "out.tsv.rejected.jsonl").exists()


def test_a_disk_too_full_for_the_plan_is_an_error(toy_run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("acceptor.data.writing.parts.replace_json", full)
    with raises(ResourceError, "E-RESOURCE-DISK", problem="out.tsv", where=".out.tsv.parts"):
        predict(toy_run.folder, [tsv(tmp_path / "in.tsv", lines_of(3))], out=tmp_path / "out.tsv")


def test_the_whole_waits_for_no_shard(small, toy_run, tmp_path):
    from acceptor.storage.lock import one_writer

    source, out = tsv(tmp_path / "in.tsv", lines_of(3)), tmp_path / "out.tsv"
    with one_writer(out.with_name("out.tsv.2-of-3")), raises(RunError, "E-RUN-LOCKED", where=".out.tsv.2-of-3.lock"):
        predict(toy_run.folder, [source], out=out)
    (tmp_path / ".out.tsv.2-of-3.lock").write_text("of a process that was killed")
    assert predict(toy_run.folder, [source], out=out).rows == 3


# ---------------------------------------------------------------------- while it runs


def test_the_next_chunk_is_tokenised_while_one_is_judged(small, toy_run, tmp_path, monkeypatch):
    encoded, together = threading.Semaphore(0), []
    encode, logits_of = Judge.encode, Judge.logits_of

    def count(self, *texts, **how):
        encoded.release()
        return encode(self, *texts, **how)

    def wait(self, ids, _):
        if not together:
            assert encoded.acquire(timeout=5)  # its own
            together.append(encoded.acquire(timeout=5))  # the next chunk's
        return logits_of(self, ids)

    monkeypatch.setattr(Judge, "encode", count)
    monkeypatch.setattr(Judge, "logits_of", wait)
    lines = [f"{row}\t{'the ' * (row % 7)}{WORDS[row % 5]} {row}." for row in range(31)]
    source = tsv(tmp_path / "in.tsv", [line.replace("0.", "girl.") for line in lines])
    predict(toy_run.folder, [source], out=tmp_path / "out.jsonl")
    assert together == [True]


def test_a_pipe_in_and_a_pipe_out(toy_run, tmp_path, monkeypatch, capsysbinary):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the girl sees.\n \nthe boy\n")))
    tally = predict(toy_run.folder, ["-"], out=Path("-"))
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [line["sentence"] for line in lines] == ["the girl sees.", "the boy"]
    assert (tally.rows, tally.rejected) == (3, 1)
    with raises(UsageError, "E-USAGE-CONFLICT", problem="--shard"):
        predict(toy_run.folder, ["-"], out=tmp_path / "out.tsv", shard=(1, 2))


def test_an_unfinished_output_of_a_pipe_is_started_again(small, toy_run, tmp_path, monkeypatch):
    out = tmp_path / "out.tsv"
    Parts(out).begin({"input": {"files": 1}}, overwrite=False)
    (Parts(out).folder / "00000000").mkdir()
    (Parts(out).folder / "00000000" / MANIFEST).touch()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the girl sees.\nthe boy\n")))
    with raises(UsageError, "E-USAGE-CHANGED", problem=str(out)):
        predict(toy_run.folder, ["-"], out=out)
    Parts(out).begin({"input": {}}, overwrite=True)
    assert predict(toy_run.folder, ["-"], out=out).rows == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tsv"]


def test_a_pipe_that_closes_ends_it_quietly(toy_onnx, tmp_path):
    source = tsv(tmp_path / "in.tsv", lines_of(20_000))
    command = [sys.executable, "-m", "acceptor", "predict", str(toy_onnx), source, "-o", "-"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == "0"
        process.stdout.close()
        assert process.stderr.read() == f"{source}: TSV with a header: sentence; passed over: id\n"
