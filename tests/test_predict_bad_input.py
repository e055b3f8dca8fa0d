"""`acceptor predict` on bad input, by command line: an error that names the place, or rejected rows, all counted."""

from __future__ import annotations

import gzip
import hashlib
import json
import resource
import shutil

import polars as pl
import pytest

import acceptor
from acceptor.data.reading import stream
from acceptor.data.reading.read import read_table
from acceptor.errors import DataError
from acceptor.judging import predict as predict_module
from acceptor.judging.predict import predict
from conftest import raises


@pytest.fixture
def small(monkeypatch):
    """Chunks of 16 rows, blocks of 4 chunks."""
    monkeypatch.setattr(stream, "CHUNK", 16)
    monkeypatch.setattr(predict_module, "CHUNK", 16)
    monkeypatch.setattr(predict_module, "BLOCK", 4)


def lines_of(n):
    return "id\tsentence\n" + "".join(f"{row}\tthe cats see {'girl ' * (row % 7)}{row % 9}.\n" for row in range(n))


def parts_of(out):
    return sorted(path.name for path in (out.parent / f".{out.name}.parts").glob("0*"))


def test_a_truncated_archive_is_an_error_and_finished_parts_are_kept(small, run_cli, toy_run, tmp_path):
    whole = gzip.compress(lines_of(500).encode(), mtime=0)
    (tmp_path / "a.tsv").write_text(lines_of(64))
    (tmp_path / "b.tsv.gz").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out.jsonl"
    command = ("predict", toy_run.folder, tmp_path / "a.tsv", tmp_path / "b.tsv.gz", "-o", out, "--device", "cpu")
    code, stdout, err = run_cli(*command)
    assert (code, stdout, out.exists()) == (1, "", False)
    assert "E-DATA-DAMAGED" in err
    assert "b.tsv.gz" in err
    assert len(parts_of(out)) >= 4
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(lines_of(50).encode(), mtime=0))
    assert run_cli(*command)[0] == 2  # other data than it was started with
    code, stdout, _ = run_cli(*command, "--overwrite")
    assert (code, "114 rows in = 114 out + 0 rejected" in stdout, parts_of(out)) == (0, True, [])


def test_a_column_that_is_missing_in_the_second_file(small, run_cli, toy_run, tmp_path):
    (tmp_path / "1.tsv").write_text(lines_of(40))
    (tmp_path / "2.csv").write_text("sentence\nthe girl\n")
    out = tmp_path / "out.tsv"
    code, _, err = run_cli("predict", toy_run.folder, tmp_path / "1.tsv", tmp_path / "2.csv", "-o", out, "--json")
    assert (code, out.exists()) == (1, False)
    for words in ("E-DATA-COLUMN", f"where:    {tmp_path / '2.csv'}", "expected: id, sentence"):
        assert words in err


def test_a_file_with_other_columns_is_described_by_its_own_names(tmp_path):
    (tmp_path / "1.csv").write_text("text,label\n" + 9 * "the cats see,1\n")
    (tmp_path / "2.csv").write_text("review,stars,sentiment\n" + 9 * "the girl sees,3,1\n")
    found = "sentence ← review, stars, label ← sentiment"
    with raises(DataError, "E-DATA-COLUMN", where="2.csv", expected="sentence ← text, label", found=found):
        list(stream.chunks([str(tmp_path / "1.csv"), str(tmp_path / "2.csv")]))
    with raises(DataError, "E-DATA-COLUMN", where="1.csv", expected=found, found="sentence ← text, label"):
        list(stream.chunks([str(tmp_path / "2.csv"), str(tmp_path / "1.csv")]))


