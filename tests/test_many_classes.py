"""Judges of many labels: the sentence and the verdict are always shown, and mistakes are listed."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import warnings

import numpy as np
import polars as pl
import pytest
from rich.console import Console

import acceptor
from acceptor.cli import render as terminal
from acceptor.evaluation.evaluate import report_of
from acceptor.judging.decision import MOST_PROBABLE
from acceptor.judging.verdicts import verdict_columns
from acceptor.report.figures import save_png
from acceptor.report.run_figures import Dot, dots_figure
from conftest import REPOSITORY, raises

SENTENCE = "The committee that the chairman had appointed met in the garden behind the house."


def printed(parts, width):
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False)
    for part in parts:
        console.print(part)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("names", ["intent {}", "a label with quite a long name, number {}"])
@pytest.mark.parametrize("labels", [2, 3, 6, 77])
@pytest.mark.parametrize("all_scores", [False, True])
def test_sentence_and_verdict_are_seen(width, names, labels, all_scores):
    names = tuple(names.format(index) for index in range(labels))
    logits = np.random.default_rng(0).normal(size=(2, labels)).astype(np.float32)
    columns = verdict_columns(logits, names, MOST_PROBABLE)
    columns.insert_column(2, pl.Series("margin", MOST_PROBABLE.margins(logits)))
    columns = columns if all_scores else columns[:, :3]
    frame = pl.DataFrame({"sentence": [SENTENCE, "Ok\nso."]}).hstack(columns)
    text = printed([terminal.verdict_table(frame, names, all_scores=all_scores)], width)
    for word in ("committee", "appointed", "garden", "house"):
        assert word in text, text
    assert "Ok\\nso." in text
    assert frame["verdict"][0][:12] in text
    assert f"{frame['probability'][0]:.3f}" in text
    assert (f"{logits.max():+.2f}" in text) == all_scores
    assert all(len(line) <= width for line in text.split("\n"))


def report(labels, n=400):
    rows = [(f"sentence {row}", f"intent {row % labels}") for row in range(n)]
    split = acceptor.load_data(rows, validation=rows).validation
    logits = np.zeros((n, labels), dtype=np.float32)
    gold = split.gold
    logits[np.arange(n), np.where(np.arange(n) % 3 == 0, (gold + 1) % labels, gold)] = 3
    return report_of(split, logits)


def test_confusion_of_many_labels_is_a_list_of_mistakes():
    many = report(77)
    text = printed(terminal.report_text(many), 80)
    confusion = np.array(many.scores.confusion)
    np.fill_diagonal(confusion, 0)
    gold, verdict = np.unravel_index(confusion.argmax(), confusion.shape)
    line = next(line for line in text.split("\n") if line.startswith(many.split.labels[gold] + " "))
    assert line.split() == [*many.split.labels[gold].split(), *many.split.labels[verdict].split(), str(confusion.max())]
    assert str(confusion.sum() - np.sort(confusion.ravel())[-15:].sum()) in text
    assert "intervals above are made from the confusion matrix, those below by a bootstrap" in text
    assert "judged intent" in printed(terminal.report_text(report(4)), 80)  # few: the matrix


def test_a_report_of_many_labels_shows_mistakes(tiny_bert, tmp_path):
    from acceptor.report.html import write_report

    rows = [(f"the cats see girl {row}.", f"intent {row % 24:02}") for row in range(120)]
    config = acceptor.TrainConfig(encoder=str(tiny_bert), epochs=1, batch_size=16, on_collapse="go-on", max_length=16)
    run = acceptor.train(acceptor.load_data(rows, validation=rows[:48]), out=tmp_path / "run", config=config)
    page = write_report([run.folder], tmp_path / "page.html").read_text("utf-8")
    assert "The most frequent mistakes" in page
    assert (tmp_path / "page-figures" / "validation-mistakes.png").is_file()
    assert not (tmp_path / "page-figures" / "validation-confusion.png").exists()


@pytest.mark.parametrize("undefined", [0, 1, 3])
def test_a_figure_of_slices_draws_those_that_are_defined(undefined, tmp_path):
    values = [math.nan if row < undefined else 0.8 + row / 100 for row in range(4)]
    dots = [Dot(f"slice {row}", value, value - 0.02, value + 0.02, 20) for row, value in enumerate(values)]
    figure = dots_figure(dots, "MCC by source", 0.8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that has no room warns
        save_png(figure, tmp_path / "slices.png")
    [axes] = figure.axes
    said = [text for text in axes.texts if text.get_text() == "not defined"]
    assert len(said) == undefined
    renderer = figure.canvas.get_renderer()
    inside = axes.get_window_extent(renderer)
    assert inside.width > 0.3 * figure.bbox.width
    for text in said:
        assert inside.x0 <= text.get_window_extent(renderer).x0 < inside.x1


# ---------------------------------------------------------------------- judge from a pipe


def test_blank_lines_in_a_pipe_are_passed_over(toy_run, run_cli):
    code, stdout, stderr = run_cli("judge", toy_run.folder, stdin="the cats sleep.\n\n \r\nthe cat them.\r\n")
    assert (code, len(stdout.splitlines())) == (0, 2)
    assert "2 blank lines" in stderr
    code, stdout, _ = run_cli("judge", toy_run.folder, "--json", stdin="\nthe cats sleep.\r\n")
    assert json.loads(stdout)["sentence"] == "the cats sleep."
    assert run_cli("judge", toy_run.folder, stdin="")[:2] == (0, "")


@pytest.mark.parametrize("text", ["na\xefve girl", "“quoted”"])
def test_bytes_that_are_not_utf8_are_reported_with_their_line(text, toy_run, monkeypatch, capsys):
    from acceptor.cli import judge as judging
    from acceptor.errors import DataError

    data = b"the cats sleep.\n\n" + text.encode("windows-1252") + b"\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with raises(DataError, "E-DATA-ENCODING", where="standard input, line 3", cause="saved as ", next="iconv -f"):
        judging.judge(str(toy_run.folder))
    assert len(capsys.readouterr().out.splitlines()) == 1  # the lines before it are judged


# ---------------------------------------------------------------------- rows that TSV cannot hold


def breaks(path, n=20, good=0):
    path.write_text("id,sentence\n" + '1,"two\nlines"\n' * n + "2,the cats .\n" * good)
    return path


def test_an_output_without_a_row_is_a_failure(toy_run, tmp_path, run_cli):
    source = breaks(tmp_path / "in.csv")
    code, _, stderr = run_cli("predict", toy_run.folder, source, "-o", tmp_path / "out.tsv")
    assert code == 1
    for word in ("20 of the first 20 rows", ".jsonl", "out.tsv.rejected.jsonl", "20 rejected"):
        assert word in stderr
    assert len((tmp_path / "out.tsv.rejected.jsonl").read_text().splitlines()) == 20
    code, _, stderr = run_cli("predict", toy_run.folder, breaks(tmp_path / "in.csv", 2, 3), "-o", tmp_path / "o.tsv")
    assert (code, "2 of the first 5 rows" in stderr) == (0, True)
    code, _, stderr = run_cli("predict", toy_run.folder, source, "-o", tmp_path / "out.csv")
    assert (code, "TSV" in stderr) == (0, False)
    where = ("--where", "probability > 2")
    assert run_cli("predict", toy_run.folder, source, "-o", tmp_path / "none.csv", *where)[0] == 0


def test_an_output_on_a_pipe_without_a_row_is_a_failure(toy_onnx, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": ""}\n')
    command = [sys.executable, "-m", "acceptor", "predict", str(toy_onnx), str(tmp_path / "in.jsonl"), "-o", "-"]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONPATH": f"{REPOSITORY}/src"})
    assert (done.returncode, done.stdout) == (1, b"")
