"""No command overwrites its inputs, whatever the paths; an earlier output is not read as input."""

from __future__ import annotations

import json
import os
import shutil
import sys

import polars as pl
import pytest

from acceptor.errors import DataError, UsageError
from acceptor.judging.predict import predict
from conftest import raises

REFUSED = {"code": "E-USAGE-OUTPUT", "next": "new-"}


def jsonl(path, n=3):
    path.write_text("".join(json.dumps({"id": row, "text": f"the cats {'see ' * row}."}) + "\n" for row in range(n)))
    return path


@pytest.mark.parametrize(
    "way", ["same", "linked input", "linked output", "hard link", "dots", "pattern", "folder", "several", "rejected"]
)
def test_an_input_is_never_overwritten(way, toy_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    source = out = jsonl(tmp_path / "d" / "s.jsonl")
    sources = [str(source)]
    if way == "linked input":
        (tmp_path / "link.jsonl").symlink_to(source)
        sources = ["link.jsonl"]
    elif way == "linked output":
        out = tmp_path / "link.jsonl"
        out.symlink_to(source)
    elif way == "hard link":
        out = tmp_path / "hard.jsonl"
        os.link(source, out)
    elif way == "dots":
        sources = ["d/../d/./s.jsonl"]
    elif way == "pattern":
        sources = ["d/*.jsonl"]
    elif way == "folder":
        sources = ["d"]
    elif way == "several":
        sources = [str(jsonl(tmp_path / "a.jsonl")), str(source)]
    elif way == "rejected":
        out = tmp_path / "d" / "o.jsonl"
        source = source.rename(tmp_path / "d" / "o.jsonl.rejected.jsonl")
        sources = ["d"]
    before = source.read_bytes()
    with raises(UsageError, **REFUSED):
        predict(toy_run.folder, sources, out=out, where="probability > 2", overwrite=True)
    assert source.read_bytes() == before


def test_files_of_the_run_are_not_overwritten(toy_run, tmp_path, run_cli):
    run = shutil.copytree(toy_run.folder, tmp_path / "run")
    source = jsonl(tmp_path / "in.jsonl")
    with raises(UsageError, **REFUSED):
        predict(run, [str(source)], out=run / "history.jsonl", overwrite=True)
    (tmp_path / "gold.tsv").write_text("sentence\tlabel\n" + "the cats .\t1\nthe girl\t0\n" * 4)
    for taken in (run / "predictions.parquet", tmp_path / "gold.tsv"):
        before = taken.read_bytes()
        words = ("evaluate", run, tmp_path / "gold.tsv", "--predictions", taken, "--overwrite")
        code, _, stderr = run_cli(*words)
        assert (code, "E-USAGE-OUTPUT" in stderr) == (2, True), stderr
        assert taken.read_bytes() == before


def test_an_export_and_a_report_do_not_overwrite_what_they_read(toy_run, tmp_path, run_cli):
    run = shutil.copytree(toy_run.folder, tmp_path / "run")
    for command, name in (("export", "judge.onnx"), ("report", "page.html")):
        (tmp_path / name).symlink_to(run / "model.safetensors")
        code, _, stderr = run_cli(command, run, "-o", tmp_path / name, *(["--overwrite"] * (command == "export")))
        assert (code, "E-USAGE-OUTPUT" in stderr) == (2, True), stderr


@pytest.mark.parametrize("sources", ["d", "d/*.jsonl"])
def test_an_earlier_output_is_not_read(sources, toy_run, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "acceptor")
    (tmp_path / "d").mkdir()
    jsonl(tmp_path / "d" / "a.jsonl")
    (tmp_path / "d" / "b.jsonl").write_text('{"id": 7, "text": ""}\n{"id": 8, "text": "the girl"}\n')
    out = tmp_path / "d" / "out.jsonl"
    first = predict(toy_run.folder, [sources], out=out)
    before = out.read_bytes()
    assert (first.rows, first.rejected) == (5, 1)
    again = predict(toy_run.folder, [sources], out=out, overwrite=True)
    assert (again.to_dict(), out.read_bytes()) == (first.to_dict(), before)
    assert any("out.jsonl is an output" in line for line in caplog.messages)


def test_a_pattern_that_matches_only_the_output_reads_nothing(toy_run, tmp_path):
    predict(toy_run.folder, [str(jsonl(tmp_path / "a.jsonl"))], out=tmp_path / "v.jsonl")
    with raises(DataError, "E-DATA-MISSING", where="v*.jsonl"):
        predict(toy_run.folder, [str(tmp_path / "v*.jsonl")], out=tmp_path / "v.jsonl", overwrite=True)


def test_streams_that_are_redirected_to_an_input(toy_run, tmp_path, monkeypatch):
    source = jsonl(tmp_path / "s.jsonl")
    with source.open("a") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with raises(UsageError, **REFUSED):
            predict(toy_run.folder, [str(source)], out="-")
    tsv = tmp_path / "s.tsv"
    tsv.write_text("a\nb\n")
    with tsv.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with raises(UsageError, **REFUSED):
            predict(toy_run.folder, ["-"], out=tsv, overwrite=True)
    assert len(tsv.read_text()) == 4


def test_other_files_are_written(toy_run, tmp_path):
    source = jsonl(tmp_path / "s.jsonl")
    out = tmp_path / "S2.jsonl"
    out.write_text("something else")
    assert predict(toy_run.folder, [str(source)], out=out, overwrite=True).written == 3
    assert pl.read_ndjson(out)["id"].to_list() == [0, 1, 2]