def limit(soft, hard):
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv.gz", "out.arrow", "out.parquet"])
def test_a_full_disk(small, run_cli, toy_run, tmp_path, monkeypatch, name):
    """Limits the size of files after the judge is loaded: to half a part, then to the output without its last byte."""
    (tmp_path / "in.tsv").write_text(lines_of(200))
    place = tmp_path / "full"
    place.mkdir()
    command = ("predict", toy_run.folder, tmp_path / "in.tsv", "-o", place / name, "--device", "cpu")
    assert run_cli(*command[:4], tmp_path / name)[0] == 0
    size = (tmp_path / name).stat().st_size
    limits, load = resource.getrlimit(resource.RLIMIT_FSIZE), predict_module.load
    for most in (500, size - 1):
        with monkeypatch.context() as patch:
            patch.setattr(predict_module, "load", lambda *a, most=most, **k: (load(*a, **k), limit(most, limits[1]))[0])
            try:
                code, stdout, err = run_cli(*command)
            finally:
                limit(*limits)
        assert (code, stdout, (place / name).exists()) == (1, "", False)
        assert len(parts_of(place / name)) == (0 if most == 500 else 13)
        assert "E-RESOURCE-DISK" in err
        assert f"where:    {place / name}".replace(name, f".{name}.parts") in err
    code, stdout, _ = run_cli(*command)
    assert (code, "200 rows in = 200 out + 0 rejected" in stdout) == (0, True)
    assert (place / name).read_bytes() == (tmp_path / name).read_bytes()


def test_an_existing_output_is_not_changed(run_cli, toy_run, tmp_path):
    (tmp_path / "in.tsv").write_text(lines_of(3))
    for taken, out in (("out.tsv.gz", "out.tsv.gz"), ("out.arrow.rejected.jsonl", "out.arrow")):
        (tmp_path / taken).write_text("mine")
        code, _, err = run_cli("predict", toy_run.folder, tmp_path / "in.tsv", "-o", tmp_path / out)
        assert (code, (tmp_path / taken).read_text()) == (2, "mine")
        assert "E-USAGE-OUTPUT" in err
        assert taken in err
        assert "--overwrite" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tsv", "out.arrow.rejected.jsonl", "out.tsv.gz"]


def test_an_output_of_an_unknown_format_or_in_no_folder(run_cli, toy_run, tmp_path):
    (tmp_path / "in.tsv").write_text(lines_of(3))
    for out, words in (
        ("o.xlsx", ".jsonl, .parquet"),
        ("o.parquet.gz", ".jsonl, .parquet"),
        ("no/o.tsv", "mkdir -p"),
    ):
        code, _, err = run_cli("predict", toy_run.folder, tmp_path / "in.tsv", "-o", tmp_path / out)
        assert (code, words in err, "E-USAGE-OUTPUT" in err) == (2, True, True)


def test_on_the_terminal_an_empty_row_is_an_error_that_names_the_way_around_it(run_cli, toy_run, tmp_path):
    (tmp_path / "in.txt").write_text("the girl sees.\n\nthe boy\n")
    code, stdout, err = run_cli("predict", toy_run.folder, tmp_path / "in.txt")
    assert (code, stdout, "in.txt, line 2" in err, "-o FILE" in err) == (1, "", True, True)


def test_what_needs_an_output_is_named(run_cli, toy_run, tmp_path):
    (tmp_path / "in.tsv").write_text(lines_of(3))
    for given, name in (
        (["--where", "probability >= .5"], "--where"),
        (["--shard", "1/2"], "--shard"),
        ([tmp_path / "in.tsv"], "more than one file"),
    ):
        code, _, err = run_cli("predict", toy_run.folder, tmp_path / "in.tsv", *given)
        assert (code, f"{name} needs an output" in err) == (2, True)


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl.gz", ".parquet"])
def test_empty_sentences_and_lines_of_a_megabyte(small, run_cli, toy_run, tmp_path, suffix):
    sentences = ["the girl sees.", "", " \u3000", "x" * 1_000_001, "boy " * 249_999 + "boys", *["the boy."] * 30]
    frame = pl.DataFrame({"id": [str(row) for row in range(35)], "sentence": sentences})
    source, out = tmp_path / f"in{suffix}", tmp_path / "out.jsonl"
    if suffix == ".tsv":
        source.write_text("id\tsentence\n" + "".join("\t".join(row) + "\n" for row in frame.rows()))
    elif suffix == ".parquet":
        frame.write_parquet(source)
    else:
        source.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in frame.to_dicts())))
    code, stdout, _ = run_cli("predict", toy_run.folder, source, "-o", out)
    assert (code, "35 rows in = 32 out + 3 rejected; 1 longer than the judge reads" in stdout) == (0, True)
    assert "; 3 judged" in stdout
    assert read_table(out).frame["id"].to_list() == ["0", *map(str, range(4, 35))]
    faults = [json.loads(line) for line in (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()]
    unit, header = ("row" if suffix == ".parquet" else "line"), suffix == ".tsv"
    assert [(fault["file"], fault[unit]) for fault in faults] == [(str(source), row + header) for row in (2, 3, 4)]
    assert [fault["code"] for fault in faults[:2]] == ["E-DATA-TEXT"] * 2
    assert faults[2]["code"].startswith("E-DATA")
    assert "1,000,000 bytes" in faults[2]["problem"]
    code, stdout, err = run_cli("predict", toy_run.folder, source, "-o", "-")
    assert (code, len(stdout.splitlines()), "35 rows in = 32 out + 3 rejected" in err) == (0, 32, True)
    assert len({line for line in err.splitlines() if line.startswith("rejected: ")}) == 3


# ---------------------------------------------------------------------- an array on one line

STRANGE = "\u4f60\u597d"  # no token of it is known
ARRAY = [{"id": 0, "text": "the cats see."}, {"id": 1, "text": " "}, {"id": 2, "text": STRANGE}]
ARRAY += [{"id": 3, "text": "the cat them."}, {"id": 4, "text": "a girl sees. the boy sleeps."}]


@pytest.mark.parametrize("suffix", [".jsonl", ".tsv", ".parquet"])
def test_rows_of_an_array_keep_their_verdicts_whatever_rows_are_rejected(toy_run, tmp_path, suffix):
    """As `json.dump` and pandas write it: all rows on one line, so that only their numbers tell them apart."""
    source, out = tmp_path / "in.json", tmp_path / f"out{suffix}"
    source.write_text(json.dumps(ARRAY))
    tally = predict(toy_run.folder, [str(source)], out=out)
    assert (tally.rows, tally.written, tally.rejected) == (5, 3, 2)
    faults = [json.loads(line) for line in (tmp_path / f"out{suffix}.rejected.jsonl").read_text().splitlines()]
    assert [(fault["row"], fault["where"].endswith(f"row {fault['row']}")) for fault in faults] == [
        (2, True),
        (3, True),
    ]
    written = acceptor.load_data(out, columns={"sentence": "text", "label": "verdict"}).train.table.frame
    expected = acceptor.load(toy_run.folder)([ARRAY[row]["text"] for row in (0, 3, 4)])
    assert written["id"].to_list() == ["0", "3", "4"]
    assert written["label"].to_list() == [verdict.label for verdict in expected]


def test_sentences_of_an_array_know_their_documents(toy_run, tmp_path):
    pytest.importorskip("sentencex")
    source, out = tmp_path / "in.json", tmp_path / "out.jsonl"
    source.write_text(json.dumps(ARRAY))
    predict(toy_run.folder, [str(source)], out=out, split_language="en")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["document"]) for row in rows] == [(0, 1), (3, 4), (4, 5), (4, 5)]


def test_a_label_that_a_tsv_cannot_hold_is_refused(toy_run, tmp_path):
    judge = shutil.copytree(toy_run.folder, tmp_path / "judge")
    file = json.loads((judge / "judge.json").read_text())
    (judge / "judge.json").write_text(json.dumps(file | {"labels": ["not\tgood", "good"]}))
    manifest = json.loads((judge / "manifest.json").read_text())
    manifest["files"]["judge.json"] = hashlib.sha256((judge / "judge.json").read_bytes()).hexdigest()
    (judge / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "in.txt").write_text("the cats see.\n")
    with raises(DataError, "E-DATA-TSV", where="not\\tgood"):
        predict(judge, [str(tmp_path / "in.txt")], out=tmp_path / "out.tsv")


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_a_column_whose_name_has_a_line_break_is_refused_for_tsv(toy_run, tmp_path, name):
    source, out = tmp_path / name, tmp_path / "out.tsv"
    source.write_text(
        '"Your\nage",sentence\n7,the cats see.\n' if name == "in.csv" else '{"a\\tb": 1, "text": "the"}\n'
    )
    with raises(DataError, "E-DATA-TSV", where="the column", next=".jsonl"):
        predict(toy_run.folder, [str(source)], out=out)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert predict(toy_run.folder, [str(source)], out=tmp_path / "out.csv").written == 1
